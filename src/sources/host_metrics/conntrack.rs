//! `conntrack`: how full the table of tracked connections is, and what went wrong there.

use super::collector::{CollectError, Collector, Malformed, parsed};
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// Columns of the kernel's statistics, by name, and what they count.
const COLUMNS: [(&str, &str); 8] = [
    ("drop", "Packets dropped since tracking them did not work."),
    ("early_drop", "Connections forgotten to make room for others."),
    ("found", "Look-ups that found their connection."),
    ("ignore", "Packets that belong to a tracked connection already."),
    ("insert", "Connections entered into the list."),
    ("insert_failed", "Connections that could not be entered into the list."),
    ("invalid", "Packets that cannot be tracked."),
    ("search_restart", "Look-ups begun again since the table was being resized."),
];

/// Reads `/proc/sys/net/netfilter/nf_conntrack_{count,max}` and `/proc/net/stat/nf_conntrack`.
pub struct Conntrack {
    count: HeldFile,
    limit: HeldFile,
    statistics: HeldFile,
}

impl Conntrack {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        let file = |path| HeldFile::new(roots.procfs.join(path));
        Self {
            count: file("sys/net/netfilter/nf_conntrack_count"),
            limit: file("sys/net/netfilter/nf_conntrack_max"),
            statistics: file("net/stat/nf_conntrack"),
        }
    }
}

impl Collector for Conntrack {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let (Some(count), Some(limit)) = (self.count.number(), self.limit.number()) else {
            return Err(CollectError::NoData);
        };
        let mut gauge = |name: String, help: &'static str, value: u64| {
            out.push(Family::single(name, MetricKind::Gauge, help, value as f64));
        };
        let name = |what: &str| format!("node_nf_conntrack_{what}");
        gauge(name("entries"), "Connections that are tracked now.", count);
        gauge(name("entries_limit"), "Connections that can be tracked at most.", limit);
        let sums = parsed(&mut self.statistics, parse)?;
        for ((column, help), sum) in COLUMNS.iter().zip(sums) {
            gauge(name(&format!("stat_{column}")), help, sum);
        }
        Ok(())
    }
}

/// The sums over all processors, which have a line of hexadecimal numbers each. A column that a
/// kernel does not have is zero.
fn parse(text: &str) -> Result<[u64; COLUMNS.len()], Malformed> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split_ascii_whitespace().collect();
    let place = |(name, _): (&str, &str)| header.iter().position(|column| *column == name);
    let places = COLUMNS.map(place);
    let mut sums = [0_u64; COLUMNS.len()];
    for line in lines {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        for (sum, place) in sums.iter_mut().zip(places) {
            let Some(place) = place else { continue };
            let value = words.get(place).and_then(|word| u64::from_str_radix(word, 16).ok());
            let value = value.ok_or_else(|| {
                Malformed::new(line, "a hexadecimal number for each column of the first line")
            })?;
            *sum = sum.wrapping_add(value);
        }
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processors_are_added_up_by_the_names_of_the_columns() {
        let table = "entries clashres found invalid drop\n0a 00 01 02 10\n0a 00 02 02 01\n";
        assert_eq!(parse(table), Ok([0x11, 0, 3, 0, 0, 0, 4, 0]));
    }

    #[test]
    fn a_line_with_too_few_columns_is_told() {
        assert!(parse("entries found\n0a\n").is_err());
    }
}
