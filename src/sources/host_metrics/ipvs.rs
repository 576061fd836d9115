//! `ipvs`: the kernel's load balancer: its connections, and those of each server behind it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::collector::{CollectError, Collector, Malformed, parsed_if_there};
use super::families::{Families, labels};
use crate::event::metric::Family;
use crate::host::{proc::HeldFile, roots::Roots};

/// Columns of the statistics, in their order.
const TOTALS: [(&str, &str); 5] = [
    ("node_ipvs_connections_total", "Connections made."),
    ("node_ipvs_incoming_packets_total", "Packets from clients."),
    ("node_ipvs_outgoing_packets_total", "Packets to clients."),
    ("node_ipvs_incoming_bytes_total", "Bytes from clients."),
    ("node_ipvs_outgoing_bytes_total", "Bytes to clients."),
];

/// Reads `/proc/net/ip_vs_stats` and `/proc/net/ip_vs`.
pub struct Ipvs {
    totals: HeldFile,
    servers: HeldFile,
}

impl Ipvs {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        let file = |path| HeldFile::new(roots.procfs.join(path));
        Self { totals: file("net/ip_vs_stats"), servers: file("net/ip_vs") }
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
        for (server, [weight, active, inactive]) in
            parse_servers(&text).map_err(|line| line.of(&path))?
        {
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
                let told = labels([
                    ("local_address", &server.local.0),
                    ("local_mark", &server.mark),
                    ("local_port", &server.local.1),
                    ("proto", &server.protocol),
                    ("remote_address", &server.remote.0),
                    ("remote_port", &server.remote.1),
                ]);
                families.gauge(name, help, told, value as f64);
            }
        }
        out.extend(Vec::from(families));
        Ok(())
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
fn parse_servers(text: &str) -> Result<BTreeMap<Server, [u64; 3]>, Malformed> {
    let mut servers: BTreeMap<Server, [u64; 3]> = BTreeMap::new();
    let mut service = Server::default();
    for line in text.lines().skip(3) {
        let malformed = || Malformed::new(line, "a service, or a server with its connections");
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words[..] {
            ["->", address, _, weight, active, inactive] => {
                let mut server = service.clone();
                server.remote = address_and_port(address).ok_or_else(malformed)?;
                let sums = servers.entry(server).or_default();
                for (sum, word) in sums.iter_mut().zip([weight, active, inactive]) {
                    let value: u64 = word.parse().map_err(|_| malformed())?;
                    *sum = sum.wrapping_add(value);
                }
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
    fn the_totals_are_hexadecimal() {
        let text = "Total\nConns\n 16AA370 E33656E5 0 51D8C8883AB3 0\n";
        assert_eq!(parse_totals(text).unwrap()[0], 23_765_872);
        assert!(parse_totals("").is_err());
    }
}
