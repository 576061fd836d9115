//! haproxy's logs of HTTP and of TCP, with a syslog header before them or without.
//!
//! ```text
//! 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /index.html HTTP/1.1"
//! 10.0.1.2:33313 [06/Feb/2009:12:12:51.443] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0
//! ```

use super::Emit;
use super::combined::request;
use super::syslog::without_header;
use super::text::{address, bracketed, until};
use crate::event::moment::haproxy;
use memchr::{memchr_iter, memrchr};

const HTTP_TIMES: [&str; 5] = [
    "time_request",
    "time_queue",
    "time_backend_connect",
    "time_backend_response",
    "time_duration",
];
const TCP_TIMES: [&str; 3] = ["time_queue", "time_backend_connect", "time_duration"];
const CONNECTIONS: [&str; 5] = ["actconn", "feconn", "beconn", "srvconn", "retries"];
const QUEUES: [&str; 2] = ["srv_queue", "backend_queue"];

/// Splits one line.
pub(super) fn parse(line: &[u8], emit: &mut Emit<'_, '_, '_>) -> Result<(), &'static str> {
    let line = without_header(line, b"haproxy");
    let (client, rest) = until(line, b' ').ok_or("a client and a blank")?;
    let (time, rest) = bracketed(rest).ok_or("a time in brackets")?;
    let moment = haproxy(time).ok_or("a time such as `06/Feb/2009:12:14:14.655`")?;
    let (host, port) = address(client);
    emit.text("client_ip", host);
    if let Some(port) = port {
        emit.number("client_port", port);
    }
    emit.moment(moment);
    let rest = rest.strip_prefix(b" ").ok_or("a blank after the time")?;
    let (frontend, rest) = until(rest, b' ').ok_or("a frontend")?;
    if let Some(frontend) = frontend.strip_suffix(b":") {
        // A connection that came to nothing: `frt/f1: Connection error during SSL handshake`.
        emit.text("frontend_name", frontend);
        emit.text("message", rest);
        return Ok(());
    }
    emit.text("frontend_name", frontend);
    let (backend, rest) = until(rest, b' ').ok_or("a backend and a server")?;
    let (backend, server) = until(backend, b'/').ok_or("a backend and a server")?;
    emit.text("backend_name", backend);
    emit.text("server_name", server);
    let (times, rest) = until(rest, b' ').ok_or("timers")?;
    match memchr_iter(b'/', times).count() {
        4 => {
            each(times, &HTTP_TIMES, emit);
            http(rest, emit)
        }
        2 => {
            each(times, &TCP_TIMES, emit);
            let (bytes, rest) = until(rest, b' ').ok_or("a number of bytes")?;
            emit.number("bytes_read", plus(bytes));
            let (state, rest) = until(rest, b' ').ok_or("a termination state")?;
            emit.text("termination_state", state);
            load(rest, emit).map(|_| ())
        }
        _ => Err("five timers of HTTP or three of TCP"),
    }
}

fn http<'t>(rest: &'t [u8], emit: &mut Emit<'_, '_, '_>) -> Result<(), &'static str> {
    let (status, rest) = until(rest, b' ').ok_or("a status")?;
    emit.number("status", status);
    let (bytes, mut rest) = until(rest, b' ').ok_or("a number of bytes")?;
    emit.number("bytes_read", plus(bytes));
    for name in ["captured_request_cookie", "captured_response_cookie"] {
        let (cookie, after) = until(rest, b' ').ok_or("two captured cookies")?;
        emit.text_or_null(name, cookie);
        rest = after;
    }
    let (state, rest) = until(rest, b' ').ok_or("a termination state")?;
    emit.text("termination_state", state);
    let mut rest = load(rest, emit)?;
    for name in ["captured_request_headers", "captured_response_headers"] {
        let Some(inner) = rest.strip_prefix(b"{") else { break };
        let (headers, after): (&'t [u8], &'t [u8]) =
            until(inner, b'}').ok_or("`}` after the captured headers")?;
        emit.text(name, headers);
        rest = after.strip_prefix(b" ").unwrap_or(after);
    }
    let line = rest.strip_prefix(b"\"").ok_or("the request in quotes")?;
    // A request that was cut off lacks its last quote.
    let end = memrchr(b'"', line).unwrap_or(line.len());
    request(&line[..end], emit);
    Ok(())
}

/// Connections and queues, and what follows them.
fn load<'t>(text: &'t [u8], emit: &mut Emit<'_, '_, '_>) -> Result<&'t [u8], &'static str> {
    let (connections, rest) = until(text, b' ').ok_or("five numbers of connections")?;
    if memchr_iter(b'/', connections).count() != 4 {
        return Err("five numbers of connections");
    }
    each(connections, &CONNECTIONS, emit);
    let (queues, rest) = until(rest, b' ').unwrap_or((rest, &[]));
    if memchr_iter(b'/', queues).count() != 1 {
        return Err("two lengths of queues");
    }
    each(queues, &QUEUES, emit);
    Ok(rest)
}

fn each(values: &[u8], names: &[&str], emit: &mut Emit<'_, '_, '_>) {
    for (value, name) in values.split(|byte| *byte == b'/').zip(names) {
        emit.number(name, plus(value));
    }
}

/// A number that was written before it was final has a plus.
fn plus(number: &[u8]) -> &[u8] {
    number.strip_prefix(b"+").unwrap_or(number)
}
