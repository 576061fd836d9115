//! What a scrape costs: the default collectors of this host, and the text of what they gave.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use driftless::event::exposition;
use driftless::host::roots::Roots;
use driftless::sources::host_metrics::options::Options;
use driftless::sources::host_metrics::runner::Collectors;

fn scrape(criterion: &mut Criterion) {
    // `default` is a name that is always known.
    let Ok(mut collectors) = Collectors::new(&Roots::live(), &Options::default(), ["default"])
    else {
        return;
    };
    criterion.bench_function("metrics/collect", |bencher| {
        bencher.iter(|| black_box(collectors.collect(|_| true)));
    });
    let families = collectors.collect(|_| true);
    let mut text = Vec::new();
    exposition::encode(&families, &mut text);
    let mut group = criterion.benchmark_group("metrics");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            text.clear();
            exposition::encode(black_box(&families), &mut text)
        });
    });
    group.finish();
}

criterion_group!(benches, scrape);
criterion_main!(benches);
