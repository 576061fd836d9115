//! How the following of a repository goes, as metrics.

use super::state::Taken;
use crate::host::clock;
use crate::net::git::Reason;
use crate::topology::telemetry::Telemetry;
use prometheus::{Gauge, IntCounterVec, IntGauge, IntGaugeVec, Opts};

pub(super) struct Metrics {
    last_fetch: Gauge,
    revision: IntGaugeVec,
    refused: IntGauge,
    waiting: IntGauge,
    failures: IntCounterVec,
}

impl Metrics {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let metrics = Self {
            last_fetch: Gauge::new(
                "driftless_git_last_fetch_time_seconds",
                "When the repository was last looked at and answered, in seconds since the epoch.",
            )?,
            revision: IntGaugeVec::new(
                Opts::new(
                    "driftless_git_revision_info",
                    "Always 1; the labels tell which commit is active.",
                ),
                &["commit", "author", "signer"],
            )?,
            refused: IntGauge::new(
                "driftless_git_revision_refused",
                "1 where the newest revision was refused, and an older one stays active.",
            )?,
            waiting: IntGauge::new(
                "driftless_git_revision_waiting",
                "1 where the newest revision waits until it is this host's turn to take it.",
            )?,
            failures: IntCounterVec::new(
                Opts::new(
                    "driftless_git_failures_total",
                    "Looks at the repository that ended without a revision, by reason.",
                ),
                &["reason"],
            )?,
        };
        for reason in Reason::ALL {
            metrics.failures.with_label_values(&[reason.name()]).reset();
        }
        Ok(metrics)
    }

    pub(super) fn register(&self, telemetry: &Telemetry) -> Result<(), prometheus::Error> {
        telemetry.register(Box::new(self.last_fetch.clone()))?;
        telemetry.register(Box::new(self.revision.clone()))?;
        telemetry.register(Box::new(self.refused.clone()))?;
        telemetry.register(Box::new(self.waiting.clone()))?;
        telemetry.register(Box::new(self.failures.clone()))
    }

    pub(super) fn looked(&self) {
        self.last_fetch.set(clock::now().as_secs_f64());
    }

    pub(super) fn active(&self, taken: Option<&Taken>) {
        self.revision.reset();
        if let Some(Taken { commit, author, signer, .. }) = taken {
            let signer = signer.as_deref().unwrap_or_default();
            self.revision.with_label_values(&[commit, author.as_str(), signer]).set(1);
        }
    }

    pub(super) fn refused(&self, is_refused: bool) {
        self.refused.set(i64::from(is_refused));
    }

    pub(super) fn waiting(&self, is_waiting: bool) {
        self.waiting.set(i64::from(is_waiting));
    }

    pub(super) fn failed(&self, reason: Reason) {
        self.failures.with_label_values(&[reason.name()]).inc();
    }
}
