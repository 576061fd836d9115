//! What the `s3` sink had on its way when the agent was killed is made once more, the same.

use crate::bucket::Store;
use crate::harness::{Bench, Process};
use crate::s3::unpacked;
use serde_json::{Value, json};
use std::fs;

/// A bench whose agent was killed while two lines were on their way, and the store that was away;
/// with the key that they have.
fn killed(settings: &Value) -> (Bench, Store, String) {
    let store = Store::new();
    let mut sink = store.sink(json!({ "compression": "none", "batch": { "age": "100ms" } }));
    sink.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let bench = Bench::new(json!({}), sink);
    bench.append("one\ntwo\n");
    let agent = bench.start(&[]);
    bench.wait_until("it tries", || bench.said().contains("will try again"));
    agent.kill();
    let journal = fs::read(bench.path("data/deliveries/out")).unwrap();
    let journal = String::from_utf8_lossy(&journal).into_owned();
    let key = journal.split("\"key\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    (bench, store, key)
}

fn arrived(store: &Store) -> String {
    store.objects().iter().map(|(key, body)| unpacked(key, body)).collect()
}

fn start_until(bench: &Bench, store: &Store, line: &str) -> Process {
    let agent = bench.start(&[]);
    bench.wait_until("the last line arrives", || arrived(store).contains(line));
    agent
}

#[test]
fn the_same_lines_become_the_same_object_with_the_times_at_which_they_were_read() {
    let (bench, mut store, key) = killed(&json!({}));
    let killed_at = chrono::Utc::now().to_rfc3339();
    bench.append("three\n");
    store.resume();
    let agent = start_until(&bench, &store, "three");
    assert!(agent.stop().success(), "{}", bench.said());
    let objects = store.objects();
    let body = String::from_utf8(objects[&key].clone()).unwrap();
    let lines: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let messages: Vec<&str> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["one", "two"], "{}", bench.said());
    assert!(lines.iter().all(|line| line["timestamp"].as_str().unwrap() < killed_at.as_str()));
    assert_eq!(objects.len(), 2);
}

#[test]
fn an_object_that_arrived_though_nobody_heard_of_it_is_replaced_by_itself() {
    let (bench, mut store, key) = killed(&json!({ "encoding": "text" }));
    // As if the server had taken it and the answer got lost.
    store.resume();
    fs::create_dir_all(store.dir.path().join("logs/all")).unwrap();
    fs::write(store.dir.path().join("logs").join(&key), "one\ntwo\n").unwrap();
    bench.append("three\n");
    let agent = start_until(&bench, &store, "three");
    bench.wait_until("the first ones are settled", || arrived(&store).lines().count() == 3);
    assert!(agent.stop().success(), "{}", bench.said());
    assert_eq!(store.objects()[&key], b"one\ntwo\n");
    assert_eq!(arrived(&store).lines().count(), 3);
}

#[test]
fn an_object_that_other_settings_would_make_otherwise_is_given_up_aloud_and_nothing_is_lost() {
    let (bench, mut store, key) = killed(&json!({ "encoding": "text" }));
    let config = bench.path("config/topology.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("\"all/\"", "\"other/\"")).unwrap();
    store.resume();
    let agent = start_until(&bench, &store, "two");
    assert!(agent.stop().success(), "{}", bench.said());
    assert!(bench.said().contains("the sink's settings have changed"), "{}", bench.said());
    assert_eq!(arrived(&store), "one\ntwo\n");
    assert!(!store.objects().contains_key(&key));
}

#[test]
fn an_object_whose_file_is_gone_is_missed_aloud() {
    let (bench, mut store, key) = killed(&json!({ "encoding": "text" }));
    store.resume();
    // Nobody will ever read its lines again.
    fs::remove_file(bench.path("in.log")).unwrap();
    fs::remove_dir_all(bench.path("data/pins")).ok();
    fs::remove_dir_all(bench.path("data/checkpoints")).ok();
    let agent = bench.start(&[]);
    let told = || bench.said().contains("does not come again");
    bench.wait_until("it says that something may be missing", told);
    assert!(bench.said().contains(&key), "it says which one: {}", bench.said());
    assert!(agent.stop().success(), "{}", bench.said());
    assert!(store.objects().is_empty());
    let again = bench.start(&[]);
    bench.wait_until("it runs", || bench.said().matches("INFO running").count() == 3);
    assert!(again.stop().success(), "{}", bench.said());
    assert_eq!(bench.said().matches("does not come again").count(), 1, "it says so once");
}
