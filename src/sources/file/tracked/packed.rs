//! What is known of a compressed file while it is followed.

use super::{Ahead, Tracked};
use crate::sources::file::content::Content;
use crate::sources::file::unpack::{Ending, Guess};
use rustix::io::Errno;
use std::time::{Duration, Instant};

/// How long a file that breaks off may be quiet before that is said: its writer may be slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// How far a compressed file has been seen.
#[derive(Debug, Default)]
pub(super) struct Packed {
    /// Its end: how it ends, its own size there, and the size of what is in it.
    end: Option<(Ending, u64, u64)>,
    ended_at: Option<Instant>,
    /// Its own size when it was last found changed: it is read again once that stays the same.
    unsettled: Option<u64>,
    told: bool,
}

impl Packed {
    pub(super) fn size(&self) -> u64 {
        self.end.map_or(u64::MAX, |(_, _, bytes)| bytes)
    }

    pub(super) fn ahead(
        &mut self,
        size: u64,
        position: u64,
        content: Option<&mut Content>,
    ) -> Result<Ahead, Errno> {
        // More than any read takes.
        const ALL: u64 = 1 << 40;
        let Some((_, own, bytes)) = self.end else { return Ok(Ahead::Bytes(ALL)) };
        if size == own {
            let left = bytes.saturating_sub(position);
            return Ok(if left == 0 { Ahead::Nothing } else { Ahead::Bytes(left) });
        }
        // To read it again takes as long as to read it: not while it is being written.
        if self.unsettled.replace(size) != Some(size) {
            return Ok(Ahead::Nothing);
        }
        self.end = None;
        self.unsettled = None;
        if let Some(unpacker) = content.and_then(Content::unpacker) {
            unpacker.again();
        }
        Ok(Ahead::Bytes(ALL))
    }
}

impl Tracked {
    /// Looks whether the file is compressed, where that is not known yet; [`Ahead::Nothing`]
    /// where too little of it is there to tell.
    pub(super) fn look_if_packed(&mut self, size: u64) -> Result<Option<Ahead>, Errno> {
        if self.packed.is_some() || size == 0 {
            return Ok(None);
        }
        // One that was read and closed would have been found to be compressed.
        if self.content.is_none() && self.position.offset > 0 {
            return Ok(None);
        }
        match self.content()?.packing()? {
            Guess::Short if size < 4 && !self.flush => Ok(Some(Ahead::Nothing)),
            Guess::Packed(_) => {
                self.packed = Some(Packed::default());
                Ok(None)
            }
            Guess::Short | Guess::Plain => Ok(None),
        }
    }

    /// Whether it is compressed, as far as is known.
    pub(in crate::sources::file) fn is_packed(&self) -> bool {
        self.packed.is_some()
    }

    /// Takes note of the end, if it was met.
    pub(super) fn note_end(&mut self) {
        let Some(content) = &mut self.content else { return };
        let Some(unpacker) = content.unpacker() else { return };
        let (ending, own) = unpacker.ending();
        let bytes = unpacker.known_bytes();
        let Some(packed) = self.packed.as_mut().filter(|_| ending != Ending::Unknown) else {
            return;
        };
        if packed.end.is_none() {
            packed.ended_at = Some(Instant::now());
        }
        packed.end = Some((ending, own, bytes));
    }

    /// Gives the memory for decompressing back once all of it was read.
    pub(in crate::sources::file) fn rest(&mut self) {
        let ended = self.packed.as_ref().is_some_and(|packed| packed.end.is_some());
        if let Some(unpacker) = self.content.as_mut().and_then(Content::unpacker)
            && ended
        {
            unpacker.rest();
        }
    }

    /// What is wrong with a compressed file, said once. One that breaks off is given a minute in
    /// which it may still be written, unless this is the last look.
    pub(in crate::sources::file) fn wrong(&mut self, last_look: bool) -> Option<&'static str> {
        let packed = self.packed.as_mut().filter(|packed| !packed.told)?;
        let what = match packed.end?.0 {
            Ending::Whole | Ending::Unknown => return None,
            Ending::Damaged => "the compressed file is damaged; what comes before that was read",
            Ending::Incomplete => {
                let quiet = packed.ended_at.is_some_and(|at| at.elapsed() > PATIENCE);
                if !(quiet || last_look) || packed.unsettled.is_some() {
                    return None;
                }
                "the compressed file breaks off; what there is of it was read"
            }
        };
        packed.told = true;
        Some(what)
    }

    /// Whether it has to be looked at again although nothing tells of changes.
    pub(in crate::sources::file) fn is_unsettled(&self) -> bool {
        self.packed.as_ref().is_some_and(|packed| {
            packed.unsettled.is_some()
                || matches!(packed.end, Some((Ending::Incomplete, ..)) if !packed.told)
        })
    }
}
