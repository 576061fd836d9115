//! `netdev`: what went through each network interface, and what went wrong there.

use std::net::IpAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector, Malformed, reading};
use super::families::{KnownLabels, labels};
use super::filter::Filter;
use super::links::{Asker, COUNTERS, SharedLinks};
use crate::event::metric::{Family, Labels, MetricKind};
use crate::host::addresses::{self, Binding};
use crate::host::{proc::HeldFile, roots::Roots, sysfs};

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

/// The kernel's counters, each in a family of its own, in the order of netlink's answer.
const DETAILS: [(&str, &str); COUNTERS] = [
    ("node_network_receive_packets_total", "Packets received."),
    ("node_network_transmit_packets_total", "Packets sent."),
    ("node_network_receive_bytes_total", "Bytes received."),
    ("node_network_transmit_bytes_total", "Bytes sent."),
    ("node_network_receive_errors_total", "Packets received with an error of any kind."),
    ("node_network_transmit_errors_total", "Packets that could not be sent, for any reason."),
    ("node_network_receive_dropped_total", "Packets received and thrown away for want of room."),
    ("node_network_transmit_dropped_total", "Packets thrown away instead of sent."),
    ("node_network_multicast_total", "Multicast packets received."),
    ("node_network_collisions_total", "Collisions while sending."),
    ("node_network_receive_length_errors_total", "Packets received of a wrong length."),
    ("node_network_receive_over_errors_total", "Packets received that were too large."),
    ("node_network_receive_crc_errors_total", "Packets received with a wrong checksum."),
    ("node_network_receive_frame_errors_total", "Packets received with a broken frame."),
    ("node_network_receive_fifo_errors_total", "Packets lost since a receive queue was full."),
    ("node_network_receive_missed_errors_total", "Packets that the host had no room to take."),
    ("node_network_transmit_aborted_errors_total", "Packets whose sending was given up."),
    ("node_network_transmit_carrier_errors_total", "Packets lost since the carrier was."),
    ("node_network_transmit_fifo_errors_total", "Packets lost since a send queue was full."),
    ("node_network_transmit_heartbeat_errors_total", "Packets lost for want of a heartbeat."),
    ("node_network_transmit_window_errors_total", "Packets lost to late collisions."),
    ("node_network_receive_compressed_total", "Compressed packets received."),
    ("node_network_transmit_compressed_total", "Compressed packets sent."),
    ("node_network_receive_nohandler_total", "Packets received that nobody wanted."),
];

/// What to tell of.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Interfaces, by name.
    pub devices: Filter,
    /// Tell of the interfaces' addresses too, in `node_network_address_info`.
    pub address_info: bool,
    /// Tell of each of the kernel's counters under its own name, where `/proc/net/dev` adds some up:
    /// `node_network_receive_crc_errors_total` and others in place of
    /// `node_network_receive_frame_total`. Where netlink cannot be asked, all is as in that file.
    pub detailed: bool,
    /// Tell of each interface with what somebody called it beside its name too, in the label
    /// `ifalias`.
    pub alias_label: bool,
}

/// Asks over netlink; reads `/proc/net/dev` where that cannot be, or where `/proc` is another
/// host's.
pub struct Netdev {
    file: HeldFile,
    /// `/sys/class/net`.
    folder: PathBuf,
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
            folder: roots.sysfs.join("class/net"),
            links: roots.is_live().then(|| links.clone()),
            options: options.clone(),
            labels: KnownLabels::default(),
            found: Vec::new(),
        }
    }
}

impl Collector for Netdev {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let Self { file, folder, links, options, labels, found } = self;
        labels.begin();
        let mut add = |found: &mut Vec<Found>, device: &str, alias: &str, values: &[u64]| {
            if options.devices.allows(device) {
                let mut found_values = [0; COUNTERS];
                let known = values.len().min(COUNTERS);
                found_values[..known].copy_from_slice(&values[..known]);
                let labels = match options.alias_label {
                    true => labels.get([("device", device), ("ifalias", alias)]),
                    false => labels.get([("device", device)]),
                };
                found.push(Found { labels, values: found_values, known });
            }
        };
        found.clear();
        let asked = links.as_ref().map(|links| {
            links.read(Asker::Counters, |links| {
                for link in links {
                    let Some(counters) = &link.counters else { continue };
                    match options.detailed {
                        true => add(found, &link.name, &link.alias, counters),
                        false => add(found, &link.name, &link.alias, &columns(counters)),
                    }
                }
            })
        });
        let is_asked = matches!(asked, Some(Ok(())));
        if !is_asked {
            found.clear();
            let path = file.shared_path();
            let text = file.text().map_err(reading(&path))?;
            for line in text.lines().skip(2) {
                let (device, values) = parse(line).map_err(|line| line.of(&path))?;
                let alias = match options.alias_label {
                    true => sysfs::text(folder.join(device).join("ifalias")).unwrap_or_default(),
                    false => String::new(),
                };
                add(found, device, &alias, &values);
            }
        }
        // Once here, and not once for each family that is made of them.
        found.sort_unstable_by(|one, other| one.labels.cmp(&other.labels));
        let names = if options.detailed && is_asked { &DETAILS[..] } else { &COLUMNS[..] };
        out.extend(names.iter().enumerate().map(|(at, (name, help))| {
            let family = Family::new(*name, MetricKind::Counter, *help);
            let mut family = family.with_room(found.len());
            for Found { labels, values, .. } in found.iter().filter(|it| at < it.known) {
                family.push(labels.clone(), values[at] as f64);
            }
            family
        }));
        if options.address_info {
            out.push(address_info());
        }
        Ok(())
    }
}

fn address_info() -> Family {
    let help = "An address of an interface; always 1.";
    let mut family = Family::new("node_network_address_info", MetricKind::Gauge, help);
    for Binding { interface, address, prefix, .. } in addresses::bindings() {
        let told = labels([
            ("address", &address.to_string()),
            ("device", &interface),
            ("netmask", &prefix.unwrap_or(0).to_string()),
            ("scope", scope(address)),
        ]);
        family.push(told, 1.0);
    }
    family
}

/// How far an address reaches, in node_exporter's words.
fn scope(address: IpAddr) -> &'static str {
    let (is_link_local, is_of_interface) = match address {
        IpAddr::V4(v4) => (v4.is_link_local() || v4.octets()[..3] == [224, 0, 0], false),
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.octets();
            let reach = (first == 0xff).then_some(second & 0xf);
            (v6.is_unicast_link_local() || reach == Some(2), reach == Some(1))
        }
    };
    let is_nobodys = address.is_unspecified()
        || address.is_multicast()
        || address == IpAddr::from([255, 255, 255, 255]);
    match () {
        () if address.is_loopback() || is_link_local => "link-local",
        () if is_of_interface => "interface-local",
        () if is_nobodys => "",
        () => "global",
    }
}

/// What was found of an interface.
struct Found {
    labels: Labels,
    values: [u64; COUNTERS],
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
    fn told(options: &Options) -> Vec<Family> {
        let links = SharedLinks::default();
        let mut out = Vec::new();
        Netdev::new(&Roots::live(), options, &links).collect(&mut out).unwrap();
        out
    }

    #[test]
    fn each_counter_has_a_family_of_its_own_where_details_are_wanted() {
        let told = told(&Options { detailed: true, alias_label: true, ..Options::default() });
        let names: Vec<&str> = told.iter().map(|family| &*family.name).collect();
        assert!(names.contains(&"node_network_receive_crc_errors_total"), "{names:?}");
        assert!(names.contains(&"node_network_multicast_total") && names.len() == COUNTERS);
        assert!(!names.contains(&"node_network_receive_frame_total"));
        let labels = &told[0].samples[0].labels;
        assert_eq!(
            labels.iter().map(|(name, _)| &**name).collect::<Vec<_>>(),
            ["device", "ifalias"]
        );
    }

    #[test]
    fn the_addresses_of_interfaces_are_told_with_how_far_they_reach() {
        let told = told(&Options { address_info: true, ..Options::default() });
        let info = told.iter().find(|family| family.name == "node_network_address_info").unwrap();
        let is_own = |(name, value): &(_, _)| *name == "address" && *value == "127.0.0.1";
        let own = info.samples.iter().find(|sample| sample.labels.iter().any(is_own));
        if let Some(own) = own {
            let told: Vec<&str> = own.labels.iter().map(|(_, value)| &**value).collect();
            assert_eq!(told, ["127.0.0.1", "lo", "8", "link-local"]);
        }
        for (address, expected) in [
            ("10.1.2.3", "global"),
            ("169.254.0.1", "link-local"),
            ("224.0.0.5", "link-local"),
            ("::1", "link-local"),
            ("fe80::1", "link-local"),
            ("ff01::1", "interface-local"),
            ("ff02::1", "link-local"),
            ("2001:db8::1", "global"),
            ("0.0.0.0", ""),
        ] {
            assert_eq!(scope(address.parse().unwrap()), expected, "{address}");
        }
    }
}
