//! Metrics as they come, made into the series that a server would scrape.

use crate::event::metric::{Family, MetricBatch, SampleValue, Text};
use crate::expr::promql::{Labels, Ring};
use indexmap::IndexMap;
use std::collections::{BTreeMap, HashSet};

/// Adds what the metrics are at a time, as far as it is looked at, and ends what is not among them.
pub(super) fn fill(
    ring: &mut Ring,
    metrics: &MetricBatch,
    added: &IndexMap<String, String>,
    at_ms: i64,
) {
    let with_added = |mut labels: Labels| {
        for (name, value) in added {
            if labels.get(name).is_empty() {
                labels.set(name, value);
            }
        }
        labels
    };
    if ring.wants("up") {
        ring.push(with_added(Labels::of("up", [])), at_ms, 1.0);
    }
    for family in metrics.families.iter() {
        for (name, values) in series_of(family, |name| ring.wants(name)) {
            let mut present = HashSet::new();
            for (labels, value) in values {
                let labels = with_added(labels);
                present.insert(labels.clone());
                ring.push(labels, at_ms, value);
            }
            ring.end_others(&name, &present, at_ms);
        }
    }
    ring.forget(at_ms);
}

/// The series of a family under their own names, as a scrape shows them.
fn series_of(
    family: &Family,
    wants: impl Fn(&str) -> bool,
) -> BTreeMap<String, Vec<(Labels, f64)>> {
    let mut made: BTreeMap<String, Vec<(Labels, f64)>> = BTreeMap::new();
    if family.samples.is_empty() && wants(&family.name) {
        // None is left, which ends those that were there.
        made.insert(family.name.to_string(), Vec::new());
    }
    let mut add =
        |suffix: &str, sample: &[(Text, Text)], more: Option<(&str, String)>, value: f64| {
            let name = format!("{}{suffix}", family.name);
            if wants(&name) {
                let labels = sample.iter().map(|(name, value)| (&**name, &**value));
                let more = more.iter().map(|(name, value)| (*name, value.as_str()));
                let labels = Labels::of(&name, labels.chain(more));
                made.entry(name).or_default().push((labels, value));
            }
        };
    for sample in &family.samples {
        let labels = &*sample.labels;
        match &sample.value {
            SampleValue::Number(value) => add("", labels, None, *value),
            SampleValue::Histogram { buckets, sum, count } => {
                for (bound, below) in buckets {
                    add("_bucket", labels, Some(("le", bound.to_string())), *below as f64);
                }
                add("_bucket", labels, Some(("le", "+Inf".to_owned())), *count as f64);
                add("_sum", labels, None, *sum);
                add("_count", labels, None, *count as f64);
            }
            SampleValue::Summary { quantiles, sum, count } => {
                for (quantile, value) in quantiles {
                    add("", labels, Some(("quantile", quantile.to_string())), *value);
                }
                add("_sum", labels, None, *sum);
                add("_count", labels, None, *count as f64);
            }
        }
    }
    made
}
