//! A look at one record of a file: cut and decoded by the same code that follows files, but
//! nothing is followed and nothing is kept.

use super::FileSource;
use super::content::{Content, OpenFiles};
use super::position::{ANCHOR_BYTES, Position};
use super::tracked::{Ahead, CHUNK_BYTES, Lines, Reading, Taken, Tracked};
use crate::event::log::Origin;
use crate::event::log::framing::Coding;
use crate::host::clock;
use crate::topology::component::{Glimpse, Place};
use crate::topology::memory::{Memory, Reserve};
use futures::FutureExt;
use rustix::io::Errno;
use std::path::Path;
use std::sync::Arc;

/// Where a record stands depends on what is before it. In a large file no more than this is cut
/// before the place that is asked for.
const BEFORE_BYTES: u64 = 16 << 20;

/// The record of the file at `path` that is at `place`.
pub(super) fn glimpse(
    source: &FileSource,
    path: &Path,
    place: Place,
    (name, host): (&Arc<str>, &Arc<str>),
) -> Result<Glimpse, String> {
    let fault = |error: Errno| match error {
        Errno::NOENT => format!("`{}`: there is no such regular file", path.display()),
        other => format!("`{}`: {other}", path.display()),
    };
    let open = OpenFiles::default();
    let (content, id) = Content::open(path, &open).map_err(fault)?;
    let shown: Arc<str> = path.to_string_lossy().into();
    let (source_name, host) = (Arc::clone(name), Arc::clone(host));
    let origin = Arc::new(Origin { source: source_name, host, path: Some(shown), content: 0 });
    let mut file = Tracked::new(0, path.to_owned(), id, (content, open), origin);
    // What is there is all that will be looked at, ended or not.
    file.flush = true;
    let room = Memory::new(usize::MAX).reserve();
    let mut looking = Looking { source, file, room, notes: Vec::new() };
    let found = looking.at(place).map_err(fault)?;
    found.map_err(|why| format!("`{}`: {why}", path.display()))
}

struct Looking<'l> {
    source: &'l FileSource,
    file: Tracked,
    room: Reserve,
    notes: Vec<String>,
}

impl Looking<'_> {
    /// What cannot be read is the outer error; what is not there is the inner one.
    fn at(&mut self, place: Place) -> Result<Result<Glimpse, String>, Errno> {
        let coding = self.file.coding(&self.source.framing)?;
        let offset = match place {
            Place::Byte(offset) => offset,
            Place::Line(line) => match self.begin_of_line(line, &coding)? {
                Ok(offset) => offset,
                Err(why) => return Ok(Err(why)),
            },
        };
        let from = self.begin_before(offset, &coding)?;
        let position = Position::at(self.file.content()?, from)?;
        self.file.start(position, Vec::new())?;
        loop {
            let bytes = match self.file.ahead()? {
                Ahead::Bytes(bytes) => bytes,
                Ahead::Nothing => {
                    let end = self.file.position.offset;
                    return Ok(Err(format!("it ends at byte {end}")));
                }
                Ahead::Replaced => return Ok(Err("it changes while it is looked at".to_owned())),
            };
            match self.read(bytes, &coding)? {
                Lines::Some(taken) if taken.end.offset > offset => {
                    return Ok(Ok(self.pick(taken, offset)));
                }
                Lines::Some(_) => {}
                Lines::Skipped if self.file.position.offset > offset => {
                    return Ok(Err("what stands there is no text: a byte order mark, or zeros \
                                   that a truncation has left"
                        .to_owned()));
                }
                Lines::SkippedLine if self.file.position.offset > offset => {
                    return Ok(Err("the line there is longer than `max_line_bytes`, and so left \
                                   out"
                    .to_owned()));
                }
                Lines::Skipped | Lines::SkippedLine => {}
                Lines::Replaced => return Ok(Err("it changes while it is looked at".to_owned())),
                Lines::Longer => {
                    let end = self.file.position.offset;
                    return Ok(Err(format!("what begins at byte {end} is no whole record")));
                }
            }
        }
    }

    fn read(&mut self, bytes: u64, coding: &Coding) -> Result<Lines, Errno> {
        let limits = &self.source.limits;
        let longest = limits.longest;
        let reading =
            Reading { framing: &self.source.framing, longest, on_long_line: limits.on_long_line };
        let mut want = bytes.min(CHUNK_BYTES).min(longest + 1);
        // The end of a compressed file is known only once it was reached.
        let mut ended = false;
        loop {
            let room = self.source.framing.room(want + ANCHOR_BYTES, coding);
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            let chunk = self.room.chunk(room).now_or_never().ok_or(Errno::NOMEM)?;
            match self.file.read(chunk, want, None, reading)? {
                Lines::Longer if want < bytes.min(longest + 1) => want = bytes.min(longest + 1),
                Lines::Longer if self.file.is_packed() && !ended => ended = true,
                lines => return Ok(lines),
            }
        }
    }

    /// The record that has the byte.
    fn pick(&mut self, taken: Taken, offset: u64) -> Glimpse {
        if taken.truncated {
            let end = taken.end.offset;
            self.notes.push(format!("the rest of the line, up to byte {end}, is left out"));
        }
        let end = taken.end.offset;
        let (origin, inode) = (Arc::clone(&self.file.origin), self.file.inode);
        let metadata = &self.source.limits.metadata;
        let mut record = taken.into_batch(origin, clock::now_ns(), (metadata, inode));
        let begins: Vec<u64> = record.records().map(|record| record.offset()).collect();
        let after = begins.partition_point(|begin| *begin <= offset);
        let begin = after.checked_sub(1).map_or(offset, |at| begins[at]);
        let end = begins.get(after).copied().unwrap_or(end);
        let mut at = 0;
        record.retain(|_| {
            at += 1;
            at == after.max(1)
        });
        Glimpse { record, begin, end, notes: std::mem::take(&mut self.notes) }
    }

    /// Where a line begins; the first one is 1.
    fn begin_of_line(&mut self, line: u64, coding: &Coding) -> Result<Result<u64, String>, Errno> {
        let (mut at, mut begin, mut known) = (0, 0, 1);
        while known < line {
            let text = self.file.content()?.read_at(at, CHUNK_BYTES)?;
            let mut seen = 0;
            while known < line
                && let Some(next) = coding.next_line(&text[seen..])
            {
                seen += next;
                known += 1;
                begin = at + seen as u64;
            }
            if known < line && (text.len() as u64) < CHUNK_BYTES {
                let lines = if seen < text.len() { known } else { known - 1 };
                return Ok(Err(format!("it has {lines} lines")));
            }
            at += seen.max(text.len().saturating_sub(coding.overlap()) & !1) as u64;
        }
        Ok(Ok(begin))
    }

    /// Where cutting begins, so that the record at `offset` is found.
    fn begin_before(&mut self, offset: u64, coding: &Coding) -> Result<u64, Errno> {
        // A compressed file has to be unpacked from its beginning in any case.
        let near = offset.saturating_sub(BEFORE_BYTES) & !1;
        if near == 0 || self.file.is_packed() {
            return Ok(0);
        }
        let text = self.file.content()?.read_at(near, BEFORE_BYTES)?;
        let Some(next) = coding.next_line(&text) else { return Ok(near) };
        if self.source.limits.timeout.is_some() {
            let note = "lines were joined from 16 MiB before this place on, not from the file's \
                        beginning";
            self.notes.push(note.to_owned());
        }
        Ok(near + next as u64)
    }
}
