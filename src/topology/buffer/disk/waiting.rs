//! A look at a segment from outside, header by header: what of it is still to be delivered.

use super::frame::{FrameKind, header_at, next_header};
use super::store::segment_name;
use std::fs::File;
use std::io;
use std::path::Path;

/// What of a segment waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::topology::buffer) struct Waiting {
    /// The segment's length.
    pub(in crate::topology::buffer) disk_bytes: u64,
    pub(in crate::topology::buffer) frames: u64,
    pub(in crate::topology::buffer) events: u64,
    /// Length of these frames.
    pub(in crate::topology::buffer) bytes: u64,
    /// Whether nothing in the midst of it is damaged. At its end a frame may be half written.
    pub(in crate::topology::buffer) is_sound: bool,
}

/// Counts the frames from number `settled` on in the segment that begins with frame `first`.
pub(in crate::topology::buffer) fn waiting(
    dir: &Path,
    first: u64,
    settled: u64,
) -> io::Result<Waiting> {
    let file = File::open(dir.join(segment_name(first)))?;
    let len = file.metadata()?.len();
    let mut seen = Waiting { disk_bytes: len, is_sound: true, ..Waiting::default() };
    let mut at = 0;
    while at < len {
        match header_at(&file, first, at)? {
            Some(header) if at + header.frame_bytes() <= len => {
                if header.kind != FrameKind::End && header.number >= settled {
                    seen.frames += 1;
                    seen.events += u64::from(header.events);
                    seen.bytes += header.frame_bytes();
                }
                at += header.frame_bytes();
            }
            Some(_) => break,
            None => match next_header(&file, first, at + 1, len)? {
                Some(next) => {
                    seen.is_sound = false;
                    at = next;
                }
                None => {
                    seen.is_sound &= at > 0;
                    break;
                }
            },
        }
    }
    Ok(seen)
}
