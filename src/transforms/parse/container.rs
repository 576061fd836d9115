//! What container runtimes write: CRI's lines, and the objects of Docker's `json-file`.
//!
//! ```text
//! 2016-10-06T00:17:09.669794202Z stdout F The content of the log entry
//! {"log":"The content\n","stream":"stdout","time":"2016-10-06T00:17:09.669794202Z"}
//! ```

use super::json::{self, Name};
use super::text::{unescape_json, until, word};
use super::{Emit, Wrong};
use crate::event::log::Value;
use crate::event::moment::rfc3339;
use memchr::memchr;

/// Splits a line of CRI.
pub(super) fn cri(line: &[u8], emit: &mut Emit<'_, '_, '_>) -> Result<(), &'static str> {
    let (time, rest) = until(line, b' ').ok_or("a time and a blank")?;
    let moment = rfc3339(time).ok_or("a time such as `2016-10-06T00:17:09.669794202Z`")?;
    let (stream, rest) = until(rest, b' ').ok_or("`stdout` or `stderr`")?;
    if !matches!(stream, b"stdout" | b"stderr") {
        return Err("`stdout` or `stderr`");
    }
    let (tags, message) = word(rest);
    // Further tags may follow after colons.
    let partial = match tags.first() {
        Some(b'P') if matches!(tags.get(1), None | Some(b':')) => true,
        Some(b'F') if matches!(tags.get(1), None | Some(b':')) => false,
        _ => return Err("`F` for a whole line or `P` for a part"),
    };
    emit.rfc3339(time, moment);
    emit.text("stream", stream);
    emit.value("partial", Value::Bool(partial));
    emit.text("message", message);
    Ok(())
}

/// Reads an object of Docker.
pub(super) fn docker(text: &str, emit: &mut Emit<'_, '_, '_>) -> Result<(), Wrong> {
    let mut message = false;
    json::object(text, |name, value| {
        let Name::Plain(name) = name else { return Ok(()) };
        match (name, value) {
            ("log", [b'"', log @ .., b'"']) => {
                message = true;
                let whole = without_escape(log, b"\\n");
                let log = whole.unwrap_or(log);
                emit.value("partial", Value::Bool(whole.is_none()));
                let log = without_escape(log, b"\\r").unwrap_or(log);
                if memchr(b'\\', log).is_none() {
                    emit.text("message", log);
                } else {
                    emit.made("message", |out| unescape_json(log, out));
                }
            }
            ("time", [b'"', time @ .., b'"']) => {
                let moment = rfc3339(time).ok_or("a time such as `2016-10-06T00:17:09.669Z`")?;
                emit.rfc3339(time, moment);
            }
            // `stream`, `attrs`, and whatever else a version may write.
            _ => emit.json(name, value),
        }
        Ok(())
    })?;
    if message { Ok(()) } else { Err("an entry `log`".into()) }
}

/// The inside of a JSON string without the escape that it ends with; `None` where it does not.
fn without_escape<'t>(text: &'t [u8], escape: &[u8]) -> Option<&'t [u8]> {
    let rest = text.strip_suffix(escape)?;
    // An odd backslash before it would mean that this one is escaped itself.
    let before = rest.iter().rev().take_while(|byte| **byte == b'\\').count();
    before.is_multiple_of(2).then_some(rest)
}
