//! The ways in which a secret can stand in a text.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use std::fmt::Write;

/// So much of a secret in one piece is not there by accident, and says too much.
const PIECE: usize = 12;

/// A secret to look for.
pub(crate) struct Canary {
    spellings: Vec<(&'static str, Vec<u8>)>,
}

impl Canary {
    pub(crate) fn new(secret: &str) -> Self {
        let mut spellings = Vec::new();
        let mut add = |how, text: String| spellings.push((how, text.into_bytes()));
        let chars: Vec<char> = secret.chars().collect();
        for piece in chars.windows(PIECE) {
            let piece: String = piece.iter().collect();
            add("a piece of it", piece.clone());
            add("a piece of it in upper case", piece.to_uppercase());
            add("a piece of it in lower case", piece.to_lowercase());
        }
        add("as JSON", inside_quotes(&serde_json::to_string(secret).unwrap()));
        add("as Rust prints it", inside_quotes(&format!("{secret:?}")));
        add("in hex", in_hex(secret, |text, byte| write!(text, "{byte:02x}")));
        add("in hex", in_hex(secret, |text, byte| write!(text, "{byte:02X}")));
        for plain in [
            "-_.~",
            "-_.~/",
            "-_.~!*'()",
            "",
            "-_.~!$%&'()*+,/:;=@[\\]^|",
            "-_.~!$%&()*+,/:;=?@[\\]^`{|}",
        ] {
            add("in a URL", in_url(secret, plain));
            add("in a form", in_url(secret, plain).replace("%20", "+"));
        }
        for engine in [&STANDARD, &URL_SAFE] {
            for offset in 0..3_usize {
                let text = engine.encode([vec![b'x'; offset], secret.into()].concat());
                // Only the characters that no neighbour has a share in.
                let (first, end) = ((offset * 8).div_ceil(6), (offset + secret.len()) * 8 / 6);
                add("in base64", text[first..end].to_owned());
            }
        }
        Self { spellings }
    }

    /// Fails where `text` has the secret in any spelling.
    pub(crate) fn search(&self, what: &str, text: &[u8]) {
        for (how, spelling) in &self.spellings {
            if let Some(at) = memchr::memmem::find(text, spelling) {
                let around = &text[at.saturating_sub(200)..text.len().min(at + 200)];
                panic!("{what} has a secret, {how}: {}", String::from_utf8_lossy(around));
            }
        }
    }

    /// Fails where `text` does not have it in any spelling.
    pub(crate) fn is_in(&self, text: &[u8]) {
        let has = |(_, it): &(_, Vec<u8>)| memchr::memmem::find(text, it).is_some();
        let shown = String::from_utf8_lossy(text);
        assert!(self.spellings.iter().any(has), "the secret is nowhere in: {shown}");
    }
}

fn inside_quotes(text: &str) -> String {
    text[1..text.len() - 1].to_owned()
}

fn in_hex(secret: &str, digits: fn(&mut String, u8) -> std::fmt::Result) -> String {
    let mut text = String::new();
    secret.bytes().for_each(|byte| digits(&mut text, byte).unwrap());
    text
}

fn in_url(secret: &str, plain: &str) -> String {
    let mut text = String::new();
    for byte in secret.bytes() {
        if byte.is_ascii_alphanumeric() || plain.as_bytes().contains(&byte) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").unwrap();
        }
    }
    text
}
