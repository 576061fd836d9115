//! Records as entries of streams. Until a request is sent, each stands by itself: its labels, its
//! metadata, its time, and its line.

use crate::event::Batch;
use crate::event::encode::{Encoder, json};
use crate::event::log::LogBatch;
use crate::expr::text_value::TextValue;
use crate::topology::component::{Encode, Fault};
use crate::topology::request::Requests;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// Loki takes no longer text as a label's.
const LONGEST_VALUE_BYTES: usize = 2048;
/// Streams whose last time is kept.
const MOST_STREAMS: usize = 4096;

/// Turns records into entries.
pub(super) struct Entries {
    labels: Vec<(String, TextValue)>,
    metadata: Vec<(String, TextValue)>,
    tenant: Option<TextValue>,
    encoder: Encoder,
    times: Times,
    scratch: Scratch,
}

/// Memory that is used again for each record.
#[derive(Default)]
struct Scratch {
    labels: Vec<u8>,
    metadata: Vec<u8>,
    value: Vec<u8>,
    tenant: Vec<u8>,
}

/// An entry as it stands in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'r> {
    /// A JSON object.
    pub(super) labels: &'r [u8],
    /// A JSON object, or nothing.
    pub(super) metadata: &'r [u8],
    pub(super) time_ns: i64,
    pub(super) line: &'r [u8],
}

impl Entries {
    pub(super) fn new(
        labels: Vec<(String, TextValue)>,
        metadata: Vec<(String, TextValue)>,
        tenant: Option<TextValue>,
        encoder: Encoder,
    ) -> Self {
        let (times, scratch) = (Times::default(), Scratch::default());
        Self { labels, metadata, tenant, encoder, times, scratch }
    }

    fn prepare(&mut self, logs: &LogBatch) {
        let named = self.labels.iter_mut().chain(&mut self.metadata).map(|(_, value)| value);
        named.chain(&mut self.tenant).for_each(|value| value.prepare(logs));
    }
}

impl Encode for Entries {
    fn encode(&mut self, batch: &Batch, requests: &mut Requests) -> Result<(), Fault> {
        let Batch::Logs(logs) = batch else {
            return Err(Fault::fatal("Loki takes log records only"));
        };
        self.prepare(logs);
        let Scratch { labels, metadata, value, tenant } = &mut self.scratch;
        for (at, record) in logs.records().enumerate() {
            let object =
                |values: &[(String, TextValue)], out: &mut Vec<u8>, scratch: &mut Vec<u8>| {
                    out.clear();
                    for (name, text) in values {
                        scratch.clear();
                        if text.write(&record, at, scratch) {
                            out.push(if out.is_empty() { b'{' } else { b',' });
                            json::string(name.as_bytes(), out);
                            out.push(b':');
                            json::string(cut(scratch), out);
                        }
                    }
                    if !out.is_empty() {
                        out.push(b'}');
                    }
                };
            object(&self.labels, labels, value);
            if labels.is_empty() {
                // No stream goes without a label.
                labels.extend_from_slice(b"{\"source\":");
                json::string(record.batch().origin.source.as_bytes(), labels);
                labels.push(b'}');
            }
            object(&self.metadata, metadata, value);
            tenant.clear();
            if let Some(text) = &self.tenant {
                text.write(&record, at, tenant);
            }
            let time_ns = self.times.apart(labels, record.time_ns());
            let request = requests.to(&String::from_utf8_lossy(tenant));
            request.append_record(&record, |body| {
                for part in [&labels, &metadata] {
                    let bytes = u32::try_from(part.len()).unwrap_or(u32::MAX);
                    body.extend_from_slice(&bytes.to_le_bytes());
                    body.extend_from_slice(part);
                }
                body.extend_from_slice(&time_ns.to_le_bytes());
                let start = body.len();
                self.encoder.encode_record(&record, body);
                if body.last() == Some(&b'\n') {
                    body.pop();
                }
                start
            });
        }
        Ok(())
    }
}

/// A text's beginning, as much of it as Loki takes, and no half of a character.
fn cut(text: &[u8]) -> &[u8] {
    if text.len() <= LONGEST_VALUE_BYTES {
        return text;
    }
    let is_inside = |at: &usize| text.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let end = (LONGEST_VALUE_BYTES - 3..=LONGEST_VALUE_BYTES).rev().find(|at| !is_inside(at));
    &text[..end.unwrap_or(LONGEST_VALUE_BYTES)]
}

impl<'r> Entry<'r> {
    /// Reads what was written; `None` where that was something else.
    pub(super) fn read(written: &'r [u8]) -> Option<Self> {
        let (labels, rest) = part(written)?;
        let (metadata, rest) = part(rest)?;
        let (time, line) = rest.split_first_chunk()?;
        Some(Self { labels, metadata, time_ns: i64::from_le_bytes(*time), line })
    }
}

/// A part that its length stands before, and the rest.
fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)
}

/// The last time in each stream: as it was, and as it was sent.
#[derive(Default)]
struct Times {
    last: HashMap<u64, (i64, i64)>,
    hasher: RandomState,
}

impl Times {
    /// A record's time, set apart from that of the record before it in the same stream.
    fn apart(&mut self, labels: &[u8], time_ns: i64) -> i64 {
        let stream = self.hasher.hash_one(labels);
        if self.last.len() >= MOST_STREAMS && !self.last.contains_key(&stream) {
            self.last.clear();
        }
        let last = self.last.entry(stream).or_insert((i64::MIN, i64::MIN));
        let sent = if last.0 == time_ns { last.1.saturating_add(1) } else { time_ns };
        *last = (time_ns, sent);
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn records_of_the_same_time_are_set_apart_within_their_stream() {
        let mut times = Times::default();
        let sent = [("a", 5), ("a", 5), ("b", 5), ("a", 5), ("a", 9), ("a", 5)]
            .map(|(stream, time)| times.apart(stream.as_bytes(), time));
        assert_eq!(sent, [5, 6, 5, 7, 9, 5]);
        for stream in 0..2 * MOST_STREAMS {
            times.apart(&stream.to_le_bytes(), 1);
        }
        assert!(times.last.len() <= MOST_STREAMS);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let long = "é".repeat(2000);
        assert!(std::str::from_utf8(cut(long.as_bytes())).is_ok());
        assert_eq!(cut(&[b'x'; 5000]).len(), LONGEST_VALUE_BYTES);
        assert_eq!(cut(&[0x80; 5000]).len(), LONGEST_VALUE_BYTES);
    }

    proptest! {
        #[test]
        fn reading_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            Entry::read(&bytes);
        }
    }
}
