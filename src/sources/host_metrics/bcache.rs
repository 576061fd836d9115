//! `bcache`: how well a fast disk serves as the cache of a slow one.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector};
use super::families::{Families, labels};
use crate::event::metric::{Family, Labels, MetricKind};
use crate::host::roots::Roots;
use crate::host::sysfs;

use MetricKind::{Counter, Gauge};

/// File, end of the family's name, kind, what it says. Numbers have units such as `1.5k`.
type File = (&'static str, &'static str, MetricKind, &'static str);

/// Of a set of caches.
const SET: [File; 9] = [
    ("average_key_size", "average_key_size_sectors", Gauge, "Sectors of data for each key."),
    ("btree_cache_size", "btree_cache_size_bytes", Gauge, "Memory that the tree takes."),
    ("cache_available_percent", "cache_available_percent", Gauge, "Share without changed data."),
    ("congested", "congested", Gauge, "How congested the cache is."),
    ("root_usage_percent", "root_usage_percent", Gauge, "How full the tree's root is."),
    ("tree_depth", "tree_depth", Gauge, "Levels of the tree."),
    (
        "internal/active_journal_entries",
        "active_journal_entries",
        Gauge,
        "Entries of the journal that are newer than the tree.",
    ),
    ("internal/btree_nodes", "btree_nodes", Gauge, "Nodes of the tree."),
    (
        "internal/cache_read_races",
        "cache_read_races_total",
        Counter,
        "Reads that had to be done again since their place was used anew.",
    ),
];

/// Of a disk that is cached.
const BACKING: [File; 8] = [
    ("dirty_data", "dirty_data_bytes", Gauge, "Bytes in the cache that the disk lacks."),
    ("stats_total/bypassed", "bypassed_bytes_total", Counter, "Bytes that went past the cache."),
    (
        "stats_total/cache_bypass_hits",
        "cache_bypass_hits_total",
        Counter,
        "Requests past the cache that it could have served.",
    ),
    (
        "stats_total/cache_bypass_misses",
        "cache_bypass_misses_total",
        Counter,
        "Requests past the cache that it could not have served.",
    ),
    ("stats_total/cache_hits", "cache_hits_total", Counter, "Requests that the cache served."),
    (
        "stats_total/cache_miss_collisions",
        "cache_miss_collisions_total",
        Counter,
        "Times that data had been written before it came into the cache.",
    ),
    (
        "stats_total/cache_misses",
        "cache_misses_total",
        Counter,
        "Requests that it could not serve.",
    ),
    ("stats_total/cache_readaheads", "cache_readaheads_total", Counter, "Reads ahead."),
];

/// Of a disk that is cached: how fast changed data is written back, in one file.
const WRITE_BACK: [(&str, &str, &str); 5] = [
    ("rate:", "writeback_rate", "Bytes a second that are written back."),
    ("target:", "dirty_target_bytes", "Bytes of changed data that may stay in the cache."),
    ("proportional:", "writeback_rate_proportional_term", "Proportional part of that rate."),
    ("integral:", "writeback_rate_integral_term", "Integral part of that rate."),
    ("change:", "writeback_change", "How that rate changed last."),
];

/// Of a disk that is the cache.
const CACHE: [File; 3] = [
    ("io_errors", "io_errors", Gauge, "Errors of late."),
    (
        "metadata_written",
        "metadata_written_bytes_total",
        Counter,
        "Bytes written that are no data.",
    ),
    ("written", "written_bytes_total", Counter, "Bytes of data written."),
];

/// What to tell of beside.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Tell how the cache is used too, which makes the kernel sort all of it.
    pub priority_stats: bool,
}

/// Reads `/sys/fs/bcache`.
pub struct Bcache {
    folder: PathBuf,
    options: Options,
}

impl Bcache {
    /// The collector for a host.
    pub fn new(roots: &Roots, options: &Options) -> Self {
        Self { folder: roots.sysfs.join("fs/bcache"), options: options.clone() }
    }

    fn add_cache(&self, folder: &Path, told: &Labels, families: &mut Families) {
        add_files(folder, &CACHE, told, families);
        if !self.options.priority_stats {
            return;
        }
        let text = sysfs::text(folder.join("priority_stats")).unwrap_or_default();
        let names = [
            ("Unused:", "priority_stats_unused_percent", "Share of the cache that holds nothing."),
            ("Metadata:", "priority_stats_metadata_percent", "Share that is no data."),
        ];
        for (word, end, help) in names {
            let line = text.lines().find_map(|line| line.strip_prefix(word));
            let share = line.and_then(|line| line.trim().trim_end_matches('%').parse().ok());
            if let Some(share) = share {
                families.gauge(format!("node_bcache_{end}"), help, told.clone(), share);
            }
        }
    }
}

impl Collector for Bcache {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut families = Families::default();
        for uuid in sysfs::names(&self.folder) {
            let folder = self.folder.join(&uuid);
            if !folder.join("internal").is_dir() {
                continue;
            }
            let told = labels([("uuid", &uuid)]);
            add_files(&folder, &SET, &told, &mut families);
            let duration = folder.join("internal/btree_read_average_duration_us");
            if let Some(nanoseconds) = sysfs::number::<f64>(duration) {
                // The kernel counts nanoseconds, whatever it calls them.
                let name = "node_bcache_btree_read_average_duration_seconds";
                families.gauge(
                    name,
                    "Seconds that a read of the tree takes.",
                    told,
                    nanoseconds / 1e9,
                );
            }
            for device in sysfs::numbered(&folder, "bdev") {
                let told = labels([("backing_device", &device), ("uuid", &uuid)]);
                let folder = folder.join(&device);
                add_files(&folder, &BACKING, &told, &mut families);
                add_write_back(&folder, &told, &mut families);
            }
            for device in sysfs::numbered(&folder, "cache") {
                let told = labels([("cache_device", &device), ("uuid", &uuid)]);
                self.add_cache(&folder.join(&device), &told, &mut families);
            }
        }
        out.extend(Vec::from(families));
        Ok(())
    }
}

fn add_files(folder: &Path, files: &[File], told: &Labels, families: &mut Families) {
    for (file, end, kind, help) in files {
        let value = sysfs::text(folder.join(file)).and_then(|text| number(&text));
        if let Some(value) = value {
            families.add((format!("node_bcache_{end}"), *kind), *help, told.clone(), value);
        }
    }
}

fn add_write_back(folder: &Path, told: &Labels, families: &mut Families) {
    let text = sysfs::text(folder.join("writeback_rate_debug")).unwrap_or_default();
    for (word, end, help) in WRITE_BACK {
        let line = text.lines().find_map(|line| line.strip_prefix(word));
        if let Some(value) = line.and_then(|line| number(line.trim().trim_end_matches("/sec"))) {
            families.gauge(format!("node_bcache_{end}"), help, told.clone(), value);
        }
    }
}

/// A number with the unit that it is counted in. The kernel writes thousandths behind the point,
/// not halves and quarters of 1024: `1.5k` is 1024 and 500.
fn number(text: &str) -> Option<f64> {
    const UNITS: &str = "kMGTPEZY";
    let Some(power) = text.chars().next_back().and_then(|letter| UNITS.find(letter)) else {
        return text.parse().ok();
    };
    let (whole, tenths) = match text.get(..text.len() - 1)?.split_once('.') {
        Some((whole, tenths)) => (whole, tenths.parse::<f64>().ok()?),
        None => (text.get(..text.len() - 1)?, 0.0),
    };
    let below = 1024_f64.powi(i32::try_from(power).ok()?);
    Some(whole.parse::<f64>().ok()? * below * 1024.0 + tenths * 100.0 * below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1024_and_fractions_are_thousandths() {
        assert_eq!(number("1.5k"), Some(1524.0));
        assert_eq!(number("20.4G"), Some(21_894_266_880.0));
        assert_eq!(number("0"), Some(0.0));
        assert_eq!(number("2M"), Some(2_097_152.0));
        assert_eq!(number("many"), None);
    }
}
