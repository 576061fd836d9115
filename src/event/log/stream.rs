//! Streams: bytes come in whatever pieces, and leave as whole records.
//!
//! Pure, as [`super::framing`] is: whoever reads keeps the bytes, and is told what stands at their
//! beginning. However they come, the records are the same.

use super::framing::{Coding, Cut, Flush, Framing};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// What happens to a line that is too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnLongLine {
    /// It is cut into pieces, each a record.
    #[default]
    Split,
    /// Its beginning is a record, the rest is left out. The `file` source counts it in
    /// `driftless_file_long_lines_total`, other sources as an error.
    Truncate,
    /// It is left out, and counted as dropped for the reason `line_too_long`.
    Skip,
}

/// How text is made of records.
#[derive(Clone, Debug)]
pub struct Text {
    /// What its lines are, and which of them belong together.
    pub framing: Framing,
    /// The longest line, in bytes as they come.
    pub longest: usize,
    /// What happens to a longer one.
    pub on_long_line: OnLongLine,
    /// How long a record waits for further lines while nothing comes, where any record waits.
    pub timeout: Option<Duration>,
}

/// What one stream has told of itself so far.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    coding: Option<Coding>,
    /// Whether what comes is the rest of a line that is too long.
    is_passing: bool,
}

/// What stands at the beginning of the bytes that have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Records.
    Records(Cut),
    /// The beginning of a line that is too long; the rest of it is passed over.
    Beginning(Cut),
    /// So many bytes of a line that is too long and is left out, as the rest of it is.
    TooLong(usize),
    /// So many bytes that stand for nothing.
    Nothing(usize),
    /// Nothing is whole yet.
    More,
}

/// Byte order marks.
const MARKS: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];

impl Text {
    /// How many more bytes may be read where `waiting` have come and are no record yet: enough to
    /// know that a line is too long, and no more. At least one, if [`Stream::find`] found nothing
    /// in them.
    pub fn wants(&self, waiting: usize) -> usize {
        // What may be the beginning of a byte order mark waits, however short a line may be.
        (self.longest + 1).saturating_sub(waiting).max(1)
    }
}

impl Stream {
    /// How much room [`Self::find`] needs for so many bytes and for what is made of them.
    pub fn room(&self, text: &Text, bytes: usize) -> usize {
        match &self.coding {
            Some(coding) => {
                usize::try_from(text.framing.room(bytes as u64, coding)).unwrap_or(usize::MAX)
            }
            // A byte order mark may say that more is needed.
            None => bytes * 4,
        }
    }

    /// Looks at all bytes that have come and were not found to be anything yet. Text that is made
    /// of them is appended to `data`, where anything was found.
    pub fn find(&mut self, text: &Text, data: &mut Vec<u8>, flush: Flush) -> Found {
        let Some(coding) = &self.coding else { return self.begin(text, data, flush) };
        let body = data.len();
        if self.is_passing {
            return match coding.next_line(data) {
                Some(next) => {
                    self.is_passing = false;
                    Found::Nothing(next)
                }
                None if flush == Flush::All && body > 0 => Found::Nothing(body),
                // The delimiter may have begun.
                None => match coding.whole_units(body.saturating_sub(coding.overlap())) {
                    0 => Found::More,
                    bytes => Found::Nothing(bytes),
                },
            };
        }
        let mut cut = text.framing.cut(data, 0, coding, flush);
        if cut.used == 0 && cut.has_line && body > text.longest {
            // No more of this record is looked at.
            data.truncate(body);
            cut = text.framing.cut(data, 0, coding, Flush::Records);
        }
        if cut.used > 0 {
            return Found::Records(cut);
        }
        if body <= text.longest {
            // What was made of lines that have to wait will be made again.
            data.truncate(body);
            return Found::More;
        }
        let len = coding.cut_of(data, text.longest);
        if text.on_long_line == OnLongLine::Split {
            return Found::Records(text.framing.piece(data, 0, len, coding));
        }
        let used = coding.whole_units(len.saturating_sub(coding.overlap()));
        self.is_passing = true;
        if text.on_long_line == OnLongLine::Skip {
            return Found::TooLong(used);
        }
        Found::Beginning(Cut { used, ..text.framing.piece(data, 0, len, coding) })
    }

    /// Finds out how the text is written.
    fn begin(&mut self, text: &Text, data: &mut Vec<u8>, flush: Flush) -> Found {
        let is_part = |mark: &[u8]| data.len() < mark.len() && mark.starts_with(data);
        if data.is_empty() || flush != Flush::All && MARKS.into_iter().any(is_part) {
            return Found::More;
        }
        let (coding, mark) = text.framing.coding(data);
        self.coding = Some(coding);
        if mark > 0 { Found::Nothing(mark) } else { self.find(text, data, flush) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::framing::Framing;
    use super::super::multiline::{Joiner, Rule, lines};
    use super::*;
    use encoding_rs::{Encoding, UTF_8};
    use proptest::prelude::*;

    fn text(framing: Framing, longest: usize, on_long_line: OnLongLine) -> Text {
        Text { framing, longest, on_long_line, timeout: None }
    }

    fn plain() -> Framing {
        Framing::new(UTF_8, "\n", None)
    }

    fn indented(encoding: &'static Encoding, delimiter: &str) -> Framing {
        let rule = Rule::Continuation(regex::bytes::Regex::new(r"^\s").unwrap());
        Framing::new(encoding, delimiter, Some(Joiner::new(rule, 100, 1000)))
    }

    /// The records of bytes that come in reads of these sizes, and how many lines were left out.
    fn records(text: &Text, bytes: &[u8], reads: &[usize]) -> (Vec<String>, usize) {
        let (mut stream, mut data, mut at) = (Stream::default(), Vec::new(), 0);
        let (mut all, mut left_out, mut sizes) = (Vec::new(), 0, reads.iter().cycle());
        loop {
            let size = sizes.next().copied().unwrap_or(usize::MAX).min(text.wants(data.len()));
            assert!(size > 0, "it never stands still");
            let size = size.min(bytes.len() - at);
            data.extend_from_slice(&bytes[at..at + size]);
            at += size;
            let flush = if size == 0 { Flush::All } else { Flush::Nothing };
            loop {
                let body = data.len();
                let used = match stream.find(text, &mut data, flush) {
                    Found::More => break,
                    Found::Nothing(used) => used,
                    Found::TooLong(used) => {
                        left_out += 1;
                        used
                    }
                    Found::Records(cut) | Found::Beginning(cut) => {
                        let made = &data[cut.text.0..cut.text.1];
                        let places = cut.records.unwrap_or_else(|| {
                            lines(made).map(|line| (line.start, line.end)).collect()
                        });
                        let record = |(start, end): &(usize, usize)| {
                            String::from_utf8_lossy(&made[*start..*end]).into_owned()
                        };
                        all.extend(places.iter().map(record));
                        cut.used
                    }
                };
                data.truncate(body);
                data.drain(..used);
            }
            if size == 0 {
                assert!(data.is_empty(), "nothing is left behind");
                return (all, left_out);
            }
        }
    }

    #[test]
    fn of_a_line_that_is_too_long_becomes_what_is_asked_for_and_the_next_one_is_whole() {
        let bytes = b"one\nabcdefghijklm\ntwo\nxyzxyzxyzx";
        let with = |on_long_line| records(&text(plain(), 6, on_long_line), bytes, &[3]);
        let split = ["one", "abcdef", "ghijkl", "m", "two", "xyzxyz", "xyzx"];
        assert_eq!(with(OnLongLine::Split), (split.map(str::to_owned).into(), 0));
        let cut = ["one", "abcdef", "two", "xyzxyz"].map(str::to_owned);
        assert_eq!(with(OnLongLine::Truncate), (cut.into(), 0));
        assert_eq!(with(OnLongLine::Skip), (["one", "two"].map(str::to_owned).into(), 2));
    }

    #[test]
    fn the_rest_of_a_long_line_in_utf_16_is_passed_over_up_to_its_own_line_end() {
        let framing = Framing::new(Encoding::for_label(b"utf-16be").unwrap(), "\r\n", None);
        let wide =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_be_bytes).collect() };
        // U+0D00 and U+0A00 have the delimiter's bytes at odd places.
        let bytes = wide("aaaaaaa\u{d00}\u{a00}bbbb\r\nc\r\n");
        for reads in [&[1][..], &[7], &[100]] {
            let (got, _) = records(&text(framing.clone(), 11, OnLongLine::Truncate), &bytes, reads);
            assert_eq!(got, ["aaaaa", "c"], "{reads:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_in_pieces_goes_before_the_setting_and_is_no_text() {
        let latin = Framing::new(Encoding::for_label(b"latin1").unwrap(), "\n", None);
        let latin = text(latin, 100, OnLongLine::Split);
        assert_eq!(records(&latin, "\u{feff}grün\n".as_bytes(), &[1]).0, ["grün"]);
        assert_eq!(records(&latin, b"\xff\xfea\0\n\0", &[1]).0, ["a"]);
        assert_eq!(records(&latin, b"\xef", &[1]).0, ["ï"]);
        assert_eq!(records(&latin, b"", &[1]).0, Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn however_the_bytes_arrive_the_records_are_the_same(
            bytes in proptest::collection::vec(
                prop_oneof![Just(b'\n'), Just(b' '), Just(b'a'), Just(b'\r'), any::<u8>()],
                0..200,
            ),
            reads in proptest::collection::vec(1usize..20, 1..10),
            longest in 4usize..40,
            delimiter in prop_oneof![Just("\n"), Just("\r\n")],
            skips: bool,
        ) {
            let on_long_line = if skips { OnLongLine::Skip } else { OnLongLine::Truncate };
            let latin = Encoding::for_label(b"latin1").unwrap();
            for framing in [
                indented(UTF_8, "\n"),
                indented(latin, delimiter),
                Framing::new(latin, delimiter, None),
            ] {
                let text = text(framing, longest, on_long_line);
                prop_assert_eq!(records(&text, &bytes, &[]), records(&text, &bytes, &reads));
            }
        }
    }
}
