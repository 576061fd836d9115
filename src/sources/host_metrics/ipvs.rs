//! `ipvs`: the kernel's load balancer: its connections, and those of each server behind it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector, Malformed, parsed_if_there};
use super::families::Families;
use crate::event::metric::{Family, Labels, Text};
use crate::host::{proc::HeldFile, roots::Roots};

/// Columns of the statistics, in their order.
const TOTALS: [(&str, &str); 5] = [
    ("node_ipvs_connections_total", "Connections made."),
    ("node_ipvs_incoming_packets_total", "Packets from clients."),
    ("node_ipvs_outgoing_packets_total", "Packets to clients."),
    ("node_ipvs_incoming_bytes_total", "Bytes from clients."),
    ("node_ipvs_outgoing_bytes_total", "Bytes to clients."),
];

/// What tells servers apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// The service's address.
    LocalAddress,
    /// The mark of the firewall that stands for the service.
    LocalMark,
    /// The service's port.
    LocalPort,
    /// The service's protocol.
    Proto,
    /// The server's address.
    RemoteAddress,
    /// The server's port.
    RemotePort,
}

const LABELS: [(Label, &str); 6] = [
    (Label::LocalAddress, "local_address"),
    (Label::LocalMark, "local_mark"),
    (Label::LocalPort, "local_port"),
    (Label::Proto, "proto"),
    (Label::RemoteAddress, "remote_address"),
    (Label::RemotePort, "remote_port"),
];

/// What to tell of.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Labels of the servers' metrics; what is alike in all of them is added up. Where nothing is
    /// said, all six: `local_address`, `local_mark`, `local_port`, `proto`, `remote_address` and
    /// `remote_port`.
    pub backend_labels: Option<Vec<Label>>,
}

impl Options {
    fn has(&self, label: Label) -> bool {
        self.backend_labels.as_ref().is_none_or(|labels| labels.contains(&label))
    }
}

/// Reads `/proc/net/ip_vs_stats` and `/proc/net/ip_vs`.
pub struct Ipvs {
    totals: HeldFile,
    servers: HeldFile,
    options: Options,
}

impl Ipvs {
    /// The collector for a host.
    pub fn new(roots: &Roots, options: &Options) -> Self {
        let file = |path| HeldFile::new(roots.procfs.join(path));
        let options = options.clone();
        Self { totals: file("net/ip_vs_stats"), servers: file("net/ip_vs"), options }
    }
}

impl Collector for Ipvs {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let totals = parsed_if_there(&mut self.totals, parse_totals)?;
        let mut families = Families::default();
        for ((name, help), value) in TOTALS.iter().zip(totals) {
            families.counter(*name, *help, Vec::new(), value as f64);
        }
        let path = self.servers.shared_path();
        let text = self.servers.text().map_err(|_| CollectError::NoData)?;
        let servers = parse_servers(&text).map_err(|line| line.of(&path))?;
        for (told, [weight, active, inactive]) in summed(servers, &self.options) {
            let values = [
                ("node_ipvs_backend_connections_active", "Connections to a server.", active),
                (
                    "node_ipvs_backend_connections_inactive",
                    "Connections to a server that rest or are being closed.",
                    inactive,
                ),
                ("node_ipvs_backend_weight", "A server's share of connections.", weight),
            ];
            for (name, help, value) in values {
                families.gauge(name, help, told.clone(), value as f64);
            }
        }
        out.extend(Vec::from(families));
        Ok(())
    }
}

/// The servers' values by the labels wanted; those of servers that are alike in them are added up.
fn summed(servers: BTreeMap<Server, Values>, options: &Options) -> BTreeMap<Labels, Values> {
    let mut sums: BTreeMap<Labels, Values> = BTreeMap::new();
    for (server, values) in servers {
        let value = |label| match label {
            Label::LocalAddress => &server.local.0,
            Label::LocalMark => &server.mark,
            Label::LocalPort => &server.local.1,
            Label::Proto => &server.protocol,
            Label::RemoteAddress => &server.remote.0,
            Label::RemotePort => &server.remote.1,
        };
        let wanted = LABELS.into_iter().filter(|(label, _)| options.has(*label));
        let labels =
            wanted.map(|(label, name)| (name.into(), Text::shared(value(label)))).collect();
        add(sums.entry(labels).or_default(), values);
    }
    sums
}

fn add(sums: &mut Values, values: Values) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum = sum.wrapping_add(value);
    }
}

/// The third line: five hexadecimal numbers.
fn parse_totals(text: &str) -> Result<[u64; 5], Malformed> {
    let line = text.lines().nth(2).unwrap_or_default();
    let mut words = line.split_ascii_whitespace();
    let mut totals = [0; 5];
    for total in &mut totals {
        let value = words.next().and_then(|word| u64::from_str_radix(word, 16).ok());
        *total = value.ok_or_else(|| Malformed::new(line, "five hexadecimal numbers"))?;
    }
    Ok(totals)
}

/// Weight, connections, and connections that rest.
type Values = [u64; 3];

/// A server behind a service; addresses with their ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Server {
    protocol: String,
    local: (String, String),
    mark: String,
    remote: (String, String),
}

/// Weight, connections and resting connections by server. A service's line is followed by its
/// servers', which begin with `->`.
fn parse_servers(text: &str) -> Result<BTreeMap<Server, Values>, Malformed> {
    let mut servers: BTreeMap<Server, Values> = BTreeMap::new();
    let mut service = Server::default();
    for line in text.lines().skip(3) {
        let malformed = || Malformed::new(line, "a service, or a server with its connections");
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words[..] {
            ["->", address, _, weight, active, inactive] => {
                let mut server = service.clone();
                server.remote = address_and_port(address).ok_or_else(malformed)?;
                let mut values = Values::default();
                for (value, word) in values.iter_mut().zip([weight, active, inactive]) {
                    *value = word.parse().map_err(|_| malformed())?;
                }
                add(servers.entry(server).or_default(), values);
            }
            ["FWM", mark, ..] => {
                let local = (String::new(), "0".to_owned());
                let (protocol, mark) = ("FWM".to_owned(), mark.to_owned());
                service = Server { protocol, local, mark, ..Server::default() };
            }
            [protocol, address, ..] => {
                let local = address_and_port(address).ok_or_else(malformed)?;
                service = Server { protocol: protocol.to_owned(), local, ..Server::default() };
            }
            _ => return Err(malformed()),
        }
    }
    Ok(servers)
}

/// `C0A80016:0CEA`, or `[2001:...]:0050`.
fn address_and_port(text: &str) -> Option<(String, String)> {
    let (address, port) = text.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?.to_string();
    let address = match address.strip_prefix('[') {
        Some(address) => {
            let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
            address.to_string()
        }
        None => Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?).to_string(),
    };
    Some((address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "IP Virtual Server version 1.2.1 (size=4096)\n\
        Prot LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port Forward Weight ...\n\
        TCP  C0A80016:0CEA wlc\n  -> C0A85216:0CEA Tunnel 100 248 2\n\
        FWM  10001000 wlc\n  -> [2001:0db8:0000:0000:0000:0000:0000:0001]:0050 Route 1 2 3\n";

    #[test]
    fn a_server_belongs_to_the_service_above_it() {
        let servers: Vec<_> = parse_servers(TEXT).unwrap().into_iter().collect();
        let [(marked, _), (plain, counts)] = &servers[..] else { panic!("{servers:?}") };
        assert_eq!(plain.local, ("192.168.0.22".into(), "3306".into()));
        assert_eq!(plain.remote.0, "192.168.82.22");
        assert_eq!(*counts, [100, 248, 2]);
        assert_eq!((&*marked.mark, &*marked.remote.0), ("10001000", "2001:db8::1"));
    }

    #[test]
    fn servers_that_are_alike_in_the_labels_wanted_are_added_up() {
        let two = TEXT.to_owned() + "TCP  C0A80016:0CEA wlc\n  -> C0A85217:0CEA Tunnel 7 1 1\n";
        let of = |wanted: Option<Vec<Label>>| {
            let options = Options { backend_labels: wanted };
            let summed = summed(parse_servers(&two).unwrap(), &options);
            let text = |labels: &Labels| {
                labels.iter().map(|(name, value)| format!("{name}={value} ")).collect::<String>()
            };
            summed.iter().map(|(labels, values)| (text(labels), *values)).collect::<Vec<_>>()
        };
        assert_eq!(of(None).len(), 3);
        let by_port = of(Some(vec![Label::Proto, Label::LocalPort]));
        let expected = [
            ("local_port=0 proto=FWM ".to_owned(), [1, 2, 3]),
            ("local_port=3306 proto=TCP ".to_owned(), [107, 249, 3]),
        ];
        assert_eq!(by_port, expected);
        assert_eq!(of(Some(Vec::new())), [(String::new(), [108, 251, 6])]);
    }

    #[test]
    fn the_totals_are_hexadecimal() {
        let text = "Total\nConns\n 16AA370 E33656E5 0 51D8C8883AB3 0\n";
        assert_eq!(parse_totals(text).unwrap()[0], 23_765_872);
        assert!(parse_totals("").is_err());
    }
}
