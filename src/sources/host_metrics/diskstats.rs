//! `diskstats`: what each disk has read, written, discarded and flushed, and what disk it is.

use std::collections::HashMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector, Malformed, reading};
use super::families::KnownLabels;
use super::filter::Filter;
use crate::event::metric::{Family, Labels, MetricKind};
use crate::host::udev::{Properties, Udev};
use crate::host::{proc::HeldFile, roots::Roots};

/// The kernel counts disk space in units of this many bytes, whatever the disk's own sectors are.
const SECTOR_BYTES: f64 = 512.0;
/// The kernel counts disk time in milliseconds.
const SECONDS: f64 = 1.0 / 1000.0;

/// The columns of `/proc/diskstats` after the name: family, kind, factor to the family's unit,
/// what it counts. Kernels before 4.18 end at the weighted time, those before 5.5 at the discards.
const COLUMNS: [(&str, MetricKind, f64, &str); 17] = {
    use MetricKind::{Counter, Gauge};
    [
        ("node_disk_reads_completed_total", Counter, 1.0, "Reads done."),
        ("node_disk_reads_merged_total", Counter, 1.0, "Reads that were joined with another."),
        ("node_disk_read_bytes_total", Counter, SECTOR_BYTES, "Bytes read."),
        (
            "node_disk_read_time_seconds_total",
            Counter,
            SECONDS,
            "Seconds that reads took, added up.",
        ),
        ("node_disk_writes_completed_total", Counter, 1.0, "Writes done."),
        ("node_disk_writes_merged_total", Counter, 1.0, "Writes that were joined with another."),
        ("node_disk_written_bytes_total", Counter, SECTOR_BYTES, "Bytes written."),
        (
            "node_disk_write_time_seconds_total",
            Counter,
            SECONDS,
            "Seconds that writes took, added up.",
        ),
        ("node_disk_io_now", Gauge, 1.0, "Requests in progress."),
        (
            "node_disk_io_time_seconds_total",
            Counter,
            SECONDS,
            "Seconds during which any request was in progress.",
        ),
        (
            "node_disk_io_time_weighted_seconds_total",
            Counter,
            SECONDS,
            "Seconds times requests in progress.",
        ),
        ("node_disk_discards_completed_total", Counter, 1.0, "Discards done."),
        (
            "node_disk_discards_merged_total",
            Counter,
            1.0,
            "Discards that were joined with another.",
        ),
        ("node_disk_discarded_sectors_total", Counter, 1.0, "Sectors of 512 bytes discarded."),
        (
            "node_disk_discard_time_seconds_total",
            Counter,
            SECONDS,
            "Seconds that discards took, added up.",
        ),
        ("node_disk_flush_requests_total", Counter, 1.0, "Flushes done."),
        (
            "node_disk_flush_requests_time_seconds_total",
            Counter,
            SECONDS,
            "Seconds that flushes took, added up.",
        ),
    ]
};

/// What an ATA disk tells through udev: property, family, meaning.
const ATA: [(&str, &str, &str); 3] = [
    (
        "ID_ATA_ROTATION_RATE_RPM",
        "node_disk_ata_rotation_rate_rpm",
        "Turns a minute; 0 where nothing turns.",
    ),
    ("ID_ATA_WRITE_CACHE", "node_disk_ata_write_cache", "Whether the disk has a write cache."),
    (
        "ID_ATA_WRITE_CACHE_ENABLED",
        "node_disk_ata_write_cache_enabled",
        "Whether the disk's write cache is in use.",
    ),
];

/// What to tell of.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Disks, by name. Where nothing is said, memory disks, loop devices, floppies and partitions
    /// are left out.
    pub devices: Filter,
}

/// Reads `/proc/diskstats`, `/sys/block/DISK/queue/rotational` and udev's notes.
pub struct Diskstats {
    file: HeldFile,
    block: PathBuf,
    udev: Udev,
    devices: Filter,
    rotational: HashMap<String, HeldFile>,
    labels: KnownLabels,
}

impl Diskstats {
    /// The collector for a host.
    pub fn new(roots: &Roots, options: &Options) -> Self {
        Self {
            file: HeldFile::of_short_lines(roots.procfs.join("diskstats")),
            block: roots.sysfs.join("block"),
            udev: Udev::new(&roots.udev_data),
            devices: options.devices.clone(),
            rotational: HashMap::new(),
            labels: KnownLabels::default(),
        }
    }
}

impl Collector for Diskstats {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let path = self.file.shared_path();
        let text = self.file.text().map_err(reading(&path))?;
        let labels = &mut self.labels;
        labels.begin();
        let mut counts = COLUMNS.map(|(name, kind, _, help)| Family::new(name, kind, help));
        let gauge = |name, help| Family::new(name, MetricKind::Gauge, help);
        let mut ata = ATA.map(|(_, name, help)| gauge(name, help));
        let mut info = gauge("node_disk_info", "What disk this is; always 1.");
        let mut filesystem =
            gauge("node_disk_filesystem_info", "The file system on this disk; always 1.");
        let mut mapper = gauge(
            "node_disk_device_mapper_info",
            "What the device mapper made this disk from; always 1.",
        );
        let nothing = Properties::new();
        for line in text.lines() {
            let disk = parse(line).map_err(|line| line.of(&path))?;
            let is_told = if self.devices.is_unset() {
                !is_ignored(disk.name)
            } else {
                self.devices.allows(disk.name)
            };
            if !is_told {
                continue;
            }
            let device = labels.get([("device", disk.name)]);
            for ((family, (_, _, factor, _)), value) in
                counts.iter_mut().zip(COLUMNS).zip(disk.values())
            {
                family.push(device.clone(), *value as f64 * factor);
            }
            if !self.rotational.contains_key(disk.name) {
                let name = disk.name.replace('/', "!");
                let file = HeldFile::of_short_lines(self.block.join(name).join("queue/rotational"));
                self.rotational.insert(disk.name.to_owned(), file);
            }
            let rotational = self.rotational.get_mut(disk.name).and_then(HeldFile::number);
            let rotates = rotational.unwrap_or(0);
            let known = self.udev.block_device(disk.major, disk.minor).unwrap_or(&nothing);
            info.push(info_labels(&disk, known, rotates, labels), 1.0);
            if known.get("ID_FS_TYPE").is_some_and(|kind| !kind.is_empty()) {
                filesystem.push(filesystem_labels(disk.name, known, labels), 1.0);
            }
            if known.get("DM_NAME").is_some_and(|name| !name.is_empty()) {
                mapper.push(mapper_labels(disk.name, known, labels), 1.0);
            }
            if known.get("ID_ATA").is_some_and(|ata| !ata.is_empty()) {
                for (family, (property, ..)) in ata.iter_mut().zip(ATA) {
                    let told = known.get(property).and_then(|value| value.parse().ok());
                    if let Some(value) = told {
                        family.push(device.clone(), value);
                    }
                }
            }
        }
        out.extend(counts);
        out.extend(ata);
        out.extend([info, filesystem, mapper]);
        Ok(())
    }
}

/// The first of the properties that says anything.
fn told<'a>(known: &'a Properties, properties: &[&str]) -> &'a str {
    let mut values = properties.iter().filter_map(|property| known.get(*property));
    values.find(|value| !value.is_empty()).map_or("", String::as_str)
}

fn info_labels(
    disk: &Disk<'_>,
    known: &Properties,
    rotates: u64,
    labels: &mut KnownLabels,
) -> Labels {
    let mut major = itoa::Buffer::new();
    let mut minor = itoa::Buffer::new();
    let mut turns = itoa::Buffer::new();
    labels.get([
        ("device", disk.name),
        ("major", major.format(disk.major)),
        ("minor", minor.format(disk.minor)),
        ("model", told(known, &["ID_MODEL"])),
        ("path", told(known, &["ID_PATH"])),
        ("revision", told(known, &["ID_REVISION"])),
        ("rotational", turns.format(rotates)),
        // What is printed on the disk; virtual disks have only the last.
        ("serial", told(known, &["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"])),
        ("wwn", told(known, &["ID_WWN"])),
    ])
}

fn filesystem_labels(name: &str, known: &Properties, labels: &mut KnownLabels) -> Labels {
    labels.get([
        ("device", name),
        ("type", told(known, &["ID_FS_TYPE"])),
        ("usage", told(known, &["ID_FS_USAGE"])),
        ("uuid", told(known, &["ID_FS_UUID"])),
        ("version", told(known, &["ID_FS_VERSION"])),
    ])
}

fn mapper_labels(name: &str, known: &Properties, labels: &mut KnownLabels) -> Labels {
    labels.get([
        ("device", name),
        ("lv_layer", told(known, &["DM_LV_LAYER"])),
        ("lv_name", told(known, &["DM_LV_NAME"])),
        ("name", told(known, &["DM_NAME"])),
        ("uuid", told(known, &["DM_UUID"])),
        ("vg_name", told(known, &["DM_VG_NAME"])),
    ])
}

/// Memory disks, loop devices, floppies, and the partitions of disks that are themselves counted:
/// `^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$`.
fn is_ignored(name: &str) -> bool {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem.len() == name.len() {
        return false;
    }
    let partitioned = ["hd", "sd", "vd", "xvd"].iter().any(|kind| {
        let letter = stem.strip_prefix(kind);
        letter.is_some_and(|letter| matches!(letter.as_bytes(), [b'a'..=b'z']))
    });
    matches!(stem, "ram" | "zram" | "loop" | "fd") || partitioned || is_nvme_partition(stem)
}

/// `nvme0n1p`, without the partition's number.
fn is_nvme_partition(stem: &str) -> bool {
    let numbers = stem.strip_prefix("nvme").and_then(|rest| rest.strip_suffix('p'));
    let numbers = numbers.and_then(|numbers| numbers.split_once('n'));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    numbers.is_some_and(|(controller, space)| is_number(controller) && is_number(space))
}

/// One line: which disk, and as many columns as this kernel has.
#[derive(Debug, PartialEq)]
struct Disk<'a> {
    major: u32,
    minor: u32,
    name: &'a str,
    columns: [u64; COLUMNS.len()],
    /// How many of them this kernel has.
    count: usize,
}

impl Disk<'_> {
    fn values(&self) -> &[u64] {
        &self.columns[..self.count]
    }
}

fn parse(line: &str) -> Result<Disk<'_>, Malformed> {
    let malformed = || Malformed::new(line, "`major minor name` and at least eleven counts");
    let mut words = line.split_ascii_whitespace();
    let mut number = || words.next().and_then(|word| word.parse().ok()).ok_or_else(malformed);
    let (major, minor) = (number()?, number()?);
    let name = words.next().ok_or_else(malformed)?;
    let (mut columns, mut count) = ([0; COLUMNS.len()], 0);
    for (column, word) in columns.iter_mut().zip(words) {
        *column = word.parse().map_err(|_| malformed())?;
        count += 1;
    }
    if count < 11 { Err(malformed()) } else { Ok(Disk { major, minor, name, columns, count }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_and_memory_disks_are_left_out_and_whole_disks_are_not() {
        let left = ["sda1", "vdb12", "xvda1", "nvme0n1p2", "loop0", "ram15", "zram0", "fd0"];
        let kept = ["sda", "vda", "nvme0n1", "dm-0", "md127", "mmcblk0p1", "sr0", "sdaa1", "xvda"];
        assert!(left.iter().all(|name| is_ignored(name)), "{left:?}");
        assert!(!kept.iter().any(|name| is_ignored(name)), "{kept:?}");
    }

    #[test]
    fn an_old_kernel_with_fewer_columns_is_understood() {
        let disk = parse("   8       0 sda 1 2 3 4 5 6 7 8 9 10 11").unwrap();
        assert_eq!((disk.major, disk.name, disk.values().len()), (8, "sda", 11));
        assert_eq!(
            parse("8 0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15").unwrap().values().len(),
            15
        );
    }

    #[test]
    fn a_line_with_too_few_counts_is_told() {
        assert!(parse("8 0 sda 1 2 3").is_err());
    }
}
