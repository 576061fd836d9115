//! The network interfaces as the kernel tells of them over netlink, all in one answer.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::host::netlink::{Netlink, Subject, attributes, text, u16_at, u32_at, u64_at};

const GET_LINK: u16 = 18;
/// `struct ifinfomsg`, which stands before the attributes.
const FIXED_BYTES: usize = 16;
/// `struct ifinfomsg`, and `IFLA_EXT_MASK` with `RTEXT_FILTER_SKIP_STATS`: without the counters of
/// IPv6 and of virtual functions, which nobody reads here and which cost most of the answer.
fn question() -> [u8; FIXED_BYTES + 8] {
    const EXT_MASK: u16 = 29;
    const SKIP_STATS: u32 = 8;
    let mut body = [0; FIXED_BYTES + 8];
    body[FIXED_BYTES..][..2].copy_from_slice(&8_u16.to_ne_bytes());
    body[FIXED_BYTES..][2..4].copy_from_slice(&EXT_MASK.to_ne_bytes());
    body[FIXED_BYTES..][4..].copy_from_slice(&SKIP_STATS.to_ne_bytes());
    body
}

/// How many counters `struct rtnl_link_stats64` has that are used here.
pub(super) const COUNTERS: usize = 24;
/// Kernels before 4.6 do not count what nobody took, and tell one less.
const COUNTERS_AT_LEAST: usize = 23;

/// The interface is switched on.
pub(super) const UP: u32 = 0x1;
const PROMISCUOUS: u32 = 0x100;
/// Bits that say how an interface is, not how it is set.
const MOMENTARY: u32 = 0x40 | 0x1_0000 | 0x2_0000;
const DORMANT: u32 = 0x2_0000;

/// One interface.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Link {
    /// Its number.
    pub(super) index: u32,
    /// Its name.
    pub(super) name: String,
    /// The kind of hardware, as `/sys/class/net/NAME/type` has it.
    pub(super) hardware: u16,
    /// How it is set, in bits, as `/sys/class/net/NAME/flags` has it.
    pub(super) flags: u32,
    /// Whether it waits for something outside before it can be used.
    pub(super) is_dormant: bool,
    /// Hardware address: `02:42:ac:11:00:02`.
    pub(super) address: String,
    /// The address that all neighbours listen to.
    pub(super) broadcast: String,
    /// Largest packet, in bytes.
    pub(super) mtu: u32,
    /// The interface that this one goes through; itself where there is none.
    pub(super) link: u32,
    /// How many packets may wait to be sent.
    pub(super) queue_length: u32,
    /// RFC 2863's word for how it is.
    pub(super) state: &'static str,
    /// `IF_LINK_MODE`: 0 default, 1 dormant.
    pub(super) mode: u8,
    /// What somebody called it beside its name.
    pub(super) alias: String,
    /// The group that it belongs to.
    pub(super) group: u32,
    /// Whether there is a carrier.
    pub(super) carrier: bool,
    /// How often the carrier came or went; how often it came; how often it went.
    pub(super) carrier_changes: [u32; 3],
    /// Other names of it.
    pub(super) other_names: Vec<String>,
    /// What went through it, in the order of `struct rtnl_link_stats64`.
    pub(super) counters: Option<[u64; COUNTERS]>,
}

/// Asks for all interfaces.
#[derive(Debug)]
pub(super) struct Links {
    netlink: Netlink,
}

impl Default for Links {
    fn default() -> Self {
        Self { netlink: Netlink::new(Subject::Route) }
    }
}

impl Links {
    /// The interfaces as they are now, by name, so that nothing has to be sorted that is made of
    /// them.
    ///
    /// - Errors: those of the socket; the next call opens another.
    pub(super) fn read(&mut self) -> io::Result<Vec<Link>> {
        let mut links = Vec::new();
        self.read_into(&mut links).map(|()| links)
    }

    /// The same, in the memory of what was read before.
    fn read_into(&mut self, links: &mut Vec<Link>) -> io::Result<()> {
        let mut known = 0;
        self.netlink.dump(GET_LINK, &question(), |body| {
            if links.len() == known {
                links.push(Link::default());
            }
            let is_one = links.get_mut(known).is_some_and(|link| parse(body, link).is_some());
            known += usize::from(is_one);
        })?;
        links.truncate(known);
        links.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(())
    }
}

/// One answer for all who ask at the same moment, as the collectors of a scrape do.
#[derive(Clone, Debug, Default)]
pub struct SharedLinks(Arc<Mutex<Shared>>);

#[derive(Debug, Default)]
struct Shared {
    links: Links,
    found: Vec<Link>,
    /// When that was, if it was.
    asked: Option<Instant>,
    /// Who has had it, bit by bit.
    had: u8,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asker {
    /// `netclass`.
    Classes = 1,
    /// `netdev`.
    Counters = 2,
}

/// An older answer is not of the same moment.
const MOMENT: Duration = Duration::from_millis(100);

impl SharedLinks {
    /// Shows the interfaces as they are at this moment, by name. Who asks again gets a new answer.
    ///
    /// - Errors: as for [`Links::read`].
    pub(super) fn read<T>(&self, asker: Asker, look: impl FnOnce(&[Link]) -> T) -> io::Result<T> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bit = asker as u8;
        let is_new = shared.had & bit == 0;
        if !is_new || shared.asked.is_none_or(|asked| asked.elapsed() >= MOMENT) {
            let Shared { links, found, asked, .. } = &mut *shared;
            *asked = None;
            links.read_into(found)?;
            (shared.asked, shared.had) = (Some(Instant::now()), 0);
        }
        shared.had |= bit;
        Ok(look(&shared.found))
    }
}

/// What a message says of an interface, in the memory of what `link` was; `None`, and half of it
/// there, where the message tells of none.
fn parse(body: &[u8], link: &mut Link) -> Option<()> {
    let flags = u32_at(body, 8)?;
    let index = u32_at(body, 4)?;
    let hardware = u16_at(body, 2)?;
    let mut before = std::mem::take(link);
    for text in [&mut before.name, &mut before.address, &mut before.broadcast, &mut before.alias] {
        text.clear();
    }
    before.other_names.clear();
    *link = Link {
        index,
        hardware,
        flags: flags & !MOMENTARY,
        is_dormant: flags & DORMANT != 0,
        link: index,
        state: state(0),
        name: before.name,
        address: before.address,
        broadcast: before.broadcast,
        alias: before.alias,
        other_names: before.other_names,
        ..Link::default()
    };
    for (kind, value) in attributes(body.get(FIXED_BYTES..)?) {
        let number = || u32_at(value, 0).unwrap_or(0);
        let byte = || value.first().copied().unwrap_or(0);
        match kind {
            1 => push_address(value, &mut link.address),
            2 => push_address(value, &mut link.broadcast),
            3 => push_text(value, &mut link.name),
            4 => link.mtu = number(),
            5 => link.link = number(),
            13 => link.queue_length = number(),
            16 => link.state = state(byte()),
            17 => link.mode = byte(),
            20 => push_text(value, &mut link.alias),
            23 => link.counters = counters(value),
            27 => link.group = number(),
            // Set as often as somebody wants it so; the flags say only what was set by hand.
            30 if number() > 0 => link.flags |= PROMISCUOUS,
            33 => link.carrier = byte() != 0,
            35 => link.carrier_changes[0] = number(),
            47 => link.carrier_changes[1] = number(),
            48 => link.carrier_changes[2] = number(),
            52 => {
                let names = attributes(value).filter(|(kind, _)| *kind == 53);
                link.other_names.extend(names.map(|(_, name)| text(name)));
            }
            _ => {}
        }
    }
    (!link.name.is_empty()).then_some(())
}

fn counters(value: &[u8]) -> Option<[u64; COUNTERS]> {
    let mut counters = [0; COUNTERS];
    for (at, counter) in counters.iter_mut().enumerate() {
        match u64_at(value, at * 8) {
            Some(told) => *counter = told,
            None if at < COUNTERS_AT_LEAST => return None,
            None => {}
        }
    }
    Some(counters)
}

/// Text without the zero at its end.
fn push_text(value: &[u8], out: &mut String) {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    out.push_str(&String::from_utf8_lossy(value.get(..end).unwrap_or_default()));
}

fn push_address(bytes: &[u8], out: &mut String) {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half & 0xf)]);
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 {
            out.push(':');
        }
        out.extend([digit(byte >> 4), digit(*byte)]);
    }
}

fn state(code: u8) -> &'static str {
    const STATES: [&str; 7] =
        ["unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up"];
    STATES.get(usize::from(code)).copied().unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::sysfs;
    use std::path::Path;

    #[test]
    fn netlink_says_of_an_interface_what_its_files_say() {
        let links = Links::default().read().unwrap();
        let lo = links.iter().find(|link| link.name == "lo").unwrap();
        let folder = Path::new("/sys/class/net/lo");
        if !folder.exists() {
            return;
        }
        let text = |file| sysfs::text(folder.join(file)).unwrap();
        assert_eq!(lo.mtu.to_string(), text("mtu"));
        assert_eq!(lo.address, text("address"));
        assert_eq!(format!("0x{:x}", lo.flags), text("flags"));
        assert_eq!(lo.hardware.to_string(), text("type"));
        assert_eq!(lo.state, text("operstate"));
        assert_eq!(lo.link.to_string(), text("iflink"));
        assert_eq!(lo.queue_length.to_string(), text("tx_queue_len"));
        assert_eq!(lo.group.to_string(), text("netdev_group"));
    }

    #[test]
    fn an_answer_is_one_for_those_who_ask_at_the_same_moment_and_new_for_who_asks_again() {
        let shared = SharedLinks::default();
        let asked = |asker| {
            shared
                .read(asker, |links| assert!(links.iter().any(|link| link.name == "lo")))
                .unwrap();
            shared.0.lock().unwrap().asked
        };
        let first = asked(Asker::Classes);
        let second = asked(Asker::Counters);
        assert!(first == second || second > first.map(|first| first + MOMENT));
        assert!(asked(Asker::Counters) > second);
        assert_eq!(shared.0.lock().unwrap().had, Asker::Counters as u8);
    }

    #[test]
    fn an_address_is_written_in_pairs_of_digits() {
        let address = |bytes: &[u8]| {
            let mut out = String::new();
            push_address(bytes, &mut out);
            out
        };
        assert_eq!(address(&[2, 66, 172]), "02:42:ac");
        assert_eq!(address(&[]), "");
    }
}
