//! `meminfo`: what memory there is and what it is used for, every line of the kernel's account.

use super::collector::{CollectError, Collector, Malformed, reading};
use super::families::KnownNames;
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// Reads `/proc/meminfo`. A key that a newer kernel adds becomes a family by the same rule as the
/// others, so an upgrade loses nothing.
pub struct Meminfo {
    file: HeldFile,
    names: KnownNames,
}

impl Meminfo {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self {
            file: HeldFile::of_short_lines(roots.procfs.join("meminfo")),
            names: KnownNames::default(),
        }
    }
}

impl Collector for Meminfo {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let path = self.file.shared_path();
        let text = self.file.text().map_err(reading(&path))?;
        for line in text.lines() {
            let entry = parse(line).map_err(|line| line.of(&path))?;
            let [name, help] = self.names.get(entry.key, || {
                let name = entry.name();
                let help = format!("The kernel's account of memory, entry {name}.");
                [format!("node_memory_{name}"), help]
            });
            let value = entry.value();
            out.push(Family::single(name, MetricKind::Gauge, help, value));
        }
        Ok(())
    }
}

/// One line of the account.
#[derive(Debug)]
struct Entry<'a> {
    key: &'a str,
    number: f64,
    is_in_kilobytes: bool,
}

impl Entry<'_> {
    /// `Active(anon)` becomes `Active_anon`, and what is in kB ends in `_bytes`.
    fn name(&self) -> String {
        let name = self.key.replace('(', "_").replace(')', "");
        if self.is_in_kilobytes { name + "_bytes" } else { name }
    }

    /// In bytes, where the kernel has kB.
    fn value(&self) -> f64 {
        if self.is_in_kilobytes { self.number * 1024.0 } else { self.number }
    }
}

fn parse(line: &str) -> Result<Entry<'_>, Malformed> {
    let malformed = || Malformed::new(line, "`Key: number kB`");
    let (key, rest) = line.split_once(':').ok_or_else(malformed)?;
    let mut words = rest.split_ascii_whitespace();
    let number = words.next().and_then(|word| word.parse().ok()).ok_or_else(malformed)?;
    match words.next() {
        None => Ok(Entry { key, number, is_in_kilobytes: false }),
        Some("kB") => Ok(Entry { key, number, is_in_kilobytes: true }),
        Some(_) => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilobytes_become_bytes_and_plain_counts_stay() {
        let read = |line| {
            let entry = parse(line).unwrap();
            (entry.name(), entry.value())
        };
        assert_eq!(read("MemTotal:   4 kB"), ("MemTotal_bytes".into(), 4096.0));
        assert_eq!(read("Active(anon): 1 kB"), ("Active_anon_bytes".into(), 1024.0));
        assert_eq!(read("HugePages_Total:   3"), ("HugePages_Total".into(), 3.0));
    }

    #[test]
    fn a_key_that_no_kernel_has_yet_is_read_like_the_others() {
        let entry = parse("Quantum: 2 kB").unwrap();
        assert_eq!((entry.name(), entry.value()), ("Quantum_bytes".into(), 2048.0));
    }

    #[test]
    fn another_unit_is_told_and_not_taken_for_bytes() {
        assert!(parse("MemTotal: 4 MB").is_err());
    }
}
