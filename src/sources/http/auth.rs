//! Who may send.

use crate::net::auth::Auth;
use hyper::header::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};
use std::fmt;

/// Lets in those who know the secret.
///
/// Only a hash of it is kept and compared, so that neither a debugger's print nor the time that a
/// comparison takes tells anything of it.
pub(super) struct Guard(Option<Expected>);

struct Expected {
    header: HeaderName,
    /// `Basic` or `Bearer`; a header of one's own has no such word.
    scheme: &'static str,
    hash: [u8; 32],
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

impl Guard {
    /// A guard that asks for this; for nothing where it is empty.
    pub(super) fn new(auth: &Auth) -> Result<Self, String> {
        let Some((name, value)) = auth.header()? else { return Ok(Self(None)) };
        let header = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("`{name}` is no name of a header"))?;
        let scheme = match auth {
            Auth { bearer: Some(_), .. } => "Bearer",
            Auth { header: Some(_), .. } => "",
            _ => "Basic",
        };
        let secret = value[scheme.len()..].trim_ascii();
        Ok(Self(Some(Expected { header, scheme, hash: Sha256::digest(secret).into() })))
    }

    /// Whether the request may pass.
    pub(super) fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(expected) = &self.0 else { return true };
        let Some(given) = headers.get(&expected.header) else { return false };
        let Some((word, secret)) = given.as_bytes().split_at_checked(expected.scheme.len()) else {
            return false;
        };
        let is_apart = word.is_empty() || secret.first() == Some(&b' ');
        let found: [u8; 32] = Sha256::digest(secret.trim_ascii()).into();
        let differs = found.iter().zip(expected.hash).fold(0, |all, (a, b)| all | (a ^ b));
        is_apart && word.eq_ignore_ascii_case(expected.scheme.as_bytes()) && differs == 0
    }

    /// How to ask for it.
    pub(super) fn challenge(&self) -> &'static str {
        match &self.0 {
            Some(Expected { scheme: "Basic", .. }) => "Basic realm=\"logs\", charset=\"UTF-8\"",
            _ => "Bearer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::secret::SecretText;
    use crate::net::auth::AuthHeader;
    use hyper::header::AUTHORIZATION;

    fn admits(guard: &Guard, value: &str) -> bool {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
        guard.admits(&headers)
    }

    #[test]
    fn only_who_knows_the_secret_is_let_in() {
        let secret = |text: &str| Some(SecretText::new(text.to_owned()));
        let bearer =
            Guard::new(&Auth { bearer: secret("s3cret-token"), ..Auth::default() }).unwrap();
        assert!(admits(&bearer, "Bearer s3cret-token") && admits(&bearer, "bearer  s3cret-token"));
        for wrong in ["", "Bearer", "Bearer s3cret", "Basic s3cret-token", "Bearer s3cret-token2"] {
            assert!(!admits(&bearer, wrong), "{wrong}");
        }
        let (user, password) = (Some("app".into()), secret("open sesame"));
        let basic = Auth { user, password, ..Auth::default() };
        let basic = Guard::new(&basic).unwrap();
        assert!(admits(&basic, "Basic YXBwOm9wZW4gc2VzYW1l"));
        assert!(!admits(&basic, "Basic YXBwOm9wZW4gc2VzYW1m") && !basic.admits(&HeaderMap::new()));
        let header = AuthHeader { name: "X-Key".into(), value: SecretText::new("s3cret".into()) };
        let own = Guard::new(&Auth { header: Some(header), ..Auth::default() }).unwrap();
        let key = |value: &str| {
            HeaderMap::from_iter([("x-key".parse().unwrap(), value.parse().unwrap())])
        };
        assert!(
            own.admits(&key("s3cret")) && !own.admits(&key("s3cre")) && !admits(&own, "s3cret")
        );
        assert!(Guard::new(&Auth::default()).unwrap().admits(&HeaderMap::new()));
    }
}
