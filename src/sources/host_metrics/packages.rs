//! `packages`: how many packages are installed, held back, and have a newer version waiting. No
//! collector of `node_exporter`'s.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::collector::{CollectError, Collector};
use crate::event::metric::{Family, MetricKind};
use crate::event::secret::SecretText;
use crate::host::brief::{End, run};
use crate::host::packages::database::Packages as Database;
use crate::host::packages::simulation::{Upgrade, upgrades};
use crate::host::program::Program;
use crate::host::roots::Roots;

/// What apt says that it would do; it neither locks nor writes anything.
const SIMULATION: [&str; 8] = [
    "apt-get",
    "--simulate",
    "--quiet",
    "-oDebug::NoLocking=true",
    "-oDir::Cache::pkgcache=",
    "-oDir::Cache::srcpkgcache=",
    "-oAPT::Get::Always-Include-Phased-Updates=false",
    "dist-upgrade",
];

/// What apt says at most.
const MOST_BYTES: u64 = 16 << 20;
/// How long apt may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Reads dpkg's database, and asks apt when what it would say may have changed.
pub struct Packages {
    status: PathBuf,
    /// What apt's answer depends on.
    depends_on: Vec<PathBuf>,
    lists: PathBuf,
    /// Whether the host is the one that runs this, so that its apt can be asked.
    is_live: bool,
    known: Option<Known>,
}

/// What was found when the files had these times.
struct Known {
    version: Vec<Option<SystemTime>>,
    installed: usize,
    held: usize,
    /// All that wait, and those of them that mend a hole; `None` where apt did not say.
    waiting: Option<(usize, usize)>,
}

impl Packages {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        let status = roots.file("/var/lib/dpkg/status");
        let lists = roots.file("/var/lib/apt/lists");
        let others = ["/etc/apt", "/etc/apt/preferences", "/etc/apt/preferences.d"];
        let others = others.into_iter().chain(["/etc/apt/sources.list", "/etc/apt/sources.list.d"]);
        let mut depends_on = vec![status.clone(), lists.clone()];
        depends_on.extend(others.map(|path| roots.file(path)));
        let is_live = roots.is_live() && roots.rootfs == Roots::live().rootfs;
        Self { status, depends_on, lists, is_live, known: None }
    }

    fn look(&self, version: Vec<Option<SystemTime>>) -> Result<Known, CollectError> {
        let text = fs::read(&self.status).map_err(|_| CollectError::NoData)?;
        let database = Database::read(&String::from_utf8_lossy(&text));
        let held = database.installed().filter(|package| package.selection == "hold").count();
        let waiting = if self.is_live { ask_apt() } else { None };
        Ok(Known { version, installed: database.installed().count(), held, waiting })
    }
}

fn ask_apt() -> Option<(usize, usize)> {
    let mut program = Program::new(SIMULATION.map(str::to_owned).to_vec());
    program.environment = vec![("LC_ALL".to_owned(), SecretText::new("C.UTF-8".to_owned()))];
    match run(&program, MOST_BYTES, LIMIT) {
        Ok(End::Itself { status, text }) if status.success() => Some(count(&text)),
        Ok(_) => {
            tracing::debug!("apt does not say which packages have a newer version");
            None
        }
        Err(_) => None,
    }
}

fn count(said: &str) -> (usize, usize) {
    let all = upgrades(said);
    let is_security = |upgrade: &&Upgrade| upgrade.origin.to_ascii_lowercase().contains("security");
    (all.len(), all.iter().filter(is_security).count())
}

impl Collector for Packages {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let changed = |path: &PathBuf| fs::metadata(path).and_then(|it| it.modified()).ok();
        let version: Vec<_> = self.depends_on.iter().map(changed).collect();
        if self.known.as_ref().is_none_or(|known| known.version != version) {
            self.known = None;
            self.known = Some(self.look(version)?);
        }
        let Some(known) = &self.known else { return Err(CollectError::NoData) };
        let mut gauge = |name, help, value: f64| {
            out.push(Family::single(name, MetricKind::Gauge, help, value));
        };
        gauge(
            "driftless_packages_installed",
            "Packages that are installed.",
            known.installed as f64,
        );
        gauge(
            "driftless_packages_held",
            "Installed packages that are held at their version.",
            known.held as f64,
        );
        if let Some((all, security)) = known.waiting {
            gauge(
                "driftless_packages_updates_pending",
                "Installed packages of which the known lists have a newer version.",
                all as f64,
            );
            gauge(
                "driftless_packages_security_updates_pending",
                "Those of them whose newer version comes from a source for security.",
                security as f64,
            );
        }
        let listed = changed(&self.lists).and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        if let Some(listed) = listed {
            gauge(
                "driftless_packages_lists_timestamp_seconds",
                "When the lists of available packages last changed, in seconds since the epoch.",
                listed.as_secs_f64(),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::exposition;
    use std::path::Path;

    fn told(root: &Path) -> Result<String, CollectError> {
        let mut families = Vec::new();
        Packages::new(&Roots::below(root)).collect(&mut families)?;
        families.retain(|family| !family.name.ends_with("timestamp_seconds"));
        let mut text = Vec::new();
        exposition::encode(&families, &mut text);
        let text = String::from_utf8(text).unwrap();
        Ok(text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn what_is_installed_and_held_is_counted_whatever_else_stands_in_the_database() {
        let root = tempfile::tempdir().unwrap();
        assert!(matches!(told(root.path()), Err(CollectError::NoData)));
        let status = root.path().join("var/lib/dpkg/status");
        fs::create_dir_all(status.parent().unwrap()).unwrap();
        for (text, installed, held) in [
            (&b""[..], 0, 0),
            (b"\xff\xfe\0\n\n: :\n", 0, 0),
            (
                b"Package: a\nStatus: install ok installed\n\nPackage: b\nStatus: hold ok installed\n\n\
                  Package: c\nStatus: deinstall ok config-files\n",
                2,
                1,
            ),
        ] {
            fs::write(&status, text).unwrap();
            let expected =
                format!("driftless_packages_installed {installed}, driftless_packages_held {held}");
            assert_eq!(told(root.path()).unwrap(), expected);
        }
    }

    #[test]
    fn what_mends_a_hole_is_told_apart_by_where_it_comes_from() {
        let said = "NOTE: This is only a simulation!\n\
            Inst libc6 [2.36-9] (2.36-10 Debian-Security:12/stable-security [amd64])\n\
            Inst new (1.0 Debian:12.1/stable [amd64])\n\
            Inst tzdata [2024a] (2024b Debian:12.1/stable, Debian:12/stable-updates [all])\n\
            Conf libc6 (2.36-10 Debian-Security:12/stable-security [amd64])\n\
            Remv old [1]\n";
        assert_eq!(count(said), (2, 1));
        assert_eq!(count("Inst\nInst a\nInst a [1\nInst a [1] (2\n"), (1, 0));
    }

    #[test]
    fn a_host_with_apt_says_how_many_wait() {
        if !Path::new("/usr/bin/apt-get").exists() {
            return;
        }
        let (all, security) = ask_apt().unwrap();
        assert!(security <= all);
    }
}
