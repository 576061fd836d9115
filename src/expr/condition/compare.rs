//! Comparing two values as Jinja does, without making values of Jinja from them.

use crate::event::log::FieldRef;
use crate::event::number::short_whole;
use std::borrow::Cow;
use std::cmp::Ordering;

/// Two values that have no order, such as text and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mismatch;

/// What a value is, opened as far as comparing asks for.
enum Opened<'a> {
    Null,
    Number(Number),
    Text(Cow<'a, [u8]>),
    /// A list or an object.
    Nested(&'a [u8]),
}

#[derive(Clone, Copy)]
enum Number {
    Whole(i64),
    Fraction(f64),
}

impl Number {
    fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => Some(a.cmp(&b)),
            (a, b) => a.float().partial_cmp(&b.float()),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "the other side is a float already")]
    fn float(self) -> f64 {
        match self {
            Self::Whole(value) => value as f64,
            Self::Fraction(value) => value,
        }
    }
}

/// Truth values are the numbers 0 and 1, as in Python.
fn open(value: FieldRef<'_>) -> Opened<'_> {
    match value {
        FieldRef::Null => Opened::Null,
        FieldRef::Bool(value) => Opened::Number(Number::Whole(i64::from(value))),
        FieldRef::Int(value) => Opened::Number(Number::Whole(value)),
        FieldRef::Float(value) => Opened::Number(Number::Fraction(value)),
        FieldRef::Text(text) => Opened::Text(Cow::Borrowed(text)),
        FieldRef::Json(raw) => match raw.first() {
            Some(b'"') => value.as_text().map_or(Opened::Null, Opened::Text),
            Some(b'{' | b'[') => Opened::Nested(raw),
            Some(b't') => Opened::Number(Number::Whole(1)),
            Some(b'f') => Opened::Number(Number::Whole(0)),
            Some(b'-' | b'0'..=b'9') => Opened::Number(number(raw)),
            _ => Opened::Null,
        },
    }
}

/// Short whole numbers, the common case, take a few instructions.
fn number(raw: &[u8]) -> Number {
    if let Some(whole) = short_whole(raw) {
        return Number::Whole(whole);
    }
    let text = std::str::from_utf8(raw).unwrap_or_default();
    match text.parse() {
        Ok(whole) => Number::Whole(whole),
        Err(_) => Number::Fraction(text.parse().unwrap_or(f64::NAN)),
    }
}

/// Whether the values are the same. Values of different kinds are not.
pub(super) fn equal(a: FieldRef<'_>, b: FieldRef<'_>) -> bool {
    match (open(a), open(b)) {
        (Opened::Null, Opened::Null) => true,
        (Opened::Number(a), Opened::Number(b)) => a.order(b) == Some(Ordering::Equal),
        (Opened::Text(a), Opened::Text(b)) => a == b,
        (Opened::Nested(a), Opened::Nested(b)) => {
            let tree = |raw| serde_json::from_slice::<serde_json::Value>(raw).ok();
            matches!((tree(a), tree(b)), (Some(a), Some(b)) if a == b)
        }
        _ => false,
    }
}

/// Which value comes first. Null has no place in any order, and that is no error.
#[inline]
pub(super) fn order(a: FieldRef<'_>, b: FieldRef<'_>) -> Result<Option<Ordering>, Mismatch> {
    // A field of a log against a constant, nearly always.
    if let (FieldRef::Json(a), FieldRef::Json(b)) = (a, b)
        && let (Some(a), Some(b)) = (short_whole(a), short_whole(b))
    {
        return Ok(Some(a.cmp(&b)));
    }
    match (open(a), open(b)) {
        (Opened::Null, _) | (_, Opened::Null) => Ok(None),
        (Opened::Number(a), Opened::Number(b)) => Ok(a.order(b)),
        (Opened::Text(a), Opened::Text(b)) => Ok(Some(a.cmp(&b))),
        _ => Err(Mismatch),
    }
}

/// Whether a value by itself counts as true.
pub(super) fn truth(value: FieldRef<'_>) -> bool {
    match open(value) {
        Opened::Null => false,
        Opened::Number(number) => number.float() != 0.0,
        Opened::Text(text) => !text.is_empty(),
        Opened::Nested(raw) => {
            raw.get(1..raw.len() - 1).is_some_and(|inner| !inner.trim_ascii().is_empty())
        }
    }
}

/// Whether `needle` is in `hay`: a part of a text, an item of a list, a name in an object.
pub(super) fn contains(hay: FieldRef<'_>, needle: FieldRef<'_>) -> Result<bool, Mismatch> {
    match open(hay) {
        Opened::Null => Ok(false),
        Opened::Number(_) => Err(Mismatch),
        Opened::Text(text) => {
            let Opened::Text(part) = open(needle) else { return Err(Mismatch) };
            Ok(memchr::memmem::find(&text, &part).is_some())
        }
        Opened::Nested(raw @ [b'[', ..]) => {
            let items = serde_json::from_slice::<Vec<&serde_json::value::RawValue>>(raw);
            let items = items.map_err(|_| Mismatch)?;
            Ok(items.iter().any(|item| equal(FieldRef::Json(item.get().as_bytes()), needle)))
        }
        Opened::Nested(raw) => {
            let Opened::Text(name) = open(needle) else { return Ok(false) };
            let object: serde_json::Map<String, serde_json::Value> =
                serde_json::from_slice(raw).map_err(|_| Mismatch)?;
            Ok(std::str::from_utf8(&name).is_ok_and(|name| object.contains_key(name)))
        }
    }
}
