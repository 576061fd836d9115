//! The `elasticsearch` sink against a bulk API that takes nothing that the real one would not.

use crate::bulk::Cluster;
use crate::harness::{Bench, free_port};
use crate::stub::Stub;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;

fn sink(server: &Stub, rest: Value) -> Value {
    let mut sink = json!({
        "type": "elasticsearch", "url": format!("http://{}", server.address),
        "retry": { "initial": "20ms", "max": "200ms" }, "batch": { "age": "20ms" },
    });
    let Value::Object(rest) = rest else { panic!("settings are a mapping") };
    sink.as_object_mut().unwrap().extend(rest);
    sink
}

fn parse() -> Value {
    json!({ "parse": { "type": "parse", "format": "json", "timestamp": "time" } })
}

fn numbered(range: std::ops::Range<usize>) -> String {
    range.map(|number| format!("line {number}\n")).collect()
}

/// Whether exactly these lines are there, once each.
fn holds_once(cluster: &Cluster, lines: &str) -> bool {
    let messages = cluster.messages();
    let expected: BTreeSet<&str> = lines.lines().collect();
    messages.len() == expected.len()
        && messages.iter().map(String::as_str).collect::<BTreeSet<_>>() == expected
}

#[test]
fn documents_arrive_in_the_indices_of_their_days_for_the_user_who_sends_them() {
    let cluster = Cluster::default();
    cluster.manners.lock().unwrap().authorization = Some("Basic bWU6aHVudGVyMg==".into());
    let server = cluster.listen(None);
    let rest = json!({
        "auth": { "user": "me", "password": "hunter2" }, "compression": "gzip",
        "index": "app-{{ service }}-%Y.%m.%d", "pipeline": "geo ip", "routing": "{{ service }}",
    });
    let bench = Bench::new(parse(), sink(&server, rest));
    for (day, service) in [(1, "shop"), (2, "shop"), (2, "Pay")] {
        let time = format!("2026-03-0{day}T12:00:00Z");
        bench.append(format!("{}\n", json!({ "time": time, "service": service, "n": day })));
    }
    bench.once();
    let documents = cluster.documents();
    let indices: Vec<&str> = documents.keys().map(|(index, _)| index.as_str()).collect();
    assert_eq!(indices, ["app-pay-2026.03.02", "app-shop-2026.03.01", "app-shop-2026.03.02"]);
    let shop = &documents.values().nth(1).unwrap();
    assert_eq!((&shop["@timestamp"], &shop["n"]), (&"2026-03-01T12:00:00Z".into(), &1.into()));
    assert_eq!(shop["host"], "testhost");
    assert!(shop["path"].as_str().unwrap().ends_with("in.log"), "{shop}");
    assert!(cluster.queries().iter().all(|query| query.contains("pipeline=geo+ip")));
    assert!(!bench.said().contains("hunter2"));
}

#[test]
fn a_data_stream_takes_every_record_once() {
    let cluster = Cluster::default();
    let server = cluster.listen(None);
    let rest = json!({ "data_stream": { "dataset": "app", "namespace": "test" } });
    let bench = Bench::new(json!({}), sink(&server, rest));
    bench.append(numbered(0..100));
    bench.once();
    assert!(holds_once(&cluster, &numbered(0..100)));
    assert!(cluster.documents().keys().all(|(index, _)| index == "logs-app-test"));
}

#[test]
fn what_a_server_refuses_is_a_dead_letter_and_what_it_has_no_room_for_goes_again_alone() {
    let cluster = Cluster::default();
    cluster.is_busy_for(|document| document["n"].as_u64().is_some_and(|n| n % 3 == 0));
    let server = cluster.listen(None);
    let bench = Bench::new(parse(), sink(&server, json!({ "dead_letter": "dead" })));
    let dead = bench.path("dead.ndjson");
    bench.add_sink("dead", json!({ "type": "file", "path": dead, "inputs": [] }));
    let line = |n: Value| format!("{}\n", json!({ "message": n.to_string(), "n": n }));
    bench.append((0..30).map(|n| line(n.into())).collect::<String>() + &line("x".into()));
    bench.once();
    assert_eq!(cluster.messages().len(), 30);
    assert_eq!(cluster.known(), 0, "nothing was sent that was there already");
    let letters = fs::read_to_string(dead).unwrap();
    let letter: Value = serde_json::from_str(letters.trim()).unwrap();
    assert_eq!((&letter["status"], &letter["sink"]), (&400.into(), &"out".into()), "{letter}");
    assert!(letter["reason"].as_str().unwrap().contains("number_format_exception"), "{letter}");
    assert_eq!(letter["message"], line("x".into()).trim(), "the line as it was");
}

#[test]
fn nothing_is_lost_or_doubled_while_a_server_pauses_closes_its_doors_or_goes_away() {
    let cluster = Cluster::default();
    let refusals =
        [(429, Some(1)), (503, None), (401, None), (403, None), (404, None), (500, None)];
    cluster.manners.lock().unwrap().refusals = refusals.into();
    let server = cluster.listen(None);
    let address = server.address;
    let bench = Bench::new(json!({}), sink(&server, json!({ "timeout": "1s" })));
    let agent = bench.start(&[]);
    bench.append(numbered(0..100));
    bench.wait_until("the server takes it", || holds_once(&cluster, &numbered(0..100)));
    let said = bench.said();
    assert!(said.contains("look at `auth`") && said.contains("look at `url`"), "{said}");
    // It takes the next and never says so.
    cluster.manners.lock().unwrap().silences = 1;
    bench.append(numbered(100..200));
    bench.wait_until("it is sent again", || cluster.known() >= 100);
    drop(server);
    bench.append(numbered(200..300));
    bench.wait_until("it says that the server is away", || bench.said().contains("refused"));
    let _server = cluster.listen(Some(address));
    bench.wait_until("all is there", || holds_once(&cluster, &numbered(0..300)));
    assert!(agent.stop().success());
}

#[test]
fn an_answer_that_is_no_servers_or_does_not_fit_or_never_comes_whole_is_no_delivery() {
    let cluster = Cluster::default();
    cluster.manners.lock().unwrap().strangers = [
        (200, "<html>please log in</html>"),
        (200, ""),
        (204, ""),
        (200, "{\"took\":1,\"errors\":false,\"items\":[{\"create\":{\"status\":201}}]}"),
        (200, "{\"took\":1,\"errors\":true,\"items\":[]}"),
        (200, "{\"took\":1,\"errors\":fal"),
    ]
    .into();
    cluster.manners.lock().unwrap().resets = 2;
    let server = cluster.listen(None);
    let bench = Bench::new(json!({}), sink(&server, json!({ "dead_letter": "dead" })));
    let dead = bench.path("dead.ndjson");
    bench.add_sink("dead", json!({ "type": "file", "path": dead, "inputs": [] }));
    bench.append(numbered(0..50));
    bench.once();
    assert!(holds_once(&cluster, &numbered(0..50)), "{}", bench.said());
    assert!(!dead.exists(), "nothing is given up");
    assert_eq!(cluster.known(), 50 * 2, "what came before a connection was cut comes again");
}

#[test]
fn a_request_that_is_too_large_goes_in_parts_and_only_what_never_fits_is_refused() {
    let cluster = Cluster::default();
    cluster.manners.lock().unwrap().limit = Some(100_000);
    let server = cluster.listen(None);
    let rest = json!({ "batch": { "age": "1s" }, "compression": "gzip" });
    let bench = Bench::new(json!({}), sink(&server, rest));
    let huge = "x".repeat(150_000);
    bench.append(format!("{}{huge}\n{}", numbered(0..3000), numbered(3000..6000)));
    bench.once();
    assert!(holds_once(&cluster, &numbered(0..6000)));
    let (largest, wire_bytes) = cluster.sizes();
    assert!(largest <= 100_000 && wire_bytes < 500_000, "{largest} {wire_bytes}");
    assert!(bench.said().contains("413"), "{}", bench.said());
    let answers = cluster.manners.lock().unwrap().answers.clone();
    let refused = answers.iter().filter(|status| **status == 413).count();
    assert!(refused < 40, "what a server takes is remembered: {answers:?}");
}

#[test]
fn another_node_is_asked_where_one_is_away() {
    let cluster = Cluster::default();
    let server = cluster.listen(None);
    let gone = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let urls = json!({ "url": [format!("http://{gone}"), format!("http://{}/", server.address)] });
    let bench = Bench::new(json!({}), sink(&server, urls));
    bench.append(numbered(0..10));
    bench.once();
    assert!(holds_once(&cluster, &numbered(0..10)));
    assert!(!bench.said().contains("will try again"), "{}", bench.said());
}

#[test]
fn no_kill_at_whatever_moment_loses_or_doubles_a_document() {
    let cluster = Cluster::default();
    let server = cluster.listen(None);
    let bench = Bench::new(json!({}), sink(&server, json!({ "concurrency": 3 })));
    let mut written = 0;
    for round in 0..10 {
        let agent = bench.start(&[]);
        let before = cluster.documents().len();
        bench.append(numbered(written..written + 500));
        written += 500;
        if round % 3 == 1 {
            cluster.manners.lock().unwrap().silences = 1;
        }
        if round == 4 {
            // The next file begins with the very same line as this one.
            fs::rename(bench.path("in.log"), bench.path("in.log.1")).unwrap();
            fs::write(bench.path("in.log"), "line 0\n").unwrap();
        }
        bench.wait_until("something arrives", || cluster.documents().len() > before);
        agent.kill();
    }
    bench.once();
    let messages = cluster.messages();
    let twice = messages.iter().filter(|message| *message == "line 0").count();
    assert_eq!(twice, 2, "one for each file");
    assert_eq!(messages.len(), written + 1);
    let expected: BTreeSet<String> = numbered(0..written).lines().map(str::to_owned).collect();
    assert_eq!(messages.into_iter().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn the_short_form_of_a_logs_file_is_enough() {
    let cluster = Cluster::default();
    cluster.manners.lock().unwrap().authorization = Some("Basic c2hpcHBlcjpodW50ZXIy".into());
    let server = cluster.listen(None);
    let bench = Bench::new(json!({}), json!({ "type": "console" }));
    fs::remove_file(bench.path("config/topology.json")).unwrap();
    let elk = json!({ "elasticsearch": {
        "url": format!("http://{}", server.address),
        "auth": { "user": "shipper", "password": "{{ secrets.ES_PASSWORD }}" },
    }});
    let logs = json!({
        "sources": { "nginx": { "paths": [bench.path("in.log")] } }, "outputs": { "elk": elk },
    });
    fs::write(bench.path("config/logs.json"), logs.to_string()).unwrap();
    bench.append("hello\n");
    bench.once();
    assert_eq!(cluster.messages(), ["hello"]);
    let documents = cluster.documents();
    let ((index, _), _) = documents.first_key_value().unwrap();
    assert!(index.starts_with("driftless-20"), "{index}");
}
