//! The source's own numbers.

use crate::topology::telemetry::Telemetry;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};
use std::sync::Arc;

/// Those of all `file` sources.
struct All {
    lost: IntCounterVec,
    long_lines: IntCounterVec,
    open: IntGaugeVec,
    pinned: IntGaugeVec,
}

/// Those of one.
pub(super) struct Metrics {
    name: Arc<str>,
    all: Arc<All>,
    pub(super) truncated_lines: IntCounter,
    pub(super) open: IntGauge,
    pub(super) pinned: IntGauge,
}

impl Metrics {
    pub(super) fn new(telemetry: &Telemetry, name: &Arc<str>) -> Result<Self, prometheus::Error> {
        let all = telemetry.own(|telemetry| {
            let lost = Opts::new(
                "driftless_file_lost_bytes_total",
                "Bytes that were seen in a file and could not be read any more, by reason.",
            );
            let long_lines = Opts::new(
                "driftless_file_long_lines_total",
                "Lines above max_line_bytes, by what was done with them.",
            );
            let open = Opts::new("driftless_file_open_files", "Files that the source holds open.");
            let pinned = Opts::new(
                "driftless_file_pinned_bytes",
                "Size of files that have lost their name and are kept for a sink.",
            );
            let all = All {
                lost: IntCounterVec::new(lost, &["component", "reason"])?,
                long_lines: IntCounterVec::new(long_lines, &["component", "action"])?,
                open: IntGaugeVec::new(open, &["component"])?,
                pinned: IntGaugeVec::new(pinned, &["component"])?,
            };
            telemetry.register(Box::new(all.lost.clone()))?;
            telemetry.register(Box::new(all.long_lines.clone()))?;
            telemetry.register(Box::new(all.open.clone()))?;
            telemetry.register(Box::new(all.pinned.clone()))?;
            Ok(all)
        })?;
        Ok(Self {
            truncated_lines: all.long_lines.with_label_values(&[&**name, "truncated"]),
            open: all.open.with_label_values(&[&**name]),
            pinned: all.pinned.with_label_values(&[&**name]),
            name: Arc::clone(name),
            all,
        })
    }

    /// So many bytes were there and are gone.
    pub(super) fn lost(&self, reason: &str, bytes: u64) {
        self.all.lost.with_label_values(&[&*self.name, reason]).inc_by(bytes);
    }
}
