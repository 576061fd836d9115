//! `qdisc`: the queues of the network interfaces.

use std::collections::HashMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector, reading};
use super::families::labels;
use super::filter::Filter;
use super::links::Links;
use crate::event::metric::{Family, MetricKind};
use crate::host::netlink::{Netlink, Subject, attributes, text, u32_at, u64_at};
use crate::host::roots::Roots;

const GET_QUEUES: u16 = 38;
/// `struct tcmsg`, which stands before the attributes.
const FIXED_BYTES: usize = 20;
/// The number of the parent of a queue that is an interface's own.
const ROOT: u32 = u32::MAX;

/// What a queue's numbers count, in the order of [`Queue::values`].
const FAMILIES: [(&str, MetricKind, &str); 7] = {
    use MetricKind::{Counter, Gauge};
    [
        ("node_qdisc_bytes_total", Counter, "Bytes sent."),
        ("node_qdisc_packets_total", Counter, "Packets sent."),
        ("node_qdisc_drops_total", Counter, "Packets thrown away."),
        ("node_qdisc_requeues_total", Counter, "Packets put back."),
        ("node_qdisc_overlimits_total", Counter, "Packets beyond a limit."),
        ("node_qdisc_current_queue_length", Gauge, "Packets that wait."),
        ("node_qdisc_backlog", Gauge, "Bytes that wait."),
    ]
};

/// What to tell of.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Interfaces, by name.
    pub devices: Filter,
}

/// Asks over netlink, for there is no file. Of another host it tells nothing.
pub struct Qdisc {
    netlink: Option<Netlink>,
    links: Links,
    folder: PathBuf,
    options: Options,
}

impl Qdisc {
    /// The collector for a host.
    pub fn new(roots: &Roots, options: &Options) -> Self {
        Self {
            netlink: roots.is_live().then(|| Netlink::new(Subject::Route)),
            links: Links::default(),
            folder: roots.sysfs.join("class/net"),
            options: options.clone(),
        }
    }
}

impl Collector for Qdisc {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let netlink = self.netlink.as_mut().ok_or(CollectError::NoData)?;
        let links = self.links.read().map_err(reading(&self.folder))?;
        let names: HashMap<u32, String> =
            links.into_iter().map(|link| (link.index, link.name)).collect();
        let mut queues = Vec::new();
        let show = |body: &[u8]| queues.extend(parse(body));
        netlink.dump(GET_QUEUES, &[0; FIXED_BYTES], show).map_err(reading(&self.folder))?;
        let mut families = FAMILIES.map(|(name, kind, help)| Family::new(name, kind, help));
        for queue in queues.iter().filter(|queue| queue.parent == ROOT) {
            let Some(device) = names.get(&queue.interface) else { continue };
            if self.options.devices.allows(device) {
                for (family, value) in families.iter_mut().zip(queue.values) {
                    family.push(labels([("device", device), ("kind", &queue.kind)]), value as f64);
                }
            }
        }
        out.extend(families);
        Ok(())
    }
}

/// One queue.
#[derive(Debug, Default, PartialEq)]
struct Queue {
    interface: u32,
    parent: u32,
    kind: String,
    values: [u64; FAMILIES.len()],
}

/// A message's attributes: the kind (1), and the statistics (7), which are attributes again: of the
/// traffic (1; 8 counts packets in full), of the queue (3).
fn parse(body: &[u8]) -> Option<Queue> {
    let mut queue =
        Queue { interface: u32_at(body, 4)?, parent: u32_at(body, 12)?, ..Queue::default() };
    for (kind, value) in attributes(body.get(FIXED_BYTES..)?) {
        match kind {
            1 => queue.kind = text(value),
            7 => {
                for (kind, value) in attributes(value) {
                    let number = |at| u32_at(value, at).map_or(0, u64::from);
                    match kind {
                        1 => {
                            queue.values[0] = u64_at(value, 0).unwrap_or(0);
                            queue.values[1] = queue.values[1].max(number(8));
                        }
                        8 => queue.values[1] = u64_at(value, 0).unwrap_or(0),
                        3 => {
                            queue.values[2] = number(8);
                            queue.values[3] = number(12);
                            queue.values[4] = number(16);
                            queue.values[5] = number(0);
                            queue.values[6] = number(4);
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    (!queue.kind.is_empty()).then_some(queue)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + value.len()).unwrap();
        let mut out = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        out.extend_from_slice(value);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    #[test]
    fn a_message_tells_of_one_queue() {
        let numbers = |numbers: &[u32]| -> Vec<u8> {
            numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
        };
        let traffic = [42_u64.to_ne_bytes().to_vec(), numbers(&[7])].concat();
        let queue = numbers(&[1, 2, 3, 4, 5]);
        let statistics = [attribute(1, &traffic), attribute(3, &queue)].concat();
        let mut body = numbers(&[0, 2, 0, ROOT, 0]);
        body.extend([attribute(1, b"fq\0"), attribute(7, &statistics)].concat());
        let expected = Queue {
            interface: 2,
            parent: ROOT,
            kind: "fq".to_owned(),
            values: [42, 7, 3, 4, 5, 1, 2],
        };
        assert_eq!(parse(&body), Some(expected));
        assert_eq!(parse(&body[..10]), None);
    }
}
