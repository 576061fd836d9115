//! `nvme`: the NVMe controllers, and the name spaces behind them.

use std::path::{Path, PathBuf};

use super::collector::{CollectError, Collector};
use super::families::{Families, labels};
use crate::event::metric::Family;
use crate::host::roots::Roots;
use crate::host::sysfs;

/// Reads `/sys/class/nvme`.
pub struct Nvme {
    folder: PathBuf,
}

impl Nvme {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { folder: roots.sysfs.join("class/nvme") }
    }
}

impl Collector for Nvme {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut families = Families::default();
        for device in sysfs::names(&self.folder) {
            let folder = self.folder.join(&device);
            let text = |file| sysfs::text(folder.join(file)).unwrap_or_default();
            let told = labels([
                ("cntlid", &text("cntlid")),
                ("device", &device),
                ("firmware_revision", &text("firmware_rev")),
                ("model", &text("model")),
                ("serial", &text("serial")),
                ("state", &text("state")),
            ]);
            families.gauge("node_nvme_info", "What controller this is; always 1.", told, 1.0);
            for name in sysfs::names(&folder) {
                if let Some(nsid) = name_space(&device, &name) {
                    add_name_space(&folder.join(&name), &device, nsid, &mut families);
                }
            }
        }
        if families.is_empty() {
            return Err(CollectError::NoData);
        }
        out.extend(Vec::from(families));
        Ok(())
    }
}

/// The number of the name space in `nvme0n1`, or in `nvme0c3n1` where several controllers lead to
/// it.
fn name_space<'a>(device: &str, name: &'a str) -> Option<&'a str> {
    let rest = name.strip_prefix(device)?;
    let rest = match rest.strip_prefix('c') {
        Some(rest) => rest.trim_start_matches(|letter: char| letter.is_ascii_digit()),
        None => rest,
    };
    let number = rest.strip_prefix('n')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(number)
}

fn add_name_space(folder: &Path, device: &str, nsid: &str, families: &mut Families) {
    let state = sysfs::text(folder.join("ana_state")).unwrap_or_else(|| "unknown".to_owned());
    families.gauge(
        "node_nvme_namespace_info",
        "A name space of a controller, and how it is reached; always 1.",
        labels([("ana_state", &state), ("device", device), ("nsid", nsid)]),
        1.0,
    );
    let number = |file: &str| sysfs::number::<f64>(folder.join(file));
    let told = || labels([("device", device), ("nsid", nsid)]);
    let block = number("queue/logical_block_size");
    if let (Some(size), Some(block)) = (number("size"), block) {
        // The kernel counts units of 512 bytes here. node_exporter takes them for blocks, and its
        // dashboards expect the same.
        let bytes = size * block;
        families.gauge(
            "node_nvme_namespace_capacity_bytes",
            "How much a name space can hold, in bytes.",
            told(),
            bytes,
        );
        families.gauge(
            "node_nvme_namespace_size_bytes",
            "Size of a name space, in bytes.",
            told(),
            bytes,
        );
    }
    if let (Some(used), Some(block)) = (number("nuse"), block) {
        families.gauge(
            "node_nvme_namespace_used_bytes",
            "How much of a name space is used, in bytes.",
            told(),
            used * block,
        );
    }
    if let Some(block) = block {
        families.gauge(
            "node_nvme_namespace_logical_block_size_bytes",
            "Size of one block of a name space, in bytes.",
            told(),
            block,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_space_is_told_from_the_other_entries_of_a_controller() {
        assert_eq!(name_space("nvme0", "nvme0n1"), Some("1"));
        assert_eq!(name_space("nvme0", "nvme0c12n3"), Some("3"));
        assert_eq!(name_space("nvme0", "nvme1n1"), None);
        assert_eq!(name_space("nvme0", "power"), None);
    }
}
