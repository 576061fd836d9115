//! One file that is being followed: where reading stands, and the next lines of it.

use super::marks::Marks;
use super::position::{FINGERPRINT_BYTES, Fingerprint, Position, checksum, fill};
use crate::event::log::Origin;
use crate::topology::memory::Chunk;
use bytes::Bytes;
use flate2::Crc;
use rustix::io::Errno;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// A read of this size is cheap and still fits the processor's cache.
pub(super) const CHUNK_BYTES: u64 = 256 << 10;

/// A file, kept open so that it can be read to its end whatever happens to its name.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) path: PathBuf,
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) origin: Arc<Origin>,
    pub(super) marks: Marks,
    /// Marks of sinks that are not connected now.
    pub(super) others: Vec<(String, Position)>,
    /// Whether nobody tells of changes to its content.
    pub(super) polled: bool,
    /// Since when its name leads elsewhere or nowhere.
    pub(super) leaving: Option<Leaving>,
    /// The file that had the name before, to be read to its end first.
    pub(super) after: Option<u64>,
    /// Whether it waits in line to be read.
    pub(super) queued: bool,
    /// Whether all that was there at the last look has been read.
    pub(super) at_end: bool,
    /// Whether a last line without a line end is taken as it is.
    pub(super) flush: bool,
    pub(super) position: Position,
    file: File,
    begin: Crc,
    /// Whether there may be a hole of zeros ahead: a writer that does not append goes on at its
    /// old place after a truncation.
    hole: bool,
    last_change: Option<(i64, i64)>,
    size: u64,
    /// The size when [`Self::has_grown`] was last asked.
    polled_size: u64,
}

/// A file that has lost its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving {
    /// When it was last seen to grow, or lost its name.
    pub(super) quiet_since: Instant,
}

/// What there is to read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ahead {
    Nothing,
    /// So many bytes.
    Bytes(u64),
    /// The file has other content than before.
    Replaced,
}

/// What a read gave.
#[derive(Debug)]
pub(super) enum Lines {
    /// Lines, and where they end.
    Some(Bytes, Position),
    /// The line that begins here is longer than what was read.
    Longer,
    /// The file has other content than before.
    Replaced,
    /// Bytes that stand for nothing were passed over.
    Skipped,
}

impl Tracked {
    pub(super) fn new(file: File, path: PathBuf, id: (u64, u64), origin: Arc<Origin>) -> Self {
        Self {
            path,
            device: id.0,
            inode: id.1,
            origin,
            marks: Marks::default(),
            others: Vec::new(),
            polled: false,
            leaving: None,
            after: None,
            queued: false,
            at_end: false,
            flush: false,
            position: Position::default(),
            file,
            begin: Crc::new(),
            hole: false,
            last_change: None,
            size: 0,
            polled_size: 0,
        }
    }

    /// Begins at `position`; `ahead` are the sinks that have more than that.
    pub(super) fn start(
        &mut self,
        position: Position,
        ahead: Vec<(crate::event::ack::SinkId, Position)>,
    ) -> Result<(), Errno> {
        let mut begin = Vec::with_capacity(FINGERPRINT_BYTES as usize);
        fill(&self.file, &mut begin, 0, position.offset.min(FINGERPRINT_BYTES))?;
        self.begin.reset();
        self.begin.update(&begin);
        self.position = position;
        self.marks = Marks::new(position, ahead);
        Ok(())
    }

    /// Begins anew, with other content.
    pub(super) fn restart(&mut self) {
        self.begin.reset();
        self.position = Position::default();
        self.marks = Marks::default();
        self.others.clear();
        self.hole = true;
        self.at_end = false;
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint { bytes: u64::from(self.begin.amount()), sum: self.begin.sum() }
    }

    /// Whether the file has no name any more.
    pub(super) fn is_removed(&self) -> bool {
        rustix::fs::fstat(&self.file).is_ok_and(|about| about.st_nlink == 0)
    }

    /// Looks at the file's size; at its content only where it changed without growing.
    pub(super) fn ahead(&mut self) -> Result<Ahead, Errno> {
        let about = rustix::fs::fstat(&self.file)?;
        let size = u64::try_from(about.st_size).unwrap_or(0);
        self.size = size;
        let change = Some((about.st_mtime, i64::try_from(about.st_mtime_nsec).unwrap_or(0)));
        let changed = self.last_change != change;
        let ahead = match size.checked_sub(self.position.offset) {
            None => return Ok(Ahead::Replaced),
            Some(0) if changed && !self.position.holds(&self.file) => return Ok(Ahead::Replaced),
            Some(0) => Ahead::Nothing,
            Some(bytes) => Ahead::Bytes(bytes),
        };
        self.last_change = change;
        Ok(ahead)
    }

    /// The file's size at the last look.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Whether its size is another one than when this was last asked.
    pub(super) fn has_grown(&mut self) -> bool {
        std::mem::replace(&mut self.polled_size, self.size) != self.size
    }

    /// Reads whole lines from `bytes` bytes ahead, up to `until` if that is among them. A line
    /// above `longest` is cut.
    pub(super) fn read(
        &mut self,
        mut chunk: Chunk,
        bytes: u64,
        until: Option<u64>,
        longest: u64,
    ) -> Result<Lines, Errno> {
        let at = self.position.offset;
        let anchor = self.position.anchor_bytes();
        fill(&self.file, &mut chunk.data, at - anchor, anchor + bytes)?;
        let anchor = usize::try_from(anchor).unwrap_or(0);
        let fits = chunk.data.get(..anchor).is_some_and(|b| checksum(b) == self.position.anchor);
        if !fits {
            return Ok(Lines::Replaced);
        }
        if self.skip_hole(&chunk.data, anchor) {
            return Ok(Lines::Skipped);
        }
        let body = &chunk.data[anchor..];
        let until = until.and_then(|until| usize::try_from(until - at).ok());
        let longest = usize::try_from(longest).unwrap_or(usize::MAX);
        let len = match (until, memchr::memrchr(b'\n', body)) {
            (Some(until), _) if until <= body.len() => until,
            (_, Some(newline)) => newline + 1,
            _ if body.len() > longest => cut_of(body, longest),
            _ if self.flush && at + body.len() as u64 >= self.size => body.len(),
            _ => return Ok(Lines::Longer),
        };
        let end = Position::after(at + len as u64, &chunk.data[..anchor + len]);
        self.pass(&chunk.data[anchor..anchor + len], end);
        Ok(Lines::Some(chunk.freeze().slice(anchor..anchor + len), end))
    }

    /// Passes over what no sink needs.
    pub(super) fn skip_to(&mut self, offset: u64) -> Result<(), Errno> {
        let position = Position::at(&self.file, offset)?;
        let mut marks = std::mem::take(&mut self.marks);
        self.start(position, Vec::new())?;
        std::mem::swap(&mut self.marks, &mut marks);
        Ok(())
    }

    fn skip_hole(&mut self, data: &[u8], anchor: usize) -> bool {
        let body = &data[anchor..];
        if !self.hole || body.is_empty() {
            return false;
        }
        let zeros = body.iter().take_while(|byte| **byte == 0).count();
        self.hole = zeros == body.len();
        if zeros == 0 {
            return false;
        }
        let end = Position::after(self.position.offset + zeros as u64, &data[..anchor + zeros]);
        self.pass(&body[..zeros], end);
        true
    }

    fn pass(&mut self, bytes: &[u8], end: Position) {
        let known = u64::from(self.begin.amount());
        if known < FINGERPRINT_BYTES && known == self.position.offset {
            let missing = usize::try_from(FINGERPRINT_BYTES - known).unwrap_or(0);
            self.begin.update(&bytes[..bytes.len().min(missing)]);
        }
        self.position = end;
    }
}

/// Where to cut a line after `longest` bytes: not within a character.
fn cut_of(line: &[u8], longest: usize) -> usize {
    let inside = |at: &usize| line.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let cut = (0..4.min(longest)).map(|back| longest - back).find(|at| !inside(at));
    cut.unwrap_or(longest).max(1)
}
