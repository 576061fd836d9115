//! The servers that a client may ask: one URL, or a list of them.

use crate::event::secret::SecretText;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use std::borrow::Cow;
use std::fmt;

/// URLs of servers that are as good as each other. Shown without what may hold a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Urls(Vec<SecretText>);

impl Urls {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(SecretText::expose)
    }
}

struct UrlsVisitor;

impl<'de> de::Visitor<'de> for UrlsVisitor {
    type Value = Urls;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a URL, or a list of URLs")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Urls, E> {
        Ok(Urls(vec![SecretText::new(text.to_owned())]))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Urls, A::Error> {
        let mut urls = Vec::new();
        while let Some(url) = items.next_element()? {
            urls.push(url);
        }
        if urls.is_empty() {
            return Err(de::Error::custom("found no URL, expected at least one"));
        }
        Ok(Urls(urls))
    }
}

impl<'de> Deserialize<'de> for Urls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UrlsVisitor)
    }
}

impl JsonSchema for Urls {
    fn schema_name() -> Cow<'static, str> {
        "Urls".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "oneOf": [
                { "type": "string" },
                { "type": "array", "items": { "type": "string" }, "minItems": 1 },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_url_is_a_list_of_one_and_none_is_refused() {
        let urls = |text: &str| serde_json::from_str::<Urls>(text);
        assert_eq!(urls("\"http://a\"").unwrap().iter().collect::<Vec<_>>(), ["http://a"]);
        let two = urls("[\"http://a\", \"http://b\"]").unwrap();
        assert_eq!(two.iter().collect::<Vec<_>>(), ["http://a", "http://b"]);
        assert!(!format!("{two:?}").contains("http"), "a URL may hold a key");
        assert!(urls("[]").unwrap_err().to_string().contains("at least one"));
        assert!(urls("7").unwrap_err().to_string().contains("a list of URLs"));
    }
}
