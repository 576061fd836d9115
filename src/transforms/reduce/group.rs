//! One group: what its records have become so far.

use super::Strategy;
use crate::event::log::{FieldRef, Kept, KeptRecord, RecordRef};
use indexmap::IndexMap;
use std::time::Duration;

/// How records are merged.
pub(super) struct Rules {
    pub(super) merge: IndexMap<String, Strategy>,
    pub(super) separator: String,
    pub(super) count: Option<String>,
}

/// Records that belong together.
pub(super) struct Group {
    pub(super) key: Box<[u8]>,
    /// The batch of the first one.
    pub(super) batch: u64,
    pub(super) last_at: Duration,
    pub(super) records: u64,
    /// Bytes held, about.
    pub(super) bytes: usize,
    place: KeptRecord,
    fields: Vec<(Box<str>, Merged)>,
}

/// What a field's values have become so far.
enum Merged {
    One(Kept),
    Number(f64),
    Text(Vec<u8>),
    /// A JSON list, without its end.
    List(Vec<u8>),
    Count(u64),
}

impl Group {
    pub(super) fn new(record: &RecordRef<'_>, key: Box<[u8]>, batch: u64) -> Self {
        let place = KeptRecord::empty(record);
        let bytes = size_of::<Self>() + 2 * key.len();
        let (last_at, records, fields) = Default::default();
        Self { key, batch, last_at, records, bytes, place, fields }
    }

    pub(super) fn add(&mut self, record: &RecordRef<'_>, now: Duration, rules: &Rules) {
        self.records += 1;
        self.last_at = now;
        for (name, value) in record.fields() {
            let strategy = rules.merge.get(name).copied().unwrap_or(Strategy::First);
            match self.fields.iter_mut().find(|(known, _)| **known == *name) {
                Some((_, merged)) => {
                    let before = merged.bytes();
                    merged.add(value, strategy, &rules.separator);
                    self.bytes = (self.bytes + merged.bytes()).saturating_sub(before);
                }
                None => {
                    if let Some(merged) = Merged::first(value, strategy) {
                        self.bytes += name.len() + merged.bytes() + size_of::<(Box<str>, Merged)>();
                        self.fields.push((name.into(), merged));
                    }
                }
            }
        }
    }

    pub(super) fn into_record(self, rules: &Rules) -> KeptRecord {
        let mut record = self.place;
        record.fields =
            self.fields.into_iter().map(|(name, merged)| (name, merged.into_value())).collect();
        if let Some(name) = &rules.count {
            record.set(name, Kept::Int(i64::try_from(self.records).unwrap_or(i64::MAX)));
        }
        record
    }
}

impl Merged {
    /// The first value; `None` where it says nothing, such as a text where numbers are added.
    fn first(value: FieldRef<'_>, strategy: Strategy) -> Option<Self> {
        Some(match strategy {
            Strategy::First | Strategy::Last => Self::One(Kept::of(value)),
            Strategy::Sum | Strategy::Min | Strategy::Max => Self::Number(number(value)?),
            Strategy::Concat => {
                let mut text = Vec::new();
                value.write_display(&mut text);
                Self::Text(text)
            }
            Strategy::Array => {
                let mut list = b"[".to_vec();
                write_json(value, &mut list);
                Self::List(list)
            }
            Strategy::Count => Self::Count(1),
        })
    }

    fn add(&mut self, value: FieldRef<'_>, strategy: Strategy, separator: &str) {
        match self {
            Self::One(one) if strategy == Strategy::Last => *one = Kept::of(value),
            Self::One(_) => {}
            Self::Number(sum) => {
                let Some(number) = number(value) else { return };
                *sum = match strategy {
                    Strategy::Min => sum.min(number),
                    Strategy::Max => sum.max(number),
                    _ => *sum + number,
                };
            }
            Self::Text(text) => {
                text.extend_from_slice(separator.as_bytes());
                value.write_display(text);
            }
            Self::List(list) => {
                list.push(b',');
                write_json(value, list);
            }
            Self::Count(count) => *count += 1,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::One(value) => value.bytes(),
            Self::Text(bytes) | Self::List(bytes) => bytes.len(),
            Self::Number(_) | Self::Count(_) => 0,
        }
    }

    fn into_value(self) -> Kept {
        match self {
            Self::One(value) => value,
            Self::Number(number) => whole(number).map_or(Kept::Float(number), Kept::Int),
            Self::Text(text) => Kept::Text(text),
            Self::List(mut list) => {
                list.push(b']');
                Kept::Json(list)
            }
            Self::Count(count) => Kept::Int(i64::try_from(count).unwrap_or(i64::MAX)),
        }
    }
}

/// A number, also one that a pattern has left as text.
fn number(value: FieldRef<'_>) -> Option<f64> {
    let number = match value.as_text() {
        Some(text) => std::str::from_utf8(&text).ok()?.trim().parse().ok(),
        None => value.as_number(),
    };
    number.filter(|number| number.is_finite())
}

/// A number without a fraction that a whole number can hold exactly.
fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and is small enough")]
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

/// Appends a value as JSON. Bytes that are not UTF-8 are replaced.
fn write_json(value: FieldRef<'_>, out: &mut Vec<u8>) {
    match value {
        FieldRef::Json(raw) => out.extend_from_slice(raw),
        other => out.extend_from_slice(other.to_json().to_string().as_bytes()),
    }
}
