//! `packages`: how many packages are installed, held back, and have a newer version waiting. No
//! collector of `node_exporter`'s.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::collector::{CollectError, Collector};
use crate::event::metric::{Family, MetricKind};
use crate::event::secret::SecretText;
use crate::host::brief::{End, Programs};
use crate::host::packages::database::Packages as Database;
use crate::host::packages::dnf;
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

/// What apt's answer depends on, beside what is installed.
const OF_APT: [&str; 6] = [
    "/var/lib/apt/lists",
    "/etc/apt",
    "/etc/apt/preferences",
    "/etc/apt/preferences.d",
    "/etc/apt/sources.list",
    "/etc/apt/sources.list.d",
];

/// Where rpm's database is, in its several forms.
const RPM_DATABASES: [&str; 6] = [
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/Packages.db",
    "/usr/lib/sysimage/rpm/Packages",
    "/var/lib/rpm/rpmdb.sqlite",
    "/var/lib/rpm/Packages.db",
    "/var/lib/rpm/Packages",
];

/// Where dnf and yum keep what they know of repositories.
const RPM_CACHES: [&str; 3] = ["/var/cache/libdnf5", "/var/cache/dnf", "/var/cache/yum"];

/// How deep below that the files are that say so.
const RPM_CACHES_DEPTH: usize = 4;

/// Those that know both words: the fifth dnf is called `dnf` too where it is the host's own.
const RPM_MANAGERS: [&str; 3] = ["/usr/bin/dnf", "/usr/bin/dnf5", "/usr/bin/yum"];

/// With this dnf and yum say that newer versions wait.
const UPDATES_WAIT: i32 = 100;

/// What a package manager says at most.
const MOST_BYTES: u64 = 16 << 20;
/// How long one may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Reads dpkg's database, or asks rpm for its own, and asks apt or dnf when what it would say may
/// have changed.
pub struct Packages {
    roots: Roots,
    /// Whether the host is the one that runs this, so that its programs can be asked.
    is_live: bool,
    programs: Programs,
    known: Option<Known>,
}

/// What was found when the files had these times.
struct Known {
    version: Vec<Option<SystemTime>>,
    installed: usize,
    /// `None` where packages are not held.
    held: Option<usize>,
    /// All that wait, and those of them that mend a hole; `None` where nobody says.
    waiting: Option<(usize, usize)>,
    /// When the lists of what there is last changed.
    listed: Option<SystemTime>,
}

impl Packages {
    /// The collector for a host; what it asks is one of `programs`.
    pub fn new(roots: &Roots, programs: &Programs) -> Self {
        let is_live = roots.is_live() && roots.rootfs == Roots::live().rootfs;
        Self { roots: roots.clone(), is_live, programs: programs.clone(), known: None }
    }

    fn changed(&self, path: &str) -> Option<SystemTime> {
        fs::metadata(self.roots.file(path)).and_then(|it| it.modified()).ok()
    }

    /// What is there, unless the files are as they were.
    fn of_dpkg(&self, status: &Path) -> Result<Option<Known>, CollectError> {
        let mut version = vec![fs::metadata(status).and_then(|it| it.modified()).ok()];
        version.extend(OF_APT.map(|path| self.changed(path)));
        if self.known.as_ref().is_some_and(|known| known.version == version) {
            return Ok(None);
        }
        let text = fs::read(status).map_err(|_| CollectError::NoData)?;
        let database = Database::read(&String::from_utf8_lossy(&text));
        let held = database.installed().filter(|package| package.selection == "hold").count();
        let waiting = if self.is_live { ask_apt(&self.programs) } else { None };
        let (installed, listed) = (database.installed().count(), version[1]);
        Ok(Some(Known { version, installed, held: Some(held), waiting, listed }))
    }

    /// The same of a host with rpm. Whoever is not root has lists of its own, mostly none, and would
    /// be told that nothing waits.
    fn of_rpm(&self) -> Result<Option<Known>, CollectError> {
        let mut version: Vec<_> = RPM_DATABASES.map(|path| self.changed(path)).into();
        if !self.is_live || version.iter().all(Option::is_none) {
            return Err(CollectError::NoData);
        }
        let caches = RPM_CACHES.map(|path| self.roots.file(path));
        let listed = caches.iter().filter_map(|cache| newest(cache, RPM_CACHES_DEPTH)).max();
        version.push(listed);
        if self.known.as_ref().is_some_and(|known| known.version == version) {
            return Ok(None);
        }
        let (status, list) = ask(&self.programs, &["rpm", "-qa", "--qf", "%{ARCH}\n"])
            .ok_or(CollectError::NoData)?;
        if status != 0 {
            return Err(CollectError::NoData);
        }
        // Keys that packages are signed with are no packages.
        let installed = list.lines().filter(|arch| *arch != "(none)").count();
        let may_ask = listed.is_some() && nix::unistd::geteuid().is_root();
        let waiting = if may_ask { ask_dnf(&self.programs) } else { None };
        Ok(Some(Known { version, installed, held: None, waiting, listed }))
    }
}

/// When the newest of the files changed that say what a repository has.
fn newest(folder: &Path, depth: usize) -> Option<SystemTime> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let of_entry = |entry: fs::DirEntry| {
        let path = entry.path();
        if entry.file_type().ok()?.is_dir() {
            return if depth > 0 { newest(&path, depth - 1) } else { None };
        }
        let is_list = path.extension().is_some_and(|end| end == "solv")
            || path.file_name().is_some_and(|name| name == "repomd.xml");
        if is_list { entry.metadata().ok()?.modified().ok() } else { None }
    };
    entries.filter_map(of_entry).max()
}

/// The exit status of a program, and what it says.
fn ask(programs: &Programs, argv: &[&str]) -> Option<(i32, String)> {
    let mut program = Program::new(argv.iter().map(|word| (*word).to_owned()).collect());
    program.environment = vec![("LC_ALL".to_owned(), SecretText::new("C.UTF-8".to_owned()))];
    match programs.run(&program, MOST_BYTES, LIMIT).ok()? {
        End::Itself { status, text } => Some((status.code()?, text)),
        End::TimedOut => None,
    }
}

fn ask_apt(programs: &Programs) -> Option<(usize, usize)> {
    match ask(programs, &SIMULATION)? {
        (0, text) => Some(count(&text)),
        _ => {
            tracing::debug!("apt does not say which packages have a newer version");
            None
        }
    }
}

/// By what dnf, or yum before it, has in its cache; it asks no repository.
fn ask_dnf(programs: &Programs) -> Option<(usize, usize)> {
    let program = RPM_MANAGERS.into_iter().find(|it| Path::new(it).exists())?;
    let count = |more: &[&str]| {
        let argv = [&[program, "-q", "-C"], more, &["check-update"]].concat();
        let (status, text) = ask(programs, &argv)?;
        [0, UPDATES_WAIT].contains(&status).then(|| dnf::updates(&text))
    };
    Some((count(&[])?, count(&["--security"])?))
}

fn count(said: &str) -> (usize, usize) {
    let all = upgrades(said);
    let is_security = |upgrade: &&Upgrade| upgrade.origin.to_ascii_lowercase().contains("security");
    (all.len(), all.iter().filter(is_security).count())
}

impl Collector for Packages {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let status = self.roots.file("/var/lib/dpkg/status");
        let found = if status.exists() { self.of_dpkg(&status) } else { self.of_rpm() };
        match found {
            Ok(Some(known)) => self.known = Some(known),
            Ok(None) => {}
            Err(error) => {
                self.known = None;
                return Err(error);
            }
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
        if let Some(held) = known.held {
            gauge(
                "driftless_packages_held",
                "Installed packages that are held at their version.",
                held as f64,
            );
        }
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
        let listed = known.listed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
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
        Packages::new(&Roots::below(root), &Programs::default()).collect(&mut families)?;
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
    fn lists_of_repositories_are_found_where_dnf_and_yum_keep_them() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(newest(root.path(), 2), None);
        for (path, is_list) in [
            ("expired_repos.json", false),
            ("baseos.solv", true),
            ("7/updates/repomd.xml", true),
            ("7/updates/gen/deep/other.solv", false),
        ] {
            let folder = root.path().join(path);
            fs::create_dir_all(folder.parent().unwrap()).unwrap();
            fs::write(&folder, "").unwrap();
            assert_eq!(newest(root.path(), 2).is_some(), is_list, "{path}");
            fs::remove_file(&folder).unwrap();
        }
    }

    #[test]
    fn a_host_with_apt_says_how_many_wait() {
        if !Path::new("/usr/bin/apt-get").exists() {
            return;
        }
        let (all, security) = ask_apt(&Programs::default()).unwrap();
        assert!(security <= all);
    }
}
