//! The `http` sink, and with it what all sinks that send requests have in common, against a server
//! in this process.

use crate::harness::{Bench, free_port, lines};
use crate::receiver::{Receiver, Reply};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// A bench with a sink that sends each record as a request of its own, without long pauses.
fn bench(receiver: &Receiver, settings: &Value) -> Bench {
    let mut sink = json!({
        "type": "http", "url": receiver.url, "batch": { "records": 1, "age": "10ms" },
        "retry": { "initial": "10ms", "max": "50ms" },
    });
    sink.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let refused = json!({ "type": "file", "inputs": [], "encoding": "ndjson", "path": "refused" });
    match sink.get("dead_letter") {
        Some(_) => Bench::with_more(json!({}), sink, json!({ "refused": refused })),
        None => Bench::new(json!({}), sink),
    }
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("line {number}")).collect()
}

fn letters(bench: &Bench) -> Vec<Value> {
    let lines = lines(&bench.path("refused"));
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_server_that_asks_for_a_pause_gets_it() {
    let receiver = Receiver::new(|before, _, _| match before {
        0 => Reply::Says(429, Some(1)),
        _ => Reply::Says(200, None),
    });
    let bench = bench(&receiver, &json!({}));
    bench.append(text(&numbers(2)));
    bench.once();
    assert_eq!(receiver.taken(), numbers(2));
    let gap = receiver.arrived(|arrived| arrived[1].at - arrived[0].at);
    assert!(gap >= Duration::from_secs(1), "{gap:?}");
}

#[test]
fn a_server_that_fails_or_breaks_off_loses_nothing_and_changes_no_order() {
    let receiver = Receiver::new(|before, _, _| match before % 5 {
        0 => Reply::Says(503, None),
        1 => Reply::Breaks,
        3 => Reply::Says(500, None),
        _ => Reply::Says(200, None),
    });
    let bench = bench(&receiver, &json!({ "batch": { "bytes": "64KiB", "age": "10ms" } }));
    // Large ones: the connection breaks while they are on their way.
    let lines: Vec<String> = (0..40).map(|n| format!("{n} {}", "x".repeat(30_000))).collect();
    bench.append(text(&lines));
    bench.once();
    assert!(receiver.taken() == lines, "{}", bench.said());
    let largest = receiver.arrived(|all| all.iter().map(|one| one.lines.len()).max());
    assert_eq!(largest, Some(3), "a request ends with the record that fills it");
}

#[test]
fn a_server_that_is_too_slow_is_asked_again() {
    let receiver = Receiver::new(|before, _, _| match before {
        0 => Reply::Late(Duration::from_secs(30)),
        _ => Reply::Says(200, None),
    });
    let bench = bench(&receiver, &json!({ "timeout": "300ms" }));
    bench.append("one\n");
    bench.once();
    assert_eq!(receiver.taken(), ["one"]);
    assert!(bench.said().contains("no answer in time"), "{}", bench.said());
}

#[test]
fn as_many_requests_as_allowed_are_on_their_way_at_a_time() {
    for (settings, expected) in [(json!({}), 1), (json!({ "concurrency": 4 }), 4)] {
        let receiver = Receiver::new(|_, _, _| Reply::Late(Duration::from_millis(150)));
        let bench = bench(&receiver, &settings);
        bench.append(text(&numbers(8)));
        bench.once();
        let mut taken = receiver.taken();
        taken.sort();
        assert_eq!(taken, numbers(8));
        assert_eq!(receiver.most_at_a_time(), expected);
    }
}

#[test]
fn concurrency_that_adapts_grows_and_backs_off_from_a_server_that_has_enough() {
    let receiver = Receiver::new(|_, with_it, _| match with_it {
        ..=4 => Reply::Late(Duration::from_millis(20)),
        _ => Reply::Says(503, None),
    });
    let bench = bench(&receiver, &json!({ "concurrency": "adaptive" }));
    bench.append(text(&numbers(150)));
    bench.once();
    let mut taken = receiver.taken();
    let mut expected = numbers(150);
    taken.sort();
    expected.sort();
    assert_eq!(taken, expected);
    let most = receiver.most_at_a_time();
    assert!((3..=6).contains(&most), "it tries more, one at a time: {most}");
    let refused = receiver.arrived(|all| all.iter().filter(|one| one.status == 503).count());
    assert!(refused < 50, "it learns: {refused}");
}

#[test]
fn no_more_requests_go_than_the_rate_allows() {
    let receiver = Receiver::good();
    let bench = bench(&receiver, &json!({ "rate_limit": { "requests": 10, "per": "1s" } }));
    bench.append(text(&numbers(6)));
    bench.once();
    let took = receiver.arrived(|all| all[5].at - all[0].at);
    assert!((450..2000).contains(&took.as_millis()), "{took:?}");
}

#[test]
fn after_so_many_attempts_a_record_goes_to_the_dead_letters() {
    let receiver = Receiver::new(|_, _, lines| match lines {
        [line] if line == "line 1" => Reply::Says(503, None),
        _ => Reply::Says(200, None),
    });
    let retry = json!({ "initial": "10ms", "max": "20ms", "attempts": 3 });
    let bench = bench(&receiver, &json!({ "retry": retry, "dead_letter": "refused" }));
    bench.append(text(&numbers(3)));
    bench.once();
    assert_eq!(receiver.taken(), ["line 0", "line 2"]);
    assert_eq!(receiver.arrived(<[_]>::len), 5);
    let letters = letters(&bench);
    assert_eq!((letters.len(), &letters[0]["message"]), (1, &json!("line 1")));
    let reason = letters[0]["reason"].as_str().unwrap();
    assert!(reason.contains("given up after 3 attempts") && reason.contains("503"), "{reason}");
}

#[test]
fn what_is_refused_for_good_is_kept_as_it_was_and_can_be_sent_again() {
    let receiver = Receiver::new(|_, _, lines| match lines {
        [line] if line.contains("bad") => Reply::Says(400, None),
        [line] if line.len() > 100 => Reply::Says(413, None),
        _ => Reply::Says(200, None),
    });
    let bench = bench(&receiver, &json!({ "dead_letter": "refused" }));
    let long = "x".repeat(200);
    let odd = r#"bad "quoted"	\ line"#;
    bench.append(format!("good\n{odd}\n{long}\nlast\n"));
    bench.once();
    assert_eq!(receiver.taken(), ["good", "last"]);
    let kept = letters(&bench);
    let of = |name: &str| kept.iter().map(|letter| letter[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("message"), [odd, &long]);
    assert_eq!(of("status"), [400, 413]);
    assert_eq!(of("offset"), [5, 6 + odd.len()]);
    assert_eq!(kept[0]["path"], bench.path("in.log").to_str().unwrap());
    assert_eq!((&kept[0]["sink"], &kept[0]["source"]), (&json!("out"), &json!("in")));
    assert!(kept[0]["reason"].as_str().unwrap().contains("because of the test"));
    send_again(&bench.path("refused"), &[odd, &long]);
}

#[test]
fn of_a_request_that_is_refused_only_what_is_wrong_is_a_dead_letter() {
    for (encoding, status) in
        [("ndjson", 400), ("json", 422), ("csv", 400), ("logfmt", 400), ("text", 413)]
    {
        let is_bad = |line: &String| line.contains("line 7") || line.contains("line 31");
        let receiver = Receiver::new(move |_, _, lines| match lines.iter().any(is_bad) {
            true => Reply::Says(status, None),
            false => Reply::Says(200, None),
        });
        let encoding = match encoding {
            "csv" => json!({ "csv": { "fields": ["message", "host"], "header": true } }),
            other => json!(other),
        };
        let more = json!({
            "dead_letter": "refused", "encoding": encoding, "batch": { "age": "500ms" },
        });
        let bench = bench(&receiver, &more);
        bench.append(text(&numbers(64)));
        bench.once();
        let taken = receiver.taken();
        let expected: Vec<String> = numbers(64).into_iter().filter(|line| !is_bad(line)).collect();
        let whole = |line: &String| match encoding.as_str() {
            Some("text") => line.clone(),
            _ => line.split(['"', ',']).find(|part| part.starts_with("line ")).unwrap_or("").into(),
        };
        let lines: Vec<String> = match encoding.as_str() {
            Some("json") => taken.iter().flat_map(|body| in_array(body)).collect(),
            _ => taken.iter().filter(|line| !line.starts_with("message")).map(whole).collect(),
        };
        assert_eq!(lines, expected, "{encoding}");
        let headers = taken.iter().filter(|line| *line == "message,host").count();
        let requests = receiver.arrived(|all| all.iter().filter(|one| one.status == 200).count());
        assert_eq!(headers, if encoding.is_object() { requests } else { 0 });
        let kept: Vec<Value> = letters(&bench).iter().map(|it| it["message"].clone()).collect();
        assert_eq!(kept, ["line 7", "line 31"], "{encoding}");
    }
}

/// The messages of a body that is a JSON array.
fn in_array(body: &str) -> Vec<String> {
    let records: Vec<Value> = serde_json::from_str(body).unwrap_or_else(|_| panic!("{body}"));
    records.iter().map(|record| record["message"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_server_that_lets_nobody_in_or_is_not_there_yet_loses_nothing() {
    let receiver = Receiver::new(|before, _, _| match before {
        0 => Reply::Says(401, None),
        1 => Reply::Says(403, None),
        2 => Reply::Says(404, None),
        _ => Reply::Says(200, None),
    });
    let bench = bench(&receiver, &json!({ "dead_letter": "refused" }));
    bench.append(text(&numbers(3)));
    bench.once();
    assert_eq!(receiver.taken(), numbers(3));
    assert_eq!(letters(&bench), Vec::<Value>::new());
    let said = bench.said();
    assert!(said.contains("look at `auth`") && said.contains("look at `url`"), "{said}");
}

#[test]
fn a_connection_that_ends_after_a_request_and_before_its_answer_is_no_delivery() {
    let receiver = Receiver::new(|before, _, lines| match (before, lines.is_empty()) {
        (_, true) => Reply::Says(200, None),
        (0 | 2, _) => Reply::Hangs,
        _ => Reply::Says(200, None),
    });
    let bench = bench(&receiver, &json!({ "dead_letter": "refused" }));
    bench.append(text(&numbers(3)));
    bench.once();
    assert_eq!(receiver.taken(), numbers(3));
    assert_eq!(receiver.arrived(<[_]>::len), 3, "both were sent once more");
}

/// Sends what lies in a file of dead letters to a server that takes it, as the guide says.
fn send_again(file: &Path, expected: &[&str]) {
    let receiver = Receiver::good();
    let transforms = json!({
        "letter": { "type": "parse", "format": "json" },
        "plain": { "type": "remove", "fields": ["reason", "status", "sink", "source", "offset"] },
    });
    let sink = json!({ "type": "http", "url": receiver.url });
    let again = Bench::new(transforms, sink);
    again.append(std::fs::read(file).unwrap());
    again.once();
    assert_eq!(receiver.taken(), expected);
}

#[test]
fn the_next_server_takes_over_at_once() {
    let receiver = Receiver::good();
    let broken = Receiver::new(|_, _, _| Reply::Says(502, None));
    let nobody = format!("http://127.0.0.1:{}/", free_port());
    let urls = json!([nobody, broken.url, receiver.url]);
    // With pauses that the test would not live to see the end of.
    let retry = json!({ "initial": "1h", "max": "1h" });
    let bench = bench(&receiver, &json!({ "url": urls, "retry": retry }));
    bench.append(text(&numbers(5)));
    bench.once();
    assert_eq!(receiver.taken(), numbers(5));
    assert_eq!(broken.arrived(<[_]>::len), 1, "it is left alone for a while");
    assert!(bench.said().contains("refused"), "says at the start who is away: {}", bench.said());
}

#[test]
fn headers_arrive_at_every_attempt() {
    let receiver = Receiver::new(|before, _, _| match before {
        0 => Reply::Says(500, None),
        _ => Reply::Says(200, None),
    });
    let bench = bench(&receiver, &json!({ "headers": { "X-Team": "ops" } }));
    bench.append("one\n");
    bench.once();
    let teams = receiver.arrived(|all| {
        all.iter().map(|one| one.headers["x-team"].to_str().unwrap().to_owned()).collect::<Vec<_>>()
    });
    assert_eq!(teams, ["ops", "ops"]);
}
