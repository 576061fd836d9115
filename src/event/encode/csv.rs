//! Chosen fields of a record, separated by commas.

use super::{Csv, extra, utf8};
use crate::event::log::{FieldRef, RecordRef};

/// Appends the names of the columns.
pub(super) fn header(csv: &Csv, out: &mut Vec<u8>) {
    row(csv.fields.iter().map(String::as_bytes), out);
}

/// Appends one record. What it has no field for is empty, as is null.
pub(super) fn line(csv: &Csv, record: &RecordRef<'_>, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
    let start = out.len();
    for (name, at) in csv.fields.iter().zip(0usize..) {
        separate(at, out);
        scratch.clear();
        match record.get(name) {
            Some(FieldRef::Float(value)) if !value.is_finite() => {}
            Some(value) if value.is_null() => {}
            Some(value) => {
                value.write_display(scratch);
                cell(scratch, out);
            }
            None => {
                if let Some(text) = extra(record, name, scratch) {
                    cell(text, out);
                }
            }
        }
    }
    end(start, out);
}

/// Appends a row of plain texts.
pub(super) fn row<'a>(cells: impl Iterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    let start = out.len();
    for (at, text) in cells.enumerate() {
        separate(at, out);
        cell(text, out);
    }
    end(start, out);
}

fn separate(at: usize, out: &mut Vec<u8>) {
    if at > 0 {
        out.push(b',');
    }
}

/// A row of one empty cell would be an empty line, which readers skip.
fn end(start: usize, out: &mut Vec<u8>) {
    if out.len() == start {
        out.extend_from_slice(b"\"\"");
    }
    out.push(b'\n');
}

fn cell(text: &[u8], out: &mut Vec<u8>) {
    let special = |byte: &u8| matches!(byte, b',' | b'"' | b'\r' | b'\n');
    let blank = |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b' ' | b'\t'));
    let quoted = text.iter().any(special) || blank(text.first()) || blank(text.last());
    if !quoted {
        utf8(text, |part| out.extend_from_slice(part.as_bytes()));
        return;
    }
    out.push(b'"');
    utf8(text, |part| {
        for byte in part.bytes() {
            if byte == b'"' {
                out.push(b'"');
            }
            out.push(byte);
        }
    });
    out.push(b'"');
}
