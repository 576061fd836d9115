//! The forms in which a secret turns up in text: as it is, in parts, and encoded.

use super::SHORTEST_SECRET;
use base64::Engine;
use base64::alphabet::{self, Alphabet};
use base64::engine::{GeneralPurpose, general_purpose::NO_PAD};
use std::fmt::Write;

/// What browsers and HTTP clients leave as it is in a URL's path, beside letters and digits.
const URL_PATH: &str = "!$%&'()*+,/:;=@[\\]^|";
/// The same in its query.
const URL_QUERY: &str = "!$%&()*+,/:;=?@[\\]^`{|}";

/// So often JSON may be text within JSON.
const JSON_LEVELS: usize = 3;

/// All byte strings that give `secret` away.
pub(super) fn spellings(secret: &str) -> Vec<Vec<u8>> {
    let mut all: Vec<String> = vec![secret.to_owned(), secret.trim().to_owned()];
    // Output comes line by line, and diffs put a sign before each.
    all.extend(secret.lines().map(|line| line.trim().to_owned()));
    for alphabet in [alphabet::STANDARD, alphabet::URL_SAFE] {
        all.extend(in_base64(secret.as_bytes(), &alphabet));
    }
    let hex = |upper: bool| {
        secret.bytes().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _infallible =
                if upper { write!(text, "{byte:02X}") } else { write!(text, "{byte:02x}") };
            text
        })
    };
    all.extend([hex(false), hex(true)]);
    for kept in ["", "/", ":/?#[]@!$&'()*+,;=", URL_PATH, URL_QUERY] {
        let escaped = in_url(secret, kept);
        for escaped in [lower_escapes(&escaped), escaped] {
            all.push(escaped.replace("%20", "+"));
            all.push(escaped);
        }
    }
    // What a program said in JSON may be shown as JSON, and that be part of a record in JSON.
    let mut texts = vec![secret.to_owned()];
    for _ in 0..JSON_LEVELS {
        texts = texts.iter().flat_map(|text| in_json(text)).collect();
        texts.sort_unstable();
        texts.dedup();
        all.extend(texts.iter().cloned());
    }
    all.retain(|text| text.len() >= SHORTEST_SECRET);
    all.sort_unstable();
    all.dedup();
    all.into_iter().map(String::into_bytes).collect()
}

/// How base64 shows the bytes wherever they stand in a longer text: their first byte may be the
/// first, second or third of a group of three. Characters that hold bits of a neighbour are left
/// out; the form at the very start and end of a text is there too.
fn in_base64(secret: &[u8], alphabet: &Alphabet) -> Vec<String> {
    let engine = GeneralPurpose::new(alphabet, NO_PAD);
    let mut all = vec![engine.encode(secret)];
    for offset in 0..3_usize {
        let mut bytes = vec![0; offset];
        bytes.extend_from_slice(secret);
        let text = engine.encode(&bytes);
        let first = (offset * 8).div_ceil(6);
        let end = bytes.len() * 8 / 6;
        all.extend(text.get(first..end).map(str::to_owned));
        // The end of a text: nothing of a neighbour is in the last character.
        all.extend(text.get(first..).map(str::to_owned));
    }
    all
}

fn in_url(secret: &str, kept: &str) -> String {
    let mut text = String::new();
    for byte in secret.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        if plain || kept.as_bytes().contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _infallible = write!(text, "%{byte:02X}");
        }
    }
    text
}

fn lower_escapes(escaped: &str) -> String {
    let mut parts = escaped.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        text.push('%');
        text.push_str(&code.to_ascii_lowercase());
        text.push_str(rest);
    }
    text
}

/// As JSON writes it: with other characters as they are, and all in ASCII; `/` escaped or not.
fn in_json(text: &str) -> [String; 3] {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    let inside = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let plain = inside.unwrap_or_default().to_owned();
    let mut ascii = String::new();
    for c in plain.chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _infallible = write!(ascii, "\\u{unit:04x}");
            }
        }
    }
    let slashes = ascii.replace('/', "\\/");
    [plain, ascii, slashes]
}
