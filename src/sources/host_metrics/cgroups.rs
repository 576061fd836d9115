//! `cgroups`: how many control groups there are of each controller.

use super::collector::{CollectError, Collector, Malformed, reading};
use super::families::labels;
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// Reads `/proc/cgroups`.
pub struct Cgroups {
    file: HeldFile,
}

impl Cgroups {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { file: HeldFile::new(roots.procfs.join("cgroups")) }
    }
}

impl Collector for Cgroups {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let path = self.file.shared_path();
        let text = self.file.text().map_err(reading(&path))?;
        let gauge = |name, help| Family::new(name, MetricKind::Gauge, help);
        let mut groups = gauge("node_cgroups_cgroups", "Control groups of a controller.");
        let mut enabled =
            gauge("node_cgroups_enabled", "Whether a controller is switched on: 1 yes, 0 no.");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, [number, on]) = parse(line).map_err(|line| line.of(&path))?;
            groups.push(labels([("subsys_name", name)]), number);
            enabled.push(labels([("subsys_name", name)]), on);
        }
        out.extend([groups, enabled]);
        Ok(())
    }
}

/// `NAME HIERARCHY GROUPS ENABLED`
fn parse(line: &str) -> Result<(&str, [f64; 2]), Malformed> {
    let malformed = || Malformed::new(line, "a controller and three numbers");
    let mut words = line.split_ascii_whitespace();
    let name = words.next().ok_or_else(malformed)?;
    let mut number =
        |skipped| words.nth(skipped).and_then(|word| word.parse().ok()).ok_or_else(malformed);
    Ok((name, [number(1)?, number(0)?]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_stand_in_the_third_column() {
        assert_eq!(parse("cpu\t3\t172\t1"), Ok(("cpu", [172.0, 1.0])));
        assert!(parse("cpu 3").is_err());
    }
}
