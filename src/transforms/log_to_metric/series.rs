//! The series of one metric, and what each record adds to them.

use super::{Kind, Metric};
use crate::event::log::{FieldRef, LogBatch, RecordRef};
use crate::event::metric::{Family, Labels, MetricKind, Sample, SampleValue, Text};
use crate::expr::condition::{Bound, Verdict};
use crate::expr::record::Made;
use crate::expr::template::Template;
use serde_json::{Map, Value as Json};
use std::collections::HashMap;
use std::time::Duration;

/// Prometheus's own default bounds.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// One metric with its series.
pub(super) struct Measured {
    name: String,
    help: String,
    kind: Kind,
    field: Option<String>,
    when: Option<Bound>,
    /// Sorted by name.
    labels: Vec<(String, Label)>,
    buckets: Vec<f64>,
    max_series: usize,
    /// By the values of the labels.
    series: HashMap<Box<[u8]>, Series>,
    /// Records that would have made one series too many.
    overflow: u64,
    scratch: Vec<u8>,
}

/// Where a label's value comes from.
enum Label {
    Constant(Vec<u8>),
    /// The field of this name, as it is.
    Field(String),
    Template(Template),
}

struct Series {
    labels: Labels,
    value: Value,
    last_at: Duration,
}

enum Value {
    Number(f64),
    /// Values up to each bound and above the one before; then all of them.
    Histogram {
        counts: Vec<u64>,
        sum: f64,
        count: u64,
    },
}

impl Measured {
    pub(super) fn new(
        metric: &Metric,
        max_series: usize,
        constants: &Map<String, Json>,
    ) -> Result<Self, String> {
        if !is_name(&metric.name, b":") {
            return Err("no name for a metric; expected letters, digits, `_` and `:`".into());
        }
        if metric.field.is_none() && metric.kind != Kind::Counter {
            return Err("a gauge and a histogram need a `field` with the number".into());
        }
        if !metric.buckets.is_empty() && metric.kind != Kind::Histogram {
            return Err("`buckets` goes with `type: histogram` only".into());
        }
        if !metric.buckets.is_sorted_by(|a, b| a < b) || metric.buckets.iter().any(|it| it.is_nan())
        {
            return Err("`buckets` are not ascending".into());
        }
        let labels = metric.labels.iter().map(|(name, value)| {
            if !is_name(name, b"") || name == "le" {
                return Err(format!("`{name}` is no name for a label"));
            }
            Ok((
                name.clone(),
                Label::new(value, constants).map_err(|it| format!("`{name}`: {it}"))?,
            ))
        });
        let mut labels = labels.collect::<Result<Vec<_>, String>>()?;
        labels.sort_by(|a, b| a.0.cmp(&b.0));
        let when = metric.when.as_ref().map(|condition| condition.bind(constants)).transpose();
        let default = || BUCKETS.to_vec();
        let bounds = metric.buckets.iter().copied().filter(|bound| bound.is_finite());
        Ok(Self {
            name: metric.name.clone(),
            help: metric.help.clone(),
            kind: metric.kind,
            field: metric.field.clone(),
            when: when.map_err(|error| format!("`when`: {error}"))?,
            labels,
            buckets: if metric.buckets.is_empty() { default() } else { bounds.collect() },
            max_series,
            series: HashMap::new(),
            overflow: 0,
            scratch: Vec::new(),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Adds what the records say, and tells how many made no sense.
    pub(super) fn take(&mut self, batch: &LogBatch, now: Duration) -> u64 {
        let verdicts = self.when.as_ref().map(|when| when.judge(batch));
        let computed: Vec<Option<Vec<Option<Made>>>> = self
            .labels
            .iter()
            .map(|(_, label)| match label {
                Label::Template(template) => Some(template.values(batch)),
                Label::Constant(_) | Label::Field(_) => None,
            })
            .collect();
        if verdicts.is_none() && self.labels.is_empty() && self.field.is_none() {
            // Lines need not be cut to be counted.
            self.add(&[], batch.len() as f64, now);
            return 0;
        }
        let mut errors = 0;
        for (at, record) in batch.records().enumerate() {
            match verdicts.as_ref().and_then(|verdicts| verdicts.get(at)) {
                Some(Verdict::Fails) => continue,
                Some(Verdict::Unclear) => {
                    errors += 1;
                    continue;
                }
                Some(Verdict::Holds) | None => {}
            }
            let value = match &self.field {
                None => 1.0,
                Some(field) => match record.get(field).map(number) {
                    Some(Some(value)) => value,
                    None => continue,
                    Some(None) => {
                        errors += 1;
                        continue;
                    }
                },
            };
            if self.kind == Kind::Counter && value < 0.0 {
                errors += 1;
                continue;
            }
            let mut key = std::mem::take(&mut self.scratch);
            key.clear();
            self.write_key(&record, at, &computed, &mut key);
            self.add(&key, value, now);
            self.scratch = key;
        }
        errors
    }

    /// Appends the values of the labels, each after its length.
    fn write_key(
        &self,
        record: &RecordRef<'_>,
        at: usize,
        computed: &[Option<Vec<Option<Made>>>],
        key: &mut Vec<u8>,
    ) {
        for ((_, label), computed) in self.labels.iter().zip(computed) {
            let start = key.len();
            key.extend_from_slice(&[0; 4]);
            match label {
                Label::Constant(text) => key.extend_from_slice(text),
                Label::Field(name) => {
                    if let Some(value) = record.get(name) {
                        value.write_display(key);
                    }
                }
                Label::Template(_) => {
                    let made = computed.as_ref().and_then(|all| all.get(at)?.as_ref());
                    if let Some(made) = made {
                        made.as_ref().write_display(key);
                    }
                }
            }
            let length = u32::try_from(key.len() - start - 4).unwrap_or(u32::MAX);
            key[start..start + 4].copy_from_slice(&length.to_le_bytes());
        }
    }

    fn add(&mut self, key: &[u8], value: f64, now: Duration) {
        if let Some(series) = self.series.get_mut(key) {
            series.last_at = now;
            series.value.add(self.kind, value, &self.buckets);
            return;
        }
        if self.series.len() >= self.max_series {
            self.overflow += 1;
            return;
        }
        let mut first = match self.kind {
            Kind::Counter | Kind::Gauge => Value::Number(0.0),
            Kind::Histogram => {
                Value::Histogram { counts: vec![0; self.buckets.len()], sum: 0.0, count: 0 }
            }
        };
        first.add(self.kind, value, &self.buckets);
        let names = self.labels.iter().map(|(name, _)| Text::from(name.clone()));
        let values = values_of(key).map(Text::from);
        // An empty label is as good as none.
        let labels = names.zip(values).filter(|(_, value)| !value.is_empty()).collect();
        self.series.insert(key.into(), Series { labels, value: first, last_at: now });
    }

    pub(super) fn forget_before(&mut self, oldest: Duration) {
        self.series.retain(|_, series| series.last_at > oldest);
    }

    /// The totals as they stand; `None` where there are none.
    pub(super) fn family(&self) -> Option<Family> {
        let kind = self.kind.of_family();
        let mut family = Family::new(self.name.clone(), kind, self.help.clone());
        family.samples = self
            .series
            .values()
            .map(|series| Sample {
                labels: series.labels.clone(),
                value: series.value.total(&self.buckets),
                timestamp_ms: None,
            })
            .collect();
        family.samples.sort_by(|a, b| a.labels.cmp(&b.labels));
        (!family.samples.is_empty()).then_some(family)
    }
}

/// How many records were left out for want of room, where there are any.
pub(super) fn overflow(metrics: &[Measured]) -> Option<Family> {
    let help = "Records left out of a metric that has as many series as it may.";
    let mut family = Family::new("log_to_metric_overflow_total", MetricKind::Counter, help);
    for metric in metrics.iter().filter(|metric| metric.overflow > 0) {
        #[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
        let count = metric.overflow as f64;
        family.push(vec![("metric".into(), metric.name.clone().into())], count);
    }
    (!family.samples.is_empty()).then_some(family)
}

impl Value {
    fn add(&mut self, kind: Kind, value: f64, buckets: &[f64]) {
        match self {
            Self::Number(number) if kind == Kind::Counter => *number += value,
            Self::Number(number) => *number = value,
            Self::Histogram { counts, sum, count } => {
                let at = buckets.partition_point(|bound| *bound < value);
                if let Some(bucket) = counts.get_mut(at) {
                    *bucket += 1;
                }
                *sum += value;
                *count += 1;
            }
        }
    }

    fn total(&self, bounds: &[f64]) -> SampleValue {
        match self {
            Self::Number(number) => SampleValue::Number(*number),
            Self::Histogram { counts, sum, count } => {
                let mut below = 0;
                let cumulative = bounds.iter().zip(counts).map(|(bound, count)| {
                    below += count;
                    (*bound, below)
                });
                SampleValue::Histogram { buckets: cumulative.collect(), sum: *sum, count: *count }
            }
        }
    }
}

impl Label {
    fn new(text: &str, constants: &Map<String, Json>) -> Result<Self, String> {
        let inner = text.strip_prefix("{{").and_then(|it| it.strip_suffix("}}")).map(str::trim);
        let reserved =
            ["facts", "vars", "host", "source", "record", "secrets", "true", "false", "none"];
        let is_variable = |name: &str| {
            constants.get("vars").is_some_and(|variables| variables.get(name).is_some())
        };
        match inner {
            // The usual case needs no library.
            Some(name) if is_name(name, b"") && !reserved.contains(&name) && !is_variable(name) => {
                Ok(Self::Field(name.to_owned()))
            }
            _ if !text.contains("{{") && !text.contains("{%") => {
                Ok(Self::Constant(text.as_bytes().to_vec()))
            }
            _ => Template::new(&Json::String(text.to_owned()), constants).map(Self::Template),
        }
    }
}

fn values_of(mut key: &[u8]) -> impl Iterator<Item = String> {
    std::iter::from_fn(move || {
        let (length, rest) = key.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        key = rest;
        Some(String::from_utf8_lossy(value).into_owned())
    })
}

/// Letters, digits, underscores and `also`, with no digit at the beginning.
fn is_name(text: &str, also: &[u8]) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || also.contains(&byte);
    text.bytes().all(fits) && text.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
}

/// A number, also one that a pattern has left as text.
fn number(value: FieldRef<'_>) -> Option<f64> {
    let number = match value.as_text() {
        Some(text) => std::str::from_utf8(&text).ok()?.trim().parse().ok(),
        None => value.as_number(),
    };
    number.filter(|number: &f64| number.is_finite())
}
