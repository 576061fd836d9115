//! Cutting a chunk into lines.

use super::Record;

/// The spans of the `count` lines in `chunk`, without their line feeds.
pub(super) fn lines(chunk: &[u8], count: usize) -> Vec<Record> {
    let mut records = Vec::with_capacity(count);
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', chunk) {
        records.push(Record::at(start, end));
        start = end + 1;
    }
    if start < chunk.len() {
        records.push(Record::at(start, chunk.len()));
    }
    records
}
