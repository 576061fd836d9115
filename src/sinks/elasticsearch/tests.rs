//! What the lines of a request say.

use super::*;
use crate::event::Batch;
use crate::event::log::{LogBatch, Origin, Value, Verdict};
use crate::topology::component::Encode;
use crate::topology::request::{Marking, Requests};
use bytes::Bytes;
use serde_json::json;

const NOON: i64 = 1_709_208_000_000_000_000;

fn config(rest: &Json) -> Config {
    let mut config = json!({ "url": "http://localhost:9200" });
    config.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    serde_json::from_value(config).unwrap()
}

fn documents(rest: &Json) -> Documents {
    config(rest).documents(&Map::new()).unwrap()
}

fn lines(path: Option<&str>, offset: u64, text: &str) -> LogBatch {
    let path = path.map(Into::into);
    let origin = Origin { source: "app".into(), host: "web1".into(), path, content: 0 };
    let chunk = Bytes::copy_from_slice(text.as_bytes());
    LogBatch::from_lines(&chunk, Arc::new(origin), offset, NOON)
}

/// One record with these fields, and a time of its own.
fn record(fields: &[(&str, &str)]) -> LogBatch {
    let mut batch = lines(Some("/a.log"), 7, "x\n");
    batch.rewrite(|_, writer| {
        for (name, value) in fields {
            writer.push_text(name, value.as_bytes());
        }
        writer.push("n", Value::Int(3));
        writer.set_time_ns(NOON);
        Verdict::Touched
    });
    batch
}

/// What is sent for these: action and document of each.
fn sent(documents: &mut Documents, batch: LogBatch) -> Vec<(Json, Json)> {
    let mut requests = Requests::new(Marking::Places, BatchSettings::default());
    documents.encode(&Batch::Logs(batch), &mut requests).unwrap();
    let body = String::from_utf8(requests.to("").body.clone()).unwrap();
    assert!(body.ends_with('\n'), "{body}");
    let read = |line| serde_json::from_str::<Json>(line).unwrap_or_else(|_| panic!("{line}"));
    let lines: Vec<Json> = body.lines().map(read).collect();
    lines.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

fn id(action: &Json) -> String {
    action["create"]["_id"].as_str().unwrap().to_owned()
}

#[test]
fn a_record_becomes_a_document_with_time_host_and_path() {
    let (action, document) =
        sent(&mut documents(&json!({})), lines(Some("/a"), 0, "é \"1\"\n")).remove(0);
    assert_eq!(action["create"]["_index"], "driftless-2024.02.29");
    assert_eq!(
        document,
        json!({
            "@timestamp": "2024-02-29T12:00:00Z", "host": "web1", "path": "/a",
            "message": "é \"1\"",
        })
    );
}

#[test]
fn fields_of_a_record_stand_in_place_of_what_would_be_added() {
    let fields = [("@timestamp", "2020-01-01T00:00:00Z"), ("host", "other"), ("path", "/url")];
    let (_, document) = sent(&mut documents(&json!({})), record(&fields)).remove(0);
    assert_eq!(document["@timestamp"], "2020-01-01T00:00:00Z");
    assert_eq!(
        (&document["host"], &document["path"], &document["n"]),
        (&"other".into(), &"/url".into(), &3.into())
    );
}

#[test]
fn a_line_that_is_json_goes_as_it_is() {
    let mut batch = lines(None, 0, "{ }\n{\"a\": {\"b\":1}}\n");
    batch.rewrite(|record, writer| {
        if record.raw().len() > 3 {
            writer.push("a", record.json_at(&record.raw()[6..13]));
        }
        Verdict::ParsedJson
    });
    let sent = sent(&mut documents(&json!({})), batch);
    assert_eq!(sent[0].1.as_object().unwrap().len(), 2, "{:?}", sent[0].1);
    assert_eq!(sent[1].1["a"], json!({ "b": 1 }));
}

#[test]
fn an_index_follows_field_and_time_and_a_data_stream_is_created_in() {
    let index = json!({ "index": "App-{{ service }}-%Y.%m", "action": "index" });
    let (action, _) = sent(&mut documents(&index), record(&[("service", "Pay Pal")])).remove(0);
    assert_eq!(action["index"]["_index"], "app-pay pal-2024.02".replace(' ', "_"));
    let stream = json!({ "data_stream": { "dataset": "{{ service }}", "namespace": "prod" } });
    let (action, _) = sent(&mut documents(&stream), record(&[("service", "nginx")])).remove(0);
    assert_eq!(action["create"]["_index"], "logs-nginx-prod");
    let refused = |rest: Json| config(&rest).documents(&Map::new()).err().unwrap();
    assert!(refused(json!({ "data_stream": {}, "index": "a" })).contains("keep one"));
    assert!(refused(json!({ "data_stream": {}, "action": "index" })).contains("`action: create`"));
}

#[test]
fn an_id_is_the_same_whenever_and_in_whatever_batch_a_record_is_read() {
    let ids = |batches: &[LogBatch]| -> Vec<String> {
        let mut documents = documents(&json!({}));
        let sent = batches.iter().flat_map(|batch| sent(&mut documents, batch.clone()));
        sent.map(|(action, _)| id(&action)).collect()
    };
    let whole = lines(Some("/a"), 0, "one\ntwo\none\n");
    let mut later = [lines(Some("/a"), 0, "one\n"), lines(Some("/a"), 4, "two\none\n")];
    later.iter_mut().for_each(|batch| batch.read_at_ns += 1_000_000_000);
    let first = ids(&[whole]);
    assert_eq!(first, ids(&later));
    assert!(first[0] != first[2], "equal lines at other places are other records");
    assert!(first[0] < first[1] && first[1] < first[2], "they rise: {first:?}");
    let others = [
        lines(Some("/b"), 0, "one\n"),
        lines(Some("/a"), 0, "two\n"),
        lines(Some("/a"), 9, "one\n"),
    ];
    for other in others {
        assert!(!first.contains(&ids(&[other])[0]));
    }
}

#[test]
fn a_file_keeps_its_ids_under_another_name_and_shares_none_with_the_next_of_its_name() {
    let mut documents = documents(&json!({}));
    let mut first = |path: &str, content: u64| {
        let mut batch = lines(Some(path), 0, "Started\n");
        batch.origin = Arc::new(Origin { content, ..(*batch.origin).clone() });
        id(&sent(&mut documents, batch)[0].0)
    };
    let before = first("/a", 1);
    assert_eq!(before, first("/a.1", 1));
    assert_ne!(before, first("/a", 2));
}

#[test]
fn what_one_line_became_on_two_ways_is_two_documents() {
    let mut documents = documents(&json!({}));
    let one = sent(&mut documents, record(&[("way", "one")]));
    let other = sent(&mut documents, record(&[("way", "other")]));
    assert_ne!(id(&one[0].0), id(&other[0].0));
}

#[test]
fn records_from_no_file_never_share_an_id() {
    let mut documents = documents(&json!({}));
    let twice = [lines(None, 0, "x\n"), lines(None, 0, "x\n")];
    let [one, other] = twice.map(|batch| id(&sent(&mut documents, batch)[0].0));
    assert_ne!(one, other);
}

#[test]
fn ids_and_routing_can_be_the_records_own() {
    let mut own = documents(&json!({ "id": "{{ request }}", "routing": "{{ who }}" }));
    let (action, _) = sent(&mut own, record(&[("request", "r/1"), ("who", "me")])).remove(0);
    assert_eq!(
        (&action["create"]["_id"], &action["create"]["routing"]),
        (&"r/1".into(), &"me".into())
    );
    let (action, _) = sent(&mut own, record(&[])).remove(0);
    assert_eq!(id(&action).len(), 32, "its origin's");
    let (action, _) = sent(&mut own, record(&[("request", &"r".repeat(513))])).remove(0);
    assert_eq!(id(&action).len(), 32, "no server takes a longer one");
    assert_eq!(action["create"].get("routing"), None);
    let mut none = documents(&json!({ "id": "none" }));
    assert_eq!(sent(&mut none, record(&[]))[0].0["create"].get("_id"), None);
}

#[test]
fn printing_a_config_shows_no_secret() {
    let config = config(&json!({
        "url": "http://localhost/?key=hunter2", "auth": { "api_key": "hunter2" },
        "headers": { "X-Key": "hunter2" },
    }));
    assert!(!format!("{config:?}").contains("hunter2"));
}
