//! `pcidevice`: the PCI devices, how fast their links are, and whether they sleep.

use std::fs;
use std::path::{Path, PathBuf};

use super::collector::{CollectError, Collector};
use super::families::{Families, ValueFile, labels};
use crate::event::metric::{Family, Labels, Text};
use crate::host::roots::Roots;
use crate::host::sysfs;

const FILES: [ValueFile; 7] = [
    ValueFile::gauge("current_link_width", "node_pcidevice_current_link_width", "Lanes in use."),
    ValueFile::gauge(
        "d3cold_allowed",
        "node_pcidevice_d3cold_allowed",
        "Whether the device may be switched off: 1 yes, 0 no.",
    ),
    ValueFile::gauge("max_link_width", "node_pcidevice_max_link_width", "Lanes that there can be."),
    ValueFile::gauge(
        "sriov_drivers_autoprobe",
        "node_pcidevice_sriov_drivers_autoprobe",
        "Whether virtual functions get drivers by themselves: 1 yes, 0 no.",
    ),
    ValueFile::gauge("sriov_numvfs", "node_pcidevice_sriov_numvfs", "Virtual functions."),
    ValueFile::gauge(
        "sriov_totalvfs",
        "node_pcidevice_sriov_totalvfs",
        "Virtual functions that there can be.",
    ),
    ValueFile::gauge(
        "sriov_vf_total_msix",
        "node_pcidevice_sriov_vf_total_msix",
        "Interrupts for all virtual functions.",
    ),
];

const SPEEDS: [(&str, &str, &str); 2] = [
    (
        "current_link_speed",
        "node_pcidevice_current_link_transfers_per_second",
        "Transfers a second of the link, as it is.",
    ),
    (
        "max_link_speed",
        "node_pcidevice_max_link_transfers_per_second",
        "Transfers a second of the link, at most.",
    ),
];

/// How awake a device can be, as the label `state` has it.
const STATES: [&str; 7] = ["D0", "D1", "D2", "D3cold", "D3hot", "error", "unknown"];

/// Reads `/sys/bus/pci/devices`.
pub struct Pcidevice {
    folder: PathBuf,
}

impl Pcidevice {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { folder: roots.sysfs.join("bus/pci/devices") }
    }
}

impl Collector for Pcidevice {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut families = Families::default();
        for name in sysfs::names(&self.folder) {
            if let Some(place) = place(&name) {
                add(&self.folder.join(&name), place, &mut families);
            }
        }
        if families.is_empty() {
            return Err(CollectError::NoData);
        }
        out.extend(Vec::from(families));
        Ok(())
    }
}

/// Segment, bus, device, function of `0000:45:00.0`.
type Place<'a> = [&'a str; 4];

fn place(name: &str) -> Option<Place<'_>> {
    let mut parts = name.split(':');
    let (segment, bus, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let (device, function) = rest.split_once('.')?;
    parts.next().is_none().then_some([segment, bus, device, function])
}

fn add(folder: &Path, place: Place<'_>, families: &mut Families) {
    let [segment, bus, device, function] = place;
    let told = |extra: Option<(&'static str, &str)>| -> Labels {
        let own = [("bus", bus), ("device", device), ("function", function), ("segment", segment)];
        let all = own.into_iter().chain(extra);
        all.map(|(name, value)| (Text::from(name), Text::shared(value))).collect()
    };
    let text = |file| sysfs::text(folder.join(file)).unwrap_or_default();
    families.add_files(folder, &FILES, &told(None));
    // Below nought where the device belongs to no node.
    if let Some(node) = sysfs::number::<i32>(folder.join("numa_node")).filter(|node| *node >= 0) {
        let help = "The NUMA node that the device belongs to.";
        families.gauge("node_pcidevice_numa_node", help, told(None), f64::from(node));
    }
    for (file, name, help) in SPEEDS {
        if let Some(speed) = transfers_per_second(&text(file)) {
            families.gauge(name, help, told(None), speed);
        }
    }
    let state = text("power_state");
    for known in STATES.iter().filter(|_| !state.is_empty()) {
        let is = if state == **known { 1.0 } else { 0.0 };
        let help = "Whether the device is in this state: 1 yes, 0 no.";
        families.gauge("node_pcidevice_power_state", help, told(Some(("state", known))), is);
    }
    let real = fs::canonicalize(folder).ok();
    let above = real.as_deref().and_then(Path::parent).and_then(Path::file_name);
    let above = above.and_then(|name| place_of(&name.to_string_lossy()));
    let [parent_segment, parent_bus, parent_device, parent_function] =
        above.unwrap_or_else(|| ["*"; 4].map(str::to_owned));
    let info = labels([
        ("bus", bus),
        ("class_id", &text("class")),
        ("device", device),
        ("device_id", &text("device")),
        ("function", function),
        ("parent_bus", &parent_bus),
        ("parent_device", &parent_device),
        ("parent_function", &parent_function),
        ("parent_segment", &parent_segment),
        ("revision", &text("revision")),
        ("segment", segment),
        ("subsystem_device_id", &text("subsystem_device")),
        ("subsystem_vendor_id", &text("subsystem_vendor")),
        ("vendor_id", &text("vendor")),
    ]);
    families.gauge("node_pcidevice_info", "What device this is; always 1.", info, 1.0);
}

/// As [`place`], to keep.
fn place_of(name: &str) -> Option<[String; 4]> {
    place(name).map(|place| place.map(str::to_owned))
}

/// `8.0 GT/s PCIe`
fn transfers_per_second(speed: &str) -> Option<f64> {
    let giga: f64 = speed.split_once(" GT/s")?.0.trim().parse().ok()?;
    Some(giga * 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_devices_name_is_its_place() {
        assert_eq!(place("0000:45:00.0"), Some(["0000", "45", "00", "0"]));
        assert_eq!(place("pci0000:40"), None);
        assert_eq!(place("0000:00:02.1:pcie001"), None);
    }

    #[test]
    fn a_speed_is_told_in_transfers() {
        assert_eq!(transfers_per_second("2.5 GT/s PCIe"), Some(2.5e9));
        assert_eq!(transfers_per_second("Unknown"), None);
    }
}
