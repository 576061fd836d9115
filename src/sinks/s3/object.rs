//! Names of objects: made of where their records were read, so that the same records make the same
//! name.

use crate::event::hex::hex;
use crate::event::log::{Origin, RecordRef};
use crc32fast::Hasher;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// How much of the hash goes into a name, in bytes.
const NAME_BYTES: usize = 12;

/// What is known of an object's records, file by file.
#[derive(Debug, Default)]
pub(super) struct Identity {
    files: Vec<(Arc<Origin>, Range)>,
    /// The file of the last record.
    last: usize,
}

/// The records of one file.
#[derive(Clone, Debug)]
struct Range {
    first: u64,
    last: u64,
    records: u64,
    /// Of the lines, since a file that was truncated has the same offsets again.
    lines: Hasher,
}

impl Identity {
    /// Adds records of one origin.
    pub(super) fn add<'b>(
        &mut self,
        origin: &Arc<Origin>,
        records: impl Iterator<Item = RecordRef<'b>>,
    ) {
        for record in records {
            let offset = record.offset();
            let is_last =
                self.files.get(self.last).is_some_and(|(known, _)| Arc::ptr_eq(known, origin));
            if !is_last {
                // Whoever reads a file may tell of it anew with every batch.
                let known = self.files.iter().position(|(known, _)| known == origin);
                self.last = known.unwrap_or_else(|| {
                    let lines = Hasher::new();
                    let range = Range { first: offset, last: offset, records: 0, lines };
                    self.files.push((Arc::clone(origin), range));
                    self.files.len() - 1
                });
                self.files[self.last].0 = Arc::clone(origin);
            }
            let range = &mut self.files[self.last].1;
            range.last = offset;
            range.records += 1;
            range.lines.update(record.raw());
            range.lines.update(b"\n");
        }
    }

    /// The name; `salt` is different for each object of each run, and counts where records have no
    /// place that tells them apart.
    pub(super) fn name(&self, salt: &str) -> String {
        // In which order files were read does not matter.
        let mut files: Vec<_> = self
            .files
            .iter()
            .map(|(origin, range)| {
                let Origin { host, source, path, .. } = &**origin;
                ((host.clone(), source.clone(), path.clone()), range)
            })
            .collect();
        files.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut hash = Sha256::new();
        if files.is_empty() {
            hash.update(salt);
        }
        for ((host, source, path), range) in files {
            if path.is_none() {
                hash.update(salt);
            }
            for text in [&*host, &*source, path.as_deref().unwrap_or_default()] {
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text);
            }
            for number in [range.first, range.last, range.records] {
                hash.update(number.to_le_bytes());
            }
            hash.update(range.lines.clone().finalize().to_le_bytes());
        }
        hex(&hash.finalize()[..NAME_BYTES])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::log::LogBatch;
    use bytes::Bytes;

    fn batch(path: Option<&str>, offset: u64, lines: &str) -> LogBatch {
        let origin = Origin {
            source: "app".into(),
            host: "h".into(),
            path: path.map(Into::into),
            ..Origin::default()
        };
        LogBatch::from_lines(&Bytes::from(lines.to_owned()), Arc::new(origin), offset, 0)
    }

    fn name(batches: &[LogBatch], salt: &str) -> String {
        let mut identity = Identity::default();
        for batch in batches {
            identity.add(&batch.origin, batch.records());
        }
        identity.name(salt)
    }

    #[test]
    fn the_same_records_make_the_same_name_however_they_were_read() {
        let (a, b) = (Some("/a"), Some("/b"));
        let whole = name(&[batch(a, 0, "1\n2\n"), batch(b, 7, "x\n")], "first");
        let pieces = [batch(b, 7, "x\n"), batch(a, 0, "1\n"), batch(a, 2, "2\n")];
        assert_eq!(whole, name(&pieces, "second"));
        for other in [
            [batch(a, 0, "1\n2\n"), batch(b, 8, "x\n")],
            [batch(a, 0, "1\n3\n"), batch(b, 7, "x\n")],
            [batch(a, 0, "1\n2\n"), batch(a, 7, "x\n")],
        ] {
            assert_ne!(whole, name(&other, "first"));
        }
    }

    #[test]
    fn records_without_a_place_never_share_a_name() {
        let lines = [batch(None, 0, "1\n")];
        assert_ne!(name(&lines, "first"), name(&lines, "second"));
    }
}
