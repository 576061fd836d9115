//! Frames: how a receiver tells where a message ends.

use schemars::JsonSchema;
use serde::Deserialize;

/// How the receiver of a stream tells where a message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// A line feed ends it.
    Newline,
    /// A zero byte ends it.
    Nul,
    /// Its length as decimal digits and a blank go before it (RFC 6587).
    OctetCounting,
    /// Its length as four bytes, the highest first, goes before it.
    LengthDelimited,
}

impl Framing {
    /// Appends a message in its frame; gives where in `out` the message itself begins.
    pub fn frame(self, message: &[u8], out: &mut Vec<u8>) -> usize {
        let before = out.len();
        match self {
            Self::Newline => {
                out.extend_from_slice(message);
                out.push(b'\n');
                before
            }
            Self::Nul => {
                out.extend_from_slice(message);
                out.push(0);
                before
            }
            Self::OctetCounting => {
                out.extend_from_slice(itoa::Buffer::new().format(message.len()).as_bytes());
                out.push(b' ');
                let start = out.len();
                out.extend_from_slice(message);
                start
            }
            Self::LengthDelimited => {
                let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(message.get(..length as usize).unwrap_or(message));
                before + size_of_val(&length)
            }
        }
    }
}

/// The messages of a body in which all are [`Framing::LengthDelimited`].
pub(super) fn messages(mut body: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = body.split_first_chunk()?;
        let (message, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        body = rest;
        Some(message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_frame_is_what_its_receivers_expect() {
        for (framing, expected) in [
            (Framing::Newline, &b"one\n\n"[..]),
            (Framing::Nul, b"one\0\0"),
            (Framing::OctetCounting, b"3 one0 "),
            (Framing::LengthDelimited, b"\0\0\0\x03one\0\0\0\0"),
        ] {
            let mut out = Vec::new();
            let start = framing.frame(b"one", &mut out);
            assert!(out[start..].starts_with(b"one"), "{framing:?}");
            framing.frame(b"", &mut out);
            assert_eq!(out, expected, "{framing:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_packed_unpacks(texts: Vec<Vec<u8>>) {
            let mut body = Vec::new();
            for text in &texts {
                Framing::LengthDelimited.frame(text, &mut body);
            }
            prop_assert_eq!(messages(&body).map(<[u8]>::to_vec).collect::<Vec<_>>(), texts);
        }

        #[test]
        fn no_body_brings_the_reader_down(body: Vec<u8>) {
            messages(&body).count();
        }
    }
}
