//! One file that is being followed: where reading stands, and what is ahead.

mod packed;
mod read;

use super::content::{Content, Identity, OpenFiles};
use super::marks::Marks;
use super::position::{FINGERPRINT_BYTES, Fingerprint, Position};
use crate::event::ack::SinkId;
use crate::event::log::Origin;
use crate::event::log::framing::Coding;
use flate2::Crc;
use packed::Packed;
pub(super) use read::{Lines, Reading, Taken};
use rustix::fs::Stat;
use rustix::io::Errno;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// A read of this size is cheap and still fits the processor's cache.
pub(super) const CHUNK_BYTES: u64 = 512 << 10;

/// A file, known by what it is and not by its name.
pub(super) struct Tracked {
    /// Its number in the checkpoint.
    pub(super) key: u64,
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
    /// Whether a record that might go on is taken as it is.
    pub(super) release: bool,
    /// Whether lines are held back since others may belong to them.
    pub(super) held: bool,
    /// Whether it has to be found out yet if it is a copy of a file that is known.
    pub(super) unrecognised: bool,
    /// Whether the checkpoint no longer says how things are with it.
    pub(super) moved: bool,
    /// Whether it cannot be opened any more.
    pub(super) unreachable: bool,
    /// When it was last read from or opened.
    pub(super) used_at: Instant,
    pub(super) position: Position,
    /// Where it is now, if not at `path`: under another name, or pinned.
    pub(super) moved_to: Option<PathBuf>,
    pub(super) pin: Option<PathBuf>,
    /// At how many looks in a row some sink did not have all that was read.
    pub(super) behind: u8,
    /// Whether a pin was refused, so that it is not asked for again.
    pub(super) unpinnable: bool,
    content: Option<Content>,
    open: OpenFiles,
    coding: Option<(Coding, u64)>,
    packed: Option<Packed>,
    begin: Crc,
    /// Whether there may be a hole of zeros ahead: a writer that does not append goes on at its
    /// old place after a truncation.
    hole: bool,
    /// How far the end of a line that is too long has been looked for.
    searched: u64,
    last_change: Option<(i64, i64)>,
    size: u64,
    /// The largest size that this content was seen to have.
    seen_size: u64,
    /// Bytes that were seen, not read, and cut off by a truncation, if there was one.
    cut_off: Option<u64>,
    /// The size when [`Self::has_grown`] was last asked.
    polled_size: u64,
}

/// A file that has lost its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving {
    /// When it lost its name.
    pub(super) since: Instant,
    /// When it was last seen to grow, or lost its name.
    pub(super) quiet_since: Instant,
}

impl Leaving {
    pub(super) fn now() -> Self {
        let now = Instant::now();
        Self { since: now, quiet_since: now }
    }
}

/// What there is to read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ahead {
    Nothing,
    /// So many bytes, or as many as are in a compressed file.
    Bytes(u64),
    /// The file has other content than before.
    Replaced,
}

impl Tracked {
    pub(super) fn new(
        key: u64,
        path: PathBuf,
        id: Identity,
        (content, open): (Content, OpenFiles),
        origin: Arc<Origin>,
    ) -> Self {
        Self {
            key,
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
            release: false,
            held: false,
            unrecognised: false,
            moved: true,
            unreachable: false,
            used_at: Instant::now(),
            position: Position::default(),
            moved_to: None,
            pin: None,
            behind: 0,
            unpinnable: false,
            content: Some(content),
            open,
            coding: None,
            packed: None,
            begin: Crc::new(),
            hole: false,
            searched: 0,
            last_change: None,
            size: 0,
            seen_size: 0,
            cut_off: None,
            polled_size: 0,
        }
    }

    /// Says with every record which content of the file it is from.
    pub(super) fn set_content(&mut self, content: u64) {
        self.origin = Arc::new(Origin { content, ..(*self.origin).clone() });
    }

    /// Begins at `position`; `ahead` are the sinks that have more than that.
    pub(super) fn start(
        &mut self,
        position: Position,
        ahead: Vec<(SinkId, Position)>,
    ) -> Result<(), Errno> {
        let known = position.offset.min(FINGERPRINT_BYTES);
        let begin = self.content()?.read_at(0, known)?;
        self.begin.reset();
        self.begin.update(&begin);
        self.position = position;
        self.marks = Marks::new(position, ahead);
        Ok(())
    }

    /// Begins anew, with other content. Returns how many bytes were seen and never read.
    pub(super) fn restart(&mut self) -> u64 {
        let lost = self.unread();
        self.set_content(0);
        self.begin.reset();
        self.position = Position::default();
        self.marks = Marks::default();
        self.others.clear();
        self.hole = true;
        self.at_end = false;
        self.held = false;
        self.coding = None;
        self.packed = None;
        self.searched = 0;
        self.seen_size = 0;
        self.cut_off = None;
        self.moved = true;
        if let Some(content) = &mut self.content {
            content.forget_packing();
        }
        lost
    }

    /// Whether nothing is to be done about it before there is news of it.
    pub(super) fn is_idle(&self) -> bool {
        self.at_end
            && self.leaving.is_none()
            && !(self.polled || self.queued || self.unrecognised || self.held)
            && self.pin.is_none()
            && self.marks.is_quiet()
            && !self.is_unsettled()
    }

    /// How many bytes were seen and not read so far, or were until they were cut off.
    pub(super) fn unread(&self) -> u64 {
        let ahead = || self.seen_size.saturating_sub(self.position.offset);
        if self.packed.is_some() { 0 } else { self.cut_off.unwrap_or_else(ahead) }
    }

    pub(super) fn identity(&self) -> Identity {
        (self.device, self.inode)
    }

    /// Where the file can be found now.
    fn place(&self) -> &Path {
        self.pin.as_deref().or(self.moved_to.as_deref()).unwrap_or(&self.path)
    }

    /// The file, opened if need be.
    pub(super) fn content(&mut self) -> Result<&mut Content, Errno> {
        if self.content.is_none() {
            let (content, id) = Content::open(self.place(), &self.open)?;
            if id != self.identity() {
                return Err(Errno::NOENT);
            }
            self.content = Some(content);
            self.used_at = Instant::now();
        }
        self.content.as_mut().ok_or(Errno::BADF)
    }

    pub(super) fn is_open(&self) -> bool {
        self.content.is_some()
    }

    /// Whether it can be closed without losing it or the work done on it.
    pub(super) fn can_close(&self) -> bool {
        self.content.as_ref().is_some_and(|content| !content.is_busy())
            && (self.leaving.is_none() || self.pin.is_some())
    }

    pub(super) fn close(&mut self) {
        self.content = None;
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint { bytes: u64::from(self.begin.amount()), sum: self.begin.sum() }
    }

    /// What the kernel says of it, without opening it.
    pub(super) fn about(&self) -> Result<Stat, Errno> {
        let Some(content) = &self.content else {
            let about = rustix::fs::stat(self.place())?;
            let same = (about.st_dev, about.st_ino) == self.identity();
            return if same { Ok(about) } else { Err(Errno::NOENT) };
        };
        content.about()
    }

    /// Whether the file has no name any more but that of its pin.
    pub(super) fn is_removed(&self) -> bool {
        let own = if self.pin.is_some() { 1 } else { 0 };
        self.about().map_or(true, |about| about.st_nlink <= own)
    }

    /// Looks at the file's size; at its content only where it changed without growing.
    pub(super) fn ahead(&mut self) -> Result<Ahead, Errno> {
        let about = self.about()?;
        let size = u64::try_from(about.st_size).unwrap_or(0);
        self.size = size;
        if self.look_if_packed(size)? == Some(Ahead::Nothing) {
            return Ok(Ahead::Nothing);
        }
        if let Some(packed) = &mut self.packed {
            let position = self.position.offset;
            return packed.ahead(size, position, self.content.as_mut());
        }
        let change = Some((about.st_mtime, i64::try_from(about.st_mtime_nsec).unwrap_or(0)));
        let changed = self.last_change != change;
        let ahead = match size.checked_sub(self.position.offset) {
            None => return Ok(Ahead::Replaced),
            Some(0) if changed && !self.still_holds()? => return Ok(Ahead::Replaced),
            Some(0) => Ahead::Nothing,
            Some(bytes) => Ahead::Bytes(bytes),
        };
        self.seen_size = self.seen_size.max(size);
        self.last_change = change;
        Ok(ahead)
    }

    fn still_holds(&mut self) -> Result<bool, Errno> {
        let position = self.position;
        Ok(position.holds(self.content()?))
    }

    /// Notes the size that it has now, so that it is known how much is lost if it is truncated,
    /// also where it has grown again by the time that somebody reads it.
    pub(super) fn look_at_size(&mut self) {
        if self.packed.is_some() || self.at_end {
            return;
        }
        let Ok(about) = self.about() else { return };
        let size = u64::try_from(about.st_size).unwrap_or(0);
        let was_cut = match self.cut_off {
            None => size < self.position.offset,
            // Of what was written after an earlier truncation nothing was read.
            Some(_) => size < self.seen_size,
        };
        if was_cut {
            let before = self.cut_off.map(|before| before + self.seen_size);
            self.cut_off = Some(before.unwrap_or_else(|| self.unread()));
            self.seen_size = size;
        }
        self.seen_size = self.seen_size.max(size);
    }

    /// The size of what is in the file, at the last look and as far as is known.
    pub(super) fn size(&self) -> u64 {
        self.packed.as_ref().map_or(self.size, Packed::size)
    }

    /// Whether its size is another one than when this was last asked.
    pub(super) fn has_grown(&mut self) -> bool {
        std::mem::replace(&mut self.polled_size, self.size) != self.size
    }
}
