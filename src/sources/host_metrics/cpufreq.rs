//! `cpufreq`: how fast each processor runs, between which limits, and who decides that.

use std::path::PathBuf;

use super::collector::{CollectError, Collector};
use super::families::{Families, ValueFile, labels};
use crate::event::metric::Family;
use crate::host::roots::Roots;
use crate::host::sysfs;

/// The kernel writes kilohertz.
const HERTZ: f64 = 1.0 / 1000.0;

const FILES: [ValueFile; 7] = [
    ValueFile::gauge("cpuinfo_cur_freq", "node_cpu_frequency_hertz", "Speed, as measured.")
        .per_unit(HERTZ),
    ValueFile::gauge("cpuinfo_avg_freq", "node_cpu_frequency_avg_hertz", "Speed, on average.")
        .per_unit(HERTZ),
    ValueFile::gauge("cpuinfo_min_freq", "node_cpu_frequency_min_hertz", "Lowest possible speed.")
        .per_unit(HERTZ),
    ValueFile::gauge("cpuinfo_max_freq", "node_cpu_frequency_max_hertz", "Highest possible speed.")
        .per_unit(HERTZ),
    ValueFile::gauge(
        "scaling_cur_freq",
        "node_cpu_scaling_frequency_hertz",
        "Speed that the kernel has set.",
    )
    .per_unit(HERTZ),
    ValueFile::gauge(
        "scaling_min_freq",
        "node_cpu_scaling_frequency_min_hertz",
        "Lowest speed that the kernel may set.",
    )
    .per_unit(HERTZ),
    ValueFile::gauge(
        "scaling_max_freq",
        "node_cpu_scaling_frequency_max_hertz",
        "Highest speed that the kernel may set.",
    )
    .per_unit(HERTZ),
];

/// Reads `/sys/devices/system/cpu/cpuN/cpufreq`.
pub struct Cpufreq {
    folder: PathBuf,
}

impl Cpufreq {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { folder: roots.sysfs.join("devices/system/cpu") }
    }
}

impl Collector for Cpufreq {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut families = Families::default();
        for cpu in sysfs::numbered(&self.folder, "cpu") {
            let folder = self.folder.join(&cpu).join("cpufreq");
            if !folder.is_dir() {
                continue; // as on most virtual machines
            }
            let number = cpu.trim_start_matches("cpu");
            families.add_files(&folder, &FILES, &labels([("cpu", number)]));
            let Some(current) = sysfs::text(folder.join("scaling_governor")) else { continue };
            let all = sysfs::text(folder.join("scaling_available_governors")).unwrap_or_default();
            for governor in all.split_ascii_whitespace() {
                families.gauge(
                    "node_cpu_scaling_governor",
                    "Whether this governor decides how fast a processor runs: 1 yes, 0 no.",
                    labels([("cpu", number), ("governor", governor)]),
                    if governor == current { 1.0 } else { 0.0 },
                );
            }
        }
        out.extend(Vec::from(families));
        Ok(())
    }
}
