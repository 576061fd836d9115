//! Values of a message's parts: the same for all records, a field, or computed.

use crate::event::log::{KeyId, LogBatch, RecordRef};
use crate::expr::record::Made;
use crate::expr::template::Template;
use serde_json::{Map, Value as Json};

/// Where the text of one part comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// The first of these fields that a record has and that says something.
    Fields(Vec<String>),
    /// The same for every record.
    Constant(Vec<u8>),
    /// Text with something computed in it.
    Template(Template),
}

/// A part's text, record by record.
#[derive(Debug)]
pub(super) struct Value {
    source: Source,
    /// The numbers that the batch at hand has given to the fields' names.
    keys: Vec<Option<KeyId>>,
    /// What was computed for the batch at hand.
    made: Vec<Option<Made>>,
}

impl Value {
    /// What `setting` says, else the first of these fields.
    ///
    /// # Errors
    /// Where the setting is no valid Jinja; `name` is what it is called.
    pub(super) fn new(
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
    pub(super) fn constant(&self) -> Option<&[u8]> {
        match &self.source {
            Source::Constant(text) => Some(text),
            Source::Fields(_) | Source::Template(_) => None,
        }
    }

    /// Looks up or computes what can be for all records of a batch at once.
    pub(super) fn prepare(&mut self, batch: &LogBatch) {
        match &self.source {
            Source::Constant(_) => {}
            Source::Fields(names) => {
                self.keys.clear();
                self.keys.extend(names.iter().map(|name| batch.keys().find(name)));
            }
            Source::Template(template) => self.made = template.values(batch),
        }
    }

    /// Appends the text for a record, the `at`th of the batch that was prepared. Says whether
    /// there is any.
    pub(super) fn write(&self, record: &RecordRef<'_>, at: usize, out: &mut Vec<u8>) -> bool {
        let before = out.len();
        match &self.source {
            Source::Constant(text) => out.extend_from_slice(text),
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
    let reserved = ["facts", "vars", "secrets", "host", "source", "record"];
    let variables = constants.get("vars").and_then(Json::as_object);
    match inner.map(str::trim) {
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
