//! `internal_logs`, `internal_metrics` and `stdin`.

use crate::rig::{Process, Rig};
use std::fs;
use std::io::Write;

#[test]
fn the_agents_own_log_is_sent_on_without_secrets_and_without_going_round_for_ever() {
    // Each attempt at a sink that refuses is worth an event, which goes to the same sink.
    let rig = Rig::with_sink(
        "sources:\n  in: {type: internal_logs, level: debug}",
        "  out: {type: file, inputs: [in], path: DIR/out, encoding: ndjson}\n  \
         away: {type: http, inputs: [in], url: 'http://127.0.0.1:FREE_PORT/a-token-for-tests', \
         auth: {bearer: '{{ secrets.TEST_TOKEN }}'}, retry: {initial: 10ms, max: 10ms}}",
    );
    let agent = rig.agent(&["--log-level", "debug"]);
    rig.wait_until("a flood was held back and told of", || {
        rig.records().iter().any(|record| record.get("suppressed").is_some())
    });
    agent.kill();
    let records = rig.records();
    let running = records.iter().find(|record| record["message"] == "running").unwrap();
    assert_eq!(running["level"], "info");
    let about = |record: &&serde_json::Value| record["component"] == "away";
    assert!(records.iter().filter(about).count() < 60, "{}", records.len());
    assert!(!rig.text("out").contains("a-token-for-tests"));
    assert!(rig.text("out").contains("***"));
}

#[test]
fn the_agents_own_metrics_are_pushed() {
    let rig = Rig::with_sink(
        "sources:\n  in: {type: internal_metrics, interval: 100ms}",
        "  out: {type: file, inputs: [in], path: DIR/out, encoding: ndjson}",
    );
    let agent = rig.agent(&[]);
    let has = |words: &str| rig.text("out").lines().any(|line| line.contains(words));
    rig.wait_until("they are there", || {
        has("process_resident_memory_bytes")
            && has("driftless_build_info")
            && rig.text("out").lines().any(|line| {
                line.contains("driftless_component_received_events_total")
                    && line.contains("\"out\"")
            })
    });
    assert!(agent.stop().success());
    fs::remove_file(rig.path("out")).unwrap();
    assert!(rig.agent(&["--once"]).wait().success());
    assert!(has("driftless_build_info"), "once means one snapshot");
}

#[test]
fn standard_input_is_read_to_its_end_and_its_writer_waits_for_a_sink_that_is_away() {
    let rig = Rig::new("sources:\n  in: {type: stdin, max_line_bytes: 1MiB}");
    fs::create_dir(rig.path("out")).unwrap();
    let (output, mut input) = std::io::pipe().unwrap();
    let agent = Process::spawn(rig.agent_command(&["--once"]).stdin(output));
    let line = "x".repeat(1000);
    let writer = std::thread::spawn(move || {
        for number in 0..40_000 {
            writeln!(input, "{number:05} {line}").unwrap();
        }
        write!(input, "unended").unwrap();
    });
    rig.wait_until("it tries to write", || rig.text("said").contains("out"));
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(!writer.is_finished(), "40 MB are more than the agent takes without a sink");
    fs::remove_dir(rig.path("out")).unwrap();
    writer.join().unwrap();
    assert!(agent.wait().success());
    let out = rig.text("out");
    assert_eq!(out.lines().count(), 40_001);
    for (number, line) in out.lines().take(40_000).enumerate() {
        assert!(line.starts_with(&format!("{number:05} ")), "{}", &line[..20]);
    }
    assert!(out.ends_with("unended\n"));
}
