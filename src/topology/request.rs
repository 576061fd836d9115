//! What a sink sends at a time, and what the other side says to it.

mod filling;

pub use filling::Requests;

use super::component::Fault;
use super::dead_letters::Letter;
use super::once::{Extents, ExtentsSize};
use super::settings::BatchSettings;
use crate::event::Batch;
use crate::event::ack::Ack;
use crate::event::encode::Encoder;
use crate::event::log::{Origin, RecordRef};
use bytes::Bytes;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, OnceLock};
use tokio::time::Instant;

/// Below so many bytes a copy costs less than what it saves.
const LEAST_PASSED: usize = 32 << 10;

/// What goes to one destination in one go.
#[derive(Default)]
pub struct Request {
    /// The destination: a file's path, an object's prefix; empty where there is only one.
    pub key: String,
    /// Whole chunks that go as they were read, before the body. Only what [`Self::pass`] has added.
    front: Vec<Bytes>,
    /// The encoded records.
    pub body: Vec<u8>,
    /// How many records there are.
    pub records: u64,
    /// What the sink has made of the body for the other side.
    wire: OnceLock<Bytes>,
    marking: Marking,
    marks: Vec<Mark>,
    /// Raw texts of records that no transform had touched, for the dead letter.
    texts: Vec<u8>,
    origins: Vec<Arc<Origin>>,
    /// Shares of the batches that the records are from, in order, and what of each is in it.
    pub(super) shares: Vec<Share>,
    /// Where its records are from, for a sink that keeps a journal.
    extents: Option<Extents>,
    /// When its first record came.
    pub(super) opened: Option<Instant>,
    /// Runs in a row that ended while it was sent.
    pub(super) crashes: AtomicU32,
    /// What the other side has said to it, which a run that failed may not have heeded yet.
    pub(super) answer: OnceLock<Answer>,
    /// Whether something that was in it has been dropped already.
    pub(super) dropped: bool,
    /// The batch that last added to it.
    epoch: u64,
}

/// A batch's share in a request, or in something else that a sink puts together of records.
pub struct Share {
    /// The share.
    pub ack: Ack,
    /// The records of the batch that went into it, as they can be told apart.
    pub records: u64,
}

/// What is noted of each record beside its encoded form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Marking {
    /// Nothing: whole batches may be encoded at once.
    #[default]
    Nothing,
    /// Where it stands in the body, for sinks whose server answers for each record.
    Places,
    /// All that a dead letter says.
    Letters,
}

/// One record of a request; metrics have one for a whole batch.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// Where it begins in the body, where its own text does, and where it ends.
    start: usize,
    text_start: usize,
    end: usize,
    /// Where its raw text ends, which begins where that of the one before ends.
    raw_end: usize,
    is_raw: bool,
    records: u64,
    /// Its place among all that the request once had.
    ordinal: usize,
    origin: Option<usize>,
    offset: u64,
    time_ns: i64,
}

/// The size of a request before a batch was added.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    at: usize,
    front: usize,
    body: usize,
    records: u64,
    marks: usize,
    texts: usize,
    extents: ExtentsSize,
}

impl Request {
    /// One that is empty.
    pub fn new(key: &str, marking: Marking) -> Self {
        Self { key: key.to_owned(), marking, ..Self::default() }
    }

    /// Adds a whole batch.
    ///
    /// # Errors
    /// Where the batch has no encoded form.
    pub fn append(&mut self, encoder: &mut Encoder, batch: &Batch) -> Result<(), Fault> {
        match batch {
            Batch::Logs(_) | Batch::Metrics(_) if self.body.is_empty() => {
                encoder.begin(&mut self.body);
            }
            _ => {}
        }
        self.append_without_header(encoder, batch)
    }

    /// As [`Self::append`], where the other side knows whether a header has to come first.
    ///
    /// # Errors
    /// As for [`Self::append`].
    pub fn append_without_header(
        &mut self,
        encoder: &mut Encoder,
        batch: &Batch,
    ) -> Result<(), Fault> {
        let start = self.body.len();
        match batch {
            Batch::Logs(logs) if self.marking != Marking::Nothing => {
                for record in logs.records() {
                    self.append_record(&record, |body| {
                        let start = body.len();
                        encoder.encode_record(&record, body);
                        start
                    });
                }
            }
            Batch::Logs(logs) => {
                if let Some(extents) = &mut self.extents {
                    extents.add_batch(logs);
                }
                encoder.encode(logs, &mut self.body);
                self.records += logs.len() as u64;
            }
            Batch::Metrics(metrics) => {
                encoder.encode_metrics(metrics, &mut self.body);
                self.records += batch.len() as u64;
                if self.marking != Marking::Nothing {
                    self.mark(start, start, batch.len() as u64, None);
                }
            }
            Batch::Tasks(_) => return Err(Fault::fatal("tasks cannot be written as records")),
        }
        Ok(())
    }

    /// As [`Self::append_without_header`], for a sink that writes all the [`Self::parts`] soon: a
    /// large chunk that goes as it was read is not copied, and its memory is held until then.
    ///
    /// # Errors
    /// As for [`Self::append`].
    pub fn pass(&mut self, encoder: &mut Encoder, batch: &Batch) -> Result<(), Fault> {
        if let Batch::Logs(logs) = batch
            && let Some(chunk) = encoder.as_read(logs)
            && chunk.len() >= LEAST_PASSED
            && self.marking == Marking::Nothing
            && self.body.is_empty()
        {
            if let Some(extents) = &mut self.extents {
                extents.add_batch(logs);
            }
            self.front.push(chunk.clone());
            self.records += logs.len() as u64;
            return Ok(());
        }
        self.append_without_header(encoder, batch)
    }

    /// What is to be written, in order.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.front.iter().map(|chunk| &**chunk).chain([&*self.body])
    }

    /// The bytes in it.
    pub fn bytes(&self) -> usize {
        self.parts().map(<[u8]>::len).sum()
    }

    /// Adds one record that `write` appends to the body. It returns where in the body the record's
    /// own text begins, after whatever the protocol wants before it.
    pub fn append_record(
        &mut self,
        record: &RecordRef<'_>,
        write: impl FnOnce(&mut Vec<u8>) -> usize,
    ) {
        let start = self.body.len();
        let text_start = write(&mut self.body);
        self.records += 1;
        if let Some(extents) = &mut self.extents {
            extents.add_record(record);
        }
        if self.marking != Marking::Nothing {
            self.mark(start, text_start, 1, Some(record));
        }
    }

    fn mark(
        &mut self,
        start: usize,
        text_start: usize,
        records: u64,
        record: Option<&RecordRef<'_>>,
    ) {
        let mut mark = Mark {
            start,
            text_start,
            end: self.body.len(),
            raw_end: self.texts.len(),
            is_raw: false,
            records,
            ordinal: self.marks.len(),
            origin: None,
            offset: 0,
            time_ns: 0,
        };
        if let Some(record) = record.filter(|_| self.marking == Marking::Letters) {
            let origin = &record.batch().origin;
            if !self.origins.last().is_some_and(|last| Arc::ptr_eq(last, origin)) {
                self.origins.push(Arc::clone(origin));
            }
            mark.origin = self.origins.len().checked_sub(1);
            mark.offset = record.offset();
            mark.time_ns = record.time_ns();
            mark.is_raw = record.is_untouched();
            if mark.is_raw {
                self.texts.extend_from_slice(record.raw());
                mark.raw_end = self.texts.len();
            }
        }
        self.marks.push(mark);
    }

    /// The body in the form that goes to the other side, made by `make` when it is first asked
    /// for, and kept for further attempts.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn wire<E>(&self, make: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>) -> Result<Bytes, E> {
        if let Some(made) = self.wire.get() {
            return Ok(made.clone());
        }
        let made = Bytes::from(make(&self.body)?);
        Ok(self.wire.get_or_init(|| made).clone())
    }

    /// Where its records are from; nothing where the sink keeps no journal.
    pub fn extents(&self) -> Option<&Extents> {
        self.extents.as_ref()
    }

    /// The encoded form of each record, where places are marked.
    pub fn encoded(&self) -> impl Iterator<Item = &[u8]> {
        self.marks.iter().filter_map(|mark| self.body.get(mark.start..mark.end))
    }

    /// A request of these records alone, by their places in this one.
    pub(super) fn only(&self, records: &[usize]) -> Self {
        let mut rest = Self::new(&self.key, self.marking);
        rest.origins.clone_from(&self.origins);
        for &at in records {
            let Some(mark) = self.marks.get(at) else { continue };
            let base = rest.body.len();
            rest.body.extend_from_slice(&self.body[mark.start..mark.end]);
            rest.texts.extend_from_slice(self.raw(at));
            rest.records += mark.records;
            rest.marks.push(Mark {
                start: base,
                text_start: base + (mark.text_start - mark.start),
                end: rest.body.len(),
                raw_end: rest.texts.len(),
                ..*mark
            });
        }
        rest
    }

    fn raw(&self, at: usize) -> &[u8] {
        let begin = at.checked_sub(1).map_or(0, |before| self.marks[before].raw_end);
        &self.texts[begin..self.marks[at].raw_end]
    }

    /// How many records there are at these places; metrics have one place for a whole batch.
    pub(super) fn records_at(&self, places: impl Iterator<Item = usize>) -> u64 {
        places.filter_map(|at| self.marks.get(at)).map(|mark| mark.records).sum()
    }

    /// How many records can be told apart.
    pub(super) fn marked(&self) -> usize {
        self.marks.len()
    }

    /// What is known of a rejected record.
    pub(super) fn letter<'r>(&'r self, rejected: &'r Rejected) -> Option<Letter<'r>> {
        let at = rejected.record;
        let mark = self.marks.get(at)?;
        let text = if mark.is_raw {
            self.raw(at)
        } else {
            {
                let text = &self.body[mark.text_start..mark.end];
                text.strip_suffix(b"\n").unwrap_or(text)
            }
        };
        let origin = mark.origin.and_then(|origin| self.origins.get(origin)).map(|it| &**it);
        let (offset, time_ns) = (mark.offset, mark.time_ns);
        let (reason, status) = (&*rejected.reason, rejected.status);
        Some(Letter { text, origin, offset, time_ns, reason, status })
    }

    /// Notes that these records, by their places in this request, are given up.
    pub(super) fn reject(&self, reason: &str, records: impl Iterator<Item = usize>) {
        for (share, positions) in self.by_share(records) {
            if !positions.is_empty() {
                share.ack.reject(reason, &positions, share.records);
            }
        }
    }

    /// Notes that all records that are still in it are given up.
    pub(super) fn reject_rest(&self, reason: &str) {
        if self.marking == Marking::Nothing {
            // Nothing was ever taken out of it.
            self.shares.iter().for_each(|share| share.ack.note_rejected(reason));
        } else {
            self.reject(reason, 0..self.marks.len());
        }
    }

    /// Shares for these records of the request, and for no others.
    pub(super) fn shares_at(&self, records: impl Iterator<Item = usize>) -> Vec<Ack> {
        let by_share = self.by_share(records).into_iter();
        by_share.map(|(share, positions)| share.ack.share_at(&positions, share.records)).collect()
    }

    /// For each share, the positions among its records of those at these places of the request.
    fn by_share(&self, records: impl Iterator<Item = usize>) -> Vec<(&Share, Vec<usize>)> {
        let mut ordinals: Vec<usize> =
            records.filter_map(|at| self.marks.get(at)).map(|mark| mark.ordinal).collect();
        ordinals.sort_unstable();
        by_share(&self.shares, ordinals.into_iter())
    }

    /// How many records were added since it was of this size, as they can be told apart.
    fn since(&self, size: &Size) -> u64 {
        match self.marking {
            Marking::Nothing => self.records - size.records,
            Marking::Places | Marking::Letters => (self.marks.len() - size.marks) as u64,
        }
    }

    /// Whether nothing more should be added.
    pub(super) fn is_full(&self, batch: &BatchSettings) -> bool {
        self.records > 0
            && (self.bytes() >= batch.bytes.as_usize() || self.records >= batch.records)
    }

    fn size(&self, at: usize) -> Size {
        let (marks, texts) = (self.marks.len(), self.texts.len());
        let extents = self.extents.as_ref().map(Extents::size).unwrap_or_default();
        let (front, body) = (self.front.len(), self.body.len());
        Size { at, front, body, records: self.records, marks, texts, extents }
    }

    fn cut_back(&mut self, size: Size) {
        self.front.truncate(size.front);
        self.body.truncate(size.body);
        self.records = size.records;
        self.marks.truncate(size.marks);
        self.texts.truncate(size.texts);
        if let Some(extents) = &mut self.extents {
            extents.cut_back(size.extents);
        }
    }
}

/// For each share, the positions among its records of those at these places, in ascending order,
/// of what was put together.
pub(super) fn by_share(
    shares: &[Share],
    places: impl Iterator<Item = usize>,
) -> Vec<(&Share, Vec<usize>)> {
    let mut places = places.peekable();
    let mut begin = 0;
    let mut all = Vec::new();
    for share in shares {
        let end = begin + usize::try_from(share.records).unwrap_or(usize::MAX);
        let mut positions = Vec::new();
        while let Some(place) = places.next_if(|place| *place < end) {
            positions.push(place - begin);
        }
        all.push((share, positions));
        begin = end;
    }
    all
}

/// What the other side says to a request. Records go by their places in it, from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Records that will never be accepted. All others are, but those of `again`.
    pub rejected: Vec<Rejected>,
    /// Records that are worth another try.
    pub again: Vec<usize>,
    /// Why they were not accepted now.
    pub reason: String,
    /// How long the other side wants to be left alone.
    pub pause: Option<std::time::Duration>,
}

/// A record that will never be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its place in the request.
    pub record: usize,
    /// Why, in the other side's words, without secrets.
    pub reason: String,
    /// The other side's number for it, as HTTP has one.
    pub status: Option<u16>,
}
