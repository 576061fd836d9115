//! Who sends a request: a user and a password, a token, or a header of the server's own.

use crate::event::secret::SecretText;
use base64::Engine as _;
use schemars::JsonSchema;
use serde::Deserialize;

/// Who sends it: `{user, password}`, `{bearer}`, `{api_key}` or `{header: {name, value}}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// A user's name, for basic authentication.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<SecretText>,
    /// A bearer token.
    pub bearer: Option<SecretText>,
    /// An API key as Elasticsearch gives them out, in its encoded form: `Authorization: ApiKey KEY`.
    pub api_key: Option<SecretText>,
    /// A header that says it, such as `{name: X-API-Key, value: "{{ secrets.KEY }}"}`.
    pub header: Option<AuthHeader>,
}

/// A header that says who sends the request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthHeader {
    /// The header's name.
    pub name: String,
    /// Its value, shown nowhere.
    pub value: SecretText,
}

impl Auth {
    /// Name and value of the header that says it.
    ///
    /// # Errors
    /// Where it says two things at a time, or half of one.
    pub fn header(&self) -> Result<Option<(&str, String)>, String> {
        const NAME: &str = "authorization";
        let Self { user, password, bearer, api_key, header } = self;
        Ok(match (user, password, bearer, api_key, header) {
            (None, None, None, None, None) => None,
            (None, None, Some(token), None, None) => {
                Some((NAME, format!("Bearer {}", token.expose())))
            }
            (None, None, None, Some(key), None) => Some((NAME, format!("ApiKey {}", key.expose()))),
            (None, None, None, None, Some(own)) => Some((&own.name, own.value.expose().to_owned())),
            (Some(user), password, None, None, None) => {
                let password = password.as_ref().map_or("", SecretText::expose);
                let both = format!("{user}:{password}");
                let both = base64::engine::general_purpose::STANDARD.encode(both);
                Some((NAME, format!("Basic {both}")))
            }
            _ => {
                let message = "`auth` takes either `user` and `password`, or one of `bearer`, \
                               `api_key` and `header`";
                return Err(message.to_owned());
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_named_in_one_way_only() {
        let secret = |text: &str| Some(SecretText::new(text.to_owned()));
        let bearer = Auth { bearer: secret("hunter2"), ..Auth::default() };
        assert_eq!(bearer.header().unwrap().unwrap().1, "Bearer hunter2");
        let key = Auth { api_key: secret("hunter2"), ..Auth::default() };
        assert_eq!(key.header().unwrap().unwrap().1, "ApiKey hunter2");
        assert!(Auth { api_key: secret("hunter2"), ..bearer.clone() }.header().is_err());
        let both = Auth { user: Some("me".to_owned()), ..bearer };
        assert!(both.header().unwrap_err().contains("either"));
        let lonely = Auth { password: secret("hunter2"), ..Auth::default() };
        assert!(lonely.header().is_err());
        let value = SecretText::new("hunter2".to_owned());
        let header = Some(AuthHeader { name: "X-API-Key".to_owned(), value });
        let own = Auth { header: header.clone(), ..Auth::default() };
        assert_eq!(own.header().unwrap().unwrap(), ("X-API-Key", "hunter2".to_owned()));
        assert!(Auth { header, bearer: secret("hunter2"), ..Auth::default() }.header().is_err());
    }
}
