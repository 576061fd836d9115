//! `sockstat`: how many sockets there are of each kind, and the memory they take.

use nix::unistd::{SysconfVar, sysconf};

use super::collector::{CollectError, Collector, Malformed, reading};
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// Reads `/proc/net/sockstat` and `/proc/net/sockstat6`.
pub struct Sockstat {
    files: [HeldFile; 2],
    page_bytes: f64,
}

impl Sockstat {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4096);
        Self {
            files: ["net/sockstat", "net/sockstat6"]
                .map(|path| HeldFile::new(roots.procfs.join(path))),
            page_bytes: page as f64,
        }
    }
}

impl Collector for Sockstat {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let [four, six] = &mut self.files;
        let path = four.path().to_owned();
        let text = four.text().map_err(reading(&path))?;
        add(&text, self.page_bytes, out).map_err(|line| line.of(&path))?;
        let path = six.path().to_owned();
        // Absent where IPv6 is switched off.
        let Ok(text) = six.text() else { return Ok(()) };
        add(&text, self.page_bytes, out).map_err(|line| line.of(&path))
    }
}

fn add(text: &str, page_bytes: f64, out: &mut Vec<Family>) -> Result<(), Malformed> {
    for line in text.lines() {
        let (kind, counts) = parse(line)?;
        for (what, value) in counts {
            let help = format!("Sockets of the kind {kind}: {what}.");
            let name = format!("node_sockstat_{kind}_{what}");
            out.push(Family::single(name, MetricKind::Gauge, help, value));
            if what == "mem" {
                let help = format!("Memory of sockets of the kind {kind}, in bytes.");
                let name = format!("node_sockstat_{kind}_mem_bytes");
                out.push(Family::single(name, MetricKind::Gauge, help, value * page_bytes));
            }
        }
    }
    Ok(())
}

/// `KIND: NAME NUMBER NAME NUMBER ...`
fn parse(line: &str) -> Result<(&str, Vec<(&str, f64)>), Malformed> {
    let malformed = || Malformed::new(line, "`KIND:` and pairs of a name and a number");
    let (kind, rest) = line.split_once(':').ok_or_else(malformed)?;
    let words: Vec<&str> = rest.split_ascii_whitespace().collect();
    let pair = |pair: &[&'_ str]| match pair {
        [_, number] => number.parse().ok(),
        _ => None,
    };
    let counts = words.chunks(2).map(|chunk| pair(chunk).map(|value| (chunk[0], value)));
    Ok((kind, counts.collect::<Option<Vec<_>>>().ok_or_else(malformed)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_in_pages_and_in_bytes() {
        let mut families = Vec::new();
        add("TCP: inuse 4 mem 2\n", 4096.0, &mut families).unwrap();
        let told: Vec<_> = families
            .iter()
            .map(|family| (&*family.name, family.samples[0].value.clone()))
            .collect();
        let number = crate::event::metric::SampleValue::Number;
        assert_eq!(told[1], ("node_sockstat_TCP_mem", number(2.0)));
        assert_eq!(told[2], ("node_sockstat_TCP_mem_bytes", number(8192.0)));
    }

    #[test]
    fn a_name_without_its_number_is_told() {
        assert!(parse("TCP: inuse").is_err() && parse("TCP inuse 4").is_err());
    }
}
