//! `netclass`: what each network interface is, how it is set, and whether it has a carrier.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector, reading};
use super::families::labels;
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

/// How many values an interface may have.
const VALUES: usize = 17;
/// Which of them is the speed.
const SPEED: usize = 14;

/// File, family, kind, what it says. The kernel writes some in hexadecimal.
const FILES: [(&str, &str, MetricKind, &str); VALUES] = {
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
}

/// What does not have to be made again for an interface that has not changed.
struct Remembered {
    /// How it was then.
    link: Link,
    read: Instant,
    /// The last round in which the interface was there.
    round: u64,
    /// What only files tell.
    values: Values,
    labels: Labels,
    info: Labels,
    other_names: Vec<Labels>,
}

/// Values in the order of [`FILES`].
type Values = [Option<i64>; VALUES];

impl Netclass {
    /// The collector for a host.
    pub fn new(roots: &Roots, options: &Options, links: &SharedLinks) -> Self {
        Self {
            folder: roots.sysfs.join("class/net"),
            links: roots.is_live().then(|| links.clone()),
            options: options.clone(),
            remembered: HashMap::new(),
            round: 0,
        }
    }

    fn told_by_files(&self) -> Told {
        let devices = sysfs::names(&self.folder);
        let mut told = Told::with_room(devices.len());
        for device in devices {
            let folder = self.folder.join(&device);
            if !folder.is_dir() || !self.options.devices.allows(&device) {
                continue;
            }
            let text = |file| sysfs::text(folder.join(file)).unwrap_or_default();
            let values = FILES.map(|(file, ..)| number(&text(file)));
            let info = Info {
                address: &text("address"),
                is_up: number(&text("flags")).is_some_and(|flags| flags & 1 == 1),
                broadcast: &text("broadcast"),
                device: &device,
                duplex: &text("duplex"),
                alias: &text("ifalias"),
                state: &text("operstate"),
            };
            let labels = labels([("device", &device)]);
            told.add(&self.options, &labels, (info.labels(), info.state), &values);
        }
        told
    }

    fn told_by_netlink(&mut self, links: &[Link]) -> Told {
        let mut told = Told::with_room(links.len());
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
            if let Some(known) = self.remembered.get(&link.name) {
                let info = (known.info.clone(), link.state);
                told.add(&self.options, &known.labels, info, &known.values_with(link));
                for labels in &known.other_names {
                    told.other_names.push(labels.clone(), 1.0);
                }
            }
        }
        self.remembered.retain(|_, known| known.round == round);
        told
    }

    fn read(&self, link: &Link) -> Remembered {
        let folder = self.folder.join(&link.name);
        let value = |file| number(&sysfs::text(folder.join(file))?);
        let mut values = [None; VALUES];
        for (slot, (file, ..)) in values.iter_mut().zip(FILES) {
            if ["addr_assign_type", "dev_id", "name_assign_type", "speed"].contains(&file) {
                *slot = value(file);
            }
        }
        let info = Info {
            address: &link.address,
            is_up: link.flags & UP != 0,
            broadcast: &link.broadcast,
            device: &link.name,
            duplex: &sysfs::text(folder.join("duplex")).unwrap_or_default(),
            alias: &link.alias,
            state: link.state,
        };
        let other_names =
            link.other_names.iter().map(|name| labels([("altname", name), ("device", &link.name)]));
        Remembered {
            link: link.clone(),
            read: Instant::now(),
            round: self.round,
            values,
            labels: labels([("device", &link.name)]),
            info: info.labels(),
            other_names: other_names.collect(),
        }
    }
}

impl Remembered {
    /// Whether nothing has changed of which something is made or read here.
    fn is_of(&self, link: &Link) -> bool {
        let numbers = |link: &Link| (link.index, link.flags, link.carrier_changes, link.state);
        let known = &self.link;
        self.read.elapsed() < REMEMBERED
            && numbers(known) == numbers(link)
            && known.address == link.address
            && known.broadcast == link.broadcast
            && known.alias == link.alias
            && known.other_names == link.other_names
    }

    /// What was read, and what netlink says now.
    fn values_with(&self, link: &Link) -> Values {
        let [assigned, _, _, _, _, device, _, _, _, _, _, _, named, _, speed, _, _] = self.values;
        let [changes, up, down] = link.carrier_changes;
        let is_up = link.flags & UP != 0;
        let told = |value: u32| Some(i64::from(value));
        [
            assigned,
            told(u32::from(link.carrier)).filter(|_| is_up),
            told(changes),
            told(down),
            told(up),
            device,
            told(u32::from(link.is_dormant)).filter(|_| is_up),
            told(link.flags),
            told(link.index),
            told(link.link),
            told(u32::from(link.mode)),
            told(link.mtu),
            named,
            told(link.group),
            speed,
            told(link.queue_length),
            told(u32::from(link.hardware)),
        ]
    }
}

/// The families, as they come together.
struct Told {
    /// In the order of [`FILES`].
    values: [Family; VALUES],
    up: Family,
    info: Family,
    other_names: Family,
}

impl Told {
    fn with_room(interfaces: usize) -> Self {
        use MetricKind::Gauge;
        let family = |name, kind, help| Family::new(name, kind, help).with_room(interfaces);
        Self {
            values: FILES.map(|(_, name, kind, help)| family(name, kind, help)),
            up: family(
                "node_network_up",
                Gauge,
                "Whether an interface is up and can be used: 1 yes, 0 no.",
            ),
            info: family("node_network_info", Gauge, "What an interface is; always 1."),
            other_names: Family::new(
                "node_network_altnames_info",
                Gauge,
                "Another name of an interface; always 1.",
            ),
        }
    }

    /// Adds an interface, with the labels that tell of it in words and its state.
    fn add(
        &mut self,
        options: &Options,
        labels: &Labels,
        (info, state): (Labels, &str),
        values: &Values,
    ) {
        for (at, (family, value)) in self.values.iter_mut().zip(values).enumerate() {
            let Some(value) = value else { continue };
            if at != SPEED {
                family.push(labels.clone(), *value as f64);
            } else if *value >= 0 || !options.ignore_invalid_speed {
                family.push(labels.clone(), *value as f64 * BYTES_PER_MEGABIT);
            }
        }
        self.up.push(labels.clone(), if state == "up" { 1.0 } else { 0.0 });
        self.info.push(info, 1.0);
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
    fn labels(&self) -> Labels {
        labels([
            ("address", self.address),
            ("adminstate", if self.is_up { "up" } else { "down" }),
            ("broadcast", self.broadcast),
            ("device", self.device),
            ("duplex", self.duplex),
            ("ifalias", self.alias),
            ("operstate", self.state),
        ])
    }
}

impl Collector for Netclass {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let told = match self.links.clone() {
            Some(links) => links
                .read(Asker::Classes, |links| self.told_by_netlink(links))
                .map_err(reading(&self.folder))?,
            None => self.told_by_files(),
        };
        if told.up.samples.is_empty() {
            return Err(CollectError::NoData);
        }
        out.extend(told.values);
        out.extend([told.up, told.info, told.other_names]);
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
