//! Any bytes in place of a signature, and in place of the file of those who may sign.

use super::allowed_signers;
use super::sshsig::SshSignature;

/// Whatever it is, it is read or refused; and what is read proves nothing of something else.
pub(crate) fn signature(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(signature) = SshSignature::read(&text) {
        assert!(signature.prove(input).is_err(), "no signature is over itself");
    }
}

pub(crate) fn signatures() -> Vec<Vec<u8>> {
    vec![
        include_bytes!("../../../tests/fixtures/sshsig/ed25519.sig").to_vec(),
        include_bytes!("../../../tests/fixtures/sshsig/p256.sig").to_vec(),
        include_bytes!("../../../tests/fixtures/sshsig/rsa.sig").to_vec(),
    ]
}

/// Whatever it is, it is read or refused with the number of a line that there is.
pub(crate) fn signers(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match allowed_signers::read(&text) {
        Ok(signers) => {
            for signer in signers {
                signer.may_sign(0).ok();
            }
        }
        Err((line, _)) => assert!((1..=text.lines().count()).contains(&line)),
    }
}

pub(crate) fn signer_files() -> Vec<Vec<u8>> {
    vec![
        b"# ours\nmax@example.com,*@ops namespaces=\"git,file\",valid-after=\"20260101Z\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIJlrmvYpYDXRVQWyXdnSDkbDK2PJQUGQzkGUgXtLWPA me\n".to_vec(),
    ]
}
