//! `log_to_metric`: counts and measures what records say.

mod series;
#[cfg(test)]
mod tests;

use crate::event::metric::{MetricBatch, MetricKind, Taken};
use crate::event::{Batch, Kinds};
use crate::expr::condition::Condition;
use crate::topology::component::{
    BuildContext, Fault, Outputs, Remember, Transform, TransformConfig,
};
use crate::topology::settings::Period;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use series::Measured;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// Counts and measures what records say. It takes logs and gives metrics: to the `prometheus` sink,
/// or to any other that takes them.
///
/// ```yaml
/// web:
///   type: log_to_metric
///   inputs: [parsed]
///   metrics:
///     - name: http_requests_total
///       type: counter
///       labels: {status: "{{ status }}", method: "{{ method }}"}
///     - {name: http_sent_bytes_total, type: counter, field: body_bytes_sent}
///     - name: http_request_seconds
///       type: histogram
///       field: request_time
///       buckets: [0.01, 0.1, 1, 10]
///       when: status < 500
///     - {name: queue_length, type: gauge, field: queued, labels: {host: "{{ host }}"}}
/// ```
///
/// Totals are given on every `interval`, from the beginning of the run on. A record counts as
/// delivered when the totals that it is part of are; after a failure in between it is counted
/// again, in totals that begin anew.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What is counted and measured.
    pub metrics: Vec<Metric>,
    /// How often the totals are given on.
    #[serde(default = "interval")]
    pub interval: Period,
    /// So many series of one metric at a time. Records that would make another one are left out of
    /// it and counted in `log_to_metric_overflow_total{metric="NAME"}`.
    #[serde(default = "max_series")]
    pub max_series: usize,
    /// A series to which nothing was added for so long is forgotten.
    #[serde(default = "expire_after")]
    pub expire_after: Period,
}

/// One metric.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// Its name, as Prometheus has names: letters, digits, `_` and `:`.
    pub name: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What it is, for people.
    #[serde(default)]
    pub help: String,
    /// The field with the number: added to a counter (which counts records without it), the new
    /// value of a gauge, observed by a histogram. Records in which it is no number are left out,
    /// and counted among the errors where they have the field.
    #[serde(default)]
    pub field: Option<String>,
    /// Only records for which this holds count.
    #[serde(default)]
    pub when: Option<Condition>,
    /// Names of labels and their values; text with `{{ braces }}` is computed for each record.
    /// Where a field is missing, the value is empty.
    #[serde(default)]
    pub labels: IndexMap<String, String>,
    /// For a histogram: upper bounds, ascending. Default: Prometheus's, from 0.005 to 10.
    #[serde(default)]
    pub buckets: Vec<f64>,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Only grows.
    Counter,
    /// The last value counts.
    Gauge,
    /// How many values lie below each bound, with their sum and number.
    Histogram,
}

fn interval() -> Period {
    Period(Duration::from_secs(15))
}

fn max_series() -> usize {
    1000
}

fn expire_after() -> Period {
    Period(Duration::from_secs(300))
}

impl TransformConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::LOGS
    }

    fn gives(&self, _: Kinds) -> Kinds {
        Kinds::METRICS
    }

    fn remembers(&self) -> bool {
        true
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Transform>, Fault> {
        let constants = cx.env.constants.load();
        let mut transform = LogToMetric::new(self, &constants).map_err(Fault::fatal)?;
        transform.begun = Some(cx.env.taken_by(&cx.name));
        Ok(Box::new(transform))
    }
}

struct LogToMetric {
    metrics: Vec<Measured>,
    interval: Duration,
    expire_after: Duration,
    now: Duration,
    /// When it began, which `now` is counted from, and where.
    begun: Option<Taken>,
    /// When the totals are given on next; `None` while there are none.
    due: Option<Duration>,
    /// The first batch that no totals were given on for.
    held_since: Option<u64>,
}

impl LogToMetric {
    fn new(config: &Config, constants: &Map<String, Json>) -> Result<Self, String> {
        if config.metrics.is_empty() {
            return Err("`metrics` is empty, expected what to count".into());
        }
        if config.interval.0.is_zero() {
            return Err("`interval` is 0s, expected a time such as `15s`".into());
        }
        let mut names = HashSet::new();
        if let Some(twice) = config.metrics.iter().find(|metric| !names.insert(&metric.name)) {
            return Err(format!("`{}` is there twice", twice.name));
        }
        let measured = config.metrics.iter().map(|metric| {
            Measured::new(metric, config.max_series.max(1), constants)
                .map_err(|reason| format!("`{}`: {reason}", metric.name))
        });
        let mut metrics = measured.collect::<Result<Vec<_>, String>>()?;
        metrics.sort_by(|a, b| a.name().cmp(b.name()));
        Ok(Self {
            metrics,
            interval: config.interval.0,
            expire_after: config.expire_after.0,
            now: Duration::ZERO,
            begun: None,
            due: None,
            held_since: None,
        })
    }

    fn give_on(&mut self, out: &mut Outputs) {
        self.held_since = None;
        let oldest = self.now.checked_sub(self.expire_after);
        let mut families = Vec::new();
        for metric in &mut self.metrics {
            oldest.into_iter().for_each(|oldest| metric.forget_before(oldest));
            families.extend(metric.family());
        }
        families.extend(series::overflow(&self.metrics));
        families.sort_by(|a, b| a.name.cmp(&b.name));
        self.due = (!families.is_empty()).then_some(self.now + self.interval);
        let taken = self.begun.as_ref().map(|begun| begun.later(self.now));
        out.emit(Batch::Metrics(MetricBatch { families: Arc::new(families), taken }));
    }
}

impl Transform for LogToMetric {
    fn transform(&mut self, batch: Batch, out: &mut Outputs) -> Result<(), Fault> {
        let Batch::Logs(logs) = batch else { return Ok(()) };
        for metric in &mut self.metrics {
            out.count_errors(metric.take(&logs, self.now));
        }
        self.held_since.get_or_insert(out.number());
        self.due.get_or_insert(self.now + self.interval);
        Ok(())
    }

    fn memory(&mut self) -> Option<&mut dyn Remember> {
        Some(self)
    }
}

impl Remember for LogToMetric {
    fn tick(&mut self, now: Duration, out: &mut Outputs) -> Result<(), Fault> {
        self.now = now;
        if self.due.is_some_and(|due| due <= now) {
            self.give_on(out);
        }
        Ok(())
    }

    fn due(&self) -> Option<Duration> {
        self.due
    }

    fn flush(&mut self, out: &mut Outputs) -> Result<(), Fault> {
        if self.held_since.is_some() {
            self.give_on(out);
        }
        Ok(())
    }

    fn held_since(&self) -> Option<u64> {
        self.held_since
    }
}

impl Kind {
    fn of_family(self) -> MetricKind {
        match self {
            Self::Counter => MetricKind::Counter,
            Self::Gauge => MetricKind::Gauge,
            Self::Histogram => MetricKind::Histogram,
        }
    }
}
