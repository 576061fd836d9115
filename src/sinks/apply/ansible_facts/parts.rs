//! Facts of Ansible's that have parts: interfaces, mounts, memory, time.

use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

const MEBIBYTE: u64 = 1 << 20;

/// `default_ipv4`: the way out, with the address that is used and its network.
pub(super) fn default_ipv4(default: &Value, interfaces: &Value) -> Value {
    let mut known = way_out(default, interfaces, ipv4);
    put(&mut known, "address", &default["address"]);
    put(&mut known, "alias", &default["interface"]);
    Value::Object(known)
}

/// `default_ipv6`: the same for IPv6.
pub(super) fn default_ipv6(default: &Value, interfaces: &Value) -> Value {
    Value::Object(way_out(default, interfaces, ipv6))
}

/// What both have; `of_binding` tells of the address that is used.
fn way_out(
    default: &Value,
    interfaces: &Value,
    of_binding: impl Fn(&Value) -> Map<String, Value>,
) -> Map<String, Value> {
    let interface = default["interface"].as_str().unwrap_or_default();
    let link = &interfaces[interface];
    let used = bindings(link).find(|binding| binding["address"] == default["address"]);
    let mut known = used.map(of_binding).unwrap_or_default();
    put(&mut known, "gateway", &default["gateway"]);
    put(&mut known, "interface", &default["interface"]);
    put(&mut known, "macaddress", &link["mac"]);
    put(&mut known, "mtu", &link["mtu"]);
    if !interface.is_empty() {
        known.insert("type".to_owned(), kind(link).into());
    }
    known
}

/// `eth0` and its like.
pub(super) fn interface(name: &str, link: &Value) -> Value {
    let mut known = Map::new();
    known.insert("device".to_owned(), name.into());
    known.insert("active".to_owned(), link["active"].clone());
    known.insert("type".to_owned(), kind(link).into());
    put(&mut known, "mtu", &link["mtu"]);
    if kind(link) != "loopback" {
        put(&mut known, "macaddress", &link["mac"]);
    }
    let is_v4 = |binding: &&Value| is_v4(binding);
    let mut fours = bindings(link).filter(is_v4).map(|it| Value::Object(ipv4(it)));
    if let Some(first) = fours.next() {
        known.insert("ipv4".to_owned(), first);
    }
    let others: Vec<Value> = fours.collect();
    if !others.is_empty() {
        known.insert("ipv4_secondaries".to_owned(), others.into());
    }
    let sixes: Vec<Value> =
        bindings(link).filter(|it| !is_v4(it)).map(|it| Value::Object(ipv6(it))).collect();
    if !sixes.is_empty() {
        known.insert("ipv6".to_owned(), sixes.into());
    }
    Value::Object(known)
}

fn put(known: &mut Map<String, Value>, name: &str, value: &Value) {
    if !value.is_null() {
        known.insert(name.to_owned(), value.clone());
    }
}

fn kind(link: &Value) -> &'static str {
    match link["type"].as_u64() {
        Some(772) => "loopback",
        Some(1) => "ether",
        Some(32) => "infiniband",
        Some(512) => "ppp",
        _ => "unknown",
    }
}

fn bindings(link: &Value) -> impl Iterator<Item = &Value> {
    link["bindings"].as_array().into_iter().flatten()
}

fn is_v4(binding: &Value) -> bool {
    binding["address"].as_str().is_some_and(|address| !address.contains(':'))
}

fn ipv4(binding: &Value) -> Map<String, Value> {
    let text = binding["address"].as_str().unwrap_or_default();
    let length = binding["prefix"].as_u64().and_then(|it| u32::try_from(it).ok()).unwrap_or(32);
    let mask = u32::MAX.checked_shl(32_u32.saturating_sub(length)).unwrap_or(0);
    let address = text.parse().unwrap_or(Ipv4Addr::UNSPECIFIED);
    let mut known = Map::new();
    known.insert("address".to_owned(), text.into());
    known.insert("broadcast".to_owned(), binding["broadcast"].as_str().unwrap_or_default().into());
    known.insert("netmask".to_owned(), Ipv4Addr::from(mask).to_string().into());
    let network = Ipv4Addr::from(u32::from(address) & mask);
    known.insert("network".to_owned(), network.to_string().into());
    known.insert("prefix".to_owned(), length.to_string().into());
    known
}

fn ipv6(binding: &Value) -> Map<String, Value> {
    let text = binding["address"].as_str().unwrap_or_default();
    let scope = match text.parse::<Ipv6Addr>() {
        Ok(address) if address.is_loopback() => "host",
        Ok(address) if address.is_unicast_link_local() => "link",
        _ => "global",
    };
    let length = binding["prefix"].as_u64().unwrap_or(128);
    let pairs = [("address", text.to_owned()), ("prefix", length.to_string())];
    let pairs = pairs.into_iter().chain([("scope", scope.to_owned())]);
    pairs.map(|(name, value)| (name.to_owned(), value.into())).collect()
}

/// `mounts`: a list, of what is mounted from a device or another host.
pub(super) fn mounts(mounts: &Value, partitions: &Value) -> Value {
    let entries = mounts.as_object().into_iter().flatten().filter(|(_, mount)| {
        let device = mount["device"].as_str().unwrap_or_default();
        (device.starts_with('/') || device.contains(":/")) && mount["fstype"] != "none"
    });
    let uuid = |point: &str| {
        let mut all = partitions.as_object().into_iter().flatten();
        let own = all.find(|(_, partition)| partition["mount"] == point);
        own.and_then(|(_, partition)| partition["uuid"].as_str().map(str::to_owned))
    };
    let entry = |(point, mount): (&String, &Value)| {
        json!({
            "mount": point,
            "device": mount["device"],
            "fstype": mount["fstype"],
            "options": mount["options"],
            "size_total": mount["size_bytes"],
            "size_available": mount["available_bytes"],
            "uuid": uuid(point).unwrap_or_else(|| "N/A".to_owned()),
        })
    };
    Value::Array(entries.map(entry).collect())
}

/// `memory_mb`: what there is, what is free, and what is free without the kernel's caches.
pub(super) fn memory_mb(memory: &Value) -> Value {
    let mebibytes = |name: &str| memory[name].as_u64().unwrap_or(0) / MEBIBYTE;
    let [total, free, available] = ["total_bytes", "free_bytes", "available_bytes"].map(mebibytes);
    let [swap, swap_free] = ["swap_total_bytes", "swap_free_bytes"].map(mebibytes);
    json!({
        "real": {"total": total, "free": free, "used": total.saturating_sub(free)},
        "nocache": {"free": available, "used": total.saturating_sub(available)},
        "swap": {"total": swap, "free": swap_free, "used": swap.saturating_sub(swap_free)},
    })
}

/// `date_time`: `now_ns` nanoseconds after 1970, in the zone of the host.
pub(super) fn date_time(now_ns: i64) -> Option<Value> {
    let utc = Timestamp::from_nanosecond(i128::from(now_ns)).ok()?;
    let local = utc.to_zoned_datetime(TimeZone::system());
    let here = |format: &str| local.strftime(format).to_string();
    let there = |format: &str| utc.strftime(format).to_string();
    Some(json!({
        "date": here("%Y-%m-%d"),
        "time": here("%H:%M:%S"),
        "year": here("%Y"),
        "month": here("%m"),
        "day": here("%d"),
        "hour": here("%H"),
        "minute": here("%M"),
        "second": here("%S"),
        "weekday": here("%A"),
        "weekday_number": here("%w"),
        "weeknumber": here("%W"),
        "epoch": utc.as_second().to_string(),
        "epoch_int": utc.as_second().to_string(),
        "iso8601": there("%Y-%m-%dT%H:%M:%SZ"),
        "iso8601_micro": there("%Y-%m-%dT%H:%M:%S.%6fZ"),
        "iso8601_basic": here("%Y%m%dT%H%M%S%6f"),
        "iso8601_basic_short": here("%Y%m%dT%H%M%S"),
        "tz": here("%Z"),
        "tz_dst": here("%Z"),
        "tz_offset": here("%z"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_with_its_network() {
        let link = json!({
            "mac": "02:00:00:00:00:01", "mtu": 1500, "type": 1, "active": true,
            "bindings": [
                {"address": "192.0.2.77", "prefix": 26, "broadcast": "192.0.2.127"},
                {"address": "fe80::1", "prefix": 64, "broadcast": null},
            ],
        });
        let found = interface("eth0", &link);
        assert_eq!(found["ipv4"]["network"], "192.0.2.64");
        assert_eq!(found["ipv4"]["netmask"], "255.255.255.192");
        assert_eq!(found["ipv6"][0]["scope"], "link");
        let default =
            json!({"interface": "eth0", "address": "192.0.2.77", "gateway": "192.0.2.65"});
        let found = default_ipv4(&default, &json!({"eth0": link}));
        assert_eq!((&found["prefix"], &found["type"]), (&"26".into(), &"ether".into()));
        assert_eq!(default_ipv4(&json!({}), &json!({})), json!({}));
    }

    #[test]
    fn a_moment_is_told_in_the_words_of_strftime() {
        let told = date_time(1_772_366_645_250_000_000).unwrap();
        assert_eq!(told["iso8601_micro"], "2026-03-01T12:04:05.250000Z");
        assert_eq!(told["epoch"], "1772366645");
    }
}
