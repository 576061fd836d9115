//! `driftless logs status` on what real runs leave behind, and beside one that goes on.

use super::bench::{Bench, append, comes_about};
use serde_json::{Value, json};
use std::fs;

fn file_sink() -> Value {
    json!({ "out": { "type": "file", "path": "out.txt", "inputs": ["in"] } })
}

#[test]
fn after_a_run_each_file_stands_where_it_was_read_to() {
    let bench = Bench::new(&file_sink());
    append(&bench.path("a.log"), "one\ntwo\n");
    append(&bench.path("b.log"), "three\n");
    bench.once();
    append(&bench.path("b.log"), "more\n");
    fs::remove_file(bench.path("a.log")).unwrap();
    let before = bench.kept();
    let (status, code) = bench.json();
    assert_eq!((status["sources"][0]["source"].as_str(), code), (Some("in"), Some(0)));
    let a = bench.file("a.log");
    assert_eq!(
        (&a["state"], &a["offset_bytes"], &a["lag_bytes"]),
        (&json!("gone"), &json!(8), &json!(null))
    );
    let b = bench.file("b.log");
    assert_eq!(
        (&b["state"], &b["offset_bytes"], &b["lag_bytes"]),
        (&json!("active"), &json!(6), &json!(5))
    );
    let sinks = json!([{
        "sink": "out", "offset_bytes": 6, "lag_bytes": 5, "configured": true,
    }]);
    assert_eq!(b["sinks"], sinks);
    let output = bench.status(&["--data-dir", "data"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let text = text.replace(bench.path("").to_str().unwrap(), "/dir/");
    let words: Vec<Vec<&str>> =
        text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0][..6], ["in:", "2", "files,", "5", "B", "behind,"], "{text}");
    assert_eq!(words[2], ["/dir/a.log", "gone", "-", "8", "B", "-", "-"], "{text}");
    assert_eq!(words[3][..9], ["/dir/b.log", "active", "11", "B", "6", "B", "(54", "%)", "5"]);
    assert_eq!(bench.kept(), before, "looking changes nothing");
}

#[test]
fn beside_a_running_agent_it_shows_the_sink_that_is_behind() {
    // Nobody listens there: the port was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = format!("http://{port}/");
    let bench = Bench::new(&json!({
        "out": { "type": "file", "path": "out.txt", "inputs": ["in"] },
        "away": { "type": "http", "url": away, "inputs": ["in"] },
    }));
    append(&bench.path("a.log"), "one\ntwo\n");
    let agent = bench.agent();
    let lags = || {
        let sinks = bench.file("a.log")["sinks"].as_array().cloned().unwrap_or_default();
        let lag = |name: &str| {
            let sink = sinks.iter().find(|sink| sink["sink"] == name);
            sink.and_then(|sink| sink["lag_bytes"].as_u64())
        };
        (lag("out"), lag("away"))
    };
    let seen = comes_about(|| lags() == (Some(0), Some(8)));
    assert!(seen, "{:?} {}", lags(), fs::read_to_string(bench.path("said")).unwrap());
    assert_eq!(bench.file("a.log")["lag_bytes"], 8);
    append(&bench.path("a.log"), "three\n");
    assert!(comes_about(|| lags() == (Some(0), Some(14))), "{:?}", lags());
    agent.kill();
    // What another config does without is not waited for.
    let only_out = json!({
        "sources": { "in": { "type": "file", "include": [bench.path("*.log")] } },
        "sinks": file_sink(),
    });
    fs::write(bench.path("config/topology.json"), only_out.to_string()).unwrap();
    assert_eq!(bench.file("a.log")["lag_bytes"], 0);
}

#[test]
fn a_buffer_shows_what_waits_in_it() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = format!("http://{port}/");
    let sink = json!({
        "type": "http", "url": away, "inputs": ["in"],
        "buffer": { "type": "disk", "max_bytes": "16MiB" },
    });
    let bench = Bench::new(&json!({ "away": sink }));
    append(&bench.path("a.log"), "one\ntwo\nthree\n");
    let agent = bench.agent();
    let waiting = || {
        let buffer = bench.json().0["buffers"][0].clone();
        (buffer["component"].clone(), buffer["waiting_events"].clone())
    };
    assert!(comes_about(|| waiting() == (json!("away"), json!(3))), "{:?}", waiting());
    let all_read = || bench.file("a.log")["lag_bytes"] == 0;
    assert!(comes_about(all_read), "on disk it is safe for the source");
    assert!(agent.stop().success());
    assert_eq!(waiting(), (json!("away"), json!(3)));
}

#[test]
fn damage_is_shown_and_is_no_crash() {
    let bench = Bench::new(&file_sink());
    append(&bench.path("a.log"), "one\n");
    bench.once();
    let checkpoint = bench.path("data/checkpoints/in");
    append(&checkpoint, "00000000 {\"key\":1}\n\u{0}\u{1}garbage");
    let (status, code) = bench.json();
    assert_eq!((&status["sources"][0]["damaged_lines"], code), (&json!(2), Some(1)));
    assert_eq!(bench.file("a.log")["lag_bytes"], 0, "what is sound still counts");
    let output = bench.status(&["--config", "config"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("2 lines are damaged in the checkpoint"), "{text}");
    fs::write(&checkpoint, [0xff, 0, 7]).unwrap();
    assert_eq!(bench.json().1, Some(1));
    fs::remove_file(&checkpoint).unwrap();
    fs::create_dir(&checkpoint).unwrap();
    let (status, code) = bench.json();
    assert_eq!(code, Some(1));
    assert!(status["sources"][0]["problem"].is_string(), "{status}");
}

#[test]
fn status_is_a_word_and_a_file_of_that_name_has_a_path() {
    let bench = Bench::new(&file_sink());
    append(&bench.path("status"), "a line\n");
    let output = bench.status(&["--config", "config"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("nothing was read yet: "), "{text}");
    let output = bench.driftless().args(["logs", "./status"]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "a line\n");
    let output = bench.driftless().args(["logs"]).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
}
