//! Each transform through the program itself: what goes in, the config, and what comes out.

#![cfg(test)]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs `driftless agent --once` on a topology whose transforms are `transforms`, with `input` on
/// standard input; gives what the sink that reads from `from` has written as text or ndjson.
fn run(transforms: &str, from: &str, encoding: &str, input: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    run_in(dir.path(), transforms, from, encoding, input)
}

fn run_in(dir: &Path, transforms: &str, from: &str, encoding: &str, input: &str) -> String {
    let config = dir.join("config");
    fs::create_dir_all(&config).unwrap();
    let state = dir.join("state");
    fs::write(config.join("agent.yml"), format!("data_dir: {}\n", state.display())).unwrap();
    let out = dir.join("out");
    let topology = format!(
        "sources: {{in: {{type: stdin}}}}\ntransforms:\n{transforms}\nsinks:\n  out: {{type: file, \
         path: {}, encoding: {encoding}, inputs: [{from}]}}\n",
        out.display()
    );
    fs::write(config.join("topology.yml"), topology).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_driftless"))
        .args(["agent", "--once", "--config"])
        .arg(&config)
        .env("HOME", dir)
        .env("DRIFTLESS_RUN_DIR", dir.join("lock"))
        .env("REDACT_KEY", "a-key-for-tests")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{transforms}\n{said}");
    assert!(!said.contains("WARN") && !said.contains("ERROR"), "{said}");
    fs::read_to_string(out).unwrap_or_default()
}

/// The records in some ndjson, without what the sink has added to them.
fn records(text: &str) -> Vec<serde_json::Value> {
    let record = |line| {
        let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
        record.as_object_mut().unwrap().retain(|name, _| name != "timestamp" && name != "host");
        record
    };
    text.lines().map(record).collect()
}

struct Case {
    name: &'static str,
    transforms: &'static str,
    from: &'static str,
    input: &'static str,
    expected: &'static str,
}

const JSON: &str = "  parsed: {type: parse, format: json, inputs: [in]}\n";

const TEXT: &[Case] = &[
    Case {
        name: "redact leaves text what it is, and lines without a hit as they were",
        transforms: "  t: {type: redact, patterns: [card, email], keep_last: 4, inputs: [in]}",
        from: "t",
        input: "fine\r\npay 4111 1111 1111 1111 by a@b.example\n4111 1111 1111 1112\n",
        expected: "fine\r\npay ***1111 by ***mple\n4111 1111 1111 1112\n",
    },
    Case {
        name: "redact removes what own patterns find",
        transforms: "  t: {type: redact, regexes: {p: 'password=(\\S+)'}, action: remove, inputs: [in]}",
        from: "t",
        input: "password=hunter2 x\n",
        expected: "password= x\n",
    },
    Case {
        name: "dedupe passes the first of each",
        transforms: "  t: {type: dedupe, inputs: [in]}",
        from: "t",
        input: "a\nb\na\na\nc\n",
        expected: "a\nb\nc\n",
    },
    Case {
        name: "throttle passes so many",
        transforms: "  t: {type: throttle, limit: 2, window: 1h, inputs: [in]}",
        from: "t",
        input: "a\nb\nc\nd\n",
        expected: "a\nb\n",
    },
    Case {
        name: "throttle sends the rest elsewhere",
        transforms: "  t: {type: throttle, limit: 2, window: 1h, excess: route, inputs: [in]}",
        from: "t.excess",
        input: "a\nb\nc\nd\n",
        expected: "c\nd\n",
    },
    Case {
        name: "sample keeps what is excluded from it",
        transforms: "  t: {type: sample, percent: 0, exclude: \"'keep' in message\", inputs: [in]}",
        from: "t",
        input: "a\nkeep 1\nb\nkeep 2\n",
        expected: "keep 1\nkeep 2\n",
    },
    Case {
        name: "log_to_metric counts lines",
        transforms: "  t: {type: log_to_metric, metrics: [{name: lines_total, type: counter, \
                     help: Lines., labels: {first: '{{ message[0] }}'}}], inputs: [in]}",
        from: "t",
        input: "ab\nac\nb\n",
        expected: "# HELP lines_total Lines.\n# TYPE lines_total counter\n\
                   lines_total{first=\"a\"} 2\nlines_total{first=\"b\"} 1\n",
    },
];

const OBJECTS: &[Case] = &[
    Case {
        name: "flatten",
        transforms: "  t: {type: flatten, inputs: [parsed]}",
        from: "t",
        input: r#"{"a":{"b":1,"c":{"d":"x"}},"l":[1]}"#,
        expected: r#"{"a.b":1,"a.c.d":"x","l":[1]}"#,
    },
    Case {
        name: "redact with a secret key",
        transforms: "  t: {type: redact, patterns: [email], fields: [user], action: hash, \
                     key: '{{ secrets.REDACT_KEY }}', inputs: [parsed]}\n  \
                     u: {type: set, fields: {user: '{{ user | length }}'}, inputs: [t]}",
        from: "u",
        input: r#"{"user":"a@b.example","other":"a@b.example"}"#,
        expected: r#"{"user":64,"other":"a@b.example"}"#,
    },
    Case {
        name: "reduce merges what belongs together, and the end flushes the rest",
        transforms: "  t: {type: reduce, key: [id], end: last, merge: {n: sum, s: concat}, \
                     separator: '+', count: c, inputs: [parsed]}",
        from: "t",
        input: "{\"id\":1,\"n\":2,\"s\":\"a\"}\n{\"id\":2,\"n\":5}\n\
                {\"id\":1,\"n\":3,\"s\":\"b\",\"last\":true}\n",
        expected: "{\"id\":1,\"n\":5,\"s\":\"a+b\",\"last\":true,\"c\":2}\n{\"id\":2,\"n\":5,\"c\":1}",
    },
    Case {
        name: "dedupe counts what it left out",
        transforms: "  t: {type: dedupe, fields: [id], count: n, inputs: [parsed]}",
        from: "t",
        input: "{\"id\":1}\n{\"id\":1,\"x\":2}\n{\"id\":1,\"x\":3}\n",
        expected: "{\"id\":1}\n{\"id\":1,\"x\":3,\"n\":2}",
    },
    Case {
        name: "remove, keep_fields and set know patterns and types",
        transforms: "  a: {type: remove, fields: ['k8s.*'], inputs: [parsed]}\n  \
                     b: {type: set, types: {status: int, ok: bool}, inputs: [a]}\n  \
                     t: {type: keep_fields, fields: [ok, 's*'], inputs: [b]}",
        from: "t",
        input: r#"{"k8s.pod":"p","status":"200","s2":1,"ok":"yes","x":1}"#,
        expected: r#"{"ok":true,"status":200,"s2":1}"#,
    },
];

#[test]
fn lines_come_out_as_each_transform_says() {
    for case in TEXT {
        let found = run(case.transforms, case.from, "text", case.input);
        assert_eq!(found, case.expected, "{}", case.name);
    }
}

#[test]
fn records_come_out_as_each_transform_says() {
    for case in OBJECTS {
        let transforms = format!("{JSON}{}", case.transforms);
        let found = run(&transforms, case.from, "ndjson", &format!("{}\n", case.input.trim_end()));
        assert_eq!(records(&found), records(case.expected), "{}", case.name);
    }
}

#[test]
fn a_table_is_found_beside_the_config_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let files = dir.path().join("config/files");
    fs::create_dir_all(&files).unwrap();
    fs::write(files.join("nets.csv"), "net,site\n10.0.0.0/8,office\n").unwrap();
    let transforms = format!(
        "{JSON}  t: {{type: lookup, file: files/nets.csv, key: {{ip: net}}, match: network, \
         add: {{site: geo.site}}, default: {{geo.site: '?'}}, inputs: [parsed]}}"
    );
    let input = "{\"ip\":\"10.1.2.3\"}\n{\"ip\":\"8.8.8.8\"}\n";
    let found = run_in(dir.path(), &transforms, "t", "ndjson", input);
    let expected =
        "{\"ip\":\"10.1.2.3\",\"geo.site\":\"office\"}\n{\"ip\":\"8.8.8.8\",\"geo.site\":\"?\"}\n";
    assert_eq!(records(&found), records(expected));
}

#[test]
fn the_short_forms_in_a_logs_file_do_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::write(path("in.log"), "a@b.example\nx\nx\ny\nz\n").unwrap();
    let logs = format!(
        "sources:\n  in:\n    paths: [{}]\n    sample: 1\n    dedupe: 1m\n    throttle: {{limit: 3, window: 1h}}\n    \
         redact: [email]\noutputs: {{out: {{file: {{path: {}}}}}}}\n",
        path("in.log"),
        path("out.log")
    );
    fs::write(path("logs.yml"), logs).unwrap();
    fs::write(path("agent.yml"), format!("data_dir: {}\n", path("state"))).unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_driftless"))
        .args(["agent", "--once", "--config"])
        .arg(dir.path())
        .env("HOME", dir.path())
        .env("DRIFTLESS_RUN_DIR", path("lock"))
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(fs::read_to_string(path("out.log")).unwrap(), "***\nx\ny\n");
}
