//! What metrics were over a while, series by series: many snapshots as one text in OpenMetrics.

use super::exposition::{Format, fits, metric_name, push_header, push_sample};
use super::metric::{Labels, MetricBatch, MetricKind, Sample, SampleValue, Taken, Text};
use std::collections::BTreeMap;

/// What a series takes beside its values, about.
const SERIES_BYTES: usize = 160;
/// What a value takes with its time.
const VALUE_BYTES: usize = size_of::<(i64, SampleValue)>();
/// What a bucket or a quantile takes.
const BOUND_BYTES: usize = 16;

/// Values with their times. OpenMetrics wants those of a series beside each other, in order, and
/// the series of a family as well, which snapshots that follow each other do not give.
#[derive(Debug, Default)]
pub struct History {
    /// By their names as they are written.
    families: BTreeMap<String, Kept>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    help: Text,
    kind: MetricKind,
    series: BTreeMap<Labels, Vec<(i64, SampleValue)>>,
}

impl History {
    /// Adds a snapshot; `now_ms` stands for when it was taken where it does not say so. A value that
    /// is not newer than the last one of its series is left out, as is one that does not have the
    /// shape of its family's kind. Gives the number of those.
    pub fn add(&mut self, batch: &MetricBatch, now_ms: i64) -> usize {
        let taken_ms = batch.taken.as_ref().map_or(now_ms, Taken::time_ms);
        let mut left_out = 0;
        for family in batch.families.iter() {
            let kept = self.families.entry(metric_name(&family.name).into_owned());
            let kept = kept.or_insert_with(|| Kept {
                help: family.help.clone(),
                kind: family.kind,
                series: BTreeMap::new(),
            });
            for sample in &family.samples {
                let time_ms = sample.timestamp_ms.unwrap_or(taken_ms);
                if family.kind != kept.kind || !fits(kept.kind, sample) {
                    left_out += 1;
                    continue;
                }
                let values = kept.series.entry(sample.labels.clone()).or_default();
                if values.last().is_some_and(|(last_ms, _)| *last_ms >= time_ms) {
                    left_out += 1;
                    continue;
                }
                self.bytes += if values.is_empty() { SERIES_BYTES } else { 0 };
                self.bytes += VALUE_BYTES + held_bytes(&sample.value);
                values.push((time_ms, sample.value.clone()));
            }
        }
        left_out
    }

    /// What it takes in memory, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Hands the text to `write`, family by family. Times are in seconds since the epoch.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn encode<E>(self, mut write: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut text = Vec::new();
        for (name, Kept { help, kind, series }) in self.families {
            if series.is_empty() {
                continue;
            }
            push_header(Format::OpenMetrics, &name, kind, &help, &mut text);
            for (labels, values) in series {
                for (time_ms, value) in values {
                    let labels = labels.clone();
                    let sample = Sample { labels, value, timestamp_ms: Some(time_ms) };
                    push_sample(Format::OpenMetrics, &name, &sample, &mut text);
                }
            }
            write(&text)?;
            text.clear();
        }
        write(b"# EOF\n")
    }
}

fn held_bytes(value: &SampleValue) -> usize {
    BOUND_BYTES
        * match value {
            SampleValue::Number(_) => 0,
            SampleValue::Histogram { buckets, .. } => buckets.len(),
            SampleValue::Summary { quantiles, .. } => quantiles.len(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::metric::{Family, Taken};

    fn snapshot(time_ms: i64, values: &[(&'static str, f64)]) -> MetricBatch {
        let mut requests = Family::new("requests_total", MetricKind::Counter, "Requests.");
        for (code, value) in values {
            requests.push([("code".into(), Text::from(*code))], *value);
        }
        let taken = Taken { time_ns: time_ms * 1_000_000, host: "h".into(), source: "s".into() };
        let up = Family::single("up", MetricKind::Gauge, "Whether\nit is up.", 1.0);
        MetricBatch::new(vec![requests, up]).taken(taken)
    }

    fn text(history: History) -> String {
        let mut out = Vec::new();
        let write = |some: &[u8]| {
            out.extend_from_slice(some);
            Ok::<(), ()>(())
        };
        history.encode(write).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_values_of_a_series_stand_beside_each_other_in_the_order_of_their_times() {
        let mut history = History::default();
        assert_eq!(history.add(&snapshot(1000, &[("200", 1.0), ("500", 2.0)]), 0), 0);
        assert_eq!(history.add(&snapshot(2500, &[("200", 3.0), ("404", 1.0)]), 0), 0);
        assert_eq!(
            text(history),
            "# HELP requests Requests.\n\
             # TYPE requests counter\n\
             requests_total{code=\"200\"} 1 1\n\
             requests_total{code=\"200\"} 3 2.5\n\
             requests_total{code=\"404\"} 1 2.5\n\
             requests_total{code=\"500\"} 2 1\n\
             # HELP up Whether\\nit is up.\n\
             # TYPE up gauge\n\
             up 1 1\n\
             up 1 2.5\n\
             # EOF\n"
        );
    }

    #[test]
    fn what_comes_twice_or_too_late_or_in_another_shape_is_left_out_and_counted() {
        let mut history = History::default();
        assert_eq!(history.add(&snapshot(2000, &[("200", 1.0)]), 0), 0);
        assert_eq!(history.add(&snapshot(2000, &[("200", 2.0)]), 0), 2);
        assert_eq!(history.add(&snapshot(1000, &[("200", 3.0)]), 0), 2);
        let other = Family::single("up", MetricKind::Counter, "", 1.0);
        assert_eq!(history.add(&MetricBatch::new(vec![other]), 9000), 1);
        let told = text(history);
        assert!(told.contains("requests_total{code=\"200\"} 1 2\n"), "{told}");
        assert!(told.ends_with("up 1 2\n# EOF\n"), "{told}");
    }

    #[test]
    fn nothing_is_a_whole_text_too() {
        assert_eq!(text(History::default()), "# EOF\n");
    }
}
