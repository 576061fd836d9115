//! Cutting a chunk into lines.

use super::Record;

/// The spans of the lines in `chunk`, without their line feeds.
pub(super) fn lines(chunk: &[u8]) -> Vec<Record> {
    // Typical lines are 100 to 400 bytes; a wrong guess costs one more allocation per chunk.
    let mut records = Vec::with_capacity(chunk.len() / 96 + 1);
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
