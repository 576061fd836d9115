//! The logs of Kubernetes' own programs (klog) and of Google's C++ library (glog).
//!
//! ```text
//! I0505 17:59:40.692994   28133 klog.go:70] hello from klog
//! I20210131 14:48:54.411655 15520 main.c++:9] Hello world!
//! ```

use super::Emit;
use super::text::{skip_blanks, until, with_port, word};
use crate::event::moment::{glog, klog};

/// How the date is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Date {
    /// Month and day: klog.
    Short,
    /// With the year: glog.
    Long,
}

/// Splits one line.
pub(super) fn parse(
    line: &[u8],
    date: Date,
    emit: &mut Emit<'_, '_, '_>,
) -> Result<(), &'static str> {
    let level: &[u8] = match line.first() {
        Some(b'I') => b"info",
        Some(b'W') => b"warning",
        Some(b'E') => b"error",
        Some(b'F') => b"fatal",
        _ => return Err("I, W, E or F"),
    };
    emit.made("level", |out| out.extend_from_slice(level));
    let (moment, rest) = match date {
        Date::Short => {
            klog(&line[1..], emit.read_at_ns()).ok_or("a time such as `0505 17:59:40.692994`")?
        }
        Date::Long => glog(&line[1..]).ok_or("a time such as `20210131 14:48:54.411655`")?,
    };
    emit.moment(moment);
    let (id, rest) = word(skip_blanks(rest.strip_prefix(b" ").ok_or("a blank after the time")?));
    emit.number("id", id);
    let (place, message) = until(rest, b']').ok_or("`]` after the place")?;
    let (file, number) = with_port(place).ok_or("a file and a line")?;
    emit.text("file", file);
    emit.number("line", number);
    emit.text("message", message.strip_prefix(b" ").unwrap_or(message));
    Ok(())
}
