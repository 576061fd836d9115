//! Framing: from the bytes of a file or a stream to the places of its records.
//!
//! Text in UTF-8 with line feeds and one line a record, the usual case, is only cut at its last
//! line feed. Everything else is done in the same buffer: other encodings are decoded behind the
//! bytes that were read, line by line, so that each record knows where it begins in the file.

use super::multiline::{Joined, Joiner, Line, lines};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use memchr::memmem;
use std::borrow::Cow;

/// How a source's text is made of records.
#[derive(Clone, Debug)]
pub struct Framing {
    encoding: &'static Encoding,
    delimiter: String,
    joiner: Option<Joiner>,
}

/// How one file's text is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coding {
    /// `None` for UTF-8, which is not decoded.
    decode: Option<&'static Encoding>,
    /// What ends a line, in bytes of the file.
    delimiter: Vec<u8>,
}

/// What is taken although more may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flush {
    /// Only records that are surely whole.
    Nothing,
    /// A record that further lines might belong to.
    Records,
    /// A line without its end, too.
    All,
}

/// Records found in a buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// How many bytes of the file they are made of; 0 where no record is whole.
    pub used: usize,
    /// Where their text stands in the buffer.
    pub text: (usize, usize),
    /// Their places in that text, where they are not its lines.
    pub records: Option<Vec<(usize, usize)>>,
    /// Where each begins among the bytes that were read, where the text was made anew.
    pub places: Option<Vec<u32>>,
    /// Whether a line is whole, whatever becomes of its record.
    pub has_line: bool,
}

impl Framing {
    /// Text of this encoding, where nothing in it says another, in lines that end with `delimiter`.
    pub fn new(encoding: &'static Encoding, delimiter: &str, joiner: Option<Joiner>) -> Self {
        Self { encoding, delimiter: delimiter.to_owned(), joiner }
    }

    /// How a file is written that begins with these bytes, and how many of them say only that.
    /// Three bytes are enough to know.
    pub fn coding(&self, begin: &[u8]) -> (Coding, usize) {
        let (encoding, mark) = Encoding::for_bom(begin).unwrap_or((self.encoding, 0));
        let wide = encoding == UTF_16LE || encoding == UTF_16BE;
        let delimiter = if wide {
            let bytes = |unit: u16| {
                if encoding == UTF_16LE { unit.to_le_bytes() } else { unit.to_be_bytes() }
            };
            self.delimiter.encode_utf16().flat_map(bytes).collect()
        } else {
            encoding.encode(&self.delimiter).0.into_owned()
        };
        (Coding { decode: (encoding != UTF_8).then_some(encoding), delimiter }, mark)
    }

    /// How much room is needed for text made from so many bytes, themselves included.
    pub fn room(&self, bytes: u64, coding: &Coding) -> u64 {
        match coding.decode {
            // One byte may become three: windows-1252's euro sign, or a replacement.
            Some(_) => bytes * 4,
            None if self.joiner.as_ref().is_some_and(Joiner::makes_text) => bytes * 2,
            None => bytes,
        }
    }

    /// Cuts the bytes of `data` behind `from`, which begin where a record begins, into records.
    pub fn cut(&self, data: &mut Vec<u8>, from: usize, coding: &Coding, flush: Flush) -> Cut {
        let body = &data[from..];
        let plain = coding.decode.is_none() && coding.delimiter == b"\n";
        if plain {
            let whole = match flush {
                Flush::All => body.len(),
                _ => memchr::memrchr(b'\n', body).map_or(0, |newline| newline + 1),
            };
            return match &self.joiner {
                None => Cut {
                    used: whole,
                    text: (from, from + whole),
                    has_line: whole > 0,
                    ..Cut::default()
                },
                Some(joiner) => {
                    let cut = Cut { has_line: whole > 0, ..Cut::default() };
                    let joined =
                        joiner.join(&body[..whole], lines(&body[..whole]), flush > Flush::Nothing);
                    finish(data, from, joined, cut)
                }
            };
        }
        let raw = coding.lines(body, flush);
        let cut = Cut { has_line: !raw.is_empty(), ..Cut::default() };
        let Some(encoding) = coding.decode else {
            let joined = self.join(body, &raw, flush);
            return finish(data, from, joined, cut);
        };
        let to = data.len();
        let decoded = decode(data, from, &raw, encoding);
        let joined = self.join(&data[to..], &decoded, flush);
        let place_of = |start: usize| {
            let at = decoded.partition_point(|line| line.start < start);
            raw.get(at).map_or(0, |line| line.start)
        };
        let ended = decoded.partition_point(|line| line.start < joined.used);
        let used = ended.checked_sub(1).map_or(0, |last| raw[last].next);
        let mut cut = finish(data, to, joined, cut);
        let places = match cut.places.take() {
            Some(places) => places.iter().map(|place| fit(place_of(*place as usize))).collect(),
            None => {
                let records = cut.records.iter().flatten();
                records.map(|(start, _)| fit(place_of(*start))).collect()
            }
        };
        cut.places = Some(places);
        cut.used = used;
        cut
    }

    /// A whole text as it is meant, for what comes in one piece.
    pub fn decode<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let (encoding, mark) = Encoding::for_bom(text).unwrap_or((self.encoding, 0));
        if encoding == UTF_8 {
            return Cow::Borrowed(&text[mark..]);
        }
        match encoding.decode_without_bom_handling(&text[mark..]).0 {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        }
    }

    fn join(&self, text: &[u8], lines: &[Line], flush: Flush) -> Joined {
        match &self.joiner {
            Some(joiner) => joiner.join(text, lines.iter().copied(), flush > Flush::Nothing),
            None => Joined {
                records: lines.iter().map(|line| (line.start, line.end)).collect(),
                made: None,
                used: lines.last().map_or(0, |line| line.next),
            },
        }
    }

    /// Takes the first `len` bytes as one record, though they are only the beginning of a line.
    pub fn piece(&self, data: &mut Vec<u8>, from: usize, len: usize, coding: &Coding) -> Cut {
        let line = Line { start: 0, end: len, next: len };
        let Some(encoding) = coding.decode else {
            let text = (from, from + len);
            return Cut {
                used: len,
                text,
                records: Some(vec![(0, len)]),
                has_line: true,
                ..Cut::default()
            };
        };
        let to = data.len();
        decode(data, from, &[line], encoding);
        let text = (to, data.len());
        let records = Some(vec![(0, data.len() - to - 1)]);
        Cut { used: len, text, records, places: Some(vec![0]), has_line: true }
    }
}

/// Puts the joined records where they can be sent.
fn finish(data: &mut Vec<u8>, from: usize, joined: Joined, cut: Cut) -> Cut {
    let records = Some(joined.records);
    match joined.made {
        None => Cut { used: joined.used, text: (from, from + joined.used), records, ..cut },
        Some(made) => {
            let at = data.len();
            data.extend_from_slice(&made.text);
            let places = Some(made.places.into_iter().map(fit).collect());
            Cut { used: joined.used, text: (at, data.len()), records, places, ..cut }
        }
    }
}

/// Appends each line of what stands behind `from`, decoded and with a line feed.
fn decode(data: &mut Vec<u8>, from: usize, raw: &[Line], encoding: &'static Encoding) -> Vec<Line> {
    let to = data.len();
    let mut decoded = Vec::with_capacity(raw.len());
    for line in raw {
        let mut decoder = encoding.new_decoder_without_bom_handling();
        let bytes = line.end - line.start;
        let at = data.len();
        let room = decoder.max_utf8_buffer_length(bytes).unwrap_or(bytes * 3 + 16);
        data.resize(at + room, 0);
        let (old, new) = data.split_at_mut(at);
        let bytes = &old[from + line.start..from + line.end];
        let (_, _, written, _) = decoder.decode_to_utf8(bytes, new, true);
        data.truncate(at + written);
        data.push(b'\n');
        decoded.push(Line { start: at - to, end: at - to + written, next: data.len() - to });
    }
    decoded
}

impl Coding {
    /// The whole lines; with [`Flush::All`] also a last one that has no end.
    fn lines(&self, body: &[u8], flush: Flush) -> Vec<Line> {
        let mut found = Vec::new();
        let mut start = 0;
        while let Some(end) = self.end_of_line(&body[start..]) {
            let next = start + end + self.delimiter.len();
            found.push(Line { start, end: start + end, next });
            start = next;
        }
        if flush == Flush::All && start < body.len() {
            found.push(Line { start, end: body.len(), next: body.len() });
        }
        found
    }

    /// Where the next delimiter stands. In UTF-16 it can only stand at whole units.
    fn end_of_line(&self, text: &[u8]) -> Option<usize> {
        if !self.is_wide() {
            return memmem::find(text, &self.delimiter);
        }
        let mut from = 0;
        loop {
            let at = from + memmem::find(&text[from..], &self.delimiter)?;
            if at.is_multiple_of(2) {
                return Some(at);
            }
            from = at + 1;
        }
    }

    fn is_wide(&self) -> bool {
        self.decode.is_some_and(|encoding| encoding == UTF_16LE || encoding == UTF_16BE)
    }

    /// Whether a zero byte is no part of usual text.
    pub fn has_no_zeros(&self) -> bool {
        !self.is_wide() && !self.delimiter.contains(&0)
    }

    /// One past the delimiter that ends the line in which `text` begins.
    pub fn next_line(&self, text: &[u8]) -> Option<usize> {
        self.end_of_line(text).map(|end| end + self.delimiter.len())
    }

    /// How many bytes a search must look back so that no delimiter is missed at the seam.
    pub fn overlap(&self) -> usize {
        if self.is_wide() { self.delimiter.len() - 2 } else { self.delimiter.len() - 1 }
    }

    /// So many bytes, or the fewer that are whole units of UTF-16.
    pub fn whole_units(&self, bytes: usize) -> usize {
        if self.is_wide() { bytes & !1 } else { bytes }
    }

    /// Where to cut a line after at most `longest` bytes: not within a character where that can
    /// be told.
    pub fn cut_of(&self, line: &[u8], longest: usize) -> usize {
        if self.is_wide() {
            return (longest & !1).max(2).min(line.len());
        }
        if self.decode.is_some() {
            return longest.min(line.len());
        }
        let inside = |at: &usize| line.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
        let cut = (0..4.min(longest)).map(|back| longest - back).find(|at| !inside(at));
        cut.unwrap_or(longest).max(1)
    }
}

fn fit(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::log::multiline::{Mode, Rule};

    fn framing(label: &str, delimiter: &str) -> Framing {
        Framing::new(Encoding::for_label(label.as_bytes()).unwrap(), delimiter, None)
    }

    fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    /// The records, where each begins among the bytes, and how many bytes they are made of.
    fn cut(framing: &Framing, bytes: &[u8], flush: Flush) -> (Vec<(String, usize)>, usize) {
        let mut data = [b"anchor", bytes].concat();
        let (coding, _) = framing.coding(bytes);
        let cut = framing.cut(&mut data, 6, &coding, flush);
        let text = &data[cut.text.0..cut.text.1];
        let records =
            cut.records.unwrap_or_else(|| lines(text).map(|line| (line.start, line.end)).collect());
        let records = records.iter().enumerate().map(|(at, (start, end))| {
            let place = cut.places.as_ref().map_or(*start, |places| places[at] as usize);
            (String::from_utf8_lossy(&text[*start..*end]).into_owned(), place)
        });
        (records.collect(), cut.used)
    }

    fn record(text: &str, place: usize) -> (String, usize) {
        (text.to_owned(), place)
    }

    #[test]
    fn only_whole_lines_are_taken_until_all_is() {
        let framing = framing("utf-8", "\n");
        let expected = vec![record("a", 0), record("b\r", 2)];
        assert_eq!(cut(&framing, b"a\nb\r\nc", Flush::Records), (expected, 5));
        assert_eq!(cut(&framing, b"a\nb", Flush::All).0, [record("a", 0), record("b", 2)]);
    }

    #[test]
    fn other_delimiters_end_lines_and_line_feeds_do_not() {
        let crlf = framing("utf-8", "\r\n");
        let expected = vec![record("a\nb", 0), record("c", 5)];
        assert_eq!(cut(&crlf, b"a\nb\r\nc\r\nd\r", Flush::Nothing), (expected, 8));
        let nul = framing("utf-8", "\0");
        assert_eq!(cut(&nul, b"a\0\0b", Flush::Nothing).0, [record("a", 0), record("", 2)]);
    }

    #[test]
    fn utf_16_is_cut_at_whole_units_and_knows_its_places() {
        let framing = framing("utf-16le", "\n");
        // U+0A0D and U+0D0A have the bytes of line ends at odd places.
        let bytes = wide("é\u{a0d}\u{d0a}\nb\u{1f600}\nrest");
        let expected = vec![record("é\u{a0d}\u{d0a}", 0), record("b\u{1f600}", 8)];
        assert_eq!(cut(&framing, &bytes, Flush::Nothing), (expected, 16));
        for odd in 0..bytes.len() {
            let (records, used) = cut(&framing, &bytes[..odd], Flush::Nothing);
            assert!(used <= odd && records.len() <= 2, "{odd}");
        }
    }

    #[test]
    fn a_byte_order_mark_goes_before_the_setting() {
        let framing = framing("latin1", "\n");
        assert_eq!(framing.coding(b"\xff\xfea").1, 2);
        assert_eq!(framing.coding(b"\xef\xbb\xbfa").1, 3);
        assert!(framing.coding(b"\xef\xbb\xbfa").0.decode.is_none());
        assert_eq!(framing.coding(b"abc").1, 0);
    }

    #[test]
    fn encodings_with_one_and_two_bytes_a_character_are_decoded() {
        let expected = vec![record("grün €", 0), record("x", 7)];
        assert_eq!(cut(&framing("latin1", "\n"), b"gr\xfcn \x80\nx\n", Flush::Nothing).0, expected);
        let japanese = framing("shift_jis", "\n");
        assert_eq!(cut(&japanese, b"\x93\xfa\x96\x7b\n", Flush::Nothing).0, [record("日本", 0)]);
        assert_eq!(cut(&japanese, b"\x93\n", Flush::Nothing).0[0].0, "\u{fffd}");
    }

    #[test]
    fn joined_records_know_where_they_begin_in_the_file() {
        let joiner = |mode| Some(Joiner::new(Rule::Mode(mode), 100, 1000));
        let framing = Framing::new(UTF_16LE, "\n", joiner(Mode::Java));
        let (records, used) = cut(&framing, &wide("a\n b\nc\n"), Flush::Nothing);
        assert_eq!((records, used), (vec![record("a\n b", 0)], 10));
        let framing = Framing::new(UTF_8, "\n", joiner(Mode::Cri));
        let (records, used) = cut(&framing, b"t o P a\nt o F b\nt o F c\n", Flush::Nothing);
        assert_eq!((records, used), (vec![record("t o F ab", 0), record("t o F c", 16)], 24));
    }

    #[test]
    fn a_piece_of_a_line_is_not_cut_within_a_character() {
        let framing = framing("utf-8", "\n");
        let (coding, _) = framing.coding(b"");
        assert_eq!(coding.cut_of("ééé".as_bytes(), 3), 2);
        let mut data = "éé".as_bytes().to_vec();
        let cut = framing.piece(&mut data, 0, 2, &coding);
        assert_eq!((cut.used, cut.text), (2, (0, 2)));
    }
}
