//! Batches as bytes: what a sink writes or sends.
//!
//! What no transform touched is copied, in one piece where records follow each other; only what
//! is new is put together from fields.

pub mod compress;
mod csv;
pub(crate) mod json;
mod logfmt;
mod metrics;
#[cfg(test)]
mod tests;

use crate::event::Batch;
use crate::event::log::{FieldRef, KeyId, Keys, LogBatch, RecordRef};
use crate::event::metric::MetricBatch;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;

/// How records are written.
///
/// ```yaml
/// encoding: ndjson
/// encoding: {csv: {fields: [timestamp, status, path], header: true}}
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// The line as it was read, byte for byte, as long as no transform changed the record; a
    /// changed record is one line of JSON, or its `message` where that is all it has. Metrics are
    /// written in Prometheus's text format, which says nothing of when they were taken.
    #[default]
    Text,
    /// One JSON object a line.
    Ndjson,
    /// One JSON array of objects.
    Json,
    /// `key=value` pairs, one record a line.
    Logfmt,
    /// Chosen fields, separated by commas (RFC 4180, but with bare line feeds).
    Csv(Csv),
}

/// Settings of the CSV encoding.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Csv {
    /// The columns, in order. `timestamp`, `host`, `path` and `source` are known even where the
    /// record has no such field.
    pub fields: Vec<String>,
    /// Whether each file or request begins with the names of the columns.
    #[serde(default)]
    pub header: bool,
}

/// What is added to a record that does not have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// Nothing.
    Nothing,
    /// `timestamp` (RFC 3339, UTC), `host` and, where known, `path`, before all other fields.
    Origin,
}

/// Names that [`Extra::Origin`] adds.
const EXTRA: [&str; 3] = ["timestamp", "host", "path"];

/// Appends batches to a buffer.
///
/// A body is whatever stands between [`Self::begin`] and [`Self::end`]. The encoder keeps no
/// state of a body, so that one encoder can fill many at the same time.
#[derive(Clone, Debug)]
pub struct Encoder {
    encoding: Encoding,
    extra: Extra,
    scratch: Scratch,
}

/// Memory that is used again for every record.
#[derive(Clone, Debug, Default)]
struct Scratch {
    /// By key: the position of its last field in the record at hand.
    last: Vec<u32>,
    text: Vec<u8>,
}

impl Scratch {
    /// Notes which field is the last one of its name. Names that are not in the record keep an
    /// old position, which nobody asks for.
    fn note_last(&mut self, record: &RecordRef<'_>) {
        self.last.resize(record.batch().keys().len().max(self.last.len()), 0);
        for (field, at) in record.stored_fields().iter().zip(0..) {
            if let Some(last) = self.last.get_mut(field.key.index()) {
                *last = at;
            }
        }
    }

    fn is_last(&self, key: KeyId, at: u32) -> bool {
        self.last.get(key.index()).is_none_or(|last| *last == at)
    }
}

/// The numbers that a batch has given to the names of [`EXTRA`].
#[derive(Clone, Copy, Debug, Default)]
struct ExtraKeys([Option<KeyId>; 3]);

impl ExtraKeys {
    fn of(keys: &Keys) -> Self {
        Self(EXTRA.map(|name| keys.find(name)))
    }
}

impl Encoder {
    /// An encoder.
    pub fn new(encoding: &Encoding, extra: Extra) -> Self {
        Self { encoding: encoding.clone(), extra, scratch: Scratch::default() }
    }

    /// Begins a body.
    pub fn begin(&self, out: &mut Vec<u8>) {
        match &self.encoding {
            Encoding::Json => out.push(b'['),
            Encoding::Csv(csv) if csv.header => csv::header(csv, out),
            _ => {}
        }
    }

    /// Ends a body.
    pub fn end(&self, out: &mut Vec<u8>) {
        if self.encoding == Encoding::Json {
            out.extend_from_slice(b"]\n");
        }
    }

    /// Appends all live records of a batch.
    pub fn encode(&mut self, batch: &LogBatch, out: &mut Vec<u8>) {
        if self.encoding == Encoding::Text && batch.is_uncut() {
            out.extend_from_slice(batch.chunk());
            if batch.chunk().last().is_some_and(|byte| *byte != b'\n') {
                out.push(b'\n');
            }
            return;
        }
        let keys = ExtraKeys::of(batch.keys());
        match self.encoding {
            Encoding::Text => self.copy_or_encode(batch, keys, out),
            _ => {
                for record in batch.records() {
                    self.one(&record, keys, out);
                }
            }
        }
    }

    /// The bytes that were read, where the batch in this encoding is nothing else.
    pub fn as_read<'b>(&self, batch: &'b LogBatch) -> Option<&'b Bytes> {
        let chunk = batch.chunk();
        let same = self.encoding == Encoding::Text && batch.is_uncut() && chunk.ends_with(b"\n");
        same.then_some(chunk)
    }

    /// Appends a batch of records or metrics to a body, which is begun if nothing is in it yet.
    ///
    /// # Errors
    /// For a task set, which has no form on the way to another place.
    pub fn append(&mut self, batch: &Batch, body: &mut Vec<u8>) -> Result<(), &'static str> {
        if body.is_empty() {
            self.begin(body);
        }
        match batch {
            Batch::Logs(logs) => self.encode(logs, body),
            Batch::Metrics(metrics) => self.encode_metrics(metrics, body),
            Batch::Tasks(_) => return Err("tasks cannot be written as records"),
        }
        Ok(())
    }

    /// Appends one record, for sinks that send the records of a batch to different places.
    pub fn encode_record(&mut self, record: &RecordRef<'_>, out: &mut Vec<u8>) {
        if self.encoding == Encoding::Text && record.is_untouched() {
            out.extend_from_slice(record.raw());
            out.push(b'\n');
        } else {
            self.one(record, ExtraKeys::of(record.batch().keys()), out);
        }
    }

    /// Appends a batch of metrics; but for [`Encoding::Text`] each sample is a record of its own.
    pub fn encode_metrics(&mut self, batch: &MetricBatch, out: &mut Vec<u8>) {
        let how = (&self.encoding, self.extra);
        metrics::encode(how, batch, &mut self.scratch.text, out);
    }

    /// Runs of untouched records stand in the chunk as they are to be written: they are found
    /// by their places alone, and copied at once.
    fn copy_or_encode(&mut self, batch: &LogBatch, keys: ExtraKeys, out: &mut Vec<u8>) {
        let chunk: &[u8] = batch.chunk();
        let (mut from, mut to) = (0, 0);
        for record in batch.records() {
            let (start, end) = record.span();
            let (start, end) = (start as usize, end as usize);
            if record.is_untouched() && chunk.get(end) == Some(&b'\n') {
                if start != to {
                    out.extend_from_slice(&chunk[from..to]);
                    from = start;
                }
                to = end + 1;
                continue;
            }
            out.extend_from_slice(&chunk[from..to]);
            (from, to) = (end, end);
            if record.is_untouched() {
                out.extend_from_slice(record.raw());
                out.push(b'\n');
            } else {
                self.one(&record, keys, out);
            }
        }
        out.extend_from_slice(&chunk[from..to]);
    }

    fn one(&mut self, record: &RecordRef<'_>, keys: ExtraKeys, out: &mut Vec<u8>) {
        if self.encoding == Encoding::Text
            && let Some(line) = bare_message(record)
        {
            out.extend_from_slice(line);
            out.push(b'\n');
            return;
        }
        match &self.encoding {
            Encoding::Text | Encoding::Ndjson => {
                json::object(record, self.extra, keys, &mut self.scratch, out);
                out.push(b'\n');
            }
            Encoding::Json => {
                separate(out);
                json::object(record, self.extra, keys, &mut self.scratch, out);
            }
            Encoding::Logfmt => {
                logfmt::line(record, self.extra, keys, &mut self.scratch, out);
            }
            Encoding::Csv(csv) => csv::line(csv, record, &mut self.scratch.text, out),
        }
    }
}

/// The text of a record that is still one line of text and nothing else, although a transform has
/// changed what it says.
fn bare_message<'a>(record: &RecordRef<'a>) -> Option<&'a [u8]> {
    let mut fields = record.fields();
    match (fields.next()?, fields.next()) {
        (("message", FieldRef::Text(text)), None) if memchr::memchr(b'\n', text).is_none() => {
            Some(text)
        }
        _ => None,
    }
}

/// The comma between the items of an array; an item never ends with a bracket that opens.
fn separate(out: &mut Vec<u8>) {
    if !matches!(out.last(), Some(b'[') | None) {
        out.push(b',');
    }
}

/// Calls `add` with name and text of what [`Extra::Origin`] adds to this record.
fn each_extra(
    record: &RecordRef<'_>,
    keys: ExtraKeys,
    scratch: &mut Vec<u8>,
    mut add: impl FnMut(&'static str, &[u8]),
) {
    let has = |key: Option<KeyId>| {
        key.is_some_and(|key| record.stored_fields().iter().any(|field| field.key == key))
    };
    for (name, key) in EXTRA.into_iter().zip(keys.0) {
        if !has(key)
            && let Some(text) = extra(record, name, scratch)
        {
            add(name, text);
        }
    }
}

/// What is known of a record beside its fields.
fn extra<'a>(record: &RecordRef<'a>, name: &str, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    let origin = &record.batch().origin;
    match name {
        "timestamp" => {
            scratch.clear();
            crate::event::time::write_rfc3339(scratch, record.time_ns());
            Some(scratch)
        }
        "host" => Some(origin.host.as_bytes()),
        "source" => Some(origin.source.as_bytes()),
        "path" => origin.path.as_ref().map(|path| path.as_bytes()),
        _ => None,
    }
}

/// Calls `valid` with the parts of `text` that are UTF-8, and with U+FFFD for what lies between.
fn utf8(text: &[u8], mut valid: impl FnMut(&str)) {
    for part in text.utf8_chunks() {
        valid(part.valid());
        if !part.invalid().is_empty() {
            valid("\u{fffd}");
        }
    }
}
