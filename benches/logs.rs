//! What the log path costs a chunk: cutting and filtering, JSON from line to line, copying.

#![expect(clippy::expect_used, reason = "a benchmark that cannot start has nothing to say")]

mod data;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use data::{Dice, access, mixed};
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
    let node = Node::new(Value::Map(entries.collect()));
    let config = transforms::read(type_name, &node).expect("known").expect("right");
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
    let (lines, objects) = (chunk(mixed), chunk(access));
    let mut group = criterion.benchmark_group("logs");
    let search = || vec![transform("filter", &[("keep", "message is search('(?i)error')")])];
    let json = || {
        vec![
            transform("parse", &[("format", "json")]),
            transform("filter", &[("keep", "status >= 500")]),
        ]
    };
    let cases = [
        ("passthrough", &lines, Vec::new()),
        ("split_filter", &lines, search()),
        ("json_parse_filter_encode", &objects, json()),
    ];
    for (name, chunk, mut chain) in cases {
        let mut encoder = Encoder::new(&Encoding::Text, Extra::Nothing);
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

criterion_group!(benches, logs);
criterion_main!(benches);
