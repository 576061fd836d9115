//! `thermal_zone`: temperatures, and how hard the means of cooling work.

use std::path::PathBuf;

use super::collector::{CollectError, Collector};
use super::families::{Families, ValueFile, labels};
use crate::event::metric::Family;
use crate::host::roots::Roots;
use crate::host::sysfs;

const ZONE: [ValueFile; 1] =
    [ValueFile::gauge("temp", "node_thermal_zone_temp", "Temperature in degrees Celsius.")
        .per_unit(1000.0)];

const DEVICE: [ValueFile; 2] = [
    ValueFile::gauge(
        "cur_state",
        "node_cooling_device_cur_state",
        "How hard a means of cooling works now.",
    ),
    ValueFile::gauge(
        "max_state",
        "node_cooling_device_max_state",
        "How hard a means of cooling can work at most.",
    ),
];

/// Reads `/sys/class/thermal`.
pub struct ThermalZone {
    folder: PathBuf,
}

impl ThermalZone {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { folder: roots.sysfs.join("class/thermal") }
    }
}

impl Collector for ThermalZone {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut families = Families::default();
        for name in sysfs::names(&self.folder) {
            let folder = self.folder.join(&name);
            let Some(kind) = sysfs::text(folder.join("type")) else { continue };
            if let Some(zone) = name.strip_prefix("thermal_zone") {
                families.add_files(&folder, &ZONE, &labels([("type", &kind), ("zone", zone)]));
            } else if let Some(device) = name.strip_prefix("cooling_device") {
                let told = labels([("name", device), ("type", &kind)]);
                families.add_files(&folder, &DEVICE, &told);
            }
        }
        out.extend(Vec::from(families));
        Ok(())
    }
}
