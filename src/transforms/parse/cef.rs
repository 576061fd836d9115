//! The Common Event Format of security products, with a syslog header before it or without.
//!
//! ```text
//! CEF:0|Security|threatmanager|1.0|100|worm successfully stopped|10|src=10.0.0.1 dst=2.1.2.2 msg=it worked
//! ```

use super::Emit;
use super::text::{keep_escaped, name, unescape_cef};
use memchr::{memchr, memchr2, memmem, memrchr};

const HEADER: [&str; 7] = [
    "cefVersion",
    "deviceVendor",
    "deviceProduct",
    "deviceVersion",
    "deviceEventClassId",
    "name",
    "severity",
];

/// Splits one line.
pub(super) fn parse(line: &[u8], emit: &mut Emit<'_, '_, '_>) -> Result<(), &'static str> {
    let at = memmem::find(line, b"CEF:").ok_or("`CEF:`")?;
    let mut rest = &line[at + 4..];
    for field in HEADER {
        let end = unescaped(rest, b'|').ok_or("seven header fields, each with `|` after it")?;
        let text = rest[..end].trim_ascii();
        if memchr(b'\\', text).is_none() {
            emit.text(field, text);
        } else {
            emit.made(field, |out| keep_escaped(text, b"|\\", out));
        }
        rest = &rest[end + 1..];
    }
    extension(rest.trim_ascii(), emit)
}

/// `key=value key=value`, where values may hold blanks: a key is the word before `=`.
fn extension(mut text: &[u8], emit: &mut Emit<'_, '_, '_>) -> Result<(), &'static str> {
    if text.is_empty() {
        return Ok(());
    }
    let mut equals = unescaped(text, b'=').ok_or("pairs after the header")?;
    loop {
        let key = name(text[..equals].trim_ascii())?;
        if key.is_empty() || key.contains(' ') {
            return Err("one word before each `=`");
        }
        let rest = &text[equals + 1..];
        let next = unescaped(rest, b'=');
        let end = match next {
            Some(next) => memrchr(b' ', &rest[..next]).ok_or("a blank between pairs")?,
            None => rest.len(),
        };
        let value = rest[..end].trim_ascii();
        if memchr(b'\\', value).is_none() {
            emit.bare(key, value);
        } else {
            emit.made(key, |out| unescape_cef(value, out));
        }
        let Some(next) = next else { return Ok(()) };
        text = &rest[end + 1..];
        equals = next - end - 1;
    }
}

/// The first `byte` that no backslash escapes.
fn unescaped(text: &[u8], byte: u8) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr2(byte, b'\\', text.get(from..)?)?;
        if text[at] == byte {
            return Some(at);
        }
        from = at + 2;
    }
}
