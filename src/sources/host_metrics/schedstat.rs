//! `schedstat`: how long tasks ran on each processor, and how long they waited for it.

use super::collector::{CollectError, Collector, Malformed};
use super::families::KnownLabels;
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

const NANOSECONDS: f64 = 1e9;

/// Reads `/proc/schedstat`.
pub struct Schedstat {
    file: HeldFile,
    labels: KnownLabels,
}

impl Schedstat {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { file: HeldFile::new(roots.procfs.join("schedstat")), labels: KnownLabels::default() }
    }
}

impl Collector for Schedstat {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        self.labels.begin();
        let path = self.file.shared_path();
        // A kernel may be built without.
        let text = self.file.text().map_err(|_| CollectError::NoData)?;
        let counter = |name, help| Family::new(name, MetricKind::Counter, help);
        let mut running =
            counter("node_schedstat_running_seconds_total", "Seconds that a processor ran tasks.");
        let mut waiting = counter(
            "node_schedstat_waiting_seconds_total",
            "Seconds that tasks waited for a processor, added up.",
        );
        let mut slices =
            counter("node_schedstat_timeslices_total", "Turns that tasks had on a processor.");
        for line in text.lines() {
            let Some((cpu, [ran, waited, turns])) = parse(line).map_err(|line| line.of(&path))?
            else {
                continue;
            };
            let labels = self.labels.get([("cpu", cpu)]);
            running.push(labels.clone(), ran / NANOSECONDS);
            waiting.push(labels.clone(), waited / NANOSECONDS);
            slices.push(labels, turns);
        }
        out.extend([running, slices, waiting]);
        Ok(())
    }
}

/// The last three of the nine numbers behind `cpuN`; `None` for a line of another kind.
fn parse(line: &str) -> Result<Option<(&str, [f64; 3])>, Malformed> {
    let mut words = line.split_ascii_whitespace();
    let Some(cpu) = words.next().and_then(|word| word.strip_prefix("cpu")) else {
        return Ok(None);
    };
    let mut numbers = words.skip(6).map_while(|word| word.parse().ok());
    let mut next = || numbers.next().ok_or_else(|| Malformed::new(line, "`cpuN` and nine numbers"));
    Ok(Some((cpu, [next()?, next()?, next()?])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_has_its_times_at_the_end_of_its_line() {
        assert_eq!(parse("cpu3 1 2 3 4 5 6 7 8 9"), Ok(Some(("3", [7.0, 8.0, 9.0]))));
        assert_eq!(parse("domain0 03 1 2 3"), Ok(None));
        assert!(parse("cpu3 1 2 3 4 5 6 7 8").is_err());
    }
}
