//! `lnstat`: the statistics of the network's tables, by processor.

use std::path::PathBuf;

use super::collector::{CollectError, Collector, Malformed};
use super::families::{Families, labels};
use crate::event::metric::Family;
use crate::host::roots::Roots;
use crate::host::sysfs;

/// Reads the files in `/proc/net/stat`.
pub struct Lnstat {
    folder: PathBuf,
}

impl Lnstat {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { folder: roots.procfs.join("net/stat") }
    }
}

impl Collector for Lnstat {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut families = Families::default();
        for table in sysfs::names(&self.folder) {
            let path = self.folder.join(&table);
            let Some(text) = sysfs::text(&path) else { continue };
            let mut lines = text.lines();
            let names: Vec<&str> =
                lines.next().unwrap_or_default().split_ascii_whitespace().collect();
            for (cpu, line) in lines.enumerate() {
                let values = parse(line, names.len()).map_err(|line| line.of(&path))?;
                let cpu = cpu.to_string();
                for (name, value) in names.iter().zip(values) {
                    let help = format!("What the network's tables count as {name}.");
                    let told = labels([("cpu", &cpu), ("subsystem", &table)]);
                    families.counter(format!("node_lnstat_{name}_total"), help, told, value);
                }
            }
        }
        out.extend(Vec::from(families));
        Ok(())
    }
}

/// A hexadecimal number for each of so many names.
fn parse(line: &str, names: usize) -> Result<Vec<f64>, Malformed> {
    let malformed = || Malformed::new(line, "a hexadecimal number for each name above");
    let values = line.split_ascii_whitespace().map(|word| u32::from_str_radix(word, 16));
    let values: Vec<f64> = values
        .map(|value| value.map(f64::from))
        .collect::<Result<_, _>>()
        .map_err(|_| malformed())?;
    if values.len() == names { Ok(values) } else { Err(malformed()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_number_for_each_name() {
        assert_eq!(parse("0000000a 01", 2), Ok(vec![10.0, 1.0]));
        assert!(parse("0a", 2).is_err() && parse("0a x", 2).is_err());
    }
}
