//! `network_route`: the routes to other networks.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use super::collector::{CollectError, Collector, reading};
use super::families::labels;
use super::links::Links;
use crate::event::metric::{Family, MetricKind};
use crate::host::netlink::{Netlink, Subject, attributes, u16_at, u32_at};
use crate::host::roots::Roots;

const GET_ROUTES: u16 = 26;
/// `struct rtmsg`, which stands before the attributes.
const FIXED_BYTES: usize = 12;
const MAIN_TABLE: u8 = 254;
/// `struct rtnexthop`, which stands before the attributes of one way of several.
const HOP_BYTES: usize = 8;

/// Asks over netlink. Of another host it tells nothing.
pub struct NetworkRoute {
    netlink: Option<Netlink>,
    links: Links,
    path: PathBuf,
}

impl NetworkRoute {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self {
            netlink: roots.is_live().then(|| Netlink::new(Subject::Route)),
            links: Links::default(),
            path: roots.procfs.join("net/route"),
        }
    }
}

impl Collector for NetworkRoute {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let netlink = self.netlink.as_mut().ok_or(CollectError::NoData)?;
        let links = self.links.read().map_err(reading(&self.path))?;
        let names: HashMap<u32, String> =
            links.into_iter().map(|link| (link.index, link.name)).collect();
        let mut routes = Vec::new();
        let show = |body: &[u8]| routes.extend(parse(body));
        netlink.dump(GET_ROUTES, &[0; FIXED_BYTES], show).map_err(reading(&self.path))?;
        let gauge = |name, help| Family::new(name, MetricKind::Gauge, help);
        let mut info = gauge("node_network_route_info", "A route; always 1.");
        let mut number: BTreeMap<&str, u32> = BTreeMap::new();
        for route in routes.iter().flatten() {
            let Some(device) = names.get(&route.interface) else { continue };
            *number.entry(device).or_default() += 1;
            info.push(
                labels([
                    ("dest", &route.to),
                    ("device", device),
                    ("gw", &route.gateway),
                    ("priority", &route.priority),
                    ("proto", &route.protocol),
                    ("src", &route.source),
                    ("weight", &route.weight),
                ]),
                1.0,
            );
        }
        let mut routes = gauge("node_network_routes", "Routes through an interface.");
        for (device, number) in number {
            routes.push(labels([("device", device)]), f64::from(number));
        }
        out.extend([info, routes]);
        Ok(())
    }
}

/// A route, or one way of it where it has several.
#[derive(Clone, Debug, Default, PartialEq)]
struct Route {
    interface: u32,
    to: String,
    gateway: String,
    priority: String,
    protocol: String,
    source: String,
    weight: String,
}

/// The ways of a route of the main table.
fn parse(body: &[u8]) -> Option<Vec<Route>> {
    let (length, table) = (*body.get(1)?, *body.get(4)?);
    if table != MAIN_TABLE {
        return None;
    }
    let mut route = Route { protocol: protocol(*body.get(5)?), ..Route::default() };
    route.to = "default".to_owned();
    let mut ways = Vec::new();
    for (kind, value) in attributes(body.get(FIXED_BYTES..)?) {
        match kind {
            1 => route.to = format!("{}/{length}", address(value)),
            4 => route.interface = u32_at(value, 0)?,
            5 => route.gateway = address(value),
            6 => route.priority = u32_at(value, 0)?.to_string(),
            7 => route.source = address(value),
            9 => ways = hops(value),
            _ => {}
        }
    }
    if ways.is_empty() {
        return Some(vec![route]);
    }
    let whole =
        |(interface, weight, gateway)| Route { interface, weight, gateway, ..route.clone() };
    Some(ways.into_iter().map(whole).collect())
}

/// Interface, weight and gateway of each way.
fn hops(mut bytes: &[u8]) -> Vec<(u32, String, String)> {
    let mut found = Vec::new();
    while let (Some(length), Some(weight), Some(interface)) =
        (u16_at(bytes, 0), bytes.get(3), u32_at(bytes, 4))
    {
        let Some(inside) = bytes.get(HOP_BYTES..usize::from(length)) else { break };
        let gateway = attributes(inside).find(|(kind, _)| *kind == 5);
        let gateway = gateway.map(|(_, value)| address(value)).unwrap_or_default();
        // The kernel counts from nought.
        found.push((interface, (u32::from(*weight) + 1).to_string(), gateway));
        bytes = bytes.get(usize::from(length).next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

fn address(bytes: &[u8]) -> String {
    let four = <[u8; 4]>::try_from(bytes).map(|bytes| IpAddr::from(Ipv4Addr::from(bytes)));
    let six = <[u8; 16]>::try_from(bytes).map(|bytes| IpAddr::from(Ipv6Addr::from(bytes)));
    four.or(six).map(|address| address.to_string()).unwrap_or_default()
}

/// Who made a route, as `ip route` names it.
fn protocol(number: u8) -> String {
    const NAMES: [(u8, &str); 12] = [
        (0, "unspec"),
        (1, "redirect"),
        (2, "kernel"),
        (3, "boot"),
        (4, "static"),
        (8, "gated"),
        (9, "ra"),
        (11, "zebra"),
        (12, "bird"),
        (16, "dhcp"),
        (186, "bgp"),
        (188, "ospf"),
    ];
    let known = NAMES.iter().find(|(known, _)| *known == number);
    known.map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_of_another_table_is_left_out() {
        let mut body = vec![0_u8; FIXED_BYTES];
        body[0] = 2;
        body[4] = 255;
        assert_eq!(parse(&body), None);
        body[4] = MAIN_TABLE;
        body[5] = 2;
        let route = parse(&body).unwrap().remove(0);
        assert_eq!((&*route.to, &*route.protocol), ("default", "kernel"));
    }

    #[test]
    fn addresses_of_both_kinds_are_written_as_people_do() {
        assert_eq!(address(&[10, 0, 0, 1]), "10.0.0.1");
        assert_eq!(address(&[0; 16]), "::");
        assert_eq!(address(&[1]), "");
    }
}
