//! Secrets: values that no log, diff, error or argument list may show.

mod mask;
mod spellings;
mod writer;

pub use mask::Masker;
pub use writer::MaskingWriter;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What stands where a secret was.
pub const MASK: &str = "***";
/// A shorter secret cannot be masked: it would be found in innocent text.
pub const SHORTEST_SECRET: usize = 6;

/// A secret's value. It prints as `***`, equals nothing by accident of formatting, and is wiped
/// from memory with its last holder.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Arc<Zeroizing<String>>);

impl SecretText {
    /// Takes the value over.
    pub fn new(value: String) -> Self {
        Self(Arc::new(Zeroizing::new(value)))
    }

    /// The value itself, for the one place that needs it: a request, a file that is written, a
    /// command's standard input.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl JsonSchema for SecretText {
    fn schema_name() -> Cow<'static, str> {
        "SecretText".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

/// All secrets that the config refers to, by name. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secrets(Arc<IndexMap<String, SecretText>>);

impl Secrets {
    /// The value of the secret `name`.
    pub fn get(&self, name: &str) -> Option<&SecretText> {
        self.0.get(name)
    }

    /// Names and values, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &SecretText)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, SecretText)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (String, SecretText)>>(secrets: I) -> Self {
        Self(Arc::new(secrets.into_iter().collect()))
    }
}

#[cfg(test)]
pub(crate) fn one(value: &str) -> Secrets {
    [("NAME".to_owned(), SecretText::new(value.to_owned()))].into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_way_of_printing_shows_a_secret() {
        let secrets = one("hunter2-hunter2");
        let value = secrets.get("NAME").unwrap();
        for printed in [format!("{value}"), format!("{value:?}"), format!("{secrets:#?}")] {
            assert!(printed.contains(MASK) && !printed.contains("hunter2"), "{printed}");
        }
        assert_eq!(value.expose(), "hunter2-hunter2");
    }
}
