//! Metrics as bytes.

use super::wire::{Taker, put, put_bytes, put_float, put_signed, put_size};
use crate::event::metric::{Family, MetricBatch, MetricKind, Sample, SampleValue, Taken, Text};
use std::sync::Arc;

const KINDS: [MetricKind; 5] = [
    MetricKind::Counter,
    MetricKind::Gauge,
    MetricKind::Histogram,
    MetricKind::Summary,
    MetricKind::Untyped,
];

pub(super) fn pack(batch: &MetricBatch, out: &mut Vec<u8>) {
    let MetricBatch { families, taken } = batch;
    put_size(out, families.len());
    for Family { name, help, kind, samples } in families.iter() {
        put_bytes(out, name.as_bytes());
        put_bytes(out, help.as_bytes());
        put_size(out, KINDS.iter().position(|known| known == kind).unwrap_or(KINDS.len() - 1));
        put_size(out, samples.len());
        samples.iter().for_each(|sample| pack_sample(sample, out));
    }
    if let Some(Taken { time_ns, host, source }) = taken {
        put_signed(out, *time_ns);
        put_bytes(out, host.as_bytes());
        put_bytes(out, source.as_bytes());
    }
}

fn pack_sample(sample: &Sample, out: &mut Vec<u8>) {
    let Sample { labels, value, timestamp_ms } = sample;
    put_size(out, labels.len());
    for (name, value) in labels {
        put_bytes(out, name.as_bytes());
        put_bytes(out, value.as_bytes());
    }
    put(out, u64::from(timestamp_ms.is_some()));
    put_signed(out, timestamp_ms.unwrap_or(0));
    match value {
        SampleValue::Number(number) => {
            out.push(0);
            put_float(out, *number);
        }
        SampleValue::Histogram { buckets, sum, count } => {
            out.push(1);
            put_size(out, buckets.len());
            for (bound, count) in buckets {
                put_float(out, *bound);
                put(out, *count);
            }
            put_float(out, *sum);
            put(out, *count);
        }
        SampleValue::Summary { quantiles, sum, count } => {
            out.push(2);
            put_size(out, quantiles.len());
            for (quantile, value) in quantiles {
                put_float(out, *quantile);
                put_float(out, *value);
            }
            put_float(out, *sum);
            put(out, *count);
        }
    }
}

pub(super) fn unpack(bytes: &[u8]) -> Option<MetricBatch> {
    let mut taker = Taker::new(bytes);
    let families = (0..taker.count()?).map(|_| family(&mut taker)).collect::<Option<Vec<_>>>()?;
    // Whoever packed it before there was more than families ended here.
    let taken = if taker.rest().is_empty() { None } else { Some(taken(&mut taker)?) };
    Some(MetricBatch { families: Arc::new(families), taken })
}

fn taken(taker: &mut Taker<'_>) -> Option<Taken> {
    let time_ns = taker.signed()?;
    Some(Taken { time_ns, host: taker.text()?.into(), source: taker.text()?.into() })
}

fn family(taker: &mut Taker<'_>) -> Option<Family> {
    let (name, help) = (text(taker)?, text(taker)?);
    let kind = *KINDS.get(taker.size()?)?;
    let samples = (0..taker.count()?).map(|_| sample(taker)).collect::<Option<_>>()?;
    Some(Family { name, help, kind, samples })
}

fn sample(taker: &mut Taker<'_>) -> Option<Sample> {
    let label = |taker: &mut Taker<'_>| Some((text(taker)?, text(taker)?));
    let labels = (0..taker.count()?).map(|_| label(taker)).collect::<Option<_>>()?;
    let has_time = taker.take()? == 1;
    let timestamp_ms = Some(taker.signed()?).filter(|_| has_time);
    let value = match taker.byte()? {
        0 => SampleValue::Number(taker.float()?),
        1 => {
            let bucket = |taker: &mut Taker<'_>| Some((taker.float()?, taker.take()?));
            let buckets = (0..taker.count()?).map(|_| bucket(taker)).collect::<Option<Vec<_>>>()?;
            SampleValue::Histogram { buckets, sum: taker.float()?, count: taker.take()? }
        }
        2 => {
            let quantile = |taker: &mut Taker<'_>| Some((taker.float()?, taker.float()?));
            let quantiles =
                (0..taker.count()?).map(|_| quantile(taker)).collect::<Option<Vec<_>>>()?;
            SampleValue::Summary { quantiles, sum: taker.float()?, count: taker.take()? }
        }
        _ => return None,
    };
    Some(Sample { labels, value, timestamp_ms })
}

fn text(taker: &mut Taker<'_>) -> Option<Text> {
    taker.text().map(Text::shared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn metrics_of_every_shape_come_back_as_they_were() {
        let mut families = vec![Family::single("a_total", MetricKind::Counter, "Help.", 7.5)];
        families[0].samples[0].timestamp_ms = Some(-3);
        let mut histogram = Family::new("h", MetricKind::Histogram, "");
        histogram.push(vec![("le".into(), "é".to_owned().into())], f64::INFINITY);
        histogram.samples[0].value =
            SampleValue::Histogram { buckets: vec![(0.1, 1), (1.0, 9)], sum: 3.5, count: 10 };
        families.push(histogram);
        let mut summary = Family::new("s", MetricKind::Summary, "x");
        summary.push(Vec::new(), 0.0);
        summary.samples[0].value =
            SampleValue::Summary { quantiles: vec![(0.5, 2.0)], sum: 4.0, count: 2 };
        families.push(summary);
        let batch = MetricBatch::new(families);
        let taken = Taken { time_ns: -7, host: "h".into(), source: "facts.host".into() };
        for batch in [batch.clone(), batch.taken(taken)] {
            let mut out = Vec::new();
            pack(&batch, &mut out);
            assert_eq!(unpack(&out), Some(batch));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_trusted(bytes: Vec<u8>) {
            unpack(&bytes);
        }
    }
}
