//! `console`: writes records to standard output or standard error.

use crate::event::encode::{Encoder, Encoding, Extra};
use crate::event::secret::MaskingWriter;
use crate::event::{Batch, Kinds};
use crate::topology::component::{BuildContext, BuiltSink, Deliver, Encode, Fault, SinkConfig};
use crate::topology::delivery::Delivery;
use crate::topology::request::{Answer, Request, Requests};
use crate::topology::settings::{BatchSettings, ByteSize, Period};
use anstyle::{AnsiColor, Style};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What the fault says once the reader of the output is gone; there is no use in going on.
pub const NOBODY_READS: &str = "nobody reads the output any more";

/// Writes records to standard output or standard error, in colour on a terminal (not where
/// `NO_COLOR` is set).
///
/// ```yaml
/// sinks:
///   show: {type: console, inputs: [app], encoding: ndjson}
/// ```
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Which stream.
    pub target: Target,
    /// How records are written: as they were read while nothing changed them, else as JSON.
    pub encoding: Encoding,
    /// Whether to use colours.
    pub color: Color,
}

/// A standard stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error.
    Stderr,
}

/// Whether to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl SinkConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::LOGS.union(Kinds::METRICS)
    }

    fn build(&self, cx: &BuildContext) -> Result<BuiltSink, Fault> {
        let terminal = match self.target {
            Target::Stdout => io::stdout().is_terminal(),
            Target::Stderr => io::stderr().is_terminal(),
        };
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let color = match self.color {
            Color::Auto => terminal && !no_color,
            Color::Always => true,
            Color::Never => false,
        };
        let writer: Box<dyn Write + Send> = match self.target {
            Target::Stdout => Box::new(io::stdout()),
            Target::Stderr => Box::new(io::stderr()),
        };
        let writer = MaskingWriter::new(writer, cx.env.masker.clone());
        let age = Period(Duration::ZERO);
        let batch = BatchSettings { bytes: ByteSize(1 << 20), records: u64::MAX, age };
        Ok(BuiltSink::Requests {
            encoder: Box::new(Lines(encoder(&self.encoding))),
            sender: Arc::new(Console {
                // A run for the moment ends with its reader, and whoever started it sees to that.
                waits_for_end: !cx.env.keeps_state && matches!(self.target, Target::Stdout),
                ..Console::new(writer, &self.encoding, color)
            }),
            delivery: Delivery { batch, ..Delivery::default() },
        })
    }
}

fn encoder(encoding: &Encoding) -> Encoder {
    let extra = if *encoding == Encoding::Text { Extra::Nothing } else { Extra::Origin };
    Encoder::new(encoding, extra)
}

struct Lines(Encoder);

impl Encode for Lines {
    fn encode(&mut self, batch: &Batch, requests: &mut Requests) -> Result<(), Fault> {
        requests.to("").append(&mut self.0, batch)
    }
}

/// Writes to any writer.
#[derive(Debug)]
pub struct Console<W> {
    /// What a body ends with.
    end: Vec<u8>,
    color: bool,
    /// Whether nothing is to be said of a reader that is gone.
    waits_for_end: bool,
    out: Mutex<Out<W>>,
}

#[derive(Debug)]
struct Out<W> {
    writer: W,
    painted: Vec<u8>,
}

impl<W: Write + Send> Console<W> {
    /// One that writes there.
    pub fn new(writer: W, encoding: &Encoding, color: bool) -> Self {
        let mut end = Vec::new();
        encoder(encoding).end(&mut end);
        Self {
            end,
            color,
            waits_for_end: false,
            out: Mutex::new(Out { writer, painted: Vec::new() }),
        }
    }

    fn write(&self, body: &[u8]) -> io::Result<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let Out { writer, painted } = &mut *out;
        if self.color {
            painted.clear();
            for line in body.split_inclusive(|byte| *byte == b'\n') {
                paint(line, painted);
            }
            writer.write_all(painted)?;
        } else {
            writer.write_all(body)?;
        }
        writer.write_all(&self.end)?;
        writer.flush()
    }
}

#[async_trait]
impl<W: Write + Send> Deliver for Console<W> {
    async fn deliver(&self, request: &Request) -> Result<Answer, Fault> {
        match self.write(&request.body) {
            Ok(()) => Ok(Answer::default()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                if self.waits_for_end {
                    std::future::pending::<()>().await;
                }
                Err(Fault::fatal(NOBODY_READS))
            }
            Err(error) => Err(Fault::passing(format!("write to the console: {error}"))),
        }
    }
}

/// Words that tell how bad it is, and their colours.
const LEVELS: [(&str, AnsiColor); 9] = [
    ("emerg", AnsiColor::Red),
    ("alert", AnsiColor::Red),
    ("crit", AnsiColor::Red),
    ("fatal", AnsiColor::Red),
    ("panic", AnsiColor::Red),
    ("err", AnsiColor::Red),
    ("warn", AnsiColor::Yellow),
    ("info", AnsiColor::Green),
    ("debug", AnsiColor::Blue),
];

/// How much of a line is looked at: levels stand near its beginning.
const LEVEL_WITHIN_BYTES: usize = 160;

/// Appends a line with its level in colour.
fn paint(line: &[u8], out: &mut Vec<u8>) {
    let head = &line[..line.len().min(LEVEL_WITHIN_BYTES)];
    let Some((start, end, color)) = words(head).find_map(|(start, end)| {
        let color = level(&head[start..end])?;
        Some((start, end, color))
    }) else {
        return out.extend_from_slice(line);
    };
    let style = Style::new().fg_color(Some(color.into())).bold();
    out.extend_from_slice(&line[..start]);
    // Writing to a vector cannot go wrong.
    write!(out, "{style}").ok();
    out.extend_from_slice(&line[start..end]);
    write!(out, "{style:#}").ok();
    out.extend_from_slice(&line[end..]);
}

fn words(text: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].iter().position(u8::is_ascii_alphabetic)?;
        let len = text[start..].iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        at = start + len;
        Some((start, at))
    })
}

fn level(word: &[u8]) -> Option<AnsiColor> {
    LEVELS.iter().find_map(|(name, color)| {
        let rest = word.get(name.len()..)?;
        let same = word[..name.len()].eq_ignore_ascii_case(name.as_bytes());
        let ending = [&b""[..], b"or", b"ing", b"ency", b"ical"];
        let ends = ending.iter().any(|ending| rest.eq_ignore_ascii_case(ending));
        (same && ends).then_some(*color)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::log::{LogBatch, Origin};
    use bytes::Bytes;

    async fn shown(lines: &'static str, color: bool) -> String {
        let chunk = Bytes::from_static(lines.as_bytes());
        let logs = LogBatch::from_lines(&chunk, Arc::new(Origin::default()), 0, 0);
        let mut written = Vec::new();
        let mut requests = Requests::default();
        Lines(encoder(&Encoding::Text)).encode(&Batch::Logs(logs), &mut requests).unwrap();
        let console = Console::new(&mut written, &Encoding::Text, color);
        console.deliver(requests.to("")).await.unwrap();
        drop(console);
        String::from_utf8(written).unwrap()
    }

    #[tokio::test]
    async fn lines_are_shown_as_they_are_and_levels_stand_out_in_colour() {
        assert_eq!(shown("an ERROR\nwarning: x\n", false).await, "an ERROR\nwarning: x\n");
        assert_eq!(
            shown("an ERROR\nwarning: x\nterror\n", true).await,
            "an \u{1b}[1m\u{1b}[31mERROR\u{1b}[0m\n\u{1b}[1m\u{1b}[33mwarning\u{1b}[0m: x\nterror\n"
        );
    }

    #[tokio::test]
    async fn a_reader_that_is_gone_is_told_apart_from_one_that_is_slow() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut request = Request::default();
        request.body.push(b'x');
        let fault = Console::new(Gone, &Encoding::Text, false).deliver(&request).await.unwrap_err();
        assert_eq!(fault, Fault::fatal(NOBODY_READS));
    }
}
