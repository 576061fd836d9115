//! Positions in a file, and how to tell that a file is still the one that was read.

use super::content::Content;
use flate2::Crc;
use rustix::fd::AsFd;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// How many bytes before a position are remembered by their checksum.
pub(super) const ANCHOR_BYTES: u64 = 256;

/// How many bytes at a file's beginning identify it, once it has them.
pub(super) const FINGERPRINT_BYTES: u64 = 1024;

/// A place in a file, with a checksum of the bytes before it (up to [`ANCHOR_BYTES`]): it no
/// longer fits where the file was truncated, even if it has grown beyond the place again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Bytes from the beginning.
    pub(super) offset: u64,
    /// CRC-32 of the bytes before.
    pub(super) anchor: u32,
}

/// The beginning of a file, which tells two files with the same inode number apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fingerprint {
    /// How many bytes it covers.
    pub(super) bytes: u64,
    /// CRC-32 of these.
    pub(super) sum: u32,
}

impl Position {
    /// How many bytes before it the anchor covers.
    pub(super) fn anchor_bytes(self) -> u64 {
        self.offset.min(ANCHOR_BYTES)
    }

    /// The position after bytes that were read; `before` is all that is at hand of them, at
    /// least the anchor's part.
    pub(super) fn after(offset: u64, before: &[u8]) -> Self {
        let wanted = usize::try_from(offset.min(ANCHOR_BYTES)).unwrap_or(0);
        let tail = &before[before.len().saturating_sub(wanted)..];
        Self { offset, anchor: checksum(tail) }
    }

    /// The position at `offset` of a file.
    pub(super) fn at(content: &mut Content, offset: u64) -> Result<Self, Errno> {
        let wanted = offset.min(ANCHOR_BYTES);
        let before = content.read_at(offset - wanted, wanted)?;
        Ok(Self { offset, anchor: checksum(&before) })
    }

    /// Whether the bytes before it are still what they were.
    pub(super) fn holds(self, content: &mut Content) -> bool {
        let wanted = self.anchor_bytes();
        content
            .read_at(self.offset - wanted, wanted)
            .is_ok_and(|before| before.len() as u64 == wanted && checksum(&before) == self.anchor)
    }
}

impl Fingerprint {
    /// Of a file as it is now, over no more than `limit` bytes.
    pub(super) fn of(content: &mut Content, limit: u64) -> Result<Self, Errno> {
        let begin = content.read_at(0, limit.min(FINGERPRINT_BYTES))?;
        Ok(Self { bytes: begin.len() as u64, sum: checksum(&begin) })
    }

    /// Whether the file begins as it did.
    pub(super) fn holds(self, content: &mut Content) -> bool {
        Self::of(content, self.bytes).is_ok_and(|now| now == self)
    }
}

/// The checksum of anchors and fingerprints.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Reads `bytes` bytes at `offset` into `data`, which must be empty and have the room; fewer only
/// at the file's end.
pub(super) fn fill(
    file: impl AsFd,
    data: &mut Vec<u8>,
    offset: u64,
    bytes: u64,
) -> Result<(), Errno> {
    let wanted = usize::try_from(bytes).unwrap_or(usize::MAX).min(data.capacity());
    while data.len() < wanted {
        let at = offset + data.len() as u64;
        match rustix::io::pread(&file, rustix::buffer::spare_capacity(data), at) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    // The buffer may have more room than was asked for.
    data.truncate(wanted);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::content::OpenFiles;
    use super::*;
    use std::fs;

    #[test]
    fn a_position_no_longer_holds_where_other_bytes_stand_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "one\ntwo\nthree\n").unwrap();
        let open = || Content::open(&path, &OpenFiles::default()).unwrap().0;
        let position = Position::at(&mut open(), 8).unwrap();
        assert_eq!(position, Position::after(8, b"one\ntwo\n"));
        assert!(position.holds(&mut open()));
        fs::write(&path, "one\n").unwrap();
        assert!(!position.holds(&mut open()));
        fs::write(&path, "new\nlines\nand more\n").unwrap();
        assert!(!position.holds(&mut open()));
    }

    #[test]
    fn a_fingerprint_holds_while_the_file_grows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "x").unwrap();
        let open = || Content::open(&path, &OpenFiles::default()).unwrap().0;
        let first = Fingerprint::of(&mut open(), u64::MAX).unwrap();
        fs::write(&path, "x".repeat(5000)).unwrap();
        assert!(first.holds(&mut open()));
        let grown = Fingerprint::of(&mut open(), u64::MAX).unwrap();
        assert_eq!(grown.bytes, FINGERPRINT_BYTES);
        fs::write(&path, "y").unwrap();
        assert!(!first.holds(&mut open()) && !grown.holds(&mut open()));
    }
}
