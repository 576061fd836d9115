//! The interfaces of this host, their addresses and routes, as the kernel has them: read and changed by
//! the messages of `linux/rtnetlink.h`.

mod whole;

use super::netlink::{
    CREATE, EXCLUSIVE, Netlink, REPLACE, Subject, attributes, push_attribute, text, u32_at,
};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
pub use whole::Whole;

const NEW_LINK: u16 = 16;
const REMOVE_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const REMOVE_ADDRESS: u16 = 21;
const GET_ADDRESS: u16 = 22;
const NEW_ROUTE: u16 = 24;
const REMOVE_ROUTE: u16 = 25;
const GET_ROUTE: u16 = 26;

/// How many bytes come before the attributes: `ifinfomsg`, `ifaddrmsg`, `rtmsg`.
const LINK_BYTES: usize = 16;
const ADDRESS_BYTES: usize = 8;
const ROUTE_BYTES: usize = 12;

const UP: u32 = 1;
/// Whom an address or a route is for: everybody, those on the link, this host, nobody.
const EVERYBODY: u8 = 0;
const ON_LINK: u8 = 253;
const ON_HOST: u8 = 254;
const ANY_SCOPE: u8 = 255;
/// The table of routes that is meant where none is named, and where the local addresses are not.
const MAIN_TABLE: u8 = 254;
const UNICAST: u8 = 1;
/// Made by hand, and not by a routing daemon.
const BY_HAND: u8 = 3;
const FAMILY_4: u8 = 2;
const FAMILY_6: u8 = 10;

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's number for it.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What else it may be called.
    pub other_names: Vec<String>,
    /// Whether it is switched on; whether anything is at its other end is another matter.
    pub is_up: bool,
    /// The greatest packet, in bytes.
    pub mtu: u32,
    /// The number of the interface that it is a port of.
    pub master: Option<u32>,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The number of its interface.
    pub interface: u32,
    /// It.
    pub address: IpAddr,
    /// The length of its network, in bits.
    pub length: u8,
    /// Whether it counts on its link alone.
    pub is_of_link: bool,
}

/// A route of the main table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it leads.
    pub to: IpAddr,
    /// How many bits of that count; none of them is the default route.
    pub length: u8,
    /// By whom it goes.
    pub via: Option<IpAddr>,
    /// Of several the smallest counts; `None` leaves it to the kernel.
    pub metric: Option<u32>,
}

/// What an interface is that is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A switch, whose ports are other interfaces.
    Bridge,
    /// One that takes packets and does nothing with them.
    Dummy,
    /// Those packets of another interface that have this number.
    Vlan {
        /// The name of the other.
        parent: String,
        /// 1 to 4094.
        number: u16,
    },
}

/// What is to be different about an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// It is made.
    Make(Kind),
    /// It is made again as it was.
    Again(Box<Whole>),
    /// It is removed.
    Remove,
    /// It is switched on, or off.
    Switch {
        /// Whether on.
        on: bool,
    },
    /// Its greatest packet, in bytes.
    Mtu(u32),
    /// It is a port of that one, or of none.
    Master(Option<String>),
    /// It gets this address with a network of this length.
    Add(IpAddr, u8),
    /// It loses it.
    Drop(IpAddr, u8),
    /// A route over it is made.
    Route(Route),
    /// A route over it goes.
    Unroute(Route),
}

impl Interface {
    /// Whether `name` is one of its names.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.other_names.iter().any(|other| other == name)
    }
}

/// All interfaces.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let mut found = Vec::new();
    Netlink::new(Subject::Route)
        .dump(GET_LINK, &[0; LINK_BYTES], |body| found.extend(interface(body)))?;
    Ok(found)
}

/// All addresses.
pub fn addresses() -> io::Result<Vec<Address>> {
    let mut found = Vec::new();
    Netlink::new(Subject::Route)
        .dump(GET_ADDRESS, &[0; ADDRESS_BYTES], |body| found.extend(address(body)))?;
    Ok(found)
}

/// All routes of the main table over the interface of this number.
pub fn routes(over: u32) -> io::Result<Vec<Route>> {
    let mut found = Vec::new();
    Netlink::new(Subject::Route).dump(GET_ROUTE, &[0; ROUTE_BYTES], |body| {
        found.extend(route(body).filter(|(by, _)| *by == over).map(|(_, route)| route));
    })?;
    Ok(found)
}

/// Does it to the interface called `name`.
///
/// Errors: there is no such interface, or the kernel refuses, with its reason.
pub fn change(name: &str, act: &Act) -> io::Result<()> {
    let (kind, flags, body) = match act {
        Act::Make(kind) => (NEW_LINK, CREATE | EXCLUSIVE, made(name, kind)?),
        Act::Again(whole) => return whole.make(name),
        Act::Remove => (REMOVE_LINK, 0, link(index(name)?, 0, 0)),
        Act::Switch { on } => (NEW_LINK, 0, link(index(name)?, u32::from(*on), UP)),
        Act::Mtu(bytes) => (NEW_LINK, 0, with(link(index(name)?, 0, 0), 4, &bytes.to_ne_bytes())),
        Act::Master(master) => {
            let master = master.as_deref().map(index).transpose()?.unwrap_or(0);
            (NEW_LINK, 0, with(link(index(name)?, 0, 0), 10, &master.to_ne_bytes()))
        }
        Act::Add(it, length) => {
            (NEW_ADDRESS, CREATE | REPLACE, of_address(index(name)?, *it, *length))
        }
        Act::Drop(it, length) => (REMOVE_ADDRESS, 0, of_address(index(name)?, *it, *length)),
        Act::Route(route) => {
            let scope = match route.via {
                None if route.to.is_ipv4() => ON_LINK,
                _ => EVERYBODY,
            };
            let body = of_route(index(name)?, route, [BY_HAND, scope, UNICAST]);
            (NEW_ROUTE, CREATE | EXCLUSIVE, body)
        }
        Act::Unroute(route) => (REMOVE_ROUTE, 0, of_route(index(name)?, route, [0, ANY_SCOPE, 0])),
    };
    Netlink::new(Subject::Route).change(kind, flags, &body)
}

/// The number of the interface called `name`.
fn index(name: &str) -> io::Result<u32> {
    let found = interfaces()?.into_iter().find(|it| it.is_called(name));
    found.map(|it| it.index).ok_or_else(|| {
        let why = format!("there is no interface `{name}`");
        io::Error::new(io::ErrorKind::NotFound, why)
    })
}

fn interface(body: &[u8]) -> Option<Interface> {
    let mut found = Interface {
        index: u32_at(body, 4)?,
        is_up: u32_at(body, 8)? & UP != 0,
        ..Interface::default()
    };
    for (kind, value) in attributes(body.get(LINK_BYTES..)?) {
        match kind {
            3 => found.name = text(value),
            4 => found.mtu = u32_at(value, 0)?,
            10 => found.master = u32_at(value, 0).filter(|master| *master != 0),
            52 => {
                let names = attributes(value).filter(|(kind, _)| *kind == 53);
                found.other_names.extend(names.map(|(_, name)| text(name)));
            }
            _ => {}
        }
    }
    (!found.name.is_empty()).then_some(found)
}

fn address(body: &[u8]) -> Option<Address> {
    let [length, scope] = [1, 3].map(|at| body.get(at).copied());
    let (mut own, mut other) = (None, None);
    for (kind, value) in attributes(body.get(ADDRESS_BYTES..)?) {
        match kind {
            1 => other = ip(value),
            2 => own = ip(value),
            _ => {}
        }
    }
    // Where both are told, the first is that of the other end of the line.
    let address = own.or(other)?;
    let is_of_link = scope? == ON_LINK;
    Some(Address { interface: u32_at(body, 4)?, address, length: length?, is_of_link })
}

/// The number of the interface that a route goes over, and the route; `None` for those of other
/// tables, and those that lead to nobody else.
fn route(body: &[u8]) -> Option<(u32, Route)> {
    /// One that the kernel has made for a single destination, for a while.
    const PASSING: u32 = 0x200;
    let [family, length, table, kind] = [0, 1, 4, 7].map(|at| body.get(at).copied());
    let everywhere = match family? {
        FAMILY_4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        FAMILY_6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let mut found = Route { to: everywhere, length: length?, via: None, metric: None };
    let (mut over, mut in_table) = (None, u32::from(table?));
    for (kind, value) in attributes(body.get(ROUTE_BYTES..)?) {
        match kind {
            1 => found.to = ip(value)?,
            4 => over = u32_at(value, 0),
            5 => found.via = ip(value),
            6 => found.metric = u32_at(value, 0),
            15 => in_table = u32_at(value, 0)?,
            // A neighbour of the other family: its family comes first.
            18 => found.via = ip(value.get(2..)?),
            _ => {}
        }
    }
    let counts = in_table == u32::from(MAIN_TABLE) && kind? == UNICAST;
    (counts && u32_at(body, 8)? & PASSING == 0).then_some((over?, found))
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(value).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from)).ok()
}

fn bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(it) => it.octets().to_vec(),
        IpAddr::V6(it) => it.octets().to_vec(),
    }
}

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { FAMILY_4 } else { FAMILY_6 }
}

fn with(mut body: Vec<u8>, kind: u16, value: &[u8]) -> Vec<u8> {
    push_attribute(&mut body, kind, value);
    body
}

/// A message about a link: which of its flags change, and to what.
fn link(index: u32, flags: u32, changed: u32) -> Vec<u8> {
    [0, index, flags, changed].iter().flat_map(|number| number.to_ne_bytes()).collect()
}

fn made(name: &str, kind: &Kind) -> io::Result<Vec<u8>> {
    let mut body = with(link(0, 0, 0), 3, &[name.as_bytes(), b"\0"].concat());
    let (word, more) = match kind {
        Kind::Bridge => ("bridge", None),
        Kind::Dummy => ("dummy", None),
        Kind::Vlan { parent, number } => {
            push_attribute(&mut body, 5, &index(parent)?.to_ne_bytes());
            ("vlan", Some(with(Vec::new(), 1, &number.to_ne_bytes())))
        }
    };
    let mut about = with(Vec::new(), 1, word.as_bytes());
    if let Some(more) = more {
        push_attribute(&mut about, 2, &more);
    }
    Ok(with(body, 18, &about))
}

fn of_address(index: u32, address: IpAddr, length: u8) -> Vec<u8> {
    let scope = if address.is_loopback() { ON_HOST } else { EVERYBODY };
    let mut body = vec![family(address), length, 0, scope];
    body.extend_from_slice(&index.to_ne_bytes());
    let address = bytes(address);
    with(with(body, 2, &address), 1, &address)
}

fn of_route(index: u32, route: &Route, [protocol, scope, kind]: [u8; 3]) -> Vec<u8> {
    let mut body = vec![family(route.to), route.length, 0, 0, MAIN_TABLE, protocol, scope, kind];
    body.extend_from_slice(&[0; 4]);
    if route.length > 0 {
        push_attribute(&mut body, 1, &bytes(route.to));
    }
    match route.via {
        Some(via) if via.is_ipv4() == route.to.is_ipv4() => {
            push_attribute(&mut body, 5, &bytes(via));
        }
        Some(via) => {
            let value = [&u16::from(family(via)).to_ne_bytes()[..], &bytes(via)].concat();
            push_attribute(&mut body, 18, &value);
        }
        None => {}
    }
    push_attribute(&mut body, 4, &index.to_ne_bytes());
    match route.metric {
        Some(metric) => with(body, 6, &metric.to_ne_bytes()),
        None => body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::netlink::u16_at;
    use proptest::prelude::*;

    #[test]
    fn a_vlan_is_made_with_its_number_on_its_parent() {
        let kind = Kind::Vlan { parent: "lo".into(), number: 7 };
        let body = made("lo.7", &kind).unwrap();
        let all: Vec<(u16, &[u8])> = attributes(&body[LINK_BYTES..]).collect();
        assert_eq!(all[0], (3, &b"lo.7\0"[..]));
        assert_eq!((all[1].0, u32_at(all[1].1, 0)), (5, Some(index("lo").unwrap())));
        let about: Vec<(u16, &[u8])> = attributes(all[2].1).collect();
        assert_eq!((all[2].0, about[0]), (18, (1, &b"vlan"[..])));
        let (kind, number) = attributes(about[1].1).next().unwrap();
        assert_eq!((about[1].0, kind, u16_at(number, 0)), (2, 1, Some(7)));
        let error = change("no-such", &Act::Remove).unwrap_err();
        assert_eq!(error.to_string(), "there is no interface `no-such`");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_the_same(
            to in any::<IpAddr>(),
            length in 0_u8..=32,
            via in proptest::option::of(any::<IpAddr>()),
            metric in proptest::option::of(any::<u32>()),
            over in any::<u32>(),
        ) {
            let everywhere = if to.is_ipv4() { "0.0.0.0" } else { "::" }.parse().unwrap();
            let to = if length == 0 { everywhere } else { to };
            let written = Route { to, length, via, metric };
            let body = of_route(over, &written, [BY_HAND, EVERYBODY, UNICAST]);
            prop_assert_eq!(route(&body), Some((over, written)));
            let body = of_address(over, to, length);
            let read = Address { interface: over, address: to, length, is_of_link: false };
            prop_assert_eq!(address(&body), Some(read));
        }

        #[test]
        fn no_message_breaks_anything(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            interface(&bytes);
            address(&bytes);
            route(&bytes);
        }
    }
}
