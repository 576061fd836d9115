//! Records of the kernel's audit, as auditd writes them.
//!
//! ```text
//! type=SYSCALL msg=audit(1364481363.243:24287): arch=c000003e syscall=2 success=no comm="cat" key=(null)
//! type=USER_LOGIN msg=audit(1364481363.243:24288): pid=1 uid=0 msg='op=login acct="root" res=failed'
//! ```

use super::Emit;
use super::emit::Entries;
use super::text::{hex, is_json_number, is_whole, name, quoted_by, skip_blanks, until};
use crate::event::log::Value;
use crate::event::moment::Moment;

/// Values that a program chose and that are in hexadecimal where they hold blanks, quotes or
/// bytes beyond ASCII.
const ENCODED: [&[u8]; 24] = [
    b"acct",
    b"cmd",
    b"comm",
    b"cwd",
    b"data",
    b"dir",
    b"exe",
    b"file",
    b"filter",
    b"grp",
    b"id_name",
    b"invalid_context",
    b"key",
    b"name",
    b"new",
    b"new-disk",
    b"new_group",
    b"ocomm",
    b"old",
    b"old-disk",
    b"path",
    b"proctitle",
    b"vm",
    b"watch",
];

/// Splits one record.
pub(super) fn parse(line: &[u8], emit: &mut Emit<'_, '_, '_>) -> Result<(), &'static str> {
    let mut rest = line;
    if rest.starts_with(b"node=") {
        let (node, after) = until(&rest[5..], b' ').ok_or("a blank after the node")?;
        emit.text("node", node);
        rest = after;
    }
    let kind = rest.strip_prefix(b"type=").ok_or("`type=`")?;
    let (kind, rest) = until(kind, b' ').ok_or("a blank after the type")?;
    emit.text("type", kind);
    let stamp = rest.strip_prefix(b"msg=audit(").ok_or("`msg=audit(` after the type")?;
    let (stamp, rest) = until(stamp, b')').ok_or("`)` after the serial number")?;
    let (time, serial) = until(stamp, b':').ok_or("a time and a serial number")?;
    emit.moment(Moment::Utc(time_ns(time).ok_or("a time such as `1364481363.243`")?));
    emit.number("serial", serial);
    let rest = rest.strip_prefix(b":").ok_or("`:` after the serial number")?;
    fields(rest, |key, value| {
        let key = name(key)?;
        match value {
            Found::Null => emit.value(key, Value::Null),
            Found::Number(text) => emit.json(key, text),
            Found::Text(text) => emit.text(key, text),
            Found::Hex(text) => emit.made(key, |out| decode(text, out)),
            Found::Nested(text) => emit.object(key, |entries| nested(text, entries))?,
        }
        Ok(())
    })
}

/// What a value stands for.
enum Found<'t> {
    Null,
    Number(&'t [u8]),
    Text(&'t [u8]),
    Hex(&'t [u8]),
    /// The pairs of a program's own message.
    Nested(&'t [u8]),
}

/// The pairs in `msg='…'`.
fn nested(text: &[u8], entries: &mut Entries<'_>) -> Result<(), &'static str> {
    fields(text, |key, value| {
        match value {
            Found::Null => entries.null(key),
            Found::Number(number) => entries.bare(key, number),
            Found::Text(text) | Found::Nested(text) => entries.text(key, text),
            Found::Hex(text) => {
                let mut plain = Vec::new();
                decode(text, &mut plain);
                entries.text(key, &plain);
            }
        }
        Ok(())
    })
}

/// Hands out names and values. A word without `=` is passed over, as auditd's own tools do.
fn fields<'t>(
    text: &'t [u8],
    mut found: impl FnMut(&'t [u8], Found<'t>) -> Result<(), &'static str>,
) -> Result<(), &'static str> {
    // Before what an enriched record adds there is a group separator.
    let is_blank = |byte: &u8| matches!(byte, b' ' | 0x1d);
    let mut rest = text;
    loop {
        let blanks = rest.iter().take_while(|byte| is_blank(byte)).count();
        rest = &rest[blanks..];
        if rest.is_empty() {
            return Ok(());
        }
        let end = rest.iter().position(is_blank).unwrap_or(rest.len());
        let Some(at) = memchr::memchr(b'=', &rest[..end]).filter(|at| *at > 0) else {
            rest = &rest[end..];
            continue;
        };
        let (key, value) = (&rest[..at], &rest[at + 1..]);
        rest = match value.first() {
            Some(b'\'') => {
                let end = memchr::memchr(b'\'', &value[1..]).ok_or("`'` after the message")?;
                found(key, Found::Nested(&value[1..=end]))?;
                &value[end + 2..]
            }
            Some(b'"') => {
                let (text, after) = quoted_by(value, b'"').ok_or("a quote after a value")?;
                found(key, Found::Text(text))?;
                after
            }
            _ => {
                found(key, bare(key, &rest[at + 1..end]))?;
                &rest[end..]
            }
        };
    }
}

fn bare<'t>(key: &[u8], value: &'t [u8]) -> Found<'t> {
    let is_encoded = ENCODED.contains(&key)
        || matches!(key, [b'a', digits @ ..] if is_whole(digits) && value.len() > 16);
    // Arguments and addresses are hexadecimal numbers, which look like others by chance only.
    let is_hex_number = matches!(key, [b'a', digits @ ..] if is_whole(digits))
        || matches!(key, b"arch" | b"ip" | b"saddr" | b"mode" | b"dev");
    match value {
        b"(null)" => Found::Null,
        _ if is_encoded && is_hex(value) => Found::Hex(value),
        _ if !is_hex_number && !is_encoded && is_json_number(value) => Found::Number(value),
        _ => Found::Text(value),
    }
}

fn is_hex(text: &[u8]) -> bool {
    let digits = text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
    !text.is_empty() && text.len().is_multiple_of(2) && digits
}

/// The bytes behind hexadecimal digits. The zeros between a command's arguments become blanks.
fn decode(text: &[u8], out: &mut Vec<u8>) {
    for pair in text.chunks_exact(2) {
        let byte = hex(pair[0]).unwrap_or(0) << 4 | hex(pair[1]).unwrap_or(0);
        out.push(if byte == 0 { b' ' } else { byte });
    }
}

/// `1364481363.243` in nanoseconds.
fn time_ns(text: &[u8]) -> Option<i64> {
    let (seconds, millis) = until(skip_blanks(text), b'.')?;
    let number = |digits: &[u8]| {
        let few = is_whole(digits) && digits.len() <= 10;
        few.then(|| digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
    };
    if millis.len() != 3 {
        return None;
    }
    number(seconds)?.checked_mul(1_000_000_000)?.checked_add(number(millis)? * 1_000_000)
}
