//! The other way: facts that Ansible has gathered on a host, under our names.

use super::{DISTRIBUTIONS, MEBIBYTE, as_name};
use crate::host::facts::DMI_NAMES;
use serde_json::{Map, Value, json};

/// Those of our facts that what Ansible's `setup` has found tells, with or without `ansible_` before
/// its names.
pub fn told(setup: &Map<String, Value>) -> Map<String, Value> {
    let setup = Setup(setup);
    let mut facts = Map::new();
    let mut put = |name: &str, value: Value| {
        if is_something(&value) {
            facts.insert(name.to_owned(), value);
        }
    };
    for (name, theirs) in [
        ("arch", "architecture"),
        ("cmdline", "cmdline"),
        ("dns", "dns"),
        ("fips", "fips"),
        ("fqdn", "fqdn"),
        ("local", "local"),
        ("machine_id", "machine_id"),
        ("package_manager", "pkg_mgr"),
        ("service_manager", "service_mgr"),
        ("systemd", "systemd"),
        ("uptime_seconds", "uptime_seconds"),
    ] {
        put(name, setup.at(theirs));
    }
    let node = Some(setup.at("nodename")).filter(is_something);
    put("hostname", node.unwrap_or_else(|| setup.at("hostname")));
    put("kernel", setup.kernel());
    put("os", setup.os());
    put("cpu", setup.cpu());
    put("memory", setup.memory());
    put("load", setup.load());
    put(
        "virt",
        json!({
            "type": setup.at("virtualization_type"),
            "role": setup.at("virtualization_role"),
        }),
    );
    put("dmi", setup.dmi());
    for name in ["default_ipv4", "default_ipv6"] {
        let route = setup.at(name);
        let parts = ["interface", "address", "gateway"].map(|part| (part, route[part].clone()));
        put(name, parts.into_iter().map(|(part, value)| (part.to_owned(), value)).collect());
    }
    put("interfaces", setup.interfaces());
    facts
}

/// Whether a value, or any part of it, is known.
fn is_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Object(parts) => parts.values().any(is_something),
        _ => true,
    }
}

struct Setup<'s>(&'s Map<String, Value>);

impl Setup<'_> {
    /// What is known by this name; null where that is nothing.
    fn at(&self, name: &str) -> Value {
        let found = self.0.get(&format!("ansible_{name}")).or_else(|| self.0.get(name));
        found.filter(|value| *value != "NA").cloned().unwrap_or_default()
    }

    fn kernel(&self) -> Value {
        json!({
            "name": self.at("system"),
            "release": self.at("kernel"),
            "version": self.at("kernel_version"),
        })
    }

    fn os(&self) -> Value {
        let distribution = self.at("distribution");
        let name = distribution.as_str().unwrap_or_default();
        let id = DISTRIBUTIONS.iter().find(|(_, theirs)| *theirs == name).map(|(id, _)| *id);
        let id = id.map_or_else(|| name.to_lowercase(), str::to_owned);
        // The first of several that Ansible calls so.
        let id = if name == "Debian" { "debian".to_owned() } else { id };
        let full_version = self.at("distribution_version");
        let is_major = id == "debian" || id == "centos";
        let major = self.at("distribution_major_version");
        json!({
            "family": self.at("os_family").as_str().map(str::to_lowercase),
            "id": Some(id).filter(|id| !id.is_empty()),
            "name": distribution,
            "version": if is_major { &major } else { &full_version },
            "full_version": full_version,
            "codename": self.at("distribution_release"),
            "pretty": self.at("lsb")["description"],
        })
    }

    fn cpu(&self) -> Value {
        let words = self.at("processor");
        // Number, vendor and model of each.
        let told = words.as_array().filter(|words| words.len() % 3 == 0);
        let word = |at: usize| told.and_then(|words| words.get(at)).cloned().unwrap_or_default();
        json!({
            "count": self.at("processor_vcpus"),
            "sockets": self.at("processor_count"),
            "cores_per_socket": self.at("processor_cores"),
            "threads_per_core": self.at("processor_threads_per_core"),
            "vendor": word(1),
            "model": word(2),
        })
    }

    fn memory(&self) -> Value {
        let bytes = |name: &str| self.at(name).as_i64().map(|mebibytes| mebibytes * MEBIBYTE);
        json!({
            "total_bytes": bytes("memtotal_mb"),
            "free_bytes": bytes("memfree_mb"),
            "swap_total_bytes": bytes("swaptotal_mb"),
            "swap_free_bytes": bytes("swapfree_mb"),
        })
    }

    fn load(&self) -> Value {
        let load = self.at("loadavg");
        json!({"one": load["1m"], "five": load["5m"], "fifteen": load["15m"]})
    }

    fn dmi(&self) -> Value {
        let known = DMI_NAMES.map(|name| (name.to_owned(), self.at(name)));
        let others = [("sys_vendor".to_owned(), self.at("system_vendor"))];
        known.into_iter().chain(others).filter(|(_, value)| is_something(value)).collect()
    }

    fn interfaces(&self) -> Value {
        let names = self.at("interfaces");
        let names = names.as_array().into_iter().flatten().filter_map(Value::as_str);
        names.map(|name| (name.to_owned(), self.interface(name))).collect()
    }

    fn interface(&self, name: &str) -> Value {
        let link = self.at(&as_name(name));
        let lists = ["ipv4", "ipv4_secondaries", "ipv6"].map(|kind| match &link[kind] {
            Value::Array(all) => all.clone(),
            Value::Null => Vec::new(),
            one => vec![one.clone()],
        });
        let [first, others, sixes] = lists;
        let addresses = |all: &[Value]| all.iter().map(|it| it["address"].clone()).collect();
        let fours: Vec<Value> = first.into_iter().chain(others).collect();
        let (ipv4, ipv6): (Value, Value) = (addresses(&fours), addresses(&sixes));
        let binding = |it: &Value| {
            let prefix = it["prefix"].as_str().and_then(|text| text.parse::<u32>().ok());
            let prefix = prefix.map_or_else(|| it["prefix"].clone(), Value::from);
            let broadcast = it["broadcast"].as_str().filter(|text| !text.is_empty());
            json!({"address": it["address"], "prefix": prefix, "broadcast": broadcast})
        };
        // As the kernel counts them.
        let kind = match link["type"].as_str() {
            Some("ether") => Some(1),
            Some("loopback") => Some(772),
            _ => None,
        };
        json!({
            "type": kind,
            "mac": link["macaddress"],
            "mtu": link["mtu"],
            "active": link["active"],
            "ipv4": ipv4,
            "ipv6": ipv6,
            "bindings": fours.iter().chain(&sixes).map(binding).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::value::{from_json, to_json};

    #[test]
    fn what_ansible_has_found_comes_back_under_its_names_and_is_known_under_ours() {
        let setup = json!({
            "ansible_architecture": "x86_64",
            "ansible_os_family": "RedHat",
            "ansible_distribution": "RedHat",
            "ansible_distribution_version": "9.4",
            "ansible_distribution_major_version": "9",
            "ansible_nodename": "web1.example.com",
            "ansible_fqdn": "web1.example.com",
            "ansible_memtotal_mb": 2048,
            "ansible_processor_vcpus": 4,
            "ansible_product_name": "NA",
            "ansible_default_ipv4": {"interface": "br-0", "address": "192.0.2.2", "gateway": "192.0.2.1"},
            "ansible_interfaces": ["br-0"],
            "ansible_br_0": {
                "active": true, "mtu": 1500, "macaddress": "02:00:00:00:00:01",
                "ipv4": {"address": "192.0.2.2", "prefix": "24", "broadcast": "192.0.2.255"},
            },
        });
        let facts = Value::Object(told(setup.as_object().unwrap()));
        assert_eq!(
            (&facts["os"]["id"], &facts["os"]["family"]),
            (&json!("rhel"), &json!("redhat"))
        );
        assert_eq!(facts["memory"]["total_bytes"], 2_147_483_648_i64);
        assert_eq!(facts["interfaces"]["br-0"]["bindings"][0]["prefix"], 24);
        assert_eq!(facts.get("dmi"), None, "nothing is known of it");
        let back = super::super::value(&from_json(&facts));
        let of = |name: &str| to_json(&back.get_attr(name).unwrap());
        for name in ["os_family", "distribution", "distribution_major_version", "memtotal_mb"] {
            assert_eq!(of(name), setup[format!("ansible_{name}")], "{name}");
        }
        assert_eq!(of("default_ipv4")["macaddress"], "02:00:00:00:00:01");
        assert_eq!(of("br_0")["ipv4"]["address"], "192.0.2.2");
    }
}
