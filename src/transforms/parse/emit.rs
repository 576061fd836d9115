//! Where parsers put what they find.

use super::combined::unescape;
use super::regex::FieldType;
use crate::event::log::{FieldWriter, RecordRef, Value};

/// The fields of one record as they are found.
pub(super) struct Emit<'e, 'b, 't> {
    record: &'e RecordRef<'b>,
    writer: &'e mut FieldWriter<'t>,
    scratch: &'e mut Vec<u8>,
    from: From,
}

/// Where the text that is parsed lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// In the chunk: a field can be a span.
    Chunk,
    /// Somewhere else: a field must be a copy.
    Elsewhere,
}

impl<'e, 'b, 't> Emit<'e, 'b, 't> {
    pub(super) fn new(
        record: &'e RecordRef<'b>,
        writer: &'e mut FieldWriter<'t>,
        scratch: &'e mut Vec<u8>,
        from: From,
    ) -> Self {
        Self { record, writer, scratch, from }
    }

    /// The record's own time.
    pub(super) fn time(&mut self, time_ns: i64) {
        self.writer.set_time_ns(time_ns);
    }

    pub(super) fn value(&mut self, name: &str, value: Value) {
        self.writer.push(name, value);
    }

    pub(super) fn text(&mut self, name: &str, text: &[u8]) {
        match self.from {
            From::Chunk => self.writer.push(name, self.record.text_at(text)),
            From::Elsewhere => self.writer.push_text(name, text),
        }
    }

    /// A valid JSON value.
    pub(super) fn json(&mut self, name: &str, json: &[u8]) {
        match self.from {
            From::Chunk => self.writer.push(name, self.record.json_at(json)),
            From::Elsewhere => self.writer.push_json(name, json),
        }
    }

    /// Text, where `-` stands for nothing.
    pub(super) fn text_or_null(&mut self, name: &str, text: &[u8]) {
        if text == b"-" {
            self.value(name, Value::Null);
        } else {
            self.text(name, text);
        }
    }

    /// Text as a web server writes it between quotes.
    pub(super) fn quoted(&mut self, name: &str, text: &[u8]) {
        if memchr::memchr(b'\\', text).is_none() {
            return self.text_or_null(name, text);
        }
        self.scratch.clear();
        unescape(text, self.scratch);
        self.writer.push_text(name, self.scratch);
    }

    /// A whole number, where `-` stands for nothing; anything else stays text.
    pub(super) fn number(&mut self, name: &str, text: &[u8]) {
        if is_json_whole(text) {
            self.json(name, text);
        } else {
            self.text_or_null(name, text);
        }
    }

    /// Text that stands for a value of some type; where it does not, it stays text.
    pub(super) fn typed(&mut self, name: &str, text: &[u8], kind: FieldType) {
        let word = std::str::from_utf8(text).unwrap_or_default();
        let value = match kind {
            FieldType::Text => None,
            FieldType::Int => word.parse().ok().map(Value::Int),
            FieldType::Float => word.parse().ok().filter(|n: &f64| n.is_finite()).map(Value::Float),
            FieldType::Bool => word.parse().ok().map(Value::Bool),
        };
        match value {
            Some(value) => self.value(name, value),
            None => self.text(name, text),
        }
    }
}

/// Digits without a zero before them, few enough for 64 bits.
fn is_json_whole(text: &[u8]) -> bool {
    match text {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.len() < 18 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}
