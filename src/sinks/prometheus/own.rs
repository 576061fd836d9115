//! What an endpoint adds to the metrics of the sources: the process, and its own trouble.

use crate::event::metric::{Family, MetricKind, Text};
use crate::host::process::OwnProcess;
use crate::host::roots::Roots;

/// What there is to say of the agent beside the engine's counters.
#[derive(Debug)]
pub(super) struct Own {
    process: OwnProcess,
    /// Series that were left out of all answers so far.
    pub(super) left_out: u64,
}

/// The version of `node_exporter` whose names the collectors have.
const LIKE_NODE_EXPORTER: &str = "1.12.1";

/// What `node_exporter` says of itself, for dashboards that find hosts by it.
pub(super) fn node_exporter_build_info() -> Family {
    let mut family = Family::new(
        "node_exporter_build_info",
        MetricKind::Gauge,
        "The version of node_exporter whose metrics these are like; always 1.",
    );
    let own = concat!("driftless-", env!("CARGO_PKG_VERSION"));
    let labels = [
        ("branch", "driftless"),
        ("goarch", std::env::consts::ARCH),
        ("goos", std::env::consts::OS),
        ("goversion", ""),
        ("revision", own),
        ("tags", ""),
        ("version", LIKE_NODE_EXPORTER),
    ];
    family.push(labels.map(|(name, value)| (Text::from(name), Text::from(value))), 1.0);
    family
}

impl Own {
    pub(super) fn new() -> Self {
        Self { process: OwnProcess::new(&Roots::live()), left_out: 0 }
    }

    /// Adds it, for a scrape that so many sources did not answer.
    pub(super) fn add_to(&mut self, families: &mut Vec<Family>, unanswered: usize) {
        let counter = |name, help, value| Family::single(name, MetricKind::Counter, help, value);
        let gauge = |name, help, value| Family::single(name, MetricKind::Gauge, help, value);
        families.push(counter(
            "driftless_exposition_duplicates_total",
            "Series left out of scrapes because they were there already or had no valid form.",
            self.left_out as f64,
        ));
        families.push(gauge(
            "driftless_scrape_unanswered_sources",
            "Sources that did not answer this scrape in time.",
            unanswered as f64,
        ));
        families.extend(self.process.families());
    }
}
