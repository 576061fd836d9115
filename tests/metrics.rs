//! The agent as Prometheus sees it: a real process, a real port, real scrapes.

#[cfg(test)]
#[path = "support/agent.rs"]
mod agent;
#[cfg(test)]
#[path = "support/skip.rs"]
mod skip;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;

use agent::Agent;

/// The names of the families of an exposition.
fn families(text: &str) -> BTreeSet<&str> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.filter_map(|line| line.split(' ').next()).collect()
}

#[cfg(test)]
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("there is no {series}")).parse().unwrap()
}

#[test]
fn a_scrape_tells_of_the_host_and_of_the_agent_itself() {
    let agent = Agent::start("interval: 1h\n");
    let answer = agent.get("/metrics", &[]);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = answer.text();
    let names = families(&text);
    for name in ["node_load1", "node_cpu_seconds_total", "node_memory_MemTotal_bytes"] {
        assert!(names.contains(name), "{name} is missing");
    }
    assert!(text.contains("\ndriftless_build_info{version=\""));
    assert!(value(&text, "process_resident_memory_bytes") > 1e6);
    assert!(value(&text, "process_start_time_seconds") > 1e9);
    assert_eq!(value(&text, "driftless_scrape_unanswered_sources"), 0.0);
    let first = value(&text, "node_time_seconds");
    let second = value(&agent.get("/metrics", &[]).text(), "node_time_seconds");
    assert!(second > first, "each scrape asks the host anew");
    let received = "driftless_component_received_events_total{component=\"facts.prometheus\"}";
    assert!(value(&text, received) > 0.0, "the endpoint counts what it takes");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn whoever_looks_after_the_agent_learns_beside_the_metrics_that_it_is_well() {
    let agent = Agent::start("interval: 1h\n");
    for page in ["/healthz", "/readyz"] {
        let answer = agent.get(page, &[]);
        assert_eq!(
            (answer.status, answer.text()),
            (200, "{\"status\":\"ok\",\"reasons\":[]}\n".into())
        );
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(agent.request("POST", page, &[]).status, 405);
    }
}

#[test]
fn promtool_has_nothing_to_say_against_the_exposition() {
    let agent = Agent::start("interval: 1h\n");
    let text = agent.get("/metrics", &[]).text();
    let checker = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut checker) = checker else {
        return skip::skipped("promtool is not installed");
    };
    checker.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let verdict = checker.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&verdict.stderr);
    // It lints names too, and those of the host are node_exporter's, not ours to choose.
    let ours = |line: &&str| line.starts_with("driftless_") || line.contains("error");
    assert_eq!(said.lines().filter(ours).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn a_compressed_answer_holds_what_a_plain_one_does() {
    let agent = Agent::start("interval: 1h\n");
    let plain = agent.get("/metrics", &[]);
    assert_eq!(plain.header("content-encoding"), None);
    let packed = agent.get("/metrics", &["Accept-Encoding: gzip"]);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    GzDecoder::new(packed.body.as_slice()).read_to_string(&mut text).unwrap();
    let plain = plain.text();
    assert_eq!(families(&text), families(&plain));
}

#[test]
fn only_the_collectors_asked_for_run() {
    let agent = Agent::start("interval: 1h\n");
    // What the source pushed at the start must not come back either.
    agent.get("/metrics", &[]);
    let text = agent.get("/metrics?collect[]=loadavg&collect%5B%5D=time", &[]).text();
    let names = families(&text);
    assert!(names.contains("node_load1") && names.contains("node_time_seconds"));
    assert!(!names.contains("node_cpu_seconds_total"));
    let refused = agent.get("/metrics?collect[]=loadavg&collect[]=laodavg", &[]);
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("`laodavg`"), "{}", refused.text());
}

#[test]
fn other_requests_are_told_where_the_metrics_are() {
    let agent = Agent::start("interval: 1h\n");
    assert!(agent.get("/", &[]).text().contains("href=\"/metrics\""));
    let elsewhere = agent.get("/elsewhere", &[]);
    assert_eq!((elsewhere.status, elsewhere.text().contains("/metrics")), (404, true));
    let posted = agent.request("POST", "/metrics", &["Content-Length: 0"]);
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET, HEAD")));
    let head = agent.request("HEAD", "/metrics", &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn scrapes_by_the_thousand_leave_memory_as_it_is() {
    let agent = Agent::start("interval: 1h\n");
    let resident = |agent: &Agent| agent.resident_bytes();
    for _ in 0..100 {
        agent.get("/metrics", &["Accept-Encoding: gzip"]);
    }
    let before = resident(&agent);
    for _ in 0..900 {
        agent.get("/metrics", &["Accept-Encoding: gzip"]);
    }
    let grown = resident(&agent).saturating_sub(before);
    assert!(grown < 4 << 20, "grown by {grown} bytes");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn an_agent_ends_in_time_even_with_a_scraper_that_holds_its_connection() {
    let agent = Agent::start("interval: 1h\n");
    let _idle = agent.connect();
    let begun = Instant::now();
    assert_eq!(agent.stop(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_port_that_is_taken_is_named_and_served_once_it_is_free() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let agent = Agent::launch("interval: 1h\n", address);
    agent.wait_for_log(&format!("listen on {address}: "));
    drop(taken);
    agent.wait_until_it_listens();
    assert_eq!(agent.get("/metrics", &[]).status, 200);
}

#[test]
fn a_misspelt_collector_is_a_config_error_with_the_right_name() {
    let config = tempfile::tempdir().unwrap();
    std::fs::write(config.path().join("facts.yml"), "collect: [loadvg]\nexport: [prometheus]\n")
        .unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_driftless"))
        .arg("validate")
        .arg(config.path())
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(1));
    let told = String::from_utf8_lossy(&run.stderr);
    assert!(told.contains("facts.yml:1:") && told.contains("did you mean `loadavg`?"), "{told}");
}
