//! Records as messages of RFC 5424 and RFC 3164.

use super::words::{INFO, USER, facility, severity};
use super::{Controls, Format};
use crate::event::encode::Encoder;
use crate::event::log::{FieldRef, LogBatch, RecordRef};
use crate::event::time::write_rfc3339;
use crate::expr::text_value::TextValue;
use crate::host::clock;
use chrono::DateTime;
use std::fmt::Write as _;
use std::time::Duration;

const NS: i64 = 1_000_000_000;

/// Longest values that RFC 5424 allows, in bytes.
const HOSTNAME_BYTES: usize = 255;
const APP_NAME_BYTES: usize = 48;
const PROCID_BYTES: usize = 128;
const MSGID_BYTES: usize = 32;
/// Of names in structured data.
pub(super) const SD_NAME_BYTES: usize = 32;
/// Longest tag of RFC 3164.
const TAG_BYTES: usize = 32;

/// Where the parts of a message come from.
pub(super) struct Parts {
    pub(super) facility: TextValue,
    pub(super) severity: TextValue,
    pub(super) hostname: TextValue,
    pub(super) app_name: TextValue,
    pub(super) procid: TextValue,
    pub(super) msgid: TextValue,
    pub(super) message: TextValue,
}

/// Names of elements of structured data, and the fields that each takes.
pub(super) type Elements = Vec<(String, Vec<String>)>;

/// Turns records into messages.
pub(super) struct Formatter {
    pub(super) format: Format,
    pub(super) parts: Parts,
    /// `None` for what the record has parsed.
    pub(super) structured_data: Option<Elements>,
    pub(super) controls: Controls,
    /// What a whole message may take.
    pub(super) longest: usize,
    /// For records that have no text of their own, or where the config asks for an encoding.
    pub(super) encoder: Encoder,
    /// Whether all that a record says is written, not its message alone.
    pub(super) is_whole: bool,
    pub(super) scratch: Vec<u8>,
    /// The second whose local time is spelled out, and its spelling.
    pub(super) local: Option<(i64, String)>,
}

impl Formatter {
    /// Looks up or computes what can be for all records of a batch at once.
    pub(super) fn prepare(&mut self, batch: &LogBatch) {
        let Parts { facility, severity, hostname, app_name, procid, msgid, message } =
            &mut self.parts;
        for value in [facility, severity, hostname, app_name, procid, msgid, message] {
            value.prepare(batch);
        }
    }

    /// Appends the message for a record, the `at`th of the batch that was prepared.
    pub(super) fn write(&mut self, record: &RecordRef<'_>, at: usize, out: &mut Vec<u8>) {
        let start = out.len();
        let facility = number(&self.parts.facility, record, at, &mut self.scratch, facility);
        let severity = number(&self.parts.severity, record, at, &mut self.scratch, severity);
        let priority = facility.unwrap_or(USER) * 8 + severity.unwrap_or(INFO);
        out.push(b'<');
        out.extend_from_slice(itoa::Buffer::new().format(priority).as_bytes());
        out.push(b'>');
        match self.format {
            Format::Rfc5424 => self.header_5424(record, at, out),
            Format::Rfc3164 => self.header_3164(record, at, out),
        }
        self.text(record, at, out);
        cut(out, start, self.longest);
    }

    fn header_5424(&mut self, record: &RecordRef<'_>, at: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(b"1 ");
        // No more than six digits of a second are allowed.
        write_rfc3339(out, record.time_ns().div_euclid(1000) * 1000);
        self.origin(record, at, HOSTNAME_BYTES, APP_NAME_BYTES, out);
        let values = [(&self.parts.procid, PROCID_BYTES), (&self.parts.msgid, MSGID_BYTES)];
        for (value, most) in values {
            out.push(b' ');
            self.scratch.clear();
            value.write(record, at, &mut self.scratch);
            word(&self.scratch, most, b"", out);
        }
        out.push(b' ');
        let before = out.len();
        match &self.structured_data {
            Some(elements) => {
                for (name, fields) in elements {
                    chosen(record, name, fields, &mut self.scratch, out);
                }
            }
            None => parsed(record, out),
        }
        if out.len() == before {
            out.push(b'-');
        }
        out.push(b' ');
    }

    /// Host and application.
    fn origin(
        &mut self,
        record: &RecordRef<'_>,
        at: usize,
        most_host: usize,
        most_app: usize,
        out: &mut Vec<u8>,
    ) {
        let origin = &record.batch().origin;
        out.push(b' ');
        self.scratch.clear();
        if !self.parts.hostname.write(record, at, &mut self.scratch) {
            self.scratch.extend_from_slice(origin.host.as_bytes());
        }
        word(&self.scratch, most_host, b"", out);
        out.push(b' ');
        self.scratch.clear();
        if !self.parts.app_name.write(record, at, &mut self.scratch) {
            let source = origin.source.rsplit('.').next().unwrap_or(&origin.source);
            self.scratch.extend_from_slice(source.as_bytes());
        }
        let forbidden: &[u8] = if self.format == Format::Rfc3164 { b":[]" } else { b"" };
        word(&self.scratch, most_app, forbidden, out);
    }

    fn header_3164(&mut self, record: &RecordRef<'_>, at: usize, out: &mut Vec<u8>) {
        let second = record.time_ns().div_euclid(NS);
        if self.local.as_ref().is_none_or(|(known, _)| *known != second) {
            self.local = Some((second, local_time(second)));
        }
        if let Some((_, text)) = &self.local {
            out.extend_from_slice(text.as_bytes());
        }
        self.origin(record, at, HOSTNAME_BYTES, TAG_BYTES, out);
        self.scratch.clear();
        if self.parts.procid.write(record, at, &mut self.scratch) && self.scratch != b"-" {
            out.push(b'[');
            word(&self.scratch, PROCID_BYTES, b"[]", out);
            out.push(b']');
        }
        out.extend_from_slice(b": ");
    }

    fn text(&mut self, record: &RecordRef<'_>, at: usize, out: &mut Vec<u8>) {
        self.scratch.clear();
        let is_said = !self.is_whole && self.parts.message.write(record, at, &mut self.scratch);
        if !is_said && !self.is_whole && record.is_untouched() {
            self.scratch.extend_from_slice(record.message());
        } else if !is_said {
            self.encoder.encode_record(record, &mut self.scratch);
        }
        let text = self.scratch.trim_ascii_end();
        self.controls.write(text, out);
    }
}

fn number(
    value: &TextValue,
    record: &RecordRef<'_>,
    at: usize,
    scratch: &mut Vec<u8>,
    read: impl Fn(&[u8]) -> Option<u8>,
) -> Option<u8> {
    scratch.clear();
    if value.write(record, at, scratch) { read(scratch.trim_ascii()) } else { None }
}

/// Appends one word of the header: printable ASCII, anything else is `_`; nothing is `-`.
fn word(text: &[u8], most: usize, forbidden: &[u8], out: &mut Vec<u8>) {
    if text.is_empty() {
        return out.push(b'-');
    }
    let fits = |byte: &u8| byte.is_ascii_graphic() && !forbidden.contains(byte);
    out.extend(text.iter().take(most).map(|byte| if fits(byte) { *byte } else { b'_' }));
}

/// The local time as RFC 3164 has it: `Nov  3 08:52:01`.
fn local_time(second: i64) -> String {
    let since_epoch = Duration::from_secs(u64::try_from(second).unwrap_or(0));
    let local = second + clock::zone_at(since_epoch).offset_seconds;
    let mut text = String::new();
    if let Some(time) = DateTime::from_timestamp(local, 0) {
        // The codes are valid, and a string takes everything.
        write!(text, "{}", time.format("%b %e %H:%M:%S")).ok();
    }
    text
}

/// Appends an element of structured data with those of these fields that the record has.
fn chosen(
    record: &RecordRef<'_>,
    name: &str,
    fields: &[String],
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) {
    let before = out.len();
    out.push(b'[');
    out.extend_from_slice(name.as_bytes());
    let empty = out.len();
    for field in fields {
        if let Some(value) = record.get(field) {
            scratch.clear();
            value.write_display(scratch);
            parameter(field.as_bytes(), scratch, out);
        }
    }
    if out.len() == empty { out.truncate(before) } else { out.push(b']') }
}

/// Appends what a parsed record has as `structured_data`: an object of objects.
fn parsed(record: &RecordRef<'_>, out: &mut Vec<u8>) {
    let Some(FieldRef::Json(raw @ [b'{', ..])) = record.get("structured_data") else { return };
    let Ok(elements) = serde_json::from_slice::<serde_json::Map<_, _>>(raw) else { return };
    for (name, parameters) in &elements {
        let serde_json::Value::Object(parameters) = parameters else { continue };
        out.push(b'[');
        word(name.as_bytes(), SD_NAME_BYTES, b"=]\"", out);
        for (name, value) in parameters {
            let text = match value {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            parameter(name.as_bytes(), text.as_bytes(), out);
        }
        out.push(b']');
    }
}

fn parameter(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.push(b' ');
    word(name, SD_NAME_BYTES, b"=]\"", out);
    out.extend_from_slice(b"=\"");
    for chunk in value.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            match byte {
                b'"' | b'\\' | b']' => out.extend_from_slice(&[b'\\', byte]),
                _ if byte.is_ascii_control() => octal(byte, out),
                _ => out.push(byte),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
}

impl Controls {
    /// Appends a text, with what it does to control characters done.
    fn write(self, text: &[u8], out: &mut Vec<u8>) {
        let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
        if self == Self::Keep {
            return out.extend_from_slice(text);
        }
        let mut rest = text;
        while let Some(at) = rest.iter().position(is_control) {
            out.extend_from_slice(&rest[..at]);
            match self {
                Self::Space => out.push(b' '),
                _ => octal(rest[at], out),
            }
            rest = &rest[at + 1..];
        }
        out.extend_from_slice(rest);
    }
}

/// Appends a byte as `#012`, which is how rsyslog writes what it cannot show.
fn octal(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'#', b'0' + (byte >> 6), b'0' + (byte >> 3 & 7), b'0' + (byte & 7)]);
}

/// Cuts what begins at `start` to `longest` bytes, not within a character.
fn cut(out: &mut Vec<u8>, start: usize, longest: usize) {
    if out.len() - start > longest {
        let mut end = start + longest;
        while end > start && out[end] & 0b1100_0000 == 0b1000_0000 {
            end -= 1;
        }
        out.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cut_never_falls_within_a_character() {
        for (longest, expected) in [(1, "a"), (2, "a"), (3, "aé"), (4, "aéb"), (9, "aéb")] {
            let mut out = "xaéb".as_bytes().to_vec();
            cut(&mut out, 1, longest);
            assert_eq!(std::str::from_utf8(&out[1..]).unwrap(), expected);
        }
    }

    proptest! {
        #[test]
        fn no_byte_of_a_message_breaks_a_line_or_a_parameter(text: Vec<u8>) {
            let mut out = Vec::new();
            Controls::Escape.write(&text, &mut out);
            prop_assert!(out.iter().all(|byte| !byte.is_ascii_control() || *byte == b'\t'));
            out.clear();
            parameter(&text, &text, &mut out);
            prop_assert!(std::str::from_utf8(&out).is_ok());
            let value = &out[out.iter().position(|byte| *byte == b'"').unwrap() + 1..out.len() - 1];
            let mut escaped = false;
            for byte in value {
                prop_assert!(escaped || !matches!(byte, b'"' | b']'));
                escaped = !escaped && *byte == b'\\';
            }
            prop_assert!(!escaped);
        }
    }
}
