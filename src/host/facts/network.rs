//! Facts about the network: names, addresses, the way out.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use nix::ifaddrs::getifaddrs;
use serde_json::{Map, Value, json};

use super::Host;

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

/// `interfaces`: by name, `mac`, `mtu`, `state` (`up`, `down`, `unknown`), `ipv4` and `ipv6`, which
/// are lists of addresses.
/// - Source: `/sys/class/net`, getifaddrs(3).
pub(super) fn interfaces(host: &Host) -> Value {
    let directory = host.roots.sysfs.join("class/net");
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| host.sys(&format!("class/net/{name}/operstate")).is_some());
    names.sort();
    let addresses = addresses();
    let list = |name: &str, wanted: fn(&IpAddr) -> bool| -> Vec<String> {
        let own = addresses.iter().filter(|(of, address)| of == name && wanted(address));
        own.map(|(_, address)| address.to_string()).collect()
    };
    let interface = |name: String| {
        let read = |file: &str| host.sys(&format!("class/net/{name}/{file}"));
        let value = json!({
            "mac": read("address"),
            "mtu": read("mtu").and_then(|mtu| mtu.parse::<u64>().ok()),
            "state": read("operstate"),
            "ipv4": list(&name, IpAddr::is_ipv4),
            "ipv6": list(&name, IpAddr::is_ipv6),
        });
        (name, value)
    };
    Value::Object(names.into_iter().map(interface).collect::<Map<_, _>>())
}

/// Every interface's addresses, in the kernel's order.
fn addresses() -> Vec<(String, IpAddr)> {
    let Ok(told) = getifaddrs() else { return Vec::new() };
    let address = |entry: nix::ifaddrs::InterfaceAddress| {
        let address = entry.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        let v6 = || address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip()));
        Some((entry.interface_name, v4.or_else(v6)?))
    };
    told.filter_map(address).collect()
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
    fn the_full_name_is_the_one_that_etc_hosts_gives_this_host() {
        let hosts = "127.0.0.1 localhost localhost.localdomain\n\
            127.0.1.1 web.example.com web # the host\n10.0.0.9 website.example.com\n";
        assert_eq!(full_name("web", hosts), Some("web.example.com".into()));
        assert_eq!(full_name("db", hosts), None);
    }
}
