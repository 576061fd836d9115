//! A document's `_id`, made of where its record was read, so that the same record has the same one
//! however often it is sent.

use crate::event::log::{Origin, RecordRef};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// How much of the hash of a file's name goes into an id, in bytes.
const FILE_BYTES: usize = 12;

/// Makes ids.
#[derive(Debug)]
pub(super) struct Identity {
    /// Different in each run, for records that have no place to be known by.
    salt: String,
    /// How many of these there were.
    count: u64,
    /// The origin of the last record, and the hash of it.
    last: Option<(Arc<Origin>, [u8; FILE_BYTES])>,
}

impl Identity {
    pub(super) fn new(salt: &str) -> Self {
        Self { salt: salt.to_owned(), count: 0, last: None }
    }

    /// Appends the id of a record. `fields` is what it says, without what only the time of its
    /// reading adds: one line may have become two records on different ways.
    ///
    /// Records of one file have ids that begin alike and rise, which servers store in less room and
    /// find more quickly.
    pub(super) fn write(&mut self, record: &RecordRef<'_>, fields: &[u8], out: &mut String) {
        let origin = &record.batch().origin;
        let known = self.last.as_ref().filter(|(known, _)| Arc::ptr_eq(known, origin));
        let file = match known {
            Some((_, file)) => *file,
            None => {
                let file = self.file(origin);
                self.last = Some((Arc::clone(origin), file));
                file
            }
        };
        let place = match origin.path {
            Some(_) => record.offset(),
            None => {
                self.count += 1;
                self.count
            }
        };
        let mut id = [0; FILE_BYTES + 12];
        id[..FILE_BYTES].copy_from_slice(&file);
        id[FILE_BYTES..FILE_BYTES + 8].copy_from_slice(&place.to_be_bytes());
        id[FILE_BYTES + 8..].copy_from_slice(&crc32fast::hash(fields).to_be_bytes());
        URL_SAFE_NO_PAD.encode_string(id, out);
    }

    fn file(&self, origin: &Origin) -> [u8; FILE_BYTES] {
        let Origin { host, source, path, content } = origin;
        // A file may be renamed between two readings, and its name be given to another.
        let content = content.to_string();
        let path = match path.as_deref() {
            Some(_) if origin.content != 0 => &content,
            Some(path) => path,
            None => &self.salt,
        };
        let mut hash = Sha256::new();
        for text in [&**host, &**source, path] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        let mut file = [0; FILE_BYTES];
        file.copy_from_slice(&hash.finalize()[..FILE_BYTES]);
        file
    }
}
