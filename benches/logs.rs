//! What the log path costs a chunk: cutting and filtering, JSON from line to line, copying.

#![expect(clippy::expect_used, reason = "a benchmark that cannot start has nothing to say")]

mod data;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use data::{Dice, access, combined, mixed};
use driftless::event::Batch;
use driftless::event::encode::{Encoder, Encoding, Extra};
use driftless::event::log::LogBatch;
use driftless::event::tree::{Key, Node, Value};
use driftless::topology::component::{BuildContext, Outputs, Transform};
use driftless::topology::context::{Environment, SinkNames};
use driftless::topology::memory::Memory;
use driftless::topology::telemetry::Telemetry;
use driftless::transforms;
use std::hint::black_box;
use std::sync::Arc;

const CHUNK_BYTES: usize = 512 << 10;

fn chunk(line: fn(u64, &mut Dice, &mut String) -> std::fmt::Result) -> Bytes {
    let (mut dice, mut text) = (Dice::new(), String::new());
    for number in 0.. {
        line(number, &mut dice, &mut text).expect("writing to a string");
        if text.len() >= CHUNK_BYTES {
            break;
        }
    }
    text.into()
}

fn transform(type_name: &str, settings: &[(&str, &str)]) -> Box<dyn Transform> {
    let entries = settings.iter().map(|(key, text)| (Key::from(*key), Node::string(text)));
    built(type_name, &Node::new(Value::Map(entries.collect())))
}

fn built(type_name: &str, node: &Node) -> Box<dyn Transform> {
    let config = transforms::read(type_name, node).expect("known").expect("right");
    let env = Environment {
        host: "bench".into(),
        data_dir: "/nonexistent".into(),
        keeps_state: false,
        memory: Memory::new(1 << 20),
        telemetry: Telemetry::new().expect("valid names"),
        sinks: SinkNames::default(),
        secrets: Default::default(),
        masker: Default::default(),
        constants: Default::default(),
        tasks: tokio::sync::watch::channel(None).1,
        deliveries: Default::default(),
        runs: Default::default(),
        once: true,
    };
    config.build(&BuildContext { name: "bench".into(), env: Arc::new(env) }).expect("buildable")
}

/// Takes a chunk through the chain and encodes what is left.
fn pass(
    chunk: &Bytes,
    chain: &mut [Box<dyn Transform>],
    encoder: &mut Encoder,
    body: &mut Vec<u8>,
) {
    let mut batch = Batch::Logs(LogBatch::from_lines(chunk, Arc::default(), 0, 0));
    for transform in chain {
        let mut out = Outputs::default();
        transform.transform(batch, &mut out).expect("no fault");
        let Some((_, next)) = out.take().0.pop() else { return };
        batch = next;
    }
    if let Batch::Logs(logs) = &batch {
        encoder.encode(logs, body);
    }
}

fn logs(criterion: &mut Criterion) {
    let (lines, objects, requests) = (chunk(mixed), chunk(access), chunk(combined));
    let mut group = criterion.benchmark_group("logs");
    let search = || vec![transform("filter", &[("keep", "message is search('(?i)error')")])];
    let json = || {
        vec![
            transform("parse", &[("format", "json")]),
            transform("filter", &[("keep", "status >= 500")]),
        ]
    };
    let tag = || {
        let fields = Node::new(Value::Map(vec![
            (Key::from("env"), Node::string("prod")),
            (Key::from("team"), Node::string("web")),
        ]));
        let config = Node::new(Value::Map(vec![(Key::from("fields"), fields)]));
        vec![transform("parse", &[("format", "json")]), built("set", &config)]
    };
    let cases = [
        ("passthrough", &lines, Vec::new()),
        (
            "access_log_to_json",
            &requests,
            vec![transform("parse", &[("format", "nginx_combined")])],
        ),
        ("json_parse_add_fields_encode", &objects, tag()),
        ("split_filter", &lines, search()),
        ("json_parse_filter_encode", &objects, json()),
    ];
    for (name, chunk, mut chain) in cases {
        let encoding = if name == "access_log_to_json" { Encoding::Ndjson } else { Encoding::Text };
        let mut encoder = Encoder::new(&encoding, Extra::Nothing);
        let mut body = Vec::with_capacity(2 * CHUNK_BYTES);
        group.throughput(Throughput::Bytes(chunk.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                body.clear();
                pass(chunk, &mut chain, &mut encoder, &mut body);
                black_box(body.len())
            });
        });
    }
    group.finish();
}

/// A line of each common format, as often as it takes to fill a chunk.
const FORMATS: [(&str, &str); 8] = [
    (
        "logfmt",
        r#"ts=2024-02-29T12:00:00Z level=info msg="request served" status=200 took=0.125 path=/a/b"#,
    ),
    (
        "syslog",
        "Jun 14 15:16:01 combo sshd[19939]: authentication failure; logname= uid=0 euid=0 tty=ssh",
    ),
    (
        "nginx_combined",
        r#"203.0.113.7 - - [10/Oct/2000:13:55:36 -0700] "GET /a?b HTTP/1.1" 200 2326 "http://x/" "curl/8""#,
    ),
    (
        "nginx_error",
        r#"2021/04/01 13:02:31 [error] 31#31: *1 open() "/x" failed, client: 10.0.0.1, server: a, request: "GET /x HTTP/1.1", host: "a""#,
    ),
    (
        "haproxy",
        r#"10.0.1.2:33317 [06/Feb/2009:12:14:14.655] in a/s1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 "GET /i HTTP/1.1""#,
    ),
    (
        "klog",
        "I0505 17:59:40.692994   28133 klog.go:70] the content of the log entry, as long as usual",
    ),
    (
        "cri",
        "2016-10-06T00:17:09.669794202Z stdout F the content of the log entry, as long as usual",
    ),
    (
        "auditd",
        r#"type=SYSCALL msg=audit(1364481363.243:24287): arch=c000003e syscall=2 success=no uid=0 comm="cat" key=(null)"#,
    ),
];

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for (format, line) in FORMATS {
        let chunk = Bytes::from(format!("{line}\n").repeat(CHUNK_BYTES / line.len()));
        let mut chain = [transform("parse", &[("format", format), ("timezone", "Europe/Berlin")])];
        let mut encoder = Encoder::new(&Encoding::Text, Extra::Nothing);
        let mut body = Vec::with_capacity(2 * CHUNK_BYTES);
        group.throughput(Throughput::Elements((CHUNK_BYTES / line.len()) as u64));
        group.bench_function(format, |bencher| {
            bencher.iter(|| {
                body.clear();
                pass(&chunk, &mut chain, &mut encoder, &mut body);
                black_box(body.len())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, logs, parse);
criterion_main!(benches);
