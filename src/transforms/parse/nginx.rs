//! nginx's error log, and the access log of Kubernetes' ingress-nginx.
//!
//! ```text
//! 2021/04/01 13:02:31 [error] 31#31: *1 open() "/x" failed (2: No such file or directory), client: 10.0.0.1, server: a, request: "GET /x HTTP/1.1", host: "a"
//! 10.0.0.1 - bob [18/Mar/2023:15:00:00 +0000] "GET / HTTP/2.0" 200 12312 "https://a/" "Mozilla/5.0" 462 0.050 [default-app-80] [] 10.0.0.2:8080 12312 0.050 200 7bda6f
//! ```

use super::Emit;
use super::combined::{self, Tail};
use super::text::{bracketed, quoted, until};
use crate::event::moment::slashed;
use memchr::memmem;

/// What nginx says after its message, and the fields for it.
const CONTEXT: [(&[u8], &str); 9] = [
    (b"client", "client"),
    (b"server", "server"),
    (b"request", "request"),
    (b"subrequest", "subrequest"),
    (b"upstream", "upstream"),
    (b"host", "host"),
    (b"port", "port"),
    (b"referrer", "referer"),
    (b"referer", "referer"),
];

/// Splits a line of the error log.
pub(super) fn error(line: &[u8], emit: &mut Emit<'_, '_, '_>) -> Result<(), &'static str> {
    let (moment, rest) = slashed(line).ok_or("a time such as `2021/04/01 13:02:31`")?;
    emit.moment(moment);
    let rest = rest.strip_prefix(b" ").ok_or("a blank after the time")?;
    let (severity, rest) = bracketed(rest).ok_or("a severity in brackets")?;
    emit.text("severity", severity);
    let rest = rest.strip_prefix(b" ").ok_or("a blank after the severity")?;
    let (pid, rest) = until(rest, b'#').ok_or("a process id and `#`")?;
    emit.number("pid", pid);
    let (tid, rest) = until(rest, b':').ok_or("a thread id and `:`")?;
    emit.number("tid", tid);
    let mut rest = rest.strip_prefix(b" ").ok_or("a blank before the message")?;
    if let Some(after) = rest.strip_prefix(b"*") {
        let (connection, after) = until(after, b' ').ok_or("a blank after the connection")?;
        emit.number("cid", connection);
        rest = after;
    }
    let end = memmem::find(rest, b", client: ").unwrap_or(rest.len());
    let (message, mut rest) = rest.split_at(end);
    limit(message, emit);
    while let Some(entry) = rest.strip_prefix(b", ") {
        let Some(at) = memmem::find(entry, b": ") else { break };
        let Some((_, field)) = CONTEXT.iter().find(|(name, _)| *name == &entry[..at]) else {
            break;
        };
        let value = &entry[at + 2..];
        rest = match quoted(value) {
            Some((value, after)) => {
                emit.quoted(field, value);
                after
            }
            None => {
                let end = memmem::find(value, b", ").unwrap_or(value.len());
                let (value, after) = value.split_at(end);
                if *field == "port" {
                    emit.number(field, value);
                } else {
                    emit.text(field, value);
                }
                after
            }
        };
    }
    Ok(())
}

/// The message, and what it says where a limit was met:
/// `limiting requests, excess: 50.416 by zone "api"`.
fn limit(message: &[u8], emit: &mut Emit<'_, '_, '_>) {
    let parts = memmem::find(message, b", excess: ").and_then(|at| {
        let rest = &message[at + 10..];
        let by = memmem::find(rest, b" by zone \"")?;
        let zone = rest[by + 10..].strip_suffix(b"\"")?;
        Some((&message[..at], rest[..by].trim_ascii(), zone))
    });
    match parts {
        Some((message, excess, zone)) => {
            emit.text("message", message);
            emit.number("excess", excess);
            emit.text("zone", zone);
        }
        None => emit.text("message", message),
    }
}

/// Splits a line of ingress-nginx's `upstreaminfo`.
pub(super) fn ingress(line: &[u8], emit: &mut Emit<'_, '_, '_>) -> Result<(), &'static str> {
    let rest = combined::start(line, Tail::RefererAndAgent, emit)?;
    let rest = rest.strip_prefix(b" ").ok_or("a blank after the user agent")?;
    let (length, rest) = until(rest, b' ').ok_or("the request's length")?;
    emit.number("request_length", length);
    let (time, rest) = until(rest, b' ').ok_or("the request's time")?;
    emit.number("request_time", time);
    let (name, rest) = bracketed(rest).ok_or("the upstream's name in brackets")?;
    emit.text_or_null("proxy_upstream_name", name);
    let rest = rest.strip_prefix(b" ").ok_or("a blank after the upstream's name")?;
    let (other, rest) = bracketed(rest).ok_or("the other upstream's name in brackets")?;
    if other.is_empty() {
        emit.text_or_null("proxy_alternative_upstream_name", b"-");
    } else {
        emit.text_or_null("proxy_alternative_upstream_name", other);
    }
    let mut rest = rest.strip_prefix(b" ").ok_or("a blank after the upstreams' names")?;
    // After a failed try there are several of each, with commas: the last column is the request's
    // number, and the four before it have the same number of parts.
    for field in
        ["upstream_addr", "upstream_response_length", "upstream_response_time", "upstream_status"]
    {
        let (value, after) =
            tries(rest).ok_or("address, length, time and status of the upstream")?;
        emit.number(field, value);
        rest = after;
    }
    if rest.is_empty() || memchr::memchr(b' ', rest).is_some() {
        return Err("the request's id at the end");
    }
    emit.text_or_null("req_id", rest);
    Ok(())
}

/// `a`, or `a, b : c` after several tries, and what follows the blank after it.
fn tries(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut from = 0;
    loop {
        let at = from + memchr::memchr(b' ', text.get(from..)?)?;
        let goes_on = text[..at].ends_with(b",") || text[..at].ends_with(b" :");
        if !goes_on && !text[at..].starts_with(b" : ") {
            return Some((&text[..at], &text[at + 1..]));
        }
        from = at + 1;
    }
}
