//! Facts under Facter's names, in its shapes and words.

use crate::event::hex::hex;
use crate::host::facts::Facts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid};
use serde_json::{Map, Value, json};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use std::net::{Ipv4Addr, Ipv6Addr};

/// All of them, and the host's external facts among them, as Facter has it.
pub(super) fn facts(facts: &Facts) -> Value {
    let get = |name: &str| facts.get(name).cloned().unwrap_or_default();
    let (kernel, load) = (get("kernel"), get("load"));
    let release = kernel["release"].as_str().unwrap_or_default();
    let version = release.split(['-', '+', '_']).next().unwrap_or_default();
    let major: Vec<&str> = version.split('.').take(2).collect();
    let virt = get("virt");
    let mut all = json!({
        "cloud": get("cloud").as_str().map(|cloud| json!({"provider": cloud})),
        "disks": each(&get("disks"), disk),
        "dmi": dmi(&get("dmi")),
        "filesystems": filesystems(&get("filesystems")),
        "fips_enabled": get("fips"),
        "identity": identity(),
        "is_virtual": virt["role"] == "guest",
        "kernel": kernel["name"],
        "kernelmajversion": major.join("."),
        "kernelrelease": release,
        "kernelversion": version,
        "load_averages": {"1m": load["one"], "5m": load["five"], "15m": load["fifteen"]},
        "memory": memory(&get("memory")),
        "mountpoints": each(&get("mounts"), mount),
        "networking": networking(&get),
        "os": os(&get),
        "partitions": partitions(&get("partitions")),
        "path": std::env::var("PATH").ok(),
        "processors": processors(&get),
        "ssh": each(&get("ssh_host_keys"), |key| {
            json!({"fingerprints": fingerprints(key), "key": key["public"], "type": key["type"]})
        }),
        "system_uptime": uptime(get("uptime_seconds").as_u64().unwrap_or(0)),
        "timezone": crate::host::clock::zone_at(crate::host::clock::now()).name,
        "virtual": kind_of_machine(virt["type"].as_str().unwrap_or("none")),
    });
    prune(&mut all);
    if let (Some(all), Value::Object(own)) = (all.as_object_mut(), get("external")) {
        all.extend(own);
    }
    all
}

/// Leaves out what is unknown, and what has no parts then.
fn prune(value: &mut Value) {
    if let Value::Object(entries) = value {
        entries.values_mut().for_each(prune);
        let is_empty = |value: &Value| value.as_object().is_some_and(Map::is_empty);
        entries.retain(|_, value| !value.is_null() && !is_empty(value));
    }
}

fn each(entries: &Value, shape: impl Fn(&Value) -> Value) -> Value {
    let entries = entries.as_object().into_iter().flatten();
    Value::Object(entries.map(|(name, value)| (name.clone(), shape(value))).collect())
}

/// `23.54 GiB`
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let mut amount = bytes as f64 / 1024.0;
    let mut unit = 0;
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{amount:.2} {}", UNITS[unit])
}

/// How much of a whole is used, as a number of per cent.
fn capacity(used: u64, total: u64) -> String {
    match total {
        0 => "100%".to_owned(),
        total if used == total => "100%".to_owned(),
        total => format!("{:.2}%", used as f64 * 100.0 / total as f64),
    }
}

fn disk(disk: &Value) -> Value {
    let rotational = disk["rotational"].as_bool();
    json!({
        "model": disk["model"],
        "serial": disk["serial"],
        "size": disk["size_bytes"].as_u64().map(size),
        "size_bytes": disk["size_bytes"],
        "type": rotational.map(|rotates| if rotates { "hdd" } else { "ssd" }),
        "vendor": disk["vendor"],
        "wwn": disk["wwn"],
    })
}

fn dmi(dmi: &Value) -> Value {
    json!({
        "bios": {
            "release_date": dmi["bios_date"],
            "vendor": dmi["bios_vendor"],
            "version": dmi["bios_version"],
        },
        "board": {
            "asset_tag": dmi["board_asset_tag"],
            "manufacturer": dmi["board_vendor"],
            "product": dmi["board_name"],
            "serial_number": dmi["board_serial"],
        },
        "chassis": {"asset_tag": dmi["chassis_asset_tag"]},
        "manufacturer": dmi["sys_vendor"],
        "product": {
            "name": dmi["product_name"],
            "serial_number": dmi["product_serial"],
            "uuid": dmi["product_uuid"],
            "version": dmi["product_version"],
        },
    })
}

/// As records of DNS have them (RFC 4255): the number of the key's kind, that of the sum, the sum.
fn fingerprints(key: &Value) -> Option<Value> {
    let number = match key["type"].as_str()? {
        "ssh-rsa" => 1,
        "ssh-dss" => 2,
        "ssh-ed25519" => 4,
        kind if kind.starts_with("ecdsa-") => 3,
        _ => return None,
    };
    let public = STANDARD.decode(key["public"].as_str()?).ok()?;
    Some(json!({
        "sha1": format!("SSHFP {number} 1 {}", hex(&Sha1::digest(&public))),
        "sha256": format!("SSHFP {number} 2 {}", hex(&Sha256::digest(&public))),
    }))
}

fn identity() -> Value {
    let (uid, gid): (Uid, Gid) = (geteuid(), getegid());
    json!({
        "uid": uid.as_raw(),
        "user": User::from_uid(uid).ok().flatten().map(|user| user.name),
        "gid": gid.as_raw(),
        "group": Group::from_gid(gid).ok().flatten().map(|group| group.name),
        "privileged": uid.is_root(),
    })
}

fn memory(memory: &Value) -> Value {
    let part = |total: &str, available: &str| {
        let total = memory[total].as_u64().filter(|total| *total > 0)?;
        let available = memory[available].as_u64()?;
        let used = total.saturating_sub(available);
        Some(json!({
            "available": size(available),
            "available_bytes": available,
            "capacity": capacity(used, total),
            "total": size(total),
            "total_bytes": total,
            "used": size(used),
            "used_bytes": used,
        }))
    };
    json!({
        "swap": part("swap_total_bytes", "swap_free_bytes"),
        "system": part("total_bytes", "available_bytes"),
    })
}

fn mount(mount: &Value) -> Value {
    let bytes = |name: &str| mount[name].as_u64();
    let used =
        bytes("size_bytes").zip(bytes("free_bytes")).map(|(size, free)| size - free.min(size));
    let available = bytes("available_bytes");
    let options: Vec<&str> = mount["options"].as_str().unwrap_or_default().split(',').collect();
    json!({
        "available": available.map(size),
        "available_bytes": available,
        "capacity": used.zip(available).map(|(used, free)| capacity(used, used + free)),
        "device": mount["device"],
        "filesystem": mount["fstype"],
        "options": options,
        "size": bytes("size_bytes").map(size),
        "size_bytes": mount["size_bytes"],
        "used": used.map(size),
        "used_bytes": used,
    })
}

fn networking(get: &impl Fn(&str) -> Value) -> Value {
    let mut all = Map::new();
    let (interfaces, fqdn) = (get("interfaces"), get("fqdn"));
    let primary = ["default_ipv4", "default_ipv6"]
        .into_iter()
        .find_map(|name| get(name)["interface"].as_str().map(str::to_owned));
    if let Some(Value::Object(own)) = primary.as_deref().map(|it| interface(&interfaces[it])) {
        all.extend(own.into_iter().filter(|(name, _)| !name.starts_with("bindings")));
    }
    let domain = fqdn.as_str().and_then(|name| name.split_once('.')).map(|(_, domain)| domain);
    for (name, value) in [
        ("domain", domain.into()),
        ("fqdn", fqdn.clone()),
        ("hostname", get("hostname")),
        ("interfaces", each(&interfaces, interface)),
        ("primary", primary.into()),
    ] {
        all.insert(name.to_owned(), value);
    }
    Value::Object(all)
}

fn interface(link: &Value) -> Value {
    let mac = link["mac"].as_str().filter(|mac| *mac != "00:00:00:00:00:00");
    let mut all = json!({"mac": mac, "mtu": link["mtu"]});
    for binding in link["bindings"].as_array().into_iter().flatten() {
        let six = binding["address"].as_str().is_some_and(|address| address.contains(':'));
        let Some(shown) = address(binding) else { continue };
        let end = if six { "6" } else { "" };
        let is_first = all[format!("ip{end}")].is_null();
        if is_first {
            all[format!("ip{end}")] = shown["address"].clone();
            all[format!("netmask{end}")] = shown["netmask"].clone();
            all[format!("network{end}")] = shown["network"].clone();
            if six {
                all["scope6"] = shown["scope6"].clone();
            }
        }
        match all[format!("bindings{end}")].as_array_mut() {
            Some(bindings) => bindings.push(shown),
            None => all[format!("bindings{end}")] = Value::Array(vec![shown]),
        }
    }
    all
}

fn address(binding: &Value) -> Option<Value> {
    let (text, prefix) = (binding["address"].as_str()?, binding["prefix"].as_u64()?);
    let prefix = u32::try_from(prefix).ok()?;
    let (netmask, network, scope) = if let Ok(address) = text.parse::<Ipv4Addr>() {
        let mask = u32::MAX.checked_shl(32_u32.checked_sub(prefix)?).unwrap_or(0);
        let network = Ipv4Addr::from(u32::from(address) & mask);
        (Ipv4Addr::from(mask).to_string(), network.to_string(), None)
    } else {
        let address = text.parse::<Ipv6Addr>().ok()?;
        let mask = u128::MAX.checked_shl(128_u32.checked_sub(prefix)?).unwrap_or(0);
        let network = Ipv6Addr::from(u128::from(address) & mask);
        (Ipv6Addr::from(mask).to_string(), network.to_string(), Some(scope(address)))
    };
    let mut shown = json!({"address": text, "netmask": netmask, "network": network});
    if let Some(scope) = scope {
        shown["scope6"] = scope.into();
    }
    Some(shown)
}

/// How far an address leads.
fn scope(address: Ipv6Addr) -> &'static str {
    match address.segments()[0] {
        _ if address.is_loopback() => "host",
        0xfe80..=0xfebf => "link",
        0xfec0..=0xfeff => "site",
        _ => "global",
    }
}

fn os(get: &impl Fn(&str) -> Value) -> Value {
    let (os, arch) = (get("os"), get("arch"));
    let text = |name: &str| os[name].as_str().unwrap_or_default();
    let arch = arch.as_str().unwrap_or_default();
    let version = text("full_version");
    let mut parts = version.splitn(2, '.');
    let (major, minor) = (parts.next(), parts.next());
    let release = json!({"full": version, "major": major, "minor": minor});
    let architecture = match (text("family"), arch) {
        ("debian", "x86_64") => "amd64",
        ("debian", "aarch64") => "arm64",
        ("debian", "i686") => "i386",
        _ => arch,
    };
    let (id, family) = (text("id"), text("family"));
    let selinux = get("selinux")["mode"].as_str().unwrap_or("disabled").to_owned();
    let mode = Some(selinux.as_str()).filter(|mode| *mode != "disabled");
    json!({
        "architecture": architecture,
        "distro": {
            "codename": os["codename"],
            "description": os["pretty"],
            "id": name(id),
            "release": release,
        },
        "family": name(family),
        "hardware": arch,
        "name": name(id),
        "release": release,
        "selinux": {"current_mode": mode, "enabled": mode.is_some()},
    })
}

/// What Facter calls a distribution or a family of them.
fn name(id: &str) -> String {
    const NAMES: [(&str, &str); 10] = [
        ("almalinux", "AlmaLinux"),
        ("amzn", "Amazon"),
        ("arch", "Archlinux"),
        ("centos", "CentOS"),
        ("ol", "OracleLinux"),
        ("opensuse-leap", "OpenSuSE"),
        ("redhat", "RedHat"),
        ("rhel", "RedHat"),
        ("sles", "SLES"),
        ("suse", "Suse"),
    ];
    if let Some((_, name)) = NAMES.iter().find(|(known, _)| *known == id) {
        return (*name).to_owned();
    }
    let mut letters = id.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

fn partitions(partitions: &Value) -> Value {
    let entries = partitions.as_object().into_iter().flatten();
    let entry = |(name, partition): (&String, &Value)| {
        let value = json!({
            "filesystem": partition["filesystem"],
            "label": partition["label"],
            "mount": partition["mount"],
            "partuuid": partition["partuuid"],
            "size": partition["size_bytes"].as_u64().map(size),
            "size_bytes": partition["size_bytes"],
            "uuid": partition["uuid"],
        });
        (format!("/dev/{name}"), value)
    };
    Value::Object(entries.map(entry).collect())
}

fn filesystems(kinds: &Value) -> Option<String> {
    let kinds: Vec<&str> = kinds.as_array()?.iter().filter_map(Value::as_str).collect();
    (!kinds.is_empty()).then(|| kinds.join(","))
}

/// `2.45 GHz`
fn frequency(megahertz: u64) -> String {
    match megahertz {
        0..1000 => format!("{megahertz}.00 MHz"),
        _ => {
            let hundredths = (megahertz + 5) / 10;
            format!("{}.{:02} GHz", hundredths / 100, hundredths % 100)
        }
    }
}

/// What `uname -p` says: only where the distribution has taught it to.
fn instruction_set(get: &impl Fn(&str) -> Value) -> Value {
    let family = get("os")["family"].as_str().unwrap_or_default().to_owned();
    if ["redhat", "suse"].contains(&family.as_str()) { get("arch") } else { "unknown".into() }
}

fn processors(get: &impl Fn(&str) -> Value) -> Value {
    let cpu = get("cpu");
    let count = cpu["count"].as_u64().unwrap_or(0);
    let models = vec![cpu["model"].clone(); usize::try_from(count).unwrap_or(0)];
    json!({
        "cores": cpu["cores_per_socket"],
        "count": count,
        "isa": instruction_set(get),
        "models": if cpu["model"].is_null() { Value::Null } else { models.into() },
        "physicalcount": cpu["sockets"],
        "speed": cpu["speed_mhz"].as_u64().map(frequency),
        "threads": cpu["threads_per_core"],
    })
}

fn uptime(seconds: u64) -> Value {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600, seconds / 60);
    let text = match days {
        0 => format!("{hours}:{:02} hours", minutes % 60),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    };
    json!({"days": days, "hours": hours, "seconds": seconds, "uptime": text})
}

/// What Facter calls what a host runs inside of.
fn kind_of_machine(kind: &str) -> &str {
    match kind {
        "none" => "physical",
        "systemd-nspawn" => "systemd_nspawn",
        "apple" | "other" => "unknown",
        kind => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::roots::Roots;
    use std::path::Path;

    #[test]
    fn sizes_and_shares_are_written_as_facter_writes_them() {
        assert_eq!(size(25_276_063_744), "23.54 GiB");
        assert_eq!(size(1000), "1000 bytes");
        assert_eq!(capacity(6_127_632_384, 25_276_063_744), "24.24%");
        assert_eq!((frequency(2445), frequency(800)), ("2.45 GHz".into(), "800.00 MHz".into()));
        assert_eq!((capacity(0, 0), capacity(7, 7)), ("100%".into(), "100%".into()));
    }

    #[test]
    fn a_known_host_has_facters_names() {
        let known = facts(&Facts::new(Roots::below(Path::new("tests/fixtures/host"))));
        assert_eq!(known["os"]["family"], "Debian");
        assert_eq!(known["os"]["architecture"], "amd64");
        assert_eq!(known["processors"]["count"], 2);
        assert_eq!(known["networking"]["interfaces"]["eth0"]["mtu"], 1500);
        assert!(known.get("cloud").is_none(), "what is unknown is left out");
    }
}
