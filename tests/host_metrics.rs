//! The whole exposition of a small made-up host, as a golden file, and what happens when parts of
//! a host are missing.

use std::fs;
use std::path::Path;

use driftless::event::exposition;
use driftless::event::metric::{Family, SampleValue};
use driftless::host::roots::Roots;
use driftless::sources::host_metrics::options::Options;
use driftless::sources::host_metrics::runner::Collectors;

const HOST: &str = "tests/fixtures/host";

fn text(families: &[Family]) -> String {
    let mut out = Vec::new();
    assert_eq!(exposition::encode(families, &mut out), 0, "no series is there twice");
    String::from_utf8_lossy(&out).into_owned()
}

fn success(families: &[Family], collector: &str) -> Option<f64> {
    let family = families.iter().find(|family| family.name == "node_scrape_collector_success")?;
    let mut samples = family.samples.iter();
    match samples.find(|sample| sample.labels[0].1 == collector)?.value {
        SampleValue::Number(value) => Some(value),
        _ => None,
    }
}

#[test]
fn a_known_host_gives_known_text() {
    // uname asks the kernel and filesystem asks real mounts, so they are not of this host.
    let names = ["cpu", "diskstats", "loadavg", "meminfo", "netdev", "stat", "time", "vmstat"];
    let mut collectors =
        Collectors::new(&Roots::below(Path::new(HOST)), &Options::default(), names).unwrap();
    let mut families = collectors.collect(|_| true);
    let changing = ["node_time_seconds", "node_time_zone_offset_seconds"];
    families.retain(|family| !changing.contains(&&*family.name));
    families.retain(|family| family.name != "node_scrape_collector_duration_seconds");
    insta::assert_snapshot!(text(&families));
}

#[test]
fn what_a_host_lacks_costs_only_the_collector_that_asks_for_it() {
    let empty = tempfile::tempdir().unwrap();
    fs::create_dir(empty.path().join("proc")).unwrap();
    fs::write(empty.path().join("proc/loadavg"), "0.5 0.25 0.125 1/2 3\n").unwrap();
    let mut collectors =
        Collectors::new(&Roots::below(empty.path()), &Options::default(), ["default"]).unwrap();
    let families = collectors.collect(|_| true);
    assert_eq!(success(&families, "loadavg"), Some(1.0));
    assert_eq!(success(&families, "uname"), Some(1.0));
    assert_eq!(success(&families, "diskstats"), Some(0.0));
    assert_eq!(success(&families, "filesystem"), Some(0.0));
    assert!(text(&families).contains("\nnode_load15 0.125\n"));
}

#[test]
fn a_broken_line_costs_its_collector_and_the_next_round_is_whole_again() {
    let host = tempfile::tempdir().unwrap();
    let proc = host.path().join("proc");
    fs::create_dir(&proc).unwrap();
    let good = "MemTotal: 4 kB\n";
    fs::write(proc.join("meminfo"), "MemTotal: four\n").unwrap();
    let mut collectors =
        Collectors::new(&Roots::below(host.path()), &Options::default(), ["meminfo"]).unwrap();
    assert_eq!(success(&collectors.collect(|_| true), "meminfo"), Some(0.0));
    fs::write(proc.join("meminfo"), good).unwrap();
    let families = collectors.collect(|_| true);
    assert_eq!(success(&families, "meminfo"), Some(1.0));
    assert!(text(&families).contains("node_memory_MemTotal_bytes 4096\n"));
}

#[test]
fn only_what_is_asked_for_runs() {
    let mut collectors =
        Collectors::new(&Roots::below(Path::new(HOST)), &Options::default(), ["default"]).unwrap();
    let families = collectors.collect(|name| name == "loadavg");
    assert_eq!(success(&families, "loadavg"), Some(1.0));
    assert_eq!(success(&families, "cpu"), None);
}

#[test]
fn this_host_gives_text_that_holds_together() {
    let mut collectors = Collectors::new(&Roots::live(), &Options::default(), ["default"]).unwrap();
    for _ in 0..3 {
        let families = collectors.collect(|_| true);
        for name in ["cpu", "filesystem", "loadavg", "meminfo", "netclass", "netdev", "uname"] {
            assert_eq!(success(&families, name), Some(1.0), "{name}");
        }
        assert!(text(&families).contains("node_uname_info{"));
    }
}
