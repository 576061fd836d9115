//! The executor's own metrics.

use super::report::Report;
use crate::topology::telemetry::Telemetry;
use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};
use std::time::Duration;

/// What the runs in this process came to.
#[derive(Debug)]
pub(super) struct Numbers {
    tasks: IntGaugeVec,
    runs: IntCounterVec,
    last: Gauge,
    duration: Gauge,
    changes: IntCounter,
    repairs: IntCounter,
    watched: IntGaugeVec,
    fights: IntGauge,
}

impl Numbers {
    /// Metrics that are given out with the others.
    pub(super) fn new(telemetry: &Telemetry) -> Result<Self, prometheus::Error> {
        let numbers = Self {
            tasks: IntGaugeVec::new(
                Opts::new("driftless_apply_tasks", "Tasks of the last run, by how they ended."),
                &["status"],
            )?,
            runs: IntCounterVec::new(
                Opts::new("driftless_apply_runs_total", "Runs of the desired state, by result."),
                &["result"],
            )?,
            last: Gauge::new(
                "driftless_apply_last_run_timestamp_seconds",
                "When the last run ended, in seconds since the epoch.",
            )?,
            duration: Gauge::new(
                "driftless_apply_duration_seconds",
                "How long the last run took.",
            )?,
            changes: IntCounter::new(
                "driftless_apply_changes_total",
                "Changes that runs made to the host.",
            )?,
            repairs: IntCounter::new(
                "driftless_apply_drift_repairs_total",
                "Tasks that put something right as soon as it was changed.",
            )?,
            watched: IntGaugeVec::new(
                Opts::new(
                    "driftless_apply_watched_paths",
                    "Paths that tasks depend on: told of by the kernel, or looked at now and then.",
                ),
                &["how"],
            )?,
            fights: IntGauge::new(
                "driftless_apply_fights",
                "Tasks whose work somebody has kept undoing, since the start.",
            )?,
        };
        telemetry.register(Box::new(numbers.tasks.clone()))?;
        telemetry.register(Box::new(numbers.runs.clone()))?;
        telemetry.register(Box::new(numbers.last.clone()))?;
        telemetry.register(Box::new(numbers.duration.clone()))?;
        telemetry.register(Box::new(numbers.changes.clone()))?;
        telemetry.register(Box::new(numbers.repairs.clone()))?;
        telemetry.register(Box::new(numbers.watched.clone()))?;
        telemetry.register(Box::new(numbers.fights.clone()))?;
        for result in ["ok", "failed"] {
            numbers.runs.with_label_values(&[result]);
        }
        Ok(numbers)
    }

    /// A run ended at `now` (since the epoch). One that did not begin has no report.
    pub(super) fn add(&self, report: Option<&Report>, took: Duration, now: Duration) {
        let failed = report.is_none_or(Report::has_failed);
        self.runs.with_label_values(&[if failed { "failed" } else { "ok" }]).inc();
        self.last.set(now.as_secs_f64());
        self.duration.set(took.as_secs_f64());
        let Some(report) = report else { return };
        let recap = report.recap();
        for (status, count) in [
            ("ok", recap.ok),
            ("changed", recap.changed),
            ("failed", recap.failed),
            ("skipped", recap.skipped),
            ("rescued", recap.rescued),
            ("ignored", recap.ignored),
            ("not_run", report.not_run.len()),
        ] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.tasks.with_label_values(&[status]).set(count);
        }
        let changes: usize = report.tasks.iter().map(|task| task.changes.len()).sum();
        self.changes.inc_by(changes as u64);
    }

    /// A part of the desired state ran, since something had drifted.
    pub(super) fn add_repairs(&self, report: Option<&Report>) {
        let Some(report) = report else { return };
        let changed = report.tasks.iter().filter(|task| !task.changes.is_empty());
        self.repairs.inc_by(changed.count() as u64);
        let changes: usize = report.tasks.iter().map(|task| task.changes.len()).sum();
        self.changes.inc_by(changes as u64);
    }

    /// How many paths are listened to, how many of them polled, and how many fights there were.
    pub(super) fn watched(&self, (all, polled, fights): (usize, usize, u64)) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.watched.with_label_values(&["told"]).set(number(all - polled));
        self.watched.with_label_values(&["polled"]).set(number(polled));
        self.fights.set(i64::try_from(fights).unwrap_or(i64::MAX));
    }
}
