//! `edac`: errors that the memory controllers found, corrected and not.

use std::path::PathBuf;

use super::collector::{CollectError, Collector};
use super::families::{Families, ValueFile, labels};
use crate::event::metric::Family;
use crate::host::roots::Roots;
use crate::host::sysfs;

const CONTROLLER: [ValueFile; 2] = [
    ValueFile::counter(
        "ce_count",
        "node_edac_correctable_errors_total",
        "Memory errors that a controller corrected.",
    ),
    ValueFile::counter(
        "ue_count",
        "node_edac_uncorrectable_errors_total",
        "Memory errors that a controller could not correct.",
    ),
];

/// What no row is to blame for is told as the row `unknown`.
const NO_ROW: [ValueFile; 2] = [
    ValueFile { name: "ce_noinfo_count", ..ROW[0] },
    ValueFile { name: "ue_noinfo_count", ..ROW[1] },
];

const ROW: [ValueFile; 2] = [
    ValueFile::counter(
        "ce_count",
        "node_edac_csrow_correctable_errors_total",
        "Memory errors of a row of chips that were corrected.",
    ),
    ValueFile::counter(
        "ue_count",
        "node_edac_csrow_uncorrectable_errors_total",
        "Memory errors of a row of chips that could not be corrected.",
    ),
];

const CHANNEL: [(&str, &str, &str); 2] = [
    (
        "ce_count",
        "node_edac_channel_correctable_errors_total",
        "Memory errors of a channel that were corrected.",
    ),
    (
        "ue_count",
        "node_edac_channel_uncorrectable_errors_total",
        "Memory errors of a channel that could not be corrected.",
    ),
];

/// Reads `/sys/devices/system/edac/mc`.
pub struct Edac {
    folder: PathBuf,
}

impl Edac {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { folder: roots.sysfs.join("devices/system/edac/mc") }
    }

    fn row(&self, controller: &str, row: &str, families: &mut Families) {
        let folder = self.folder.join(controller).join(row);
        let controller = controller.trim_start_matches("mc");
        let row = row.trim_start_matches("csrow");
        families.add_files(&folder, &ROW, &labels([("controller", controller), ("csrow", row)]));
        let files = sysfs::names(&folder);
        let channels = files.iter().filter_map(|file| file.strip_suffix("_dimm_label"));
        for channel in channels {
            let label = sysfs::text(folder.join(format!("{channel}_dimm_label")));
            let label = label.map(|label| in_words(&label));
            let told = labels([
                ("channel", channel.trim_start_matches("ch")),
                ("controller", controller),
                ("csrow", row),
                ("dimm_label", &label.unwrap_or_default()),
            ]);
            for (file, family, help) in CHANNEL {
                if let Some(errors) = sysfs::number(folder.join(format!("{channel}_{file}"))) {
                    families.counter(family, help, told.clone(), errors);
                }
            }
        }
    }
}

impl Collector for Edac {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut families = Families::default();
        for controller in sysfs::numbered(&self.folder, "mc") {
            let folder = self.folder.join(&controller);
            let number = controller.trim_start_matches("mc");
            families.add_files(&folder, &CONTROLLER, &labels([("controller", number)]));
            let nowhere = labels([("controller", number), ("csrow", "unknown")]);
            families.add_files(&folder, &NO_ROW, &nowhere);
            for row in sysfs::numbered(&folder, "csrow") {
                self.row(&controller, &row, &mut families);
            }
        }
        out.extend(Vec::from(families));
        Ok(())
    }
}

/// The kernel's `mc#0csrow#1channel#0` as `mc0_csrow1_channel0`; other labels stay as they are.
fn in_words(label: &str) -> String {
    label.replace('#', "").replace("csrow", "_csrow").replace("channel", "_channel")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_that_the_kernel_made_up_is_taken_apart() {
        assert_eq!(in_words("mc#0csrow#1channel#0"), "mc0_csrow1_channel0");
        assert_eq!(in_words("DIMM_A1"), "DIMM_A1");
    }
}
