//! The files of keys by whose signatures a revision counts, read anew each time.

use super::allowed_signers::{self, Signer};
use super::failure::{Failure, Reason};
use super::settings::Verify;
use crate::event::hex::hex;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// No file of keys is larger, in bytes.
const LONGEST_BYTES: u64 = 4 << 20;

/// What stands before keys that are written as text, which `gpgv` does not read.
const ARMOR: &[u8] = b"-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// What a keybox, which is another form of a keyring, has after eight bytes.
const KEYBOX: &[u8] = b"KBXf";

/// What the files hold.
pub(super) struct Keys {
    pub(super) signers: Option<Vec<Signer>>,
    hash: Sha256,
}

impl Keys {
    /// Reads them, so that a key that was taken out counts no more, and a new one does.
    ///
    /// # Errors
    /// Where one cannot be read, cannot be understood or has no key. That nobody may sign is never
    /// what is meant, and a file that is being written may be empty for a moment.
    pub(super) fn read(verify: &Verify) -> Result<Self, Failure> {
        let mut keys = Self { signers: None, hash: Sha256::new() };
        keys.read_all(verify).map_err(|why| Failure::new(Reason::Signature, why))?;
        Ok(keys)
    }

    fn read_all(&mut self, verify: &Verify) -> Result<(), String> {
        if let Some(path) = &verify.allowed_signers {
            let bytes = self.take_in("allowed_signers", path)?;
            let place = path.display();
            let text = String::from_utf8(bytes)
                .map_err(|_| format!("`allowed_signers` {place}: it is not text"))?;
            let signers = allowed_signers::read(&text);
            let signers = signers.map_err(|(line, why)| format!("{place}:{line}: {why}"))?;
            if signers.is_empty() {
                return Err(format!("`allowed_signers` {place}: it names nobody"));
            }
            self.signers = Some(signers);
        }
        if let Some(path) = &verify.openpgp {
            let bytes = self.take_in("openpgp", path)?;
            let place = path.display();
            check_keyring(&bytes).map_err(|why| format!("`openpgp` {place}: {why}"))?;
        }
        Ok(())
    }

    fn take_in(&mut self, key: &str, path: &Path) -> Result<Vec<u8>, String> {
        let place = path.display();
        let bytes = whole(path).map_err(|error| format!("`{key}` {place}: {error}"))?;
        self.hash.update(bytes.len().to_le_bytes());
        self.hash.update(&bytes);
        Ok(bytes)
    }

    /// In so many letters that two states of the files are never told as one.
    pub(super) fn fingerprint(self) -> String {
        hex(&self.hash.finalize())
    }
}

/// What tells the keys of now from those of another time.
///
/// # Errors
/// Where the files cannot be read, cannot be understood or have no key.
pub fn fingerprint(verify: &Verify) -> Result<String, Failure> {
    Keys::read(verify).map(Keys::fingerprint)
}

fn whole(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST_BYTES {
        return Err(io::Error::other(format!("it has more than {} MiB", LONGEST_BYTES >> 20)));
    }
    Ok(bytes)
}

/// That it begins as a keyring does: with a public key (RFC 9580, sections 4.2 and 5.5), or as a
/// keybox.
fn check_keyring(bytes: &[u8]) -> Result<(), String> {
    let first = bytes.first().copied().unwrap_or_default();
    // A packet has its kind in six bits of its first byte in the newer form, in four in the older.
    let kind = if first & 0x40 != 0 { first & 0x3f } else { first >> 2 & 0xf };
    let is_key = first & 0x80 != 0 && kind == 6;
    if is_key || bytes.get(8..12) == Some(KEYBOX) {
        return Ok(());
    }
    if bytes.is_empty() {
        return Err("it has no keys".into());
    }
    if bytes.trim_ascii_start().starts_with(ARMOR) {
        return Err("its keys are written as text; `gpg --dearmor` makes what is needed".into());
    }
    Err("it holds no OpenPGP keys as `gpg --export` writes them".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_keyring_is_told_before_a_signature_is_held_against_it() {
        for keyring in
            [&b"\x99\x01\x0d\x04"[..], b"\x98\x33", b"\xc6\x33", b"\0\0\0\x20\x01\x01\0\x02KBXf"]
        {
            assert_eq!(check_keyring(keyring), Ok(()), "{keyring:?}");
        }
        for (other, why) in [
            (&b""[..], "no keys"),
            (b"\n-----BEGIN PGP PUBLIC KEY BLOCK-----\n", "--dearmor"),
            (b"max@example.com ssh-ed25519", "no OpenPGP keys"),
            (b"\x88\x75\x04\x00", "no OpenPGP keys"),
        ] {
            assert!(check_keyring(other).unwrap_err().contains(why), "{other:?}");
        }
    }
}
