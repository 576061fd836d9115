//! A record as `key=value` pairs.

use super::json::escape_inner;
use super::{Extra, ExtraKeys, Scratch, each_extra, utf8};
use crate::event::log::{FieldRef, RecordRef};

/// Appends one line.
pub(super) fn line(
    record: &RecordRef<'_>,
    extra: Extra,
    keys: ExtraKeys,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    if extra == Extra::Origin {
        each_extra(record, keys, &mut scratch.text, |name, text| {
            pair(out, start, name, text);
        });
    }
    if record.is_unparsed() {
        pair(out, start, "message", record.message());
    } else {
        scratch.note_last(record);
        let batch = record.batch();
        for (field, at) in record.stored_fields().iter().zip(0..) {
            if scratch.is_last(field.key, at) {
                scratch.text.clear();
                display(batch.value(field.value), &mut scratch.text);
                pair(out, start, batch.keys().name(field.key), &scratch.text);
            }
        }
    }
    out.push(b'\n');
}

/// As people write it; null is a word, so that it is told from empty text.
fn display(value: FieldRef<'_>, out: &mut Vec<u8>) {
    match value {
        FieldRef::Null => out.extend_from_slice(b"null"),
        value => value.write_display(out),
    }
}

/// Appends one pair to the line that began at `start`.
pub(super) fn pair(out: &mut Vec<u8>, start: usize, name: &str, text: &[u8]) {
    if out.len() > start {
        out.push(b' ');
    }
    // There is no way to quote a name.
    let bare =
        |c: char| if c.is_whitespace() || c.is_control() || "=\"".contains(c) { '_' } else { c };
    if name.is_empty() {
        out.push(b'_');
    }
    for c in name.chars() {
        out.extend_from_slice(bare(c).encode_utf8(&mut [0; 4]).as_bytes());
    }
    out.push(b'=');
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\');
    if !text.is_empty() && text.iter().all(plain) {
        out.extend_from_slice(text);
    } else {
        out.push(b'"');
        utf8(text, |part| escape_inner(part.as_bytes(), out));
        out.push(b'"');
    }
}
