//! Stack traces: which lines belong to the one before, told by their first bytes where that will
//! do.

use super::{Fate, Mode};

/// What the open record has had so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// A line like any other.
    #[default]
    Plain,
    /// The head of a trace: the class and the message of an exception.
    Head,
    /// Frames.
    Frames,
    /// What ends a trace, unless another one is chained to it.
    Tail,
}

/// The state after a record's first line.
pub(super) fn begin(mode: Mode, line: &[u8]) -> State {
    match mode {
        Mode::Java | Mode::Dotnet if is_head(line) => State::Head,
        Mode::Python if line.starts_with(TRACEBACK) => State::Frames,
        Mode::Go if is_panic(line) || is_goroutine(line) => State::Frames,
        _ => State::Plain,
    }
}

/// What the next line is to the record.
pub(super) fn fate(mode: Mode, state: &mut State, line: &[u8]) -> Fate {
    let fate = match mode {
        Mode::Java | Mode::Dotnet => exception(state, line),
        Mode::Python => python(state, line),
        Mode::Go => go(state, line),
        Mode::Ruby => ruby(line),
        // Handled apart: their parts do not stand together.
        Mode::Cri | Mode::Docker => None,
    };
    fate.unwrap_or(Fate::Begins)
}

/// The JVM and .NET: frames are indented, causes are named. The head of a trace goes with the
/// line that it was logged with, unless that has a trace already.
fn exception(state: &mut State, line: &[u8]) -> Option<Fate> {
    let first = *line.first()?;
    let more = match first {
        b' ' | b'\t' => line.iter().any(|byte| !byte.is_ascii_whitespace()),
        b'C' => line.starts_with(b"Caused by:"),
        b'S' if line.starts_with(b"Suppressed:") => true,
        b'-' => line.starts_with(b"--- End of "),
        _ => false,
    };
    if more {
        *state = State::Frames;
        return Some(Fate::Continues);
    }
    if *state == State::Plain && is_head(line) {
        *state = State::Head;
        return Some(Fate::Continues);
    }
    None
}

/// Whether a line is `some.package.SomeException` or the like, alone or with a message.
fn is_head(line: &[u8]) -> bool {
    let line = ["Exception in thread ", "Unhandled exception. ", "Unhandled Exception: "]
        .iter()
        .find_map(|head| line.strip_prefix(head.as_bytes()))
        .unwrap_or(line);
    // A thread's name is in quotes.
    let line = match line.first() {
        Some(b'"') => {
            let end = memchr::memchr(b'"', &line[1..]).map_or(line.len(), |end| end + 2);
            line[end..].trim_ascii_start()
        }
        _ => line,
    };
    let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"._$".contains(byte);
    let len = line.iter().take_while(|byte| in_name(byte)).count();
    let (name, rest) = line.split_at(len);
    (rest.is_empty() || rest.first() == Some(&b':'))
        && name.contains(&b'.')
        && [&b"Exception"[..], b"Error", b"Throwable"].iter().any(|end| name.ends_with(end))
}

const TRACEBACK: &[u8] = b"Traceback (most recent call last):";

/// How one Python exception is chained to another.
const CHAINED: [&[u8]; 2] = [b"During handling of the above exception", b"The above exception was"];

fn python(state: &mut State, line: &[u8]) -> Option<Fate> {
    match *state {
        // The line that the traceback was logged with.
        State::Plain | State::Head => {
            line.starts_with(TRACEBACK).then(|| *state = State::Frames)?;
        }
        State::Frames => {
            // The exception itself stands at the margin, and is the last line.
            if line.first().is_some_and(|byte| !byte.is_ascii_whitespace()) {
                *state = State::Tail;
            }
        }
        State::Tail if line.is_empty() => return Some(Fate::Perhaps),
        State::Tail if line.starts_with(TRACEBACK) => *state = State::Frames,
        State::Tail => {
            let chained = CHAINED.iter().any(|begin| line.starts_with(begin));
            // A blank line and the next traceback follow.
            return chained.then_some(Fate::Continues);
        }
    }
    Some(Fate::Continues)
}

fn is_panic(line: &[u8]) -> bool {
    line.starts_with(b"panic: ")
        || line.starts_with(b"fatal error: ")
        || memchr::memmem::find(line, b": panic serving ").is_some()
}

fn is_goroutine(line: &[u8]) -> bool {
    line.starts_with(b"goroutine ") && line.ends_with(b":")
}

fn go(state: &mut State, line: &[u8]) -> Option<Fate> {
    if *state != State::Frames {
        return None;
    }
    let Some(first) = line.first() else { return Some(Fate::Perhaps) };
    let continues = match first {
        b'\t' | b' ' | b'[' => true,
        b'g' if is_goroutine(line) => true,
        b'c' if line.starts_with(b"created by ") => true,
        b'.' if line.starts_with(b"...") => true,
        b'e' if line.starts_with(b"exit status ") => return Some(Fate::Ends),
        b'p' if line.starts_with(b"panic: ") => false,
        // A call: `main.(*server).serve(0xc000010000)`.
        _ => line.ends_with(b")") && line.contains(&b'('),
    };
    continues.then_some(Fate::Continues)
}

/// Frames are indented, or are `path:line:in 'method'` with nothing behind it.
fn ruby(line: &[u8]) -> Option<Fate> {
    let first = *line.first()?;
    if matches!(first, b' ' | b'\t') {
        return line.iter().any(|byte| !byte.is_ascii_whitespace()).then_some(Fate::Continues);
    }
    let at = memchr::memmem::find(line, b":in ")?;
    let frame = line[..at]
        .rsplit(|byte| *byte == b':')
        .next()
        .is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit));
    (frame && line.ends_with(b"'")).then_some(Fate::Continues)
}
