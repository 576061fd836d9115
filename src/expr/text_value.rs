//! Texts that go with each record: the same for all, where it was read, a field, or computed.

use super::record::Made;
use super::template::Template;
use crate::event::log::{KeyId, LogBatch, RecordRef};
use serde_json::{Map, Value as Json};

/// Where the text comes from.
#[derive(Debug)]
enum Source {
    /// The node that the record was read on.
    Host,
    /// The component that read it.
    Reader,
    /// The file that it was read from, unless it has a field `path`.
    Path,
    /// The first of these fields that a record has and that says something.
    Fields(Vec<String>),
    /// The same for every record.
    Constant(Vec<u8>),
    /// Text with something computed in it.
    Template(Template),
}

/// A text for each record.
#[derive(Debug)]
pub struct TextValue {
    source: Source,
    /// The numbers that the batch at hand has given to the fields' names.
    keys: Vec<Option<KeyId>>,
    /// What was computed for the batch at hand.
    made: Vec<Option<Made>>,
}

impl TextValue {
    /// What `setting` says (text, with `{{ braces }}` for what each record has), else the first of
    /// these fields. `constants` has `facts`, `vars` and `host`.
    ///
    /// # Errors
    /// Where the setting is no valid Jinja; `name` is what it is called.
    pub fn new(
        name: &str,
        setting: Option<&str>,
        fields: &[&str],
        constants: &Map<String, Json>,
    ) -> Result<Self, String> {
        let source = match setting {
            None => Source::Fields(fields.iter().map(|&field| field.to_owned()).collect()),
            Some(text) => source(text, constants).map_err(|error| format!("`{name}`: {error}"))?,
        };
        Ok(Self { source, keys: Vec::new(), made: Vec::new() })
    }

    /// The text, where it is the same for every record.
    pub fn constant(&self) -> Option<&[u8]> {
        match &self.source {
            Source::Constant(text) => Some(text),
            _ => None,
        }
    }

    /// Looks up or computes what can be for all records of a batch at once.
    pub fn prepare(&mut self, batch: &LogBatch) {
        match &self.source {
            Source::Constant(_) | Source::Host | Source::Reader | Source::Path => {}
            Source::Fields(names) => {
                self.keys.clear();
                self.keys.extend(names.iter().map(|name| batch.keys().find(name)));
            }
            Source::Template(template) => self.made = template.values(batch),
        }
    }

    /// Appends the text for a record, the `at`th of the batch that was prepared. Says whether
    /// there is any.
    pub fn write(&self, record: &RecordRef<'_>, at: usize, out: &mut Vec<u8>) -> bool {
        let before = out.len();
        match &self.source {
            Source::Constant(text) => out.extend_from_slice(text),
            Source::Host => out.extend_from_slice(record.batch().origin.host.as_bytes()),
            Source::Reader => out.extend_from_slice(record.batch().origin.source.as_bytes()),
            Source::Path => match record.get("path") {
                Some(field) => field.write_display(out),
                None => {
                    let path = record.batch().origin.path.as_deref().unwrap_or_default();
                    out.extend_from_slice(path.as_bytes());
                }
            },
            Source::Fields(names) => {
                for (name, key) in names.iter().zip(&self.keys) {
                    let field = match key {
                        _ if record.is_unparsed() => record.get(name),
                        Some(key) => record.get_key(*key),
                        None => None,
                    };
                    if let Some(field) = field.filter(|field| !field.is_null()) {
                        field.write_display(out);
                    }
                    if out.len() > before {
                        break;
                    }
                }
            }
            Source::Template(_) => {
                if let Some(Some(made)) = self.made.get(at)
                    && !made.as_ref().is_null()
                {
                    made.as_ref().write_display(out);
                }
            }
        }
        out.len() > before
    }
}

fn source(text: &str, constants: &Map<String, Json>) -> Result<Source, String> {
    if !text.contains("{{") && !text.contains("{%") {
        return Ok(Source::Constant(text.as_bytes().to_vec()));
    }
    let inner = text.strip_prefix("{{").and_then(|text| text.strip_suffix("}}"));
    let is_name = |name: &str| {
        name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
            && name.starts_with(|char: char| char.is_ascii_alphabetic())
    };
    let reserved = ["facts", "vars", "secrets", "record"];
    let variables = constants.get("vars").and_then(Json::as_object);
    match inner.map(str::trim) {
        Some("host") => Ok(match constants.get("host").and_then(Json::as_str) {
            Some(host) => Source::Constant(host.as_bytes().to_vec()),
            None => Source::Host,
        }),
        Some("source") => Ok(Source::Reader),
        Some("path") => Ok(Source::Path),
        // The common case needs no expression to be run.
        Some(name)
            if is_name(name)
                && !reserved.contains(&name)
                && !variables.is_some_and(|variables| variables.contains_key(name)) =>
        {
            Ok(Source::Fields(vec![name.to_owned()]))
        }
        _ => Template::new(&Json::String(text.to_owned()), constants).map(Source::Template),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::log::{Origin, Verdict};
    use bytes::Bytes;
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn a_text_comes_from_the_setting_the_origin_or_a_field() {
        let origin = Origin {
            source: "app".into(),
            host: "web1".into(),
            path: Some("/a".into()),
            ..Origin::default()
        };
        let mut batch = LogBatch::from_lines(&Bytes::from("x\n"), Arc::new(origin), 0, 0);
        batch.rewrite(|_, writer| {
            writer.push_text("level", b"warn");
            writer.push_text("vars", b"hidden");
            Verdict::Touched
        });
        let constants = json!({ "vars": { "env": "test" } });
        for (setting, expected) in [
            ("fixed", "fixed"),
            ("{{ host }}", "web1"),
            ("{{source}}", "app"),
            ("{{ path }}", "/a"),
            ("{{ level }}", "warn"),
            ("{{ missing }}", ""),
            ("{{ vars.env }}-{{ level | upper }}", "test-WARN"),
        ] {
            let constants = constants.as_object().unwrap();
            let mut value = TextValue::new("it", Some(setting), &[], constants).unwrap();
            value.prepare(&batch);
            let mut out = Vec::new();
            let some = value.write(&batch.records().next().unwrap(), 0, &mut out);
            assert_eq!(
                (String::from_utf8(out).unwrap().as_str(), some),
                (expected, !expected.is_empty())
            );
        }
        let wrong = TextValue::new("it", Some("{{ a | }}"), &[], &Map::new()).unwrap_err();
        assert!(wrong.starts_with("`it`"), "{wrong}");
    }
}
