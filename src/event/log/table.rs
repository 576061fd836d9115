//! The flat table behind a batch: records, fields, names, and the bytes made on the way.

mod fields;
mod pack;

pub use fields::Spare;
pub use pack::PackedLogs;

use super::{Field, FieldRef, KeyId, Keys, LogBatch, Value};
use fields::Fields;
use std::sync::Arc;

/// No time of its own: the batch's reading time counts.
const NO_TIME: i64 = i64::MIN;

/// One record: its line in the chunk and its fields in the table.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// First byte of the line in the chunk.
    pub start: u32,
    /// One past its last byte, without the line feed.
    pub end: u32,
    time_ns: i64,
    first_field: u32,
    fields: u16,
    dropped: bool,
    form: Form,
}

/// How a record's line and its fields belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Nothing was parsed: the line is the field `message`.
    Line,
    /// The fields were read from the line, and say what it says.
    Parsed,
    /// The line is a JSON object, and the fields are its entries.
    ParsedJson,
    /// Somebody changed the fields; the line no longer stands for them.
    Touched,
}

/// What a rewrite decided about one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it was; what was written is forgotten.
    Keep,
    /// The written fields are what the line says.
    Parsed,
    /// The written fields are the entries of the JSON object that the line is.
    ParsedJson,
    /// The written fields are new.
    Touched,
    /// Left out from here on.
    Drop,
}

impl Record {
    /// A record of the chunk's bytes from `start` to `end`, nothing parsed. Chunks are below
    /// 4 GiB, so the numbers fit.
    pub(super) fn at(start: usize, end: usize) -> Self {
        let fit = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            start: fit(start),
            end: fit(end),
            time_ns: NO_TIME,
            first_field: 0,
            fields: 0,
            dropped: false,
            form: Form::Line,
        }
    }

    pub(super) fn is_dropped(&self) -> bool {
        self.dropped
    }
}

/// The table. Cloned only when a shared batch is changed.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    keys: Arc<Keys>,
    records: Vec<Record>,
    fields: Fields,
    side: Vec<u8>,
    live: usize,
    /// Whether some record was parsed or changed.
    opened: bool,
    /// Where the record that is being written began, in `fields` and `side`.
    mark: (usize, usize),
    time_ns: i64,
}

impl Table {
    pub(super) fn of_records(records: Vec<Record>) -> Self {
        Self { live: records.len(), records, ..Self::default() }
    }

    pub(super) fn live(&self) -> usize {
        self.live
    }

    pub(super) fn side(&self) -> &[u8] {
        &self.side
    }

    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&self.records[..]) + size_of_val(&self.fields[..]) + self.side.len()
    }

    pub(super) fn is_opened(&self) -> bool {
        self.opened
    }

    pub(super) fn records(&self) -> &[Record] {
        &self.records
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(super) fn drop_where(&mut self, mut drop: impl FnMut(&Record) -> bool) {
        for record in self.records.iter_mut().filter(|record| !record.dropped) {
            record.dropped = drop(record);
            self.live -= usize::from(record.dropped);
        }
    }

    /// An empty table for a rewrite of this one: it knows the same names, and what was made on
    /// the way stays where it is.
    pub(super) fn successor(&self, spare: Option<&Spare>) -> Self {
        // Room for a usual parse, so that the table does not grow step by step.
        let room = self.fields.len().max(self.live * 12);
        Self {
            keys: Arc::clone(&self.keys),
            records: Vec::with_capacity(self.records.len()),
            fields: Fields::with_room(room, spare),
            side: self.side.clone(),
            opened: self.opened,
            ..Self::default()
        }
    }

    pub(super) fn keep_dropped(&mut self, record: &Record) {
        self.records.push(*record);
    }

    pub(super) fn writer(&mut self) -> FieldWriter<'_> {
        self.mark = (self.fields.len(), self.side.len());
        self.time_ns = NO_TIME;
        let guess = self.records.last().map_or(0, |record| record.first_field as usize);
        FieldWriter { first_guess: guess, guess, table: self }
    }

    pub(super) fn finish(&mut self, old: &Self, record: &Record, verdict: Verdict) {
        let mut record = *record;
        let (first, made) = self.mark;
        match verdict {
            Verdict::Keep => {
                self.fields.truncate(first);
                self.side.truncate(made);
                self.fields.extend_from_slice(old.fields_of(&record));
            }
            Verdict::Parsed => record.form = Form::Parsed,
            Verdict::ParsedJson => record.form = Form::ParsedJson,
            Verdict::Touched => record.form = Form::Touched,
            Verdict::Drop => {
                record.dropped = true;
                self.fields.truncate(first);
                self.side.truncate(made);
            }
        }
        self.opened |= !matches!(verdict, Verdict::Keep | Verdict::Drop);
        if verdict != Verdict::Keep && self.time_ns != NO_TIME {
            record.time_ns = self.time_ns;
        }
        record.first_field = u32::try_from(first).unwrap_or(u32::MAX);
        record.fields = u16::try_from(self.fields.len() - first).unwrap_or(u16::MAX);
        self.live += usize::from(!record.dropped);
        self.records.push(record);
    }

    fn fields_of(&self, record: &Record) -> &[Field] {
        let first = record.first_field as usize;
        self.fields.get(first..first + usize::from(record.fields)).unwrap_or_default()
    }
}

/// Writes one record's fields during [`LogBatch::rewrite`].
pub struct FieldWriter<'t> {
    table: &'t mut Table,
    /// Position in the previous record: records of one log mostly have the same names in the
    /// same order, so the name there is tried before any search.
    guess: usize,
    /// Where the previous record's fields begin.
    first_guess: usize,
}

impl FieldWriter<'_> {
    /// Adds a field. A name may come twice, as it may in JSON; the last one counts.
    #[inline]
    pub fn push(&mut self, name: &str, value: Value) {
        let key = self.key(name);
        self.table.fields.push(Field { key, value });
    }

    /// Adds a field whose name has this batch's number, such as one of the batch that is being
    /// rewritten.
    pub fn push_field(&mut self, field: Field) {
        self.table.fields.push(field);
    }

    /// Adds a value that comes from elsewhere; text and JSON are copied.
    pub fn push_copy(&mut self, name: &str, value: FieldRef<'_>) {
        match value {
            FieldRef::Null => self.push(name, Value::Null),
            FieldRef::Bool(value) => self.push(name, Value::Bool(value)),
            FieldRef::Int(value) => self.push(name, Value::Int(value)),
            FieldRef::Float(value) => self.push(name, Value::Float(value)),
            FieldRef::Text(text) => self.push_text(name, text),
            FieldRef::Json(json) => self.push_json(name, json),
        }
    }

    /// Adds text that was made on the way.
    pub fn push_text(&mut self, name: &str, text: &[u8]) {
        let (start, len) = self.make(text);
        self.push(name, Value::MadeText(start, len));
    }

    /// Adds a JSON value that was made on the way. It must be valid JSON. Line feeds in it, which
    /// can only be white space, become blanks, so that any record fits on a line.
    pub fn push_json(&mut self, name: &str, json: &[u8]) {
        let value = self.make_json(json);
        self.push(name, value);
    }

    /// A JSON value that was made on the way, for [`Self::push_field`].
    pub fn make_json(&mut self, json: &[u8]) -> Value {
        let (start, len) = self.make(json);
        for byte in &mut self.table.side[start as usize..] {
            if *byte == b'\n' {
                *byte = b' ';
            }
        }
        Value::MadeJson(start, len)
    }

    /// Sets the record's own time, in nanoseconds since the epoch.
    pub fn set_time_ns(&mut self, time_ns: i64) {
        self.table.time_ns = time_ns;
    }

    /// The fields written so far for this record.
    pub fn written(&self) -> &[Field] {
        &self.table.fields[self.table.mark.0..]
    }

    /// Forgets the fields written so far for this record.
    pub fn clear(&mut self) {
        self.table.fields.truncate(self.table.mark.0);
        self.table.side.truncate(self.table.mark.1);
        self.guess = self.first_guess;
        self.table.time_ns = NO_TIME;
    }

    /// Forgets all fields of this record but the first `count`.
    pub fn truncate(&mut self, count: usize) {
        self.table.fields.truncate(self.table.mark.0 + count);
    }

    /// The names of fields.
    pub fn keys(&self) -> &Keys {
        &self.table.keys
    }

    /// A value of the record that is being written, with the bytes it points at.
    pub fn value<'v>(&'v self, record: &RecordRef<'v>, value: Value) -> FieldRef<'v> {
        resolve(value, &record.batch.chunk, &self.table.side)
    }

    /// The number of a name, for comparing with [`Field::key`].
    #[inline]
    pub fn key(&mut self, name: &str) -> KeyId {
        let guess = self.table.fields.get(self.guess).map(|field| field.key);
        self.guess += 1;
        match guess {
            Some(key) if same(self.table.keys.name(key).as_bytes(), name.as_bytes()) => key,
            _ => match self.table.keys.find(name) {
                Some(key) => key,
                None => Arc::make_mut(&mut self.table.keys).intern(name),
            },
        }
    }

    fn make(&mut self, bytes: &[u8]) -> (u32, u32) {
        let fit = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let start = self.table.side.len();
        self.table.side.extend_from_slice(bytes);
        (fit(start), fit(bytes.len()))
    }
}

/// Whether two short names are the same, without a call.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    match (a.first_chunk::<8>(), b.first_chunk::<8>()) {
        // First and last eight bytes cover up to sixteen.
        (Some(first), Some(other)) if a.len() == b.len() && a.len() <= 16 => {
            first == other && a.last_chunk::<8>() == b.last_chunk::<8>()
        }
        (None, None) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b),
        _ => a == b,
    }
}

/// A record that holds on to its batch, for whoever cannot borrow it.
#[derive(Clone, Debug)]
pub struct OwnedRecord {
    batch: Arc<LogBatch>,
    record: Record,
}

impl OwnedRecord {
    /// The record to look at.
    pub fn view(&self) -> RecordRef<'_> {
        RecordRef { batch: &self.batch, record: &self.record }
    }
}

/// A record with the batch it belongs to.
#[derive(Clone, Copy)]
pub struct RecordRef<'b> {
    batch: &'b LogBatch,
    record: &'b Record,
}

impl<'b> RecordRef<'b> {
    pub(super) fn new(batch: &'b LogBatch, record: &'b Record) -> Self {
        Self { batch, record }
    }

    /// The batch that it belongs to.
    pub fn batch(&self) -> &'b LogBatch {
        self.batch
    }

    /// The record held by `batch`, which must be a clone of the one that it belongs to.
    pub fn held_by(&self, batch: &Arc<LogBatch>) -> OwnedRecord {
        OwnedRecord { batch: Arc::clone(batch), record: *self.record }
    }

    /// The line as it was read, without its line feed (a carriage return stays).
    pub fn raw(&self) -> &'b [u8] {
        self.batch
            .chunk
            .get(self.record.start as usize..self.record.end as usize)
            .unwrap_or_default()
    }

    /// Where the line stands in the chunk.
    pub fn span(&self) -> (u32, u32) {
        (self.record.start, self.record.end)
    }

    /// Where the line begins in its file.
    pub fn offset(&self) -> u64 {
        self.batch.place(self.record.start)
    }

    /// The record's own time, else when it was read: nanoseconds since the epoch.
    pub fn time_ns(&self) -> i64 {
        if self.record.time_ns == NO_TIME { self.batch.read_at_ns } else { self.record.time_ns }
    }

    /// Whether the line still says all that the record says.
    pub fn is_untouched(&self) -> bool {
        self.record.form != Form::Touched
    }

    /// Whether the line is a JSON object that says all that the record says.
    pub fn is_json_line(&self) -> bool {
        self.record.form == Form::ParsedJson
    }

    /// Whether nothing was parsed yet, so that the only field is `message`, the line.
    pub fn is_unparsed(&self) -> bool {
        self.record.form == Form::Line
    }

    /// The fields in order, as stored. Empty where nothing was parsed.
    pub fn stored_fields(&self) -> &'b [Field] {
        self.batch.table().fields_of(self.record)
    }

    /// Names and values in order; the line as `message` where nothing was parsed.
    pub fn fields(&self) -> impl Iterator<Item = (&'b str, FieldRef<'b>)> + use<'b> {
        let batch = self.batch;
        let message = self.is_unparsed().then(|| ("message", FieldRef::Text(self.message())));
        message.into_iter().chain(
            self.stored_fields()
                .iter()
                .map(move |field| (batch.table().keys.name(field.key), batch.value(field.value))),
        )
    }

    /// Names and stored values in order, for writing the record anew; the line as `message`
    /// where nothing was parsed.
    pub fn entries(&self) -> impl Iterator<Item = (&'b str, Value)> + use<'b> {
        let batch = self.batch;
        let message = self.is_unparsed().then(|| ("message", self.text_at(self.message())));
        message.into_iter().chain(
            self.stored_fields()
                .iter()
                .map(|field| (batch.table().keys.name(field.key), field.value)),
        )
    }

    /// The field with this name; the last one where there are several.
    pub fn get(&self, name: &str) -> Option<FieldRef<'b>> {
        if self.is_unparsed() {
            return (name == "message").then(|| FieldRef::Text(self.message()));
        }
        self.get_key(self.batch.table().keys.find(name)?)
    }

    /// The field with this number, for loops that look the name up once a batch.
    pub fn get_key(&self, key: KeyId) -> Option<FieldRef<'b>> {
        let field = self.stored_fields().iter().rev().find(|field| field.key == key)?;
        Some(self.batch.value(field.value))
    }

    /// The line without line feed and carriage return.
    pub fn message(&self) -> &'b [u8] {
        let raw = self.raw();
        raw.strip_suffix(b"\r").unwrap_or(raw)
    }

    /// Whether `slice` lies in the chunk, so that it can be kept as a span.
    pub fn holds(&self, slice: &[u8]) -> bool {
        let chunk = self.batch.chunk.as_ptr_range();
        let slice = slice.as_ptr_range();
        chunk.start <= slice.start && slice.end <= chunk.end
    }

    /// A span in the chunk, for a slice of [`Self::raw`] or of another text in the chunk.
    ///
    /// A slice that [`Self::holds`] denies gives an empty text.
    pub fn text_at(&self, slice: &[u8]) -> Value {
        let (start, len) = self.place_of(slice);
        Value::Text(start, len)
    }

    /// As [`Self::text_at`], for a slice that is one valid JSON value.
    pub fn json_at(&self, slice: &[u8]) -> Value {
        let (start, len) = self.place_of(slice);
        Value::Json(start, len)
    }

    fn place_of(&self, slice: &[u8]) -> (u32, u32) {
        let from = slice.as_ptr().addr().wrapping_sub(self.batch.chunk.as_ptr().addr());
        match (u32::try_from(from), u32::try_from(slice.len())) {
            (Ok(start), Ok(len)) if from + slice.len() <= self.batch.chunk.len() => (start, len),
            _ => (0, 0),
        }
    }
}

impl LogBatch {
    /// A stored value with the bytes it points at.
    pub fn value(&self, value: Value) -> FieldRef<'_> {
        resolve(value, &self.chunk, self.table().side())
    }
}

fn resolve<'v>(value: Value, chunk: &'v [u8], side: &'v [u8]) -> FieldRef<'v> {
    fn at(bytes: &[u8], start: u32, len: u32) -> &[u8] {
        bytes.get(start as usize..start as usize + len as usize).unwrap_or_default()
    }
    match value {
        Value::Null => FieldRef::Null,
        Value::Bool(value) => FieldRef::Bool(value),
        Value::Int(value) => FieldRef::Int(value),
        Value::Float(value) => FieldRef::Float(value),
        Value::Text(start, len) => FieldRef::Text(at(chunk, start, len)),
        Value::Json(start, len) => FieldRef::Json(at(chunk, start, len)),
        Value::MadeText(start, len) => FieldRef::Text(at(side, start, len)),
        Value::MadeJson(start, len) => FieldRef::Json(at(side, start, len)),
    }
}
