//! What an endpoint adds to the metrics of the sources: build, process, and its own trouble.

use crate::event::metric::{Family, MetricKind};
use crate::host::process::OwnProcess;
use crate::host::roots::Roots;

/// What there is to say of the agent beside the engine's counters.
#[derive(Debug)]
pub(super) struct Own {
    process: OwnProcess,
    /// Series that were left out of all answers so far.
    pub(super) left_out: u64,
}

impl Own {
    pub(super) fn new() -> Self {
        Self { process: OwnProcess::new(&Roots::live()), left_out: 0 }
    }

    /// Adds it, for a scrape that so many sources did not answer.
    pub(super) fn add_to(&mut self, families: &mut Vec<Family>, unanswered: usize) {
        let mut build = Family::new(
            "driftless_build_info",
            MetricKind::Gauge,
            "Always 1; the label tells which Driftless this is.",
        );
        build.push(vec![("version".into(), env!("CARGO_PKG_VERSION").into())], 1.0);
        families.push(build);
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
        let Some(usage) = self.process.usage() else { return };
        families.extend([
            counter(
                "process_cpu_seconds_total",
                "Processor time that the agent has used, in seconds.",
                usage.cpu_seconds,
            ),
            gauge(
                "process_resident_memory_bytes",
                "Memory of the agent that is in RAM, in bytes.",
                usage.resident_bytes as f64,
            ),
            gauge(
                "process_virtual_memory_bytes",
                "Memory that the agent has mapped, in bytes.",
                usage.virtual_bytes as f64,
            ),
        ]);
        families.extend(usage.open_descriptors.map(|count| {
            gauge("process_open_fds", "File descriptors that the agent has open.", count as f64)
        }));
        families.extend(usage.start_seconds.map(|start| {
            let help = "When the agent started, in seconds since the epoch.";
            gauge("process_start_time_seconds", help, start)
        }));
    }
}
