//! Records that outlive their batch: what a transform that remembers holds, and emits later.

use super::{FieldRef, LogBatch, Origin, RecordRef, Verdict};
use bytes::Bytes;
use std::sync::Arc;

/// A value of its own: nothing in it points into a chunk.
#[derive(Clone, Debug, PartialEq)]
pub enum Kept {
    /// JSON's null.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text; nothing says that it is UTF-8.
    Text(Vec<u8>),
    /// A valid JSON value.
    Json(Vec<u8>),
}

impl Kept {
    /// A copy of a field's value.
    pub fn of(value: FieldRef<'_>) -> Self {
        match value {
            FieldRef::Null => Self::Null,
            FieldRef::Bool(value) => Self::Bool(value),
            FieldRef::Int(value) => Self::Int(value),
            FieldRef::Float(value) => Self::Float(value),
            FieldRef::Text(text) => Self::Text(text.to_vec()),
            FieldRef::Json(json) => Self::Json(json.to_vec()),
        }
    }

    /// As a field's value.
    pub fn as_ref(&self) -> FieldRef<'_> {
        match self {
            Self::Null => FieldRef::Null,
            Self::Bool(value) => FieldRef::Bool(*value),
            Self::Int(value) => FieldRef::Int(*value),
            Self::Float(value) => FieldRef::Float(*value),
            Self::Text(text) => FieldRef::Text(text),
            Self::Json(json) => FieldRef::Json(json),
        }
    }

    /// Bytes that it takes beside itself.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(bytes) | Self::Json(bytes) => bytes.len(),
            _ => 0,
        }
    }
}

/// A record of its own.
#[derive(Clone, Debug)]
pub struct KeptRecord {
    /// Where it comes from.
    pub origin: Arc<Origin>,
    /// Where its line begins in its file.
    pub offset: u64,
    /// Its time: nanoseconds since the epoch.
    pub time_ns: i64,
    /// Names and values, in order.
    pub fields: Vec<(Box<str>, Kept)>,
}

impl KeptRecord {
    /// A copy of a record; the line is the field `message` where nothing was parsed.
    pub fn of(record: &RecordRef<'_>) -> Self {
        Self {
            fields: record.fields().map(|(name, value)| (name.into(), Kept::of(value))).collect(),
            ..Self::empty(record)
        }
    }

    /// A record of the same place and time, without fields.
    pub fn empty(record: &RecordRef<'_>) -> Self {
        Self {
            origin: Arc::clone(&record.batch().origin),
            offset: record.offset(),
            time_ns: record.time_ns(),
            fields: Vec::new(),
        }
    }

    /// Gives a field a value, in place of the one that it has.
    pub fn set(&mut self, name: &str, value: Kept) {
        match self.fields.iter_mut().find(|(known, _)| **known == *name) {
            Some((_, old)) => *old = value,
            None => self.fields.push((name.into(), value)),
        }
    }

    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        let field = |(name, value): &(Box<str>, Kept)| {
            size_of::<(Box<str>, Kept)>() + name.len() + value.bytes()
        };
        size_of::<Self>() + self.fields.iter().map(field).sum::<usize>()
    }

    /// As a batch of this one record, so that it keeps its place in its file.
    pub fn into_batch(self) -> LogBatch {
        let line = Bytes::from_static(b"\n");
        let mut batch = LogBatch::from_lines(&line, self.origin, self.offset, self.time_ns);
        batch.rewrite(|_, writer| {
            writer.set_time_ns(self.time_ns);
            for (name, value) in &self.fields {
                writer.push_copy(name, value.as_ref());
            }
            Verdict::Touched
        });
        batch
    }
}

/// Fields that together say which records belong together.
#[derive(Clone, Debug, Default)]
pub struct GroupBy(Vec<String>);

impl GroupBy {
    /// By the values of these fields; `source` is the component that read the record, where the
    /// record has no such field. Without any, all records belong together.
    pub fn new(fields: &[String]) -> Self {
        Self(fields.to_vec())
    }

    /// Whether all records belong together.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends what is the same for records that belong together, and for no others. A missing
    /// field is something else than an empty one.
    pub fn write(&self, record: &RecordRef<'_>, out: &mut Vec<u8>) {
        for name in &self.0 {
            let start = out.len();
            out.extend_from_slice(&[0; 4]);
            match record.get(name) {
                Some(value) => value.write_display(out),
                None if name == "source" => {
                    out.extend_from_slice(record.batch().origin.source.as_bytes());
                }
                None => {
                    out[start..].copy_from_slice(&u32::MAX.to_le_bytes());
                    continue;
                }
            }
            let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX - 1);
            out[start..start + 4].copy_from_slice(&length.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::log::Value;

    #[test]
    fn a_kept_record_is_what_it_was_and_where_it_was() {
        let chunk = Bytes::from_static(b"one\ntwo\n");
        let mut batch = LogBatch::from_lines(&chunk, Arc::default(), 100, 7);
        batch.rewrite(|record, writer| {
            writer.push("text", record.text_at(record.raw()));
            writer.push("n", Value::Int(3));
            Verdict::Parsed
        });
        let mut kept = KeptRecord::of(&batch.records().nth(1).unwrap());
        drop(batch);
        kept.set("n", Kept::Float(0.5));
        kept.set("more", Kept::Json(b"[1]".to_vec()));
        let batch = kept.into_batch();
        let record = batch.records().next().unwrap();
        let fields: Vec<_> = record.fields().map(|(name, value)| (name, value.to_json())).collect();
        assert_eq!(fields[..2], [("text", "two".into()), ("n", 0.5.into())]);
        assert_eq!(fields[2].1, serde_json::json!([1]));
        assert_eq!((record.offset(), record.time_ns(), batch.len()), (104, 7, 1));
    }

    #[test]
    fn groups_are_told_apart_by_every_value_and_by_what_is_missing() {
        let key = |names: &[&str], values: &[(&str, &str)]| {
            let line = Bytes::from_static(b"x\n");
            let mut batch = LogBatch::from_lines(&line, Arc::default(), 0, 0);
            batch.rewrite(|_, writer| {
                values.iter().for_each(|(name, value)| writer.push_text(name, value.as_bytes()));
                Verdict::Touched
            });
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let mut out = Vec::new();
            GroupBy::new(&names).write(&batch.records().next().unwrap(), &mut out);
            out
        };
        let names = ["a", "b"];
        assert_eq!(key(&names, &[("a", "1"), ("b", "2")]), key(&names, &[("b", "2"), ("a", "1")]));
        assert_ne!(key(&names, &[("a", "12"), ("b", "")]), key(&names, &[("a", "1"), ("b", "2")]));
        assert_ne!(key(&names, &[("a", ""), ("b", "")]), key(&names, &[("a", "")]));
    }
}
