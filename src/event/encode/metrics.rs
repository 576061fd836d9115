//! Samples as records, for places that take no metrics as such.

use super::{Encoding, Extra, csv, json, logfmt, separate};
use crate::event::exposition;
use crate::event::log::FieldRef;
use crate::event::metric::{Family, MetricBatch, Sample, SampleValue, Taken};
use crate::event::number::push_float;
use crate::event::time::write_rfc3339;
use std::borrow::Cow;

/// Appends every sample.
pub(super) fn encode(
    (encoding, extra): (&Encoding, Extra),
    batch: &MetricBatch,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) {
    if *encoding == Encoding::Text {
        // Series that the format cannot hold are left out by it.
        exposition::encode(&batch.families, out);
        return;
    }
    let origin = Origin { taken: batch.taken.as_ref(), extra };
    for family in batch.families.iter() {
        for sample in &family.samples {
            match encoding {
                Encoding::Text | Encoding::Ndjson => {
                    object(origin, family, sample, scratch, out);
                    out.push(b'\n');
                }
                Encoding::Json => {
                    separate(out);
                    object(origin, family, sample, scratch, out);
                }
                Encoding::Logfmt => {
                    let start = out.len();
                    for (name, text) in flat(origin, family, sample) {
                        logfmt::pair(out, start, &name, text.as_bytes());
                    }
                    out.push(b'\n');
                }
                Encoding::Csv(columns) => {
                    // Whoever names a column wants it.
                    let cells = flat(Origin { extra: Extra::Origin, ..origin }, family, sample);
                    let cell = |name: &String| {
                        let found = cells.iter().find(|(known, _)| known == name);
                        found.map_or(&b""[..], |(_, text)| text.as_bytes())
                    };
                    csv::row(columns.fields.iter().map(cell), out);
                }
            }
        }
    }
}

/// What is known of all samples of a batch, and whether it is told.
#[derive(Clone, Copy)]
struct Origin<'a> {
    taken: Option<&'a Taken>,
    extra: Extra,
}

impl<'a> Origin<'a> {
    /// The sample's own time, else the batch's, in nanoseconds.
    fn time_ns(self, sample: &Sample) -> Option<i64> {
        let own = sample.timestamp_ms.and_then(|ms| ms.checked_mul(1_000_000));
        own.or_else(|| Some(self.taken.filter(|_| self.extra == Extra::Origin)?.time_ns))
    }

    fn host(self) -> Option<&'a str> {
        Some(&self.taken.filter(|_| self.extra == Extra::Origin)?.host)
    }
}

/// One sample: time and host, name, kind, labels and value; buckets and quantiles by their bounds.
fn object(
    origin: Origin<'_>,
    family: &Family,
    sample: &Sample,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) {
    out.push(b'{');
    let start = out.len();
    if let Some(time_ns) = origin.time_ns(sample) {
        scratch.clear();
        write_rfc3339(scratch, time_ns);
        json::entry(out, start, "timestamp");
        json::string(scratch, out);
    }
    if let Some(host) = origin.host() {
        json::entry(out, start, "host");
        json::string(host.as_bytes(), out);
    }
    json::entry(out, start, "name");
    json::string(family.name.as_bytes(), out);
    json::entry(out, start, "kind");
    json::string(kind(family).as_bytes(), out);
    json::entry(out, start, "labels");
    out.push(b'{');
    let inner = out.len();
    for (name, text) in &sample.labels {
        json::entry(out, inner, name);
        json::string(text.as_bytes(), out);
    }
    out.push(b'}');
    match &sample.value {
        SampleValue::Number(value) => {
            json::entry(out, start, "value");
            number(*value, out);
        }
        SampleValue::Histogram { buckets, sum, count } => {
            json::entry(out, start, "buckets");
            bounds(
                buckets.iter().map(|(bound, count)| (*bound, FieldRef::Int(whole(*count)))),
                out,
            );
            sum_and_count(start, *sum, *count, out);
        }
        SampleValue::Summary { quantiles, sum, count } => {
            json::entry(out, start, "quantiles");
            bounds(quantiles.iter().map(|(bound, value)| (*bound, FieldRef::Float(*value))), out);
            sum_and_count(start, *sum, *count, out);
        }
    }
    out.push(b'}');
}

fn bounds<'a>(pairs: impl Iterator<Item = (f64, FieldRef<'a>)>, out: &mut Vec<u8>) {
    out.push(b'{');
    let start = out.len();
    for (bound, value) in pairs {
        json::entry(out, start, &text(bound));
        match value {
            FieldRef::Float(value) => number(value, out),
            value => json::value(value, out),
        }
    }
    out.push(b'}');
}

fn sum_and_count(start: usize, sum: f64, count: u64, out: &mut Vec<u8>) {
    json::entry(out, start, "sum");
    number(sum, out);
    json::entry(out, start, "count");
    json::value(FieldRef::Int(whole(count)), out);
}

/// JSON has no number for infinity and the like: those are text, as Prometheus spells them.
fn number(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        json::value(FieldRef::Float(value), out);
    } else {
        json::string(text(value).as_bytes(), out);
    }
}

fn text(value: f64) -> Cow<'static, str> {
    let mut out = Vec::new();
    push_float(value, &mut out);
    String::from_utf8(out).unwrap_or_default().into()
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn kind(family: &Family) -> &'static str {
    use crate::event::metric::MetricKind as Kind;
    match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
        Kind::Summary => "summary",
        Kind::Untyped => "untyped",
    }
}

/// The sample without nesting: labels beside the rest. Of a distribution sum and count are kept.
fn flat<'a>(
    origin: Origin<'a>,
    family: &'a Family,
    sample: &'a Sample,
) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    let mut pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
    if let Some(time_ns) = origin.time_ns(sample) {
        let mut time = Vec::new();
        write_rfc3339(&mut time, time_ns);
        pairs.push(("timestamp".into(), String::from_utf8(time).unwrap_or_default().into()));
    }
    pairs.extend(origin.host().map(|host| ("host".into(), host.into())));
    pairs.push(("name".into(), (&*family.name).into()));
    pairs.push(("kind".into(), kind(family).into()));
    pairs.extend(sample.labels.iter().map(|(name, text)| ((&**name).into(), (&**text).into())));
    match &sample.value {
        SampleValue::Number(value) => pairs.push(("value".into(), text(*value))),
        SampleValue::Histogram { sum, count, .. } | SampleValue::Summary { sum, count, .. } => {
            pairs.push(("sum".into(), text(*sum)));
            pairs.push(("count".into(), count.to_string().into()));
        }
    }
    pairs
}
