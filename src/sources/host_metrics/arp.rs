//! `arp`: how many neighbours on the network each interface knows.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector, Malformed, reading};
use super::families::labels;
use super::filter::Filter;
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// What to tell of.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Interfaces, by name.
    pub devices: Filter,
}

/// Reads `/proc/net/arp`.
pub struct Arp {
    file: HeldFile,
    options: Options,
}

impl Arp {
    /// The collector for a host.
    pub fn new(roots: &Roots, options: &Options) -> Self {
        Self {
            file: HeldFile::of_short_lines(roots.procfs.join("net/arp")),
            options: options.clone(),
        }
    }
}

impl Collector for Arp {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let path = self.file.shared_path();
        let text = self.file.text().map_err(reading(&path))?;
        let mut family = Family::new(
            "node_arp_entries",
            MetricKind::Gauge,
            "Neighbours known through an interface (ARP).",
        );
        for (device, entries) in parse(&text).map_err(|line| line.of(&path))? {
            if self.options.devices.allows(device) {
                family.push(labels([("device", device)]), f64::from(entries));
            }
        }
        out.push(family);
        Ok(())
    }
}

/// Lines per interface, which stands in the last of six columns.
fn parse(text: &str) -> Result<BTreeMap<&str, u32>, Malformed> {
    let mut entries = BTreeMap::new();
    for line in text.lines().skip(1) {
        let device = line.split_ascii_whitespace().nth(5);
        let device =
            device.ok_or_else(|| Malformed::new(line, "six columns, the interface last"))?;
        *entries.entry(device).or_default() += 1;
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_counted_by_interface() {
        let table = "IP address HW type ...\n\
            10.0.0.1 0x1 0x2 aa:bb:cc:dd:ee:ff * eth0\n\
            10.0.0.2 0x1 0x2 aa:bb:cc:dd:ee:fe * eth0\n\
            10.1.0.1 0x1 0x2 aa:bb:cc:dd:ee:fd * br0\n";
        assert_eq!(parse(table).unwrap(), BTreeMap::from([("br0", 1), ("eth0", 2)]));
        assert!(parse("IP\n10.0.0.1 0x1\n").is_err());
    }
}
