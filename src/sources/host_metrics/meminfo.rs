//! `meminfo`: what memory there is and what it is used for, every line of the kernel's account.

use super::collector::{CollectError, Collector, Malformed, reading};
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// Reads `/proc/meminfo`. A key that a newer kernel adds becomes a family by the same rule as the
/// others, so an upgrade loses nothing.
pub struct Meminfo {
    file: HeldFile,
}

impl Meminfo {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { file: HeldFile::new(roots.procfs.join("meminfo")) }
    }
}

impl Collector for Meminfo {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let path = self.file.path().to_owned();
        let text = self.file.text().map_err(reading(&path))?;
        for line in text.lines() {
            let (name, value) = parse(line).map_err(|line| line.of(&path))?;
            let help = format!("The kernel's account of memory, entry {name}.");
            let name = format!("node_memory_{name}");
            out.push(Family::single(name, MetricKind::Gauge, help, value));
        }
        Ok(())
    }
}

/// The entry's name and value. Entries in kB become bytes and end in `_bytes`; `Active(anon)`
/// becomes `Active_anon`.
fn parse(line: &str) -> Result<(String, f64), Malformed> {
    let malformed = || Malformed::new(line, "`Key: number kB`");
    let (key, rest) = line.split_once(':').ok_or_else(malformed)?;
    let mut words = rest.split_ascii_whitespace();
    let value: f64 = words.next().and_then(|word| word.parse().ok()).ok_or_else(malformed)?;
    let mut name = key.replace('(', "_").replace(')', "");
    match words.next() {
        None => Ok((name, value)),
        Some("kB") => {
            name.push_str("_bytes");
            Ok((name, value * 1024.0))
        }
        Some(_) => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilobytes_become_bytes_and_plain_counts_stay() {
        let read = |line| parse(line).unwrap();
        assert_eq!(read("MemTotal:   4 kB"), ("MemTotal_bytes".into(), 4096.0));
        assert_eq!(read("Active(anon): 1 kB"), ("Active_anon_bytes".into(), 1024.0));
        assert_eq!(read("HugePages_Total:   3"), ("HugePages_Total".into(), 3.0));
    }

    #[test]
    fn a_key_that_no_kernel_has_yet_is_read_like_the_others() {
        assert_eq!(parse("Quantum: 2 kB").unwrap(), ("Quantum_bytes".into(), 2048.0));
    }

    #[test]
    fn another_unit_is_told_and_not_taken_for_bytes() {
        assert!(parse("MemTotal: 4 MB").is_err());
    }
}
