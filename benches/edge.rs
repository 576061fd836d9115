//! What handing a batch of 1000 records from one component to the next costs: token, edge,
//! settling and receipt. The record itself is never looked at, so its size does not matter. And what
//! counting a batch costs where nobody looks at it by a tap, and where somebody does.

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use driftless::event::Batch;
use driftless::event::ack::{Ack, Outcome, SinkId, SinkSet};
use driftless::event::log::{LogBatch, Origin};
use driftless::topology::edge::{EdgeLimits, Envelope, edge};
use driftless::topology::tap::Side;
use driftless::topology::telemetry::Telemetry;
use std::hint::black_box;
use std::sync::Arc;
use tokio::sync::mpsc;

const RECORDS: u64 = 1000;

fn batch() -> Batch {
    let line = "10.0.0.1 - - [10/Oct/2000:13:55:36 +0000] \"GET / HTTP/1.1\" 200 612\n";
    let lines = Bytes::from(line.repeat(1000));
    Batch::Logs(LogBatch::from_lines(&lines, Arc::new(Origin::default()), 0, 0))
}

fn hand_over(c: &mut Criterion) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
    let Ok(telemetry) = Telemetry::new() else { return };
    let batch = batch();
    let mut group = c.benchmark_group("edge");
    group.throughput(Throughput::Elements(RECORDS));
    for readers in [1, 3] {
        let sinks: Vec<SinkSet> = (0..readers).filter_map(SinkId::new).map(SinkSet::one).collect();
        let all = sinks.iter().fold(SinkSet::NONE, |all, sink| all.union(*sink));
        let ways: Vec<_> = sinks
            .iter()
            .map(|sink| (*sink, edge(EdgeLimits::default(), telemetry.edge("reader"))))
            .collect();
        let (receipts_in, mut receipts) = mpsc::unbounded_channel();
        group.bench_function(format!("batch of {RECORDS} to {readers}"), |b| {
            b.iter(|| {
                runtime.block_on(async {
                    let ack = Ack::new(1, all, receipts_in.clone());
                    for (sink, (sender, _)) in &ways {
                        let envelope = Envelope::new(batch.clone(), ack.share(*sink), None);
                        sender.send(envelope).await;
                    }
                    ack.settle(Outcome::Delivered);
                    for (_, (_, input)) in &ways {
                        if let Some(envelope) = input.next().await {
                            let (batch, ack, _) = envelope.open();
                            black_box(batch);
                            ack.settle(Outcome::Delivered);
                        }
                    }
                    while receipts.try_recv().is_ok() {}
                });
            });
        });
    }
    group.finish();
}

fn taps(c: &mut Criterion) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
    let Ok(telemetry) = Telemetry::new() else { return };
    let (name, batch) = (Arc::from("reader"), batch());
    let component = telemetry.component(&name);
    let mut group = c.benchmark_group("tap");
    group.throughput(Throughput::Elements(RECORDS));
    group.bench_function("unused", |b| b.iter(|| component.received(black_box(&batch))));
    let mut tap = telemetry.taps().put_on(&name, Side::Input);
    group.bench_function("used", |b| {
        b.iter(|| {
            component.received(black_box(&batch));
            runtime.block_on(tap.next())
        });
    });
    // Whoever looks has stopped reading: batches go by unseen, and are counted.
    group.bench_function("used by nobody who reads", |b| {
        b.iter(|| component.received(black_box(&batch)));
    });
    group.finish();
}

criterion_group!(benches, hand_over, taps);
criterion_main!(benches);
