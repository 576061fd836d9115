//! `meminfo_numa`: what memory each NUMA node has and what it is used for.

use std::path::PathBuf;

use super::collector::{CollectError, Collector, Malformed, reading};
use super::families::{Families, labels};
use crate::event::metric::Family;
use crate::host::roots::Roots;
use crate::host::sysfs;

/// Reads `/sys/devices/system/node/nodeN`.
pub struct MeminfoNuma {
    folder: PathBuf,
}

impl MeminfoNuma {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { folder: roots.sysfs.join("devices/system/node") }
    }
}

impl Collector for MeminfoNuma {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut families = Families::default();
        for node in sysfs::numbered(&self.folder, "node") {
            let number = node.trim_start_matches("node");
            let path = self.folder.join(&node).join("meminfo");
            let text = std::fs::read_to_string(&path).map_err(reading(&path))?;
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                let (name, value) = parse(line).map_err(|line| line.of(&path))?;
                let help = format!("A node's account of memory, entry {name}.");
                let name = format!("node_memory_numa_{name}");
                families.gauge(name, help, labels([("node", number)]), value);
            }
            let path = self.folder.join(&node).join("numastat");
            let text = std::fs::read_to_string(&path).map_err(reading(&path))?;
            for line in text.lines() {
                let pair = line.split_once(' ');
                let pair = pair.and_then(|(name, value)| Some((name, value.trim().parse().ok()?)));
                let (name, value) =
                    pair.ok_or_else(|| Malformed::new(line, "`name number`").of(&path))?;
                let help = format!("Pages that the kernel counts as {name}.");
                let name = format!("node_memory_numa_{name}_total");
                families.counter(name, help, labels([("node", number)]), value);
            }
        }
        out.extend(Vec::from(families));
        Ok(())
    }
}

/// `Node N Key: number kB`. Entries in kB become bytes; `Active(anon)` becomes `Active_anon`.
fn parse(line: &str) -> Result<(String, f64), Malformed> {
    let malformed = || Malformed::new(line, "`Node N Key: number kB`");
    let (key, rest) = line.split_once(':').ok_or_else(malformed)?;
    let key = key.split_ascii_whitespace().nth(2).ok_or_else(malformed)?;
    let mut words = rest.split_ascii_whitespace();
    let value: f64 = words.next().and_then(|word| word.parse().ok()).ok_or_else(malformed)?;
    let name = key.replace('(', "_").replace(')', "");
    match words.next() {
        None => Ok((name, value)),
        Some("kB") => Ok((name, value * 1024.0)),
        Some(_) => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilobytes_become_bytes_under_the_same_name() {
        assert_eq!(parse("Node 0 Active(anon): 2 kB"), Ok(("Active_anon".into(), 2048.0)));
        assert_eq!(parse("Node 1 HugePages_Free: 2"), Ok(("HugePages_Free".into(), 2.0)));
        assert!(parse("Node 0: 1 kB").is_err());
    }
}
