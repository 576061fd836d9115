//! `netdev`: what went through each network interface, and what went wrong there.

use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector, Malformed, reading};
use super::families::KnownLabels;
use super::filter::Filter;
use super::links::{COUNTERS, Links};
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
    links: Option<Links>,
    options: Options,
    labels: KnownLabels,
    /// How many interfaces were told of last.
    told: usize,
}

impl Netdev {
    /// The collector for a host.
    pub fn new(roots: &Roots, options: &Options) -> Self {
        Self {
            file: HeldFile::new(roots.procfs.join("net/dev")),
            links: roots.is_live().then(Links::default),
            options: options.clone(),
            labels: KnownLabels::default(),
            told: 0,
        }
    }
}

impl Collector for Netdev {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let Self { file, links, options, labels, told } = self;
        labels.begin();
        let mut found = Found::new(*told);
        let mut add = |found: &mut Found, device: &str, values: &[u64]| {
            if options.devices.allows(device) {
                found.add(&labels.get([("device", device)]), values);
            }
        };
        let asked = links.as_mut().map(|links| {
            links.each(|device, counters| add(&mut found, device, &columns(counters)))
        });
        if !matches!(asked, Some(Ok(()))) {
            found = Found::new(*told);
            let path = file.shared_path();
            let text = file.text().map_err(reading(&path))?;
            for line in text.lines().skip(2) {
                let (device, values) = parse(line).map_err(|line| line.of(&path))?;
                add(&mut found, device, &values);
            }
        }
        *told = found.devices;
        out.extend(found.families);
        Ok(())
    }
}

/// What was found so far.
struct Found {
    families: [Family; COLUMNS.len()],
    devices: usize,
}

impl Found {
    /// Nothing yet, with room for so many interfaces.
    fn new(room: usize) -> Self {
        let counter = |(name, help)| Family::new(name, MetricKind::Counter, help).with_room(room);
        Self { families: COLUMNS.map(counter), devices: 0 }
    }

    fn add(&mut self, labels: &Labels, values: &[u64]) {
        self.devices += 1;
        for (family, value) in self.families.iter_mut().zip(values) {
            family.push(labels.clone(), *value as f64);
        }
    }
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
