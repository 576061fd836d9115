//! `filesystem`: how full each mounted file system is, and whether it can be written and asked.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use nix::errno::Errno;
use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector, Malformed, reading};
use super::filter::Filter;
use crate::event::metric::{Family, Labels, MetricKind, Text};
use crate::host::mounts::{self, Mount};
use crate::host::statfs::{self, Answer, Watchdog};
use crate::host::{proc::HeldFile, roots::Roots};
use crate::topology::settings::Period;

/// How long all mounts together may take to answer, where nothing is said.
const LIMIT: Duration = Duration::from_secs(2);

const EXCLUDED_POINTS: &str = "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|\
    var/lib/containers/storage/.+)($|/)";
const EXCLUDED_TYPES: [&str; 25] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "erofs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "procfs",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
];

/// File systems that know from memory how full they are, whatever becomes of their disk.
const CALM_TYPES: [&str; 5] = ["ext2", "ext3", "ext4", "tmpfs", "xfs"];

/// Of the kernel's views of itself, those that ask a program or the firmware.
const MAY_WAIT: [&str; 2] = ["autofs", "efivarfs"];

/// What to tell of.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Mounts, by where they are. Where nothing is said, those of the kernel and of containers are
    /// left out.
    pub mount_points: Filter,
    /// Mounts, by the kind of file system. Where nothing is said, the kernel's windows onto itself
    /// and layers of other file systems are left out.
    pub fs_types: Filter,
    /// How long all mounts together may take to answer; one that does not is told as such, and not
    /// asked again until it has. Default: `2s`.
    pub mount_timeout: Option<Period>,
}

/// Reads the mount table of the host's first process (or its own, where that is hidden) and asks
/// each mount how full it is.
pub struct Filesystem {
    roots: Roots,
    first_process: HeldFile,
    own: HeldFile,
    options: Options,
    watchdog: Watchdog,
    /// The mount table that was read last.
    table: Vec<u8>,
    /// What is told of, of that table.
    told: Vec<Told>,
    /// Where those of them are, for us, that may not answer.
    restless: Vec<Arc<Path>>,
}

/// A mount, and what its samples are told with.
struct Told {
    mount: Mount,
    /// Where it is, for us.
    point: Arc<Path>,
    /// Whether asking it cannot hang: neither it nor any on the way to it waits for a disk or for
    /// another host.
    is_calm: bool,
    /// As long as it can be asked.
    labels: Labels,
    info: Labels,
}

impl Filesystem {
    /// The collector for a host.
    pub fn new(roots: &Roots, options: &Options) -> Self {
        Self {
            roots: roots.clone(),
            first_process: HeldFile::new(roots.procfs.join("1/mountinfo")),
            own: HeldFile::new(roots.procfs.join("self/mountinfo")),
            options: options.clone(),
            watchdog: Watchdog::default(),
            table: Vec::new(),
            told: Vec::new(),
            restless: Vec::new(),
        }
    }

    /// Reads which mounts are told of, each point and device once. Mounts come and go rarely, so
    /// that the table is taken apart only when it is another.
    fn read_table(&mut self) -> Result<(), CollectError> {
        let (path, own_path) = (self.first_process.shared_path(), self.own.shared_path());
        let (table, path) = match self.first_process.read() {
            Ok(table) => (table, path),
            Err(_) => (self.own.read().map_err(reading(&own_path))?, own_path),
        };
        if table == self.table {
            return Ok(());
        }
        let mut mounts = mounts::parse(table)
            .map_err(|line| Malformed::new(&line, "a line of the mount table").of(&path))?;
        for mount in &mut mounts {
            mount.point = self.roots.inside(&mount.point);
        }
        let restless = restless_points(&mounts);
        let mut seen = HashSet::new();
        mounts.retain(|mount| {
            self.options.wants(mount)
                && seen.insert((mount.device.clone(), mount.point.clone(), mount.fstype.clone()))
        });
        self.table = table.to_vec();
        let roots = &self.roots;
        let told = |mount: Mount| {
            let is_calm = is_calm(&mount.point, &restless);
            Told::new(roots.file(&mount.point).into(), is_calm, mount)
        };
        self.told = mounts.into_iter().map(told).collect();
        let restless = self.told.iter().filter(|told| !told.is_calm);
        self.restless = restless.map(|told| Arc::clone(&told.point)).collect();
        Ok(())
    }

    /// What each mount says, in their order.
    fn ask(&self) -> Vec<Answer> {
        let limit = self.options.mount_timeout.map_or(LIMIT, |limit| limit.0);
        let restless = match self.restless.is_empty() {
            true => Vec::new(),
            false => self.watchdog.ask(&self.restless, limit),
        };
        let mut restless = restless.into_iter();
        let answer = |told: &Told| match told.is_calm {
            true => statfs::ask(&told.point),
            false => restless.next().unwrap_or(Answer::Stuck),
        };
        self.told.iter().map(answer).collect()
    }
}

impl Told {
    fn new(point: Arc<Path>, is_calm: bool, mount: Mount) -> Self {
        Self { labels: labels(&mount, ""), info: info_labels(&mount), point, is_calm, mount }
    }
}

/// Whether neither a mount there nor one on the way to it is among the `restless`.
fn is_calm(point: &Path, restless: &HashSet<PathBuf>) -> bool {
    !point.ancestors().any(|point| restless.contains(point))
}

/// Where mounts are that may not answer. One may lie upon another, which is as restless then.
fn restless_points(mounts: &[Mount]) -> HashSet<PathBuf> {
    let is_restless = |mount: &&Mount| {
        let kind = mount.fstype.as_str();
        MAY_WAIT.contains(&kind) || !(CALM_TYPES.contains(&kind) || mount.is_kernel_view())
    };
    mounts.iter().filter(is_restless).map(|mount| mount.point.clone()).collect()
}

impl Collector for Filesystem {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        self.read_table()?;
        let answers = self.ask();
        out.extend(families(&self.told, &answers));
        Ok(())
    }
}

impl Options {
    fn wants(&self, mount: &Mount) -> bool {
        static POINTS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(EXCLUDED_POINTS).ok());
        let point = mount.point.to_string_lossy();
        let wants_point = if self.mount_points.is_unset() {
            !POINTS.as_ref().is_some_and(|points| points.is_match(&point))
        } else {
            self.mount_points.allows(&point)
        };
        let wants_type = if self.fs_types.is_unset() {
            !EXCLUDED_TYPES.contains(&mount.fstype.as_str())
        } else {
            self.fs_types.allows(&mount.fstype)
        };
        wants_point && wants_type
    }
}

/// The families of all mounts. Of one that did not answer only that is told, and whether it is
/// read-only.
fn families(told: &[Told], answers: &[Answer]) -> [Family; 8] {
    let room = told.len();
    let gauge = |name, help| Family::new(name, MetricKind::Gauge, help).with_room(room);
    let mut available =
        gauge("node_filesystem_avail_bytes", "Bytes that users other than root may still use.");
    let mut device_error =
        gauge("node_filesystem_device_error", "Whether the file system could not be asked.");
    let mut files = gauge("node_filesystem_files", "Files that there is room for.");
    let mut files_free = gauge("node_filesystem_files_free", "Files that may still be made.");
    let mut free = gauge("node_filesystem_free_bytes", "Bytes that nothing uses.");
    let mut mount_info =
        gauge("node_filesystem_mount_info", "Which device is mounted here; always 1.");
    let mut readonly = gauge("node_filesystem_readonly", "Whether the file system refuses writes.");
    let mut size = gauge("node_filesystem_size_bytes", "Size in bytes.");
    for (told, answer) in told.iter().zip(answers) {
        let labels = match answer {
            Answer::Usage(_) => told.labels.clone(),
            Answer::Refused(errno) => labels(&told.mount, &in_words(*errno)),
            Answer::Stuck => labels(&told.mount, "mountpoint timeout"),
        };
        let is_read_only = told.mount.is_read_only();
        readonly.push(labels.clone(), f64::from(u8::from(is_read_only)));
        let Answer::Usage(usage) = answer else {
            device_error.push(labels, 1.0);
            continue;
        };
        device_error.push(labels.clone(), 0.0);
        available.push(labels.clone(), usage.available_bytes);
        files.push(labels.clone(), usage.files);
        files_free.push(labels.clone(), usage.files_free);
        free.push(labels.clone(), usage.free_bytes);
        size.push(labels, usage.size_bytes);
        mount_info.push(told.info.clone(), 1.0);
    }
    [available, device_error, files, files_free, free, mount_info, readonly, size]
}

fn labels(mount: &Mount, error: &str) -> Labels {
    Labels::from([
        ("device".into(), Text::shared(&mount.device)),
        ("device_error".into(), Text::shared(error)),
        ("fstype".into(), Text::shared(&mount.fstype)),
        ("mountpoint".into(), Text::shared(&mount.point.to_string_lossy())),
    ])
}

fn info_labels(mount: &Mount) -> Labels {
    Labels::from([
        ("device".into(), Text::shared(&mount.device)),
        ("major".into(), mount.major.to_string().into()),
        ("minor".into(), mount.minor.to_string().into()),
        ("mountpoint".into(), Text::shared(&mount.point.to_string_lossy())),
    ])
}

/// The system's words for an error, small at the start, as `node_exporter` has them.
fn in_words(errno: Errno) -> String {
    let mut words = errno.desc().to_owned();
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::metric::SampleValue;
    use crate::host::statfs::Usage;

    fn table(lines: &str) -> Vec<Mount> {
        mounts::parse(lines.as_bytes()).unwrap()
    }

    fn values(families: &[Family], name: &str) -> Vec<SampleValue> {
        let family = families.iter().find(|family| family.name == name).unwrap();
        family.samples.iter().map(|sample| sample.value.clone()).collect()
    }

    #[test]
    fn a_stuck_mount_is_told_with_its_reason_and_the_others_in_full() {
        let mounts =
            table("27 1 254:0 / / rw - ext4 /dev/vda rw\n28 27 0:40 / /nas ro - nfs nas:/x rw\n");
        let full = Answer::Usage(Usage { size_bytes: 4096.0, ..Usage::default() });
        let new = |mount: Mount| Told::new(Path::new("/").into(), true, mount);
        let told: Vec<Told> = mounts.into_iter().map(new).collect();
        let families = families(&told, &[full, Answer::Stuck]);
        let number = |value| SampleValue::Number(value);
        assert_eq!(values(&families, "node_filesystem_size_bytes"), [number(4096.0)]);
        let errors = values(&families, "node_filesystem_device_error");
        assert_eq!(errors, [number(0.0), number(1.0)]);
        let readonly = values(&families, "node_filesystem_readonly");
        assert_eq!(readonly, [number(0.0), number(1.0)]);
        let stuck = &families[1].samples[1].labels[1];
        assert_eq!(*stuck, ("device_error".into(), "mountpoint timeout".into()));
    }

    #[test]
    fn a_mount_is_asked_apart_where_it_or_one_on_the_way_to_it_may_hang() {
        let restless = restless_points(&table(
            "1 0 254:0 / / rw - ext4 /dev/vda rw\n2 1 0:5 / /dev rw - devtmpfs dev rw\n\
             3 2 0:6 / /dev/shm rw - tmpfs tmpfs rw\n4 1 0:40 / /nas rw - nfs4 nas:/x rw\n\
             5 4 254:1 / /nas/disk rw - ext4 /dev/vdb rw\n6 1 254:2 / /data rw - xfs /dev/vdc rw\n\
             7 6 0:41 / /data rw - fuse.x x rw\n8 1 0:42 / /net rw - autofs auto rw\n",
        ));
        let is_calm = |point: &str| is_calm(Path::new(point), &restless);
        assert!(is_calm("/") && is_calm("/dev/shm"));
        for point in ["/nas", "/nas/disk", "/data", "/net"] {
            assert!(!is_calm(point), "{point}");
        }
    }

    #[test]
    fn a_refusal_reads_as_node_exporter_writes_it() {
        assert_eq!(in_words(Errno::EACCES), "permission denied");
        assert_eq!(in_words(Errno::ENOENT), "no such file or directory");
    }

    #[test]
    fn views_of_the_kernel_and_of_containers_are_left_out() {
        let excluded = |point: &str, fstype: &str| {
            let mount = table(&format!("1 1 0:1 / {point} rw - {fstype} x rw\n")).remove(0);
            !Options::default().wants(&mount)
        };
        assert!(excluded("/x", "overlay") && excluded("/dev/shm", "tmpfs"));
        assert!(excluded("/var/lib/docker/volumes", "ext4") && excluded("/sys", "tmpfs"));
        assert!(!excluded("/var/lib/docker", "ext4") && !excluded("/development", "ext4"));
        assert!(!excluded("/run", "tmpfs"));
    }
}
