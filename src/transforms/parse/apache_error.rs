//! Apache's error log, of 2.4 and older.
//!
//! ```text
//! [Fri Sep 09 10:42:29.902022 2011] [core:error] [pid 35708:tid 4328636416] [client 72.15.99.187:52301] File does not exist: /x
//! [Sun Dec 04 04:47:44 2005] [error] [client 72.15.99.187] File does not exist: /x
//! ```

use super::Emit;
use super::text::{bracketed, skip_blanks, until, with_port};
use crate::event::moment::asctime;
use memchr::memmem;

/// Splits one line.
pub(super) fn parse(line: &[u8], emit: &mut Emit<'_, '_, '_>) -> Result<(), &'static str> {
    let (time, rest) = bracketed(line).ok_or("a time in brackets")?;
    let moment = asctime(time).ok_or("a time such as `Fri Sep 09 10:42:29.902022 2011`")?;
    emit.moment(moment);
    let (level, rest) = bracketed(skip_blanks(rest)).ok_or("a severity in brackets")?;
    match until(level, b':') {
        Some((module, severity)) => {
            emit.text_or_null("module", module);
            emit.text("severity", severity);
        }
        None => emit.text("severity", level),
    }
    let mut rest = skip_blanks(rest);
    if rest.starts_with(b"[pid ") {
        let (process, after) = bracketed(rest).ok_or("`]` after the process")?;
        let process = process.get(4..).unwrap_or_default();
        match memmem::find(process, b":tid ") {
            Some(at) => {
                emit.number("pid", &process[..at]);
                emit.number("thread", &process[at + 5..]);
            }
            None => emit.number("pid", process),
        }
        rest = skip_blanks(after);
    }
    // What the system said may stand before the client: `(13)Permission denied: [client …] …`.
    let at = memmem::find(rest, b"[client ")
        .filter(|at| *at == 0 || rest.starts_with(b"(") && rest[..*at].ends_with(b": "));
    let client = at.and_then(|at| Some((at, bracketed(&rest[at..])?)));
    match client {
        Some((before, (client, message))) => {
            let client = client.get(7..).unwrap_or_default();
            let (host, port) = match with_port(client) {
                Some((host, port)) if !host.is_empty() => (host, Some(port)),
                _ => (client, None),
            };
            emit.text("client", host);
            if let Some(port) = port {
                emit.number("port", port);
            }
            let message = skip_blanks(message);
            if before == 0 {
                emit.text("message", message);
            } else {
                emit.made("message", |out| {
                    out.extend_from_slice(&rest[..before]);
                    out.extend_from_slice(message);
                });
            }
        }
        None => emit.text("message", rest),
    }
    Ok(())
}
