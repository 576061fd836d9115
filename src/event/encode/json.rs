//! A record as a JSON object.

use super::{Extra, ExtraKeys, Scratch, each_extra, utf8};
use crate::event::log::write_float;
use crate::event::log::{FieldRef, RecordRef, Value};
use crate::event::scan::json_special;

/// Appends one object. A line that is one already is copied; what is added goes before its
/// first entry.
pub(super) fn object(
    record: &RecordRef<'_>,
    extra: Extra,
    keys: ExtraKeys,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) {
    out.push(b'{');
    let start = out.len();
    if extra == Extra::Origin {
        each_extra(record, keys, &mut scratch.text, |name, text| {
            entry(out, start, name);
            string(text, out);
        });
    }
    if record.is_json_line() {
        if out.len() > start && !record.stored_fields().is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(&record.raw()[1..]);
        return;
    }
    if record.is_unparsed() {
        entry(out, start, "message");
        string(record.message(), out);
    } else {
        scratch.note_last(record);
        fields(record, scratch, start, out);
    }
    out.push(b'}');
}

/// Appends the entries of a record whose fields have changed. Those that still stand in the line
/// as they are to be written, one behind the other, are copied at once.
fn fields(record: &RecordRef<'_>, scratch: &Scratch, start: usize, out: &mut Vec<u8>) {
    let batch = record.batch();
    let part = |from: usize, to: usize| batch.chunk().get(from..to).unwrap_or_default();
    // What of the chunk has to be copied yet.
    let (mut from, mut to) = (0, 0);
    for (field, at) in record.stored_fields().iter().zip(0..) {
        if !scratch.is_last(field.key, at) {
            continue;
        }
        let name = batch.keys().name(field.key);
        if let Some((begin, end)) = place(field.value) {
            if from < to && is_comma_and_name(part(to, begin), name) {
                to = end;
                continue;
            }
            out.extend_from_slice(part(from, to));
            entry(out, start, name);
            (from, to) = (begin, end);
        } else {
            out.extend_from_slice(part(from, to));
            (from, to) = (0, 0);
            entry(out, start, name);
            value(batch.value(field.value), out);
        }
    }
    out.extend_from_slice(part(from, to));
}

/// Where in the chunk a value stands as it is to be written.
fn place(value: Value) -> Option<(usize, usize)> {
    match value {
        Value::Json(start, len) => Some((start as usize, start as usize + len as usize)),
        _ => None,
    }
}

/// Whether this is what stands between two entries where the second one has this name. A name that
/// has to be escaped is not found in what is valid JSON.
fn is_comma_and_name(between: &[u8], name: &str) -> bool {
    matches!(between, [b',', b'"', inner @ .., b'"', b':'] if inner == name.as_bytes())
}

/// Begins an entry of the object that began at `start`.
pub(super) fn entry(out: &mut Vec<u8>, start: usize, name: &str) {
    if out.len() > start {
        out.push(b',');
    }
    escape(name, out);
    out.push(b':');
}

/// Appends any value.
pub(crate) fn value(value: FieldRef<'_>, out: &mut Vec<u8>) {
    match value {
        FieldRef::Json(raw) => out.extend_from_slice(raw),
        FieldRef::Text(text) => string(text, out),
        FieldRef::Null => out.extend_from_slice(b"null"),
        FieldRef::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        FieldRef::Int(value) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        FieldRef::Float(value) => write_float(out, value),
    }
}

/// Appends any bytes as a JSON string.
pub(crate) fn string(text: &[u8], out: &mut Vec<u8>) {
    match std::str::from_utf8(text) {
        Ok(text) => escape(text, out),
        Err(_) => {
            out.push(b'"');
            utf8(text, |part| escape_inner(part.as_bytes(), out));
            out.push(b'"');
        }
    }
}

fn escape(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escape_inner(text.as_bytes(), out);
    out.push(b'"');
}

pub(super) fn escape_inner(text: &[u8], out: &mut Vec<u8>) {
    let mut from = 0;
    loop {
        let at = json_special(text, from);
        out.extend_from_slice(text.get(from..at).unwrap_or_default());
        let Some(byte) = text.get(at) else { return };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(control >> 4)]);
                out.push(HEX[usize::from(control & 15)]);
            }
        }
        from = at + 1;
    }
}
