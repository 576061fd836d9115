//! A look over a segment when a buffer is opened: by its end, where it was closed properly, else
//! frame by frame.

use super::frame::{END_BYTES, FrameKind, header_at, next_header};
use std::fs::File;
use std::io;
use std::path::Path;

/// What a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scan {
    /// Number after its last frame.
    pub(super) end: u64,
    /// Length up to the end of its last sound frame.
    pub(super) bytes: u64,
    pub(super) events: u64,
    /// What stands behind that.
    pub(super) torn_bytes: u64,
}

/// Looks over the segment that begins with frame `first`.
pub(super) fn scan(path: &Path, first: u64) -> io::Result<Scan> {
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    if let Some(last) = len.checked_sub(END_BYTES)
        && let Some(header) = header_at(&file, first, last)?
        && header.kind == FrameKind::End
    {
        let (end, events) = (header.number, u64::from(header.events));
        return Ok(Scan { end, bytes: len, events, torn_bytes: 0 });
    }
    let mut seen = Scan { end: first, bytes: 0, events: 0, torn_bytes: len };
    let mut at = 0;
    while at < len {
        let header = header_at(&file, first, at)?;
        match header.filter(|header| at + header.frame_bytes() <= len) {
            Some(header) => {
                let behind = at + header.frame_bytes();
                if header.fits_at(&file, behind - u64::from(header.len))? {
                    let is_end = header.kind == FrameKind::End;
                    // Damage can put frames behind others that come after them; a number that a
                    // reader is past already would never be read.
                    seen.end = seen.end.max(header.number + u64::from(!is_end));
                    seen.bytes = behind;
                    seen.events += if is_end { 0 } else { u64::from(header.events) };
                }
                at = behind;
            }
            None => match next_header(&file, first, at + 1, len)? {
                Some(next) => at = next,
                None => break,
            },
        }
    }
    seen.torn_bytes = len - seen.bytes;
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::super::frame::sealed;
    use super::*;

    #[test]
    fn frames_that_stand_behind_later_ones_take_back_no_number() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("segment");
        let (frame, end) = ([1, 0, 0, 1, 1, b'a'], [3, 5, 0, 1, 0]);
        std::fs::write(&path, sealed(&[&frame[..], &end, &frame].concat())).unwrap();
        assert_eq!(scan(&path, 0).unwrap().end, 5);
    }
}
