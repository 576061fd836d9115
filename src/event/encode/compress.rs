//! Bodies, files and objects made smaller: gzip or zstd.

use flate2::write::GzEncoder;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};

/// How what goes out is compressed: `none`, `gzip`, `zstd`, or `{algorithm: zstd, level: 6}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compression {
    /// By which algorithm.
    pub algorithm: Algorithm,
    /// How hard to try; each algorithm's fastest where it is not said.
    pub level: Option<u32>,
}

/// An algorithm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// Nothing is compressed.
    #[default]
    None,
    /// gzip, which everything can read; levels 1 to 9.
    Gzip,
    /// Zstandard, which is faster and makes it smaller; levels 1 to 22.
    Zstd,
}

impl Compression {
    /// No compression.
    pub const NONE: Self = Self { algorithm: Algorithm::None, level: None };

    /// One of an algorithm, with its fastest level.
    pub const fn of(algorithm: Algorithm) -> Self {
        Self { algorithm, level: None }
    }

    /// Whether it changes anything.
    pub fn is_none(self) -> bool {
        self.algorithm == Algorithm::None
    }

    /// What HTTP's `Content-Encoding` calls it.
    pub fn content_encoding(self) -> Option<&'static str> {
        match self.algorithm {
            Algorithm::None => None,
            Algorithm::Gzip => Some("gzip"),
            Algorithm::Zstd => Some("zstd"),
        }
    }

    /// How the name of a file ends that holds it; empty for no compression.
    pub fn extension(self) -> &'static str {
        match self.algorithm {
            Algorithm::None => "",
            Algorithm::Gzip => ".gz",
            Algorithm::Zstd => ".zst",
        }
    }

    /// Appends the parts to `out`, as one whole gzip member or zstd frame. Several of these in a
    /// row decompress to the parts of all of them.
    ///
    /// # Errors
    /// Where the library has no memory left.
    pub fn append(self, parts: &[&[u8]], out: &mut Vec<u8>) -> io::Result<()> {
        let mut writer = self.writer(out)?;
        for part in parts {
            writer.write_all(part)?;
        }
        writer.finish().map(drop)
    }

    /// Compresses whatever is written to it into `to`. [`Writer::finish`] ends it.
    ///
    /// # Errors
    /// Where the library has no memory left.
    pub fn writer<W: Write>(self, to: W) -> io::Result<Writer<W>> {
        let level = self.level.unwrap_or(1);
        Ok(match self.algorithm {
            Algorithm::None => Writer::Plain(to),
            Algorithm::Gzip => Writer::Gzip(GzEncoder::new(to, flate2::Compression::new(level))),
            Algorithm::Zstd => {
                let level = i32::try_from(level).unwrap_or(i32::MAX);
                let mut encoder = zstd::stream::write::Encoder::new(to, level)?;
                encoder.include_checksum(true)?;
                Writer::Zstd(encoder)
            }
        })
    }

    fn checked(self) -> Result<Self, String> {
        let highest = match self.algorithm {
            Algorithm::None => 0,
            Algorithm::Gzip => 9,
            Algorithm::Zstd => 22,
        };
        match self.level {
            Some(level) if !(1..=highest).contains(&level) => Err(match highest {
                0 => "`none` has no `level`".to_owned(),
                _ => format!("found the `level` {level}, expected one from 1 to {highest}"),
            }),
            _ => Ok(self),
        }
    }
}

/// Compresses what is written to it.
pub enum Writer<W: Write> {
    /// Not at all.
    Plain(W),
    /// With gzip.
    Gzip(GzEncoder<W>),
    /// With zstd.
    Zstd(zstd::stream::write::Encoder<'static, W>),
}

impl<W: Write> Writer<W> {
    /// What it writes to, which lacks what is still held back.
    pub fn written(&self) -> &W {
        match self {
            Self::Plain(to) => to,
            Self::Gzip(encoder) => encoder.get_ref(),
            Self::Zstd(encoder) => encoder.get_ref(),
        }
    }

    /// Writes what is still held back and the end, and gives what it wrote to.
    ///
    /// # Errors
    /// Those of what it writes to.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(to) => Ok(to),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(to) => to.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(to) => to.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}

/// The long way to write it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Long {
    /// By which algorithm.
    algorithm: Algorithm,
    /// How hard to try: for gzip 1 to 9, for zstd 1 to 22. The higher, the smaller and slower.
    #[serde(default)]
    level: Option<u32>,
}

struct Written;

impl<'de> de::Visitor<'de> for Written {
    type Value = Compression;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`none`, `gzip`, `zstd`, or `algorithm` with `level`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Compression, E> {
        let algorithm = Algorithm::deserialize(de::value::StrDeserializer::<E>::new(text))?;
        Ok(Compression::of(algorithm))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Compression, A::Error> {
        let long = Long::deserialize(de::value::MapAccessDeserializer::new(map))?;
        let read = Compression { algorithm: long.algorithm, level: long.level };
        read.checked().map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Compression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

impl JsonSchema for Compression {
    fn schema_name() -> Cow<'static, str> {
        "Compression".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let words = Algorithm::json_schema(generator);
        let words = words.get("oneOf").cloned().unwrap_or_default();
        let mut all = words.as_array().cloned().unwrap_or_default();
        all.push(Long::json_schema(generator).to_value());
        schemars::json_schema!({ "oneOf": all })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn read(text: &str) -> Result<Compression, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn it_is_written_as_a_word_or_with_a_level() {
        assert_eq!(read("\"gzip\"").unwrap(), Compression::of(Algorithm::Gzip));
        let six = read(r#"{"algorithm": "zstd", "level": 6}"#).unwrap();
        assert_eq!(six, Compression { algorithm: Algorithm::Zstd, level: Some(6) });
        for (wrong, reason) in [
            ("\"lz4\"", "unknown variant"),
            (r#"{"algorithm": "gzip", "level": 10}"#, "from 1 to 9"),
            (r#"{"algorithm": "none", "level": 1}"#, "no `level`"),
            (r#"{"algorithm": "gzip", "levle": 1}"#, "levle"),
            ("7", "expected `none`"),
        ] {
            let refusal = read(wrong).unwrap_err();
            assert!(refusal.contains(reason), "{wrong}: {refusal}");
        }
    }

    #[test]
    fn what_was_compressed_in_pieces_is_read_back_whole() {
        for (algorithm, level) in
            [(Algorithm::None, None), (Algorithm::Gzip, Some(9)), (Algorithm::Zstd, None)]
        {
            let mut packed = Vec::new();
            for parts in [[&b"one "[..], b"two "], [b"three", b""]] {
                Compression { algorithm, level }.append(&parts, &mut packed).unwrap();
            }
            let mut text = String::new();
            match algorithm {
                Algorithm::None => text = String::from_utf8(packed).unwrap(),
                Algorithm::Gzip => {
                    let mut reader = flate2::read::MultiGzDecoder::new(&*packed);
                    reader.read_to_string(&mut text).unwrap();
                }
                Algorithm::Zstd => {
                    text = String::from_utf8(zstd::decode_all(&*packed).unwrap()).unwrap();
                }
            }
            assert_eq!(text, "one two three");
        }
    }
}
