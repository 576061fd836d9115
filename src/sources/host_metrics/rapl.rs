//! `rapl`: the energy that processors and memory have used.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector, reading};
use super::families::{Families, labels};
use crate::event::metric::Family;
use crate::host::roots::Roots;
use crate::host::sysfs;

/// How zones are told apart.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// One family for all zones, with the zone as the label `rapl_zone`.
    pub zone_label: bool,
}

/// The kernel writes microjoules.
const PER_JOULE: f64 = 1e6;

/// Reads `/sys/class/powercap`, which only root may.
pub struct Rapl {
    folder: PathBuf,
    options: Options,
}

impl Rapl {
    /// The collector for a host.
    pub fn new(roots: &Roots, options: &Options) -> Self {
        Self { folder: roots.sysfs.join("class/powercap"), options: options.clone() }
    }
}

impl Collector for Rapl {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut families = Families::default();
        for zone in sysfs::names(&self.folder).iter().filter(|zone| zone.contains(':')) {
            let folder = self.folder.join(zone);
            let Some(name) = sysfs::text(folder.join("name")) else { continue };
            let path = folder.join("energy_uj");
            let energy = std::fs::read_to_string(&path);
            let energy = match energy {
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                    return Err(CollectError::NoData);
                }
                energy => energy.map_err(reading(&path))?,
            };
            let Ok(energy) = energy.trim().parse::<f64>() else { continue };
            let (name, index) = name_and_index(&name, zone);
            let (index, place) = (index.to_string(), folder.to_string_lossy());
            let help = "Energy used, in joules.";
            if self.options.zone_label {
                let told = labels([("index", &index), ("path", &place), ("rapl_zone", name)]);
                families.counter("node_rapl_joules_total", help, told, energy / PER_JOULE);
            } else {
                let family = format!("node_rapl_{}_joules_total", name.replace('-', "_"));
                let told = labels([("index", &index), ("path", &place)]);
                families.counter(family, help, told, energy / PER_JOULE);
            }
        }
        if families.is_empty() {
            return Err(CollectError::NoData);
        }
        out.extend(Vec::from(families));
        Ok(())
    }
}

/// `package-1` is the package with the number 1; a zone without a number in its name has that of
/// the package it is a part of (`intel-rapl:1:0`).
fn name_and_index<'a>(name: &'a str, zone: &str) -> (&'a str, u32) {
    let own = name.rsplit_once('-').and_then(|(name, index)| Some((name, index.parse().ok()?)));
    own.unwrap_or_else(|| {
        let package = zone.split(':').nth(1).and_then(|index| index.parse().ok());
        (name, package.unwrap_or(0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_belongs_to_its_package() {
        assert_eq!(name_and_index("package-1", "intel-rapl:1"), ("package", 1));
        assert_eq!(name_and_index("dram", "intel-rapl:1:0"), ("dram", 1));
        assert_eq!(name_and_index("psys", "intel-rapl:x"), ("psys", 0));
    }
}
