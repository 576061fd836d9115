//! What an alert is made of.

use super::alert::alert;
use crate::event::log::{LogBatch, Origin, Verdict};
use bytes::Bytes;
use indexmap::IndexMap;
use std::sync::Arc;

fn made(fields: &[(&str, &str)]) -> String {
    let origin = Origin { host: "web1".into(), ..Origin::default() };
    let line = Bytes::from_static(b"a message\n");
    let mut batch = LogBatch::from_lines(&line, Arc::new(origin), 0, 1_700_000_000_000_000_000);
    batch.rewrite(|record, writer| {
        writer.push_text("message", record.message());
        for (name, value) in fields {
            match value.starts_with('{') {
                true => writer.push_json(name, value.as_bytes()),
                false => writer.push_text(name, value.as_bytes()),
            }
        }
        Verdict::Touched
    });
    let added = IndexMap::from([("site".to_owned(), "north".to_owned())]);
    let record = batch.records().next().unwrap();
    serde_json::to_string_pretty(&alert(&record, &added)).unwrap()
}

#[test]
fn records_become_alerts_with_the_labels_that_tell_them_apart() {
    let check = made(&[
        ("check", "disk space"),
        ("state", "critical"),
        ("since", "2026-03-01T12:00:00Z"),
        ("labels", r#"{"__name__":"x","mount.point":"/","team":"infra","empty":""}"#),
    ]);
    let rule = made(&[
        ("check", "DiskFull"),
        ("state", "firing"),
        ("since", "2026-03-01T12:00:00Z"),
        ("ended", "2026-03-01T13:00:00Z"),
        ("labels", r#"{"alertname":"DiskFull","severity":"page","site":"south"}"#),
        ("annotations", r#"{"summary":"It is full."}"#),
    ]);
    insta::assert_snapshot!([check, rule, made(&[])].join("\n"));
}
