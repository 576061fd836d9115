//! What an encoder promises, for any bytes and any fields.

use super::*;
use crate::event::log::{FieldWriter, Origin, Value, Verdict};
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;

fn batch(text: &[u8]) -> LogBatch {
    let origin = Origin {
        source: "logs.app".into(),
        host: "web1".into(),
        path: Some("/var/log/app.log".into()),
        ..Origin::default()
    };
    LogBatch::from_lines(&Bytes::copy_from_slice(text), Arc::new(origin), 0, 1_500_000_000)
}

fn body(encoding: &Encoding, extra: Extra, batch: &LogBatch) -> Vec<u8> {
    let mut encoder = Encoder::new(encoding, extra);
    let mut out = Vec::new();
    encoder.begin(&mut out);
    encoder.encode(batch, &mut out);
    encoder.end(&mut out);
    out
}

fn csv(fields: &[&str]) -> Encoding {
    let fields = fields.iter().map(|name| (*name).to_owned()).collect();
    Encoding::Csv(Csv { fields, header: false })
}

/// A value as the tests make it; it is put into a record in its own way.
#[derive(Clone, Debug)]
enum Made {
    Value(Value),
    Text(Vec<u8>),
    Json(serde_json::Value),
}

fn made() -> impl Strategy<Value = Made> {
    prop_oneof![
        Just(Made::Value(Value::Null)),
        any::<bool>().prop_map(|value| Made::Value(Value::Bool(value))),
        any::<i64>().prop_map(|value| Made::Value(Value::Int(value))),
        // Eighths, since the reader of these tests is not exact in the last digit.
        any::<i32>().prop_map(|value| Made::Value(Value::Float(f64::from(value) / 8.0))),
        Just(Made::Value(Value::Float(f64::NAN))),
        any::<Vec<u8>>().prop_map(Made::Text),
        any::<String>().prop_map(|text| Made::Text(text.into_bytes())),
        any::<String>().prop_map(|text| Made::Json(json!([text, {"a": null}, -1.5]))),
    ]
}

type Fields = Vec<(String, Made)>;

fn records() -> impl Strategy<Value = Vec<Fields>> {
    let name = prop_oneof!["[a-c]", any::<String>(), Just("host".to_owned())];
    let fields = proptest::collection::vec((name, made()), 0..6);
    proptest::collection::vec(fields, 1..5)
}

fn write(writer: &mut FieldWriter<'_>, fields: &Fields) {
    for (name, value) in fields {
        match value {
            Made::Value(value) => writer.push(name, *value),
            Made::Text(text) => writer.push_text(name, text),
            Made::Json(json) => {
                writer.push_json(name, serde_json::to_string_pretty(json).unwrap().as_bytes());
            }
        }
    }
}

fn touched(records: &[Fields]) -> LogBatch {
    let mut batch = batch("x\n".repeat(records.len()).as_bytes());
    let mut rest = records.iter();
    batch.rewrite(|_, writer| {
        write(writer, rest.next().unwrap());
        Verdict::Touched
    });
    batch
}

/// The object that a reader of the output should see. The last of several values counts.
fn expected(fields: &Fields) -> serde_json::Value {
    let mut object = serde_json::Map::new();
    for (name, value) in fields {
        let value = match value {
            Made::Value(Value::Bool(value)) => json!(value),
            Made::Value(Value::Int(value)) => json!(value),
            Made::Value(Value::Float(value)) => json!(value),
            Made::Value(_) => json!(null),
            Made::Text(text) => String::from_utf8_lossy(text).into(),
            Made::Json(json) => json.clone(),
        };
        object.insert(name.clone(), value);
    }
    object.into()
}

fn lines(out: &[u8]) -> Vec<serde_json::Value> {
    let lines = out.split_inclusive(|byte| *byte == b'\n');
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// A reader of RFC 4180 that shares no code with the writer.
fn read_csv(text: &str) -> Vec<Vec<String>> {
    let mut rows = vec![vec![String::new()]];
    let (mut quoted, mut rest) = (false, text.chars().peekable());
    while let Some(c) = rest.next() {
        let row = rows.last_mut().unwrap();
        let cell = row.last_mut().unwrap();
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => cell.push(rest.next().unwrap()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(String::new()),
            '\n' if !quoted => rows.push(vec![String::new()]),
            c => cell.push(c),
        }
    }
    assert!(!quoted);
    assert_eq!(rows.pop(), Some(vec![String::new()]), "the last row ends its line");
    rows
}

/// A reader of logfmt that shares no code with the writer.
fn read_logfmt(line: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').unwrap();
        assert!(!name.is_empty() && !name.contains([' ', '"']), "{name:?}");
        if after.starts_with('"') {
            let mut values = serde_json::Deserializer::from_str(after).into_iter::<String>();
            let text = values.next().unwrap().unwrap();
            let end = values.byte_offset();
            pairs.push((name.to_owned(), text));
            rest = &after[end..];
        } else {
            let end = after.find(' ').unwrap_or(after.len());
            pairs.push((name.to_owned(), after[..end].to_owned()));
            rest = &after[end..];
        }
        rest = rest.strip_prefix(' ').unwrap_or(rest);
    }
    pairs
}

proptest! {
    #[test]
    fn what_nobody_touched_comes_out_byte_for_byte(mut text: Vec<u8>) {
        text.push(b'\n');
        prop_assert_eq!(body(&Encoding::Text, Extra::Nothing, &batch(&text)), text);
    }

    #[test]
    fn what_a_filter_leaves_comes_out_byte_for_byte(
        lines in proptest::collection::vec((any::<bool>(), "[^\n]{0,9}\r?"), 0..20),
    ) {
        let all: String = lines.iter().map(|(_, line)| format!("{line}\n")).collect();
        let kept: String =
            lines.iter().filter(|(keep, _)| *keep).map(|(_, line)| format!("{line}\n")).collect();
        let mut batch = batch(all.trim_end_matches('\n').as_bytes());
        let mut verdicts = lines.iter();
        batch.retain(|_| verdicts.next().unwrap().0);
        let out = body(&Encoding::Text, Extra::Nothing, &batch);
        // The last line may have lost its line feed on the way in, and has one on the way out.
        let out = String::from_utf8(out).unwrap();
        prop_assert_eq!(out.trim_end(), kept.trim_end());
    }

    #[test]
    fn any_line_becomes_valid_json(text: Vec<u8>) {
        let batch = batch(&text);
        let lines = lines(&body(&Encoding::Ndjson, Extra::Origin, &batch));
        prop_assert_eq!(lines.len(), batch.len());
        for (line, record) in lines.iter().zip(batch.records()) {
            prop_assert_eq!(line, &json!({
                "timestamp": "1970-01-01T00:00:01.500Z",
                "host": "web1",
                "path": "/var/log/app.log",
                "message": String::from_utf8_lossy(record.message()),
            }));
        }
    }

    #[test]
    fn any_fields_read_back_from_json(records in records()) {
        let batch = touched(&records);
        let expected: Vec<_> = records.iter().map(expected).collect();
        for encoding in [Encoding::Ndjson, Encoding::Text] {
            prop_assert_eq!(lines(&body(&encoding, Extra::Nothing, &batch)), &expected[..]);
        }
        let array = body(&Encoding::Json, Extra::Nothing, &batch);
        prop_assert_eq!(serde_json::from_slice::<Vec<serde_json::Value>>(&array).unwrap(), expected);
    }

    #[test]
    fn any_fields_read_back_from_csv(records in records()) {
        let out = body(&csv(&["a", "host", "b"]), Extra::Nothing, &touched(&records));
        let rows = read_csv(std::str::from_utf8(&out).unwrap());
        prop_assert_eq!(rows.len(), records.len());
        for (row, fields) in rows.iter().zip(&records) {
            prop_assert_eq!(row.len(), 3);
            let object = expected(fields);
            for (name, cell) in ["a", "b"].into_iter().zip([&row[0], &row[2]]) {
                let text = match &object[name] {
                    serde_json::Value::Null => String::new(),
                    serde_json::Value::String(text) => text.clone(),
                    other => {
                        let read = serde_json::from_str::<serde_json::Value>(cell);
                        prop_assert!(read.is_ok(), "{other}");
                        continue;
                    }
                };
                prop_assert_eq!(cell, &text);
            }
        }
    }

    #[test]
    fn any_fields_read_back_from_logfmt(records in records()) {
        let out = body(&Encoding::Logfmt, Extra::Nothing, &touched(&records));
        let text = std::str::from_utf8(&out).unwrap();
        prop_assert_eq!(text.matches('\n').count(), records.len());
        for (line, fields) in text.lines().zip(&records) {
            let pairs = read_logfmt(line);
            let object = expected(fields);
            let entries = object.as_object().unwrap();
            prop_assert_eq!(pairs.len(), entries.len());
            for (name, value) in entries {
                if let Some(text) = value.as_str()
                    && !name.is_empty()
                    && name.chars().all(char::is_alphanumeric)
                {
                    let found = pairs.contains(&(name.clone(), text.to_owned()));
                    prop_assert!(found, "{name} in {line}");
                }
            }
        }
    }
}

/// Each line is an object whose entries are `a` and, twice, `b`.
fn parsed_json(text: &str) -> LogBatch {
    let mut batch = batch(text.as_bytes());
    batch.rewrite(|record, writer| {
        if record.raw() != b"{ }" {
            writer.push("a", Value::Int(1));
        }
        Verdict::ParsedJson
    });
    batch
}

#[test]
fn a_json_line_is_copied_and_additions_go_before_its_entries() {
    let text = "{\"a\" : 1, \"b\":[ ]}\n{ }\n";
    let batch = parsed_json(text);
    assert_eq!(body(&Encoding::Ndjson, Extra::Nothing, &batch), text.as_bytes());
    let added =
        r#"{"timestamp":"1970-01-01T00:00:01.500Z","host":"web1","path":"/var/log/app.log""#;
    let expected = format!("{added},\"a\" : 1, \"b\":[ ]}}\n{added} }}\n");
    let out = body(&Encoding::Ndjson, Extra::Origin, &batch);
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn a_records_own_host_is_not_added_to() {
    let mut batch = batch(b"x\n");
    batch.rewrite(|_, writer| {
        writer.push_text("host", b"db1");
        writer.set_time_ns(0);
        Verdict::Touched
    });
    let out = body(&Encoding::Logfmt, Extra::Origin, &batch);
    let line = "timestamp=1970-01-01T00:00:00Z path=/var/log/app.log host=db1\n";
    assert_eq!(String::from_utf8(out).unwrap(), line);
}

#[test]
fn touched_and_untouched_records_keep_their_order() {
    let mut batch = batch(b"1\n2\n3\n4");
    batch.rewrite(|record, writer| match record.raw() {
        b"2" | b"4" => {
            writer.push("n", Value::Text(record.span().0, 1));
            Verdict::Touched
        }
        _ => Verdict::Keep,
    });
    let out = body(&Encoding::Text, Extra::Nothing, &batch);
    assert_eq!(String::from_utf8(out).unwrap(), "1\n{\"n\":\"2\"}\n3\n{\"n\":\"4\"}\n");
}

#[test]
fn csv_knows_where_a_record_comes_from_and_has_a_header_on_request() {
    let fields = ["timestamp", "host", "source", "message", "nope"].map(str::to_owned).to_vec();
    let out = body(&Encoding::Csv(Csv { fields, header: true }), Extra::Nothing, &batch(b"a,b\n"));
    let rows =
        "timestamp,host,source,message,nope\n1970-01-01T00:00:01.500Z,web1,logs.app,\"a,b\",\n";
    assert_eq!(String::from_utf8(out).unwrap(), rows);
}

#[test]
fn an_encoding_is_one_word_or_has_settings() {
    assert_eq!(serde_json::from_str::<Encoding>("\"ndjson\"").unwrap(), Encoding::Ndjson);
    let with_fields = serde_json::from_str::<Encoding>(r#"{"csv": {"fields": ["a"]}}"#).unwrap();
    assert_eq!(with_fields, csv(&["a"]));
    assert!(serde_json::from_str::<Encoding>(r#"{"csv": {"columns": ["a"]}}"#).is_err());
}

#[test]
fn a_sample_is_a_record_of_its_own() {
    use crate::event::metric::{Family, MetricKind, Sample, SampleValue, Taken};
    let mut family = Family::new("up", MetricKind::Gauge, "Whether it is up.");
    family.push(vec![("job".into(), "a\"b".into())], f64::INFINITY);
    family.samples.push(Sample {
        labels: Vec::new().into(),
        value: SampleValue::Histogram { buckets: vec![(0.5, 2)], sum: 0.75, count: 3 },
        timestamp_ms: Some(1500),
    });
    let metrics = MetricBatch::new(vec![family]);
    let taken = Taken { time_ns: 2_000_000_000, host: "web1".into(), source: "m".into() };
    let metrics = metrics.taken(taken);
    let mut out = Vec::new();
    Encoder::new(&Encoding::Ndjson, Extra::Origin).encode_metrics(&metrics, &mut out);
    assert_eq!(
        lines(&out),
        [
            json!({"timestamp": "1970-01-01T00:00:02Z", "host": "web1", "name": "up", "kind": "gauge", "labels": {"job": "a\"b"}, "value": "+Inf"}),
            json!({
                "timestamp": "1970-01-01T00:00:01.500Z", "host": "web1", "name": "up", "kind": "gauge",
                "labels": {}, "buckets": {"0.5": 2}, "sum": 0.75, "count": 3,
            }),
        ]
    );
    out.clear();
    Encoder::new(&Encoding::Logfmt, Extra::Nothing).encode_metrics(&metrics, &mut out);
    let first = String::from_utf8(out).unwrap();
    assert!(first.starts_with("name=up kind=gauge job=\"a\\\"b\" value=+Inf\n"), "{first}");
    let mut out = Vec::new();
    let table = csv(&["timestamp", "host", "name", "value"]);
    Encoder::new(&table, Extra::Nothing).encode_metrics(&metrics, &mut out);
    let first = String::from_utf8(out).unwrap();
    assert!(first.starts_with("1970-01-01T00:00:02Z,web1,up,+Inf\n"), "{first}");
}

#[test]
fn entries_that_still_stand_in_the_line_are_copied_and_all_others_written_anew() {
    let line = r#"{"a":1,"b":"x,\"y\":","c":[1, 2],"c":3,"d" : null,"e":{"f":0},"a\"b":7}"#;
    let value = |record: &RecordRef<'_>, text: &str| {
        let at = line.find(text).unwrap();
        record.json_at(&record.raw()[at..at + text.len()])
    };
    // Under their own names, and one of them under another; without one; with one in between.
    let changes: [&[(&str, &str)]; 5] = [
        &[("a", "1"), ("b", r#""x,\"y\":""#), ("c", "[1, 2]"), ("c", "3"), ("d", "null")],
        &[("a", "1"), ("y", r#""x,\"y\":""#), ("c", "3"), ("e", r#"{"f":0}"#), ("a\"b", "7")],
        &[("b", r#""x,\"y\":""#), ("a", "1")],
        &[("a", "1"), ("", "made"), ("b", r#""x,\"y\":""#), ("c", "3")],
        &[("e", r#"{"f":0}"#), ("a", "7"), ("f", "0")],
    ];
    for fields in changes {
        let mut batch = batch(format!("{line}\n").as_bytes());
        batch.rewrite(|record, writer| {
            for (name, text) in fields {
                match *name {
                    "" => writer.push_text("made", b"anew"),
                    name => writer.push(name, value(record, text)),
                }
            }
            Verdict::Touched
        });
        let mut object = serde_json::Map::new();
        for (name, text) in fields {
            match *name {
                "" => object.insert("made".to_owned(), json!("anew")),
                name => object.insert(name.to_owned(), serde_json::from_str(text).unwrap()),
            };
        }
        let mut out = Vec::new();
        Encoder::new(&Encoding::Ndjson, Extra::Nothing).encode(&batch, &mut out);
        assert_eq!(lines(&out), [serde_json::Value::Object(object)]);
    }
}
