//! Metrics as they flow: families of samples under one name.

mod labels;
mod text;

pub use self::labels::Labels;
pub use self::text::Text;

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

/// What kind of number a family holds, in Prometheus's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    /// Only grows, until its process or kernel restarts.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts per bucket, with sum and count.
    Histogram,
    /// Quantiles, with sum and count.
    Summary,
    /// Nobody said.
    Untyped,
}

/// The samples of a family. Many families have one, which then lies in the family itself.
pub type Samples = SmallVec<[Sample; 1]>;

/// One series' current value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// What tells it from the family's other samples.
    pub labels: Labels,
    /// The value.
    pub value: SampleValue,
    /// Milliseconds since the epoch, where the source has a time of its own for the value.
    pub timestamp_ms: Option<i64>,
}

/// The value, in the shape that its family's kind asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum SampleValue {
    /// Counter, gauge, untyped.
    Number(f64),
    /// Cumulative counts per upper bound (`+Inf` left out), then sum and count.
    Histogram {
        /// Upper bound and cumulative count, ascending.
        buckets: Vec<(f64, u64)>,
        /// Sum of all observations.
        sum: f64,
        /// Number of observations.
        count: u64,
    },
    /// Value per quantile, then sum and count.
    Summary {
        /// Quantile (0 to 1) and value, ascending.
        quantiles: Vec<(f64, f64)>,
        /// Sum of all observations.
        sum: f64,
        /// Number of observations.
        count: u64,
    },
}

/// All samples of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// The metric's full name, unit suffix included: `node_memory_MemFree_bytes`.
    pub name: Text,
    /// One line for people.
    pub help: Text,
    /// The kind.
    pub kind: MetricKind,
    /// The series.
    pub samples: Samples,
}

impl Family {
    /// A family without samples.
    pub fn new(name: impl Into<Text>, kind: MetricKind, help: impl Into<Text>) -> Self {
        Self { name: name.into(), help: help.into(), kind, samples: Samples::new() }
    }

    /// A family of one sample without labels.
    pub fn single(
        name: impl Into<Text>,
        kind: MetricKind,
        help: impl Into<Text>,
        value: f64,
    ) -> Self {
        let mut family = Self::new(name, kind, help);
        family.push(Labels::default(), value);
        family
    }

    /// The same, with room for so many samples.
    #[must_use]
    pub fn with_room(mut self, samples: usize) -> Self {
        self.samples.reserve_exact(samples);
        self
    }

    /// Adds a plain number. `labels` must be sorted by name.
    pub fn push(&mut self, labels: impl Into<Labels>, value: f64) {
        let value = SampleValue::Number(value);
        self.samples.push(Sample { labels: labels.into(), value, timestamp_ms: None });
    }
}

/// A snapshot of metrics: what one poll of the host gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricBatch {
    /// The families, sorted by name.
    pub families: Arc<Vec<Family>>,
    /// When and where it was taken, which counts for samples that have no time of their own.
    pub taken: Option<Taken>,
}

/// When and where metrics were taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Nanoseconds since the epoch.
    pub time_ns: i64,
    /// The node's name.
    pub host: Arc<str>,
    /// The component that they come from.
    pub source: Arc<str>,
}

impl Taken {
    /// The same, so much later.
    #[must_use]
    pub fn later(&self, by: Duration) -> Self {
        let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        Self { time_ns: self.time_ns.saturating_add(by), ..self.clone() }
    }

    /// In milliseconds since the epoch.
    pub fn time_ms(&self) -> i64 {
        self.time_ns.div_euclid(1_000_000)
    }
}

impl MetricBatch {
    /// Families, sorted by name, of which nobody says when they were taken.
    pub fn new(families: impl Into<Arc<Vec<Family>>>) -> Self {
        Self { families: families.into(), taken: None }
    }

    /// When and where it was taken; `now_ns` and nowhere, where nobody says.
    pub fn taken_or(&self, now_ns: i64) -> Taken {
        let nobody = || Taken { time_ns: now_ns, host: "".into(), source: "".into() };
        self.taken.clone().unwrap_or_else(nobody)
    }

    /// The same, taken then and there.
    #[must_use]
    pub fn taken(self, taken: Taken) -> Self {
        Self { taken: Some(taken), ..self }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.families.iter().map(|family| family.samples.len()).sum()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held, about: what an edge counts against its bound.
    pub fn bytes(&self) -> usize {
        self.len() * 200
    }
}
