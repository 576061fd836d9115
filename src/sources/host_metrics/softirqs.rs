//! `softirqs`: soft interrupts by kind and processor.

use super::collector::{CollectError, Collector, Malformed, reading};
use super::families::labels;
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// Reads `/proc/softirqs`.
pub struct Softirqs {
    file: HeldFile,
}

impl Softirqs {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { file: HeldFile::new(roots.procfs.join("softirqs")) }
    }
}

impl Collector for Softirqs {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let path = self.file.shared_path();
        let text = self.file.text().map_err(reading(&path))?;
        let mut family = Family::new(
            "node_softirqs_functions_total",
            MetricKind::Counter,
            "Soft interrupts, by kind and processor.",
        );
        let mut lines = text.lines();
        let header = lines.next().unwrap_or_default();
        let processors =
            || header.split_ascii_whitespace().filter_map(|word| word.strip_prefix("CPU"));
        for line in lines {
            let (kind, counts) = parse(line).map_err(|line| line.of(&path))?;
            for (cpu, count) in processors().zip(counts) {
                family.push(labels([("cpu", cpu), ("type", kind)]), count);
            }
        }
        out.push(family);
        Ok(())
    }
}

/// `KIND: COUNT...`
fn parse(line: &str) -> Result<(&str, Vec<f64>), Malformed> {
    let malformed = || Malformed::new(line, "`KIND:` and a count for each processor");
    let (kind, counts) = line.split_once(':').ok_or_else(malformed)?;
    let counts = counts.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>();
    Ok((kind.trim(), counts.map_err(|_| malformed())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_processor_has_a_column() {
        assert_eq!(parse("   TIMER:  424191  108342"), Ok(("TIMER", vec![424_191.0, 108_342.0])));
        assert!(parse("TIMER: many").is_err() && parse("TIMER 1").is_err());
    }
}
