//! Expressions and templates of any text.

use super::condition::{Condition, Sense};
use super::path_template::PathTemplate;
use super::text_value::TextValue;
use crate::event::log::{LogBatch, Origin, Value, Verdict};
use bytes::Bytes;
use serde_json::{Map, Value as Json};
use std::sync::Arc;

/// What compiles can be asked about any record, and says the same whenever it is asked.
///
/// The first byte chooses what the text is.
pub(crate) fn expression(input: &[u8]) {
    let Some((what, text)) = input.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    match what % 3 {
        0 => condition(&text),
        1 => path(&text),
        _ => value(&text),
    }
}

fn records() -> LogBatch {
    let lines = b"GET /api 503\n\n{\"status\":1,\"a\":{\"b\":[null]}}\n\xff\0 caf\xc3\xa9\n../..\n";
    let origin = Origin {
        source: "logs.app".into(),
        host: "web1".into(),
        path: Some("/a".into()),
        ..Origin::default()
    };
    let mut batch = LogBatch::from_lines(&Bytes::from_static(lines), Arc::new(origin), 0, -1);
    batch.rewrite(|record, writer| {
        if !record.message().starts_with(b"GET") {
            return Verdict::Keep;
        }
        writer.push_text("path", b"../../etc");
        writer.push("status", Value::Int(503));
        writer.push_json("a", b"{\"b\":[null]}");
        writer.set_time_ns(i64::MAX);
        Verdict::Touched
    });
    batch
}

fn condition(text: &str) {
    let Ok(condition) = text.parse::<Condition>() else { return };
    let Ok(bound) = condition.bind(&constants()) else { return };
    let batch = records();
    assert_eq!(bound.judge(&batch).len(), batch.len());
    let (mut kept, mut left) = (batch.clone(), batch.clone());
    bound.filter(&mut kept, Sense::Keep);
    bound.filter(&mut left, Sense::Drop);
    // What is unclear stays either way.
    assert!(kept.len() <= batch.len() && kept.len() + left.len() >= batch.len(), "{text}");
}

fn path(text: &str) {
    let Ok(template) = PathTemplate::new(text) else { return };
    let mut renderer = template.renderer();
    // Within braces and after a percent sign it is no part of a path.
    let is_plain = !text.contains(['%', '{', '}']);
    let ups = |path: &str| path.split('/').filter(|part| *part == "..").count();
    for record in records().records() {
        template.slot(record.time_ns());
        let path = renderer.render(&record).to_owned();
        assert!(!is_plain || path == text, "{path:?}");
        assert!(ups(&path) <= text.matches("..").count(), "{path:?}");
        assert_eq!(template.renderer().render(&record), path, "nothing is kept for too long");
    }
}

fn value(text: &str) {
    let Ok(mut value) = TextValue::new("text", Some(text), &[], &constants()) else { return };
    let batch = records();
    value.prepare(&batch);
    let mut out = Vec::new();
    for (at, record) in batch.records().enumerate() {
        value.write(&record, at, &mut out);
    }
}

fn constants() -> Map<String, Json> {
    let constants = r#"{"facts":{"os":{"family":"debian"}},"vars":{"limit":500},"host":"web1"}"#;
    serde_json::from_str(constants).unwrap_or_default()
}

/// Good input.
pub(crate) fn expressions() -> Vec<Vec<u8>> {
    let conditions = [
        "status >= 500 and path is match('/api')",
        "message is search('(?i)get') or not (a.b[0] is none)",
        "record['status'] in [1, 503] and facts.os.family == 'debian'",
        "(status | int + 1) * 2 > vars.limit and level | default('x') | lower == \"x\"",
        "message[0:3] == 'GET' if status is defined else path.startswith('/')",
    ];
    let paths = ["/o/{{ host }}/%Y-%m-%d/{{ path }}.log", "{{ source }}/%H%%/{{ a.b }}-%s"];
    let values =
        ["{{ status }}-{{ message | upper }}", "{% for x in a.b %}{{ x }}{% endfor %}", "plain"];
    let all = |what: u8, texts: &[&str]| -> Vec<Vec<u8>> {
        texts.iter().map(|text| [&[what], text.as_bytes()].concat()).collect()
    };
    [all(0, &conditions), all(1, &paths), all(2, &values)].concat()
}
