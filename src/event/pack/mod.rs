//! Batches as bytes, for disk buffers: what was packed is unpacked as the same batch, with the
//! same records at the same places. What a filter left out takes no room.

#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
mod metrics;
pub(crate) mod wire;

use super::Batch;
use super::log::PackedLogs;
use bytes::Bytes;

/// What a packed batch holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackedKind {
    /// Log records.
    Logs,
    /// Metrics.
    Metrics,
}

/// Appends the batch to `out`; `None`, and nothing appended, for a desired state, which is not
/// for keeping.
pub fn pack(batch: &Batch, out: &mut Vec<u8>) -> Option<PackedKind> {
    match batch {
        Batch::Logs(logs) => {
            logs.pack(out);
            Some(PackedKind::Logs)
        }
        Batch::Metrics(batch) => {
            metrics::pack(batch, out);
            Some(PackedKind::Metrics)
        }
        Batch::Tasks(_) => None,
    }
}

/// A packed batch that was looked at, and not unpacked yet.
#[derive(Debug)]
pub enum Packed {
    /// Log records.
    Logs(PackedLogs),
    /// Metrics.
    Metrics(super::metric::MetricBatch),
}

impl Packed {
    /// Looks at packed bytes; `None` where they are none.
    pub fn new(kind: PackedKind, bytes: &Bytes) -> Option<Self> {
        match kind {
            PackedKind::Logs => PackedLogs::new(bytes).map(Self::Logs),
            PackedKind::Metrics => metrics::unpack(bytes).map(Self::Metrics),
        }
    }

    /// The batch; `None` where what is in it makes no sense. It holds on to the packed bytes.
    pub fn unpack(self) -> Option<Batch> {
        match self {
            Self::Logs(logs) => logs.unpack().map(Batch::Logs),
            Self::Metrics(batch) => Some(Batch::Metrics(batch)),
        }
    }
}
