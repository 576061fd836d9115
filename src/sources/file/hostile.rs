//! Texts of any encoding in pieces of any size, and checkpoints that are none.

use super::checkpoint;
use super::framing::{Cut, Flush, Framing};
use crate::event::log::multiline::{Joiner, Mode, Rule, lines};
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

/// The text's records are the same however it comes, each is in its place, and none is missing.
///
/// The first bytes choose the encoding, the delimiter, the rule and the size of the pieces.
pub(crate) fn framing(input: &[u8]) {
    let Some((&[encoding, delimiter, rule, piece], text)) = input.split_first_chunk() else {
        return;
    };
    let label = ENCODINGS[usize::from(encoding) % ENCODINGS.len()];
    let Some(encoding) = Encoding::for_label(label.as_bytes()) else { return };
    let mut rules: Vec<Option<Rule>> = rules().into_iter().map(Some).collect();
    rules.push(None);
    let at = usize::from(rule) % rules.len();
    let joiner = rules.swap_remove(at).map(|rule| Joiner::new(rule, MOST.0, MOST.1));
    let delimiter = DELIMITERS[usize::from(delimiter) % DELIMITERS.len()];
    let framing = Framing::new(encoding, delimiter, joiner);
    let whole = in_pieces(&framing, text, text.len().max(1));
    assert_eq!(in_pieces(&framing, text, usize::from(piece) + 1), whole);
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

/// Whatever a checkpoint says, its entries have numbers of their own, and what is written of them
/// is read as the same.
///
/// After a first byte that is odd, each line gets the checksum that it should have.
pub(crate) fn checkpoint(input: &[u8]) {
    let Some((how, bytes)) = input.split_first() else { return };
    let sealed = checkpoint::sealed(bytes);
    let loaded = checkpoint::read(if how % 2 == 1 { &sealed } else { bytes });
    let mut keys: Vec<u64> = loaded.entries.iter().map(|entry| entry.key).collect();
    let entries = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert!(keys.len() == entries && !keys.contains(&0), "{loaded:?}");
    let Ok(text) = checkpoint::written(loaded.entries.iter()) else { return };
    let again = checkpoint::read(text.as_bytes());
    assert_eq!((again.damaged, again.entries.len()), (0, entries));
}

const ENTRY: &str = r#"{"key":1,"content":9,"path":"/var/log/a","device":1,"inode":2,"fingerprint":{"bytes":3,"sum":4},"rotated":true,"seen":5,"sinks":[["out",{"offset":7,"anchor":8}]]}"#;

/// Good input.
pub(crate) fn checkpoints() -> Vec<Vec<u8>> {
    let last = ENTRY.replace("\"key\":1", "\"key\":9223372036854775807");
    let old = ENTRY.replace("\"key\":1,", "");
    let raw = ENTRY.replace("\"/var/log/a\"", "[47,255]");
    let lines = [ENTRY, &last, "{\"gone\":1}", &old, &raw, &old];
    let text = format!("driftless checkpoint 2\n{}\n", lines.join("\n"));
    let good = checkpoint::sealed(text.as_bytes());
    vec![[b"\x01", text.as_bytes()].concat(), [b"\0", &*good].concat()]
}
