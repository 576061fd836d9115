//! All facts of a small made-up host, and of this one.

use std::path::Path;

use driftless::host::facts::Facts;
use driftless::host::roots::Roots;
use serde_json::Value;

#[test]
fn a_known_host_has_known_facts() {
    let facts = Facts::new(Roots::below(Path::new("tests/fixtures/host")));
    let mut all = facts.all();
    // Addresses come from this host's kernel, sizes from its file systems.
    all["interfaces"]["eth0"]["ipv4"] = Value::Null;
    all["interfaces"]["eth0"]["ipv6"] = Value::Null;
    for mount in all["mounts"].as_object_mut().unwrap().values_mut() {
        for bytes in ["size_bytes", "free_bytes", "available_bytes"] {
            mount[bytes] = Value::Null;
        }
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&all).unwrap());
}

#[test]
fn this_host_knows_what_it_is() {
    let facts = Facts::new(Roots::live());
    let fact = |pointer: &str| {
        let (name, rest) = pointer.split_once('/').unwrap_or((pointer, ""));
        let fact = facts.get(name).unwrap();
        if rest.is_empty() { fact } else { fact.pointer(&format!("/{rest}")).unwrap() }
    };
    assert!(fact("os/family").is_string());
    assert!(fact("kernel/release").as_str().unwrap().contains('.'));
    assert!(fact("cpu/count").as_u64().unwrap() >= 1);
    assert!(fact("memory/total_bytes").as_u64() >= fact("memory/available_bytes").as_u64());
    assert_eq!(fact("users/root/uid"), 0);
    assert!(fact("mounts").as_object().unwrap()["/"]["size_bytes"].as_u64().is_some());
    assert!(fact("uptime_seconds").is_u64());
    if let Some(interface) = fact("default_ipv4/interface").as_str() {
        assert!(fact("interfaces").get(interface).is_some(), "{interface}");
    }
}
