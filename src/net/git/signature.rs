//! Whose signature a commit or a tag has.

use super::allowed_signers::Signer;
use super::failure::{Failure, tame};
use super::keys::Keys;
use super::settings::Verify;
use super::sshsig::{self, SshSignature};
use crate::host::dialogue::ask;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

const PGP_BEGIN: &str = "-----BEGIN PGP SIGNATURE-----";

/// What `gpgv` says is a few lines.
const SAID_BYTES: u64 = 64 << 10;

/// What is signed, by what, and when it says that it was made.
pub(super) struct Signed {
    pub(super) content: Vec<u8>,
    pub(super) signature: Vec<u8>,
    /// Seconds since the epoch.
    pub(super) seconds: i64,
}

/// Where a signature at the end of a tag begins.
pub(super) fn begin(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut found = None;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if [sshsig::BEGIN, PGP_BEGIN].iter().any(|mark| line.starts_with(mark.as_bytes())) {
            found = Some(at);
        }
        at += line.len();
    }
    found
}

/// Whose signatures count.
pub(super) struct Trust {
    signers: Option<Vec<Signer>>,
    openpgp: Option<PathBuf>,
    deadline: Instant,
}

impl Trust {
    /// Reads the keys anew, so that one that was taken away counts no more.
    pub(super) fn read(verify: &Verify, deadline: Instant) -> Result<Self, Failure> {
        let Keys { signers, .. } = Keys::read(verify)?;
        Ok(Self { signers, openpgp: verify.openpgp.clone(), deadline })
    }

    /// Who has signed it.
    pub(super) fn signer(&self, signed: &Signed) -> Result<String, String> {
        let text = String::from_utf8_lossy(&signed.signature);
        let text = text.trim_start();
        if text.starts_with(sshsig::BEGIN) {
            let Some(signers) = &self.signers else {
                return Err(
                    "it is signed by an SSH key, and `verify` has no `allowed_signers`".into()
                );
            };
            return of_ssh(text, signed, signers);
        }
        if text.starts_with(PGP_BEGIN) {
            let Some(keys) = &self.openpgp else {
                return Err("it is signed by OpenPGP, and `verify` has no `openpgp`".into());
            };
            return self.of_openpgp(keys, signed);
        }
        Err("it has a kind of signature that is not known".into())
    }

    /// By `gpgv`, which trusts the keys of the file that it is given and no others.
    fn of_openpgp(&self, keys: &Path, signed: &Signed) -> Result<String, String> {
        let (_file, signature) = in_memory(&signed.signature)
            .map_err(|error| format!("its signature cannot be handed on: {error}"))?;
        let words = ["gpgv", "--quiet", "--status-fd", "1", "--keyring"];
        let mut argv = words.map(str::to_owned).to_vec();
        let keys = std::path::absolute(keys).map_err(|error| format!("`openpgp`: {error}"))?;
        argv.extend([keys.display().to_string(), signature, "-".to_owned()]);
        let answer = ask(&argv, &signed.content, SAID_BYTES, self.deadline)
            .map_err(|error| format!("`gpgv`, which checks it, cannot be run: {error}"))?;
        let said = String::from_utf8_lossy(&answer.said);
        let of = |word: &str| {
            let lines = said.lines().filter_map(|line| line.strip_prefix("[GNUPG:] "));
            lines.filter_map(|line| line.strip_prefix(word)).map(str::trim).next()
        };
        match (answer.complaint, of("VALIDSIG "), of("GOODSIG ")) {
            (None, Some(_), Some(good)) => {
                // The key's short name comes before whose it is.
                Ok(tame(good.split_once(' ').map_or(good, |(_, name)| name)))
            }
            (None, ..) => Err("its OpenPGP signature does not hold".into()),
            (Some(complaint), ..) => Err(format!("its OpenPGP signature: {}", tame(&complaint))),
        }
    }
}

/// A file that is on no disk, and the path at which a program that is started finds it.
fn in_memory(bytes: &[u8]) -> io::Result<(File, String)> {
    let mut file = File::from(memfd_create("signature", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(bytes)?;
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    Ok((file, path))
}

fn of_ssh(text: &str, signed: &Signed, signers: &[Signer]) -> Result<String, String> {
    let signature = SshSignature::read(text)?;
    let own = signers.iter().filter(|signer| signer.key == signature.key);
    let may: Vec<_> = own.map(|signer| (signer, signer.may_sign(signed.seconds))).collect();
    if may.is_empty() {
        return Err("it is signed by a key that is not among the allowed signers".into());
    }
    signature.prove(&signed.content)?;
    let mut refusal = String::new();
    for (signer, may) in may {
        match may {
            Ok(()) => return Ok(signer.principals.clone()),
            Err(why) => refusal = why,
        }
    }
    Err(refusal)
}
