//! A signature by an SSH key, as `PROTOCOL.sshsig` of OpenSSH has it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents, UnparsedPublicKey,
};

pub(super) const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";
const MAGIC: &[u8] = b"SSHSIG";
const VERSION: u32 = 1;

/// What git signs commits and tags for.
pub(super) const NAMESPACE: &str = "git";

/// A signature that has been read, and proves nothing yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SshSignature {
    /// The key that is said to have made it, in SSH's form.
    pub(super) key: Vec<u8>,
    namespace: Vec<u8>,
    reserved: Vec<u8>,
    hash: Vec<u8>,
    algorithm: Vec<u8>,
    bytes: Vec<u8>,
    /// What a hardware key adds: its flags and how often it was used.
    extra: Vec<u8>,
}

impl SshSignature {
    /// Reads one in its armour.
    pub(super) fn read(armoured: &str) -> Result<Self, String> {
        let damaged = || "its SSH signature is damaged".to_owned();
        let text = armoured.trim().strip_prefix(BEGIN).and_then(|text| text.strip_suffix(END));
        let text: String = text.ok_or_else(damaged)?.split_ascii_whitespace().collect();
        let blob = STANDARD.decode(text).map_err(|_| damaged())?;
        Self::of_blob(&blob).ok_or_else(damaged)
    }

    fn of_blob(blob: &[u8]) -> Option<Self> {
        let mut wire = Wire(blob.strip_prefix(MAGIC)?);
        if wire.number()? != VERSION {
            return None;
        }
        let [key, namespace, reserved, hash, signature] = wire.strings()?;
        let mut inner = Wire(signature);
        let [algorithm, bytes] = inner.strings()?;
        if !wire.0.is_empty() {
            return None;
        }
        let own = <[u8]>::to_vec;
        Some(Self {
            key: own(key),
            namespace: own(namespace),
            reserved: own(reserved),
            hash: own(hash),
            algorithm: own(algorithm),
            bytes: own(bytes),
            extra: own(inner.0),
        })
    }

    /// Whether the key has made it, over `content` and for git.
    pub(super) fn prove(&self, content: &[u8]) -> Result<(), String> {
        if self.namespace != NAMESPACE.as_bytes() {
            let found = String::from_utf8_lossy(&self.namespace);
            return Err(format!("it is signed for `{found}`, not for `{NAMESPACE}`"));
        }
        let hashed = match self.hash.as_slice() {
            b"sha256" => digest::digest(&digest::SHA256, content),
            b"sha512" => digest::digest(&digest::SHA512, content),
            _ => return Err("it is signed over a hash that is not known".into()),
        };
        let mut signed = MAGIC.to_vec();
        for part in [&self.namespace, &self.reserved, &self.hash, hashed.as_ref()] {
            put(&mut signed, part);
        }
        let proven =
            self.holds(&signed).ok_or("it is signed by a kind of key that is not known")?;
        if proven { Ok(()) } else { Err("its signature does not belong to it".into()) }
    }

    /// `None` where this kind of key or signature is not known.
    fn holds(&self, signed: &[u8]) -> Option<bool> {
        let mut key = Wire(&self.key);
        let kind = key.string()?;
        let bytes = self.bytes.as_slice();
        let is_plain = self.extra.is_empty();
        match (kind, self.algorithm.as_slice()) {
            (b"ssh-ed25519", b"ssh-ed25519") if is_plain => {
                let point = key.string()?;
                Some(UnparsedPublicKey::new(&ED25519, point).verify(signed, bytes).is_ok())
            }
            (b"sk-ssh-ed25519@openssh.com", b"sk-ssh-ed25519@openssh.com") => {
                let [point, application] = key.strings()?;
                let over = self.over(application, signed)?;
                Some(UnparsedPublicKey::new(&ED25519, point).verify(&over, bytes).is_ok())
            }
            (b"ecdsa-sha2-nistp256", b"ecdsa-sha2-nistp256") if is_plain => {
                let [_, point] = key.strings()?;
                let fixed = fixed::<64>(bytes)?;
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
                Some(key.verify(signed, &fixed).is_ok())
            }
            (b"ecdsa-sha2-nistp384", b"ecdsa-sha2-nistp384") if is_plain => {
                let [_, point] = key.strings()?;
                let fixed = fixed::<96>(bytes)?;
                let key = UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point);
                Some(key.verify(signed, &fixed).is_ok())
            }
            (b"ssh-rsa", algorithm @ (b"rsa-sha2-256" | b"rsa-sha2-512")) if is_plain => {
                let [e, n] = key.strings()?;
                let key = RsaPublicKeyComponents { n: unsigned(n), e: unsigned(e) };
                let way = match algorithm {
                    b"rsa-sha2-256" => &RSA_PKCS1_2048_8192_SHA256,
                    _ => &RSA_PKCS1_2048_8192_SHA512,
                };
                Some(key.verify(way, signed, bytes).is_ok())
            }
            _ => None,
        }
    }

    /// What a hardware key really signs: that somebody touched it counts, for the first bit of its
    /// flags says so.
    fn over(&self, application: &[u8], signed: &[u8]) -> Option<Vec<u8>> {
        let [flags, _, _, _, _] = self.extra.as_slice() else { return None };
        if flags & 1 == 0 {
            return None;
        }
        let mut over = digest::digest(&digest::SHA256, application).as_ref().to_vec();
        over.extend_from_slice(&self.extra);
        over.extend_from_slice(digest::digest(&digest::SHA256, signed).as_ref());
        Some(over)
    }
}

/// The two numbers of an ECDSA signature side by side, each in half of the bytes.
fn fixed<const BYTES: usize>(signature: &[u8]) -> Option<[u8; BYTES]> {
    let mut wire = Wire(signature);
    let numbers: [&[u8]; 2] = wire.strings()?;
    let mut fixed = [0; BYTES];
    for (half, number) in fixed.chunks_mut(BYTES / 2).zip(numbers) {
        let number = unsigned(number);
        let start = half.len().checked_sub(number.len())?;
        half[start..].copy_from_slice(number);
    }
    Some(fixed)
}

/// A number without the zeros in front that keep it from being negative.
fn unsigned(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

/// Data types of SSH (RFC 4251, section 5).
struct Wire<'a>(&'a [u8]);

impl<'a> Wire<'a> {
    fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (string, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(string)
    }

    fn strings<const COUNT: usize>(&mut self) -> Option<[&'a [u8]; COUNT]> {
        let mut strings: [&[u8]; COUNT] = [&[]; COUNT];
        for string in &mut strings {
            *string = self.string()?;
        }
        Some(strings)
    }
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    // What is signed here are short words and a hash.
    let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(part);
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"what is signed\n";

    fn signature(name: &str) -> SshSignature {
        let path = format!("{}/tests/fixtures/sshsig/{name}.sig", env!("CARGO_MANIFEST_DIR"));
        SshSignature::read(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    #[test]
    fn what_ssh_keygen_signs_holds_for_what_was_signed_and_nothing_else() {
        for name in ["ed25519", "p256", "p384", "rsa"] {
            let signature = signature(name);
            assert_eq!(signature.prove(MESSAGE), Ok(()), "{name}");
            let other = signature.prove(b"what is signed\n\n").unwrap_err();
            assert!(other.contains("does not belong"), "{name}: {other}");
        }
    }

    #[test]
    fn what_was_signed_for_something_else_is_not_signed_for_git() {
        let said = signature("other_namespace").prove(MESSAGE).unwrap_err();
        assert_eq!(said, "it is signed for `file`, not for `git`");
        // Called so afterwards, the signature is over something else.
        let relabelled =
            SshSignature { namespace: NAMESPACE.into(), ..signature("other_namespace") };
        assert!(relabelled.prove(MESSAGE).is_err());
    }

    #[test]
    fn a_signature_that_claims_another_kind_of_key_proves_nothing() {
        let ecdsa = signature("p256");
        let mixed = SshSignature { key: ecdsa.key, ..signature("ed25519") };
        assert!(mixed.prove(MESSAGE).is_err());
        let old = SshSignature { algorithm: b"ssh-rsa".to_vec(), ..signature("rsa") };
        assert!(old.prove(MESSAGE).unwrap_err().contains("not known"));
    }
}
