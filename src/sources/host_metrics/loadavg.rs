//! `loadavg`: how many tasks want a processor, averaged over one, five and fifteen minutes.

use super::collector::{CollectError, Collector, Malformed, parsed};
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// Reads `/proc/loadavg`.
pub struct Loadavg {
    file: HeldFile,
}

impl Loadavg {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { file: HeldFile::of_short_lines(roots.procfs.join("loadavg")) }
    }
}

impl Collector for Loadavg {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let [one, five, fifteen] = parsed(&mut self.file, parse)?;
        let gauge = |name, help, value| Family::single(name, MetricKind::Gauge, help, value);
        out.push(gauge("node_load1", "Load average over one minute.", one));
        out.push(gauge("node_load15", "Load average over fifteen minutes.", fifteen));
        out.push(gauge("node_load5", "Load average over five minutes.", five));
        Ok(())
    }
}

/// The averages over 1, 5 and 15 minutes: the first three words.
fn parse(text: &str) -> Result<[f64; 3], Malformed> {
    let malformed = || Malformed::new(text.trim_end(), "three averages");
    let mut words = text.split_ascii_whitespace().map(str::parse);
    let mut next = || words.next().and_then(Result::ok).ok_or_else(malformed);
    Ok([next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_three_numbers_are_the_averages() {
        assert_eq!(parse("0.21 0.37 0.39 1/719 19737\n"), Ok([0.21, 0.37, 0.39]));
    }

    #[test]
    fn a_missing_average_is_no_zero() {
        assert_eq!(parse("0.21 0.37\n").unwrap_err().found, "0.21 0.37");
    }
}
