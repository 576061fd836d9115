//! The segments of one buffer: where frames are appended, and what is kept of them.
//!
//! A segment is a file of frames, named after the number of its first one. Only the last one
//! grows. Segments are removed as a whole, once everything in them has been delivered; one in
//! which damage was met is put aside instead.

use super::frame::{END_BYTES, FrameKind, HEADER_BYTES, Header};
use super::scan::{Scan, scan};
use crate::event::pack::PackedKind;
use rustix::fs::FlockOperation;
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Segments that were put aside; beyond this the oldest are removed.
const MOST_DAMAGED: usize = 16;

/// How large the buffer and its segments may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::topology::buffer) struct Limits {
    pub(in crate::topology::buffer) buffer_bytes: u64,
    pub(in crate::topology::buffer) segment_bytes: u64,
}

impl Limits {
    /// A sixteenth of the buffer makes a segment, so that room comes back in small steps.
    pub(in crate::topology::buffer) fn of(buffer_bytes: u64) -> Self {
        let segment_bytes = (buffer_bytes / 16).clamp(64 << 10, 32 << 20);
        Self { buffer_bytes, segment_bytes }
    }
}

/// One segment.
#[derive(Debug)]
pub(super) struct Segment {
    /// Number of its first frame.
    pub(super) first: u64,
    /// Number after its last frame.
    pub(super) end: u64,
    /// Length of all frames in it.
    pub(super) bytes: u64,
    events: u64,
    /// Whether something in it could not be read.
    pub(super) damaged: bool,
}

/// The segment that grows.
#[derive(Debug)]
struct Active {
    file: Arc<File>,
}

/// Why a frame was not taken.
#[derive(Debug)]
pub(in crate::topology::buffer) enum Refusal {
    /// The buffer has all that it may hold.
    Full,
    /// The disk has no more room.
    DiskFull(io::Error),
    /// What was appended before may be lost: it could not be made safe.
    Unsafe(io::Error),
    /// Anything else; what was appended before is as it was.
    Fault(io::Error),
}

/// The segments of one buffer.
#[derive(Debug)]
pub(in crate::topology::buffer) struct Store {
    dir: PathBuf,
    limits: Limits,
    segments: VecDeque<Segment>,
    active: Option<Active>,
    /// Length of all segments, with the room for the end of the one that grows.
    bytes: u64,
    next: u64,
    /// Held while this store is open.
    _lock: File,
}

/// What opening a store met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::topology::buffer) struct Opened {
    /// Bytes that were cut off the end: a frame that was being written when the process ended.
    pub(in crate::topology::buffer) torn_bytes: u64,
    /// Files that are no segments any more.
    pub(in crate::topology::buffer) unreadable: u64,
}

impl Store {
    /// Opens the buffer in `dir`, and makes it where there is none. New frames get numbers from
    /// `floor` on at the least: lower ones may be known as delivered, though a crash took them.
    pub(in crate::topology::buffer) fn open(
        dir: &Path,
        limits: Limits,
        floor: u64,
    ) -> io::Result<(Self, Opened)> {
        fs::create_dir_all(dir)?;
        let lock =
            OpenOptions::new().create(true).append(true).mode(0o600).open(dir.join("lock"))?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| io::Error::other("another process uses it"))?;
        let mut store = Self {
            dir: dir.to_owned(),
            limits,
            segments: VecDeque::new(),
            active: None,
            bytes: 0,
            next: floor,
            _lock: lock,
        };
        let opened = store.load()?;
        Ok((store, opened))
    }

    fn load(&mut self) -> io::Result<Opened> {
        let mut opened = Opened::default();
        let firsts = segments_in(&self.dir)?;
        let last = firsts.last().copied();
        for first in firsts {
            let path = self.path_of(first);
            let Ok(Scan { end, bytes, events, torn_bytes }) = scan(&path, first) else {
                opened.unreadable += 1;
                self.put_aside(first);
                continue;
            };
            let mut kept = bytes + torn_bytes;
            let mut damaged = bytes == 0 && kept > 0;
            if torn_bytes > 0 && Some(first) == last {
                let file = OpenOptions::new().write(true).open(&path)?;
                file.set_len(bytes)?;
                file.sync_all()?;
                opened.torn_bytes = torn_bytes;
                (kept, damaged) = (bytes, false);
            }
            if kept == 0 {
                fs::remove_file(&path)?;
                continue;
            }
            self.bytes += kept;
            // A name is not given twice, even where nothing in the file can be read.
            self.next = self.next.max(end).max(first.saturating_add(1));
            self.segments.push_back(Segment { first, end, bytes: kept, events, damaged });
        }
        Ok(opened)
    }

    pub(super) fn path_of(&self, first: u64) -> PathBuf {
        self.dir.join(segment_name(first))
    }

    /// Appends a frame. `frame` has [`HEADER_BYTES`] of room before the body. The frame is safe
    /// once the file given is synced; what is in earlier segments is already.
    pub(in crate::topology::buffer) fn append(
        &mut self,
        kind: PackedKind,
        events: usize,
        frame: &mut [u8],
    ) -> Result<Arc<File>, Refusal> {
        let bytes = frame.len() as u64;
        let grown = |segment: &Segment| segment.bytes + bytes + END_BYTES;
        let fits = self.active.is_some()
            && self.segments.back().is_some_and(|last| grown(last) <= self.limits.segment_bytes);
        if !fits {
            self.seal()?;
        }
        let end = if self.active.is_some() { 0 } else { END_BYTES };
        if self.bytes + bytes + end > self.limits.buffer_bytes {
            return Err(Refusal::Full);
        }
        let file = match &self.active {
            Some(active) => Arc::clone(&active.file),
            None => self.begin().map_err(of_disk)?,
        };
        let number = self.next;
        let Some(next) = number.checked_add(1) else {
            // Only a file that nobody here has written can bring it to that.
            return Err(Refusal::Fault(io::Error::other("there are no numbers left for frames")));
        };
        let Some(segment) = self.segments.back_mut() else {
            return Err(Refusal::Fault(io::Error::other("no segment")));
        };
        let events = u32::try_from(events).unwrap_or(u32::MAX);
        let Some((head, body)) = frame.split_at_mut_checked(HEADER_BYTES) else {
            return Err(Refusal::Fault(io::Error::other("no room for a header")));
        };
        let header = Header::new(FrameKind::Batch(kind), number, events, body);
        head.copy_from_slice(&header.write(segment.first));
        if let Err(error) = (&*file).write_all(frame) {
            if file.set_len(segment.bytes).is_err() {
                // What stands there now is no frame; the reader passes over it.
                self.abandon();
            }
            return Err(of_disk(error));
        }
        segment.bytes += bytes;
        segment.events += u64::from(events);
        segment.end = next;
        self.bytes += bytes;
        self.next = next;
        Ok(file)
    }

    fn begin(&mut self) -> io::Result<Arc<File>> {
        let first = self.next;
        let path = self.path_of(first);
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
        // One of this number can only be what a failed start left.
        file.set_len(0)?;
        File::open(&self.dir)?.sync_all()?;
        let file = Arc::new(file);
        self.active = Some(Active { file: Arc::clone(&file) });
        let (end, events, damaged) = (first, 0, false);
        self.segments.push_back(Segment { first, end, bytes: 0, events, damaged });
        self.bytes += END_BYTES;
        Ok(file)
    }

    /// Closes the segment that grows, so that it can be removed. What is in it is safe then.
    pub(in crate::topology::buffer) fn seal(&mut self) -> Result<(), Refusal> {
        let Some(active) = self.active.take() else { return Ok(()) };
        self.bytes -= END_BYTES;
        let Some(segment) = self.segments.back_mut() else { return Ok(()) };
        if segment.bytes == 0 {
            let first = segment.first;
            self.segments.pop_back();
            // Where it stays it is empty, and gone at the next start.
            fs::remove_file(self.path_of(first)).ok();
            return Ok(());
        }
        let events = u32::try_from(segment.events).unwrap_or(u32::MAX);
        let end = Header::new(FrameKind::End, segment.end, events, &[]).write(segment.first);
        match (&*active.file).write_all(&end) {
            Ok(()) => {
                segment.bytes += END_BYTES;
                self.bytes += END_BYTES;
            }
            // It is only the slower to open then.
            Err(_) => drop(active.file.set_len(segment.bytes)),
        }
        active.file.sync_data().map_err(Refusal::Unsafe)
    }

    /// Appends no more to the segment that grows: what is in it may not be safe.
    pub(in crate::topology::buffer) fn abandon(&mut self) {
        if self.active.take().is_some() {
            self.bytes -= END_BYTES;
        }
    }

    /// Whether a frame of this length can never fit.
    pub(in crate::topology::buffer) fn is_too_large(&self, frame_bytes: usize) -> bool {
        frame_bytes as u64 + END_BYTES > self.limits.buffer_bytes
    }

    /// The number that the next frame will have.
    pub(in crate::topology::buffer) fn next(&self) -> u64 {
        self.next
    }

    /// Bytes that it takes on disk.
    pub(in crate::topology::buffer) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Events in all segments, delivered ones included.
    pub(in crate::topology::buffer) fn events(&self) -> u64 {
        self.segments.iter().map(|segment| segment.events).sum()
    }

    /// How many segments there are.
    pub(in crate::topology::buffer) fn len(&self) -> usize {
        self.segments.len()
    }

    /// The segment that holds frame `number`, or the next one behind it.
    pub(super) fn segment_from(&self, number: u64) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.end > number)
    }

    /// The segment that begins with frame `first`.
    pub(super) fn segment(&self, first: u64) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.first == first)
    }

    /// The segment after the one that begins with frame `first`.
    pub(super) fn segment_after(&self, first: u64) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.first > first)
    }

    /// Notes that something in the segment could not be read.
    pub(super) fn note_damage(&mut self, first: u64) {
        if let Some(segment) = self.segments.iter_mut().find(|segment| segment.first == first) {
            segment.damaged = true;
        }
    }

    /// Whether [`Self::remove_below`] would remove anything.
    pub(in crate::topology::buffer) fn has_below(&self, settled: u64) -> bool {
        self.segments.front().is_some_and(|first| {
            let grows = self.active.is_some() && self.segments.len() == 1;
            first.end <= settled && !grows
        })
    }

    /// Removes the segments in which every frame is below `settled`. Damaged ones are put aside.
    pub(in crate::topology::buffer) fn remove_below(&mut self, settled: u64) -> io::Result<()> {
        while self.has_below(settled) {
            let Some(segment) = self.segments.pop_front() else { break };
            self.bytes -= segment.bytes;
            if segment.damaged {
                self.put_aside(segment.first);
            } else {
                fs::remove_file(self.path_of(segment.first))?;
            }
        }
        Ok(())
    }

    /// Moves a segment to where people can look at it, and removes the oldest there.
    fn put_aside(&self, first: u64) {
        let aside = self.dir.join("damaged");
        let moved = fs::create_dir_all(&aside)
            .and_then(|()| fs::rename(self.path_of(first), aside.join(segment_name(first))));
        if let Err(error) = moved {
            let segment = self.path_of(first);
            tracing::warn!(segment = %segment.display(), "a damaged segment stays here: {error}");
        }
        let firsts = segments_in(&aside).unwrap_or_default();
        for first in firsts.iter().take(firsts.len().saturating_sub(MOST_DAMAGED)) {
            fs::remove_file(aside.join(segment_name(*first))).ok();
        }
    }
}

fn of_disk(error: io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Refusal::DiskFull(error),
        _ => Refusal::Fault(error),
    }
}

pub(super) fn segment_name(first: u64) -> String {
    format!("{first:020}.segment")
}

/// The first numbers of the segments in a folder, in order.
pub(in crate::topology::buffer) fn segments_in(dir: &Path) -> io::Result<Vec<u64>> {
    let mut firsts = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".segment"));
        firsts.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    firsts.sort_unstable();
    Ok(firsts)
}
