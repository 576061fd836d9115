//! Reading frames back, block by block, over whatever damage there is.

use super::frame::{FrameKind, HEADER_BYTES, Header, next_header, read_at};
use super::store::Store;
use crate::event::pack::PackedKind;
use bytes::Bytes;
use std::fs::File;
use std::io;

/// What is read at a time, unless a frame is larger.
const BLOCK_BYTES: u64 = 512 << 10;

/// A frame that was read.
#[derive(Clone, Debug)]
pub(in crate::topology::buffer) struct Frame {
    pub(in crate::topology::buffer) number: u64,
    pub(in crate::topology::buffer) events: u32,
    pub(in crate::topology::buffer) kind: PackedKind,
    pub(in crate::topology::buffer) body: Bytes,
}

/// What comes next.
#[derive(Debug)]
pub(in crate::topology::buffer) enum Next {
    /// A frame.
    Frame(Frame),
    /// So many bytes have to be read first, by [`Reading::load`].
    Block(u64),
    /// Nothing more was written.
    Nothing,
}

/// A place in the segments.
#[derive(Debug, Default)]
pub(in crate::topology::buffer) struct Reading {
    /// The segment at hand, by its first number.
    segment: Option<u64>,
    file: Option<File>,
    at: u64,
    /// What was read of the segment, and from where.
    block: Bytes,
    block_at: u64,
    /// The number of the next frame. Frames below it are passed over.
    expected: u64,
    /// Frames that could not be read, since it was last asked.
    damaged: u64,
    /// Events of frames that were passed over since it was last asked.
    passed_events: u64,
    /// Whether this is not the first time, and up to which frame it went before.
    recounts: bool,
    counted: u64,
}

/// What the bytes at a place are.
enum Look {
    Sound(Header, Bytes),
    /// A frame with a damaged body.
    BadBody(Header),
    /// Something that is no frame.
    Broken,
    /// Not known before so many bytes are there.
    Needs(u64),
    /// The end of what was written.
    End,
}

impl Reading {
    /// Begins at frame `number`, or at the next one that there is.
    pub(in crate::topology::buffer) fn from(number: u64) -> Self {
        Self { expected: number, ..Self::default() }
    }

    /// Begins again at frame `number`, without counting again what was met before.
    pub(in crate::topology::buffer) fn again_from(&self, number: u64) -> Self {
        let counted = self.expected.max(self.counted);
        Self { counted, recounts: true, ..Self::from(number) }
    }

    /// The number of the next frame.
    pub(in crate::topology::buffer) fn expected(&self) -> u64 {
        self.expected
    }

    /// Frames that could not be read, since this was last asked.
    pub(in crate::topology::buffer) fn take_damaged(&mut self) -> u64 {
        std::mem::take(&mut self.damaged)
    }

    /// Events of frames that were passed over, since this was last asked.
    pub(in crate::topology::buffer) fn take_passed_events(&mut self) -> u64 {
        std::mem::take(&mut self.passed_events)
    }

    /// What comes next. A segment that cannot be opened or read is an error once; after
    /// [`Self::give_up_segment`] the next one follows.
    pub(in crate::topology::buffer) fn next(&mut self, store: &mut Store) -> io::Result<Next> {
        loop {
            let segment = match self.segment {
                Some(first) => store.segment(first),
                None => store.segment_from(self.expected),
            };
            let Some(segment) = segment else {
                // Removed meanwhile: nobody needed the rest of it.
                match self.segment.and_then(|first| store.segment_after(first)).map(|s| s.first) {
                    Some(next) => self.enter(next),
                    None => return Ok(Next::Nothing),
                }
                continue;
            };
            let (first, written) = (segment.first, segment.bytes);
            if self.segment.is_none() {
                self.enter(first);
            }
            match self.look(first, written) {
                Look::Needs(bytes) => return Ok(Next::Block(bytes)),
                Look::End => match store.segment_after(first).map(|next| next.first) {
                    Some(next) => self.enter(next),
                    None => {
                        // Held open, a removed segment would still take its room on disk.
                        self.file = None;
                        return Ok(Next::Nothing);
                    }
                },
                Look::Sound(header, body) => {
                    self.at += header.frame_bytes();
                    if let Some(frame) = self.take(header, body) {
                        return Ok(Next::Frame(frame));
                    }
                }
                Look::BadBody(header) => {
                    // The gap in the numbers is counted when the next frame is met.
                    self.at += header.frame_bytes();
                    store.note_damage(first);
                }
                Look::Broken => {
                    store.note_damage(first);
                    self.at = self.resume_at(store, first, written)?;
                }
            }
        }
    }

    /// Counts what is missing before a frame; `None` where it is not to be given out.
    fn take(&mut self, header: Header, body: Bytes) -> Option<Frame> {
        if header.number < self.expected {
            if header.kind != FrameKind::End && !self.recounts {
                self.passed_events += u64::from(header.events);
            }
            return None;
        }
        self.damaged += header.number.saturating_sub(self.expected.max(self.counted));
        self.expected = header.number;
        let FrameKind::Batch(kind) = header.kind else { return None };
        self.expected = header.number + 1;
        Some(Frame { number: header.number, events: header.events, kind, body })
    }

    fn enter(&mut self, first: u64) {
        self.segment = Some(first);
        (self.file, self.at, self.block, self.block_at) = (None, 0, Bytes::new(), 0);
    }

    fn look(&self, segment: u64, written: u64) -> Look {
        let Some(rest) = written.checked_sub(self.at).filter(|rest| *rest > 0) else {
            return Look::End;
        };
        if rest < HEADER_BYTES as u64 {
            return Look::Broken;
        }
        let from = usize::try_from(self.at - self.block_at).unwrap_or(usize::MAX);
        let block = self.block.get(from..).unwrap_or_default();
        if block.len() < HEADER_BYTES {
            return Look::Needs(rest.min(BLOCK_BYTES));
        }
        let Some(header) = Header::read(segment, block) else { return Look::Broken };
        let frame_bytes = header.frame_bytes();
        if frame_bytes > rest {
            return Look::Broken;
        }
        let len = usize::try_from(frame_bytes).unwrap_or(usize::MAX);
        if block.len() < len {
            return Look::Needs(frame_bytes.max(rest.min(BLOCK_BYTES)));
        }
        let body = self.block.slice(from + HEADER_BYTES..from + len);
        if header.fits(&body) { Look::Sound(header, body) } else { Look::BadBody(header) }
    }

    /// Lets go of the block at hand, so that its memory is free before the next is asked for.
    pub(in crate::topology::buffer) fn release(&mut self) {
        (self.block, self.block_at) = (Bytes::new(), self.at);
    }

    /// Reads so many bytes into `data`, to be given to [`Self::loaded`].
    pub(in crate::topology::buffer) fn load(
        &mut self,
        store: &Store,
        bytes: u64,
        data: &mut Vec<u8>,
    ) -> io::Result<()> {
        let Some(first) = self.segment else { return Ok(()) };
        let file = match self.file.take() {
            Some(file) => file,
            None => File::open(store.path_of(first))?,
        };
        read_at(&file, self.at, bytes, data)?;
        if (data.len() as u64) < bytes {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it is shorter than it was"));
        }
        self.file = Some(file);
        Ok(())
    }

    /// Goes on with what was loaded.
    pub(in crate::topology::buffer) fn loaded(&mut self, block: Bytes) {
        (self.block, self.block_at) = (block, self.at);
    }

    fn resume_at(&mut self, store: &Store, first: u64, written: u64) -> io::Result<u64> {
        let file = match self.file.take() {
            Some(file) => file,
            None => File::open(store.path_of(first))?,
        };
        let next = next_header(&file, first, self.at + 1, written)?;
        self.file = Some(file);
        self.release();
        // How many frames these were, the number of the next one tells.
        Ok(next.unwrap_or(written))
    }

    /// Passes over what is left of the segment at hand, which cannot be read.
    pub(in crate::topology::buffer) fn give_up_segment(&mut self, store: &mut Store) {
        let Some(first) = self.segment else { return };
        store.note_damage(first);
        self.release();
        self.at = store.segment(first).map_or(self.at, |segment| segment.bytes);
        self.block_at = self.at;
    }
}
