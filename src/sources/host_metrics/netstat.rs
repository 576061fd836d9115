//! `netstat`: the kernel's counters of IP, ICMP, TCP and UDP.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector, Malformed, reading};
use super::filter::Pattern;
use crate::event::metric::{Family, MetricKind, Text};
use crate::host::{proc::HeldFile, roots::Roots};

/// What to tell of.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Counters, by `Protocol_Name`; given here, it stands in place of the default, which is
    /// `node_exporter`'s.
    pub fields: Option<Pattern>,
}

/// Reads `/proc/net/netstat`, `/proc/net/snmp` and `/proc/net/snmp6`.
pub struct Netstat {
    tables: [HeldFile; 2],
    list: HeldFile,
    options: Options,
    /// Columns wanted of a table, by its line of names.
    columns: HashMap<String, Vec<(usize, Wanted)>>,
    /// What becomes of an entry of the list, by its name; nothing where it is not wanted.
    entries: HashMap<String, Option<Wanted>>,
}

/// The family of a counter.
#[derive(Clone)]
struct Wanted {
    name: Text,
    help: Text,
}

impl Wanted {
    fn family(&self, value: f64) -> Family {
        let (name, help) = (self.name.clone(), self.help.clone());
        Family::single(name, MetricKind::Untyped, help, value)
    }
}

impl Netstat {
    /// The collector for a host.
    pub fn new(roots: &Roots, options: &Options) -> Self {
        let file = |path| HeldFile::of_short_lines(roots.procfs.join(path));
        Self {
            tables: [file("net/netstat"), file("net/snmp")],
            list: file("net/snmp6"),
            options: options.clone(),
            columns: HashMap::new(),
            entries: HashMap::new(),
        }
    }
}

impl Options {
    fn wanted(&self, protocol: &str, name: &str) -> Option<Wanted> {
        let field = format!("{protocol}_{name}");
        let is_wanted = match &self.fields {
            Some(fields) => fields.is_in(&field),
            None => is_default(protocol, name),
        };
        is_wanted.then(|| Wanted {
            name: format!("node_netstat_{field}").into(),
            help: format!("The kernel's counter {name} of {protocol}.").into(),
        })
    }
}

/// Those that `node_exporter` takes by default.
fn is_default(protocol: &str, name: &str) -> bool {
    let starts = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
    let errors = ["InErrors", "InErrs"].iter().any(|end| {
        name == *end || {
            // Its expression is tied to the end of the name only.
            name.ends_with(&format!("_{end}"))
        }
    });
    errors
        || match protocol {
            "Ip" => name == "Forwarding",
            "Ip6" | "IpExt" => matches!(name, "InOctets" | "OutOctets"),
            "Icmp" | "Icmp6" => matches!(name, "InMsgs" | "OutMsgs"),
            "TcpExt" => {
                starts(&["Listen", "Syncookies"])
                    || matches!(
                        name,
                        "TCPSynRetrans" | "TCPTimeouts" | "TCPOFOQueue" | "TCPRcvQDrop"
                    )
            }
            "Tcp" => matches!(
                name,
                "ActiveOpens"
                    | "InSegs"
                    | "OutSegs"
                    | "OutRsts"
                    | "PassiveOpens"
                    | "RetransSegs"
                    | "CurrEstab"
            ),
            "Udp" | "Udp6" => matches!(
                name,
                "InDatagrams" | "OutDatagrams" | "NoPorts" | "RcvbufErrors" | "SndbufErrors"
            ),
            _ => false,
        }
}

impl Collector for Netstat {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let Self { tables, list, options, columns, entries } = self;
        for file in tables {
            let path = file.shared_path();
            let text = file.text().map_err(reading(&path))?;
            add_table(&text, options, columns, out).map_err(|line| line.of(&path))?;
        }
        let path = list.shared_path();
        // Absent where IPv6 is switched off.
        let Ok(text) = list.text() else { return Ok(()) };
        add_list(&text, options, entries, out).map_err(|line| line.of(&path))
    }
}

/// Pairs of lines, `Protocol: NAME...` and `Protocol: NUMBER...`.
fn add_table(
    text: &str,
    options: &Options,
    known: &mut HashMap<String, Vec<(usize, Wanted)>>,
    out: &mut Vec<Family>,
) -> Result<(), Malformed> {
    let mut lines = text.lines();
    while let (Some(names), Some(numbers)) = (lines.next(), lines.next()) {
        if !known.contains_key(names) {
            let (protocol, fields) = names
                .split_once(':')
                .ok_or_else(|| Malformed::new(names, "a protocol and its counters' names"))?;
            let wanted = fields.split_ascii_whitespace().enumerate();
            let wanted =
                wanted.filter_map(|(at, name)| Some((at, options.wanted(protocol, name)?)));
            known.insert(names.to_owned(), wanted.collect());
        }
        let wanted = known.get(names).map(Vec::as_slice).unwrap_or_default();
        let Some((_, numbers)) = numbers.split_once(':') else {
            return Err(Malformed::new(numbers, "a protocol and its counters' values"));
        };
        // Both ascend, so one pass over the numbers is enough.
        let mut words = numbers.split_ascii_whitespace().enumerate();
        for (place, wanted) in wanted {
            let value = words.find(|(at, _)| at == place).and_then(|(_, word)| word.parse().ok());
            let value =
                value.ok_or_else(|| Malformed::new(numbers.trim(), "a number for each name"))?;
            out.push(wanted.family(value));
        }
    }
    Ok(())
}

/// Lines `Ip6InReceives  NUMBER`.
fn add_list(
    text: &str,
    options: &Options,
    known: &mut HashMap<String, Option<Wanted>>,
    out: &mut Vec<Family>,
) -> Result<(), Malformed> {
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(entry), Some(number)) = (words.next(), words.next()) else {
            return Err(Malformed::new(line, "a counter's name and its value"));
        };
        if !known.contains_key(entry) {
            let parts = entry.find('6').map(|at| entry.split_at(at + 1));
            let wanted = parts.and_then(|(protocol, name)| options.wanted(protocol, name));
            known.insert(entry.to_owned(), wanted);
        }
        let Some(wanted) = known.get(entry).and_then(Option::as_ref) else { continue };
        let value = number.parse().map_err(|_| Malformed::new(line, "a number after the name"))?;
        out.push(wanted.family(value));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(options: &Options) -> Vec<String> {
        let (mut out, mut known) = (Vec::new(), HashMap::new());
        let text = "Tcp: RtoMin MaxConn InSegs InErrs\nTcp: 200 -1 5 0\n\
            Udp: InDatagrams InErrors\nUdp: 1 2\n";
        for _ in 0..2 {
            out.clear();
            add_table(text, options, &mut known, &mut out).unwrap();
        }
        let list = "Ip6InOctets 7\nIp6InReceives 1\nUdpLite6InErrors 0\n";
        add_list(list, options, &mut HashMap::new(), &mut out).unwrap();
        out.iter().map(|family| family.name.replace("node_netstat_", "")).collect()
    }

    #[test]
    fn the_counters_of_node_exporter_are_taken_unasked() {
        let expected = [
            "Tcp_InSegs",
            "Tcp_InErrs",
            "Udp_InDatagrams",
            "Udp_InErrors",
            "Ip6_InOctets",
            "UdpLite6_InErrors",
        ];
        assert_eq!(names(&Options::default()), expected);
    }

    #[test]
    fn others_are_taken_when_they_are_asked_for() {
        let options = Options { fields: Some("^Tcp_(MaxConn|RtoMin)$".parse().unwrap()) };
        assert_eq!(names(&options), ["Tcp_RtoMin", "Tcp_MaxConn"]);
    }

    #[test]
    fn a_missing_number_is_told() {
        let text = "Tcp: RtoMin InSegs\nTcp: 200\n";
        let told = add_table(text, &Options::default(), &mut HashMap::new(), &mut Vec::new());
        assert!(told.is_err());
    }
}
