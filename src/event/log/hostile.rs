//! Texts of any encoding, in pieces of any size.

use super::framing::{Cut, Flush, Framing};
use super::multiline::{Joiner, Mode, Rule, lines};
use super::stream::{Found, OnLongLine, Stream, Text};
use encoding_rs::Encoding;
use regex::bytes::Regex;

const ENCODINGS: [&str; 7] =
    ["utf-8", "utf-16le", "utf-16be", "latin1", "shift_jis", "iso-2022-jp", "gb18030"];
const DELIMITERS: [&str; 4] = ["\n", "\r\n", "\0", "||"];
/// No record has more lines or bytes.
const MOST: (usize, usize) = (6, 80);

fn rules() -> Vec<Rule> {
    let modes =
        [Mode::Java, Mode::Python, Mode::Go, Mode::Ruby, Mode::Dotnet, Mode::Cri, Mode::Docker];
    let mut rules: Vec<Rule> = modes.map(Rule::Mode).into();
    let pattern = |text: &str| Regex::new(text).ok();
    rules.extend(pattern("^a").map(Rule::Start));
    rules.extend(pattern("^ ").map(Rule::Continuation));
    rules.extend(pattern("a$").map(Rule::End));
    rules
}

/// What the first bytes of an input choose: encoding, delimiter and rule.
fn chosen(encoding: u8, delimiter: u8, rule: u8) -> Framing {
    let label = ENCODINGS[usize::from(encoding) % ENCODINGS.len()];
    let encoding = Encoding::for_label(label.as_bytes()).unwrap_or(encoding_rs::UTF_8);
    let mut rules: Vec<Option<Rule>> = rules().into_iter().map(Some).collect();
    rules.push(None);
    let at = usize::from(rule) % rules.len();
    let joiner = rules.swap_remove(at).map(|rule| Joiner::new(rule, MOST.0, MOST.1));
    Framing::new(encoding, DELIMITERS[usize::from(delimiter) % DELIMITERS.len()], joiner)
}

/// The text's records are the same however it comes, each is in its place, and none is missing.
///
/// The first bytes choose the encoding, the delimiter, the rule and the size of the pieces.
pub(crate) fn framing(input: &[u8]) {
    let Some((&[encoding, delimiter, rule, piece], text)) = input.split_first_chunk() else {
        return;
    };
    let framing = chosen(encoding, delimiter, rule);
    let whole = in_pieces(&framing, text, text.len().max(1));
    assert_eq!(in_pieces(&framing, text, usize::from(piece) + 1), whole);
}

/// The same for a stream, whose lines may be too long: no more of it waits than its limit allows, and
/// it always goes on.
///
/// The fourth byte chooses the longest line, the fifth the size of the pieces.
pub(crate) fn stream(input: &[u8]) {
    let Some((&[encoding, delimiter, rule, longest, piece], bytes)) = input.split_first_chunk()
    else {
        return;
    };
    let all = [OnLongLine::Split, OnLongLine::Truncate, OnLongLine::Skip];
    let text = Text {
        framing: chosen(encoding, delimiter, rule),
        longest: usize::from(longest) + 8,
        on_long_line: all[usize::from(piece) % all.len()],
        timeout: None,
    };
    let whole = streamed(&text, bytes, usize::MAX);
    assert_eq!(streamed(&text, bytes, usize::from(piece) + 1), whole);
}

/// The records of a stream that comes in pieces of this size, or of what is wanted.
fn streamed(text: &Text, mut bytes: &[u8], piece: usize) -> Vec<Vec<u8>> {
    let (mut stream, mut waiting, mut records) = (Stream::default(), Vec::new(), Vec::new());
    let mut turns = 4 * bytes.len() + 16;
    loop {
        let wanted = text.wants(waiting.len()).min(piece).min(bytes.len());
        waiting.extend_from_slice(&bytes[..wanted]);
        bytes = &bytes[wanted..];
        let flush = if bytes.is_empty() { Flush::All } else { Flush::Nothing };
        loop {
            assert!(turns > 0, "it goes on");
            turns -= 1;
            let here = waiting.len();
            let found = stream.find(text, &mut waiting, flush);
            let used = match &found {
                Found::Records(cut) | Found::Beginning(cut) => {
                    records.extend(found_in(cut, &waiting));
                    cut.used
                }
                Found::TooLong(used) | Found::Nothing(used) => *used,
                Found::More => 0,
            };
            assert!(used <= here, "{found:?}");
            waiting.truncate(here);
            waiting.drain(..used);
            if found == Found::More {
                break;
            }
        }
        if bytes.is_empty() {
            assert!(waiting.is_empty(), "all is taken");
            return records;
        }
    }
}

fn found_in(cut: &Cut, data: &[u8]) -> Vec<Vec<u8>> {
    found(cut, data).into_iter().map(|(record, _)| record).collect()
}

/// The records, and where each begins in the text, when it comes in pieces of this size.
fn in_pieces(framing: &Framing, text: &[u8], piece: usize) -> Vec<(Vec<u8>, usize)> {
    let (coding, mark) = framing.coding(text.get(..3).unwrap_or(text));
    let text = text.get(mark..).unwrap_or_default();
    let (mut records, mut begin, mut end) = (Vec::new(), 0, 0);
    loop {
        end = (end + piece).min(text.len());
        let flush = if end == text.len() { Flush::All } else { Flush::Nothing };
        loop {
            // Before the text stands what the file had before.
            let mut data = [b"before", &text[begin..end]].concat();
            let cut = framing.cut(&mut data, 6, &coding, flush);
            assert!(cut.used <= end - begin, "{cut:?}");
            if cut.used == 0 {
                break;
            }
            records.extend(found(&cut, &data).into_iter().map(|(record, at)| (record, begin + at)));
            begin += cut.used;
        }
        if end == text.len() {
            assert_eq!(begin, end, "all is taken");
            return records;
        }
    }
}

fn found(cut: &Cut, data: &[u8]) -> Vec<(Vec<u8>, usize)> {
    let text = &data[cut.text.0..cut.text.1];
    let records = cut
        .records
        .clone()
        .unwrap_or_else(|| lines(text).map(|line| (line.start, line.end)).collect());
    let places = cut.places.as_ref();
    assert!(places.is_none_or(|places| places.len() == records.len()), "{cut:?}");
    let found = records.into_iter().enumerate().map(|(number, (start, end))| {
        let at = places.map_or(start, |places| places[number] as usize);
        assert!(at < cut.used, "{cut:?}");
        (text[start..end].to_vec(), at)
    });
    found.collect()
}

/// Good input.
pub(crate) fn texts() -> Vec<Vec<u8>> {
    let text = r#"a
  at x
Caused by: é€

Traceback (most recent call last):
  File
X: y
2024-05-01T12:00:00Z stdout P one 
2024-05-01T12:00:00Z stderr F x
2024-05-01T12:00:00Z stdout F two
{"log":"o\\","stream":"stdout"}
{"log":"ne\n","stream":"stdout"}
end a
"#;
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let rules = u8::try_from(rules().len()).unwrap_or(0);
    let mut all: Vec<Vec<u8>> =
        (0..=rules).map(|rule| [&[0, 0, rule, 20], text.as_bytes()].concat()).collect();
    all.push([&[1, 0, rules, 9], &*wide].concat());
    all.push([&[1, 0, 0, 9], &*wide].concat());
    all.push([&[3, 1, rules, 2], &b"gr\xfcn\r\n\r\nx\r\n"[..]].concat());
    all.push([&[0, 2, rules, 2], &b"\xef\xbb\xbfone\0two\nthree\0"[..]].concat());
    all
}

/// Good input for streams.
pub(crate) fn streams() -> Vec<Vec<u8>> {
    let all = texts().into_iter().zip(0..);
    let with_limits = |(mut text, at): (Vec<u8>, u8)| {
        text.insert(3, 5 * at);
        text
    };
    all.map(with_limits).collect()
}
