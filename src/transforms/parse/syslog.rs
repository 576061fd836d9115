//! Syslog lines: RFC 5424, RFC 3164, and the forms in which rsyslog writes files.
//!
//! ```text
//! <34>1 2003-10-11T22:14:15.003Z host su - ID47 [x@1 k="v"] 'su root' failed
//! <34>Oct 11 22:14:15 host su[17]: 'su root' failed
//! 2003-10-11T22:14:15.003+02:00 host su[17]: 'su root' failed
//! ```

use super::Emit;
use super::emit::Entries;
use super::text::{bracketed, is_whole, name, skip_blanks, unescape_syslog, until, word};
use crate::event::log::Value;
use crate::event::moment::{rfc3164, rfc3339};
use memchr::{memchr, memchr3};

const FACILITIES: [&str; 24] = [
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
    "ntp",
    "security",
    "console",
    "solaris-cron",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
];

const SEVERITIES: [&str; 8] =
    ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// Splits one line.
///
/// # Errors
/// Where there is neither a priority nor a time at its start.
pub(super) fn parse(line: &[u8], emit: &mut Emit<'_, '_, '_>) -> Result<(), &'static str> {
    let Some(rest) = line.strip_prefix(b"<") else {
        let (time, rest) = time_of(line, emit).ok_or("a priority or a time")?;
        emit_time(time, emit);
        return traditional(rest, emit);
    };
    let (priority, rest) = until(rest, b'>').ok_or("`>` after the priority")?;
    let priority = match *priority {
        [a @ b'0'..=b'9'] => usize::from(a - b'0'),
        [a @ b'1'..=b'9', b @ b'0'..=b'9'] => usize::from(a - b'0') * 10 + usize::from(b - b'0'),
        [b'1', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
            100 + usize::from(b - b'0') * 10 + usize::from(c - b'0')
        }
        _ => return Err("a priority from 0 to 191"),
    };
    let facility = FACILITIES.get(priority / 8).ok_or("a priority from 0 to 191")?;
    emit.made("facility", |out| out.extend_from_slice(facility.as_bytes()));
    emit.made("severity", |out| out.extend_from_slice(SEVERITIES[priority % 8].as_bytes()));
    if let &[version @ b'1'..=b'9', b' ', ref rest @ ..] = rest {
        emit.value("version", Value::Int(i64::from(version - b'0')));
        return structured(rest, emit);
    }
    match time_of(rest, emit) {
        Some((time, rest)) => {
            emit_time(time, emit);
            traditional(rest, emit)
        }
        // RFC 3164 allows it: all that is there is the message.
        None => {
            emit.text("message", rest);
            Ok(())
        }
    }
}

/// A time and the text that it was read from, empty where that is not RFC 3339.
type Time<'t> = (crate::event::moment::Moment, &'t [u8]);

fn emit_time((moment, text): Time<'_>, emit: &mut Emit<'_, '_, '_>) {
    if text.is_empty() {
        emit.moment(moment);
    } else {
        emit.rfc3339(text, moment);
    }
}

/// The time that the text begins with, and what follows its blank.
fn time_of<'t>(text: &'t [u8], emit: &Emit<'_, '_, '_>) -> Option<(Time<'t>, &'t [u8])> {
    if let Some((moment, rest)) = rfc3164(text, emit.read_at_ns()) {
        // Some devices put a colon or the name of a zone after the time.
        let rest = rest.strip_prefix(b":").unwrap_or(rest);
        return Some(((moment, &[]), rest.strip_prefix(b" ")?));
    }
    let (time, rest) = until(text, b' ')?;
    Some(((rfc3339(time)?, time), rest))
}

/// What follows the time in RFC 3164: the host, the program with its number, the message.
fn traditional(text: &[u8], emit: &mut Emit<'_, '_, '_>) -> Result<(), &'static str> {
    let (first, after) = word(text);
    let rest = if tag(first).is_some() {
        // What was written to the local socket names no host.
        text
    } else {
        emit.text("hostname", first);
        skip_blanks(after)
    };
    let (first, after) = word(rest);
    match tag(first) {
        Some((program, id)) => {
            emit.text("appname", program);
            if let Some(id) = id {
                emit.number("procid", id);
            }
            emit.text("message", after);
        }
        None => emit.text("message", rest),
    }
    Ok(())
}

/// `su[17]:`, `su:`, `su(pam_unix)[17]:`
fn tag(word: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let word = word.strip_suffix(b":")?;
    let (program, id) = match word.strip_suffix(b"]") {
        Some(inner) => {
            let at = memchr::memrchr(b'[', inner)?;
            (&inner[..at], Some(&inner[at + 1..]))
        }
        None => (word, None),
    };
    // What has colons within is an IPv6 address or a message.
    let is_name = !program.is_empty() && memchr(b':', program).is_none();
    is_name.then_some((program, id.filter(|id| !id.is_empty())))
}

/// What follows the version in RFC 5424.
fn structured(text: &[u8], emit: &mut Emit<'_, '_, '_>) -> Result<(), &'static str> {
    let (time, mut rest) = until(text, b' ').ok_or("a time")?;
    if time != b"-" {
        let moment = rfc3339(time).ok_or("a time such as `2003-10-11T22:14:15.003Z`, or `-`")?;
        emit.rfc3339(time, moment);
    }
    for field in ["hostname", "appname", "procid", "msgid"] {
        let (text, after) = until(rest, b' ').ok_or("host, program, process and message id")?;
        match field {
            _ if text == b"-" => {}
            "procid" if is_whole(text) => emit.number(field, text),
            _ => emit.text(field, text),
        }
        rest = after;
    }
    if let Some(after) = rest.strip_prefix(b"-") {
        rest = after;
    } else {
        if !rest.starts_with(b"[") {
            return Err("structured data or `-`");
        }
        while rest.starts_with(b"[") {
            rest = element(rest, emit)?;
        }
    }
    match rest {
        [] => {}
        [b' ', message @ ..] => {
            emit.text("message", message.strip_prefix(b"\xef\xbb\xbf").unwrap_or(message));
        }
        _ => return Err("a blank before the message"),
    }
    Ok(())
}

/// `[id name="value" …]`, and what follows it.
fn element<'t>(text: &'t [u8], emit: &mut Emit<'_, '_, '_>) -> Result<&'t [u8], &'static str> {
    let text = text.get(1..).unwrap_or_default();
    let end = memchr3(b' ', b']', b'"', text).ok_or("the end of the structured data")?;
    let (id, mut rest) = (name(&text[..end])?, &text[end..]);
    if id.is_empty() || text[end] == b'"' {
        return Err("the name of structured data");
    }
    emit.object(id, |entries| {
        loop {
            rest = skip_blanks(rest);
            if let Some(after) = rest.strip_prefix(b"]") {
                rest = after;
                return Ok(());
            }
            rest = parameter(rest, entries)?;
        }
    })?;
    Ok(rest)
}

/// `name="value"`, and what follows it.
fn parameter<'t>(text: &'t [u8], entries: &mut Entries<'_>) -> Result<&'t [u8], &'static str> {
    let (key, rest) = until(text, b'=').ok_or("`=` in the structured data")?;
    if key.is_empty() || memchr3(b'"', b']', b' ', key).is_some() {
        return Err("a name before `=` in the structured data");
    }
    let (value, rest) = super::text::quoted(rest).ok_or("a value in quotes after `=`")?;
    entries.unescaped(key, value, unescape_syslog);
    Ok(rest)
}

/// A line with a syslog header before it, as log files of a program often have; without it.
pub(super) fn without_header<'t>(line: &'t [u8], program: &[u8]) -> &'t [u8] {
    let Some(at) = memchr::memmem::find(line, program) else { return line };
    let rest = &line[at + program.len()..];
    let rest = bracketed(rest).map_or(rest, |(_, rest)| rest);
    rest.strip_prefix(b": ").unwrap_or(line)
}
