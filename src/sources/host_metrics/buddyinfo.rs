//! `buddyinfo`: free blocks of memory by size, which tells how cut up memory is.

use super::collector::{CollectError, Collector, Malformed, reading};
use super::families::labels;
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// Reads `/proc/buddyinfo`.
pub struct Buddyinfo {
    file: HeldFile,
}

impl Buddyinfo {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { file: HeldFile::new(roots.procfs.join("buddyinfo")) }
    }
}

impl Collector for Buddyinfo {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let path = self.file.shared_path();
        let text = self.file.text().map_err(reading(&path))?;
        let mut family = Family::new(
            "node_buddyinfo_blocks",
            MetricKind::Gauge,
            "Free blocks of two to the power of `size` pages.",
        );
        for line in text.lines() {
            let (node, zone, blocks) = parse(line).map_err(|line| line.of(&path))?;
            for (size, number) in blocks.iter().enumerate() {
                let size = size.to_string();
                family.push(labels([("node", node), ("size", &size), ("zone", zone)]), *number);
            }
        }
        out.push(family);
        Ok(())
    }
}

/// `Node N, zone NAME BLOCKS...`
fn parse(line: &str) -> Result<(&str, &str, Vec<f64>), Malformed> {
    let malformed = || Malformed::new(line, "`Node N, zone NAME` and numbers of blocks");
    let (node, rest) =
        line.strip_prefix("Node ").and_then(|rest| rest.split_once(',')).ok_or_else(malformed)?;
    let mut words = rest.split_ascii_whitespace();
    let zone = words.nth(1).ok_or_else(malformed)?;
    let blocks = words.map(str::parse).collect::<Result<_, _>>().map_err(|_| malformed())?;
    Ok((node.trim(), zone, blocks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_has_a_number_for_each_size() {
        assert_eq!(parse("Node 0, zone   DMA32  759  572"), Ok(("0", "DMA32", vec![759.0, 572.0])));
        assert!(parse("Node 0").is_err() && parse("Node 0, zone DMA x").is_err());
    }
}
