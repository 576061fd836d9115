//! Buffers for answers, used again: the steady state allocates none.

use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};

/// How many are kept for the next scrape: one for the text, one for its compressed form.
const KEPT: usize = 2;

/// One that has grown larger is given back to the system.
const LARGEST_BYTES: usize = 4 << 20;

/// Empty buffers. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

/// A buffer that comes back once nobody holds it any more.
#[derive(Debug)]
pub(super) struct Lent {
    pub(super) bytes: Vec<u8>,
    home: Buffers,
}

impl Buffers {
    /// An empty buffer.
    pub(super) fn lend(&self) -> Lent {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        Lent { bytes, home: self.clone() }
    }
}

impl Lent {
    /// The content, without copying it.
    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let mut home = self.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if home.len() < KEPT && bytes.capacity() <= LARGEST_BYTES {
            home.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_was_sent_leaves_its_room_to_the_next_one() {
        let buffers = Buffers::default();
        let mut lent = buffers.lend();
        lent.bytes.extend_from_slice(b"text");
        let room = lent.bytes.capacity();
        let sent = lent.freeze();
        assert_eq!(&sent[..], b"text");
        assert_eq!(buffers.lend().bytes.capacity(), 0, "the answer is still on its way");
        drop(sent);
        let next = buffers.lend();
        assert!(next.bytes.is_empty());
        assert!(room > 0 && [0, room].contains(&next.bytes.capacity()));
    }
}
