//! The access log formats of nginx and Apache, split by hand.
//!
//! ```text
//! 203.0.113.7 - alice [10/Oct/2000:13:55:36 -0700] "GET /a?b HTTP/1.1" 200 2326 "http://x/" "curl/8"
//! ```

use super::Emit;
use crate::event::time::parse_clf;
use memchr::{memchr, memchr2, memmem};

/// How a line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// After the size: the common log format.
    Nothing,
    /// With referer and user agent, and at most one more quoted text, which is taken for
    /// `X-Forwarded-For`, as nginx's packages have it.
    RefererAndAgent,
}

/// Splits one line.
///
/// # Errors
/// What was expected where the line is different.
pub(super) fn parse(
    line: &[u8],
    tail: Tail,
    emit: &mut Emit<'_, '_, '_>,
) -> Result<(), &'static str> {
    let (address, rest) = until(line, b' ').ok_or("a client address and a blank")?;
    emit.text_or_null("remote_addr", address);
    // The second column is identd's, which nobody runs.
    let (_, rest) = until(rest, b' ').ok_or("`-` and a blank after the address")?;
    // A user's name may hold blanks.
    let at = memmem::find(rest, b" [").ok_or("a user and ` [`")?;
    emit.text_or_null("remote_user", &rest[..at]);
    let (time, rest) = until(&rest[at + 2..], b']').ok_or("`]` after the time")?;
    let time_ns = parse_clf(time).ok_or("a time such as `10/Oct/2000:13:55:36 -0700`")?;
    emit.time(time_ns);
    emit.text_or_null("time_local", time);
    let rest = rest.strip_prefix(b" ").ok_or("a blank after the time")?;
    let (line, rest) = quoted(rest).ok_or("the request in quotes")?;
    request(line, emit);
    let rest = rest.strip_prefix(b" ").ok_or("a blank after the request")?;
    let (status, rest) = until(rest, b' ').ok_or("a status and a size")?;
    emit.number("status", status);
    let (size, rest) = match until(rest, b' ') {
        Some((size, rest)) => (size, Some(rest)),
        None => (rest, None),
    };
    emit.number("body_bytes_sent", size);
    match (tail, rest) {
        (Tail::Nothing, None) => Ok(()),
        (Tail::Nothing, Some(_)) => Err("nothing after the size"),
        (Tail::RefererAndAgent, rest) => {
            let (referer, rest) =
                rest.and_then(quoted).ok_or("the referer in quotes after the size")?;
            emit.quoted("http_referer", referer);
            let rest = rest.strip_prefix(b" ").ok_or("a blank after the referer")?;
            let (agent, rest) = quoted(rest).ok_or("the user agent in quotes")?;
            emit.quoted("http_user_agent", agent);
            if rest.is_empty() {
                return Ok(());
            }
            match rest.strip_prefix(b" ").and_then(quoted) {
                Some((forwarded, [])) => emit.quoted("http_x_forwarded_for", forwarded),
                _ => return Err("nothing after the user agent but one more text in quotes"),
            }
            Ok(())
        }
    }
}

/// The three words of a request; what is none (a client that speaks TLS to a plain port, say)
/// stays one field.
fn request(line: &[u8], emit: &mut Emit<'_, '_, '_>) {
    let words = until(line, b' ').and_then(|(method, rest)| {
        let at = memchr::memrchr(b' ', rest)?;
        Some((method, &rest[..at], &rest[at + 1..]))
    });
    match words {
        Some((method, path, protocol)) if protocol.starts_with(b"HTTP/") => {
            emit.text_or_null("method", method);
            emit.quoted("path", path);
            emit.text_or_null("protocol", protocol);
        }
        _ => emit.quoted("request", line),
    }
}

fn until(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr(byte, text)?;
    Some((&text[..at], &text[at + 1..]))
}

/// What stands between the quote that `text` begins with and the next one that no backslash
/// escapes, and what follows.
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.strip_prefix(b"\"")?;
    let mut from = 0;
    loop {
        let at = from + memchr2(b'"', b'\\', text.get(from..)?)?;
        if text[at] == b'"' {
            return Some((&text[..at], &text[at + 1..]));
        }
        from = at + 2;
    }
}

/// Undoes the escapes that nginx and Apache write: `\"`, `\\`, `\n`, `\t`, `\r`, `\x1F`.
pub(super) fn unescape(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = match rest[at + 1..] {
            [b'x', a, b, ref after @ ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                let digit = |byte| char::from(byte).to_digit(16).unwrap_or(0);
                out.push(u8::try_from(digit(a) * 16 + digit(b)).unwrap_or(b'?'));
                after
            }
            [letter @ (b'"' | b'\\' | b'n' | b't' | b'r'), ref after @ ..] => {
                out.push(match letter {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    other => other,
                });
                after
            }
            ref after => {
                out.push(b'\\');
                after
            }
        };
    }
    out.extend_from_slice(rest);
}
