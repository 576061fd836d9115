//! What a field says, from raw span to value, and not before somebody asks.

use super::KeyId;
use crate::event::number::short_whole;
use std::borrow::Cow;

/// A field's value: 16 bytes, whatever it stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// JSON's null.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text: start and length in the chunk.
    Text(u32, u32),
    /// A JSON value that nobody has opened yet, known to be valid: start and length in the chunk.
    Json(u32, u32),
    /// Text that was made on the way: start and length in the batch's side buffer.
    MadeText(u32, u32),
    /// JSON that was made on the way: start and length in the side buffer.
    MadeJson(u32, u32),
}

/// A named value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field {
    /// The name.
    pub key: KeyId,
    /// The value.
    pub value: Value,
}

/// A value with the bytes it points at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FieldRef<'a> {
    /// JSON's null.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text; nothing says that it is UTF-8.
    Text(&'a [u8]),
    /// A valid JSON value as it was written, quotes and escapes included.
    Json(&'a [u8]),
}

impl<'a> FieldRef<'a> {
    /// The text of a string; `None` for other values. Escapes of JSON are undone.
    pub fn as_text(&self) -> Option<Cow<'a, [u8]>> {
        match *self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Json([b'"', inner @ .., b'"']) if memchr::memchr(b'\\', inner).is_none() => {
                Some(Cow::Borrowed(inner))
            }
            Self::Json(raw @ [b'"', ..]) => Some(match serde_json::from_slice::<String>(raw) {
                Ok(text) => Cow::Owned(text.into_bytes()),
                // Lone surrogates and raw control bytes: better the bytes as written than none.
                Err(_) => Cow::Borrowed(&raw[1..raw.len() - 1]),
            }),
            _ => None,
        }
    }

    /// The number, where the value is one (text that looks like a number is not).
    pub fn as_number(&self) -> Option<f64> {
        match *self {
            #[expect(clippy::cast_precision_loss, reason = "comparison as JSON has it")]
            Self::Int(value) => Some(value as f64),
            Self::Float(value) => Some(value),
            Self::Json(raw) => number(raw),
            _ => None,
        }
    }

    /// The truth value, where the value is one.
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Self::Bool(value) => Some(value),
            Self::Json(b"true") => Some(true),
            Self::Json(b"false") => Some(false),
            _ => None,
        }
    }

    /// Whether it is JSON's null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null | Self::Json(b"null"))
    }

    /// The value as a tree, for whoever needs all of it. Bytes that are not UTF-8 are replaced.
    pub fn to_json(&self) -> serde_json::Value {
        match *self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => value.into(),
            Self::Int(value) => value.into(),
            Self::Float(value) => value.into(),
            Self::Text(text) => String::from_utf8_lossy(text).into(),
            Self::Json(raw) => {
                serde_json::from_slice(raw).unwrap_or_else(|_| String::from_utf8_lossy(raw).into())
            }
        }
    }

    /// Appends the value as people write it: text bare, everything else as JSON.
    pub fn write_display(&self, out: &mut Vec<u8>) {
        match self.as_text() {
            Some(text) => out.extend_from_slice(&text),
            None => match *self {
                Self::Int(value) => {
                    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
                }
                Self::Json(raw) => out.extend_from_slice(raw),
                Self::Float(value) => write_float(out, value),
                Self::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
                Self::Null | Self::Text(_) => {}
            },
        }
    }
}

/// Appends a number as JSON can hold it; what JSON has no number for becomes `null`.
pub(crate) fn write_float(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

/// Reads a JSON number. Short whole numbers, the common case, take a few instructions.
fn number(raw: &[u8]) -> Option<f64> {
    if let Some(whole) = short_whole(raw) {
        #[expect(clippy::cast_precision_loss, reason = "as reading the digits would round")]
        return Some(whole as f64);
    }
    if !matches!(raw.first(), Some(b'-' | b'0'..=b'9')) {
        return None;
    }
    std::str::from_utf8(raw).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_json_value_is_opened_only_as_what_it_is() {
        assert_eq!(FieldRef::Json(b"503").as_number(), Some(503.0));
        assert_eq!(FieldRef::Json(b"-1.5e3").as_number(), Some(-1500.0));
        assert_eq!(FieldRef::Json(b"\"503\"").as_number(), None);
        assert_eq!(FieldRef::Json(br#""a\u00e9\n""#).as_text().unwrap(), "aé\n".as_bytes());
        assert_eq!(FieldRef::Json(b"true").as_bool(), Some(true));
        assert_eq!(FieldRef::Json(b"{}").as_text(), None);
    }
}
