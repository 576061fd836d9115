//! `ksmd`: equal pages of memory that were merged into one.

use std::path::PathBuf;

use super::collector::{CollectError, Collector};
use super::families::{Families, ValueFile, labels};
use crate::event::metric::Family;
use crate::host::roots::Roots;

const FILES: [ValueFile; 10] = [
    ValueFile::counter("full_scans", "node_ksmd_full_scans_total", "Times that all was looked at."),
    ValueFile::gauge(
        "general_profit",
        "node_ksmd_general_profit_bytes",
        "Memory that merging saves, less what it takes, in bytes.",
    ),
    ValueFile::gauge(
        "merge_across_nodes",
        "node_ksmd_merge_across_nodes",
        "Whether pages of different NUMA nodes are merged: 1 yes, 0 no.",
    ),
    ValueFile::gauge("pages_shared", "node_ksmd_pages_shared", "Pages that others were merged to."),
    ValueFile::gauge("pages_sharing", "node_ksmd_pages_sharing", "Pages that were merged away."),
    ValueFile::gauge(
        "pages_to_scan",
        "node_ksmd_pages_to_scan",
        "Pages that are looked at between two pauses.",
    ),
    ValueFile::gauge(
        "pages_unshared",
        "node_ksmd_pages_unshared",
        "Pages that have no equal and are looked at again and again.",
    ),
    ValueFile::gauge(
        "pages_volatile",
        "node_ksmd_pages_volatile",
        "Pages that change too fast to be merged.",
    ),
    ValueFile::gauge("run", "node_ksmd_run", "Whether pages are being merged: 1 yes, 0 no."),
    ValueFile::gauge("sleep_millisecs", "node_ksmd_sleep_seconds", "Seconds of a pause.")
        .per_unit(1000.0),
];

/// Reads `/sys/kernel/mm/ksm`.
pub struct Ksmd {
    folder: PathBuf,
}

impl Ksmd {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { folder: roots.sysfs.join("kernel/mm/ksm") }
    }
}

impl Collector for Ksmd {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut families = Families::default();
        families.add_files(&self.folder, &FILES, &labels([]));
        if families.is_empty() {
            return Err(CollectError::NoData);
        }
        out.extend(Vec::from(families));
        Ok(())
    }
}
