//! What Loki is sent.

use super::entries::Entry;
use super::*;
use crate::event::Batch;
use crate::event::log::{LogBatch, Origin, Verdict};
use crate::topology::component::Encode;
use crate::topology::request::{Marking, Requests};
use bytes::Bytes;
use serde_json::json;

const NOON: i64 = 1_709_208_000_000_000_000;

fn config(rest: &Json) -> Config {
    let mut config = json!({ "url": "http://localhost:3100" });
    config.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    serde_json::from_value(config).unwrap()
}

/// Lines with a level each, which is what stands before the first blank.
fn batch(text: &str) -> LogBatch {
    let origin = Origin {
        source: "app".into(),
        host: "web1".into(),
        path: Some("/a".into()),
        ..Origin::default()
    };
    let chunk = Bytes::copy_from_slice(text.as_bytes());
    let mut batch = LogBatch::from_lines(&chunk, Arc::new(origin), 0, NOON);
    batch.rewrite(|record, writer| {
        let level = record.message().split(|byte| *byte == b' ').next().unwrap();
        writer.push_text("level", level);
        Verdict::Parsed
    });
    batch
}

/// What is sent for these, by tenant.
fn sent(rest: &Json, batches: &[LogBatch]) -> Vec<(String, Json)> {
    let mut entries = config(rest).entries(&Map::new()).unwrap();
    let mut requests = Requests::new(Marking::Places, BatchSettings::default());
    for batch in batches {
        entries.encode(&Batch::Logs(batch.clone()), &mut requests).unwrap();
    }
    let read = |request: &crate::topology::request::Request| {
        let mut streams: IndexMap<&[u8], Vec<Entry<'_>>> = IndexMap::new();
        for entry in request.encoded().map(|entry| Entry::read(entry).unwrap()) {
            streams.entry(entry.labels).or_default().push(entry);
        }
        (request.key.clone(), serde_json::from_slice(&push::body(&streams)).unwrap())
    };
    requests.iter().map(read).collect()
}

#[test]
fn records_are_grouped_by_labels_and_stand_apart_in_time() {
    let rest = json!({ "labels": { "job": "shop", "log.level": "{{ level }}", "x": "{{ no }}" } });
    let (tenant, body) = sent(&rest, &[batch("info a\nwarn b\ninfo a\n")]).remove(0);
    assert_eq!(tenant, "");
    assert_eq!(
        body,
        json!({ "streams": [
            { "stream": { "job": "shop", "log_level": "info" }, "values": [
                ["1709208000000000000", "info a"], ["1709208000000000001", "info a"],
            ]},
            { "stream": { "job": "shop", "log_level": "warn" }, "values": [
                ["1709208000000000000", "warn b"],
            ]},
        ]})
    );
}

#[test]
fn host_and_source_are_the_labels_where_nothing_is_said() {
    let (_, body) = sent(&json!({}), &[batch("a\n")]).remove(0);
    assert_eq!(body["streams"][0]["stream"], json!({ "host": "web1", "source": "app" }));
    let (_, body) = sent(&json!({ "labels": { "x": "{{ no }}" } }), &[batch("a\n")]).remove(0);
    assert_eq!(body["streams"][0]["stream"], json!({ "source": "app" }), "never none at all");
}

#[test]
fn metadata_goes_with_the_line_and_tenants_apart() {
    let rest = json!({
        "labels": { "file": "{{ path }}" }, "tenant_id": "{{ level }}",
        "structured_metadata": { "trace-id": "{{ level }}-1" }, "encoding": "ndjson",
    });
    let sent = sent(&rest, &[batch("a x\nb y\n"), batch("a z\n")]);
    let [(a, body), (b, _)] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!((a.as_str(), b.as_str()), ("a", "b"));
    assert_eq!(body["streams"][0]["stream"], json!({ "file": "/a" }));
    let entry = &body["streams"][0]["values"][0];
    assert_eq!(entry[2], json!({ "trace_id": "a-1" }));
    assert_eq!(entry[1], r#"{"level":"a"}"#, "{body}");
}

#[test]
fn a_line_of_any_bytes_is_valid_json() {
    let origin = Origin { source: "app".into(), ..Origin::default() };
    let chunk = Bytes::from_static(b"\xff\x00\"\\\n");
    let batch = LogBatch::from_lines(&chunk, Arc::new(origin), 0, NOON);
    let (_, body) = sent(&json!({}), &[batch]).remove(0);
    assert_eq!(body["streams"][0]["values"][0][1], "\u{fffd}\0\"\\");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let refused = |rest: Json| config(&rest).entries(&Map::new()).err().unwrap();
    assert!(refused(json!({ "encoding": "json" })).contains("ndjson"));
    assert!(refused(json!({ "labels": { "a": "{{ b | }}" } })).contains("labels.a"));
    let none = config(&json!({ "max_streams": 0 })).push(Masker::default());
    assert!(none.err().unwrap().contains("max_streams"));
    let shown = format!("{:?}", config(&json!({ "auth": { "bearer": "hunter2" } })));
    assert!(!shown.contains("hunter2"));
}
