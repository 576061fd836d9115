//! `netdev`: what went through each network interface, and what went wrong there.

use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector, Malformed, reading};
use super::families::KnownLabels;
use super::filter::Filter;
use super::links::{Asker, COUNTERS, SharedLinks};
use crate::event::metric::{Family, Labels, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// The columns of `/proc/net/dev`, under the names of their families, with what they count; and
/// one more that only netlink tells of.
const COLUMNS: [(&str, &str); 17] = [
    ("node_network_receive_bytes_total", "Bytes received."),
    ("node_network_receive_packets_total", "Packets received."),
    ("node_network_receive_errs_total", "Packets received with an error of any kind."),
    ("node_network_receive_drop_total", "Packets received and thrown away."),
    ("node_network_receive_fifo_total", "Packets lost since a receive queue was full."),
    ("node_network_receive_frame_total", "Packets received with a broken frame."),
    ("node_network_receive_compressed_total", "Compressed packets received."),
    ("node_network_receive_multicast_total", "Multicast packets received."),
    ("node_network_transmit_bytes_total", "Bytes sent."),
    ("node_network_transmit_packets_total", "Packets sent."),
    ("node_network_transmit_errs_total", "Packets that could not be sent, for any reason."),
    ("node_network_transmit_drop_total", "Packets thrown away instead of sent."),
    ("node_network_transmit_fifo_total", "Packets lost since a send queue was full."),
    ("node_network_transmit_colls_total", "Collisions while sending."),
    ("node_network_transmit_carrier_total", "Packets lost since the carrier was."),
    ("node_network_transmit_compressed_total", "Compressed packets sent."),
    ("node_network_receive_nohandler_total", "Packets received that nobody wanted."),
];
const IN_FILE: usize = 16;

/// What to tell of.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Interfaces, by name.
    pub devices: Filter,
}

/// Asks over netlink; reads `/proc/net/dev` where that cannot be, or where `/proc` is another
/// host's.
pub struct Netdev {
    file: HeldFile,
    links: Option<SharedLinks>,
    options: Options,
    labels: KnownLabels,
    /// What was found last: its memory is used again.
    found: Vec<Found>,
}

impl Netdev {
    /// The collector for a host.
    pub fn new(roots: &Roots, options: &Options, links: &SharedLinks) -> Self {
        Self {
            file: HeldFile::new(roots.procfs.join("net/dev")),
            links: roots.is_live().then(|| links.clone()),
            options: options.clone(),
            labels: KnownLabels::default(),
            found: Vec::new(),
        }
    }
}

impl Collector for Netdev {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let Self { file, links, options, labels, found } = self;
        labels.begin();
        let mut add = |found: &mut Vec<Found>, device: &str, values: &[u64]| {
            if options.devices.allows(device) {
                let mut found_values = [0; COLUMNS.len()];
                let known = values.len().min(COLUMNS.len());
                found_values[..known].copy_from_slice(&values[..known]);
                let labels = labels.get([("device", device)]);
                found.push(Found { labels, values: found_values, known });
            }
        };
        found.clear();
        let asked = links.as_ref().map(|links| {
            links.read(Asker::Counters, |links| {
                for link in links {
                    if let Some(counters) = &link.counters {
                        add(found, &link.name, &columns(counters));
                    }
                }
            })
        });
        if !matches!(asked, Some(Ok(()))) {
            found.clear();
            let path = file.shared_path();
            let text = file.text().map_err(reading(&path))?;
            for line in text.lines().skip(2) {
                let (device, values) = parse(line).map_err(|line| line.of(&path))?;
                add(found, device, &values);
            }
        }
        // Once here, and not once for each family that is made of them.
        found.sort_unstable_by(|one, other| one.labels.cmp(&other.labels));
        out.extend(COLUMNS.iter().enumerate().map(|(at, (name, help))| {
            let family = Family::new(*name, MetricKind::Counter, *help);
            let mut family = family.with_room(found.len());
            for Found { labels, values, .. } in found.iter().filter(|it| at < it.known) {
                family.push(labels.clone(), values[at] as f64);
            }
            family
        }));
        Ok(())
    }
}

/// What was found of an interface.
struct Found {
    labels: Labels,
    values: [u64; COLUMNS.len()],
    /// How many of them are known.
    known: usize,
}

/// The kernel's counters, put together as `/proc/net/dev` has them.
fn columns(counters: &[u64; COUNTERS]) -> [u64; COLUMNS.len()] {
    let [
        received,
        sent,
        bytes_received,
        bytes_sent,
        receive_errors,
        send_errors,
        receive_dropped,
        send_dropped,
        multicast,
        collisions,
        length,
        over,
        crc,
        frame,
        receive_fifo,
        missed,
        aborted,
        carrier,
        send_fifo,
        heartbeat,
        window,
        receive_compressed,
        send_compressed,
        no_handler,
    ] = *counters;
    let sum = |parts: &[u64]| parts.iter().fold(0_u64, |sum, part| sum.wrapping_add(*part));
    [
        bytes_received,
        received,
        receive_errors,
        sum(&[receive_dropped, missed]),
        receive_fifo,
        sum(&[frame, length, over, crc]),
        receive_compressed,
        multicast,
        bytes_sent,
        sent,
        send_errors,
        send_dropped,
        send_fifo,
        collisions,
        sum(&[carrier, aborted, heartbeat, window]),
        send_compressed,
        no_handler,
    ]
}

/// An interface and its columns. A name may hold a colon (an alias), so the last one separates.
fn parse(line: &str) -> Result<(&str, [u64; IN_FILE]), Malformed> {
    let malformed = || Malformed::new(line, "`interface:` and sixteen counters");
    let (device, counters) = line.rsplit_once(':').ok_or_else(malformed)?;
    let mut words = counters.split_ascii_whitespace();
    let mut values = [0; IN_FILE];
    for value in &mut values {
        *value = words.next().and_then(|word| word.parse().ok()).ok_or_else(malformed)?;
    }
    Ok((device.trim(), values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_read_even_where_no_space_follows_its_colon() {
        let (device, values) =
            parse("  eth0:437303281 23689 1 2 3 4 5 6 1351506 12469 7 8 9 10 11 12").unwrap();
        assert_eq!(device, "eth0");
        assert_eq!(values[..3], [437_303_281, 23_689, 1]);
        assert_eq!(values[15], 12);
    }

    #[test]
    fn a_line_with_too_few_counters_is_told() {
        assert!(parse("eth0: 1 2 3").is_err());
        assert!(parse("eth0").is_err());
    }

    #[test]
    fn the_counters_of_netlink_come_in_the_columns_of_the_file() {
        let columns = columns(&std::array::from_fn(|at| 1 << at));
        assert_eq!(columns[3], (1 << 6) + (1 << 15), "dropped and missed");
        assert_eq!(columns[5], (1 << 10) + (1 << 11) + (1 << 12) + (1 << 13), "broken frames");
        assert_eq!(columns[14], (1 << 16) + (1 << 17) + (1 << 19) + (1 << 20), "no carrier");
        assert_eq!(columns.iter().sum::<u64>(), (1 << 24) - 1, "none is left out or told twice");
    }
}
