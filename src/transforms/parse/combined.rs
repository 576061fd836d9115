//! The access log formats of nginx and Apache, split by hand.
//!
//! ```text
//! 203.0.113.7 - alice [10/Oct/2000:13:55:36 -0700] "GET /a?b HTTP/1.1" 200 2326 "http://x/" "curl/8"
//! ```

use super::Emit;
use super::text::{quoted, until};
use crate::event::time::parse_clf;
use memchr::memmem;

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
    let rest = start(line, tail, emit)?;
    if rest.is_empty() {
        return Ok(());
    }
    match rest.strip_prefix(b" ").and_then(quoted) {
        Some((forwarded, [])) => {
            emit.quoted("http_x_forwarded_for", forwarded);
            Ok(())
        }
        _ => Err("nothing after the user agent but one more text in quotes"),
    }
}

/// Splits what the formats have in common, and gives back what follows.
pub(super) fn start<'t>(
    line: &'t [u8],
    tail: Tail,
    emit: &mut Emit<'_, '_, '_>,
) -> Result<&'t [u8], &'static str> {
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
        (Tail::Nothing, None) => Ok(&[]),
        // Even a blank alone is too much.
        (Tail::Nothing, Some(_)) => Err("nothing after the size"),
        (Tail::RefererAndAgent, rest) => {
            let (referer, rest) =
                rest.and_then(quoted).ok_or("the referer in quotes after the size")?;
            emit.quoted("http_referer", referer);
            let rest = rest.strip_prefix(b" ").ok_or("a blank after the referer")?;
            let (agent, rest) = quoted(rest).ok_or("the user agent in quotes")?;
            emit.quoted("http_user_agent", agent);
            Ok(rest)
        }
    }
}

/// The three words of a request; what is none (a client that speaks TLS to a plain port, say)
/// stays one field.
pub(super) fn request(line: &[u8], emit: &mut Emit<'_, '_, '_>) {
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
