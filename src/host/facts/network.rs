//! Facts about the network: names, addresses, the way out.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value, json};

use super::Host;
use crate::host::addresses::{Binding, bindings};

/// `hostname`: the host's name up to its first dot.
/// - Source: `/proc/sys/kernel/hostname`.
pub(super) fn hostname(host: &Host) -> Value {
    short_name(host).into()
}

fn short_name(host: &Host) -> Option<String> {
    let name = host.proc("sys/kernel/hostname")?;
    name.split('.').next().map(str::to_owned)
}

/// `fqdn`: the host's name with its domain, or without one where none is known. No name server is
/// asked.
/// - Source: `/proc/sys/kernel/hostname` where it has a dot, else `/etc/hosts`.
pub(super) fn fqdn(host: &Host) -> Value {
    let Some(name) = host.proc("sys/kernel/hostname") else { return Value::Null };
    if name.contains('.') {
        return name.into();
    }
    let hosts = host.file("/etc/hosts").unwrap_or_default();
    full_name(&name, &hosts).unwrap_or(name).into()
}

/// The first name with a dot on the line of `/etc/hosts` that has `name` too, or begins with it.
fn full_name(name: &str, hosts: &str) -> Option<String> {
    let is_full = |candidate: &&str| {
        let domain = candidate.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
        domain.is_some_and(|domain| !domain.is_empty())
    };
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    let mut names = lines.flat_map(|line| line.split_ascii_whitespace().skip(1));
    names.find(is_full).map(str::to_owned)
}

/// `default_ipv4.{interface,address,gateway}`: where packets for the rest of the world leave, all
/// `null` without such a way.
/// - Source: `/proc/net/route`, the default route of the lowest metric; getifaddrs(3).
pub(super) fn default_ipv4(host: &Host) -> Value {
    let routes = host.proc("net/route").unwrap_or_default();
    let route = default_route(&routes);
    let interface = route.map(|(interface, _)| interface);
    let is_v4 =
        |(name, address): &(String, IpAddr)| Some(name.as_str()) == interface && address.is_ipv4();
    json!({
        "interface": interface,
        "address": addresses().into_iter().find(is_v4).map(|(_, address)| address.to_string()),
        "gateway": route.map(|(_, gateway)| gateway.to_string()),
    })
}

/// `default_ipv6.{interface,address,gateway}`: the same for IPv6. The address is the first of that
/// interface that is not for its own link alone.
/// - Source: `/proc/net/ipv6_route`, getifaddrs(3).
pub(super) fn default_ipv6(host: &Host) -> Value {
    let routes = host.proc("net/ipv6_route").unwrap_or_default();
    let ways = routes.lines().filter_map(way_out_ipv6);
    let route = ways.min_by_key(|(metric, ..)| *metric);
    let interface = route.map(|(_, interface, _)| interface);
    let is_global = |(name, address): &(String, IpAddr)| {
        let IpAddr::V6(address) = address else { return false };
        Some(name.as_str()) == interface && !address.is_unicast_link_local()
    };
    json!({
        "interface": interface,
        "address": addresses().into_iter().find(is_global).map(|(_, address)| address.to_string()),
        "gateway": route.map(|(.., gateway)| gateway.to_string()),
    })
}

/// Metric, interface and gateway, where the line is of a default route that is up and leads to
/// somewhere.
fn way_out_ipv6(line: &str) -> Option<(u32, &str, Ipv6Addr)> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let [target, length, _, _, gateway, metric, _, _, flags, interface] = fields[..] else {
        return None;
    };
    let gateway = Ipv6Addr::from(u128::from_str_radix(gateway, 16).ok()?);
    let (metric, flags) =
        (u32::from_str_radix(metric, 16).ok()?, u32::from_str_radix(flags, 16).ok()?);
    let is_everything = length == "00" && target.bytes().all(|digit| digit == b'0');
    let leads_on = flags & 1 == 1 && !gateway.is_unspecified();
    (is_everything && leads_on).then_some((metric, interface, gateway))
}

/// `routes`: a list of `destination` (`192.0.2.0/24`), `gateway` (`null` where it is on the link),
/// `interface` and `metric`, of IPv4, the kernel's main table.
/// - Source: `/proc/net/route`.
pub(super) fn routes(host: &Host) -> Value {
    let table = host.proc("net/route").unwrap_or_default();
    let route = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [interface, target, gateway, flags, _, _, metric, mask, ..] = fields[..] else {
            return None;
        };
        let hex = |field| u32::from_str_radix(field, 16).ok();
        let address = |field| Some(Ipv4Addr::from(hex(field)?.to_ne_bytes()));
        let (target, gateway, length) = (address(target)?, address(gateway)?, hex(mask)?);
        (hex(flags)? & 1 == 1).then(|| {
            json!({
                "destination": format!("{target}/{}", length.count_ones()),
                "gateway": (!gateway.is_unspecified()).then(|| gateway.to_string()),
                "interface": interface,
                "metric": metric.parse::<u32>().ok(),
            })
        })
    };
    Value::Array(table.lines().filter_map(route).collect())
}

/// `dns.{nameservers,search,options}`: lists.
/// - Source: `/etc/resolv.conf`.
pub(super) fn dns(host: &Host) -> Value {
    let text = host.file("/etc/resolv.conf").unwrap_or_default();
    let words = |wanted: &[&str]| -> Vec<&str> {
        let lines = text.lines().filter_map(|line| line.trim().split_once([' ', '\t']));
        let lines = lines.filter(|(key, _)| wanted.contains(key));
        lines.flat_map(|(_, rest)| rest.split_ascii_whitespace()).collect()
    };
    json!({
        "nameservers": words(&["nameserver"]),
        "search": words(&["search", "domain"]),
        "options": words(&["options"]),
    })
}

/// Interface and gateway of the default route.
fn default_route(routes: &str) -> Option<(&str, Ipv4Addr)> {
    let ways_out = routes.lines().filter_map(way_out);
    ways_out.min_by_key(|(metric, ..)| *metric).map(|(_, interface, gateway)| (interface, gateway))
}

/// Metric, interface and gateway, where the line is of a default route that is up. The kernel
/// writes addresses as it holds them.
fn way_out(line: &str) -> Option<(u32, &str, Ipv4Addr)> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let [interface, target, gateway, flags, _, _, metric, mask, ..] = fields[..] else {
        return None;
    };
    let hex = |field| u32::from_str_radix(field, 16).ok();
    let is_default = hex(target)? == 0 && hex(mask)? == 0 && hex(flags)? & 1 == 1;
    let gateway = Ipv4Addr::from(hex(gateway)?.to_ne_bytes());
    is_default.then_some((metric.parse().ok()?, interface, gateway))
}

/// `interfaces`: by name, `mac`, `mtu`, `type` (the kernel's number for the kind of hardware: 1 is
/// Ethernet, 772 loopback), `active` (whether it is switched on), `state` (`up`, `down`, `unknown`),
/// `ipv4` and `ipv6`, which are lists of addresses, and `bindings`: each `address` with its `prefix`
/// and `broadcast`.
/// - Source: `/sys/class/net`, getifaddrs(3).
pub(super) fn interfaces(host: &Host) -> Value {
    let directory = host.roots.sysfs.join("class/net");
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| host.sys(&format!("class/net/{name}/operstate")).is_some());
    names.sort();
    let bound = bindings();
    let list = |name: &str, wanted: fn(&IpAddr) -> bool| -> Vec<String> {
        let own = bound_to(&bound, name).filter(|it| wanted(&it.address));
        own.map(|it| it.address.to_string()).collect()
    };
    let interface = |name: String| {
        let read = |file: &str| host.sys(&format!("class/net/{name}/{file}"));
        let number = |file: &str| read(file).and_then(|text| text.parse::<u64>().ok());
        let flags =
            read("flags").and_then(|text| u32::from_str_radix(text.strip_prefix("0x")?, 16).ok());
        let binding = |it: &Binding| {
            json!({
                "address": it.address.to_string(),
                "prefix": it.prefix,
                "broadcast": it.broadcast.map(|address| address.to_string()),
            })
        };
        let value = json!({
            "mac": read("address"),
            "mtu": number("mtu"),
            "type": number("type"),
            "active": flags.map(|flags| flags & 1 == 1),
            "state": read("operstate"),
            "ipv4": list(&name, IpAddr::is_ipv4),
            "ipv6": list(&name, IpAddr::is_ipv6),
            "bindings": bound_to(&bound, &name).map(binding).collect::<Vec<_>>(),
        });
        (name, value)
    };
    Value::Object(names.into_iter().map(interface).collect::<Map<_, _>>())
}

fn bound_to<'b>(bound: &'b [Binding], interface: &'b str) -> impl Iterator<Item = &'b Binding> {
    bound.iter().filter(move |binding| binding.interface == interface)
}

/// Every interface's addresses, in the kernel's order.
fn addresses() -> Vec<(String, IpAddr)> {
    bindings().into_iter().map(|binding| (binding.interface, binding.address)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_route_of_the_lowest_metric_wins() {
        let gateway = |address: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(address));
        let line = |interface: &str, target: &str, address, metric: u32| {
            let gateway = gateway(address);
            format!("{interface}\t{target}\t{gateway}\t0003\t0\t0\t{metric}\t{target}\t0\t0\t0\n")
        };
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n"
            .to_owned()
            + &line("wlan0", "00000000", [10, 0, 0, 1], 600)
            + &line("eth0", "00000000", [192, 168, 1, 1], 100)
            + &line("eth1", "00FFFFFF", [0, 0, 0, 0], 0);
        assert_eq!(default_route(&table), Some(("eth0", Ipv4Addr::new(192, 168, 1, 1))));
        assert_eq!(default_route("Iface\tDestination\n"), None);
    }

    #[test]
    fn the_default_route_of_ipv6_is_the_one_that_leads_somewhere() {
        let zeros = "0".repeat(32);
        let line = |gateway: &str, metric, flags, interface| {
            format!("{zeros} 00 {zeros} 00 {gateway} {metric} 1 0 {flags} {interface}")
        };
        let gateway = "fe800000000000000000000000000001";
        let found = line(gateway, "00000400", "00000003", "eth0");
        let expected = (1024, "eth0", "fe80::1".parse().unwrap());
        assert_eq!(way_out_ipv6(&found), Some(expected));
        assert_eq!(way_out_ipv6(&line(&zeros, "ffffffff", "00200200", "lo")), None);
    }

    #[test]
    fn the_full_name_is_the_one_that_etc_hosts_gives_this_host() {
        let hosts = "127.0.0.1 localhost localhost.localdomain\n\
            127.0.1.1 web.example.com web # the host\n10.0.0.9 website.example.com\n";
        assert_eq!(full_name("web", hosts), Some("web.example.com".into()));
        assert_eq!(full_name("db", hosts), None);
    }
}
