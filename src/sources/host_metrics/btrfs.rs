//! `btrfs`: how Btrfs file systems lay out their space, and how long their commits take.

use std::path::{Path, PathBuf};

use super::collector::{CollectError, Collector};
use super::families::{Families, labels};
use crate::event::metric::Family;
use crate::host::roots::Roots;
use crate::host::sysfs;

/// The kernel counts disk space in units of this many bytes, whatever the disk's own sectors are.
const SECTOR_BYTES: f64 = 512.0;
const MILLISECONDS: f64 = 1000.0;

/// Reads `/sys/fs/btrfs`.
pub struct Btrfs {
    folder: PathBuf,
}

impl Btrfs {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { folder: roots.sysfs.join("fs/btrfs") }
    }
}

impl Collector for Btrfs {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut families = Families::default();
        for name in sysfs::names(&self.folder) {
            let folder = self.folder.join(&name);
            // `features` and the like are of no file system.
            if !folder.join("allocation").is_dir() {
                continue;
            }
            let uuid = sysfs::text(folder.join("metadata_uuid")).unwrap_or(name);
            add_file_system(&folder, &uuid, &mut families);
        }
        out.extend(Vec::from(families));
        Ok(())
    }
}

fn add_file_system(folder: &Path, uuid: &str, families: &mut Families) {
    let label = sysfs::text(folder.join("label")).unwrap_or_default();
    let told = labels([("label", &label), ("uuid", uuid)]);
    families.gauge("node_btrfs_info", "What file system this is; always 1.", told, 1.0);
    let of_all = || labels([("uuid", uuid)]);
    families.gauge(
        "node_btrfs_global_rsv_size_bytes",
        "Bytes kept for what must not fail.",
        of_all(),
        sysfs::number(folder.join("allocation/global_rsv_size")).unwrap_or(0.0),
    );
    let commits = Commits::parse(&sysfs::text(folder.join("commit_stats")).unwrap_or_default());
    families.counter("node_btrfs_commits_total", "Commits done.", of_all(), commits.count);
    families.counter(
        "node_btrfs_commit_seconds_total",
        "Seconds that commits took, added up.",
        of_all(),
        commits.total_seconds,
    );
    families.gauge(
        "node_btrfs_last_commit_seconds",
        "Seconds that the last commit took.",
        of_all(),
        commits.last_seconds,
    );
    families.gauge(
        "node_btrfs_max_commit_seconds",
        "Seconds that the slowest commit took.",
        of_all(),
        commits.slowest_seconds,
    );
    let devices = sysfs::names(folder.join("devices"));
    for device in &devices {
        // Where a disk is gone, its entry leads nowhere.
        let sectors = sysfs::number::<f64>(folder.join("devices").join(device).join("size"));
        let Some(sectors) = sectors else { continue };
        families.gauge(
            "node_btrfs_device_size_bytes",
            "Size of a device of a file system, in bytes.",
            labels([("device", device), ("uuid", uuid)]),
            sectors * SECTOR_BYTES,
        );
    }
    for kind in ["data", "metadata", "system"] {
        let folder = folder.join("allocation").join(kind);
        if folder.is_dir() {
            add_kind(&folder, kind, uuid, devices.len(), families);
        }
    }
}

fn add_kind(folder: &Path, kind: &str, uuid: &str, devices: usize, families: &mut Families) {
    families.gauge(
        "node_btrfs_reserved_bytes",
        "Bytes set aside for a kind of content.",
        labels([("block_group_type", kind), ("uuid", uuid)]),
        sysfs::number(folder.join("bytes_reserved")).unwrap_or(0.0),
    );
    for mode in sysfs::names(folder) {
        let number = |file| sysfs::number::<f64>(folder.join(&mode).join(file));
        let (Some(total), Some(used)) = (number("total_bytes"), number("used_bytes")) else {
            continue;
        };
        let values = [
            (
                "node_btrfs_allocation_ratio",
                "Bytes on disk for each byte of content.",
                ratio(&mode, devices),
            ),
            ("node_btrfs_size_bytes", "Bytes that there is room for.", total),
            ("node_btrfs_used_bytes", "Bytes that are used.", used),
        ];
        for (name, help, value) in values {
            let told = labels([("block_group_type", kind), ("mode", &mode), ("uuid", uuid)]);
            families.gauge(name, help, told, value);
        }
    }
}

/// Bytes on disk for each byte of content: copies, or the disks that hold check sums beside the
/// others.
fn ratio(mode: &str, devices: usize) -> f64 {
    let devices = devices as f64;
    match mode {
        "dup" | "raid1" | "raid10" => 2.0,
        "raid1c3" => 3.0,
        "raid1c4" => 4.0,
        "raid5" if devices > 1.0 => devices / (devices - 1.0),
        "raid6" if devices > 2.0 => devices / (devices - 2.0),
        _ => 1.0,
    }
}

/// What `commit_stats` tells; zeros where a kernel has no such file.
#[derive(Debug, Default, PartialEq)]
struct Commits {
    count: f64,
    last_seconds: f64,
    slowest_seconds: f64,
    total_seconds: f64,
}

impl Commits {
    fn parse(text: &str) -> Self {
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.trim().parse::<f64>().ok()).unwrap_or(0.0)
        };
        Self {
            count: value("commits "),
            last_seconds: value("last_commit_ms ") / MILLISECONDS,
            slowest_seconds: value("max_commit_ms ") / MILLISECONDS,
            total_seconds: value("total_commit_ms ") / MILLISECONDS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_byte_costs_depends_on_the_layout() {
        let of = |mode, devices| (ratio(mode, devices) * 100.0).round();
        assert_eq!([of("single", 1), of("raid1", 2), of("raid5", 4)], [100.0, 200.0, 133.0]);
        assert_eq!([of("raid6", 4), of("raid5", 0)], [200.0, 100.0]);
    }

    #[test]
    fn commits_are_told_in_seconds_and_an_absent_file_is_zero() {
        let commits = Commits::parse("commits 3\nlast_commit_ms 1000\nmax_commit_ms 1500\n");
        assert_eq!((commits.count, commits.slowest_seconds), (3.0, 1.5));
        assert_eq!(Commits::parse(""), Commits::default());
    }
}
