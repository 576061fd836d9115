//! `conntrack`: how full the table of tracked connections is, and what went wrong there.

use super::collector::{CollectError, Collector, Malformed, parsed};
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// Columns of the kernel's statistics: name, family, and what they count.
const COLUMNS: [(&str, &str, &str); 8] = [
    ("drop", "node_nf_conntrack_stat_drop", "Packets dropped since tracking them did not work."),
    (
        "early_drop",
        "node_nf_conntrack_stat_early_drop",
        "Connections forgotten to make room for others.",
    ),
    ("found", "node_nf_conntrack_stat_found", "Look-ups that found their connection."),
    (
        "ignore",
        "node_nf_conntrack_stat_ignore",
        "Packets that belong to a tracked connection already.",
    ),
    ("insert", "node_nf_conntrack_stat_insert", "Connections entered into the list."),
    (
        "insert_failed",
        "node_nf_conntrack_stat_insert_failed",
        "Connections that could not be entered into the list.",
    ),
    ("invalid", "node_nf_conntrack_stat_invalid", "Packets that cannot be tracked."),
    (
        "search_restart",
        "node_nf_conntrack_stat_search_restart",
        "Look-ups begun again since the table was being resized.",
    ),
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
        let file = |path| HeldFile::of_short_lines(roots.procfs.join(path));
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
        let mut gauge = |name: &'static str, help: &'static str, value: u64| {
            out.push(Family::single(name, MetricKind::Gauge, help, value as f64));
        };
        gauge("node_nf_conntrack_entries", "Connections that are tracked now.", count);
        let help = "Connections that can be tracked at most.";
        gauge("node_nf_conntrack_entries_limit", help, limit);
        let sums = parsed(&mut self.statistics, parse)?;
        for ((_, name, help), sum) in COLUMNS.iter().zip(sums) {
            gauge(name, help, sum);
        }
        Ok(())
    }
}

/// The sums over all processors, which have a line of hexadecimal numbers each. A column that a
/// kernel does not have is zero.
fn parse(text: &str) -> Result<[u64; COLUMNS.len()], Malformed> {
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    let place = |(name, ..): (&str, &str, &str)| {
        header.split_ascii_whitespace().position(|column| column == name)
    };
    let places = COLUMNS.map(place);
    let mut sums = [0_u64; COLUMNS.len()];
    for line in lines {
        let mut missing = places.iter().flatten().count();
        for (at, word) in line.split_ascii_whitespace().enumerate() {
            let Some(column) = places.iter().position(|place| *place == Some(at)) else { continue };
            let Ok(value) = u64::from_str_radix(word, 16) else { break };
            sums[column] = sums[column].wrapping_add(value);
            missing -= 1;
        }
        if missing > 0 {
            let expected = "a hexadecimal number for each column of the first line";
            return Err(Malformed::new(line, expected));
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
