//! Multiline: lines that belong together become one record.
//!
//! Pure and without memory between two calls: whoever reads gives text that begins where a record
//! begins, and is told which records are whole and how many bytes they are made of. The rest is
//! given again, with what follows it. So a source's mark is always where a record begins.

mod partial;
#[cfg(test)]
mod tests;
mod trace;

use regex::bytes::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

/// A ready-made way to tell which lines belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Stack traces of the JVM, with causes, after the line that they were logged with.
    Java,
    /// Tracebacks, chained ones too, after the line that they were logged with.
    Python,
    /// Panics and dumps of goroutines.
    Go,
    /// Backtraces.
    Ruby,
    /// Stack traces of .NET, with inner exceptions, after the line that they were logged with.
    Dotnet,
    /// Lines that a container runtime has cut: `TIME STREAM P|F TEXT`. The parts of one stream
    /// become one line marked `F`.
    Cri,
    /// Lines that Docker's `json-file` driver has cut: objects whose `log` has no line end.
    Docker,
}

/// What tells which lines belong together.
#[derive(Clone, Debug)]
pub enum Rule {
    /// A record begins with each line that matches.
    Start(Regex),
    /// A line that matches belongs to the one before.
    Continuation(Regex),
    /// A record ends with each line that matches.
    End(Regex),
    /// Ready-made.
    Mode(Mode),
}

/// Joins lines.
#[derive(Clone, Debug)]
pub struct Joiner {
    rule: Rule,
    max_lines: usize,
    max_bytes: usize,
}

/// One line's place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its first byte.
    pub start: usize,
    /// One past its last byte, without the line end.
    pub end: usize,
    /// Where the next line begins.
    pub next: usize,
}

/// What became of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joined {
    /// The places of the records: in `made`, if there is one, else in the text.
    pub records: Vec<(usize, usize)>,
    /// A new text, where records had to be put together from parts that stand apart; each record
    /// in it is followed by a line feed.
    pub made: Option<Made>,
    /// How many bytes of the text the records are made of.
    pub used: usize,
}

/// A text that was put together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// The records, each with a line feed.
    pub text: Vec<u8>,
    /// For each record the place of its first line in the old text.
    pub places: Vec<usize>,
}

/// What a line is to the record before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It begins a new one.
    Begins,
    /// It belongs to it.
    Continues,
    /// It belongs to it if a line that continues it follows.
    Perhaps,
    /// It belongs to it and ends it.
    Ends,
}

/// A record that may not be whole yet.
struct Open {
    first: Line,
    /// The last line that surely belongs to it.
    last: Line,
    lines: usize,
    trace: trace::State,
}

impl Joiner {
    /// `max_lines` and `max_bytes` end a record that would be longer; what follows is a record of
    /// its own.
    pub fn new(rule: Rule, max_lines: usize, max_bytes: usize) -> Self {
        Self { rule, max_lines: max_lines.max(1), max_bytes: max_bytes.max(1) }
    }

    /// The longest record, in bytes.
    pub fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Whether records are put together anew, so that room for them is needed.
    pub fn makes_text(&self) -> bool {
        matches!(self.rule, Rule::Mode(Mode::Cri | Mode::Docker))
    }

    /// Joins the `lines` of `text`, which begins with a new record. Unless nothing more will come
    /// (`last`), a record that may go on is left over.
    pub fn join(&self, text: &[u8], lines: impl Iterator<Item = Line>, last: bool) -> Joined {
        match self.rule {
            Rule::Mode(Mode::Cri) => {
                partial::join(text, lines, last, partial::cri, (self.max_lines, self.max_bytes))
            }
            Rule::Mode(Mode::Docker) => {
                partial::join(text, lines, last, partial::docker, (self.max_lines, self.max_bytes))
            }
            _ => self.spans(text, lines, last),
        }
    }

    fn spans(&self, text: &[u8], lines: impl Iterator<Item = Line>, last: bool) -> Joined {
        let mut joined = Joined::default();
        let mut open: Option<Open> = None;
        // Lines after the sure part of the open record that may belong to it.
        let mut perhaps: Vec<Line> = Vec::new();
        for line in lines {
            let body = &text[line.start..line.end];
            let fate = open.as_mut().map_or(Fate::Begins, |open| {
                let full = open.lines + perhaps.len() >= self.max_lines
                    || line.end - open.first.start > self.max_bytes;
                if full { Fate::Begins } else { self.fate(open, body) }
            });
            match (fate, &mut open) {
                (Fate::Perhaps, Some(_)) => perhaps.push(line),
                (Fate::Continues | Fate::Ends, Some(open)) => {
                    open.lines += 1 + perhaps.len();
                    perhaps.clear();
                    open.last = line;
                }
                _ => {
                    close(&mut open, &mut perhaps, &mut joined);
                    open = Some(self.begin(body, line));
                }
            }
            let ends = fate == Fate::Ends
                || (fate == Fate::Begins && matches!(&self.rule, Rule::End(end) if is(end, body)));
            if ends {
                close(&mut open, &mut perhaps, &mut joined);
            }
        }
        // A record that can take no further line is whole.
        let full = open.as_ref().is_some_and(|open| {
            open.lines >= self.max_lines || open.last.next - open.first.start > self.max_bytes
        });
        if last || full {
            close(&mut open, &mut perhaps, &mut joined);
        }
        joined
    }

    fn begin(&self, body: &[u8], line: Line) -> Open {
        let trace = match self.rule {
            Rule::Mode(mode) => trace::begin(mode, message(body)),
            _ => trace::State::default(),
        };
        Open { first: line, last: line, lines: 1, trace }
    }

    #[inline]
    fn fate(&self, open: &mut Open, body: &[u8]) -> Fate {
        let continues = |yes| if yes { Fate::Continues } else { Fate::Begins };
        match &self.rule {
            Rule::Start(start) => continues(!is(start, body)),
            Rule::Continuation(continuation) => continues(is(continuation, body)),
            Rule::End(end) if is(end, body) => Fate::Ends,
            Rule::End(_) => Fate::Continues,
            Rule::Mode(mode) => trace::fate(*mode, &mut open.trace, message(body)),
        }
    }
}

/// Ends the open record; lines that in the end do not belong to it are records of their own.
fn close(open: &mut Option<Open>, perhaps: &mut Vec<Line>, joined: &mut Joined) {
    if let Some(open) = open.take() {
        joined.records.push((open.first.start, open.last.end));
        joined.used = open.last.next;
    }
    for line in perhaps.drain(..) {
        joined.records.push((line.start, line.end));
        joined.used = line.next;
    }
}

fn is(pattern: &Regex, body: &[u8]) -> bool {
    pattern.is_match(message(body))
}

/// The line without its carriage return.
fn message(body: &[u8]) -> &[u8] {
    body.strip_suffix(b"\r").unwrap_or(body)
}

/// The lines of a text that end in a line feed each; the last one need not.
pub fn lines(text: &[u8]) -> impl Iterator<Item = Line> {
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', text).map(|end| (end, end + 1));
    let unended =
        text.last().is_some_and(|byte| *byte != b'\n').then_some((text.len(), text.len()));
    ends.chain(unended).map(move |(end, next)| Line {
        start: std::mem::replace(&mut start, next),
        end,
        next,
    })
}
