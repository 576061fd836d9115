//! Records that the agent writes itself, as JSON objects.

use super::{LogBatch, Origin, Verdict};
use bytes::Bytes;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;

impl LogBatch {
    /// As [`Self::from_lines`], where each line is an object whose entries are the record's fields;
    /// `times_ns` has the time of each. No name of a field may have a character that JSON escapes.
    pub fn from_objects(
        chunk: &Bytes,
        (origin, offset, read_at_ns): (Arc<Origin>, u64, i64),
        times_ns: impl IntoIterator<Item = i64>,
    ) -> Self {
        let mut logs = Self::from_lines(chunk, origin, offset, read_at_ns);
        let mut times_ns = times_ns.into_iter();
        logs.rewrite(|record, writer| {
            let fields: Result<BTreeMap<&str, &RawValue>, _> = serde_json::from_slice(record.raw());
            writer.set_time_ns(times_ns.next().unwrap_or(read_at_ns));
            let Ok(fields) = fields else { return Verdict::Keep };
            for (name, value) in fields {
                writer.push(name, record.json_at(value.get().as_bytes()));
            }
            Verdict::ParsedJson
        });
        logs
    }
}
