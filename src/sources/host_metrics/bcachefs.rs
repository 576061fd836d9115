//! `bcachefs`: what bcachefs file systems have done, and how their devices are.

use std::path::{Path, PathBuf};

use super::collector::{CollectError, Collector};
use super::families::{Families, labels};
use crate::event::metric::Family;
use crate::host::roots::Roots;
use crate::host::sysfs;

/// Reads `/sys/fs/bcachefs`.
pub struct Bcachefs {
    folder: PathBuf,
}

impl Bcachefs {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { folder: roots.sysfs.join("fs/bcachefs") }
    }
}

impl Collector for Bcachefs {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut families = Families::default();
        for uuid in sysfs::names(&self.folder) {
            let folder = self.folder.join(&uuid);
            if folder.is_dir() {
                add_file_system(&folder, &uuid, &mut families);
            }
        }
        if families.is_empty() {
            return Err(CollectError::NoData);
        }
        out.extend(Vec::from(families));
        Ok(())
    }
}

fn add_file_system(folder: &Path, uuid: &str, families: &mut Families) {
    let told = || labels([("uuid", uuid)]);
    families.gauge("node_bcachefs_info", "A file system of this kind; always 1.", told(), 1.0);
    let text = |file: &str| sysfs::text(folder.join(file)).unwrap_or_default();
    if let Some(bytes) = number(&text("btree_cache_size")) {
        let help = "Memory that the trees take, in bytes.";
        families.gauge("node_bcachefs_btree_cache_size_bytes", help, told(), bytes);
    }
    for line in text("compression_stats").lines().skip(1) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [algorithm, packed, plain, ..] = words[..] else { continue };
        let values = [
            ("node_bcachefs_compression_compressed_bytes", "Bytes after packing.", packed),
            ("node_bcachefs_compression_uncompressed_bytes", "Bytes before packing.", plain),
        ];
        for (name, help, value) in values {
            if let Some(bytes) = number(value) {
                let told = labels([("algorithm", algorithm), ("uuid", uuid)]);
                families.gauge(name, help, told, bytes);
            }
        }
    }
    for line in text("errors").lines() {
        let mut words = line.split_ascii_whitespace();
        if let (Some(kind), Some(count)) = (words.next(), words.next().and_then(number)) {
            let told = labels([("error_type", kind), ("uuid", uuid)]);
            families.counter("node_bcachefs_errors_total", "Errors found.", told, count);
        }
    }
    for line in text("btree_write_stats").lines().skip(1) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [kind, count, size] = words[..] else { continue };
        let told = || labels([("type", kind.trim_end_matches(':')), ("uuid", uuid)]);
        if let (Some(count), Some(size)) = (number(count), number(size)) {
            let help = "Nodes of trees written.";
            families.counter("node_bcachefs_btree_writes_total", help, told(), count);
            let help = "Bytes of a node that is written, on average.";
            families.gauge("node_bcachefs_btree_write_average_size_bytes", help, told(), size);
        }
    }
    for counter in sysfs::names(folder.join("counters")) {
        // The other line counts since it was mounted.
        let text = text(&format!("counters/{counter}"));
        let line = text.lines().find_map(|line| line.strip_prefix("since filesystem creation:"));
        if let Some(value) = line.and_then(|line| number(line.trim())) {
            let help = format!("What bcachefs counts as {counter}.");
            families.counter(format!("node_bcachefs_{counter}_total"), help, told(), value);
        }
    }
    for device in sysfs::numbered(folder, "dev-") {
        let number = device.trim_start_matches("dev-");
        add_device(&folder.join(&device), number, uuid, families);
    }
}

fn add_device(folder: &Path, device: &str, uuid: &str, families: &mut Families) {
    let text = |file| sysfs::text(folder.join(file)).unwrap_or_default();
    let told = || labels([("device", device), ("uuid", uuid)]);
    let info = labels([
        ("device", device),
        ("label", &text("label")),
        ("state", &text("state")),
        ("uuid", uuid),
    ]);
    let help = "A device of a file system; always 1.";
    families.gauge("node_bcachefs_device_info", help, info, 1.0);
    let values = [
        ("bucket_size", "node_bcachefs_device_bucket_size_bytes", "Size of a bucket, in bytes."),
        ("nbuckets", "node_bcachefs_device_buckets", "Buckets of a device."),
        ("durability", "node_bcachefs_device_durability", "Copies that one here counts for."),
    ];
    for (file, name, help) in values {
        if let Some(value) = number(&text(file)) {
            families.gauge(name, help, told(), value);
        }
    }
    let done = text("io_done");
    let mut operation = "";
    for line in done.lines() {
        let Some((kind, bytes)) = line.split_once(':') else { continue };
        let (kind, bytes) = (kind.trim(), bytes.trim());
        if bytes.is_empty() {
            operation = kind;
        } else if let Some(bytes) = number(bytes) {
            let told = labels([
                ("data_type", kind),
                ("device", device),
                ("operation", operation),
                ("uuid", uuid),
            ]);
            let help = "Bytes read and written.";
            families.counter("node_bcachefs_device_io_done_bytes_total", help, told, bytes);
        }
    }
    // After these come those since somebody set them to zero.
    let errors = text("io_errors");
    for line in errors.lines().skip(1).take_while(|line| line.starts_with(' ')) {
        let Some((kind, count)) = line.split_once(':') else { continue };
        if let Some(count) = number(count.trim()) {
            let told = labels([("device", device), ("type", kind.trim()), ("uuid", uuid)]);
            let help = "Errors of a device.";
            families.counter("node_bcachefs_device_io_errors_total", help, told, count);
        }
    }
}

/// A number with the power of 1024 that it is counted in: `1.26k` is 1290.
fn number(text: &str) -> Option<f64> {
    const UNITS: &str = "kMGTPE";
    let power = text.chars().next_back().and_then(|letter| UNITS.find(letter));
    let Some(power) = power else { return text.parse().ok() };
    let number: f64 = text.get(..text.len() - 1)?.parse().ok()?;
    Some((number * 1024_f64.powi(i32::try_from(power).ok()? + 1)).trunc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1024() {
        assert_eq!(number("1.26k"), Some(1290.0));
        assert_eq!(number("2.05G"), Some(2_201_170_739.0));
        assert_eq!(number("17"), Some(17.0));
        assert_eq!(number("many"), None);
    }
}
