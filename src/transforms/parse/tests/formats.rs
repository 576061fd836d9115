//! Formats that many programs write.

use super::*;
use serde_json::json;

#[test]
fn logfmt_has_pairs_and_flags() {
    let line = r#"ts=2024-02-29T12:00:00Z level=info msg="it \"works\"" n=17 f=-1.5 zip=01234 quoted="5" empty= cached"#;
    let (fields, time) = read("{format: logfmt, timestamp: ts}", line);
    assert_eq!(
        fields,
        json!({
            "ts": "2024-02-29T12:00:00Z", "level": "info", "msg": "it \"works\"", "n": 17,
            "f": -1.5, "zip": "01234", "quoted": "5", "empty": "", "cached": true,
        })
    );
    assert_eq!(time.unwrap(), "2024-02-29T12:00:00Z");
    let typed = "{format: logfmt, types: {n: text, quoted: int, ok: bool, f: float}}";
    let (fields, _) = read(typed, r#"n=17 quoted="5" ok=true f=2"#);
    assert_eq!(fields, json!({"n": "17", "quoted": 5, "ok": true, "f": 2.0}));
    assert_eq!(refused("format: logfmt", "just some words"), "expected names and values");
    assert_eq!(refused("format: logfmt", "a=\"x"), "expected a quote at the end of a value");
    assert!(refused("format: logfmt", "=x").contains("a name"));
}

#[test]
fn key_value_has_marks_of_its_own() {
    let yaml = "{format: key_value, delimiter: ';', separator: ':'}";
    let (fields, _) = read(yaml, "user: bob; path: '/a;b' ;n:5;; last: x y");
    assert_eq!(fields, json!({"user": "bob", "path": "/a;b", "n": 5, "last": "x y"}));
    let yaml = "{format: key_value, delimiter: ', ', separator: ' => '}";
    let (fields, _) = read(yaml, "a => 1, b => two words, flag");
    assert_eq!(fields, json!({"a": 1, "b": "two words", "flag": true}));
}

#[test]
fn csv_has_cells_in_quotes_and_leaves_its_header_out() {
    let yaml = "{format: csv, columns: [id, name, note]}";
    let (fields, _) = read(yaml, r#"7,"Smith, ""Bob""","8""#);
    assert_eq!(fields, json!({"id": 7, "name": "Smith, \"Bob\"", "note": "8"}));
    let (fields, _) = read("{format: csv, columns: [a, b], delimiter: ';', quote: \"'\"}", "';';");
    assert_eq!(fields, json!({"a": ";", "b": ""}));
    let (out, errors) = run(&mut parser(yaml), batch(b"id,name,note\n1,a,b\n"));
    assert_eq!((out[0].1.len(), errors), (1, 0));
    for (line, reason) in [
        ("1,2", "expected as many cells as there are columns"),
        ("1,2,3,4", "expected no more cells than there are columns"),
        ("1,\"2,3", "expected a quote at the end of a cell"),
        ("1,\"2\"x,3", "expected a delimiter after a quote"),
    ] {
        assert_eq!(refused(yaml, line), reason);
    }
}

#[test]
fn ltsv_has_labels() {
    let line =
        "host:10.0.0.1\ttime:[29/Feb/2024:14:00:00 +0200]\treq:GET /a:b HTTP/1.1\tstatus:200\tua:-";
    let (fields, time) = read("format: ltsv", line);
    assert_eq!(
        fields,
        json!({
            "host": "10.0.0.1", "time": "[29/Feb/2024:14:00:00 +0200]",
            "req": "GET /a:b HTTP/1.1", "status": 200, "ua": null,
        })
    );
    assert_eq!(time.unwrap(), "2024-02-29T12:00:00Z");
    assert_eq!(refused("format: ltsv", "a:1\tb"), "expected a label and `:`");
}

#[test]
fn grok_fills_in_names_and_types() {
    let yaml = r"{format: grok, pattern: '%{IPORHOST:client} %{WORD:method} %{NOTSPACE:path} %{NUMBER:ms:int} %{NUMBER:[load][one]:float} %{QUEUE:q}(?: %{WORD:never})?', patterns: {QUEUE: '[0-9A-F]{4,}'}}";
    let (fields, _) = read(yaml, "10.0.0.1 GET /x 12 0.5 3F2A");
    assert_eq!(
        fields,
        json!({
            "client": "10.0.0.1", "method": "GET", "path": "/x", "ms": 12, "load.one": 0.5,
            "q": "3F2A",
        })
    );
    assert_eq!(refused(yaml, "nothing of the kind"), "expected a line that the pattern matches");
    let line = r#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a.gif HTTP/1.0" 200 2326"#;
    let (fields, time) = read(
        "{format: grok, pattern: '%{HTTPD_COMMONLOG}', timestamp: {field: timestamp, formats: [clf]}}",
        line,
    );
    assert_eq!((&fields["verb"], &fields["response"]), (&json!("GET"), &json!("200")));
    assert_eq!(time.unwrap(), "2000-10-10T20:55:36Z");
    let back = r"{format: grok, pattern: '(?<quote>[ab])(?<text>.*?)\k<quote>(?!x)'}";
    assert_eq!(read(back, "a12a").0, json!({"quote": "a", "text": "12"}));
}

#[test]
fn a_pattern_that_never_ends_is_given_up() {
    let yaml = r"{format: grok, pattern: '^(?<x>(a|aa)+)(?=b)$'}";
    let reason = refused(yaml, &"a".repeat(200));
    assert_eq!(reason, "expected a line that the pattern matches within 50000 steps");
    assert_eq!(refused(yaml, &"a".repeat(40_000)), "expected a line of at most 32 KiB");
}

#[test]
fn syslog_of_either_rfc_is_told_apart_by_line() {
    let new = concat!(
        r#"<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog 8710 ID47 "#,
        r#"[exampleSDID@32473 iut="3" eventSource="App\]\"x"][x@1] An event"#
    );
    let (fields, time) = read("format: syslog", new);
    assert_eq!(
        fields,
        json!({
            "facility": "local4", "severity": "notice", "version": 1,
            "timestamp": "2003-10-11T22:14:15.003Z", "hostname": "mymachine.example.com",
            "appname": "evntslog", "procid": 8710, "msgid": "ID47",
            "exampleSDID@32473": {"iut": "3", "eventSource": "App]\"x"}, "x@1": {},
            "message": "An event",
        })
    );
    assert_eq!(time.unwrap(), "2003-10-11T22:14:15.003Z");
    let (fields, time) = read("format: syslog", "<34>1 - - su - - - \u{feff}failed");
    assert_eq!(
        fields,
        json!({"facility": "auth", "severity": "crit", "version": 1, "appname": "su", "message": "failed"})
    );
    assert_eq!(time, None);
    assert_eq!(read("format: syslog", "<0>1 - - - - - -").0["facility"], "kern");
}

#[test]
fn syslog_as_files_have_it_lacks_what_it_lacks() {
    let berlin = "{format: syslog, timezone: Europe/Berlin}";
    for (line, expected) in [
        (
            "<34>Oct 11 22:14:15 mymachine su[17]: 'su root' failed",
            json!({
                "facility": "auth", "severity": "crit", "timestamp": "2026-10-11T20:14:15Z",
                "hostname": "mymachine", "appname": "su", "procid": 17, "message": "'su root' failed",
            }),
        ),
        (
            "Jun  4 15:16:01 combo sshd(pam_unix)[19939]: authentication failure; logname= uid=0 ",
            json!({
                "timestamp": "2026-06-04T13:16:01Z", "hostname": "combo",
                "appname": "sshd(pam_unix)", "procid": 19939,
                "message": "authentication failure; logname= uid=0 ",
            }),
        ),
        (
            "2024-02-29T14:00:00.123456+02:00 host-1 postfix/smtpd[99]: connect from x[::1]: ok",
            json!({
                "timestamp": "2024-02-29T14:00:00.123456+02:00", "hostname": "host-1",
                "appname": "postfix/smtpd", "procid": 99, "message": "connect from x[::1]: ok",
            }),
        ),
        (
            "Dec 10 06:55:46 LabSZ last message repeated 2 times",
            json!({
                "timestamp": "2025-12-10T05:55:46Z", "hostname": "LabSZ",
                "message": "last message repeated 2 times",
            }),
        ),
        (
            "<13>Feb  5 17:32:18 myapp[5]: from the local socket",
            json!({
                "facility": "user", "severity": "notice", "timestamp": "2026-02-05T16:32:18Z",
                "appname": "myapp", "procid": 5, "message": "from the local socket",
            }),
        ),
        (
            "<13>no time at all",
            json!({"facility": "user", "severity": "notice", "message": "no time at all"}),
        ),
    ] {
        assert_eq!(read(berlin, line).0, expected, "{line}");
    }
    for (line, reason) in [
        ("hello there", "expected a priority or a time"),
        ("<192>x", "expected a priority from 0 to 191"),
        ("<01>x", "expected a priority from 0 to 191"),
        ("<34>1 - h", "expected host, program, process and message id"),
        (
            "<34>1 yesterday h a p m - x",
            "expected a time such as `2003-10-11T22:14:15.003Z`, or `-`",
        ),
        ("<34>1 - h a p m [x y", "expected `=` in the structured data"),
        ("<34>1 - h a p m [x y=\"1\"]message", "expected a blank before the message"),
    ] {
        assert_eq!(refused("format: syslog", line), reason);
    }
}
