//! `wifi`: wireless interfaces, the networks that they are in, and the stations that they speak to.
//!
//! Source: nl80211 over generic netlink, as the kernel's `nl80211.h` numbers it.

use super::collector::{CollectError, Collector, reading};
use super::families::{Families, labels};
use crate::event::metric::{Family, Labels};
use crate::host::netlink::{Netlink, Subject, attributes, text, u16_at, u32_at, u64_at};
use crate::host::roots::Roots;
use std::path::Path;

/// The family that knows all others.
const CONTROL: u16 = 16;
const GET_FAMILY: u8 = 3;
const GET_INTERFACE: u8 = 5;
const GET_STATION: u8 = 17;
const GET_SCAN: u8 = 32;
/// `struct genlmsghdr`, which stands before the attributes.
const HEADER_BYTES: usize = 4;
/// Bit rates are counted in units of so many bits a second.
const RATE_UNIT: f64 = 100_000.0;

/// Asks the kernel over netlink.
pub struct Wifi {
    /// Nothing where `/proc` is another host's.
    netlink: Option<Netlink>,
    /// The number of nl80211, once it is known.
    family: Option<u16>,
}

/// A wireless interface.
#[derive(Clone, Debug, Default, PartialEq)]
struct Interface {
    index: u32,
    name: String,
    megahertz: u32,
}

/// The network that an interface is in.
#[derive(Clone, Debug, Default, PartialEq)]
struct Network {
    address: String,
    name: String,
    mode: &'static str,
}

/// A station that an interface speaks to.
#[derive(Clone, Debug, Default, PartialEq)]
struct Station {
    address: String,
    connected_seconds: u32,
    inactive_ms: u32,
    receive_rate: u32,
    transmit_rate: u32,
    signal_dbm: i8,
    /// Bytes received and sent, packets received and sent.
    carried: [u64; 4],
    retries: u32,
    failed: u32,
    beacon_losses: u32,
}

impl Wifi {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        let netlink = roots.is_live().then(|| Netlink::new(Subject::Generic));
        Self { netlink, family: None }
    }

    fn family(&mut self) -> Result<u16, CollectError> {
        if let Some(family) = self.family {
            return Ok(family);
        }
        let mut found = None;
        self.ask(CONTROL, GET_FAMILY, &[], |body| found = found.or_else(|| family_of(body)))?;
        // A host without wireless interfaces has no such family.
        let family = found.ok_or(CollectError::NoData)?;
        self.family = Some(family);
        Ok(family)
    }

    fn ask(
        &mut self,
        family: u16,
        command: u8,
        attributes: &[u8],
        show: impl FnMut(&[u8]),
    ) -> Result<(), CollectError> {
        let netlink = self.netlink.as_mut().ok_or(CollectError::NoData)?;
        let mut body = vec![command, 1, 0, 0];
        body.extend_from_slice(attributes);
        let answered = netlink.dump(family, &body, show);
        if answered.is_err() {
            // Its number is another one when the module has been loaded anew.
            self.family = None;
        }
        answered.map_err(reading(Path::new("nl80211")))
    }

    /// All that the kernel has to a question about one interface.
    fn of_interface<T>(
        &mut self,
        family: u16,
        command: u8,
        interface: &Interface,
        parse: fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>, CollectError> {
        let mut attribute = [0; 8];
        attribute[..2].copy_from_slice(&8_u16.to_ne_bytes());
        attribute[2..4].copy_from_slice(&3_u16.to_ne_bytes());
        attribute[4..].copy_from_slice(&interface.index.to_ne_bytes());
        let mut found = Vec::new();
        self.ask(family, command, &attribute, |body| found.extend(parse(body)))?;
        Ok(found)
    }
}

impl Collector for Wifi {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let family = self.family()?;
        let mut interfaces = Vec::new();
        self.ask(family, GET_INTERFACE, &[], |body| interfaces.extend(interface(body)))?;
        let mut families = Families::default();
        for interface in interfaces {
            interface.add(&mut families);
            // An interface that went away meanwhile has neither; nor has one that scans nothing.
            let networks = self.of_interface(family, GET_SCAN, &interface, network);
            for network in networks.unwrap_or_default().iter().take(1) {
                network.add(&interface.name, &mut families);
            }
            let stations = self.of_interface(family, GET_STATION, &interface, station);
            for station in stations.unwrap_or_default() {
                station.add(&interface.name, &mut families);
            }
        }
        out.extend(Vec::from(families));
        Ok(())
    }
}

impl Interface {
    fn add(&self, families: &mut Families) {
        families.gauge(
            "node_wifi_interface_frequency_hertz",
            "The frequency that the interface works at.",
            labels([("device", &self.name)]),
            f64::from(self.megahertz) * 1e6,
        );
    }
}

impl Network {
    fn add(&self, device: &str, families: &mut Families) {
        let Self { address, name, mode } = self;
        families.gauge(
            "node_wifi_station_info",
            "The network that the interface is in; always 1.",
            labels([("bssid", address), ("device", device), ("mode", mode), ("ssid", name)]),
            1.0,
        );
    }
}

impl Station {
    fn add(&self, device: &str, families: &mut Families) {
        let labels: Labels = labels([("device", device), ("mac_address", &self.address)]);
        let [received, sent, packets_received, packets_sent] = self.carried.map(|it| it as f64);
        for (name, help, value) in [
            (
                "node_wifi_station_inactive_seconds",
                "Seconds since the station was last active.",
                f64::from(self.inactive_ms) / 1000.0,
            ),
            (
                "node_wifi_station_receive_bits_per_second",
                "Rate at which is received from the station.",
                f64::from(self.receive_rate) * RATE_UNIT,
            ),
            (
                "node_wifi_station_transmit_bits_per_second",
                "Rate at which is sent to the station.",
                f64::from(self.transmit_rate) * RATE_UNIT,
            ),
            (
                "node_wifi_station_signal_dbm",
                "Strength of the station's signal.",
                f64::from(self.signal_dbm),
            ),
        ] {
            families.gauge(name, help, labels.clone(), value);
        }
        for (name, help, value) in [
            (
                "node_wifi_station_connected_seconds_total",
                "Seconds that the station has been connected.",
                f64::from(self.connected_seconds),
            ),
            ("node_wifi_station_receive_bytes_total", "Bytes received from the station.", received),
            ("node_wifi_station_transmit_bytes_total", "Bytes sent to the station.", sent),
            (
                "node_wifi_station_received_packets_total",
                "Packets received from the station.",
                packets_received,
            ),
            (
                "node_wifi_station_transmitted_packets_total",
                "Packets sent to the station.",
                packets_sent,
            ),
            (
                "node_wifi_station_transmit_retries_total",
                "Packets that were sent to the station once more.",
                f64::from(self.retries),
            ),
            (
                "node_wifi_station_transmit_failed_total",
                "Packets that could not be sent to the station.",
                f64::from(self.failed),
            ),
            (
                "node_wifi_station_beacon_loss_total",
                "How often the station's beacon was missed.",
                f64::from(self.beacon_losses),
            ),
        ] {
            families.counter(name, help, labels.clone(), value);
        }
    }
}

fn in_message(body: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    attributes(body.get(HEADER_BYTES..).unwrap_or_default())
}

/// The number of nl80211, where this message tells of it.
fn family_of(body: &[u8]) -> Option<u16> {
    let (mut number, mut is_it) = (None, false);
    for (kind, value) in in_message(body) {
        match kind {
            1 => number = u16_at(value, 0),
            2 => is_it = text(value) == "nl80211",
            _ => {}
        }
    }
    number.filter(|_| is_it)
}

/// An interface; those that are no network devices have no name.
fn interface(body: &[u8]) -> Option<Interface> {
    let mut interface = Interface::default();
    for (kind, value) in in_message(body) {
        match kind {
            3 => interface.index = u32_at(value, 0)?,
            4 => interface.name = text(value),
            38 => interface.megahertz = u32_at(value, 0)?,
            _ => {}
        }
    }
    (!interface.name.is_empty()).then_some(interface)
}

/// The network that an interface is in; of others that it has seen, nothing.
fn network(body: &[u8]) -> Option<Network> {
    let (_, parts) = in_message(body).find(|(kind, _)| *kind == 47)?;
    let (mut network, mut status) = (Network::default(), None);
    for (kind, value) in attributes(parts) {
        match kind {
            1 => network.address = address(value),
            6 => network.name = ssid(value).unwrap_or_default(),
            9 => status = u32_at(value, 0),
            _ => {}
        }
    }
    network.mode = match status? {
        0 | 1 => "client",
        2 => "ad-hoc",
        _ => "unknown",
    };
    Some(network)
}

/// The network's name, among what its beacon tells: a number, a length and as many bytes, again
/// and again.
fn ssid(mut told: &[u8]) -> Option<String> {
    while let [kind, length, rest @ ..] = told {
        let value = rest.get(..usize::from(*length))?;
        if *kind == 0 {
            return Some(String::from_utf8_lossy(value).into_owned());
        }
        told = rest.get(value.len()..)?;
    }
    None
}

fn station(body: &[u8]) -> Option<Station> {
    let mut station = Station::default();
    let mut is_told = false;
    for (kind, value) in in_message(body) {
        match kind {
            6 => station.address = address(value),
            21 => {
                is_told = true;
                station.read(value);
            }
            _ => {}
        }
    }
    (is_told && !station.address.is_empty()).then_some(station)
}

impl Station {
    fn read(&mut self, parts: &[u8]) {
        let [received, sent, packets_received, packets_sent] = &mut self.carried;
        for (kind, value) in attributes(parts) {
            let number = || u32_at(value, 0).unwrap_or(0);
            match kind {
                1 => self.inactive_ms = number(),
                // Kernels that count further tell both.
                2 if *received == 0 => *received = number().into(),
                3 if *sent == 0 => *sent = number().into(),
                7 => self.signal_dbm = value.first().map_or(0, |byte| byte.cast_signed()),
                8 => self.transmit_rate = rate(value),
                9 => *packets_received = number().into(),
                10 => *packets_sent = number().into(),
                11 => self.retries = number(),
                12 => self.failed = number(),
                14 => self.receive_rate = rate(value),
                16 => self.connected_seconds = number(),
                18 => self.beacon_losses = number(),
                23 => *received = u64_at(value, 0).unwrap_or(0),
                24 => *sent = u64_at(value, 0).unwrap_or(0),
                _ => {}
            }
        }
    }
}

/// In units of [`RATE_UNIT`]: the wider of two fields, where it is there.
fn rate(parts: &[u8]) -> u32 {
    let (mut narrow, mut wide) = (0, None);
    for (kind, value) in attributes(parts) {
        match kind {
            1 => narrow = u16_at(value, 0).unwrap_or(0).into(),
            5 => wide = u32_at(value, 0),
            _ => {}
        }
    }
    wide.unwrap_or(narrow)
}

fn address(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// Any bytes as answers of the kernel.
#[cfg(any(test, fuzzing))]
pub(super) fn hostile(input: &[u8]) {
    let mut families = Families::default();
    family_of(input);
    interface(input).into_iter().for_each(|it| it.add(&mut families));
    network(input).into_iter().for_each(|it| it.add("x", &mut families));
    station(input).into_iter().for_each(|it| it.add("x", &mut families));
}

/// What the kernel answers.
#[cfg(any(test, fuzzing))]
pub(super) fn answers() -> Vec<Vec<u8>> {
    recorded::ANSWERS.iter().map(|make| make()).collect()
}

#[cfg(any(test, fuzzing))]
mod recorded {
    //! Messages as nl80211 sends them, put together by hand: no machine of ours has such an interface.

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len() + 4).unwrap_or(0);
        let mut out = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        out.extend_from_slice(value);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    fn message(parts: &[Vec<u8>]) -> Vec<u8> {
        [vec![0, 1, 0, 0], parts.concat()].concat()
    }

    fn number(kind: u16, value: u32) -> Vec<u8> {
        attribute(kind, &value.to_ne_bytes())
    }

    pub(super) fn family() -> Vec<u8> {
        message(&[attribute(2, b"nl80211\0"), attribute(1, &28_u16.to_ne_bytes())])
    }

    pub(super) fn interface() -> Vec<u8> {
        message(&[number(3, 7), attribute(4, b"wlan0\0"), number(5, 2), number(38, 2412)])
    }

    pub(super) fn nameless() -> Vec<u8> {
        message(&[number(5, 10)])
    }

    pub(super) fn network() -> Vec<u8> {
        let beacon = [&[1, 2, 0x82, 0x84, 0, 7][..], b"Example", &[3, 1, 6]].concat();
        let parts = [attribute(1, &[0, 0x11, 0x22, 0x33, 0x44, 0x55]), attribute(6, &beacon)];
        let parts = [parts.concat(), number(9, 1)].concat();
        message(&[number(3, 7), attribute(47, &parts)])
    }

    pub(super) fn seen() -> Vec<u8> {
        message(&[attribute(47, &attribute(6, b"\0\x05Other"))])
    }

    pub(super) fn station() -> Vec<u8> {
        let rate = |kind, wide: u32| {
            let narrow = attribute(1, &7_u16.to_ne_bytes());
            attribute(kind, &[narrow, number(5, wide)].concat())
        };
        let wide = |kind, value: u64| attribute(kind, &value.to_ne_bytes());
        let parts = [
            number(1, 400),
            number(2, 9),
            wide(23, 1 << 33),
            number(3, 5),
            attribute(7, &[(-52_i8).cast_unsigned()]),
            rate(8, 1640),
            attribute(14, &attribute(1, &1280_u16.to_ne_bytes())),
            number(9, 3),
            number(10, 4),
            number(11, 10),
            number(12, 2),
            number(16, 30),
            number(18, 1),
        ];
        let address = attribute(6, &[0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]);
        message(&[number(3, 7), address, attribute(21, &parts.concat())])
    }

    pub(super) const ANSWERS: [fn() -> Vec<u8>; 6] =
        [family, interface, nameless, network, seen, station];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::exposition;

    #[test]
    fn what_the_kernel_tells_of_an_interface_is_told_under_node_exporters_names() {
        assert_eq!(family_of(&recorded::family()), Some(28));
        assert_eq!(family_of(&recorded::interface()), None);
        assert_eq!(interface(&recorded::nameless()), None);
        assert_eq!(network(&recorded::seen()), None, "it is not in this one");
        let mut families = Families::default();
        let interface = interface(&recorded::interface()).unwrap();
        assert_eq!(interface.index, 7);
        interface.add(&mut families);
        network(&recorded::network()).unwrap().add("wlan0", &mut families);
        station(&recorded::station()).unwrap().add("wlan0", &mut families);
        let mut families = Vec::from(families);
        families.sort_by(|one, other| one.name.cmp(&other.name));
        let mut text = Vec::new();
        assert_eq!(exposition::encode(&families, &mut text), 0);
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let station = |name: &str, value: &str| {
            let labels = r#"device="wlan0",mac_address="aa:bb:cc:dd:ee:ff""#;
            format!("node_wifi_station_{name}{{{labels}}} {value}")
        };
        let info = r#"bssid="00:11:22:33:44:55",device="wlan0",mode="client",ssid="Example""#;
        let expected = [
            r#"node_wifi_interface_frequency_hertz{device="wlan0"} 2.412e+09"#.to_owned(),
            station("beacon_loss_total", "1"),
            station("connected_seconds_total", "30"),
            station("inactive_seconds", "0.4"),
            format!("node_wifi_station_info{{{info}}} 1"),
            station("receive_bits_per_second", "1.28e+08"),
            station("receive_bytes_total", "8.589934592e+09"),
            station("received_packets_total", "3"),
            station("signal_dbm", "-52"),
            station("transmit_bits_per_second", "1.64e+08"),
            station("transmit_bytes_total", "5"),
            station("transmit_failed_total", "2"),
            station("transmit_retries_total", "10"),
            station("transmitted_packets_total", "4"),
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn this_host_has_wireless_interfaces_or_says_that_it_has_none() {
        match Wifi::new(&Roots::live()).collect(&mut Vec::new()) {
            Ok(()) | Err(CollectError::NoData | CollectError::Io { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}
