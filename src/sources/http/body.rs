//! From a request's body to records.

use super::Format;
use crate::event::log::multiline::{Joiner, lines};
use flate2::read::MultiGzDecoder;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::io::{self, Read};

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// Why a body is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Larger than allowed, unpacked.
    TooLarge,
    /// What is wrong with it.
    Bad(String),
}

/// A body in records.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    pub(super) data: Vec<u8>,
    /// Where the records are; the lines, where this is nothing.
    pub(super) places: Option<Vec<(usize, usize)>>,
}

impl Packing {
    /// What the header `Content-Encoding` means; `None` for what is not known here.
    pub(super) fn of(header: &str) -> Option<Self> {
        let is = |names: &[&str]| names.iter().any(|name| header.trim().eq_ignore_ascii_case(name));
        match () {
            () if is(&["", "identity"]) => Some(Self::Plain),
            () if is(&["gzip", "x-gzip"]) => Some(Self::Gzip),
            () if is(&["zstd"]) => Some(Self::Zstd),
            () => None,
        }
    }

    /// Unpacks `body`, up to so many bytes.
    fn unpack(self, body: Vec<u8>, limit: usize) -> Result<Vec<u8>, Refusal> {
        let unpacked = match self {
            Self::Plain => {
                return if body.len() > limit { Err(Refusal::TooLarge) } else { Ok(body) };
            }
            Self::Gzip => up_to(MultiGzDecoder::new(&*body), limit),
            Self::Zstd => zstd::Decoder::new(&*body).and_then(|decoder| up_to(decoder, limit)),
        };
        let unpacked = unpacked
            .map_err(|error| Refusal::Bad(format!("the body cannot be unpacked: {error}")))?;
        if unpacked.len() > limit { Err(Refusal::TooLarge) } else { Ok(unpacked) }
    }
}

/// All there is to read, or one byte more than the limit.
fn up_to(packed: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    packed.take(limit as u64 + 1).read_to_end(&mut unpacked)?;
    Ok(unpacked)
}

/// Unpacks a body and finds its records.
pub(super) fn decode(
    body: Vec<u8>,
    packing: Packing,
    (format, joiner): (Format, Option<&Joiner>),
    limit: usize,
) -> Result<Records, Refusal> {
    let data = packing.unpack(body, limit)?;
    match format {
        Format::Text => Ok(text(data, joiner)),
        Format::Ndjson | Format::Auto => ndjson(data),
        Format::Json => json(data),
    }
}

/// Lines, or what they are joined to.
fn text(data: Vec<u8>, joiner: Option<&Joiner>) -> Records {
    let Some(joiner) = joiner else { return Records { data, places: None } };
    let joined = joiner.join(&data, lines(&data), true);
    let data = joined.made.map_or(data, |made| made.text);
    Records { data, places: Some(joined.records) }
}

/// Checks each line; a line is told from 1.
fn ndjson(data: Vec<u8>) -> Result<Records, Refusal> {
    let (mut places, mut begin) = (Vec::new(), 0);
    for (number, line) in data.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let end = begin + line.len();
        let text = line.trim_ascii();
        if !text.is_empty() {
            check_object(text)
                .map_err(|what| Refusal::Bad(format!("line {}: {what}", number + 1)))?;
            let from = begin + (line.len() - line.trim_ascii_start().len());
            places.push((from, from + text.len()));
        }
        begin = end;
    }
    Ok(Records { data, places: Some(places) })
}

fn check_object(text: &[u8]) -> Result<(), String> {
    if let Err(error) = std::str::from_utf8(text) {
        return Err(format!("not UTF-8 at column {}", error.valid_up_to() + 1));
    }
    match serde_json::from_slice::<IgnoredAny>(text) {
        Ok(_) if text.first() == Some(&b'{') => Ok(()),
        Ok(_) => Err("expected a JSON object".to_owned()),
        Err(error) => Err(plain(&error)),
    }
}

/// What is wrong, with the column and without the line, which is always 1 here.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    format!("{what} at column {}", error.column())
}

/// One object, or an array of them. Line feeds between the parts of an object, which mean
/// nothing, become blanks, so that each record is one line.
fn json(mut data: Vec<u8>) -> Result<Records, Refusal> {
    let begin = data.as_ptr().addr();
    let place = |raw: &RawValue| {
        let from = raw.get().as_ptr().addr() - begin;
        (from, from + raw.get().len())
    };
    let is_array = data.trim_ascii_start().first() == Some(&b'[');
    let values: Result<Vec<&RawValue>, _> = if is_array {
        serde_json::from_slice(&data)
    } else {
        serde_json::from_slice(&data).map(|value| vec![value])
    };
    let values = values.map_err(|error| {
        let text = error.to_string();
        let what = text.split(" at line ").next().unwrap_or(&text);
        Refusal::Bad(format!("line {}: {what} at column {}", error.line(), error.column()))
    })?;
    for value in &values {
        if !value.get().starts_with('{') {
            let (from, _) = place(value);
            let line = 1 + memchr::memchr_iter(b'\n', &data[..from]).count();
            return Err(Refusal::Bad(format!("line {line}: expected a JSON object")));
        }
    }
    let places = values.into_iter().map(place).collect();
    for byte in data.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')) {
        *byte = b' ';
    }
    Ok(Records { data, places: Some(places) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn texts(records: &Records) -> Vec<&str> {
        let places = records.places.as_ref().unwrap();
        places.iter().map(|(a, b)| std::str::from_utf8(&records.data[*a..*b]).unwrap()).collect()
    }

    fn bad(body: &str, format: Format) -> String {
        match decode(body.into(), Packing::Plain, (format, None), 1000) {
            Err(Refusal::Bad(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_object_is_a_record_on_one_line() {
        let body = b" {\"a\":1} \r\n\n{\"b\":[2]}".to_vec();
        let records = decode(body, Packing::Plain, (Format::Ndjson, None), 1000).unwrap();
        assert_eq!(texts(&records), [r#"{"a":1}"#, r#"{"b":[2]}"#]);
        let body = b"[{\"a\":\n 1},\n{}]\n".to_vec();
        let records = decode(body, Packing::Plain, (Format::Json, None), 1000).unwrap();
        assert_eq!(texts(&records), ["{\"a\":  1}", "{}"]);
        let one =
            decode(b"\n{\"a\":\n1}".to_vec(), Packing::Plain, (Format::Json, None), 1000).unwrap();
        assert_eq!(texts(&one), ["{\"a\": 1}"]);
    }

    #[test]
    fn lines_of_text_that_belong_together_are_one_record_within_their_body() {
        use crate::event::log::multiline::{Mode, Rule};
        let decode = |mode, body: &str| {
            let joiner = Joiner::new(Rule::Mode(mode), 100, 1000);
            decode(body.into(), Packing::Plain, (Format::Text, Some(&joiner)), 1000).unwrap()
        };
        let java = decode(Mode::Java, "it broke\na.b.SomeException: x\n\tat a.b.C\nnext");
        assert_eq!(texts(&java), ["it broke\na.b.SomeException: x\n\tat a.b.C", "next"]);
        let cri = decode(Mode::Cri, "t stdout P one \nt stdout F line\nt stdout P open");
        assert_eq!(texts(&cri), ["t stdout F one line", "t stdout F open"]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        insta::assert_snapshot!(
            bad("{}\n{\"a\":}\n", Format::Ndjson),
            @"line 2: expected value at column 6"
        );
        insta::assert_snapshot!(bad("{}\n\n[1]", Format::Ndjson), @"line 3: expected a JSON object");
        insta::assert_snapshot!(
            bad("{\"a\":\n tru}", Format::Json),
            @"line 2: expected ident at column 5"
        );
        insta::assert_snapshot!(bad("[{},\n 7]", Format::Json), @"line 2: expected a JSON object");
    }

    #[test]
    fn a_small_body_that_unpacks_to_a_huge_one_is_refused_before_it_does() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&vec![b'x'; 1 << 20]).unwrap();
        let gzip = gzip.finish().unwrap();
        let zstd = zstd::encode_all(&*vec![b'x'; 1 << 20], 3).unwrap();
        for (packing, body) in [(Packing::Gzip, gzip), (Packing::Zstd, zstd)] {
            assert!(body.len() < 2000);
            let all = decode(body.clone(), packing, (Format::Text, None), 1 << 20).unwrap();
            assert_eq!(all.data.len(), 1 << 20);
            let refused = decode(body.clone(), packing, (Format::Text, None), (1 << 20) - 1);
            assert_eq!(refused, Err(Refusal::TooLarge));
            let cut =
                decode(body[..body.len() / 2].to_vec(), packing, (Format::Text, None), 1 << 20);
            assert!(matches!(cut, Err(Refusal::Bad(_))), "{cut:?}");
        }
    }

    proptest! {
        #[test]
        fn no_body_breaks_it(body: Vec<u8>, json in "[\\[\\]{}:,\"0-9a-z\n ]{0,60}") {
            for body in [body, json.into_bytes()] {
                for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd] {
                    for format in [Format::Ndjson, Format::Json, Format::Text] {
                        if let Ok(records) = decode(body.clone(), packing, (format, None), 1 << 16) {
                            for (from, to) in records.places.unwrap_or_default() {
                                let text = &records.data[from..to];
                                let value = serde_json::from_slice::<serde_json::Value>(text);
                                prop_assert!(value.is_ok_and(|value| value.is_object()));
                            }
                        }
                    }
                }
            }
        }
    }
}
