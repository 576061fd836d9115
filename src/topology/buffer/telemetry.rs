//! What disk buffers tell of themselves.

use crate::topology::telemetry::Telemetry;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

/// The metrics of all disk buffers, by component.
#[derive(Debug)]
pub(in crate::topology) struct BufferMetrics {
    bytes: IntGaugeVec,
    events: IntGaugeVec,
    segments: IntGaugeVec,
    damaged: IntCounterVec,
    orphaned: IntGaugeVec,
}

/// The metrics of one disk buffer.
#[derive(Clone, Debug)]
pub(super) struct DiskTelemetry {
    pub(super) bytes: IntGauge,
    pub(super) events: IntGauge,
    pub(super) segments: IntGauge,
    pub(super) damaged: IntCounter,
}

impl BufferMetrics {
    /// Registered the first time.
    pub(super) fn of(telemetry: &Telemetry) -> Result<std::sync::Arc<Self>, prometheus::Error> {
        telemetry.own(|telemetry| {
            let gauge = |name: &str, help: &str| {
                let vec = IntGaugeVec::new(Opts::new(name, help), &["component"])?;
                telemetry.register(Box::new(vec.clone()))?;
                Ok::<_, prometheus::Error>(vec)
            };
            let help = "Frames of the disk buffer that could not be read and were passed over.";
            let damaged = IntCounterVec::new(
                Opts::new("driftless_disk_buffer_damaged_frames_total", help),
                &["component"],
            )?;
            telemetry.register(Box::new(damaged.clone()))?;
            Ok(Self {
                bytes: gauge("driftless_disk_buffer_bytes", "Bytes of the disk buffer's files.")?,
                events: gauge(
                    "driftless_disk_buffer_events",
                    "Records and samples in the disk buffer that were not delivered yet.",
                )?,
                segments: gauge("driftless_disk_buffer_segments", "Files of the disk buffer.")?,
                orphaned: gauge(
                    "driftless_disk_buffer_orphaned_bytes",
                    "Bytes of a disk buffer whose component is no longer in the config.",
                )?,
                damaged,
            })
        })
    }

    pub(super) fn component(&self, name: &str) -> DiskTelemetry {
        DiskTelemetry {
            bytes: self.bytes.with_label_values(&[name]),
            events: self.events.with_label_values(&[name]),
            segments: self.segments.with_label_values(&[name]),
            damaged: self.damaged.with_label_values(&[name]),
        }
    }

    /// Says which buffers nobody reads from, and how large they are.
    pub(super) fn orphans(&self, orphans: &[(String, u64)]) {
        self.orphaned.reset();
        for (name, bytes) in orphans {
            let bytes = i64::try_from(*bytes).unwrap_or(i64::MAX);
            self.orphaned.with_label_values(&[name]).set(bytes);
        }
    }

    /// Lets go of the series of a component that is gone.
    pub(in crate::topology) fn forget(&self, component: &str) {
        // A series that was never made is as good as gone.
        for gauge in [&self.bytes, &self.events, &self.segments] {
            gauge.remove_label_values(&[component]).ok();
        }
        self.damaged.remove_label_values(&[component]).ok();
    }
}
