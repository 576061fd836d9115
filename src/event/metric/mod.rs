//! Metrics as they flow: families of samples under one name.

mod labels;
mod text;

pub use self::labels::Labels;
pub use self::text::Text;

use std::sync::Arc;

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
}

impl MetricBatch {
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
