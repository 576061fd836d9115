//! `cpu_vulnerabilities`: which known weaknesses the processors have, and what is done about them.

use std::path::PathBuf;

use super::collector::{CollectError, Collector};
use super::families::labels;
use crate::event::metric::{Family, MetricKind};
use crate::host::roots::Roots;
use crate::host::sysfs;

/// Reads `/sys/devices/system/cpu/vulnerabilities`.
pub struct CpuVulnerabilities {
    folder: PathBuf,
}

impl CpuVulnerabilities {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { folder: roots.sysfs.join("devices/system/cpu/vulnerabilities") }
    }
}

impl Collector for CpuVulnerabilities {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut family = Family::new(
            "node_cpu_vulnerabilities_info",
            MetricKind::Gauge,
            "A known weakness of processors, and whether this host suffers from it; always 1.",
        );
        for name in sysfs::names(&self.folder) {
            let Some(text) = sysfs::text(self.folder.join(&name)) else { continue };
            let (state, mitigation) = parse(&text);
            let told = [("codename", &*name), ("mitigation", mitigation), ("state", state)];
            family.push(labels(told), 1.0);
        }
        if family.samples.is_empty() {
            return Err(CollectError::NoData);
        }
        out.push(family);
        Ok(())
    }
}

/// State and what is done about it.
fn parse(text: &str) -> (&'static str, &str) {
    let after =
        |start| text.strip_prefix(start).map(|rest: &str| rest.trim_start_matches([':', ' ']));
    if text.starts_with("Not affected") {
        ("not affected", "")
    } else if let Some(mitigation) = after("Mitigation") {
        ("mitigation", mitigation)
    } else if let Some(mitigation) = after("Vulnerable") {
        ("vulnerable", mitigation)
    } else {
        ("unknown", text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_sentence_is_taken_apart() {
        assert_eq!(parse("Not affected"), ("not affected", ""));
        assert_eq!(parse("Mitigation: PTI; SMT on"), ("mitigation", "PTI; SMT on"));
        assert_eq!(parse("Vulnerable: no microcode"), ("vulnerable", "no microcode"));
        assert_eq!(parse("Processor vulnerable").0, "unknown");
    }
}
