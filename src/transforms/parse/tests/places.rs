//! Where fields, times and reasons go.

use super::*;
use serde_json::json;

const LINE: &str = "{\"t\":\"29.02.2024\",\"a\":1,\"a\":{\"b\":2}}\n";

#[test]
fn fields_get_a_prefix_or_a_place_of_their_own() {
    let prefixed = parsed("{format: json, prefix: app_}", LINE);
    assert_eq!(fields(&prefixed), json!({"app_t": "29.02.2024", "app_a": {"b": 2}}));
    let nested = parsed("{format: json, target: app}", LINE);
    assert_eq!(
        encoded(&Encoding::Ndjson, &nested),
        "{\"app\":{\"t\":\"29.02.2024\",\"a\":{\"b\":2}}}\n"
    );
    // Neither changes what is written as it was read.
    assert_eq!(encoded(&Encoding::Text, &nested), LINE);
    assert_eq!(encoded(&Encoding::Text, &prefixed), LINE);
}

#[test]
fn the_original_stays_where_it_is_asked_for() {
    let kept = parsed("{format: json, drop_original: false}", "{\"a\":1}\n");
    assert_eq!(fields(&kept), json!({"message": "{\"a\":1}", "a": 1}));
    assert_eq!(encoded(&Encoding::Text, &kept), "{\"a\":1}\n");
    assert_eq!(encoded(&Encoding::Ndjson, &kept), "{\"message\":\"{\\\"a\\\":1}\",\"a\":1}\n");
    let outer = parsed("format: json", r#"{"log":"x=1","n":2}"#);
    let mut parse =
        parser("{format: logfmt, field: log, drop_original: false, target: log_fields}");
    let (out, _) = run(&mut parse, outer);
    assert_eq!(fields(&out[0].1), json!({"log": "x=1", "n": 2, "log_fields": {"x": 1}}));
}

#[test]
fn a_kept_record_says_what_is_wrong_with_it_where_that_is_asked_for() {
    let mut parse = parser("{format: json, error_field: why}");
    let (out, errors) = run(&mut parse, batch(b"x\n"));
    assert_eq!(errors, 1);
    assert_eq!(fields(&out[0].1), json!({"message": "x", "why": "expected an object (byte 1)"}));
    // Even with a field of another name missing.
    let mut parse = parser("{format: json, field: log, on_error: route, error_field: why}");
    let (out, _) = run(&mut parse, batch(b"x\n"));
    assert_eq!((out.len(), out[0].0.as_str()), (1, "failed"));
    assert_eq!(fields(&out[0].1), json!({"message": "x", "why": "there is no field `log`"}));
}

#[test]
fn a_time_that_cannot_be_read_is_ignored_or_a_failure() {
    let day = "timestamp: {field: t, formats: ['%d.%m.%Y'], timezone: UTC";
    for (more, prefix) in [("", ""), ("", ", prefix: p_"), ("", ", target: o")] {
        let yaml = format!("{{format: json, {day}{more}}}{prefix}}}");
        let batch = parsed(&yaml, LINE);
        assert_eq!(batch.records().next().unwrap().time_ns(), 1_709_164_800_000_000_000, "{yaml}");
    }
    let bad = b"{\"t\":\"tomorrow\"}\n";
    let (out, errors) = run(&mut parser(&format!("{{format: json, {day}}}}}")), batch(bad));
    assert_eq!((errors, out[0].1.records().next().unwrap().time_ns()), (0, 7));
    let strict = format!("{{format: json, {day}, on_error: fail}}, on_error: drop}}");
    assert_eq!(run(&mut parser(&strict), batch(bad)).1, 1);
    assert_eq!(run(&mut parser(&strict), batch(b"{}\n")).1, 1);
    // A time that the format found goes with the record, or with nothing.
    let cri = "{format: cri, error_field: why, timestamp: {field: nope, on_error: fail}}";
    let (out, _) = run(&mut parser(cri), batch(b"2016-10-06T00:17:09Z stdout F x\n"));
    assert_eq!(out[0].1.records().next().unwrap().time_ns(), 7);
}

#[test]
fn a_zone_that_there_is_not_is_an_error_of_the_config() {
    for yaml in
        ["{format: syslog, timezone: Mars}", "{format: json, timestamp: {field: t, zone: x}}"]
    {
        assert!(serde_yaml::from_str::<Config>(yaml).is_err(), "{yaml}");
    }
    assert_eq!(config("format: syslog").timezone, Timezone::Local);
}
