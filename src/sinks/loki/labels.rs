//! Names with a text each: the labels of streams, and the metadata of lines.

use crate::expr::text_value::TextValue;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value as Json};

/// What goes with each record, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Names(IndexMap<String, String>);

/// The labels of streams, of which there is at least one.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(transparent)]
pub struct Labels(#[schemars(extend("minProperties" = 1))] Names);

impl Default for Labels {
    fn default() -> Self {
        let own = |name: &str| (name.to_owned(), format!("{{{{ {name} }}}}"));
        Self(Names(["host", "source"].map(own).into_iter().collect()))
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Names::deserialize(deserializer)?;
        if names.0.is_empty() {
            return Err(de::Error::custom(
                "found no label, expected at least one: Loki takes no stream without",
            ));
        }
        Ok(Self(names))
    }
}

impl Labels {
    /// As for [`Names::values`].
    pub(super) fn values(
        &self,
        setting: &str,
        constants: &Map<String, Json>,
    ) -> Result<Vec<(String, TextValue)>, String> {
        self.0.values(setting, constants)
    }
}

impl Names {
    /// The names as Loki has them, and what makes their texts.
    ///
    /// # Errors
    /// Where a text is no valid Jinja, or two names become the same.
    pub(super) fn values(
        &self,
        setting: &str,
        constants: &Map<String, Json>,
    ) -> Result<Vec<(String, TextValue)>, String> {
        let mut values: Vec<(String, TextValue)> = Vec::new();
        for (name, text) in &self.0 {
            let clean = clean(name);
            if values.iter().any(|(known, _)| *known == clean) {
                return Err(format!("`{setting}`: two names become `{clean}`"));
            }
            let place = format!("{setting}.{name}");
            values.push((clean, TextValue::new(&place, Some(text), &[], constants)?));
        }
        Ok(values)
    }
}

/// A name with nothing in it that Loki refuses: letters, digits and `_`, the first no digit.
fn clean(name: &str) -> String {
    let mut clean: String =
        name.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).collect();
    if clean.starts_with(|char: char| char.is_ascii_digit()) || clean.is_empty() {
        clean.insert(0, '_');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_fit_for_loki() {
        for (name, expected) in
            [("level", "level"), ("k8s.pod-name", "k8s_pod_name"), ("2xx", "_2xx"), ("", "_")]
        {
            assert_eq!(clean(name), expected);
        }
        let twice: Names = serde_json::from_str(r#"{"a.b": "1", "a-b": "2"}"#).unwrap();
        assert!(twice.values("labels", &Map::new()).unwrap_err().contains("become `a_b`"));
    }

    #[test]
    fn no_labels_at_all_are_refused() {
        let refusal = serde_json::from_str::<Labels>("{}").unwrap_err().to_string();
        assert!(refusal.contains("at least one"), "{refusal}");
    }
}
