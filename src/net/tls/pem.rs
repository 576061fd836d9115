//! Certificates and keys from PEM files; every complaint names the setting and the file.

use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;

/// What an encrypted key begins with.
const ENCRYPTED: [&[u8]; 2] = [b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED"];

/// All certificates of a file, at least one.
pub(super) fn certificates(
    setting: &str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read(setting, path)?;
    let certificates: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(&text).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(format!("`{setting}` {} has no certificate in PEM form", path.display()))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("`{setting}` {}: {error}", path.display())),
    }
}

/// The first key of a file.
pub(super) fn key(setting: &str, path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let text = read(setting, path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        let holds = |words: &[u8]| memchr::memmem::find(&text, words).is_some();
        let what = match error {
            PemError::NoItemsFound if ENCRYPTED.iter().any(|words| holds(words)) => {
                " has an encrypted key; store it decrypted, readable by this user alone".to_owned()
            }
            PemError::NoItemsFound => " has no private key in PEM form".to_owned(),
            other => format!(": {other}"),
        };
        format!("`{setting}` {}{what}", path.display())
    })
}

/// Why rustls takes key and certificate not as a pair.
pub(super) fn unfit_pair(cert: &Path, key: &Path, error: &rustls::Error) -> String {
    let (cert, key) = (cert.display(), key.display());
    match error {
        rustls::Error::InconsistentKeys(_) => {
            format!("`key_file` {key} does not belong to the certificate in `cert_file` {cert}")
        }
        other => format!("`cert_file` {cert} with `key_file` {key}: {other}"),
    }
}

fn read(setting: &str, path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("`{setting}` {}: {error}", path.display()))
}
