//! What flows through a topology, and what every other part speaks of: batches, values with
//! their places, acknowledgements, diagnostics. Uses nothing else of Driftless.

pub mod ack;
pub mod de;
pub mod encode;
pub mod exposition;
pub mod exposition_memory;
pub mod exposition_read;
pub mod fault;
pub mod hex;
pub mod hmac;
pub mod ledger;
pub mod log;
pub mod lookup;
pub mod metric;
pub mod metric_history;
pub mod moment;
pub mod number;
pub mod pack;
pub mod scan;
pub mod secret;
pub mod task;
pub mod time;
pub mod tree;
pub mod yaml_scalar;

use task::SharedTaskSet;

/// What passes along an edge at a time.
#[derive(Clone, Debug)]
pub enum Batch {
    /// Log records.
    Logs(log::LogBatch),
    /// A snapshot of metrics.
    Metrics(metric::MetricBatch),
    /// A whole desired state.
    Tasks(SharedTaskSet),
}

/// What a batch can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Log records, and everything that is written like them: audit records, alerts, inventory.
    Logs,
    /// Metrics.
    Metrics,
    /// Desired states.
    Tasks,
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u8);

impl Batch {
    /// What it holds.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Logs(_) => Kind::Logs,
            Self::Metrics(_) => Kind::Metrics,
            Self::Tasks(_) => Kind::Tasks,
        }
    }

    /// Number of records, samples or task sets.
    pub fn len(&self) -> usize {
        match self {
            Self::Logs(logs) => logs.len(),
            Self::Metrics(metrics) => metrics.len(),
            Self::Tasks(_) => 1,
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held, about.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Logs(logs) => logs.bytes(),
            Self::Metrics(metrics) => metrics.bytes(),
            Self::Tasks(_) => 1,
        }
    }

    /// Bytes that it takes in memory, about: also for what was found in it.
    pub fn memory_bytes(&self) -> usize {
        match self {
            Self::Logs(logs) => logs.memory_bytes(),
            Self::Metrics(_) | Self::Tasks(_) => self.bytes(),
        }
    }
}

impl Kind {
    /// As users read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Metrics => "metrics",
            Self::Tasks => "tasks",
        }
    }
}

impl Kinds {
    /// Log records.
    pub const LOGS: Self = Self(1);
    /// Metrics.
    pub const METRICS: Self = Self(2);
    /// Desired states.
    pub const TASKS: Self = Self(4);
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// Kinds that are in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Kinds that are in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether every kind of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether no kind is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The kinds.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        [Kind::Logs, Kind::Metrics, Kind::Tasks]
            .into_iter()
            .filter(move |kind| self.contains(Self::from(*kind)))
    }
}

impl From<Kind> for Kinds {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Logs => Self::LOGS,
            Kind::Metrics => Self::METRICS,
            Kind::Tasks => Self::TASKS,
        }
    }
}

/// `logs`, `logs or metrics`.
impl std::fmt::Display for Kinds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.iter().map(Kind::name).collect();
        if names.is_empty() { f.write_str("nothing") } else { f.write_str(&names.join(" or ")) }
    }
}
