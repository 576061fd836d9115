//! `sockstat`: how many sockets there are of each kind, and the memory they take.

use std::collections::HashMap;
use std::str::SplitAsciiWhitespace;

use nix::unistd::{SysconfVar, sysconf};

use super::collector::{CollectError, Collector, Malformed, reading};
use super::families::KnownNames;
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// Reads `/proc/net/sockstat` and `/proc/net/sockstat6`.
pub struct Sockstat {
    files: [HeldFile; 2],
    page_bytes: f64,
    /// By the kind of sockets.
    names: HashMap<String, KnownNames>,
}

impl Sockstat {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4096);
        Self {
            files: ["net/sockstat", "net/sockstat6"]
                .map(|path| HeldFile::of_short_lines(roots.procfs.join(path))),
            page_bytes: page as f64,
            names: HashMap::new(),
        }
    }
}

impl Collector for Sockstat {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let Self { files: [four, six], page_bytes, names } = self;
        let path = four.shared_path();
        let text = four.text().map_err(reading(&path))?;
        add(&text, *page_bytes, names, out).map_err(|line| line.of(&path))?;
        let path = six.shared_path();
        // Absent where IPv6 is switched off.
        let Ok(text) = six.text() else { return Ok(()) };
        add(&text, *page_bytes, names, out).map_err(|line| line.of(&path))
    }
}

fn add(
    text: &str,
    page_bytes: f64,
    names: &mut HashMap<String, KnownNames>,
    out: &mut Vec<Family>,
) -> Result<(), Malformed> {
    for line in text.lines() {
        let (kind, counts) = parse(line)?;
        if !names.contains_key(kind) {
            names.insert(kind.to_owned(), KnownNames::default());
        }
        let Some(names) = names.get_mut(kind) else { continue };
        for count in counts {
            let (what, value) = count?;
            let [name, help] = names.get(what, || {
                let help = format!("Sockets of the kind {kind}: {what}.");
                [format!("node_sockstat_{kind}_{what}"), help]
            });
            out.push(Family::single(name, MetricKind::Gauge, help, value));
            if what == "mem" {
                let [name, help] = names.get("mem_bytes", || {
                    let help = format!("Memory of sockets of the kind {kind}, in bytes.");
                    [format!("node_sockstat_{kind}_mem_bytes"), help]
                });
                out.push(Family::single(name, MetricKind::Gauge, help, value * page_bytes));
            }
        }
    }
    Ok(())
}

/// Names and numbers, as a line has them.
struct Counts<'l> {
    line: &'l str,
    words: SplitAsciiWhitespace<'l>,
}

impl<'l> Iterator for Counts<'l> {
    type Item = Result<(&'l str, f64), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let name = self.words.next()?;
        let number = self.words.next().and_then(|number| number.parse().ok());
        Some(number.map(|number| (name, number)).ok_or_else(|| malformed(self.line)))
    }
}

/// `KIND: NAME NUMBER NAME NUMBER ...`
fn parse(line: &str) -> Result<(&str, Counts<'_>), Malformed> {
    let (kind, rest) = line.split_once(':').ok_or_else(|| malformed(line))?;
    Ok((kind, Counts { line, words: rest.split_ascii_whitespace() }))
}

fn malformed(line: &str) -> Malformed {
    Malformed::new(line, "`KIND:` and pairs of a name and a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_in_pages_and_in_bytes() {
        let mut families = Vec::new();
        add("TCP: inuse 4 mem 2\n", 4096.0, &mut HashMap::new(), &mut families).unwrap();
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
        let fails = |line| add(line, 1.0, &mut HashMap::new(), &mut Vec::new()).is_err();
        assert!(fails("TCP: inuse") && fails("TCP inuse 4"));
    }
}
