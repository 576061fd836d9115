//! Log records as they flow: spans over a shared chunk, and a flat table of fields.
//!
//! One read of a file is one immutable chunk, shared by everyone who holds a part of it. A record
//! is a span into it. Parsing fills one flat table per batch; a field's value is a span too,
//! until somebody asks for what it says. What no transform touched is written out by copying.
//! In the steady state nothing is allocated per record.

mod field;
pub mod framing;
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
mod kept;
mod keys;
pub mod multiline;
mod name;
mod objects;
mod split;
pub mod stream;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use field::write_float;
pub use field::{Field, FieldRef, Value};
pub use kept::{GroupBy, Kept, KeptRecord};
pub use keys::{KeyId, Keys};
pub use name::NamePattern;
pub use table::{FieldWriter, OwnedRecord, PackedLogs, Record, RecordRef, Spare, Verdict};

use bytes::Bytes;
use std::sync::{Arc, OnceLock};
use table::Table;

/// Where the records of a batch come from; shared by all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The component that read them: `logs.nginx`.
    pub source: Arc<str>,
    /// The node's name.
    pub host: Arc<str>,
    /// The file, where there is one.
    pub path: Option<Arc<str>>,
    /// What tells the file's content from all other that the source has ever read, whatever name
    /// it had; 0 where nothing does.
    pub content: u64,
}

/// The bytes of its file that a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first of them.
    pub begin: u64,
    /// Where its text ends, as far as that can be told from its line end.
    pub text_end: u64,
    /// Where the next record may begin.
    pub end: u64,
}

/// Lines of one origin, read together.
#[derive(Clone, Debug)]
pub struct LogBatch {
    /// Where they come from.
    pub origin: Arc<Origin>,
    /// Where the chunk begins in its file, in bytes; with a record's start it identifies a record.
    pub offset: u64,
    /// When the chunk was read: nanoseconds since the epoch.
    pub read_at_ns: i64,
    chunk: Bytes,
    /// Where records begin in the file, where that does not follow from their place in the chunk:
    /// a place in the chunk, and the bytes from `offset` on.
    places: Option<Arc<[(u32, u32)]>>,
    /// How many lines the chunk has.
    lines: usize,
    /// Made when somebody first looks at single records, and copied on the first change after a
    /// fan-out. Counting lines is many times as fast as cutting them, and a batch that is only
    /// copied or searched as a whole is never cut.
    table: OnceLock<Arc<Table>>,
    /// Where its tables have their memory from, if not from the allocator.
    spare: Option<Spare>,
}

impl LogBatch {
    /// The lines of `chunk`, one record each. A last line without a line end is a record too.
    ///
    /// # Panics
    /// Never; a chunk above 4 GiB is cut there (readers stay below 2 MiB).
    pub fn from_lines(chunk: &Bytes, origin: Arc<Origin>, offset: u64, read_at_ns: i64) -> Self {
        let chunk = chunk.slice(..chunk.len().min(u32::MAX as usize));
        let unended = chunk.last().is_some_and(|byte| *byte != b'\n');
        let lines = bytecount::count(&chunk, b'\n') + usize::from(unended);
        let table = OnceLock::new();
        Self { origin, offset, read_at_ns, chunk, places: None, lines, table, spare: None }
    }

    /// The records at these places of `chunk`, in order: for text whose records are not its
    /// lines. `places` says for each where it begins in the file, counted from `offset`, if not
    /// where it begins in the chunk; one more, where it is known, says where the last one ends.
    pub fn from_records(
        chunk: Bytes,
        records: &[(usize, usize)],
        places: Option<Vec<u32>>,
        (origin, offset, read_at_ns): (Arc<Origin>, u64, i64),
    ) -> Self {
        let fit = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let places = places.map(|places| {
            // One place more is where the last record ends.
            let starts = records.iter().map(|(start, _)| *start).chain([chunk.len()]);
            starts.zip(places).map(|(start, place)| (fit(start), place)).collect()
        });
        let records: Vec<Record> =
            records.iter().map(|(start, end)| Record::at(*start, *end)).collect();
        let lines = records.len();
        let table = Arc::new(Table::of_records(records)).into();
        Self { origin, offset, read_at_ns, chunk, places, lines, table, spare: None }
    }

    /// Where the record that begins at this place of the chunk begins in the file.
    fn place(&self, start: u32) -> u64 {
        let in_file = self.places.as_ref().map_or(start, |places| {
            let at = places.partition_point(|(known, _)| *known <= start);
            at.checked_sub(1).map_or(start, |at| places[at].1)
        });
        self.offset + u64::from(in_file)
    }

    /// The bytes of the file that the whole chunk is; `None` where its text is not the file's.
    pub fn extent(&self) -> Option<(u64, u64)> {
        let end = self.offset + self.chunk.len() as u64;
        self.places.is_none().then_some((self.offset, end))
    }

    /// The bytes of the file that this record of the batch is; `None` where nobody knows.
    pub fn extent_of(&self, record: &RecordRef<'_>) -> Option<Extent> {
        let (start, end) = record.span();
        let Some(places) = &self.places else {
            let ended = u64::from(self.chunk.get(end as usize) == Some(&b'\n'));
            let (begin, text_end) = (self.offset + u64::from(start), self.offset + u64::from(end));
            return Some(Extent { begin, text_end, end: text_end + ended });
        };
        let next = places.partition_point(|(known, _)| *known <= start);
        let end = self.offset + u64::from(places.get(next)?.1);
        Some(Extent { begin: record.offset(), text_end: end, end })
    }

    fn table(&self) -> &Arc<Table> {
        self.table
            .get_or_init(|| Arc::new(Table::of_records(split::lines(&self.chunk, self.lines))))
    }

    fn change(&mut self, change: impl FnOnce(&mut Table)) {
        let mut table = Arc::clone(self.table());
        // The batch's own hold must go first, or there would always be two.
        self.table = OnceLock::new();
        change(Arc::make_mut(&mut table));
        self.table = table.into();
    }

    /// The whole chunk.
    pub fn chunk(&self) -> &Bytes {
        &self.chunk
    }

    /// Number of records that no filter has left out.
    pub fn len(&self) -> usize {
        self.table.get().map_or(self.lines, |table| table.live())
    }

    /// How many records it began with, or was cut down to when it was made.
    pub(super) fn places(&self) -> usize {
        self.table.get().map_or(self.lines, |table| table.records().len())
    }

    /// Calls `each` with the place of every record that no filter has left out, in order, counted
    /// over the `places` that the batch once had. `false` where they cannot be told any more.
    pub(super) fn each_place(&self, places: usize, mut each: impl FnMut(u32)) -> bool {
        let at = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        let Some(table) = self.table.get() else {
            (0..places).map(at).for_each(each);
            return places == self.lines;
        };
        if table.records().len() == places {
            let records = table.records().iter().enumerate();
            let live = records.filter(|(_, record)| !record.is_dropped());
            live.for_each(|(place, _)| each(at(place)));
            return true;
        }
        if self.lines != places {
            return false;
        }
        // Only the lines that were found were cut: their places follow from the line ends between.
        let (mut place, mut begin) = (0, 0);
        for record in table.records() {
            let start = record.start as usize;
            let before = self.chunk.get(begin..start).unwrap_or_default();
            place += bytecount::count(before, b'\n');
            begin = start;
            if !record.is_dropped() {
                each(at(place));
            }
        }
        true
    }

    /// Whether every record has been left out.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nothing was parsed yet in the whole batch, so that every record is its line.
    pub fn is_plain(&self) -> bool {
        self.table.get().is_none_or(|table| !table.is_opened())
    }

    /// Whether the batch is its chunk, line by line: nothing was parsed, changed or left out.
    pub fn is_uncut(&self) -> bool {
        self.table.get().is_none()
    }

    /// Makes the lines at these places, in order and without their line feeds, the only records.
    pub fn keep_lines(&mut self, places: impl Iterator<Item = (usize, usize)>) {
        let records = places.map(|(start, end)| Record::at(start, end)).collect();
        self.table = Arc::new(Table::of_records(records)).into();
    }

    /// Bytes held by this batch: chunk and made strings.
    pub fn bytes(&self) -> usize {
        self.chunk.len() + self.table.get().map_or(0, |table| table.side().len())
    }

    /// Bytes that it takes in memory: as [`Self::bytes`], and its records and fields, which can
    /// come to as much as the chunk.
    pub fn memory_bytes(&self) -> usize {
        self.chunk.len() + self.table.get().map_or(0, |table| table.memory_bytes())
    }

    /// The records that no filter has left out, in order.
    pub fn records(&self) -> impl Iterator<Item = RecordRef<'_>> {
        self.table()
            .records()
            .iter()
            .filter(|record| !record.is_dropped())
            .map(|record| RecordRef::new(self, record))
    }

    /// All names of fields in this batch.
    pub fn keys(&self) -> &Keys {
        self.table().keys()
    }

    /// Leaves out every record for which `keep` says no.
    pub fn retain(&mut self, mut keep: impl FnMut(&RecordRef<'_>) -> bool) {
        let verdicts: Vec<bool> = self.records().map(|record| keep(&record)).collect();
        if verdicts.iter().all(|keep| *keep) {
            return;
        }
        let mut verdicts = verdicts.into_iter();
        self.change(|table| table.drop_where(|_| !verdicts.next().unwrap_or(true)));
    }

    /// Leaves out every record that `keep`, given the raw span of each live record in order,
    /// says no to. For tests that look at the chunk as a whole.
    pub fn retain_spans(&mut self, mut keep: impl FnMut(usize, usize) -> bool) {
        self.change(|table| {
            table.drop_where(|record| !keep(record.start as usize, record.end as usize));
        });
    }

    /// Has tables that are made from here on take their memory from `spare`, and give it back.
    pub fn reuse(&mut self, spare: &Spare) {
        self.spare = Some(spare.clone());
    }

    /// Rebuilds the field table: `rewrite` sees each live record in order and writes the fields
    /// that it shall have, or says with its [`Verdict`] that the record stays as it is or goes.
    pub fn rewrite(
        &mut self,
        mut rewrite: impl FnMut(&RecordRef<'_>, &mut FieldWriter<'_>) -> Verdict,
    ) {
        let table = self.table();
        let mut next = table.successor(self.spare.as_ref());
        for record in table.records() {
            if record.is_dropped() {
                next.keep_dropped(record);
                continue;
            }
            let view = RecordRef::new(self, record);
            let mut writer = next.writer();
            let verdict = rewrite(&view, &mut writer);
            next.finish(table, record, verdict);
        }
        self.table = Arc::new(next).into();
    }
}
