//! What `parse` promises.

mod formats;
mod hostile;
mod json;
mod json_suite;
mod places;
mod programs;

use super::*;
use crate::event::Batch;
use crate::event::encode::{Encoder, Encoding, Extra};
use crate::event::log::{LogBatch, Origin};
use crate::event::time::{parse_rfc3339, write_rfc3339};
use crate::topology::component::Outputs;
use bytes::Bytes;

fn batch(text: &[u8]) -> LogBatch {
    read_at(text, 7)
}

fn read_at(text: &[u8], read_at_ns: i64) -> LogBatch {
    LogBatch::from_lines(&Bytes::copy_from_slice(text), Arc::new(Origin::default()), 0, read_at_ns)
}

fn config(yaml: &str) -> Config {
    serde_yaml::from_str(yaml).unwrap()
}

fn parser(yaml: &str) -> Parse {
    Parse::new(&config(yaml)).unwrap()
}

/// What leaves by each output, and how many errors were counted.
fn run(parse: &mut Parse, batch: LogBatch) -> (Vec<(String, LogBatch)>, u64) {
    let mut out = Outputs::default();
    parse.transform(Batch::Logs(batch), &mut out).unwrap();
    let (emitted, errors) = out.take();
    let logs = emitted.into_iter().map(|(name, batch)| match batch {
        Batch::Logs(logs) => (name.to_string(), logs),
        other => panic!("{other:?}"),
    });
    (logs.collect(), errors)
}

fn parsed(yaml: &str, text: &str) -> LogBatch {
    let (mut out, errors) = run(&mut parser(yaml), batch(text.as_bytes()));
    assert_eq!(errors, 0, "{text}");
    out.remove(0).1
}

fn encoded(encoding: &Encoding, batch: &LogBatch) -> String {
    let mut out = Vec::new();
    Encoder::new(encoding, Extra::Nothing).encode(batch, &mut out);
    String::from_utf8(out).unwrap()
}

/// The fields of the first record, as JSON.
fn fields(batch: &LogBatch) -> serde_json::Value {
    let record = batch.records().next().unwrap();
    let fields = record.fields().map(|(name, value)| (name.to_owned(), value.to_json()));
    serde_json::Value::Object(fields.collect())
}

/// When the lines are read.
const NOW: &str = "2026-11-01T00:00:00Z";

/// What becomes of the first line: its fields, and its own time where it has one.
fn read(yaml: &str, line: &str) -> (serde_json::Value, Option<String>) {
    let now = parse_rfc3339(NOW.as_bytes()).unwrap();
    let mut parse = parser(yaml);
    let (mut out, errors) = run(&mut parse, read_at(line.as_bytes(), now));
    assert_eq!(errors, 0, "{yaml}: {line}");
    let batch = out.remove(0).1;
    assert_eq!(encoded(&Encoding::Text, &batch), format!("{line}\n"), "written as it was read");
    let time_ns = batch.records().next().unwrap().time_ns();
    let mut time = Vec::new();
    write_rfc3339(&mut time, time_ns);
    (fields(&batch), (time_ns != now).then(|| String::from_utf8(time).unwrap()))
}

/// The reason why a line is not of the format.
fn refused(yaml: &str, line: &str) -> String {
    let mut config = config(yaml);
    config.error_field = Some("why".into());
    let (out, errors) = run(&mut Parse::new(&config).unwrap(), batch(line.as_bytes()));
    assert_eq!(errors, 1, "{yaml}: {line}");
    let fields = fields(&out[0].1);
    assert_eq!(fields["message"], line, "the line is still there");
    fields["why"].as_str().unwrap().to_owned()
}

#[test]
fn a_parsed_line_is_still_written_as_it_was_read() {
    let text = "{\"a\": 1, \"b\":{\"c\":[ ]}}\n{ }\n";
    let batch = parsed("format: json", text);
    assert_eq!(encoded(&Encoding::Text, &batch), text);
    assert_eq!(encoded(&Encoding::Ndjson, &batch), text);
    assert_eq!(fields(&batch), serde_json::json!({"a": 1, "b": {"c": []}}));
}

#[test]
fn white_space_around_an_object_is_not_copied_into_json() {
    let batch = parsed("format: json", " {\"a\":1}\r\n{\"b\":2}\r\n");
    assert_eq!(encoded(&Encoding::Ndjson, &batch), "{\"a\":1}\n{\"b\":2}\n");
    assert_eq!(encoded(&Encoding::Text, &batch), " {\"a\":1}\r\n{\"b\":2}\r\n");
}

#[test]
fn a_name_with_escapes_is_the_name_that_it_stands_for() {
    let batch = parsed("format: json", r#"{"\u00e9\"":1}"#);
    assert_eq!(fields(&batch), serde_json::json!({"é\"": 1}));
}

#[test]
fn what_is_not_of_the_format_goes_where_the_config_says() {
    let text = "{\"a\":1}\nnonsense\n{\"a\":2}\n\"x\"\n";
    let out = |yaml: &str| run(&mut parser(yaml), batch(text.as_bytes()));
    let (kept, errors) = out("format: json");
    assert_eq!(encoded(&Encoding::Text, &kept[0].1), text);
    assert_eq!(errors, 2);
    let (dropped, errors) = out("{format: json, on_error: drop}");
    assert_eq!(encoded(&Encoding::Text, &dropped[0].1), "{\"a\":1}\n{\"a\":2}\n");
    assert_eq!((dropped.len(), errors), (1, 2));
    let (routed, errors) = out("{format: json, on_error: route}");
    assert_eq!(errors, 2);
    let by_name = |name: &str| &routed.iter().find(|(output, _)| output == name).unwrap().1;
    assert_eq!(by_name("").len(), 2);
    assert_eq!(
        encoded(&Encoding::Ndjson, by_name("failed")),
        "{\"message\":\"nonsense\",\"parse_error\":\"expected an object (byte 1)\"}\n\
         {\"message\":\"\\\"x\\\"\",\"parse_error\":\"expected an object (byte 1)\"}\n"
    );
}

#[test]
fn a_field_is_replaced_by_what_it_holds_and_the_others_stay() {
    let mut batch =
        parsed("format: json", r#"{"stream":"out","log":"{\"a\":\"x\\n\"}","o":{"b":2}}"#);
    for field in ["log", "o"] {
        let mut parse = parser(&format!("{{format: json, field: {field}}}"));
        batch = run(&mut parse, batch).0.remove(0).1;
    }
    let line = "{\"stream\":\"out\",\"a\":\"x\\n\",\"b\":2}\n";
    assert_eq!(encoded(&Encoding::Text, &batch), line);
    let (_, errors) = run(&mut parser("{format: json, field: nope}"), batch);
    assert_eq!(errors, 1);
}

#[test]
fn the_records_time_is_taken_from_the_field_that_the_config_names() {
    for (value, time_ns) in [
        ("\"1970-01-01T00:00:01Z\"", 1_000_000_000),
        ("1.5", 1_500_000_000),
        ("1700000000000", 1_700_000_000_000_000_000),
        ("\"yesterday\"", 7),
        ("null", 7),
    ] {
        let batch = parsed("{format: json, timestamp: t}", &format!("{{\"x\":1,\"t\":{value}}}"));
        assert_eq!(batch.records().next().unwrap().time_ns(), time_ns, "{value}");
    }
}

#[test]
fn an_access_log_is_split_as_the_server_joined_it() {
    let line = concat!(
        r#"203.0.113.7 - alice smith [10/Oct/2000:13:55:36 -0700] "GET /a?b=\"c\" HTTP/1.1" "#,
        r#"200 2326 "http://x/" "a \x22b\" \\" "10.0.0.1""#
    );
    let batch = parsed("format: nginx_combined", line);
    assert_eq!(
        fields(&batch),
        serde_json::json!({
            "remote_addr": "203.0.113.7", "remote_user": "alice smith",
            "time_local": "10/Oct/2000:13:55:36 -0700", "method": "GET", "path": "/a?b=\"c\"",
            "protocol": "HTTP/1.1", "status": 200, "body_bytes_sent": 2326,
            "http_referer": "http://x/", "http_user_agent": "a \"b\" \\",
            "http_x_forwarded_for": "10.0.0.1",
        })
    );
    assert_eq!(batch.records().next().unwrap().time_ns(), 971_211_336_000_000_000);
    assert_eq!(encoded(&Encoding::Text, &batch), format!("{line}\n"));
}

#[test]
fn what_an_access_log_leaves_open_is_null_and_a_broken_request_stays_whole() {
    let line = r#"::1 - - [10/Oct/2000:13:55:36 +0000] "\x16\x03\x01" 400 - "-" "-""#;
    let batch = parsed("format: apache_combined", line);
    assert_eq!(
        fields(&batch),
        serde_json::json!({
            "remote_addr": "::1", "remote_user": null, "time_local": "10/Oct/2000:13:55:36 +0000",
            "request": "\u{16}\u{3}\u{1}", "status": 400, "body_bytes_sent": null,
            "http_referer": null, "http_user_agent": null,
        })
    );
}

#[test]
fn an_access_log_that_is_cut_off_is_an_error_that_says_where() {
    let line = r#"::1 - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.0" 200 5 "-" "x""#;
    for end in 0..line.len() {
        let (_, errors) =
            run(&mut parser("format: nginx_combined"), batch(&line.as_bytes()[..end]));
        assert_eq!(errors, u64::from(end > 0), "{}", &line[..end]);
    }
    let common = &line[..line.len() - 8];
    assert_eq!(fields(&parsed("format: common", common))["body_bytes_sent"], 5);
    let (out, _) = run(&mut parser("{format: common, on_error: route}"), batch(line.as_bytes()));
    assert_eq!(fields(&out[0].1)["parse_error"], "expected nothing after the size");
}

#[test]
fn named_groups_become_fields_of_the_types_that_the_config_gives() {
    let yaml = "{format: regex, pattern: '^(?<who>\\S+) (?<n>\\S+)( (?<ok>\\S+))?', types: {n: int, ok: bool}}";
    assert_eq!(
        fields(&parsed(yaml, "a 12 true")),
        serde_json::json!({"who": "a", "n": 12, "ok": true})
    );
    assert_eq!(fields(&parsed(yaml, "a x")), serde_json::json!({"who": "a", "n": "x"}));
    assert_eq!(run(&mut parser(yaml), batch(b"alone")).1, 1);
}

#[test]
fn a_config_that_cannot_work_says_what_to_change() {
    for (yaml, words) in [
        ("format: regex", "needs a `pattern`"),
        ("{format: regex, pattern: 'a('}", "`a(` is not a regular expression: unclosed group"),
        ("{format: regex, pattern: 'a'}", "no named group"),
        ("{format: regex, pattern: '(?<a>.)', types: {b: int}}", "names `b`"),
        ("{format: regex, pattern: '(?<a>\\w{1000000})'}", "is not a regular expression"),
        ("{format: json, pattern: '(?<a>.)'}", "`pattern` goes with `regex`, `grok` only"),
        ("{format: json, types: {a: int}}", "`types` goes with"),
        ("{format: logfmt, columns: [a]}", "`columns` goes with `csv`, `w3c`, `aws_vpc_flow` only"),
        ("format: csv", "needs `columns`"),
        ("{format: csv, columns: [a], delimiter: ab}", "one ASCII character"),
        ("{format: csv, columns: [a], delimiter: \"'\", quote: \"'\"}", "are the same"),
        ("{format: key_value, delimiter: '='}", "are the same"),
        ("{format: key_value, separator: ''}", "is empty"),
        ("format: grok", "needs a `pattern`"),
        ("{format: grok, pattern: 'x'}", "names no field"),
        ("{format: grok, pattern: '%{NOPE:x}'}", "there is no pattern `NOPE`"),
        ("{format: grok, pattern: '%{WORD:x:date}'}", "none of int, float, bool and text"),
        ("{format: grok, pattern: '%{A:x}', patterns: {A: '%{B}', B: '%{A}'}}", "contains itself"),
        ("{format: grok, pattern: '(?<x>a'}", "is not a pattern"),
        ("{format: grok, pattern: '%{WORD:x}', types: {y: int}}", "names `y`"),
        ("{format: json, prefix: a_, target: b}", "keep one"),
        ("{format: json, on_error: drop, error_field: b}", "`error_field` goes with"),
    ] {
        let error = Parse::new(&config(yaml)).map(drop).unwrap_err();
        assert!(error.contains(words), "{yaml}: {error}");
    }
    assert!(serde_yaml::from_str::<Config>("{format: json, feild: x}").is_err());
}
