//! What we tell of a host, next to what `node_exporter` tells of it. Skips where there is no
//! `node_exporter`, or none of its fixtures.

#[cfg(test)]
mod peer;
#[cfg(test)]
#[path = "../support/skip.rs"]
mod skip;

use std::path::Path;

use driftless::event::exposition;
use driftless::host::roots::Roots;
use driftless::sources::host_metrics::runner::Collectors;

use self::peer::{Peer, Text};

/// Where a checkout of `node_exporter`'s fixtures is unpacked, with `e2e-output.txt` in it.
const FIXTURES: &str = "NODE_EXPORTER_FIXTURES";

fn ours(collectors: &mut Collectors) -> Text {
    let mut out = Vec::new();
    exposition::encode(&collectors.collect(|_| true), &mut out);
    Text::parse(&String::from_utf8_lossy(&out))
}

fn name_of(series: &str) -> &str {
    series.split('{').next().unwrap_or(series)
}

#[test]
fn node_exporters_own_fixtures_give_node_exporters_own_output() {
    let Some(fixtures) = std::env::var_os(FIXTURES) else {
        return skip::skipped(&format!("{FIXTURES} is not set"));
    };
    let root = Path::new(&fixtures);
    let expected = std::fs::read_to_string(root.join("e2e-output.txt")).unwrap();
    let expected = Text::parse(&expected);
    let names = ["cpu", "diskstats", "loadavg", "meminfo", "stat", "vmstat"];
    let ours = ours(&mut Collectors::new(&Roots::below(root), names).unwrap());
    // How long a collector took is another at each run.
    for (series, value) in ours.of(|series| !series.starts_with("node_scrape_collector")) {
        assert_eq!(expected.series.get(series), Some(value), "{series}");
        assert_eq!(ours.types.get(name_of(series)), expected.types.get(name_of(series)));
    }
    // Behind flags: cpu info and soft interrupts. Of other collectors: the rest.
    let not_ours = |name: &str| {
        let flagged = ["node_cpu_info", "node_cpu_flag_info", "node_cpu_bug_info"];
        let other = ["node_cpu_scaling_", "node_cpu_frequency_", "node_cpu_vulnerabilities"];
        let other = other.iter().chain(&["node_softirqs", "node_memory_numa_", "node_interrupts"]);
        flagged.contains(&name) || other.clone().any(|start| name.starts_with(start))
    };
    let of_ours = ["node_cpu_", "node_disk_", "node_load", "node_memory_", "node_vmstat_"];
    let of_ours = of_ours.iter().chain(&[
        "node_boot",
        "node_context",
        "node_forks",
        "node_procs",
        "node_intr_",
    ]);
    for series in expected.series.keys() {
        let name = name_of(series);
        if of_ours.clone().any(|start| name.starts_with(start)) && !not_ours(name) {
            assert!(ours.series.contains_key(series), "{series} is missing");
        }
    }
}

#[test]
fn a_dashboard_made_for_node_exporter_finds_the_same_on_this_host() {
    let Some(peer) = Peer::start() else {
        return skip::skipped("node_exporter is not installed");
    };
    peer.scrape(); // the first one learns the processors
    let mut collectors = Collectors::new(&Roots::live(), ["default"]).unwrap();
    let rounds = [ours(&mut collectors), peer.scrape(), ours(&mut collectors)];
    let [before, theirs, after] = rounds.map(Text::without_new_labels);
    for (name, kind) in &theirs.types {
        // The exporter's own; and what its version 1.5 names otherwise.
        let own = ["node_exporter_build_info", "node_cpu_frequency", "promhttp_"];
        if !own.iter().any(|start| name.starts_with(start)) {
            assert_eq!(before.types.get(name), Some(kind), "{name}");
        }
    }
    let number = |text: &Text, series: &str| text.series.get(series)?.parse::<f64>().ok();
    let mut compared = 0;
    for (series, value) in &theirs.series {
        let name = name_of(series);
        let Some(kind) = before.types.get(name) else { continue };
        let told = before.series.get(series);
        let told = told.unwrap_or_else(|| panic!("we do not tell of {series}"));
        let fixed = ["_info", "_size_bytes", "MemTotal_bytes", "boot_time_seconds", "_readonly"];
        if fixed.iter().any(|end| name.ends_with(end)) {
            assert_eq!(told, value, "{series}");
            compared += 1;
        } else if kind == "counter" {
            let (low, high) = (number(&before, series), number(&after, series));
            let theirs = number(&theirs, series);
            assert!(low <= theirs && theirs <= high, "{series}: {low:?} {theirs:?} {high:?}");
            compared += 1;
        }
    }
    assert!(compared > 50, "only {compared} series are in both");
}
