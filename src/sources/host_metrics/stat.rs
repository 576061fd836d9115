//! `stat`: what the kernel has done since it started: interrupts, context switches, forks.

use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector, Malformed, reading};
use super::families::labels;
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// First word of a line, then the family that its first number becomes.
const LINES: [(&str, &str, MetricKind, &str); 6] = [
    (
        "btime",
        "node_boot_time_seconds",
        MetricKind::Gauge,
        "When the kernel started, in seconds since the epoch.",
    ),
    (
        "ctxt",
        "node_context_switches_total",
        MetricKind::Counter,
        "Switches from one task to another, on all processors.",
    ),
    ("processes", "node_forks_total", MetricKind::Counter, "Tasks made."),
    ("intr", "node_intr_total", MetricKind::Counter, "Interrupts served."),
    (
        "procs_blocked",
        "node_procs_blocked",
        MetricKind::Gauge,
        "Tasks that wait for input or output to finish.",
    ),
    (
        "procs_running",
        "node_procs_running",
        MetricKind::Gauge,
        "Tasks that run or could run at once.",
    ),
];

/// What to tell of beside.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Tell of soft interrupts by kind too.
    pub softirq: bool,
}

/// What the numbers of the line `softirq` count, after their sum.
const SOFT_INTERRUPTS: [&str; 10] = [
    "hi",
    "timer",
    "net_tx",
    "net_rx",
    "block",
    "block_iopoll",
    "tasklet",
    "sched",
    "hrtimer",
    "rcu",
];

/// Reads `/proc/stat`.
pub struct Stat {
    file: HeldFile,
    options: Options,
}

impl Stat {
    /// The collector for a host.
    pub fn new(roots: &Roots, options: &Options) -> Self {
        Self { file: HeldFile::of_short_lines(roots.procfs.join("stat")), options: options.clone() }
    }
}

impl Collector for Stat {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let path = self.file.shared_path();
        let text = self.file.text().map_err(reading(&path))?;
        out.extend(parse(&text).map_err(|line| line.of(&path))?);
        if self.options.softirq {
            out.push(soft_interrupts(&text).map_err(|line| line.of(&path))?);
        }
        Ok(())
    }
}

fn soft_interrupts(text: &str) -> Result<Family, Malformed> {
    let mut family =
        Family::new("node_softirqs_total", MetricKind::Counter, "Soft interrupts served, by kind.");
    let line = text.lines().find_map(|line| line.strip_prefix("softirq "));
    let numbers = line.into_iter().flat_map(str::split_ascii_whitespace).skip(1);
    for (vector, number) in SOFT_INTERRUPTS.iter().zip(numbers) {
        let value = number.parse();
        let value =
            value.map_err(|_| Malformed::new(line.unwrap_or_default(), "eleven numbers"))?;
        family.push(labels([("vector", vector)]), value);
    }
    Ok(family)
}

/// The families of the lines that are there; a line that is absent gives none.
fn parse(text: &str) -> Result<Vec<Family>, Malformed> {
    let mut families = Vec::with_capacity(LINES.len());
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let word = words.next();
        let Some((_, name, kind, help)) = LINES.iter().find(|(first, ..)| word == Some(first))
        else {
            continue;
        };
        let value = words.next().and_then(|number| number.parse().ok());
        let value = value.ok_or_else(|| Malformed::new(line, "a number after the word"))?;
        families.push(Family::single(*name, *kind, *help, value));
    }
    Ok(families)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::metric::SampleValue;

    #[test]
    fn each_line_gives_its_first_number_and_an_absent_line_gives_nothing() {
        let families = parse("cpu  1 2 3\nintr 70 1 2 3\nctxt 9\nbtime 1418183276\n").unwrap();
        let value = |name: &str| {
            let family = families.iter().find(|family| family.name == name)?;
            Some(family.samples[0].value.clone())
        };
        assert_eq!(value("node_intr_total"), Some(SampleValue::Number(70.0)));
        assert_eq!(value("node_boot_time_seconds"), Some(SampleValue::Number(1_418_183_276.0)));
        assert_eq!(value("node_forks_total"), None);
    }

    #[test]
    fn a_line_without_its_number_is_told() {
        assert_eq!(parse("ctxt\n").unwrap_err().found, "ctxt");
    }
}
