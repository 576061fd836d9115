//! The `loki` sink against a server that takes nothing that the real one would not.

use crate::harness::Bench;
use crate::loki_server::Loki;
use crate::stub::Stub;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

fn sink(server: &Stub, rest: Value) -> Value {
    let mut sink = json!({
        "type": "loki", "url": format!("http://{}", server.address),
        "retry": { "initial": "20ms", "max": "200ms" }, "batch": { "age": "20ms" },
    });
    let Value::Object(rest) = rest else { panic!("settings are a mapping") };
    sink.as_object_mut().unwrap().extend(rest);
    sink
}

fn parse() -> Value {
    json!({ "parse": { "type": "parse", "format": "json", "timestamp": "time" } })
}

/// A line of this time: so many seconds ago.
fn line(ago: u64, level: &str, message: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    format!("{}\n", json!({ "time": now - ago, "level": level, "message": message }))
}

#[test]
fn records_arrive_in_their_streams_in_order_with_metadata_and_tenant() {
    let loki = Loki::default();
    loki.manners.lock().unwrap().authorization = Some("Bearer hunter2".into());
    let server = loki.listen(None);
    let rest = json!({
        "auth": { "bearer": "hunter2" }, "compression": "gzip", "tenant_id": "shop",
        "labels": { "job": "app", "the.level": "{{ level }}", "host": "{{ host }}" },
        "structured_metadata": { "said": "{{ message }}" },
    });
    let bench = Bench::new(parse(), sink(&server, rest));
    // Equal lines of the same second are not one.
    let lines = [line(60, "info", "a"), line(60, "info", "a"), line(59, "warn", "b")];
    bench.append(lines.concat());
    bench.append(line(61, "info", "late"));
    bench.once();
    let streams = loki.streams();
    let of = |level: &str| {
        let labels = json!({ "job": "app", "the_level": level, "host": "testhost" });
        streams[&("shop".to_owned(), labels.to_string())].clone()
    };
    let said: Vec<Value> = of("info").iter().map(|(_, _, said)| said["said"].clone()).collect();
    assert_eq!(said, ["late", "a", "a"]);
    let [(time, text, _)] = of("warn").try_into().unwrap();
    assert_eq!(text, lines[2].trim());
    assert_eq!(time % 1_000_000_000, 0);
    assert_eq!(loki.known(), 0);
    assert!(!bench.said().contains("hunter2"));
}

#[test]
fn equal_lines_that_have_no_time_of_their_own_all_stay() {
    let loki = Loki::default();
    let server = loki.listen(None);
    let bench = Bench::new(json!({}), sink(&server, json!({})));
    bench.append("same\n".repeat(500));
    bench.once();
    assert_eq!(loki.lines().len(), 500);
}

#[test]
fn only_lines_that_are_too_old_are_dead_letters() {
    let loki = Loki::default();
    let server = loki.listen(None);
    let rest = json!({ "dead_letter": "dead", "labels": { "level": "{{ level }}" } });
    let bench = Bench::new(parse(), sink(&server, rest));
    let dead = bench.path("dead.ndjson");
    bench.add_sink("dead", json!({ "type": "file", "path": dead, "inputs": [] }));
    let month = 30 * 86_400;
    for number in 0..40 {
        let ago = if number % 20 == 7 { month } else { 10 };
        bench.append(line(ago, ["info", "warn"][number % 2], &number.to_string()));
    }
    bench.once();
    assert_eq!(loki.lines().len(), 38);
    let letters = fs::read_to_string(dead).unwrap();
    let letters: Vec<Value> =
        letters.lines().map(|letter| serde_json::from_str(letter).unwrap()).collect();
    assert_eq!(letters.len(), 2, "{letters:?}");
    for letter in letters {
        assert!(letter["reason"].as_str().unwrap().contains("too old"), "{letter}");
        let raw: Value = serde_json::from_str(letter["message"].as_str().unwrap()).unwrap();
        assert!(["7", "27"].contains(&raw["message"].as_str().unwrap()), "{letter}");
    }
}

#[test]
fn nothing_is_lost_while_a_server_is_full_closed_silent_or_away() {
    let loki = Loki::default();
    let refusals = [(429, Some(1)), (503, None), (401, None), (500, None)];
    loki.manners.lock().unwrap().refusals = refusals.into();
    let server = loki.listen(None);
    let address = server.address;
    let rest = json!({ "timeout": "1s", "max_streams": 3, "labels": { "n": "{{ level }}" } });
    let bench = Bench::new(parse(), sink(&server, rest));
    let lines = |range: std::ops::Range<usize>| -> String {
        range.map(|n| line(100, &(n % 10).to_string(), &n.to_string())).collect()
    };
    let agent = bench.start(&[]);
    bench.append(lines(0..100));
    bench.wait_until("the server takes it", || loki.lines().len() == 100);
    assert!(bench.said().contains("look at `auth`"), "{}", bench.said());
    assert_eq!(loki.most_streams(), 3);
    loki.manners.lock().unwrap().silences = 1;
    bench.append(lines(100..200));
    bench.wait_until("it is sent again", || loki.known() > 0 && loki.lines().len() == 200);
    drop(server);
    bench.append(lines(200..300));
    bench.wait_until("it says that the server is away", || bench.said().contains("refused"));
    let _server = loki.listen(Some(address));
    bench.wait_until("all is there", || loki.lines().len() == 300);
    agent.kill();
    bench.once();
    let messages: BTreeSet<String> = loki.lines().into_iter().collect();
    assert!((0..300).all(|n| messages.iter().any(|line| line.contains(&format!("\"{n}\"")))));
}

#[test]
fn a_page_in_lokis_place_and_a_connection_that_is_cut_are_no_delivery() {
    let loki = Loki::default();
    let strangers = [(200, "\n<!DOCTYPE html><p>please log in"), (302, ""), (502, "bad gateway")];
    loki.manners.lock().unwrap().strangers = strangers.into();
    loki.manners.lock().unwrap().resets = 2;
    let server = loki.listen(None);
    let bench = Bench::new(json!({}), sink(&server, json!({})));
    bench.append((0..50).map(|number| format!("line {number}\n")).collect::<String>());
    bench.once();
    assert_eq!(loki.lines().len(), 50, "{}", bench.said());
    assert_eq!(loki.known(), 50 * 2);
    assert!(bench.said().contains("is this Loki?"), "{}", bench.said());
}

#[test]
fn a_stream_without_labels_is_refused_before_anything_runs() {
    let server = Loki::default().listen(None);
    let bench = Bench::new(json!({}), sink(&server, json!({ "labels": {} })));
    let status = bench.start(&["--once"]).wait();
    assert!(!status.success());
    let said = bench.said();
    assert!(said.contains("topology.json:1:") && said.contains("at least one"), "{said}");
}
