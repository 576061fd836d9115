//! Facts about the operating system and its kernel.

use nix::sys::utsname;
use serde_json::{Value, json};

use super::Host;
use crate::host::os_release;

/// `os.{family,id,name,version,full_version,codename,pretty}`: the distribution.
///
/// `family` is Ansible's `os_family` in lower case (`debian`, `redhat`, `suse`, `archlinux`,
/// `alpine`): from `ID`, else from `ID_LIKE`, else `ID` itself. `codename` falls back to the word
/// in brackets in `VERSION`. `full_version` has Debian's point release too, which `version` lacks.
/// - Source: `/etc/os-release`, else `/usr/lib/os-release`; `/etc/debian_version`.
pub(super) fn os(host: &Host) -> Value {
    let text = host.file("/etc/os-release").or_else(|| host.file("/usr/lib/os-release"));
    let text = text.unwrap_or_default();
    let release = os_release::variables(&text);
    let get = |key: &str| release.get(key).map(String::as_str).filter(|value| !value.is_empty());
    let in_brackets = || get("VERSION")?.split_once('(')?.1.split_once(')').map(|(word, _)| word);
    let codename = get("VERSION_CODENAME").map(str::to_owned);
    let codename = codename.or_else(|| in_brackets().map(str::to_lowercase));
    let is_debian = get("ID") == Some("debian");
    let point = host
        .file("/etc/debian_version")
        .filter(|text| is_debian && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'));
    json!({
        "family": get("ID").map(|id| family(id, get("ID_LIKE").unwrap_or_default())),
        "id": get("ID"),
        "name": get("NAME"),
        "version": get("VERSION_ID"),
        "full_version": point.as_deref().or(get("VERSION_ID")),
        "codename": codename,
        "pretty": get("PRETTY_NAME"),
    })
}

/// Families and the distributions that belong to them without saying so in `ID_LIKE`.
const FAMILIES: [(&str, &[&str]); 8] = [
    ("debian", &["debian", "ubuntu", "raspbian", "linuxmint", "kali", "devuan", "pop", "neon"]),
    (
        "redhat",
        &[
            "rhel",
            "fedora",
            "centos",
            "rocky",
            "almalinux",
            "ol",
            "amzn",
            "scientific",
            "cloudlinux",
            "virtuozzo",
            "eurolinux",
            "mariner",
            "azurelinux",
            "openeuler",
        ],
    ),
    ("suse", &["suse", "opensuse", "opensuse-leap", "opensuse-tumbleweed", "sles", "sled"]),
    ("archlinux", &["arch", "archlinux", "manjaro", "endeavouros", "archarm"]),
    ("alpine", &["alpine", "postmarketos"]),
    ("gentoo", &["gentoo", "funtoo"]),
    ("mandrake", &["mandriva", "mageia", "openmandriva"]),
    ("altlinux", &["altlinux"]),
];

fn family(id: &str, like: &str) -> String {
    let of = |id: &str| FAMILIES.iter().find(|(_, members)| members.contains(&id));
    let mut ids = std::iter::once(id).chain(like.split_ascii_whitespace());
    ids.find_map(of).map_or(id, |(family, _)| *family).to_owned()
}

/// `kernel.{name,release,version}`: `Linux`, `6.12.1-amd64`, and the build's own words.
/// - Source: `/proc/sys/kernel/{ostype,osrelease,version}`.
pub(super) fn kernel(host: &Host) -> Value {
    json!({
        "name": host.proc("sys/kernel/ostype"),
        "release": host.proc("sys/kernel/osrelease"),
        "version": host.proc("sys/kernel/version"),
    })
}

/// `arch`: `x86_64`, `aarch64`, as `uname -m` says.
/// - Source: `/proc/sys/kernel/arch` (Linux 6.1), else uname(2).
pub(super) fn arch(host: &Host) -> Value {
    let asked = || Some(utsname::uname().ok()?.machine().to_string_lossy().into_owned());
    host.proc("sys/kernel/arch").or_else(asked).into()
}

/// `machine_id`: stays for as long as the system is installed.
/// - Source: `/etc/machine-id`.
pub(super) fn machine_id(host: &Host) -> Value {
    host.file("/etc/machine-id").into()
}

/// `boot_id`: another one after each start.
/// - Source: `/proc/sys/kernel/random/boot_id`.
pub(super) fn boot_id(host: &Host) -> Value {
    host.proc("sys/kernel/random/boot_id").into()
}

/// `uptime_seconds`: whole seconds since the kernel started.
/// - Source: `/proc/uptime`.
pub(super) fn uptime_seconds(host: &Host) -> Value {
    let text = host.proc("uptime").unwrap_or_default();
    text.split('.').next().and_then(|seconds| seconds.parse::<u64>().ok()).into()
}

/// `service_manager`: `systemd`, `openrc`, else the name of the first process (`runit`, `sysvinit`).
/// - Source: `/run/systemd/system`, `/run/openrc`, `/proc/1/comm`.
pub(super) fn service_manager(host: &Host) -> Value {
    if host.has("/run/systemd/system") {
        return "systemd".into();
    }
    if host.has("/run/openrc") {
        return "openrc".into();
    }
    let name = host.proc("1/comm").map(|name| match name.as_str() {
        "init" => "sysvinit".to_owned(),
        "s6-svscan" => "s6".to_owned(),
        _ => name,
    });
    name.into()
}

/// `package_manager`: `apt`, `dnf5`, `dnf`, `yum`, `zypper`, `pacman`, `apk`, `portage`, `xbps`.
/// - Source: which of their programs is there.
pub(super) fn package_manager(host: &Host) -> Value {
    const PROGRAMS: [(&str, &str); 10] = [
        ("/usr/bin/apt-get", "apt"),
        ("/usr/bin/dnf5", "dnf5"),
        ("/usr/bin/dnf", "dnf"),
        ("/usr/bin/yum", "yum"),
        ("/usr/bin/zypper", "zypper"),
        ("/usr/bin/pacman", "pacman"),
        ("/sbin/apk", "apk"),
        ("/usr/bin/apk", "apk"),
        ("/usr/bin/emerge", "portage"),
        ("/usr/bin/xbps-install", "xbps"),
    ];
    PROGRAMS.iter().find(|(program, _)| host.has(program)).map(|(_, name)| *name).into()
}

/// `cmdline`: by name, what the kernel was started with; `true` for a word without a value. Of two
/// of one name the last counts.
/// - Source: `/proc/cmdline`.
pub(super) fn cmdline(host: &Host) -> Value {
    let text = host.proc("cmdline").unwrap_or_default();
    let word = |word: &str| match word.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.into()),
        None => (word.to_owned(), true.into()),
    };
    Value::Object(text.split_ascii_whitespace().map(word).collect())
}

/// `timezone`: `Europe/Berlin`; `null` where it has no name.
/// - Source: where `/etc/localtime` leads to, else `/etc/timezone`.
pub(super) fn timezone(host: &Host) -> Value {
    let link = std::fs::read_link(host.roots.file("/etc/localtime")).ok();
    let target = link.as_deref().and_then(|link| link.to_str());
    let name = target.and_then(|target| target.split_once("zoneinfo/")).map(|(_, name)| name);
    name.map(str::to_owned).or_else(|| host.file("/etc/timezone")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_belongs_to_the_family_that_ansible_puts_it_in() {
        let cases = [
            ("debian", "", "debian"),
            ("ubuntu", "debian", "debian"),
            ("rocky", "rhel centos fedora", "redhat"),
            ("amzn", "fedora", "redhat"),
            ("opensuse-leap", "suse opensuse", "suse"),
            ("arch", "", "archlinux"),
            ("alpine", "", "alpine"),
            ("brandnew", "ubuntu debian", "debian"),
            ("nixos", "", "nixos"),
        ];
        for (id, like, expected) in cases {
            assert_eq!(family(id, like), expected, "{id}");
        }
    }
}
