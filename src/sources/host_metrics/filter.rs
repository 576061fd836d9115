//! Which devices, mounts or entries a collector tells of: regular expressions, as
//! `node_exporter`'s flags have them.

use std::borrow::Cow;

use regex::Regex;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, de};

/// A regular expression that is looked for anywhere in a name; `^` and `$` tie it to the ends.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Whether it is found in `name`.
    pub fn is_in(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

impl std::str::FromStr for Pattern {
    type Err = regex::Error;

    fn from_str(text: &str) -> Result<Self, regex::Error> {
        Regex::new(text).map(Self)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(|error| {
            de::Error::custom(format!("`{text}` is no regular expression: {error}"))
        })
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

/// What to tell of: names in which `include` is found and `exclude` is not.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// Only names in which this is found.
    pub include: Option<Pattern>,
    /// No names in which this is found. What is given here stands in place of the default.
    pub exclude: Option<Pattern>,
}

impl Filter {
    /// Whether `name` is told of.
    pub fn allows(&self, name: &str) -> bool {
        self.include.as_ref().is_none_or(|include| include.is_in(name))
            && self.exclude.as_ref().is_none_or(|exclude| !exclude.is_in(name))
    }

    /// Whether nothing was said, so that the collector's own default holds.
    pub fn is_unset(&self) -> bool {
        self.include.is_none() && self.exclude.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_excluded_is_left_out_even_where_it_is_included() {
        let filter: Filter =
            serde_json::from_str(r#"{"include": "^eth", "exclude": "1$"}"#).unwrap();
        assert!(filter.allows("eth0") && !filter.allows("eth1") && !filter.allows("lo"));
        assert!(Filter::default().allows("lo") && Filter::default().is_unset());
    }

    #[test]
    fn a_broken_expression_is_refused_with_what_is_wrong() {
        let told = serde_json::from_str::<Pattern>(r#""(eth""#).unwrap_err().to_string();
        assert!(told.contains("`(eth`") && told.contains("unclosed group"), "{told}");
    }
}
