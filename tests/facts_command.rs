//! `driftless facts` in a pipe, as scripts use it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

#[cfg(test)]
fn facts(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_driftless");
    Command::new(program).arg("facts").args(arguments).output().unwrap()
}

#[cfg(test)]
fn text(arguments: &[&str]) -> String {
    let run = facts(arguments);
    assert_eq!(run.status.code(), Some(0), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

#[test]
fn a_table_has_one_line_a_value() {
    let table = text(&["kernel", "arch"]);
    let arch = table.lines().find(|line| line.starts_with("arch ")).unwrap();
    assert_eq!(arch.split_whitespace().nth(1), Some(std::env::consts::ARCH));
    assert!(table.lines().any(|line| line.starts_with("kernel.release ")), "{table}");
}

#[test]
fn json_and_yaml_say_the_same() {
    let json: serde_json::Value = serde_json::from_str(&text(&["--format", "json", "os"])).unwrap();
    let yaml: serde_json::Value = serde_yaml::from_str(&text(&["--format", "yaml", "os"])).unwrap();
    assert!(json["os"]["family"].is_string());
    assert_eq!(json, yaml);
    let output: serde_json::Value = serde_json::from_str(&text(&["--output", "json"])).unwrap();
    assert_eq!(output["os"], json["os"], "without names there is everything");
}

#[test]
fn metrics_are_those_of_the_collectors_named() {
    let metrics = text(&["loadavg", "--format", "prometheus"]);
    assert!(metrics.contains("# TYPE node_load1 gauge\nnode_load1 "));
    assert!(!metrics.contains("node_cpu_seconds_total"));
    assert!(text(&["--format", "prometheus"]).contains("\nnode_cpu_seconds_total{"));
}

#[test]
fn a_name_that_there_is_not_is_an_error_with_the_one_that_is_meant() {
    for (arguments, hint) in [
        (&["hostnam"][..], "`hostname`"),
        (&["os.famly"], "`family`"),
        (&["loadvg", "--format", "prometheus"], "`loadavg`"),
    ] {
        let run = facts(arguments);
        assert_eq!((run.status.code(), run.stdout.len()), (Some(1), 0), "{arguments:?}");
        let told = String::from_utf8(run.stderr).unwrap();
        assert!(told.contains(hint), "{told}");
    }
}

#[test]
fn watching_goes_on_until_nobody_reads() {
    let mut run = Command::new(env!("CARGO_BIN_EXE_driftless"))
        .args(["facts", "arch", "--watch", "--interval", "100ms"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(run.stdout.take().unwrap()).lines();
    let [one, two] = [(); 2].map(|()| lines.next().unwrap().unwrap());
    assert_eq!(one, two);
    drop(lines);
    assert_eq!(run.wait().unwrap().code(), Some(0));
}

#[test]
fn checks_are_told_as_a_nagios_plugin_tells_them() {
    let config = tempfile::tempdir().unwrap();
    let checks = "collect: [loadavg]\nthresholds:\n  - {name: load, expr: node_load1, \
        warning: {above: WARNING}, critical: {above: 1000000}}\n  - {name: trend, \
        expr: 'deriv(node_load1[1h])', warning: {above: 1}}\nalerts: [console: {}]\n";
    let check = |warning: &str, more: &[&str]| {
        let text = checks.replace("WARNING", warning);
        std::fs::write(config.path().join("facts.yml"), text).unwrap();
        let arguments = ["check", "--config", config.path().to_str().unwrap()];
        let run = facts(&[&arguments[..], more].concat());
        (run.status.code().unwrap(), String::from_utf8(run.stdout).unwrap())
    };
    let (status, told) = check("-1", &["load", "--nagios"]);
    assert_eq!(status, 1, "{told}");
    assert!(told.starts_with("WARNING - load node_load1 is "), "{told}");
    assert!(
        told.contains(" | 'load node_load1'=") && told.ends_with(";~:-1;~:1000000\n"),
        "{told}"
    );
    let (status, told) = check("1000", &["load", "--nagios"]);
    assert!(status == 0 && told.starts_with("OK - 1 values"), "{told}");
    let (status, told) = check("1000", &["--nagios"]);
    assert!(status == 3 && told.starts_with("UNKNOWN - trend: it looks back 3600 s"), "{told}");
    let (status, told) = check("1000", &[]);
    assert!(status == 3 && told.contains("ok        load node_load1 is "), "{told}");
    let (status, told) = check("1000", &["lod", "--nagios"]);
    assert!(
        status == 3 && told.starts_with("UNKNOWN - there is no check or alert `lod`"),
        "{told}"
    );
}

#[test]
fn alerts_of_rule_files_are_told_beside_the_checks() {
    let config = tempfile::tempdir().unwrap();
    let facts_yml = "collect: [loadavg]\nrule_files: [rules.yml]\nalerts: [console: {}]\n";
    std::fs::write(config.path().join("facts.yml"), facts_yml).unwrap();
    let rules = "groups: [{name: g, rules: [\
        {record: load, expr: node_load1 * 2}, \
        {alert: Loaded, expr: load >= 0, for: 1h, labels: {severity: critical}}, \
        {alert: Overloaded, expr: load > 1000000}]}]\n";
    std::fs::write(config.path().join("rules.yml"), rules).unwrap();
    let check = |more: &[&str]| {
        let arguments = ["check", "--config", config.path().to_str().unwrap()];
        let run = facts(&[&arguments[..], more].concat());
        (run.status.code().unwrap(), String::from_utf8(run.stdout).unwrap())
    };
    let (status, told) = check(&["--nagios"]);
    assert!(status == 2 && told.starts_with("CRITICAL - Loaded {severity="), "{told}");
    let (status, told) = check(&["Overloaded"]);
    assert_eq!((status, &*told), (0, "ok        Overloaded: nothing of the kind\n"));
}
