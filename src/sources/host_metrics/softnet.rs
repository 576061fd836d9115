//! `softnet`: packets that each processor handled for the network, and those it could not.

use super::collector::{CollectError, Collector, Malformed, reading};
use super::families::KnownLabels;
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// Column, family, kind, what it counts. Which processor a line is for stands in column 12 since
/// Linux 5.10; before, a line's place says it.
const COLUMNS: [(usize, &str, MetricKind, &str); 7] = {
    use MetricKind::{Counter, Gauge};
    [
        (0, "node_softnet_processed_total", Counter, "Packets handled."),
        (1, "node_softnet_dropped_total", Counter, "Packets dropped since the backlog was full."),
        (
            2,
            "node_softnet_times_squeezed_total",
            Counter,
            "Turns that ended with packets left to handle.",
        ),
        (
            8,
            "node_softnet_cpu_collision_total",
            Counter,
            "Times that another processor held the device while sending.",
        ),
        (
            9,
            "node_softnet_received_rps_total",
            Counter,
            "Times that another processor handed packets over.",
        ),
        (
            10,
            "node_softnet_flow_limit_count_total",
            Counter,
            "Packets dropped since one flow had too large a share.",
        ),
        (11, "node_softnet_backlog_len", Gauge, "Packets that wait to be handled."),
    ]
};
const CPU_COLUMN: usize = 12;

/// Reads `/proc/net/softnet_stat`.
pub struct Softnet {
    file: HeldFile,
    labels: KnownLabels,
}

impl Softnet {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self {
            file: HeldFile::of_short_lines(roots.procfs.join("net/softnet_stat")),
            labels: KnownLabels::default(),
        }
    }
}

impl Collector for Softnet {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        self.labels.begin();
        let path = self.file.shared_path();
        let text = self.file.text().map_err(reading(&path))?;
        let mut families = COLUMNS.map(|(_, name, kind, help)| Family::new(name, kind, help));
        for (place, line) in text.lines().enumerate() {
            let values = parse(line).map_err(|line| line.of(&path))?;
            let cpu = values[CPU_COLUMN].map_or(place, |cpu| cpu as usize);
            let labels = self.labels.get([("cpu", itoa::Buffer::new().format(cpu))]);
            for (family, (column, ..)) in families.iter_mut().zip(COLUMNS) {
                let value = values[column].unwrap_or(0);
                family.push(labels.clone(), f64::from(value));
            }
        }
        out.extend(families);
        Ok(())
    }
}

/// As many columns as this kernel has, of those that are used.
fn parse(line: &str) -> Result<[Option<u32>; CPU_COLUMN + 1], Malformed> {
    let malformed = || Malformed::new(line, "nine hexadecimal numbers or more");
    let mut values = [None; CPU_COLUMN + 1];
    let mut words = line.split_ascii_whitespace();
    for (value, word) in values.iter_mut().zip(&mut words) {
        *value = Some(u32::from_str_radix(word, 16).map_err(|_| malformed())?);
    }
    let is_number = |word| u32::from_str_radix(word, 16).is_ok();
    if values[8].is_some() && words.all(is_number) { Ok(values) } else { Err(malformed()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_hexadecimal_and_an_old_kernel_has_fewer() {
        assert_eq!(parse("0a 00 ff 0 0 0 0 0 1").unwrap()[2], Some(255));
        assert!(parse("0a 00").is_err() && parse("0a 00 x 0 0 0 0 0 1").is_err());
    }
}
