//! `tapestats`: what the tape drives have read and written.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector};
use super::families::{Families, ValueFile, labels};
use super::filter::Filter;
use crate::event::metric::Family;
use crate::host::roots::Roots;
use crate::host::sysfs;

const NANOSECONDS: f64 = 1e9;

const FILES: [ValueFile; 10] = [
    ValueFile::gauge("in_flight", "node_tape_io_now", "Requests in progress."),
    ValueFile::counter(
        "io_ns",
        "node_tape_io_time_seconds_total",
        "Seconds spent on requests of all kinds, winding included.",
    )
    .per_unit(NANOSECONDS),
    ValueFile::counter(
        "other_cnt",
        "node_tape_io_others_total",
        "Requests that neither read nor write.",
    ),
    ValueFile::counter("read_byte_cnt", "node_tape_read_bytes_total", "Bytes read."),
    ValueFile::counter("read_cnt", "node_tape_reads_completed_total", "Reads done."),
    ValueFile::counter("read_ns", "node_tape_read_time_seconds_total", "Seconds that reads took.")
        .per_unit(NANOSECONDS),
    ValueFile::counter(
        "resid_cnt",
        "node_tape_residual_total",
        "Requests that moved fewer bytes than asked for.",
    ),
    ValueFile::counter("write_byte_cnt", "node_tape_written_bytes_total", "Bytes written."),
    ValueFile::counter("write_cnt", "node_tape_writes_completed_total", "Writes done."),
    ValueFile::counter(
        "write_ns",
        "node_tape_write_time_seconds_total",
        "Seconds that writes took.",
    )
    .per_unit(NANOSECONDS),
];

/// What to tell of.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Drives, by name.
    pub devices: Filter,
}

/// Reads `/sys/class/scsi_tape/stN/stats`. The other names there are ways to use the same drives.
pub struct Tapestats {
    folder: PathBuf,
    options: Options,
}

impl Tapestats {
    /// The collector for a host.
    pub fn new(roots: &Roots, options: &Options) -> Self {
        Self { folder: roots.sysfs.join("class/scsi_tape"), options: options.clone() }
    }
}

impl Collector for Tapestats {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut families = Families::default();
        for device in sysfs::numbered(&self.folder, "st") {
            if self.options.devices.allows(&device) {
                let folder = self.folder.join(&device).join("stats");
                families.add_files(&folder, &FILES, &labels([("device", &device)]));
            }
        }
        if families.is_empty() {
            return Err(CollectError::NoData);
        }
        out.extend(Vec::from(families));
        Ok(())
    }
}
