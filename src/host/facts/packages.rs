//! Facts about what is installed and what runs.

use std::fs;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Host;
use super::run::output_of;
use crate::host::bus::{Bus, Call, Value as BusValue, Way};

/// How long rpm may take to list its database.
const PATIENCE: Duration = Duration::from_secs(10);

/// `packages`: by name, `version` and `arch`. Where a package is there for several architectures,
/// those behind the first are called `NAME:ARCH`.
/// - Source: `/var/lib/dpkg/status`, `/lib/apk/db/installed`, `/var/lib/pacman/local`; else `rpm -qa`,
///   whose database is its own affair.
pub(super) fn packages(host: &Host) -> Value {
    let mut packages = Map::new();
    if let Some(status) = host.file("/var/lib/dpkg/status") {
        for paragraph in status.split("\n\n") {
            let is_installed =
                entry(paragraph, "Status: ").is_some_and(|status| status.ends_with(" installed"));
            if is_installed {
                let arch = entry(paragraph, "Architecture: ");
                let [name, version] = ["Package: ", "Version: "].map(|key| entry(paragraph, key));
                add(&mut packages, name, version, arch);
            }
        }
    } else if let Some(installed) = host.file("/lib/apk/db/installed") {
        for paragraph in installed.split("\n\n") {
            let [name, version, arch] = ["P:", "V:", "A:"].map(|key| entry(paragraph, key));
            add(&mut packages, name, version, arch);
        }
    } else if let Ok(folders) = fs::read_dir(host.roots.file("/var/lib/pacman/local")) {
        for folder in folders.flatten() {
            let Some(text) = host.text(folder.path().join("desc")) else { continue };
            let value = |key: &str| {
                let mut lines = text.lines().skip_while(|line| *line != key).skip(1);
                lines.next().map(str::to_owned)
            };
            let [name, version, arch] = ["%NAME%", "%VERSION%", "%ARCH%"].map(value);
            add(&mut packages, name.as_deref(), version.as_deref(), arch.as_deref());
        }
    } else if host.roots.is_live() && host.has("/usr/bin/rpm") {
        const FORMAT: &str = "%{NAME}\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\t%{ARCH}\n";
        let list = output_of("/usr/bin/rpm".as_ref(), &["-qa", "--qf", FORMAT], PATIENCE);
        for line in list.unwrap_or_default().lines() {
            let mut words = line.split('\t');
            let (name, version, arch) = (words.next(), words.next(), words.next());
            // Keys that packages are signed with are no packages.
            if arch != Some("(none)") {
                add(&mut packages, name, version, arch);
            }
        }
    }
    packages.sort_keys();
    Value::Object(packages)
}

/// The value of a line that begins with `key`.
fn entry<'t>(paragraph: &'t str, key: &str) -> Option<&'t str> {
    paragraph.lines().find_map(|line| line.strip_prefix(key)).map(str::trim)
}

fn add(
    packages: &mut Map<String, Value>,
    name: Option<&str>,
    version: Option<&str>,
    arch: Option<&str>,
) {
    let (Some(name), Some(version)) = (name, version) else { return };
    let value = json!({"version": version, "arch": arch});
    let is_known = packages.contains_key(name);
    match arch {
        Some(arch) if is_known => packages.insert(format!("{name}:{arch}"), value),
        _ => packages.insert(name.to_owned(), value),
    };
}

/// `services`: by name without `.service`, `state` (`active`, `inactive`, `failed`, …), `sub`
/// (`running`, `exited`, `dead`, …) and `enabled` (`enabled`, `disabled`, `static`, `masked`, …).
/// State is `null` where a service is not in memory, `enabled` where it has no file.
/// - Source: systemd, asked over D-Bus; nothing where it cannot be asked.
pub(super) fn services(host: &Host) -> Value {
    let list = |method| Call { interface: MANAGER, method, ..TO_SYSTEMD };
    let [units, files] = asked(host, [list("ListUnits"), list("ListUnitFiles")]);
    services_of(units.as_ref(), files.as_ref())
}

/// `systemd.{version,features}`: the number of its version, and what it was built with (`+PAM
/// -APPARMOR …`).
/// - Source: systemd, asked over D-Bus; `null` where it cannot be asked.
pub(super) fn systemd(host: &Host) -> Value {
    let [version, features] = ["Version", "Features"].map(|name| [MANAGER, name]);
    let get = |arguments| Call {
        interface: "org.freedesktop.DBus.Properties",
        method: "Get",
        arguments,
        ..TO_SYSTEMD
    };
    let [version, features] = asked(host, [get(&version), get(&features)]);
    let version = version.as_ref().and_then(BusValue::text).and_then(number_of);
    match version {
        Some(version) => {
            json!({"version": version, "features": features.as_ref().and_then(BusValue::text)})
        }
        None => Value::Null,
    }
}

/// The number that a version begins with: 252 of `252.39-1~deb12u2` and of `v252`.
fn number_of(version: &str) -> Option<u32> {
    let digits = version.trim_start_matches('v');
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// Whom systemd is called as.
const TO_SYSTEMD: Call<'_> = Call {
    destination: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "",
    method: "",
    arguments: &[],
};

/// What systemd answers, as far as it can be asked and does.
fn asked<const N: usize>(host: &Host, calls: [Call<'_>; N]) -> [Option<BusValue>; N] {
    let mut bus = Bus::new(vec![
        Way::Private(host.roots.file("/run/systemd/private")),
        Way::Bus(host.roots.file("/run/dbus/system_bus_socket")),
    ]);
    let answers = bus.ask(&calls).unwrap_or_default();
    let mut answers = answers.into_iter().map(Result::ok);
    std::array::from_fn(|_| answers.next().flatten())
}

fn services_of(units: Option<&BusValue>, files: Option<&BusValue>) -> Value {
    let mut services = Map::new();
    let entries = |list: Option<&BusValue>| -> Vec<Vec<String>> {
        let texts = |entry: &BusValue| {
            entry.list().iter().map(|value| value.text().unwrap_or_default().to_owned()).collect()
        };
        list.map(BusValue::list).unwrap_or_default().iter().map(texts).collect()
    };
    for file in entries(files) {
        let [path, state, ..] = &file[..] else { continue };
        let name = path.rsplit('/').next().and_then(|name| name.strip_suffix(".service"));
        if let Some(name) = name {
            let value = json!({"state": null, "sub": null, "enabled": state});
            services.insert(name.to_owned(), value);
        }
    }
    for unit in entries(units) {
        let [name, _, load, active, sub, ..] = &unit[..] else { continue };
        let Some(name) = name.strip_suffix(".service").filter(|_| load == "loaded") else {
            continue;
        };
        let enabled = services.get(name).map_or(Value::Null, |known| known["enabled"].clone());
        let value = json!({"state": active, "sub": sub, "enabled": enabled});
        services.insert(name.to_owned(), value);
    }
    services.sort_keys();
    Value::Object(services)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::roots::Roots;

    fn host_with(path: &str, text: &str) -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        let host = Host::of(Roots::below(root.path()));
        (root, host)
    }

    #[test]
    fn packages_that_are_installed_are_told_and_others_are_not() {
        let status = "Package: bash\nStatus: install ok installed\nArchitecture: amd64\n\
            Version: 5.2-1\nDescription: a shell\n Package: none\n\n\
            Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\
            Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36\n\n\
            Package: libc6\nStatus: hold ok installed\nArchitecture: i386\nVersion: 2.36\n";
        let (_root, host) = host_with("var/lib/dpkg/status", status);
        let expected = json!({
            "bash": {"version": "5.2-1", "arch": "amd64"},
            "libc6": {"version": "2.36", "arch": "amd64"},
            "libc6:i386": {"version": "2.36", "arch": "i386"},
        });
        assert_eq!(packages(&host), expected);
        let (_root, host) =
            host_with("lib/apk/db/installed", "C:Q1\nP:musl\nV:1.2.4-r2\nA:x86_64\n\n");
        assert_eq!(packages(&host)["musl"]["version"], "1.2.4-r2");
        let desc = "%NAME%\nzlib\n\n%VERSION%\n1:1.3-1\n\n%ARCH%\nx86_64\n";
        let (_root, host) = host_with("var/lib/pacman/local/zlib-1/desc", desc);
        assert_eq!(packages(&host), json!({"zlib": {"version": "1:1.3-1", "arch": "x86_64"}}));
    }

    #[test]
    fn the_version_of_systemd_is_its_number_whatever_a_distribution_adds() {
        for (said, number) in [("252.39-1~deb12u2", Some(252)), ("v255", Some(255)), ("", None)] {
            assert_eq!(number_of(said), number, "{said}");
        }
        let (_root, host) = host_with("etc/hostname", "web");
        assert_eq!(systemd(&host), Value::Null);
    }

    #[test]
    fn services_are_told_with_how_they_are_and_how_they_will_start() {
        let list = |entries: &[&[&str]]| {
            let text = |text: &&str| BusValue::Text((*text).to_owned());
            let entry = |entry: &&[&str]| BusValue::List(entry.iter().map(text).collect());
            BusValue::List(entries.iter().map(entry).collect())
        };
        let units = list(&[
            &["ssh.service", "Shell", "loaded", "active", "running"],
            &["gone.service", "", "not-found", "inactive", "dead"],
            &["-.mount", "", "loaded", "active", "mounted"],
        ]);
        let files = list(&[
            &["/lib/systemd/system/ssh.service", "enabled"],
            &["/lib/systemd/system/cron.service", "disabled"],
        ]);
        let expected = json!({
            "cron": {"state": null, "sub": null, "enabled": "disabled"},
            "ssh": {"state": "active", "sub": "running", "enabled": "enabled"},
        });
        assert_eq!(services_of(Some(&units), Some(&files)), expected);
        assert_eq!(services_of(None, None), json!({}));
    }
}
