//! Facts about what guards this host.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::Host;

/// `selinux.mode`: `enforcing`, `permissive` or `disabled`.
/// - Source: `/sys/fs/selinux/enforce`, which is there only where `SELinux` runs.
pub(super) fn selinux(host: &Host) -> Value {
    let mode = match host.sys("fs/selinux/enforce").as_deref() {
        Some("1") => "enforcing",
        Some(_) => "permissive",
        None => "disabled",
    };
    json!({ "mode": mode })
}

/// `apparmor`: whether `AppArmor` runs.
/// - Source: `/sys/module/apparmor/parameters/enabled`.
pub(super) fn apparmor(host: &Host) -> Value {
    host.sys("module/apparmor/parameters/enabled").is_some_and(|word| word == "Y").into()
}

/// `fips`: whether the kernel uses only ciphers of FIPS 140.
/// - Source: `/proc/sys/crypto/fips_enabled`.
pub(super) fn fips(host: &Host) -> Value {
    host.proc("sys/crypto/fips_enabled").is_some_and(|word| word == "1").into()
}

/// `ssh_host_keys`: by kind (`ed25519`, `rsa`, `ecdsa`), the key's `type`, its `public` half and its
/// `fingerprint` (`SHA256:…`, as `ssh-keygen -l` prints it).
/// - Source: `/etc/ssh/ssh_host_KIND_key.pub`.
pub(super) fn ssh_host_keys(host: &Host) -> Value {
    let entries = fs::read_dir(host.roots.file("/etc/ssh")).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    let key = |name: String| {
        let kind = name.strip_prefix("ssh_host_")?.strip_suffix("_key.pub")?;
        let text = host.file(&format!("/etc/ssh/{name}"))?;
        let mut words = text.split_ascii_whitespace();
        let (algorithm, public) = (words.next()?, words.next()?);
        let sum = Sha256::digest(STANDARD.decode(public).ok()?);
        let fingerprint = format!("SHA256:{}", STANDARD_NO_PAD.encode(sum));
        let value = json!({"type": algorithm, "public": public, "fingerprint": fingerprint});
        Some((kind.to_owned(), value))
    };
    Value::Object(names.into_iter().filter_map(key).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::roots::Roots;

    #[test]
    fn the_fingerprint_of_a_key_is_the_one_that_ssh_keygen_prints() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc/ssh")).unwrap();
        let key = "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
        let file = root.path().join("etc/ssh/ssh_host_ed25519_key.pub");
        fs::write(&file, format!("ssh-ed25519 {key} root@host\n")).unwrap();
        fs::write(root.path().join("etc/ssh/ssh_host_rsa_key.pub"), "broken\n").unwrap();
        let host = Host::of(Roots::below(root.path()));
        let found = ssh_host_keys(&host);
        assert_eq!(found["ed25519"]["public"], key);
        assert_eq!(found.as_object().unwrap().len(), 1);
        let printed = std::process::Command::new("ssh-keygen").arg("-lf").arg(&file).output();
        if let Ok(printed) = printed {
            let printed = String::from_utf8(printed.stdout).unwrap();
            assert_eq!(printed.split_whitespace().nth(1), found["ed25519"]["fingerprint"].as_str());
        }
    }
}
