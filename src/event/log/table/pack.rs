//! Log records as bytes. A batch that nobody has cut is its chunk; of any other only the live
//! records are kept, with the parts of the chunk that they and their fields lie in. Unpacked, these
//! parts are the chunk, nothing is copied, and every record still knows its place in the file.

use super::super::{Field, KeyId, Keys, LogBatch, Origin, Value};
use super::{Form, Record, Table};
use crate::event::pack::wire::{Taker, put, put_bytes, put_float, put_signed, put_size};
use bytes::Bytes;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Parts of a chunk nearer to each other than this are kept as one.
const GAP_BYTES: u32 = 32;

/// What stands behind each part: nothing that is searched for lies across two.
const PART_END: u8 = b'\n';

const FORMS: [Form; 4] = [Form::Line, Form::Parsed, Form::ParsedJson, Form::Touched];

/// A packed batch that was looked at, and not unpacked yet.
#[derive(Debug)]
pub struct PackedLogs {
    bytes: Bytes,
    origin: Origin,
    offset: u64,
    read_at_ns: i64,
    chunk: PackedChunk,
}

#[derive(Debug)]
enum PackedChunk {
    /// All of it, from here on.
    Whole { at: usize },
    /// Parts of a chunk: these bytes. The table follows behind them.
    Parts { parts: Parts, bytes: Range<usize> },
}

/// Which parts of a chunk were kept, in order, and where they are now.
#[derive(Debug, Default)]
struct Parts {
    all: Vec<Part>,
    /// The one that was asked for last: mostly the next place is in it too.
    last: usize,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    start: u32,
    end: u32,
    /// Where it begins now.
    now: u32,
}

impl LogBatch {
    /// Appends the batch as bytes.
    pub(crate) fn pack(&self, out: &mut Vec<u8>) {
        let Self { origin, offset, read_at_ns, chunk, lines: _, table, places, spare: _ } = self;
        let Origin { source, host, path, content } = &**origin;
        put_bytes(out, source.as_bytes());
        put_bytes(out, host.as_bytes());
        put(out, u64::from(path.is_some()));
        put_bytes(out, path.as_deref().unwrap_or_default().as_bytes());
        put(out, *content);
        put(out, *offset);
        put_signed(out, *read_at_ns);
        let Some(table) = table.get() else {
            out.push(0);
            out.extend_from_slice(chunk);
            return;
        };
        out.push(2);
        let parts = table.parts();
        put_size(out, parts.len());
        let mut last = 0;
        for (start, end) in &parts {
            put(out, u64::from(start - last));
            put(out, u64::from(end - start));
            last = *start;
        }
        for (start, end) in parts {
            out.extend_from_slice(chunk.get(start as usize..end as usize).unwrap_or_default());
            out.push(PART_END);
        }
        put(out, u64::from(places.is_some()));
        if let Some(places) = places {
            // Those of records that were left out are of no use.
            let live = |start: &u32| places.binary_search_by_key(start, |place| place.0).ok();
            let starts = table.records.iter().filter(|it| !it.dropped).map(|it| it.start);
            let live: Vec<usize> = starts.filter_map(|start| live(&start)).collect();
            put_size(out, live.len());
            for at in live {
                put(out, u64::from(places[at].0));
                put(out, u64::from(places[at].1));
            }
        }
        table.pack(out);
    }
}

impl Table {
    /// The parts of the chunk that the live records and their fields lie in, from where to before
    /// where, in order, none touching another.
    fn parts(&self) -> Vec<(u32, u32)> {
        let mut spans: Vec<(u32, u32)> = Vec::with_capacity(self.live);
        for record in self.records.iter().filter(|record| !record.dropped) {
            spans.push((record.start, record.end));
            for field in self.fields_of(record) {
                if let Value::Text(start, len) | Value::Json(start, len) = field.value {
                    let end = start.saturating_add(len);
                    if start < record.start || end > record.end {
                        spans.push((start, end));
                    }
                }
            }
        }
        if !spans.is_sorted() {
            spans.sort_unstable();
        }
        let mut parts: Vec<(u32, u32)> = Vec::new();
        for (start, end) in spans {
            match parts.last_mut() {
                Some((_, last)) if start <= last.saturating_add(GAP_BYTES) => {
                    *last = end.max(*last);
                }
                _ => parts.push((start, end)),
            }
        }
        parts
    }

    fn pack(&self, out: &mut Vec<u8>) {
        // What is left out here is only of use while a rewrite goes on.
        let Self { keys, records, fields: _, side, live, opened, mark: _, time_ns: _ } = self;
        put(out, u64::from(*opened));
        put_size(out, keys.len());
        for key in 0..keys.len() {
            put_bytes(out, keys.name(KeyId(u32::try_from(key).unwrap_or(u32::MAX))).as_bytes());
        }
        put_bytes(out, side);
        put_size(out, *live);
        for record in records.iter().filter(|record| !record.dropped) {
            let Record { start, end, time_ns, first_field: _, fields: _, dropped: _, form } =
                record;
            put(out, u64::from(*start));
            put(out, u64::from(end.saturating_sub(*start)));
            put_signed(out, *time_ns);
            put_size(out, FORMS.iter().position(|known| known == form).unwrap_or(0));
            let fields = self.fields_of(record);
            put_size(out, fields.len());
            for Field { key, value } in fields {
                put(out, u64::from(key.0));
                pack_value(*value, out);
            }
        }
    }

    fn unpack(taker: &mut Taker<'_>, parts: &mut Parts) -> Option<Self> {
        let opened = taker.take()? == 1;
        let mut keys = Keys::default();
        for _ in 0..taker.count()? {
            keys.intern(taker.text()?);
        }
        let known = keys.len();
        let side = taker.bytes()?.to_vec();
        let live = taker.count()?;
        let mut table = Self {
            keys: Arc::new(keys),
            records: Vec::with_capacity(live),
            side,
            live,
            opened,
            ..Self::default()
        };
        for _ in 0..live {
            let start = taker.u32()?;
            let end = start.checked_add(taker.u32()?)?;
            let time_ns = taker.signed()?;
            let form = *FORMS.get(taker.size()?)?;
            let first_field = u32::try_from(table.fields.len()).ok()?;
            let fields = u16::try_from(taker.count()?).ok()?;
            for _ in 0..fields {
                let key = taker.u32().filter(|key| (*key as usize) < known)?;
                let value = unpack_value(taker, parts)?;
                table.fields.push(Field { key: KeyId(key), value });
            }
            let (start, end, dropped) = (parts.now(start, end)?, parts.now(end, end)?, false);
            table.records.push(Record { start, end, time_ns, first_field, fields, dropped, form });
        }
        Some(table)
    }
}

fn pack_value(value: Value, out: &mut Vec<u8>) {
    let mut span = |tag: u8, start: u32, len: u32| {
        out.push(tag);
        put(out, u64::from(start));
        put(out, u64::from(len));
    };
    match value {
        Value::Text(start, len) => span(5, start, len),
        Value::Json(start, len) => span(6, start, len),
        Value::MadeText(start, len) => span(7, start, len),
        Value::MadeJson(start, len) => span(8, start, len),
        Value::Null => out.push(0),
        Value::Bool(value) => out.push(1 + u8::from(value)),
        Value::Int(value) => {
            out.push(3);
            put_signed(out, value);
        }
        Value::Float(value) => {
            out.push(4);
            put_float(out, value);
        }
    }
}

fn unpack_value(taker: &mut Taker<'_>, parts: &mut Parts) -> Option<Value> {
    let mut span = |taker: &mut Taker<'_>| {
        let (start, len) = (taker.u32()?, taker.u32()?);
        Some((parts.now(start, start.checked_add(len)?)?, len))
    };
    Some(match taker.byte()? {
        0 => Value::Null,
        1 => Value::Bool(false),
        2 => Value::Bool(true),
        3 => Value::Int(taker.signed()?),
        4 => Value::Float(taker.float()?),
        5 => span(taker).map(|(start, len)| Value::Text(start, len))?,
        6 => span(taker).map(|(start, len)| Value::Json(start, len))?,
        7 => Value::MadeText(taker.u32()?, taker.u32()?),
        8 => Value::MadeJson(taker.u32()?, taker.u32()?),
        _ => return None,
    })
}

impl PackedLogs {
    /// Looks at packed bytes; `None` where they are none.
    pub(crate) fn new(bytes: &Bytes) -> Option<Self> {
        let mut taker = Taker::new(bytes);
        let (source, host) = (taker.text()?.into(), taker.text()?.into());
        let has_path = taker.take()? == 1;
        let path = Some(taker.text()?).filter(|_| has_path).map(Into::into);
        let origin = Origin { source, host, path, content: taker.take()? };
        let (offset, read_at_ns) = (taker.take()?, taker.signed()?);
        let chunk = match taker.byte()? {
            0 => PackedChunk::Whole { at: bytes.len() - taker.rest().len() },
            2 => {
                let parts = Parts::unpack(&mut taker)?;
                let at = bytes.len() - taker.rest().len();
                taker.raw(parts.bytes())?;
                PackedChunk::Parts { bytes: at..at + parts.bytes(), parts }
            }
            _ => return None,
        };
        Some(Self { bytes: bytes.clone(), origin, offset, read_at_ns, chunk })
    }

    /// The batch; `None` where the table makes no sense.
    pub(crate) fn unpack(self) -> Option<LogBatch> {
        let (origin, offset, read_at_ns) = (Arc::new(self.origin), self.offset, self.read_at_ns);
        let (mut parts, bytes) = match self.chunk {
            PackedChunk::Whole { at } => {
                return Some(LogBatch::from_lines(
                    &self.bytes.slice(at..),
                    origin,
                    offset,
                    read_at_ns,
                ));
            }
            PackedChunk::Parts { parts, bytes } => (parts, bytes),
        };
        let mut taker = Taker::new(self.bytes.get(bytes.end..)?);
        let mut places = Vec::new();
        let has_places = taker.take()? == 1;
        if has_places {
            for _ in 0..taker.count()? {
                let start = taker.u32()?;
                places.push((parts.now(start, start)?, taker.u32()?));
            }
        }
        let table = Table::unpack(&mut taker, &mut parts)?;
        if !has_places && parts.moved() {
            let starts = table.records.iter().map(|record| record.start);
            places = starts.map(|now| Some((now, parts.before(now)?))).collect::<Option<_>>()?;
        }
        let has_places = has_places || parts.moved();
        Some(LogBatch {
            origin,
            offset,
            read_at_ns,
            chunk: self.bytes.slice(bytes),
            places: has_places.then(|| places.into()),
            lines: table.live,
            table: OnceLock::from(Arc::new(table)),
            spare: None,
        })
    }
}

impl Parts {
    fn unpack(taker: &mut Taker<'_>) -> Option<Self> {
        let mut parts = Self::default();
        let (mut start, mut now) = (0u32, 0u32);
        for _ in 0..taker.count()? {
            start = start.checked_add(taker.u32()?)?;
            let len = taker.u32()?;
            let end = start.checked_add(len)?;
            if parts.all.last().is_some_and(|last| start <= last.end) {
                return None;
            }
            parts.all.push(Part { start, end, now });
            now = now.checked_add(len)?.checked_add(1)?;
        }
        Some(parts)
    }

    /// How many bytes they are, with what stands behind each.
    fn bytes(&self) -> usize {
        self.all.last().map_or(0, |last| (last.now + (last.end - last.start)) as usize + 1)
    }

    /// Whether some part is not where it was.
    fn moved(&self) -> bool {
        self.all.iter().any(|part| part.now != part.start)
    }

    /// Where the bytes from `start` to before `end` begin now; `None` where they are not all in one
    /// part.
    fn now(&mut self, start: u32, end: u32) -> Option<u32> {
        let holds = |part: &Part| part.start <= start && start <= end && end <= part.end;
        if !self.all.get(self.last).is_some_and(holds) {
            let after = self.all.partition_point(|part| part.start <= start);
            self.last = after.checked_sub(1).filter(|at| holds(&self.all[*at]))?;
        }
        let part = self.all[self.last];
        Some(part.now + (start - part.start))
    }

    /// Where the byte that is at `now` was before.
    fn before(&self, now: u32) -> Option<u32> {
        let after = self.all.partition_point(|part| part.now <= now);
        let part = self.all[after.checked_sub(1)?];
        Some(part.start + (now - part.now))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{FieldRef, Verdict};
    use super::*;
    use proptest::prelude::*;

    fn there_and_back(batch: &LogBatch) -> (LogBatch, usize) {
        let mut bytes = Vec::new();
        batch.pack(&mut bytes);
        let packed = PackedLogs::new(&Bytes::from(bytes.clone())).unwrap();
        (packed.unpack().unwrap(), bytes.len())
    }

    type Seen = (Vec<u8>, u64, i64, [bool; 3], Vec<(String, String)>);

    fn seen(batch: &LogBatch) -> Vec<Seen> {
        let show = |value: FieldRef<'_>| format!("{value:?}");
        let records = batch.records().map(|record| {
            let forms = [record.is_untouched(), record.is_json_line(), record.is_unparsed()];
            let fields = record.fields().map(|(name, value)| (name.to_owned(), show(value)));
            (record.raw().to_vec(), record.offset(), record.time_ns(), forms, fields.collect())
        });
        records.collect()
    }

    #[test]
    fn an_uncut_batch_is_its_chunk_and_is_not_copied() {
        let path = Some("/var/log/a".into());
        let origin =
            Arc::new(Origin { source: "logs.a".into(), host: "h".into(), path, content: 7 });
        let batch = LogBatch::from_lines(&Bytes::from("a\n\nb"), origin, 7, -5);
        let mut bytes = Vec::new();
        batch.pack(&mut bytes);
        let bytes = Bytes::from(bytes);
        let packed = PackedLogs::new(&bytes).unwrap();
        let back = packed.unpack().unwrap();
        assert!(back.is_uncut());
        assert!(bytes.as_ptr_range().contains(&back.chunk().as_ptr()));
        assert_eq!(back.origin, batch.origin);
        assert_eq!(seen(&back), seen(&batch));
    }

    #[test]
    fn what_a_filter_left_out_takes_no_room() {
        let text = [b"x".repeat(10_000), b"\nkept\n".to_vec(), b"y".repeat(10_000)].concat();
        let mut batch = LogBatch::from_lines(&Bytes::from(text), Arc::default(), 100, 0);
        batch.retain(|record| record.raw() == b"kept");
        let (back, packed_bytes) = there_and_back(&batch);
        assert_eq!(seen(&back), seen(&batch));
        assert!(packed_bytes < 64, "{packed_bytes}");
    }

    #[test]
    fn a_record_of_several_lines_is_still_known_by_its_place_in_the_file() {
        let chunk = Bytes::from("a\nb\nc\nd\n");
        let about = (Arc::default(), 1000, 0);
        let mut batch =
            LogBatch::from_records(chunk, &[(0, 3), (4, 5), (6, 7)], Some(vec![0, 50, 90]), about);
        batch.retain(|record| record.raw() != b"c");
        let (back, _) = there_and_back(&batch);
        assert_eq!(seen(&back), seen(&batch));
        assert_eq!(back.records().map(|record| record.offset()).collect::<Vec<_>>(), [1000, 1090]);
    }

    fn step() -> impl Strategy<Value = (u8, i64, String)> {
        (0..7u8, any::<i64>(), "[a-z]{0,3}")
    }

    proptest! {
        #[test]
        fn whatever_was_done_to_it_a_batch_comes_back_as_it_was(
            lines in proptest::collection::vec("[a-z\"{}]{0,80}", 1..12),
            steps in proptest::collection::vec(step(), 12),
            again in proptest::collection::vec(any::<bool>(), 12),
        ) {
            let text = lines.join("\n");
            let mut batch = LogBatch::from_lines(&Bytes::from(text), Arc::default(), 1 << 40, 9);
            let mut at = steps.iter();
            let all = batch.chunk().clone();
            batch.rewrite(|record, writer| {
                let Some((step, number, name)) = at.next() else { return Verdict::Keep };
                match step {
                    0 => return Verdict::Keep,
                    1 => return Verdict::Drop,
                    2 => writer.push(name, Value::Int(*number)),
                    3 => writer.push(name, record.text_at(record.raw())),
                    4 => writer.push(name, record.json_at(&all[..all.len().min(3)])),
                    5 => writer.push_text(name, b"made"),
                    _ => {
                        writer.push("float", Value::Float(0.5));
                        writer.push_json(name, b"[1]");
                        writer.push("yes", Value::Bool(true));
                        writer.push("none", Value::Null);
                        writer.set_time_ns(*number);
                    }
                }
                [Verdict::Parsed, Verdict::ParsedJson, Verdict::Touched][usize::from(*step) % 3]
            });
            let mut keep = again.iter();
            batch.retain(|_| *keep.next().unwrap_or(&true));
            let (back, _) = there_and_back(&batch);
            prop_assert_eq!(seen(&back), seen(&batch));
            prop_assert_eq!(back.len(), batch.len());
            prop_assert_eq!(back.is_plain(), batch.is_plain());
        }

        #[test]
        fn no_bytes_are_trusted(bytes: Vec<u8>, cut: bool) {
            let mut whole = Vec::new();
            let mut batch = LogBatch::from_lines(&Bytes::from("a\nb\n"), Arc::default(), 1, 2);
            if cut {
                batch.retain(|record| record.raw() == b"b");
            }
            batch.pack(&mut whole);
            whole.truncate(whole.len() / 2);
            whole.extend(bytes);
            if let Some(batch) = PackedLogs::new(&Bytes::from(whole)).and_then(PackedLogs::unpack) {
                seen(&batch);
            }
        }
    }
}
