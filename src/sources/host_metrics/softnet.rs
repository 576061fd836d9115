//! `softnet`: packets that each processor handled for the network, and those it could not.

use super::collector::{CollectError, Collector, Malformed, reading};
use super::families::labels;
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
}

impl Softnet {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { file: HeldFile::new(roots.procfs.join("net/softnet_stat")) }
    }
}

impl Collector for Softnet {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let path = self.file.path().to_owned();
        let text = self.file.text().map_err(reading(&path))?;
        let mut families = COLUMNS.map(|(_, name, kind, help)| Family::new(name, kind, help));
        for (place, line) in text.lines().enumerate() {
            let values = parse(line).map_err(|line| line.of(&path))?;
            let cpu = values.get(CPU_COLUMN).map_or(place, |cpu| *cpu as usize).to_string();
            for (family, (column, ..)) in families.iter_mut().zip(COLUMNS) {
                let value = values.get(column).copied().unwrap_or(0);
                family.push(labels([("cpu", &cpu)]), f64::from(value));
            }
        }
        out.extend(families);
        Ok(())
    }
}

fn parse(line: &str) -> Result<Vec<u32>, Malformed> {
    let malformed = || Malformed::new(line, "nine hexadecimal numbers or more");
    let values = line.split_ascii_whitespace().map(|word| u32::from_str_radix(word, 16));
    let values: Vec<u32> = values.collect::<Result<_, _>>().map_err(|_| malformed())?;
    if values.len() < 9 { Err(malformed()) } else { Ok(values) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_hexadecimal_and_an_old_kernel_has_fewer() {
        assert_eq!(parse("0a 00 ff 0 0 0 0 0 1").unwrap()[2], 255);
        assert!(parse("0a 00").is_err() && parse("0a 00 x 0 0 0 0 0 1").is_err());
    }
}
