//! `dmi`: what the firmware says that this machine is: maker, model, serial numbers.

use std::path::PathBuf;

use super::collector::{CollectError, Collector};
use crate::event::metric::{Family, MetricKind, Text};
use crate::host::roots::Roots;
use crate::host::sysfs;

/// Labels, which are called as the files are. Serial numbers and the UUID can be read by root
/// alone.
const LABELS: [&str; 19] = [
    "bios_date",
    "bios_release",
    "bios_vendor",
    "bios_version",
    "board_asset_tag",
    "board_name",
    "board_serial",
    "board_vendor",
    "board_version",
    "chassis_asset_tag",
    "chassis_serial",
    "chassis_vendor",
    "chassis_version",
    "product_family",
    "product_name",
    "product_serial",
    "product_sku",
    "product_uuid",
    "product_version",
];

/// Reads `/sys/class/dmi/id`.
pub struct Dmi {
    folder: PathBuf,
    /// What was read first: it is fixed when the machine starts.
    family: Option<Family>,
}

impl Dmi {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { folder: roots.sysfs.join("class/dmi/id"), family: None }
    }

    fn read(&self) -> Option<Family> {
        if !self.folder.is_dir() {
            return None;
        }
        let mut family = Family::new(
            "node_dmi_info",
            MetricKind::Gauge,
            "What the firmware says that this machine is; always 1.",
        );
        let mut labels: Vec<_> = LABELS
            .iter()
            .filter_map(|label| {
                let value = sysfs::text(self.folder.join(label))?;
                Some((Text::from(*label), Text::from(value)))
            })
            .collect();
        if let Some(vendor) = sysfs::text(self.folder.join("sys_vendor")) {
            labels.push((Text::from("system_vendor"), Text::from(vendor)));
        }
        family.push(labels, 1.0);
        Some(family)
    }
}

impl Collector for Dmi {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        if self.family.is_none() {
            self.family = self.read();
        }
        out.push(self.family.clone().ok_or(CollectError::NoData)?);
        Ok(())
    }
}
