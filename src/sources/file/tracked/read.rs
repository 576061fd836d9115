//! Reading: the next records of a file.

use super::{CHUNK_BYTES, Tracked};
use crate::event::log::framing::{Coding, Cut, Flush, Framing};
use crate::event::log::{FieldRef, LogBatch, Origin, Value, Verdict};
use crate::sources::file::position::{FINGERPRINT_BYTES, Position, checksum};
use crate::sources::file::{Metadata, OnLongLine};
use crate::topology::memory::Chunk;
use bytes::Bytes;
use rustix::io::Errno;
use std::sync::Arc;

/// How the records of a source are read.
#[derive(Clone, Copy)]
pub(in crate::sources::file) struct Reading<'r> {
    pub(in crate::sources::file) framing: &'r Framing,
    /// The longest line, in bytes.
    pub(in crate::sources::file) longest: u64,
    pub(in crate::sources::file) on_long_line: OnLongLine,
}

/// Records that were read.
#[derive(Debug)]
pub(in crate::sources::file) struct Taken {
    pub(in crate::sources::file) text: Bytes,
    /// Their places in the text, where they are not its lines.
    pub(in crate::sources::file) records: Option<Vec<(usize, usize)>>,
    /// Where each begins, from `begin` on, where that does not follow from its place.
    pub(in crate::sources::file) places: Option<Vec<u32>>,
    /// Where the first begins in the file.
    pub(in crate::sources::file) begin: u64,
    /// Where the last ends.
    pub(in crate::sources::file) end: Position,
    /// Whether it is a line of which the rest was left out.
    pub(in crate::sources::file) truncated: bool,
}

/// What a read gave.
#[derive(Debug)]
pub(in crate::sources::file) enum Lines {
    Some(Taken),
    /// What begins here is longer than what was read.
    Longer,
    /// The file has other content than before.
    Replaced,
    /// Bytes that stand for nothing were passed over.
    Skipped,
    /// A line that is too long was passed over.
    SkippedLine,
}

impl Tracked {
    /// How the file's text is written.
    pub(in crate::sources::file) fn coding(&mut self, framing: &Framing) -> Result<Coding, Errno> {
        if let Some((coding, _)) = &self.coding {
            return Ok(coding.clone());
        }
        let begin = self.content()?.read_at(0, 3)?;
        let (coding, mark) = framing.coding(&begin);
        // The first bytes may still be missing.
        if begin.len() == 3 || self.flush {
            self.coding = Some((coding.clone(), mark as u64));
        }
        Ok(coding)
    }

    /// Reads whole records from `bytes` bytes ahead, up to `until` if that is among them.
    pub(in crate::sources::file) fn read(
        &mut self,
        mut chunk: Chunk,
        bytes: u64,
        until: Option<u64>,
        reading: Reading<'_>,
    ) -> Result<Lines, Errno> {
        let coding = self.coding(reading.framing)?;
        let at = self.position.offset;
        let anchor_bytes = self.position.anchor_bytes();
        self.content()?.fill(&mut chunk.data, at - anchor_bytes, anchor_bytes + bytes)?;
        self.note_end();
        let anchor = usize::try_from(anchor_bytes).unwrap_or(0);
        let fits = chunk.data.get(..anchor).is_some_and(|b| checksum(b) == self.position.anchor);
        if !fits {
            return Ok(Lines::Replaced);
        }
        if let Some(skipped) = self.skip_what_is_no_text(&chunk.data, anchor) {
            return Ok(skipped);
        }
        let until = until.and_then(|until| usize::try_from(until - at).ok());
        let until = until.filter(|until| *until <= chunk.data.len() - anchor);
        if let Some(until) = until {
            chunk.data.truncate(anchor + until);
        }
        let body = chunk.data.len() - anchor;
        let longest = usize::try_from(reading.longest).unwrap_or(usize::MAX);
        let ends_here = at + body as u64 >= self.size();
        let flush = match () {
            () if until.is_some() || (self.flush && ends_here) => Flush::All,
            () if self.release && ends_here => Flush::Records,
            () => Flush::Nothing,
        };
        let mut cut = reading.framing.cut(&mut chunk.data, anchor, &coding, flush);
        if cut.used == 0 && cut.has_line && body > longest {
            // No more of this record is looked at.
            chunk.data.truncate(anchor + body);
            cut = reading.framing.cut(&mut chunk.data, anchor, &coding, Flush::Records);
        }
        self.held = cut.used == 0 && cut.has_line;
        if cut.used == 0 && body > longest {
            return self.long_line(chunk, anchor, &coding, reading);
        }
        if cut.used == 0 {
            return Ok(Lines::Longer);
        }
        let end = Position::after(at + cut.used as u64, &chunk.data[..anchor + cut.used]);
        self.pass(&chunk.data[anchor..anchor + cut.used], end);
        Ok(Lines::Some(taken(chunk, cut, at, end)))
    }

    /// Deals with a line of which more than the longest is there.
    fn long_line(
        &mut self,
        mut chunk: Chunk,
        anchor: usize,
        coding: &Coding,
        reading: Reading<'_>,
    ) -> Result<Lines, Errno> {
        let at = self.position.offset;
        let longest = usize::try_from(reading.longest).unwrap_or(usize::MAX);
        let len = coding.cut_of(&chunk.data[anchor..], longest);
        if reading.on_long_line == OnLongLine::Split {
            let end = Position::after(at + len as u64, &chunk.data[..anchor + len]);
            self.pass(&chunk.data[anchor..anchor + len], end);
            let cut = reading.framing.piece(&mut chunk.data, anchor, len, coding);
            return Ok(Lines::Some(taken(chunk, cut, at, end)));
        }
        let Some(next) = self.next_line(at + len as u64, coding)? else {
            return Ok(Lines::Longer);
        };
        let end = Position::at(self.content()?, next)?;
        self.pass(&chunk.data[anchor..anchor + len], end);
        if reading.on_long_line == OnLongLine::Skip {
            return Ok(Lines::SkippedLine);
        }
        let cut = reading.framing.piece(&mut chunk.data, anchor, len, coding);
        Ok(Lines::Some(Taken { truncated: true, ..taken(chunk, cut, at, end) }))
    }

    /// Where the line after the one that goes on at `from` begins; `None` while its end has not
    /// been written. What was searched is not searched again.
    fn next_line(&mut self, from: u64, coding: &Coding) -> Result<Option<u64>, Errno> {
        let overlap = coding.overlap() as u64;
        let mut at = self.searched.max(from - overlap.min(from - self.position.offset));
        loop {
            let text = self.content()?.read_at(at, CHUNK_BYTES)?;
            self.note_end();
            if let Some(next) = coding.next_line(&text) {
                self.searched = 0;
                return Ok(Some(at + next as u64));
            }
            // At whole units of UTF-16.
            let step = (text.len() as u64).saturating_sub(overlap) & !1;
            if (text.len() as u64) < CHUNK_BYTES {
                self.searched = at + step;
                let end = at + text.len() as u64;
                return Ok((self.flush && end >= self.size()).then_some(end));
            }
            at += step;
        }
    }

    /// Passes over what no sink needs.
    pub(in crate::sources::file) fn skip_to(&mut self, offset: u64) -> Result<(), Errno> {
        let position = Position::at(self.content()?, offset)?;
        let mut marks = std::mem::take(&mut self.marks);
        self.start(position, Vec::new())?;
        std::mem::swap(&mut self.marks, &mut marks);
        Ok(())
    }

    /// Passes over a byte order mark, and over zeros that a truncation has left.
    fn skip_what_is_no_text(&mut self, data: &[u8], anchor: usize) -> Option<Lines> {
        let body = &data[anchor..];
        if self.position.offset == 0 {
            // Some bytes of a mark may still be missing.
            let part = |mark: &[u8]| !body.is_empty() && mark.starts_with(body);
            let marks = [&b"\xef\xbb\xbf"[..], b"\xff\xfe", b"\xfe\xff"];
            let Some((_, mark)) = &self.coding else {
                return marks.iter().any(|mark| part(mark)).then_some(Lines::Longer);
            };
            let mark = usize::try_from(*mark).unwrap_or(0);
            if mark > 0 {
                let bytes = body.get(..mark)?;
                self.pass(bytes, Position::after(mark as u64, &data[..anchor + mark]));
                return Some(Lines::Skipped);
            }
        }
        let plain = self.coding.as_ref().is_none_or(|(coding, _)| coding.has_no_zeros());
        if !self.hole || !plain || body.is_empty() {
            return None;
        }
        let zeros = body.iter().take_while(|byte| **byte == 0).count();
        self.hole = zeros == body.len();
        if zeros == 0 {
            return None;
        }
        let end = Position::after(self.position.offset + zeros as u64, &data[..anchor + zeros]);
        self.pass(&body[..zeros], end);
        Some(Lines::Skipped)
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

fn taken(chunk: Chunk, cut: Cut, begin: u64, end: Position) -> Taken {
    let text = chunk.freeze().slice(cut.text.0..cut.text.1);
    let Cut { records, mut places, used, .. } = cut;
    if let Some(places) = &mut places {
        places.push(u32::try_from(used).unwrap_or(u32::MAX));
    }
    Taken { text, records, places, begin, end, truncated: false }
}

impl Taken {
    /// As a batch, with what is asked for of the file as fields.
    pub(in crate::sources::file) fn into_batch(
        self,
        origin: Arc<Origin>,
        now_ns: i64,
        (metadata, inode): (&[Metadata], u64),
    ) -> LogBatch {
        let mut logs = match self.records {
            None => LogBatch::from_lines(&self.text, origin, self.begin, now_ns),
            Some(records) => {
                let about = (origin, self.begin, now_ns);
                LogBatch::from_records(self.text, &records, self.places, about)
            }
        };
        if !metadata.is_empty() {
            add_metadata(&mut logs, metadata, inode);
        }
        logs
    }
}

/// Adds what is asked for to each record, after its line as `message`.
fn add_metadata(logs: &mut LogBatch, wanted: &[Metadata], inode: u64) {
    let (path, host) = (logs.origin.path.clone(), Arc::clone(&logs.origin.host));
    let number = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
    logs.rewrite(|record, fields| {
        fields.push("message", record.text_at(record.message()));
        for metadata in wanted {
            match metadata {
                Metadata::Offset => fields.push("offset", number(record.offset())),
                Metadata::Inode => fields.push("inode", number(inode)),
                Metadata::Host => fields.push_copy("host", FieldRef::Text(host.as_bytes())),
                Metadata::Path => {
                    let path = path.as_deref().unwrap_or_default();
                    fields.push_copy("path", FieldRef::Text(path.as_bytes()));
                }
            }
        }
        Verdict::Touched
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_of_a_file_stands_beside_the_line() {
        let text = Bytes::from_static(b"one\ntwo\n");
        let (records, places, end) = (None, None, Position::default());
        let taken = Taken { text, records, places, begin: 100, end, truncated: false };
        let origin =
            Origin { host: "web1".into(), path: Some("/var/log/a".into()), ..Origin::default() };
        let wanted = [Metadata::Host, Metadata::Path, Metadata::Offset, Metadata::Inode];
        let logs = taken.into_batch(Arc::new(origin), 0, (&wanted, 7));
        let last = logs.records().last().unwrap();
        let fields: Vec<_> = last.fields().map(|(name, value)| (name, value.to_json())).collect();
        let expected = [
            ("message", "two".into()),
            ("host", "web1".into()),
            ("path", "/var/log/a".into()),
            ("offset", 104.into()),
            ("inode", 7.into()),
        ];
        assert_eq!(fields, expected);
    }
}
