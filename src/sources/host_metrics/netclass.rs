//! `netclass`: what each network interface is, how it is set, and whether it has a carrier.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector, reading};
use super::families::{Families, KnownLabels, labels};
use super::filter::Filter;
use super::links::{Asker, Link, SharedLinks, UP};
use crate::event::metric::{Family, Labels, MetricKind};
use crate::host::roots::Roots;
use crate::host::sysfs;

/// What to tell of.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Interfaces, by name.
    pub devices: Filter,
    /// Leave the speed out where the interface does not know it, instead of telling a negative one.
    pub ignore_invalid_speed: bool,
}

/// File, family, kind, what it says. The kernel writes some in hexadecimal.
const FILES: [(&str, &str, MetricKind, &str); 17] = {
    use MetricKind::{Counter, Gauge};
    [
        (
            "addr_assign_type",
            "node_network_address_assign_type",
            Gauge,
            "How the interface came by its address.",
        ),
        ("carrier", "node_network_carrier", Gauge, "Whether there is a carrier: 1 yes, 0 no."),
        (
            "carrier_changes",
            "node_network_carrier_changes_total",
            Counter,
            "Times that the carrier came or went.",
        ),
        (
            "carrier_down_count",
            "node_network_carrier_down_changes_total",
            Counter,
            "Times that the carrier went.",
        ),
        (
            "carrier_up_count",
            "node_network_carrier_up_changes_total",
            Counter,
            "Times that the carrier came.",
        ),
        (
            "dev_id",
            "node_network_device_id",
            Gauge,
            "Tells interfaces apart that share an address.",
        ),
        (
            "dormant",
            "node_network_dormant",
            Gauge,
            "Whether the interface waits for something outside: 1 yes, 0 no.",
        ),
        ("flags", "node_network_flags", Gauge, "How the interface is set, in bits."),
        ("ifindex", "node_network_iface_id", Gauge, "The interface's number."),
        (
            "iflink",
            "node_network_iface_link",
            Gauge,
            "The number of the interface that this one goes through.",
        ),
        (
            "link_mode",
            "node_network_iface_link_mode",
            Gauge,
            "Whether the interface may wait for something outside.",
        ),
        ("mtu", "node_network_mtu_bytes", Gauge, "Largest packet, in bytes."),
        (
            "name_assign_type",
            "node_network_name_assign_type",
            Gauge,
            "How the interface came by its name.",
        ),
        (
            "netdev_group",
            "node_network_net_dev_group",
            Gauge,
            "The group that the interface belongs to.",
        ),
        ("speed", "node_network_speed_bytes", Gauge, "Bytes a second that the link can take."),
        (
            "tx_queue_len",
            "node_network_transmit_queue_length",
            Gauge,
            "Packets that may wait to be sent.",
        ),
        (
            "type",
            "node_network_protocol_type",
            Gauge,
            "The kind of hardware, by the kernel's number.",
        ),
    ]
};

/// The kernel writes megabits a second.
const BYTES_PER_MEGABIT: f64 = 1_000_000.0 / 8.0;

/// How long what is only in files is remembered, unless the interface changes.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Asks over netlink, and reads from `/sys/class/net` what that does not tell; all of it from there
/// where `/sys` is another host's. Reading those files takes a lock that slows down who works with
/// the network, so it is done again only when an interface changes, or after a minute.
pub struct Netclass {
    folder: PathBuf,
    links: Option<SharedLinks>,
    options: Options,
    /// By name.
    remembered: HashMap<String, Remembered>,
    round: u64,
    labels: KnownLabels,
}

/// What only files tell, and for which state of the interface they told it.
struct Remembered {
    link: Link,
    read: Instant,
    /// The last round in which the interface was there.
    round: u64,
    values: Vec<(&'static str, i64)>,
    duplex: String,
}

impl Netclass {
    /// The collector for a host.
    pub fn new(roots: &Roots, options: &Options, links: &SharedLinks) -> Self {
        Self {
            folder: roots.sysfs.join("class/net"),
            links: roots.is_live().then(|| links.clone()),
            options: options.clone(),
            remembered: HashMap::new(),
            round: 0,
            labels: KnownLabels::default(),
        }
    }

    fn add_from_files(&self, families: &mut Families) {
        for device in sysfs::names(&self.folder) {
            let folder = self.folder.join(&device);
            if !folder.is_dir() || !self.options.devices.allows(&device) {
                continue;
            }
            let labels = labels([("device", &device)]);
            for (file, ..) in FILES {
                if let Some(value) = sysfs::text(folder.join(file)).and_then(|text| number(&text)) {
                    self.options.add(&labels, file, value, families);
                }
            }
            let text = |file| sysfs::text(folder.join(file)).unwrap_or_default();
            let info = Info {
                address: &text("address"),
                is_up: number(&text("flags")).is_some_and(|flags| flags & 1 == 1),
                broadcast: &text("broadcast"),
                device: &device,
                duplex: &text("duplex"),
                alias: &text("ifalias"),
                state: &text("operstate"),
            };
            info.add(&mut KnownLabels::default(), families);
        }
    }

    fn add_from_netlink(&mut self, links: &[Link], families: &mut Families) {
        self.labels.begin();
        self.round += 1;
        let round = self.round;
        for link in links {
            if !self.options.devices.allows(&link.name) {
                continue;
            }
            let known = self.remembered.get_mut(&link.name).filter(|known| known.is_of(link));
            match known {
                Some(known) => known.round = round,
                None => drop(self.remembered.insert(link.name.clone(), self.read(link))),
            }
            let Self { remembered, options, labels, .. } = self;
            if let Some(known) = remembered.get(&link.name) {
                add_link(options, labels, (link, known), families);
            }
        }
        self.remembered.retain(|_, known| known.round == round);
    }

    fn read(&self, link: &Link) -> Remembered {
        let folder = self.folder.join(&link.name);
        let files = ["addr_assign_type", "dev_id", "name_assign_type", "speed"];
        let value = |file| Some((file, number(&sysfs::text(folder.join(file))?)?));
        Remembered {
            link: link.clone(),
            read: Instant::now(),
            round: self.round,
            values: files.into_iter().filter_map(value).collect(),
            duplex: sysfs::text(folder.join("duplex")).unwrap_or_default(),
        }
    }
}

fn add_link(
    options: &Options,
    known_labels: &mut KnownLabels,
    (link, known): (&Link, &Remembered),
    families: &mut Families,
) {
    let labels = known_labels.get([("device", &link.name)]);
    for (file, value) in &known.values {
        options.add(&labels, file, *value, families);
    }
    let [changes, up, down] = link.carrier_changes;
    let values = [
        ("carrier_changes", changes),
        ("carrier_down_count", down),
        ("carrier_up_count", up),
        ("flags", link.flags),
        ("ifindex", link.index),
        ("iflink", link.link),
        ("link_mode", u32::from(link.mode)),
        ("mtu", link.mtu),
        ("netdev_group", link.group),
        ("tx_queue_len", link.queue_length),
        ("type", u32::from(link.hardware)),
    ];
    for (file, value) in values {
        options.add(&labels, file, i64::from(value), families);
    }
    let is_up = link.flags & UP != 0;
    if is_up {
        options.add(&labels, "carrier", i64::from(link.carrier), families);
        options.add(&labels, "dormant", i64::from(link.is_dormant), families);
    }
    let info = Info {
        address: &link.address,
        is_up,
        broadcast: &link.broadcast,
        device: &link.name,
        duplex: &known.duplex,
        alias: &link.alias,
        state: link.state,
    };
    info.add(known_labels, families);
    for name in &link.other_names {
        families.gauge(
            "node_network_altnames_info",
            "Another name of an interface; always 1.",
            known_labels.get([("altname", name), ("device", &link.name)]),
            1.0,
        );
    }
}

impl Remembered {
    fn is_of(&self, link: &Link) -> bool {
        let what = |link: &Link| (link.index, link.flags, link.carrier_changes, link.state);
        self.read.elapsed() < REMEMBERED
            && what(&self.link) == what(link)
            && self.link.address == link.address
    }
}

impl Options {
    fn add(&self, labels: &Labels, file: &str, value: i64, families: &mut Families) {
        let known = FILES.iter().find(|(known, ..)| *known == file);
        let Some((_, name, kind, help)) = known else { return };
        let value = match file {
            "speed" if value < 0 && self.ignore_invalid_speed => return,
            "speed" => value as f64 * BYTES_PER_MEGABIT,
            _ => value as f64,
        };
        families.add((*name, *kind), *help, labels.clone(), value);
    }
}

/// What is told of an interface in words.
struct Info<'a> {
    address: &'a str,
    is_up: bool,
    broadcast: &'a str,
    device: &'a str,
    duplex: &'a str,
    alias: &'a str,
    state: &'a str,
}

impl Info<'_> {
    fn add(&self, known: &mut KnownLabels, families: &mut Families) {
        families.gauge(
            "node_network_up",
            "Whether an interface is up and can be used: 1 yes, 0 no.",
            known.get([("device", self.device)]),
            if self.state == "up" { 1.0 } else { 0.0 },
        );
        let told = known.get([
            ("address", self.address),
            ("adminstate", if self.is_up { "up" } else { "down" }),
            ("broadcast", self.broadcast),
            ("device", self.device),
            ("duplex", self.duplex),
            ("ifalias", self.alias),
            ("operstate", self.state),
        ]);
        families.gauge("node_network_info", "What an interface is; always 1.", told, 1.0);
    }
}

impl Collector for Netclass {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut families = Families::default();
        match self.links.clone() {
            Some(links) => links
                .read(Asker::Classes, |links| {
                    families = Families::with_room(links.len());
                    self.add_from_netlink(links, &mut families);
                })
                .map_err(reading(&self.folder))?,
            None => self.add_from_files(&mut families),
        }
        if families.is_empty() {
            return Err(CollectError::NoData);
        }
        out.extend(Vec::from(families));
        Ok(())
    }
}

/// A number in decimal, or in hexadecimal with `0x` in front.
fn number(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::metric::SampleValue;
    use std::collections::BTreeMap;

    /// All samples of the host that is there, but for those that change by themselves.
    fn told(mut netclass: Netclass) -> BTreeMap<String, SampleValue> {
        let mut families = Vec::new();
        netclass.collect(&mut families).unwrap();
        families.retain(|family| family.name != "node_network_altnames_info");
        let samples = families.into_iter().flat_map(|family| {
            let named = move |sample: crate::event::metric::Sample| {
                (format!("{}{:?}", family.name, sample.labels), sample.value)
            };
            family.samples.into_iter().map(named)
        });
        samples.collect()
    }

    #[test]
    fn netlink_and_the_files_say_the_same_of_this_host() {
        let live = || Netclass::new(&Roots::live(), &Options::default(), &SharedLinks::default());
        if !live().folder.exists() {
            return;
        }
        let mut from_files = live();
        from_files.links = None;
        assert_eq!(told(live()), told(from_files));
    }

    #[test]
    fn numbers_come_in_both_notations() {
        assert_eq!((number("0x1003"), number("-1"), number("up")), (Some(4099), Some(-1), None));
    }
}
