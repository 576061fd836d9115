//! `filefd`: how many files the kernel has open, and how many it will open.

use super::collector::{CollectError, Collector, Malformed, parsed};
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// Reads `/proc/sys/fs/file-nr`.
pub struct Filefd {
    file: HeldFile,
}

impl Filefd {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { file: HeldFile::of_short_lines(roots.procfs.join("sys/fs/file-nr")) }
    }
}

impl Collector for Filefd {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let [allocated, maximum] = parsed(&mut self.file, parse)?;
        let gauge = |name, help, value| Family::single(name, MetricKind::Gauge, help, value);
        out.push(gauge("node_filefd_allocated", "Open files, on the whole host.", allocated));
        out.push(gauge("node_filefd_maximum", "Files that can be open at most.", maximum));
        Ok(())
    }
}

/// `ALLOCATED FREE MAXIMUM`; the second is always zero.
fn parse(text: &str) -> Result<[f64; 2], Malformed> {
    let malformed = || Malformed::new(text.trim_end(), "three numbers");
    let numbers: Vec<f64> =
        text.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
    match numbers[..] {
        [allocated, _, maximum] => Ok([allocated, maximum]),
        _ => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_of_three_numbers_count() {
        assert_eq!(parse("1024\t0\t1631329\n"), Ok([1024.0, 1_631_329.0]));
        assert!(parse("1024\t0\n").is_err());
    }
}
