//! `dmmultipath`: disks that several paths lead to, and which of the paths work.

use std::path::PathBuf;

use super::collector::{CollectError, Collector};
use super::families::{Families, labels};
use crate::event::metric::Family;
use crate::host::roots::Roots;
use crate::host::sysfs;

const SECTOR_BYTES: f64 = 512.0;

/// Reads `/sys/block/dm-N`.
pub struct Dmmultipath {
    block: PathBuf,
}

impl Dmmultipath {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { block: roots.sysfs.join("block") }
    }

    fn add(&self, name: &str, uuid: &str, families: &mut Families) {
        let folder = self.block.join(name);
        let device = sysfs::text(folder.join("dm/name")).unwrap_or_default();
        let told = labels([("device", &device), ("sysfs_name", name), ("uuid", uuid)]);
        let help = "A disk that several paths lead to; always 1.";
        families.gauge("node_dmmultipath_device_info", help, told, 1.0);
        let paths = sysfs::names(folder.join("slaves"));
        let mut working = 0_u32;
        for path in &paths {
            let state = self.state(path);
            working += u32::from(is_working(&state));
            let told = labels([("device", &device), ("path", path), ("state", &state)]);
            let help = "The state of a path to a disk; always 1.";
            families.gauge("node_dmmultipath_path_state", help, told, 1.0);
        }
        let is_suspended = sysfs::number::<u8>(folder.join("dm/suspended")) == Some(1);
        let size = sysfs::number::<f64>(folder.join("size")).unwrap_or(0.0) * SECTOR_BYTES;
        let values = [
            (
                "active",
                "Whether a disk is in use, not suspended.",
                f64::from(u8::from(!is_suspended)),
            ),
            ("paths", "Paths that lead to a disk.", paths.len() as f64),
            ("paths_active", "Paths to a disk that work.", f64::from(working)),
            (
                "paths_failed",
                "Paths to a disk that do not work.",
                paths.len() as f64 - f64::from(working),
            ),
            ("size_bytes", "Size of a disk, in bytes.", size),
        ];
        for (end, help, value) in values {
            let told = labels([("device", &device), ("sysfs_name", name)]);
            families.gauge(format!("node_dmmultipath_device_{end}"), help, told, value);
        }
    }

    /// What the kernel says of a disk.
    fn state(&self, path: &str) -> String {
        let state = sysfs::text(self.block.join(path).join("device/state"));
        state.unwrap_or_else(|| "unknown".to_owned())
    }
}

fn is_working(state: &str) -> bool {
    matches!(state, "running" | "live")
}

impl Collector for Dmmultipath {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut families = Families::default();
        for name in sysfs::numbered(&self.block, "dm-") {
            let uuid = sysfs::text(self.block.join(&name).join("dm/uuid")).unwrap_or_default();
            if uuid.starts_with("mpath-") {
                self.add(&name, &uuid, &mut families);
            }
        }
        if families.is_empty() {
            return Err(CollectError::NoData);
        }
        out.extend(Vec::from(families));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_works_while_its_disk_runs() {
        assert!(is_working("running") && is_working("live"));
        assert!(!is_working("offline") && !is_working("unknown"));
    }
}
