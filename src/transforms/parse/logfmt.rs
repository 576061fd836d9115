//! Names and values: logfmt, other `key=value` forms, and LTSV.
//!
//! ```text
//! level=info msg="user logged in" id=17 cached
//! ```

use super::Emit;
use super::text::{name, quoted_by, skip_blanks, until};
use crate::event::log::Value;
use crate::event::moment::rfc3339;
use crate::event::time::parse_clf;
use memchr::{memchr2, memmem};

/// What stands between pairs, and between a name and its value.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    pub(super) delimiter: Vec<u8>,
    pub(super) separator: Vec<u8>,
}

/// What comes next in a text.
enum Next {
    Separator(usize),
    Delimiter(usize),
    End,
}

impl Marks {
    /// Those of logfmt.
    pub(super) fn logfmt() -> Self {
        Self { delimiter: b" ".to_vec(), separator: b"=".to_vec() }
    }

    fn next(&self, text: &[u8]) -> Next {
        if let (&[delimiter], &[separator]) = (&self.delimiter[..], &self.separator[..]) {
            return match memchr2(delimiter, separator, text) {
                Some(at) if text[at] == separator => Next::Separator(at),
                Some(at) => Next::Delimiter(at),
                None => Next::End,
            };
        }
        let delimiter = memmem::find(text, &self.delimiter);
        match (memmem::find(text, &self.separator), delimiter) {
            (Some(at), Some(end)) if at <= end => Next::Separator(at),
            (Some(at), None) => Next::Separator(at),
            (_, Some(at)) => Next::Delimiter(at),
            (None, None) => Next::End,
        }
    }

    fn until_delimiter<'t>(&self, text: &'t [u8]) -> (&'t [u8], &'t [u8]) {
        match memmem::find(text, &self.delimiter) {
            Some(at) => (&text[..at], &text[at + self.delimiter.len()..]),
            None => (text, &[]),
        }
    }
}

/// Reads names and values. A name alone is true.
///
/// # Errors
/// Where there is no pair at all, or a name is none.
pub(super) fn pairs(
    line: &[u8],
    marks: &Marks,
    emit: &mut Emit<'_, '_, '_>,
) -> Result<(), &'static str> {
    let mut found = false;
    let mut rest = skip_blanks(line);
    while !rest.is_empty() {
        let (key, after) = match marks.next(rest) {
            Next::Delimiter(0) => {
                rest = skip_blanks(&rest[marks.delimiter.len()..]);
                continue;
            }
            Next::Delimiter(at) => {
                flag(&rest[..at], emit)?;
                rest = skip_blanks(&rest[at + marks.delimiter.len()..]);
                continue;
            }
            Next::End => {
                flag(rest, emit)?;
                break;
            }
            Next::Separator(at) => (&rest[..at], &rest[at + marks.separator.len()..]),
        };
        let key = checked(key.trim_ascii())?;
        found = true;
        // In logfmt a blank ends the value; elsewhere it may stand before it.
        let after = if marks.delimiter == b" " { after } else { skip_blanks(after) };
        rest = match after.first() {
            Some(quote @ (b'"' | b'\'')) => {
                let (value, after) =
                    quoted_by(after, *quote).ok_or("a quote at the end of a value")?;
                emit.in_quotes(key, value);
                let after = skip_blanks(after);
                after.strip_prefix(&marks.delimiter[..]).unwrap_or(after)
            }
            _ => {
                let (value, after) = marks.until_delimiter(after);
                emit.bare(key, value.trim_ascii());
                after
            }
        };
        rest = skip_blanks(rest);
    }
    if found { Ok(()) } else { Err("names and values") }
}

/// A name alone.
fn flag(key: &[u8], emit: &mut Emit<'_, '_, '_>) -> Result<(), &'static str> {
    let key = key.trim_ascii();
    if !key.is_empty() {
        emit.value(checked(key)?, Value::Bool(true));
    }
    Ok(())
}

fn checked(key: &[u8]) -> Result<&str, &'static str> {
    if key.is_empty() || memchr2(b'"', b'\'', key).is_some() {
        return Err("a name without quotes before each value");
    }
    name(key)
}

/// Reads labels and values parted by tabs. A `time` in brackets, as LTSV has it, or in RFC 3339
/// is the record's time.
pub(super) fn ltsv(line: &[u8], emit: &mut Emit<'_, '_, '_>) -> Result<(), &'static str> {
    let mut rest = line;
    loop {
        let (pair, after) =
            until(rest, b'\t').map_or((rest, None), |(pair, after)| (pair, Some(after)));
        let (label, value) = until(pair, b':').ok_or("a label and `:`")?;
        if label.is_empty() {
            return Err("a label before `:`");
        }
        let label = name(label)?;
        if label == "time" {
            let clf = value.strip_prefix(b"[").and_then(|value| value.strip_suffix(b"]"));
            match (clf.and_then(parse_clf), rfc3339(value)) {
                (Some(time_ns), _) => emit.time(time_ns),
                (None, Some(moment)) => emit.only_time(moment),
                (None, None) => {}
            }
        }
        if value == b"-" {
            emit.value(label, Value::Null);
        } else {
            emit.bare(label, value);
        }
        match after {
            // A tab at the end is nobody's.
            None | Some([]) => return Ok(()),
            Some(after) => rest = after,
        }
    }
}
