//! Frames: what stands in a segment, one behind the other. A header of 32 bytes says what follows
//! and carries checksums of itself and of the body, so that damage is told from data wherever it
//! stands, and the next sound frame is found behind it.

use crate::event::pack::PackedKind;
use crc32fast::Hasher;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// Length of a header.
pub(super) const HEADER_BYTES: usize = 32;

/// Length of the frame that closes a segment.
pub(super) const END_BYTES: u64 = HEADER_BYTES as u64;

/// Begins every header. Another form of frame would have another number in it.
const MAGIC: [u8; 4] = *b"dlb1";

/// How much of a segment is looked through at a time.
const WINDOW_BYTES: usize = 64 << 10;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    /// A batch.
    Batch(PackedKind),
    /// The end of a segment: nothing was to follow. Counts the segment's events.
    End,
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: FrameKind,
    /// Frames are numbered without a gap; an end has the number of the frame that comes next.
    pub(super) number: u64,
    /// Records and samples in it.
    pub(super) events: u32,
    /// Length of the body.
    pub(super) len: u32,
    body_sum: u32,
}

impl Header {
    pub(super) fn new(kind: FrameKind, number: u64, events: u32, body: &[u8]) -> Self {
        let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
        Self { kind, number, events, len, body_sum: crc32fast::hash(body) }
    }

    /// Length of the whole frame.
    pub(super) fn frame_bytes(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.len)
    }

    /// As it stands in the segment that begins with frame `segment`.
    pub(super) fn write(&self, segment: u64) -> [u8; HEADER_BYTES] {
        let kind = match self.kind {
            FrameKind::Batch(PackedKind::Logs) => 1,
            FrameKind::Batch(PackedKind::Metrics) => 2,
            FrameKind::End => 3,
        };
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = kind;
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.events.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.len.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.body_sum.to_le_bytes());
        let sum = header_sum(segment, &bytes[..28]);
        bytes[28..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// The header at the beginning of `bytes`; `None` where there is none, or a damaged one.
    pub(super) fn read(segment: u64, bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        let u32_at = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        if bytes[..4] != MAGIC || u32_at(28) != header_sum(segment, &bytes[..28]) {
            return None;
        }
        let kind = match bytes[4] {
            1 => FrameKind::Batch(PackedKind::Logs),
            2 => FrameKind::Batch(PackedKind::Metrics),
            3 => FrameKind::End,
            _ => return None,
        };
        let number = u64::from(u32_at(8)) | u64::from(u32_at(12)) << 32;
        // No batch gets the last number, so that each has a next one behind it.
        if number == u64::MAX && kind != FrameKind::End {
            return None;
        }
        Some(Self { kind, number, events: u32_at(16), len: u32_at(20), body_sum: u32_at(24) })
    }

    /// Whether this is the body that the header speaks of.
    pub(super) fn fits(&self, body: &[u8]) -> bool {
        body.len() == self.len as usize && crc32fast::hash(body) == self.body_sum
    }

    /// As [`Self::fits`], for a body that stands at `at` in a file, whatever its length.
    pub(super) fn fits_at(&self, file: &File, at: u64) -> io::Result<bool> {
        let mut hasher = Hasher::new();
        let mut rest = u64::from(self.len);
        let mut window = Vec::with_capacity(WINDOW_BYTES);
        while rest > 0 {
            read_at(file, at + u64::from(self.len) - rest, WINDOW_BYTES as u64, &mut window)?;
            if window.is_empty() {
                return Ok(false);
            }
            window.truncate(usize::try_from(rest).unwrap_or(usize::MAX));
            hasher.update(&window);
            rest -= window.len() as u64;
        }
        Ok(hasher.finalize() == self.body_sum)
    }
}

/// A segment of the frames that `bytes` describe: kind, number (two bytes; from 0xff00 on they count
/// down from the highest number), events and length of each, then its body.
#[cfg(any(test, fuzzing))]
pub(in crate::topology::buffer) fn sealed(mut bytes: &[u8]) -> Vec<u8> {
    let mut segment = Vec::new();
    while let Some((&[kind, low, high, events, len], rest)) = bytes.split_first_chunk() {
        let (body, rest) = rest.split_at(usize::from(len).min(rest.len()));
        bytes = rest;
        let kind = match kind % 3 {
            0 => FrameKind::End,
            1 => FrameKind::Batch(PackedKind::Logs),
            _ => FrameKind::Batch(PackedKind::Metrics),
        };
        let number = match high {
            0xff => u64::MAX - u64::from(low),
            _ => u64::from(u16::from_le_bytes([low, high])),
        };
        segment.extend_from_slice(&Header::new(kind, number, events.into(), body).write(0));
        segment.extend_from_slice(body);
    }
    segment
}

/// The sum goes over the segment's number too: a frame of another segment that stands in the
/// text of a log line is no frame.
fn header_sum(segment: u64, bytes: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&segment.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

/// Replaces what `data` holds by up to `bytes` bytes at `at`; fewer only at the end of the file.
pub(super) fn read_at(mut file: &File, at: u64, bytes: u64, data: &mut Vec<u8>) -> io::Result<()> {
    data.clear();
    file.seek(SeekFrom::Start(at))?;
    file.take(bytes).read_to_end(data).map(drop)
}

/// The header at `at`, if there is a sound one.
pub(super) fn header_at(file: &File, segment: u64, at: u64) -> io::Result<Option<Header>> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    read_at(file, at, HEADER_BYTES as u64, &mut bytes)?;
    Ok(Header::read(segment, &bytes))
}

/// The place of the next sound header from `from` on, below `end`.
pub(super) fn next_header(
    file: &File,
    segment: u64,
    from: u64,
    end: u64,
) -> io::Result<Option<u64>> {
    let mut window = Vec::with_capacity(WINDOW_BYTES);
    let mut at = from;
    while at < end {
        read_at(file, at, WINDOW_BYTES as u64, &mut window)?;
        let last = at + window.len() as u64 >= end || window.len() < WINDOW_BYTES;
        for found in memchr::memmem::find_iter(&window, &MAGIC) {
            if Header::read(segment, &window[found..]).is_some() {
                return Ok(Some(at + found as u64));
            }
        }
        if last {
            break;
        }
        // A header may lie across the border.
        at += (window.len() - HEADER_BYTES) as u64;
    }
    Ok(None)
}
