//! Facts: what this host is, for conditions such as `facts.os.family == 'debian'`.
//!
//! A fact is gathered when it is first asked for. No name server is asked and no automatic mount is
//! triggered; programs are run for the host's own facts, which may be programs, and for the list of
//! packages where only rpm can read it. What a host does not have is `null`, so that a condition
//! about it is false instead of an error.

mod hardware;
mod network;
mod os;
mod own;
mod packages;
mod run;
mod security;
mod storage;
mod users;
mod value;
mod virt;

pub use self::hardware::DMI_NAMES;
pub use self::value::facts_value;

use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use crate::host::roots::Roots;
use crate::host::statfs::Watchdog;

/// Where facts are gathered from.
struct Host {
    roots: Roots,
    /// Shared by all looks at the host, so that a mount that hangs is asked once.
    watchdog: Arc<Watchdog>,
}

impl Host {
    fn of(roots: Roots) -> Self {
        Self { roots, watchdog: Arc::default() }
    }

    /// A small file's text without the white space around it; `None` where it is absent, unreadable
    /// or empty.
    fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        let bytes = fs::read(path).ok()?;
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// The same for a file below `/proc`.
    fn proc(&self, path: &str) -> Option<String> {
        self.text(self.roots.procfs.join(path))
    }

    /// The same for a file below `/sys`.
    fn sys(&self, path: &str) -> Option<String> {
        self.text(self.roots.sysfs.join(path))
    }

    /// The same for a file of the host's own, such as `/etc/hosts`.
    fn file(&self, path: &str) -> Option<String> {
        self.text(self.roots.file(path))
    }

    /// Whether the host has `path`.
    fn has(&self, path: &str) -> bool {
        self.roots.file(path).exists()
    }
}

type Gather = fn(&Host) -> Value;

/// How long a fact holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// Until the host starts again: a new look at it need not gather the fact again.
    ThisBoot,
    /// It may be another at the next look.
    Now,
}

use Holds::{Now, ThisBoot};

/// Every fact by its name, in the order of the alphabet.
const FACTS: [(&str, Holds, Gather); 39] = [
    ("apparmor", Now, security::apparmor),
    ("arch", ThisBoot, os::arch),
    ("boot_id", ThisBoot, os::boot_id),
    ("cloud", ThisBoot, virt::cloud),
    ("cmdline", ThisBoot, os::cmdline),
    ("container", ThisBoot, virt::container),
    ("cpu", Now, hardware::cpu),
    ("default_ipv4", Now, network::default_ipv4),
    ("default_ipv6", Now, network::default_ipv6),
    ("disks", Now, storage::disks),
    ("dmi", ThisBoot, hardware::dmi),
    ("dns", Now, network::dns),
    ("external", Now, own::external),
    ("filesystems", Now, storage::filesystems),
    ("fips", ThisBoot, security::fips),
    ("fqdn", Now, network::fqdn),
    ("groups", Now, users::groups),
    ("hostname", Now, network::hostname),
    ("interfaces", Now, network::interfaces),
    ("kernel", ThisBoot, os::kernel),
    ("load", Now, hardware::load),
    ("local", Now, own::local),
    ("machine_id", Now, os::machine_id),
    ("memory", Now, hardware::memory),
    ("mounts", Now, storage::mounts),
    ("os", Now, os::os),
    ("package_manager", Now, os::package_manager),
    ("packages", Now, packages::packages),
    ("partitions", Now, storage::partitions),
    ("routes", Now, network::routes),
    ("selinux", Now, security::selinux),
    ("service_manager", ThisBoot, os::service_manager),
    ("services", Now, packages::services),
    ("ssh_host_keys", Now, security::ssh_host_keys),
    ("systemd", Now, packages::systemd),
    ("timezone", Now, os::timezone),
    ("uptime_seconds", Now, os::uptime_seconds),
    ("users", Now, users::users),
    ("virt", ThisBoot, virt::virt),
];

/// Only that it is there: showing the values would gather them.
impl std::fmt::Debug for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Facts")
    }
}

/// One look at a host. Each fact is gathered once, when it is first asked for.
pub struct Facts {
    host: Host,
    gathered: [OnceLock<Value>; FACTS.len()],
    /// Which of them somebody has told, so that they are not gathered.
    told: [bool; FACTS.len()],
}

impl Facts {
    /// A first look at the host that this process runs on.
    pub fn of_this_host() -> Self {
        Self::new(Roots::live())
    }

    /// A first look at a host. Nothing is read yet.
    pub fn new(roots: Roots) -> Self {
        Self::of(Host::of(roots))
    }

    /// A new look at the same host, which has forgotten every value that may have changed since, but
    /// for those that were told.
    #[must_use]
    pub fn again(&self) -> Self {
        let (roots, watchdog) = (self.host.roots.clone(), Arc::clone(&self.host.watchdog));
        let gathered = std::array::from_fn(|at| {
            let holds = FACTS[at].1 == ThisBoot || self.told[at];
            if holds { self.gathered[at].clone() } else { OnceLock::new() }
        });
        Self { host: Host { roots, watchdog }, gathered, told: self.told }
    }

    /// The same, but these facts are what is said here. Names that no fact has are passed over.
    #[must_use]
    pub fn told<'v>(mut self, facts: impl IntoIterator<Item = (&'v str, &'v Value)>) -> Self {
        for (name, value) in facts {
            if let Ok(at) = FACTS.binary_search_by_key(&name, |(name, ..)| name) {
                self.gathered[at] = OnceLock::from(value.clone());
                self.told[at] = true;
            }
        }
        self
    }

    /// The names of the facts that were asked for and not told: those that are of this host.
    pub fn gathered_here(&self) -> impl Iterator<Item = &'static str> {
        let here = |at: &usize| self.gathered[*at].get().is_some() && !self.told[*at];
        (0..FACTS.len()).filter(here).map(|at| FACTS[at].0)
    }

    fn of(host: Host) -> Self {
        let gathered = std::array::from_fn(|_| OnceLock::new());
        Self { host, gathered, told: [false; FACTS.len()] }
    }

    /// The host's whole name as its kernel has it, with the domain where that is part of it.
    ///
    /// The fact `hostname` ends at the first dot. Where there is no name at all: `localhost`.
    pub fn hostname(&self) -> String {
        self.host.proc("sys/kernel/hostname").unwrap_or_else(|| "localhost".into())
    }

    /// The names of all facts, sorted.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FACTS.iter().map(|(name, ..)| *name)
    }

    /// The fact of that name, gathered now where it was not before; `None` where no fact is so
    /// named.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let at = FACTS.binary_search_by_key(&name, |(name, ..)| name).ok()?;
        Some(self.gathered[at].get_or_init(|| FACTS[at].2(&self.host)))
    }

    /// All facts, as one mapping.
    pub fn all(&self) -> Value {
        let fact = |name: &'static str| Some((name.to_owned(), self.get(name)?.clone()));
        Value::Object(Self::names().filter_map(fact).collect::<Map<_, _>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_can_be_asked_for_by_its_name() {
        let facts = Facts::new(Roots::live());
        assert!(Facts::names().is_sorted());
        assert!(Facts::names().all(|name| facts.get(name).is_some()));
        assert_eq!(facts.get("no_such_fact"), None);
        assert_eq!(facts.all().as_object().map(Map::len), Some(FACTS.len()));
    }

    #[test]
    fn a_fact_stays_as_it_was_first_seen_until_one_looks_again() {
        let host = tempfile::tempdir().unwrap();
        fs::create_dir(host.path().join("etc")).unwrap();
        let id = host.path().join("etc/machine-id");
        let facts = Facts::new(Roots::below(host.path()));
        fs::write(&id, "one\n").unwrap();
        assert_eq!(facts.get("machine_id"), Some(&Value::from("one")));
        fs::write(&id, "two\n").unwrap();
        assert_eq!(facts.get("machine_id"), Some(&Value::from("one")));
        assert_eq!(facts.again().get("machine_id"), Some(&Value::from("two")));
    }

    #[test]
    fn what_was_told_is_not_gathered_and_what_was_gathered_can_be_named() {
        let empty = tempfile::tempdir().unwrap();
        let facts = Facts::new(Roots::below(empty.path()));
        let facts = facts.told([("os", &serde_json::json!({"family": "redhat"}))]).again();
        assert_eq!(facts.get("os").unwrap()["family"], "redhat");
        assert_eq!(facts.gathered_here().count(), 0);
        facts.get("memory").unwrap();
        assert_eq!(facts.gathered_here().collect::<Vec<_>>(), ["memory"]);
    }

    #[test]
    fn a_host_without_anything_has_nulls_and_no_errors() {
        let empty = tempfile::tempdir().unwrap();
        let facts = Facts::new(Roots::below(empty.path()));
        let all = facts.all();
        assert_eq!(all["os"]["family"], Value::Null);
        assert_eq!(all["default_ipv4"]["address"], Value::Null);
        assert_eq!(all["container"], Value::Null);
        assert_eq!(all["virt"]["type"], "none");
        assert_eq!(all["users"], Value::Object(Map::new()));
    }
}
