//! Public keys that packages are signed by, as files hold them: which they are, and the bytes of each.
//!
//! Source: RFC 9580: packets of a tag and a length (4.2), keys and their fingerprints (5.5.4), text
//! armour (6). A certificate is a primary key, tag 6, with all up to the next one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use std::fmt::Write as _;

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";
const PRIMARY: u8 = 6;
const SUBKEY: u8 = 14;

/// A key with its names, signatures and the keys below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Its packets, without armour.
    pub bytes: Vec<u8>,
    /// The fingerprint of its primary key, in capital hexadecimal digits.
    pub fingerprint: String,
    /// The numbers of 16 digits of all its keys, the primary one's first.
    pub ids: Vec<String>,
}

/// The certificates of a file, in text armour or not.
///
/// Errors: what it is instead.
pub fn read(file: &[u8]) -> Result<Vec<Certificate>, String> {
    // GnuPG's own form of a file with keys.
    if file.get(8..12) == Some(b"KBXf") {
        return Err("it is a keybox, which apt does not read either".to_owned());
    }
    let plain = match std::str::from_utf8(file) {
        Ok(text) if text.contains(BEGIN) => without_armour(text)?,
        _ => file.to_vec(),
    };
    let mut found: Vec<Certificate> = Vec::new();
    let mut rest = &plain[..];
    while !rest.is_empty() {
        let packet = Packet::read(rest).ok_or("it is no file with public keys")?;
        let (bytes, after) = rest.split_at(packet.length);
        rest = after;
        let key = matches!(packet.tag, PRIMARY | SUBKEY).then(|| Key::read(packet.body));
        let key = key.transpose()?;
        match (packet.tag, key, found.last_mut()) {
            (PRIMARY, Some(key), _) => found.push(Certificate {
                bytes: bytes.to_vec(),
                fingerprint: key.fingerprint,
                ids: vec![key.id],
            }),
            (_, key, Some(certificate)) => {
                certificate.bytes.extend_from_slice(bytes);
                certificate.ids.extend(key.map(|key| key.id));
            }
            _ => return Err("it does not begin with a public key".to_owned()),
        }
    }
    Ok(found)
}

fn without_armour(text: &str) -> Result<Vec<u8>, String> {
    let mut plain = Vec::new();
    for block in text.split(BEGIN).skip(1) {
        let (block, _) = block.split_once(END).ok_or("the end of its armour is missing")?;
        let lines: Vec<&str> = block.lines().map(str::trim).collect();
        // Headers, if any, end with an empty line.
        let begins = lines.iter().skip(1).position(|line| line.is_empty()).map_or(0, |at| at + 1);
        let is_data = |line: &&&str| !line.is_empty() && !line.starts_with('=');
        let data: String = lines[begins..].iter().filter(is_data).copied().collect();
        let data =
            STANDARD.decode(data).map_err(|error| format!("its armour is damaged: {error}"))?;
        plain.extend(data);
    }
    Ok(plain)
}

struct Packet<'f> {
    tag: u8,
    body: &'f [u8],
    /// With its header.
    length: usize,
}

impl<'f> Packet<'f> {
    fn read(bytes: &'f [u8]) -> Option<Self> {
        let first = *bytes.first()?;
        let number = |from: usize, count: usize| -> Option<usize> {
            let digits = bytes.get(from..from + count)?;
            Some(digits.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
        };
        let (tag, header, size) = match first {
            first if first & 0xc0 == 0xc0 => {
                let (header, size) = match *bytes.get(1)? {
                    length @ 0..192 => (2, usize::from(length)),
                    192..224 => (3, number(1, 2)? - (192 << 8) + 192),
                    255 => (6, number(2, 4)?),
                    _ => return None,
                };
                (first & 0x3f, header, size)
            }
            first if first & 0x80 != 0 => {
                let count = match first & 3 {
                    0 => 1,
                    1 => 2,
                    2 => 4,
                    _ => return None,
                };
                ((first >> 2) & 0xf, 1 + count, number(1, count)?)
            }
            _ => return None,
        };
        let length = header.checked_add(size)?;
        Some(Self { tag, body: bytes.get(header..length)?, length })
    }
}

struct Key {
    fingerprint: String,
    id: String,
}

impl Key {
    fn read(body: &[u8]) -> Result<Self, String> {
        let version = body.first().copied().unwrap_or_default();
        let length = u32::try_from(body.len()).map_err(|_| "a key of it is too long")?;
        match version {
            4 => {
                let mut hash = Sha1::new_with_prefix([0x99]);
                // Two bytes are enough for a key of this version.
                hash.update(&length.to_be_bytes()[2..]);
                hash.update(body);
                let fingerprint = hexadecimal(&hash.finalize());
                let id = fingerprint[fingerprint.len() - 16..].to_owned();
                Ok(Self { fingerprint, id })
            }
            5 | 6 => {
                let mut hash = Sha256::new_with_prefix([0x95 + version]);
                hash.update(length.to_be_bytes());
                hash.update(body);
                let fingerprint = hexadecimal(&hash.finalize());
                let id = fingerprint[..16].to_owned();
                Ok(Self { fingerprint, id })
            }
            version => Err(format!("a key of it is of version {version}, which is not known here")),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text does not fail.
        write!(text, "{byte:02X}").ok();
        text
    })
}

/// Any bytes in place of a file with keys.
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile {
    use super::read;

    pub(crate) fn file(bytes: &[u8]) {
        let Ok(found) = read(bytes) else { return };
        // What was understood is understood again, without its armour.
        let plain: Vec<u8> = found.iter().flat_map(|one| one.bytes.clone()).collect();
        assert_eq!(read(&plain), Ok(found));
    }

    pub(crate) fn files() -> Vec<Vec<u8>> {
        let armoured = include_bytes!("public_key.asc").to_vec();
        let plain = read(&armoured).into_iter().flatten().flat_map(|one| one.bytes).collect();
        vec![armoured, plain]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An Ed25519 key with one below it, as `gpg --export --armor` gives it.
    const KEY: &str = include_str!("public_key.asc");
    const FINGERPRINT: &str = "F0BC1A38885EA426F70768560ABD35168DC48615";

    #[test]
    fn a_key_has_its_fingerprint_in_armour_and_without() {
        let armoured = read(KEY.as_bytes()).unwrap();
        assert_eq!(armoured.len(), 1);
        assert_eq!(armoured[0].fingerprint, FINGERPRINT);
        assert_eq!(armoured[0].ids.len(), 2);
        assert_eq!(armoured[0].ids[0], FINGERPRINT[24..]);
        let twice = [&armoured[0].bytes[..], &armoured[0].bytes].concat();
        assert_eq!(read(&twice).unwrap(), [armoured.clone(), armoured].concat());
    }

    #[test]
    fn what_is_no_file_with_keys_is_told_apart() {
        for (bytes, why) in [
            (&b"text"[..], "no file with public keys"),
            (b"\0\0\0 \x01\x01\0\x02KBXf", "keybox"),
            (b"\xb4\x01x", "does not begin"),
            (b"\x98\x01\x03", "version 3"),
            (b"\x98\x05\x04", "no file"),
            (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nx", "end of its armour"),
        ] {
            let said = read(bytes).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
        assert_eq!(read(b""), Ok(Vec::new()));
    }
}
