//! What messages look like, and what settings are refused.

use super::*;
use crate::event::log::{LogBatch, Origin, Verdict};
use bytes::Bytes;
use std::sync::Arc;

/// 2024-02-29T12:00:00.123456789Z
const NOON: i64 = 1_709_208_000_123_456_789;

fn sink(mut config: Json) -> Result<Messages, String> {
    if config.get("url").is_none() {
        config["url"] = "tcp://127.0.0.1".into();
    }
    let config: Config = serde_json::from_value(config).map_err(|error| error.to_string())?;
    let constants = serde_json::json!({ "vars": { "team": "ops" }, "host": "agent" });
    config.parts(constants.as_object().unwrap()).map(|(messages, _)| messages)
}

fn batch(line: &'static str, fields: &[(&str, Json)]) -> Batch {
    let origin = Origin { source: "logs.nginx".into(), host: "web 1".into(), ..Origin::default() };
    let mut logs = LogBatch::from_lines(&Bytes::from(line), Arc::new(origin), 0, NOON);
    if !fields.is_empty() {
        logs.rewrite(|_, writer| {
            for (name, value) in fields {
                match value {
                    Json::String(text) => writer.push_text(name, text.as_bytes()),
                    other => writer.push_json(name, other.to_string().as_bytes()),
                }
            }
            Verdict::Touched
        });
    }
    Batch::Logs(logs)
}

fn written(config: Json, line: &'static str, fields: &[(&str, Json)]) -> String {
    let mut requests = Requests::default();
    sink(config).unwrap().encode(&batch(line, fields), &mut requests).unwrap();
    String::from_utf8(requests.iter().next().unwrap().body.clone()).unwrap()
}

#[test]
fn a_plain_line_says_where_it_comes_from() {
    assert_eq!(
        written(Json::Object(Map::new()), "GET /\n", &[]),
        "<14>1 2024-02-29T12:00:00.123456Z web_1 nginx - - - GET /\n"
    );
}

#[test]
fn what_was_parsed_of_a_syslog_line_leaves_as_it_came() {
    let fields = [
        ("facility", "auth".into()),
        ("severity", Json::from(4)),
        ("hostname", "db1".into()),
        ("appname", "sshd".into()),
        ("procid", Json::from(77)),
        ("msgid", "LOGIN".into()),
        ("structured_data", serde_json::json!({ "a@1": { "k": "v\"]", "n": 1 } })),
        ("message", "hello".into()),
    ];
    assert_eq!(
        written(Json::Object(Map::new()), "x\n", &fields),
        "<36>1 2024-02-29T12:00:00.123456Z db1 sshd 77 LOGIN [a@1 k=\"v\\\"\\]\" n=\"1\"] hello\n"
    );
}

#[test]
fn settings_take_the_place_of_fields() {
    let config = serde_json::json!({
        "facility": "local3", "severity": "{{ 'err' if status >= 500 else 'notice' }}",
        "hostname": "{{ host }}", "app_name": "{{ service }}", "procid": "1",
        "msgid": "{{ vars.team }}", "structured_data": { "r@1": ["status", "none"], "e@1": ["none"] },
        "message": "{{ status }} from {{ service }}",
    });
    let fields = [("status", Json::from(503)), ("service", "shop".into())];
    assert_eq!(
        written(config, "x\n", &fields),
        "<155>1 2024-02-29T12:00:00.123456Z agent shop 1 ops [r@1 status=\"503\"] 503 from shop\n"
    );
}

#[test]
fn the_older_format_has_a_tag_and_local_time() {
    let config = serde_json::json!({ "format": "rfc3164", "app_name": "a:b" });
    let text = written(config, "x\n", &[("procid", "9".into()), ("message", "hi".into())]);
    assert!(text.starts_with("<14>Feb "), "{text}");
    assert!(text.ends_with(" web_1 a_b[9]: hi\n"), "{text}");
}

#[test]
fn a_record_without_a_text_of_its_own_is_json() {
    let text = written(Json::Object(Map::new()), "x\n", &[("a", Json::from(1))]);
    assert!(text.ends_with(" - - - {\"a\":1}\n"), "{text}");
    let config = serde_json::json!({ "encoding": "logfmt" });
    let text = written(config, "x\n", &[("message", "hi".into()), ("a", Json::from(1))]);
    assert!(text.contains(" message=hi a=1\n"), "{text}");
}

#[test]
fn no_line_feed_in_a_message_makes_two_of_it() {
    let evil = [("message", "a\n<0>b\0\tc".into())];
    assert!(written(Json::Object(Map::new()), "x\n", &evil).ends_with(" a#012<0>b#000\tc\n"));
    let config = serde_json::json!({ "control_characters": "space" });
    assert!(written(config, "x\n", &evil).ends_with(" a <0>b \tc\n"));
    let config = serde_json::json!({ "control_characters": "keep", "framing": "octet_counting" });
    let text = written(config, "x\n", &evil);
    let (count, message) = text.split_once(' ').unwrap();
    assert_eq!(count.parse(), Ok(message.len()));
    assert!(message.ends_with(" a\n<0>b\0\tc"));
    let header = [("app_name", "a\n<0>b".into()), ("message", "x".into())];
    assert!(written(Json::Object(Map::new()), "x\n", &header).contains(" a_<0>b - "));
}

#[test]
fn a_long_message_is_cut_where_its_way_asks_for_it() {
    let long = [("message", "é".repeat(2000).into())];
    let udp = serde_json::json!({ "url": "udp://127.0.0.1" });
    let mut requests = Requests::default();
    sink(udp).unwrap().encode(&batch("x\n", &long), &mut requests).unwrap();
    let body = &requests.iter().next().unwrap().body;
    assert!((2047..=2048).contains(&(body.len() - 4)), "{}", body.len());
    assert!(std::str::from_utf8(&body[4..]).is_ok());
    assert!(written(Json::Object(Map::new()), "x\n", &long).len() > 4000);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    for (config, reason) in [
        (serde_json::json!({ "facility": "local9" }), "no `local9`"),
        (serde_json::json!({ "severity": "bad" }), "no `bad`"),
        (serde_json::json!({ "control_characters": "keep" }), "octet_counting"),
        (serde_json::json!({ "structured_data": { "a b": [] } }), "`a b`"),
        (serde_json::json!({ "structured_data": { "a": [] }, "format": "rfc3164" }), "have none"),
        (serde_json::json!({ "message": "x", "encoding": "ndjson" }), "keep one"),
        (serde_json::json!({ "encoding": "json" }), "one array"),
        (serde_json::json!({ "max_message_bytes": 100 }), "below 480"),
        (serde_json::json!({ "max_message_bytes": "1MiB", "url": "udp://a" }), "65507"),
        (serde_json::json!({ "app_name": "{{ a | }}" }), "`app_name`"),
        (serde_json::json!({ "url": "http://a" }), "no `http:`"),
    ] {
        let refusal = sink(config).err().unwrap();
        assert!(refusal.contains(reason), "{reason}: {refusal}");
    }
}
