//! `watchdog`: the timers that restart this machine when nobody feeds them.

use std::path::PathBuf;

use super::collector::{CollectError, Collector};
use super::families::{Families, ValueFile, labels};
use crate::event::metric::Family;
use crate::host::roots::Roots;
use crate::host::sysfs;

const FILES: [ValueFile; 7] = [
    ValueFile::gauge(
        "access_cs0",
        "node_watchdog_access_cs0",
        "Whether the machine starts from the flash chip that it starts from normally.",
    ),
    ValueFile::gauge(
        "bootstatus",
        "node_watchdog_bootstatus",
        "What the timer had to do with the last start, in bits.",
    ),
    ValueFile::gauge("fw_version", "node_watchdog_fw_version", "Version of the timer's firmware."),
    ValueFile::gauge(
        "nowayout",
        "node_watchdog_nowayout",
        "Whether the timer goes on once it runs: 1 yes, 0 no.",
    ),
    ValueFile::gauge(
        "pretimeout",
        "node_watchdog_pretimeout_seconds",
        "Seconds before the end at which the timer warns.",
    ),
    ValueFile::gauge("timeleft", "node_watchdog_timeleft_seconds", "Seconds left until the end."),
    ValueFile::gauge("timeout", "node_watchdog_timeout_seconds", "Seconds that the timer runs."),
];

/// Reads `/sys/class/watchdog`.
pub struct Watchdog {
    folder: PathBuf,
}

impl Watchdog {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { folder: roots.sysfs.join("class/watchdog") }
    }
}

impl Collector for Watchdog {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut families = Families::default();
        for name in sysfs::names(&self.folder) {
            let folder = self.folder.join(&name);
            families.add_files(&folder, &FILES, &labels([("name", &name)]));
            let text = |file| sysfs::text(folder.join(file)).unwrap_or_default();
            let told = labels([
                ("identity", &text("identity")),
                ("name", &name),
                ("options", &text("options")),
                ("pretimeout_governor", &text("pretimeout_governor")),
                ("state", &text("state")),
                ("status", &text("status")),
            ]);
            families.gauge("node_watchdog_info", "What timer this is; always 1.", told, 1.0);
        }
        if families.is_empty() {
            return Err(CollectError::NoData);
        }
        out.extend(Vec::from(families));
        Ok(())
    }
}
