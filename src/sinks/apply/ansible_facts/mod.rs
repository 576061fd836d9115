//! What a host is like under Ansible's names: `ansible_facts.os_family`, `ansible_os_family`.
//!
//! Each is made of the facts that it needs when an expression names it, as `facts` are.

use minijinja::Value;
use minijinja::value::{Enumerator, Object};
use std::sync::Arc;

/// The name under which all of them are found, and the beginning of their names outside it.
pub(super) const NAME: &str = "ansible_facts";

const MEBIBYTE: i64 = 1 << 20;

/// What is known, by Ansible's names.
const NAMES: &[&str] = &[
    "all_ipv4_addresses",
    "all_ipv6_addresses",
    "architecture",
    "default_ipv4",
    "distribution",
    "distribution_major_version",
    "distribution_release",
    "distribution_version",
    "domain",
    "env",
    "fqdn",
    "hostname",
    "interfaces",
    "kernel",
    "kernel_version",
    "machine",
    "machine_id",
    "memfree_mb",
    "memtotal_mb",
    "nodename",
    "os_family",
    "pkg_mgr",
    "processor_cores",
    "processor_count",
    "processor_nproc",
    "processor_vcpus",
    "selinux",
    "service_mgr",
    "swapfree_mb",
    "swaptotal_mb",
    "system",
    "uptime_seconds",
    "user_dir",
    "user_gid",
    "user_id",
    "user_uid",
    "virtualization_role",
    "virtualization_type",
];

/// `os.id` and Ansible's `distribution`, where that is not the same word with a capital.
const DISTRIBUTIONS: [(&str, &str); 11] = [
    ("almalinux", "AlmaLinux"),
    ("amzn", "Amazon"),
    ("arch", "Archlinux"),
    ("centos", "CentOS"),
    ("linuxmint", "Linux Mint"),
    ("ol", "OracleLinux"),
    ("opensuse-leap", "openSUSE Leap"),
    ("opensuse-tumbleweed", "openSUSE Tumbleweed"),
    ("raspbian", "Debian"),
    ("rhel", "RedHat"),
    ("sles", "SLES"),
];

/// The value of the name `ansible_facts`.
pub(super) fn value(facts: &Value) -> Value {
    Value::from_object(AnsibleFacts { facts: facts.clone() })
}

/// Whether these are the facts that expressions know anyway.
pub(super) fn are_own(facts: &Value) -> bool {
    facts.downcast_object_ref::<AnsibleFacts>().is_some()
}

#[derive(Debug)]
struct AnsibleFacts {
    facts: Value,
}

impl Object for AnsibleFacts {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        // As in Ansible, either spelling.
        let name = name.strip_prefix("ansible_").unwrap_or(name);
        if NAMES.contains(&name) { self.fact(name) } else { None }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(NAMES)
    }
}

impl AnsibleFacts {
    fn fact(&self, name: &str) -> Option<Value> {
        Some(match name {
            "architecture" | "machine" => self.at("arch"),
            "system" => self.at("kernel.name"),
            "kernel" => self.at("kernel.release"),
            "kernel_version" => self.at("kernel.version"),
            "hostname" => first_part(&self.text("hostname")?).into(),
            "nodename" => self.at("hostname"),
            "fqdn" => self.at("fqdn"),
            "domain" => {
                let full = self.text("fqdn")?;
                full.split_once('.').map_or("", |(_, domain)| domain).into()
            }
            "os_family" => family(&self.text("os.family")?).into(),
            "distribution" => distribution(&self.text("os.id")?).into(),
            "distribution_version" => self.at("os.version"),
            "distribution_major_version" => first_part(&self.text("os.version")?).into(),
            "distribution_release" => match self.text("os.codename") {
                Some(codename) => codename.into(),
                None => "NA".into(),
            },
            "processor_vcpus" | "processor_nproc" | "processor_cores" => self.at("cpu.count"),
            "processor_count" => 1.into(),
            "memtotal_mb" => self.mebibytes("memory.total_bytes")?,
            "memfree_mb" => self.mebibytes("memory.free_bytes")?,
            "swaptotal_mb" => self.mebibytes("memory.swap_total_bytes")?,
            "swapfree_mb" => self.mebibytes("memory.swap_free_bytes")?,
            "default_ipv4" => self.default_ipv4(),
            "all_ipv4_addresses" => self.addresses("ipv4"),
            "all_ipv6_addresses" => self.addresses("ipv6"),
            "interfaces" => self.at("interfaces").try_iter().into_iter().flatten().collect(),
            "service_mgr" => self.at("service_manager"),
            "pkg_mgr" => self.at("package_manager"),
            "machine_id" | "uptime_seconds" => self.at(name),
            "selinux" => {
                let is_on = self.text("selinux.mode").is_some_and(|mode| mode != "disabled");
                Value::from_pairs([("status", if is_on { "enabled" } else { "disabled" })])
            }
            "virtualization_type" => self.virtualization("virt.type"),
            "virtualization_role" => self.virtualization("virt.role"),
            "env" => Value::from_pairs(std::env::vars()),
            "user_id" | "user_dir" | "user_uid" | "user_gid" => own_user(name)?,
            _ => return None,
        })
    }

    /// A fact below names with dots between them.
    fn at(&self, path: &str) -> Value {
        let below = |value: Value, name| value.get_attr(name).unwrap_or_default();
        path.split('.').fold(self.facts.clone(), below)
    }

    fn text(&self, path: &str) -> Option<String> {
        self.at(path).as_str().map(str::to_owned)
    }

    fn virtualization(&self, path: &str) -> Value {
        let found = self.text(path).filter(|word| word != "none");
        found.unwrap_or_else(|| "NA".into()).into()
    }

    fn mebibytes(&self, path: &str) -> Option<Value> {
        Some((self.at(path).as_i64()? / MEBIBYTE).into())
    }

    fn addresses(&self, kind: &str) -> Value {
        let interfaces = self.at("interfaces");
        let names = interfaces.try_iter().into_iter().flatten();
        let lists = names.filter_map(|name| interfaces.get_item(&name).ok()?.get_attr(kind).ok());
        let all = lists.flat_map(|list| list.try_iter().into_iter().flatten().collect::<Vec<_>>());
        let is_own = |address: &Value| !matches!(address.as_str(), Some(text) if text.starts_with("127.") || text == "::1");
        all.filter(is_own).collect()
    }

    fn default_ipv4(&self) -> Value {
        let found = self.at("default_ipv4");
        let interface = found.get_attr("interface").unwrap_or_default();
        let mut known: Vec<(&str, Value)> = ["address", "gateway", "interface"]
            .into_iter()
            .filter_map(|name| Some((name, found.get_attr(name).ok()?)))
            .filter(|(_, value)| value.as_str().is_some())
            .collect();
        known.push(("alias", interface.clone()));
        let link = self.at("interfaces").get_item(&interface).unwrap_or_default();
        for (name, theirs) in [("macaddress", "mac"), ("mtu", "mtu")] {
            known.extend(link.get_attr(theirs).ok().map(|value| (name, value)));
        }
        Value::from_pairs(known)
    }
}

fn first_part(text: &str) -> &str {
    text.split('.').next().unwrap_or(text)
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

fn family(family: &str) -> String {
    match family {
        "redhat" => "RedHat".into(),
        other => capital(other),
    }
}

fn distribution(id: &str) -> String {
    let known = DISTRIBUTIONS.iter().find(|(known, _)| *known == id);
    known.map_or_else(|| capital(id), |(_, name)| (*name).to_owned())
}

fn own_user(name: &str) -> Option<Value> {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok()??;
    Some(match name {
        "user_id" => user.name.into(),
        "user_dir" => user.dir.display().to_string().into(),
        "user_uid" => user.uid.as_raw().into(),
        _ => user.gid.as_raw().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::value::{from_json, to_json};
    use serde_json::json;

    #[test]
    fn facts_have_ansibles_names_and_words() {
        let facts = from_json(&json!({
            "arch": "x86_64",
            "os": {"family": "redhat", "id": "rhel", "version": "9.4", "codename": null},
            "hostname": "web1.example.com",
            "fqdn": "web1.example.com",
            "memory": {"total_bytes": 2_147_483_648_i64},
            "default_ipv4": {"interface": "eth0", "address": "192.0.2.2", "gateway": "192.0.2.1"},
            "interfaces": {
                "eth0": {"mac": "02:00:00:00:00:01", "mtu": 1500, "ipv4": ["192.0.2.2"], "ipv6": []},
                "lo": {"mac": "", "mtu": 65536, "ipv4": ["127.0.0.1"], "ipv6": ["::1"]},
            },
        }));
        let value = value(&facts);
        let of = |name: &str| to_json(&value.get_attr(name).unwrap());
        assert_eq!(of("os_family"), "RedHat");
        assert_eq!(of("ansible_distribution"), "RedHat");
        assert_eq!(of("distribution_major_version"), "9");
        assert_eq!(of("hostname"), "web1");
        assert_eq!(of("domain"), "example.com");
        assert_eq!(of("memtotal_mb"), 2048);
        assert_eq!(of("all_ipv4_addresses"), json!(["192.0.2.2"]));
        assert_eq!(of("default_ipv4")["macaddress"], "02:00:00:00:00:01");
        assert!(value.get_attr("nope").unwrap().is_undefined());
    }
}
