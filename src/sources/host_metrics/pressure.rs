//! `pressure`: how long tasks waited for processor, memory and disk (pressure stall information).

use super::collector::{CollectError, Collector, Malformed};
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// File, line, family, what it counts.
const LINES: [(&str, &str, &str, &str); 6] = [
    (
        "cpu",
        "some",
        "node_pressure_cpu_waiting_seconds_total",
        "Seconds during which some task waited for a processor.",
    ),
    (
        "io",
        "full",
        "node_pressure_io_stalled_seconds_total",
        "Seconds during which no task got on, for want of input and output.",
    ),
    (
        "io",
        "some",
        "node_pressure_io_waiting_seconds_total",
        "Seconds during which some task waited for input or output.",
    ),
    (
        "irq",
        "full",
        "node_pressure_irq_stalled_seconds_total",
        "Seconds during which no task got on since interrupts were served.",
    ),
    (
        "memory",
        "full",
        "node_pressure_memory_stalled_seconds_total",
        "Seconds during which no task got on, for want of memory.",
    ),
    (
        "memory",
        "some",
        "node_pressure_memory_waiting_seconds_total",
        "Seconds during which some task waited for memory.",
    ),
];

/// Reads `/proc/pressure`.
pub struct Pressure {
    files: [(&'static str, HeldFile); 4],
}

impl Pressure {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        let folder = roots.procfs.join("pressure");
        Self {
            files: ["cpu", "io", "irq", "memory"]
                .map(|name| (name, HeldFile::of_short_lines(folder.join(name)))),
        }
    }
}

impl Collector for Pressure {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let before = out.len();
        for (name, file) in &mut self.files {
            let path = file.shared_path();
            // Kernels may lack one of the files, all of them, or (switched off) refuse to read.
            let Ok(text) = file.text() else { continue };
            for (_, line, family, help) in LINES.iter().filter(|(file, ..)| file == name) {
                let Some(total) = parse(&text, line).map_err(|line| line.of(&path))? else {
                    continue;
                };
                let seconds = total as f64 / 1000.0 / 1000.0;
                out.push(Family::single(*family, MetricKind::Counter, *help, seconds));
            }
        }
        if out.len() == before { Err(CollectError::NoData) } else { Ok(()) }
    }
}

/// The total of the line that begins with `word`, in microseconds; `None` where there is no such
/// line.
fn parse(text: &str, word: &str) -> Result<Option<u64>, Malformed> {
    let line = text.lines().find(|line| line.split(' ').next() == Some(word));
    let Some(line) = line else { return Ok(None) };
    let total = line.split(' ').find_map(|field| field.strip_prefix("total="));
    let total = total.and_then(|total| total.parse().ok());
    total.map(Some).ok_or_else(|| Malformed::new(line, "averages and `total=` with a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_a_line_is_taken_and_an_absent_line_is_nothing() {
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=14036781\n";
        assert_eq!(parse(text, "some"), Ok(Some(14_036_781)));
        assert_eq!(parse(text, "full"), Ok(None));
        assert!(parse("some avg10=0.00\n", "some").is_err());
    }
}
