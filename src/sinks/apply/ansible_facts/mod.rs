//! What a host is like under Ansible's names: `ansible_facts.os_family`, `ansible_os_family`.
//!
//! Each is made of the facts that it needs when an expression names it, as `facts` are.

mod parts;
mod told;

pub use told::told;

use crate::expr::value::{from_json, to_json};
use crate::host::clock;
use indexmap::IndexMap;
use minijinja::Value;
use minijinja::value::{Enumerator, Object};
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// The name under which all of them are found, and the beginning of their names outside it.
pub(super) const NAME: &str = "ansible_facts";

const MEBIBYTE: i64 = 1 << 20;

/// What is known, by Ansible's names; interfaces beside, by their own.
const NAMES: &[&str] = &[
    "all_ipv4_addresses",
    "all_ipv6_addresses",
    "apparmor",
    "architecture",
    "bios_date",
    "bios_vendor",
    "bios_version",
    "board_asset_tag",
    "board_name",
    "board_serial",
    "board_vendor",
    "board_version",
    "chassis_asset_tag",
    "chassis_serial",
    "chassis_vendor",
    "chassis_version",
    "cmdline",
    "date_time",
    "default_ipv4",
    "default_ipv6",
    "distribution",
    "distribution_major_version",
    "distribution_minor_version",
    "distribution_release",
    "distribution_version",
    "dns",
    "domain",
    "effective_group_id",
    "effective_user_id",
    "env",
    "fips",
    "fqdn",
    "hostname",
    "interfaces",
    "kernel",
    "kernel_version",
    "loadavg",
    "local",
    "lsb",
    "machine",
    "machine_id",
    "memfree_mb",
    "memory_mb",
    "memtotal_mb",
    "mounts",
    "nodename",
    "os_family",
    "pkg_mgr",
    "proc_cmdline",
    "processor",
    "processor_cores",
    "processor_count",
    "processor_nproc",
    "processor_threads_per_core",
    "processor_vcpus",
    "product_name",
    "product_serial",
    "product_uuid",
    "product_version",
    "real_group_id",
    "real_user_id",
    "selinux",
    "service_mgr",
    "ssh_host_key_ecdsa_public",
    "ssh_host_key_ed25519_public",
    "ssh_host_key_rsa_public",
    "swapfree_mb",
    "swaptotal_mb",
    "system",
    "system_vendor",
    "systemd",
    "uptime_seconds",
    "user_dir",
    "user_gecos",
    "user_gid",
    "user_id",
    "user_shell",
    "user_uid",
    "userspace_architecture",
    "userspace_bits",
    "virtualization_role",
    "virtualization_tech_guest",
    "virtualization_tech_host",
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

/// The value of the name `ansible_facts`, made of `facts`.
pub fn value(facts: &Value) -> Value {
    Value::from_object(AnsibleFacts { facts: facts.clone(), found: IndexMap::new() })
}

/// The same with what a task has found, such as `getent_passwd`, beside `known`.
pub(super) fn with(facts: &Value, known: Option<&Value>, found: Vec<(String, Value)>) -> Value {
    let known = known.and_then(|known| known.downcast_object_ref::<AnsibleFacts>());
    let mut all = known.map(|known| known.found.clone()).unwrap_or_default();
    all.extend(found);
    Value::from_object(AnsibleFacts { facts: facts.clone(), found: all })
}

/// Whether these are the facts that expressions know anyway.
pub(super) fn are_own(facts: &Value) -> bool {
    facts.downcast_object_ref::<AnsibleFacts>().is_some()
}

#[derive(Debug)]
struct AnsibleFacts {
    facts: Value,
    /// What tasks have found.
    found: IndexMap<String, Value>,
}

impl Object for AnsibleFacts {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        if let Some(found) = self.found.get(name) {
            return Some(found.clone());
        }
        // As in Ansible, either spelling.
        let name = name.strip_prefix("ansible_").unwrap_or(name);
        if NAMES.contains(&name) { self.fact(name) } else { self.interface(name) }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let names = NAMES.iter().copied().chain(self.found.keys().map(String::as_str));
        let interfaces = self.interfaces().map(|it| as_name(&it).into());
        Enumerator::Values(names.map(Value::from).chain(interfaces).collect())
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
            "distribution_version" => self.at("os.full_version"),
            "distribution_major_version" => first_part(&self.text("os.version")?).into(),
            "distribution_minor_version" => {
                let version = self.text("os.full_version")?;
                version.split('.').nth(1)?.into()
            }
            "distribution_release" => match self.text("os.codename") {
                Some(codename) => codename.into(),
                None => "NA".into(),
            },
            "processor_vcpus" | "processor_nproc" => self.at("cpu.count"),
            "processor_cores" => match self.at("cpu.cores_per_socket") {
                told if told.is_none() || told.is_undefined() => self.at("cpu.count"),
                told => told,
            },
            "processor_count" => self.at("cpu.sockets").as_i64().unwrap_or(1).into(),
            "processor_threads_per_core" => {
                self.at("cpu.threads_per_core").as_i64().unwrap_or(1).into()
            }
            "processor" => {
                let count = self.at("cpu.count").as_i64().unwrap_or(0);
                let model = self.text("cpu.model").unwrap_or_default();
                let vendor = self.text("cpu.vendor").unwrap_or_default();
                let words = |at: i64| [at.to_string(), vendor.clone(), model.clone()];
                (0..count).flat_map(words).filter(|word| !word.is_empty()).collect()
            }
            "memory_mb" => from_json(&parts::memory_mb(&self.json("memory"))),
            "memtotal_mb" => self.mebibytes("memory.total_bytes")?,
            "memfree_mb" => self.mebibytes("memory.free_bytes")?,
            "swaptotal_mb" => self.mebibytes("memory.swap_total_bytes")?,
            "swapfree_mb" => self.mebibytes("memory.swap_free_bytes")?,
            "default_ipv4" => {
                let default = self.json("default_ipv4");
                from_json(&parts::default_ipv4(&default, &self.json("interfaces")))
            }
            "default_ipv6" => {
                let default = self.json("default_ipv6");
                from_json(&parts::default_ipv6(&default, &self.json("interfaces")))
            }
            "mounts" => from_json(&parts::mounts(&self.json("mounts"), &self.json("partitions"))),
            "dns" => {
                let mut dns = self.json("dns");
                if let Some(parts) = dns.as_object_mut() {
                    parts.retain(|_, words| words.as_array().is_some_and(|it| !it.is_empty()));
                }
                from_json(&dns)
            }
            "loadavg" => {
                let load = self.json("load");
                let [one, five, fifteen] = ["one", "five", "fifteen"].map(|name| &load[name]);
                from_json(&json!({"1m": one, "5m": five, "15m": fifteen}))
            }
            "cmdline" | "proc_cmdline" => self.at("cmdline"),
            "local" | "fips" => self.at(name),
            "apparmor" => {
                let is_on = self.at("apparmor").is_true();
                Value::from_pairs([("status", if is_on { "enabled" } else { "disabled" })])
            }
            "date_time" => from_json(&parts::date_time(clock::now_ns())?),
            "lsb" => from_json(&json!({
                "id": distribution(&self.text("os.id")?),
                "description": self.text("os.pretty"),
                "release": self.text("os.version"),
                "major_release": self.text("os.version").as_deref().map(first_part),
                "codename": self.text("os.codename"),
            })),
            "system_vendor" => self.firmware("sys_vendor"),
            "bios_date" | "bios_vendor" | "bios_version" | "board_asset_tag" | "board_name"
            | "board_serial" | "board_vendor" | "board_version" | "chassis_asset_tag"
            | "chassis_serial" | "chassis_vendor" | "chassis_version" | "product_name"
            | "product_serial" | "product_uuid" | "product_version" => self.firmware(name),
            "ssh_host_key_ecdsa_public" => self.text("ssh_host_keys.ecdsa.public")?.into(),
            "ssh_host_key_ed25519_public" => self.text("ssh_host_keys.ed25519.public")?.into(),
            "ssh_host_key_rsa_public" => self.text("ssh_host_keys.rsa.public")?.into(),
            "userspace_architecture" => self.at("arch"),
            "userspace_bits" => usize::BITS.to_string().into(),
            "virtualization_tech_guest" | "virtualization_tech_host" => {
                let role = name.rsplit('_').next().unwrap_or_default();
                let is_so = self.text("virt.role").is_some_and(|it| it == role);
                let kind = self.text("virt.type").filter(|_| is_so);
                kind.into_iter().collect()
            }
            "all_ipv4_addresses" => self.addresses("ipv4"),
            "all_ipv6_addresses" => self.addresses("ipv6"),
            "interfaces" => self.at("interfaces").try_iter().into_iter().flatten().collect(),
            "service_mgr" => self.at("service_manager"),
            "systemd" => match self.at(name) {
                told if told.is_none() || told.is_undefined() => return None,
                told => told,
            },
            "pkg_mgr" => self.at("package_manager"),
            "machine_id" | "uptime_seconds" => self.at(name),
            "selinux" => {
                let is_on = self.text("selinux.mode").is_some_and(|mode| mode != "disabled");
                Value::from_pairs([("status", if is_on { "enabled" } else { "disabled" })])
            }
            "virtualization_type" => self.virtualization("virt.type"),
            "virtualization_role" => self.virtualization("virt.role"),
            "env" => Value::from_pairs(std::env::vars()),
            "effective_user_id" => nix::unistd::geteuid().as_raw().into(),
            "effective_group_id" => nix::unistd::getegid().as_raw().into(),
            "real_user_id" => nix::unistd::getuid().as_raw().into(),
            "real_group_id" => nix::unistd::getgid().as_raw().into(),
            "user_id" | "user_dir" | "user_uid" | "user_gid" | "user_gecos" | "user_shell" => {
                own_user(name)?
            }
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

    fn json(&self, path: &str) -> Json {
        to_json(&self.at(path))
    }

    /// What the firmware says; `NA` where it says nothing.
    fn firmware(&self, name: &str) -> Value {
        self.text(&format!("dmi.{name}")).unwrap_or_else(|| "NA".to_owned()).into()
    }

    /// The interface that `name` stands for.
    fn interface(&self, name: &str) -> Option<Value> {
        let own = self.interfaces().find(|own| as_name(own) == name)?;
        let link = self.at("interfaces").get_item(&Value::from(own.as_str())).ok()?;
        Some(from_json(&parts::interface(&own, &to_json(&link))))
    }

    fn interfaces(&self) -> impl Iterator<Item = String> {
        self.at("interfaces").try_iter().into_iter().flatten().map(|name| name.to_string())
    }
}

/// An interface's name as that of a variable.
fn as_name(interface: &str) -> String {
    interface.replace([':', '-', '.'], "_")
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
        "user_shell" => user.shell.display().to_string().into(),
        "user_gecos" => user.gecos.to_string_lossy().into_owned().into(),
        "user_uid" => user.uid.as_raw().into(),
        _ => user.gid.as_raw().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_have_ansibles_names_and_words() {
        let facts = from_json(&json!({
            "arch": "x86_64",
            "os": {
                "family": "redhat", "id": "rhel", "version": "9.4", "full_version": "9.4",
                "codename": null,
            },
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
        assert_eq!(of("ansible_eth0")["mtu"], 1500);
        assert_eq!(of("distribution_minor_version"), "4");
        assert!(value.get_attr("nope").unwrap().is_undefined());
    }
}
