//! What somebody learns before the first start.

use crate::rig::Rig;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// How a check came out.
fn verdict(findings: &Value, check: &str) -> String {
    let mut findings = findings.as_array().unwrap().iter();
    let finding = findings.find(|finding| finding["check"] == check).unwrap();
    finding["verdict"].as_str().unwrap().to_owned()
}

#[test]
fn what_would_be_in_the_way_of_a_start_is_told_before_it() {
    let rig = Rig::new();
    let check = || {
        let answer = rig.ask(&["self-check", "--output", "json"]);
        (serde_json::from_str::<Value>(&answer.out).unwrap(), answer.code)
    };
    let (findings, code) = check();
    assert_eq!(code, 0, "{findings:#}");
    for name in ["config", "data_dir", "socket"] {
        assert_eq!(verdict(&findings, name), "ok", "{findings:#}");
    }
    assert!(!rig.path("data").exists(), "it changes nothing");
    fs::create_dir(rig.path("data")).unwrap();
    fs::set_permissions(rig.path("data"), fs::Permissions::from_mode(0o777)).unwrap();
    rig.write("config/topology.yml", "sources: {in: {type: fiel}}\n");
    let (findings, code) = check();
    assert_eq!(code, 1);
    for name in ["config", "data_dir"] {
        assert_eq!(verdict(&findings, name), "failed", "{findings:#}");
    }
    let text = rig.ask(&["self-check"]);
    assert!(text.out.contains("hint: chmod go-w"), "{text:?}");
}
