//! Records as the lines of a `_bulk` request: an action and a document each.

use super::Action;
use super::identity::Identity;
use crate::event::Batch;
use crate::event::encode::{Encoder, Encoding, Extra, json};
use crate::event::log::{KeyId, LogBatch, RecordRef};
use crate::event::time::write_rfc3339;
use crate::expr::path_template::{PathRenderer, PathTemplate};
use crate::expr::text_value::TextValue;
use crate::topology::component::{Encode, Fault};
use crate::topology::request::Requests;
use serde_json::{Map, Value as Json};

/// The server takes no longer id, and refuses the whole request for one.
const LONGEST_ID_BYTES: usize = 512;
/// Nor a longer name of an index.
const LONGEST_INDEX_BYTES: usize = 255;

/// What a document has beside its record's fields.
const EXTRA: [&str; 3] = ["@timestamp", "host", "path"];

/// Turns records into documents.
pub(super) struct Documents {
    action: &'static str,
    indices: Indices,
    ids: Ids,
    identity: Identity,
    routing: Option<TextValue>,
    encoder: Encoder,
    scratch: Scratch,
}

/// Where a document's id comes from.
#[derive(Debug)]
pub(super) enum Ids {
    /// From the server.
    Server,
    /// From where the record was read.
    Origin,
    /// From a text that the record has, else from where it was read.
    Text(TextValue),
}

/// Memory that is used again for each record.
#[derive(Default)]
struct Scratch {
    fields: Vec<u8>,
    document: Vec<u8>,
    action: Vec<u8>,
    text: Vec<u8>,
    id: String,
}

impl Ids {
    pub(super) fn text(text: &str, constants: &Map<String, Json>) -> Result<Self, String> {
        TextValue::new("id", Some(text), &[], constants).map(Self::Text)
    }
}

impl Documents {
    /// `salt` is different for each run.
    ///
    /// # Errors
    /// Where `routing` is no valid Jinja.
    pub(super) fn new(
        action: Action,
        target: &PathTemplate,
        ids: Ids,
        routing: Option<&str>,
        (salt, constants): (&str, &Map<String, Json>),
    ) -> Result<Self, String> {
        let routing = routing.map(|text| TextValue::new("routing", Some(text), &[], constants));
        Ok(Self {
            action: match action {
                Action::Create => "create",
                Action::Index => "index",
            },
            indices: Indices::new(target),
            ids,
            identity: Identity::new(salt),
            routing: routing.transpose()?,
            encoder: Encoder::new(&Encoding::Ndjson, Extra::Nothing),
            scratch: Scratch::default(),
        })
    }

    /// Makes the document's line.
    fn document(&mut self, record: &RecordRef<'_>, keys: [Option<KeyId>; 3]) {
        let Scratch { fields, document, text, .. } = &mut self.scratch;
        fields.clear();
        self.encoder.encode_record(record, fields);
        document.clear();
        document.push(b'{');
        let origin = &record.batch().origin;
        for (name, key) in EXTRA.into_iter().zip(keys) {
            if key.is_some_and(|key| record.get_key(key).is_some()) {
                continue;
            }
            let value = match name {
                "@timestamp" => {
                    text.clear();
                    write_rfc3339(text, record.time_ns());
                    text.as_slice()
                }
                "host" => origin.host.as_bytes(),
                _ => match &origin.path {
                    Some(path) => path.as_bytes(),
                    None => continue,
                },
            };
            if document.len() > 1 {
                document.push(b',');
            }
            json::string(name.as_bytes(), document);
            document.push(b':');
            json::string(value, document);
        }
        let has_fields = record.is_unparsed() || !record.stored_fields().is_empty();
        if has_fields && document.len() > 1 {
            document.push(b',');
        }
        // All that follows the brace that the fields begin with.
        document.extend_from_slice(fields.get(1..).unwrap_or_default());
    }

    /// Makes the line that says what is to be done with the document.
    fn action(&mut self, record: &RecordRef<'_>, at: usize) {
        let Scratch { fields, action, text, id, .. } = &mut self.scratch;
        action.clear();
        action.extend_from_slice(b"{\"");
        action.extend_from_slice(self.action.as_bytes());
        action.extend_from_slice(b"\":{\"_index\":");
        action.extend_from_slice(self.indices.of(record));
        text.clear();
        let is_given = match &self.ids {
            Ids::Text(value) => value.write(record, at, text) && text.len() <= LONGEST_ID_BYTES,
            Ids::Server | Ids::Origin => false,
        };
        if is_given {
            action.extend_from_slice(b",\"_id\":");
            json::string(text, action);
        } else if !matches!(self.ids, Ids::Server) {
            id.clear();
            self.identity.write(record, fields, id);
            action.extend_from_slice(b",\"_id\":\"");
            action.extend_from_slice(id.as_bytes());
            action.push(b'"');
        }
        text.clear();
        if let Some(routing) = &self.routing
            && routing.write(record, at, text)
        {
            action.extend_from_slice(b",\"routing\":");
            json::string(text, action);
        }
        action.extend_from_slice(b"}}\n");
    }

    fn prepare(&mut self, logs: &LogBatch) {
        if let Ids::Text(value) = &mut self.ids {
            value.prepare(logs);
        }
        if let Some(routing) = &mut self.routing {
            routing.prepare(logs);
        }
    }
}

impl Encode for Documents {
    fn encode(&mut self, batch: &Batch, requests: &mut Requests) -> Result<(), Fault> {
        let Batch::Logs(logs) = batch else {
            return Err(Fault::fatal("only log records become documents"));
        };
        self.prepare(logs);
        let keys = EXTRA.map(|name| logs.keys().find(name));
        let request = requests.to("");
        for (at, record) in logs.records().enumerate() {
            self.document(&record, keys);
            self.action(&record, at);
            let Scratch { action, document, .. } = &self.scratch;
            request.append_record(&record, |body| {
                body.extend_from_slice(action);
                let start = body.len();
                body.extend_from_slice(document);
                start
            });
        }
        Ok(())
    }
}

/// Names of indices, as the server takes them.
struct Indices {
    renderer: PathRenderer,
    /// What the template last said, and the name that was made of it, as JSON.
    last: Option<(String, Vec<u8>)>,
}

impl Indices {
    fn new(template: &PathTemplate) -> Self {
        Self { renderer: template.renderer(), last: None }
    }

    /// The name for a record, as JSON.
    fn of(&mut self, record: &RecordRef<'_>) -> &[u8] {
        let said = self.renderer.render(record);
        let last = self.last.take().filter(|(known, _)| known == said);
        let last = last.unwrap_or_else(|| {
            let mut name = Vec::new();
            json::string(index_name(said).as_bytes(), &mut name);
            (said.to_owned(), name)
        });
        &self.last.insert(last).1
    }
}

/// A text as the name of an index: small letters, and none of the characters that the server
/// refuses.
fn index_name(text: &str) -> String {
    let refused = |char: char| {
        char.is_control()
            || matches!(
                char,
                '\\' | '/' | '*' | '?' | '"' | '<' | '>' | '|' | ' ' | ',' | '#' | ':'
            )
    };
    let text = text.trim_start_matches(['-', '_', '+']);
    let mut name = String::with_capacity(text.len());
    for char in text.chars().flat_map(char::to_lowercase) {
        let char = if refused(char) { '_' } else { char };
        if name.len() + char.len_utf8() > LONGEST_INDEX_BYTES {
            break;
        }
        name.push(char);
    }
    if name.trim_start_matches(['-', '_', '+', '.']).is_empty() {
        return "driftless".to_owned();
    }
    name.trim_start_matches(['-', '_', '+']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::index_name;

    #[test]
    fn any_text_makes_a_name_that_a_server_takes() {
        for (text, name) in [
            ("app-2026.03.01", "app-2026.03.01"),
            ("App Server/1", "app_server_1"),
            ("_hidden", "hidden"),
            ("/x", "x"),
            ("_", "driftless"),
            ("..", "driftless"),
            (".ds-own", ".ds-own"),
            ("a:b*?\"<>|,#c", "a_b________c"),
        ] {
            assert_eq!(index_name(text), name, "{text}");
        }
        assert!(index_name(&"é".repeat(500)).len() <= 255);
    }
}
