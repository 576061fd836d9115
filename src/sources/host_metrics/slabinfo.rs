//! `slabinfo`: what the kernel keeps its own objects in.

use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector, Malformed, reading};
use super::families::labels;
use super::filter::Filter;
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// The columns after the name.
const COLUMNS: [(&str, &str); 5] = [
    ("node_slabinfo_active_objects", "Objects that are used."),
    ("node_slabinfo_objects", "Objects that there is room for."),
    ("node_slabinfo_object_size_bytes", "Size of an object, in bytes."),
    ("node_slabinfo_objects_per_slab", "Objects in one slab."),
    ("node_slabinfo_pages_per_slab", "Pages of one slab."),
];

/// What to tell of.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Slabs, by name.
    pub slabs: Filter,
}

/// Reads `/proc/slabinfo`, which only root may.
pub struct Slabinfo {
    file: HeldFile,
    options: Options,
}

impl Slabinfo {
    /// The collector for a host.
    pub fn new(roots: &Roots, options: &Options) -> Self {
        Self { file: HeldFile::new(roots.procfs.join("slabinfo")), options: options.clone() }
    }
}

impl Collector for Slabinfo {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let path = self.file.shared_path();
        let text = self.file.text().map_err(reading(&path))?;
        let mut families = COLUMNS.map(|(name, help)| Family::new(name, MetricKind::Gauge, help));
        for line in text.lines().skip(1).filter(|line| !line.starts_with('#')) {
            let (slab, values) = parse(line).map_err(|line| line.of(&path))?;
            if self.options.slabs.allows(slab) {
                for (family, value) in families.iter_mut().zip(values) {
                    family.push(labels([("slab", slab)]), value);
                }
            }
        }
        out.extend(families);
        Ok(())
    }
}

/// A name, and the five numbers that follow it.
fn parse(line: &str) -> Result<(&str, [f64; COLUMNS.len()]), Malformed> {
    let malformed = || Malformed::new(line, "a slab's name and five numbers");
    let mut words = line.split_ascii_whitespace();
    let slab = words.next().ok_or_else(malformed)?;
    let mut values = [0.0; COLUMNS.len()];
    for value in &mut values {
        *value = words.next().and_then(|word| word.parse().ok()).ok_or_else(malformed)?;
    }
    Ok((slab, values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_five_numbers_are_told() {
        let line = "tw_sock_TCP 704 864 256 32 2 : tunables 0 0 0";
        assert_eq!(parse(line), Ok(("tw_sock_TCP", [704.0, 864.0, 256.0, 32.0, 2.0])));
        assert!(parse("tw_sock_TCP 704 :").is_err());
    }
}
