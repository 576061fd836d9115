//! `zfs`: what ZFS does: its cache, its log, and each pool.

use std::path::{Path, PathBuf};

use super::collector::{CollectError, Collector, Malformed, reading};
use super::families::{Families, labels};
use crate::event::metric::{Family, MetricKind};
use crate::host::roots::Roots;
use crate::host::sysfs;

/// Files, and what their families' names begin with.
const FILES: [(&str, &str); 11] = [
    ("abdstats", "abd"),
    ("arcstats", "arc"),
    ("dbufstats", "dbuf"),
    ("dmu_tx", "dmu_tx"),
    ("dnodestats", "dnode"),
    ("fm", "fm"),
    ("vdev_cache_stats", "vdev_cache"),
    ("vdev_mirror_stats", "vdev_mirror"),
    ("xuio_stats", "xuio"),
    ("zfetchstats", "zfetch"),
    ("zil", "zil"),
];

/// What a pool can be, in small letters.
const STATES: [&str; 7] =
    ["degraded", "faulted", "offline", "online", "removed", "suspended", "unavail"];

/// ZFS's marks for plain numbers, with a sign and without.
const NUMBERS: [&str; 2] = ["3", "4"];

/// Reads `/proc/spl/kstat/zfs`.
pub struct Zfs {
    folder: PathBuf,
}

impl Zfs {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { folder: roots.procfs.join("spl/kstat/zfs") }
    }
}

impl Collector for Zfs {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let names = sysfs::names(&self.folder);
        if names.is_empty() {
            return Err(CollectError::NoData);
        }
        let mut families = Families::default();
        for (file, start) in FILES {
            let path = self.folder.join(file);
            // Which files there are depends on ZFS's version.
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            for (name, value) in parse_table(&text).map_err(|line| line.of(&path))? {
                let help = format!("The entry {name} of ZFS's {file}.");
                let name = format!("node_zfs_{start}_{}", name.replace('-', "_"));
                families.add((name, MetricKind::Untyped), help, Vec::new(), value);
            }
        }
        for pool in names {
            let folder = self.folder.join(&pool);
            if folder.is_dir() {
                add_pool(&folder, &pool, &mut families)?;
            }
        }
        out.extend(Vec::from(families));
        Ok(())
    }
}

fn add_pool(folder: &Path, pool: &str, families: &mut Families) -> Result<(), CollectError> {
    if let Some(state) = sysfs::text(folder.join("state")) {
        let state = state.to_lowercase();
        for known in STATES {
            families.gauge(
                "node_zfs_zpool_state",
                "Whether a pool is in this state: 1 yes, 0 no.",
                labels([("state", known), ("zpool", pool)]),
                if state == known { 1.0 } else { 0.0 },
            );
        }
    }
    let path = folder.join("io");
    if let Ok(text) = std::fs::read_to_string(&path) {
        for (name, value) in parse_columns(&text).map_err(|line| line.of(&path))? {
            let help = format!("The column {name} of a pool's io.");
            let name = (format!("node_zfs_zpool_{name}"), MetricKind::Untyped);
            families.add(name, help, labels([("zpool", pool)]), value);
        }
    }
    for file in sysfs::names(folder).iter().filter(|name| name.starts_with("objset-")) {
        let path = folder.join(file);
        let text = match std::fs::read_to_string(&path) {
            // The data set has just been destroyed.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            text => text.map_err(reading(&path))?,
        };
        let data_set = dataset_name(&text).unwrap_or_default();
        for (name, value) in parse_table(&text).map_err(|line| line.of(&path))? {
            let help = format!("The entry {name} of a data set.");
            let name = (format!("node_zfs_zpool_dataset_{name}"), MetricKind::Untyped);
            let told = labels([("dataset", data_set), ("zpool", pool)]);
            families.add(name, help, told, value);
        }
    }
    Ok(())
}

/// The lines `name type data` after two of headings, of which only plain numbers are taken.
fn parse_table(text: &str) -> Result<Vec<(&str, f64)>, Malformed> {
    let mut found = Vec::new();
    for line in text.lines().skip(2) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [name, kind, data] = words[..] else { continue };
        if !NUMBERS.contains(&kind) {
            continue;
        }
        let signed = data.parse::<i64>().map(|number| number as f64);
        let value = signed.or_else(|_| data.parse::<u64>().map(|number| number as f64));
        let value = value.map_err(|_| Malformed::new(line, "a name, its type and a number"))?;
        found.push((name, value));
    }
    Ok(found)
}

/// The text behind `dataset_name` and its type. It may have spaces in it.
fn dataset_name(text: &str) -> Option<&str> {
    let line = text.lines().find_map(|line| line.strip_prefix("dataset_name"))?;
    Some(line.trim_start().split_once(char::is_whitespace)?.1.trim())
}

/// A line of names and one of numbers, after one of headings.
fn parse_columns(text: &str) -> Result<Vec<(&str, f64)>, Malformed> {
    let mut lines = text.lines().skip(1);
    let (names, numbers) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let mut words = numbers.split_ascii_whitespace();
    let column = |name| {
        let value = words.next().and_then(|word| word.parse::<u64>().ok());
        let value = value.ok_or_else(|| Malformed::new(numbers, "a number for each column"))?;
        Ok((name, value as f64))
    };
    names.split_ascii_whitespace().map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_numbers_are_taken_from_a_table() {
        let text = "7 1 0x01 3 0 1 2\nname type data\nhits 4 7\nstate 7 ok\nroom 3 -9\n";
        assert_eq!(parse_table(text), Ok(vec![("hits", 7.0), ("room", -9.0)]));
        assert!(parse_table("\n\nhits 4 many\n").is_err());
    }

    #[test]
    fn a_data_set_may_have_spaces_in_its_name() {
        assert_eq!(dataset_name("x\ndataset_name   7    pool/a  b\n"), Some("pool/a  b"));
        assert_eq!(dataset_name("x\n"), None);
    }

    #[test]
    fn columns_have_their_names_above_them() {
        let text = "12 3\nnread nwritten\n1884160 3206144\n";
        let expected = vec![("nread", 1_884_160.0), ("nwritten", 3_206_144.0)];
        assert_eq!(parse_columns(text), Ok(expected));
        assert!(parse_columns("12 3\nnread nwritten\n1\n").is_err());
    }
}
