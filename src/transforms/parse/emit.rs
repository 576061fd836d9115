//! Where parsers put what they find.

use super::layout::Layout;
use super::options::FieldType;
use super::text::{is_json_number, is_whole, unescape};
use super::zone::Clock;
use crate::event::encode::json;
use crate::event::log::{Field, FieldWriter, RecordRef, Value};
use crate::event::moment::Moment;
use crate::event::time::write_rfc3339;
use std::collections::HashMap;

/// The fields of one record as they are found.
pub(super) struct Emit<'e, 'b, 't> {
    record: &'e RecordRef<'b>,
    writer: &'e mut FieldWriter<'t>,
    tools: &'e mut Tools,
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

/// What all records share: settings, and memory that is used again for each.
pub(super) struct Tools {
    name: Name,
    clock: Clock,
    types: HashMap<String, FieldType>,
    scratch: Vec<u8>,
}

/// Puts the prefix before names, in a buffer that is used again.
struct Name {
    prefix_bytes: usize,
    buffer: String,
}

impl Name {
    #[inline]
    fn full<'n>(&'n mut self, name: &'n str) -> &'n str {
        if self.prefix_bytes == 0 {
            return name;
        }
        self.buffer.truncate(self.prefix_bytes);
        self.buffer.push_str(name);
        &self.buffer
    }
}

impl Tools {
    pub(super) fn new(prefix: &str, clock: Clock, types: HashMap<String, FieldType>) -> Self {
        let name = Name { prefix_bytes: prefix.len(), buffer: prefix.to_owned() };
        Self { name, clock, types, scratch: Vec::new() }
    }

    /// Whether fields have the names that the format gives them.
    pub(super) fn is_plain(&self) -> bool {
        self.name.prefix_bytes == 0
    }

    /// A moment as nanoseconds since the epoch.
    pub(super) fn time_ns(&mut self, moment: Moment) -> i64 {
        self.clock.time_ns(moment)
    }
}

impl<'e, 'b, 't> Emit<'e, 'b, 't> {
    pub(super) fn new(
        record: &'e RecordRef<'b>,
        writer: &'e mut FieldWriter<'t>,
        tools: &'e mut Tools,
        from: From,
    ) -> Self {
        Self { record, writer, tools, from }
    }

    /// When the record was read.
    pub(super) fn read_at_ns(&self) -> i64 {
        self.record.batch().read_at_ns
    }

    /// The file that the record comes from.
    pub(super) fn path(&self) -> &str {
        self.record.batch().origin.path.as_deref().unwrap_or_default()
    }

    /// The record's own time.
    pub(super) fn time(&mut self, time_ns: i64) {
        self.writer.set_time_ns(time_ns);
    }

    /// The record's own time, which the text tells; also the field `timestamp`, in RFC 3339.
    pub(super) fn moment(&mut self, moment: Moment) {
        let time_ns = self.tools.time_ns(moment);
        self.time(time_ns);
        self.tools.scratch.clear();
        write_rfc3339(&mut self.tools.scratch, time_ns);
        let name = self.tools.name.full("timestamp");
        self.writer.push_text(name, &self.tools.scratch);
    }

    /// As [`Self::moment`], where the text may be RFC 3339 already.
    pub(super) fn rfc3339(&mut self, text: &[u8], moment: Moment) {
        match moment {
            Moment::Utc(time_ns) => {
                self.time(time_ns);
                self.text("timestamp", text);
            }
            Moment::Local(_) => self.moment(moment),
        }
    }

    /// The record's own time, where its field has another name.
    pub(super) fn only_time(&mut self, moment: Moment) {
        let time_ns = self.tools.time_ns(moment);
        self.time(time_ns);
    }

    pub(super) fn value(&mut self, name: &str, value: Value) {
        self.writer.push(self.tools.name.full(name), value);
    }

    #[inline]
    pub(super) fn text(&mut self, name: &str, text: &[u8]) {
        let name = self.tools.name.full(name);
        match self.from {
            From::Chunk => self.writer.push(name, self.record.text_at(text)),
            From::Elsewhere => self.writer.push_text(name, text),
        }
    }

    /// Text that stands nowhere as it is.
    pub(super) fn made(&mut self, name: &str, make: impl FnOnce(&mut Vec<u8>)) {
        self.tools.scratch.clear();
        make(&mut self.tools.scratch);
        self.writer.push_text(self.tools.name.full(name), &self.tools.scratch);
    }

    /// As [`Self::json`], where `slot` of the layout stands for the name.
    #[inline]
    pub(super) fn json_like(&mut self, layout: &mut Layout, slot: usize, name: &str, json: &[u8]) {
        let key = layout.key(slot).unwrap_or_else(|| {
            let key = self.writer.key(self.tools.name.full(name));
            layout.set_key(slot, key);
            key
        });
        let value = match self.from {
            From::Chunk => self.record.json_at(json),
            From::Elsewhere => self.writer.make_json(json),
        };
        self.writer.push_field(Field { key, value });
    }

    /// A valid JSON value.
    #[inline]
    pub(super) fn json(&mut self, name: &str, json: &[u8]) {
        let name = self.tools.name.full(name);
        match self.from {
            From::Chunk => self.writer.push(name, self.record.json_at(json)),
            From::Elsewhere => self.writer.push_json(name, json),
        }
    }

    /// An object that is made from parts of the text.
    pub(super) fn object(
        &mut self,
        name: &str,
        fill: impl FnOnce(&mut Entries<'_>) -> Result<(), &'static str>,
    ) -> Result<(), &'static str> {
        self.tools.scratch.clear();
        self.tools.scratch.push(b'{');
        fill(&mut Entries { out: &mut self.tools.scratch })?;
        self.tools.scratch.push(b'}');
        self.writer.push_json(self.tools.name.full(name), &self.tools.scratch);
        Ok(())
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
        self.made(name, |out| unescape(text, out));
    }

    /// A number, where `-` stands for nothing; anything else stays text.
    pub(super) fn number(&mut self, name: &str, text: &[u8]) {
        if is_json_number(text) {
            self.json(name, text);
        } else if is_whole(text) {
            // Zeros before the digits, which JSON has no place for.
            let digits = text.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
            self.value(name, Value::Int(digits));
        } else {
            self.text_or_null(name, text);
        }
    }

    /// A value of which only the text is known: what `types` says, else a number where it is one
    /// as JSON writes it, else text.
    pub(super) fn bare(&mut self, name: &str, text: &[u8]) {
        match self.tools.types.get(name).copied() {
            Some(kind) => self.typed(name, text, kind),
            None if is_json_number(text) => self.json(name, text),
            None => self.text(name, text),
        }
    }

    /// Text of a value that stood in quotes, escapes undone: what `types` says, else text.
    pub(super) fn in_quotes(&mut self, name: &str, text: &[u8]) {
        match self.tools.types.get(name).copied() {
            Some(kind) => self.typed(name, text, kind),
            None if memchr::memchr(b'\\', text).is_none() => self.text(name, text),
            None => self.made(name, |out| unescape(text, out)),
        }
    }

    /// Text that is one even where it looks like a number, unless `types` says otherwise.
    pub(super) fn plain(&mut self, name: &str, text: &[u8]) {
        let kind = self.tools.types.get(name).copied().unwrap_or_default();
        self.typed(name, text, kind);
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

/// The entries of an object that is being made.
pub(super) struct Entries<'o> {
    out: &'o mut Vec<u8>,
}

impl Entries<'_> {
    fn name(&mut self, name: &[u8]) {
        if self.out.last() != Some(&b'{') {
            self.out.push(b',');
        }
        json::string(name, self.out);
        self.out.push(b':');
    }

    pub(super) fn text(&mut self, name: &[u8], text: &[u8]) {
        self.name(name);
        json::string(text, self.out);
    }

    /// Text with escapes, which `undo` takes away.
    pub(super) fn unescaped(
        &mut self,
        name: &[u8],
        text: &[u8],
        undo: impl FnOnce(&[u8], &mut Vec<u8>),
    ) {
        if memchr::memchr(b'\\', text).is_none() {
            return self.text(name, text);
        }
        let mut plain = Vec::new();
        undo(text, &mut plain);
        self.text(name, &plain);
    }

    pub(super) fn null(&mut self, name: &[u8]) {
        self.name(name);
        self.out.extend_from_slice(b"null");
    }

    /// A number where it is one as JSON writes it, else text.
    pub(super) fn bare(&mut self, name: &[u8], text: &[u8]) {
        if is_json_number(text) {
            self.name(name);
            self.out.extend_from_slice(text);
        } else {
            self.text(name, text);
        }
    }
}
