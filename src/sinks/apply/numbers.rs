//! The executor's own metrics.

use super::report::{Report, Status, TaskReport};
use crate::topology::telemetry::Telemetry;
use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Tasks that are told of by name, at most.
const MOST_DRIFTED: usize = 200;

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
    success: Gauge,
    revision: IntGaugeVec,
    drift: IntGaugeVec,
    drifts: IntCounter,
    /// What is known of the revision that was run last.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Whether all of it was brought about before: what is otherwise then has drifted.
    revision: Option<String>,
    /// Tasks that have drifted since, by name and place.
    drifted: BTreeSet<[String; 2]>,
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
            success: Gauge::new(
                "driftless_apply_last_success_timestamp_seconds",
                "When the last run ended that brought about all, in seconds since the epoch.",
            )?,
            revision: IntGaugeVec::new(
                Opts::new(
                    "driftless_apply_revision_info",
                    "Always 1; the label tells which desired state was run last.",
                ),
                &["revision"],
            )?,
            drift: IntGaugeVec::new(
                Opts::new(
                    "driftless_task_drift",
                    "Whether the last run found a task otherwise than it had left it: 1 yes, 0 no \
                     more. Tasks that have never drifted are not told of.",
                ),
                &["place", "task"],
            )?,
            drifts: IntCounter::new(
                "driftless_apply_drifted_tasks_total",
                "Tasks that a run found otherwise than an earlier one had left them.",
            )?,
            known: Mutex::default(),
        };
        telemetry.register(Box::new(numbers.tasks.clone()))?;
        telemetry.register(Box::new(numbers.runs.clone()))?;
        telemetry.register(Box::new(numbers.last.clone()))?;
        telemetry.register(Box::new(numbers.duration.clone()))?;
        telemetry.register(Box::new(numbers.changes.clone()))?;
        telemetry.register(Box::new(numbers.repairs.clone()))?;
        telemetry.register(Box::new(numbers.watched.clone()))?;
        telemetry.register(Box::new(numbers.fights.clone()))?;
        telemetry.register(Box::new(numbers.success.clone()))?;
        telemetry.register(Box::new(numbers.revision.clone()))?;
        telemetry.register(Box::new(numbers.drift.clone()))?;
        telemetry.register(Box::new(numbers.drifts.clone()))?;
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
        if !failed {
            self.success.set(now.as_secs_f64());
        }
        self.add_drift(report);
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
        self.add_changes(report);
    }

    /// What a run has changed.
    pub(super) fn add_changes(&self, report: &Report) {
        let changes: usize = report.tasks.iter().map(|task| task.changes.len()).sum();
        self.changes.inc_by(changes as u64);
    }

    /// A part of the desired state ran, since something had drifted.
    pub(super) fn add_repairs(&self, report: Option<&Report>) {
        let Some(report) = report else { return };
        let changed = report.tasks.iter().filter(|task| !task.changes.is_empty()).count();
        self.repairs.inc_by(changed as u64);
        self.add_changes(report);
        let is_known = self.known().revision.as_ref() == Some(&report.revision);
        if is_known && changed > 0 {
            self.add_drift(report);
        }
    }

    /// How many paths are listened to, how many of them polled, and how many fights there were.
    pub(super) fn watched(&self, (all, polled, fights): (usize, usize, u64)) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.watched.with_label_values(&["told"]).set(number(all - polled));
        self.watched.with_label_values(&["polled"]).set(number(polled));
        self.fights.set(i64::try_from(fights).unwrap_or(i64::MAX));
    }

    /// What a run changes or cannot bring about has drifted, where an earlier run of the same
    /// revision has brought about all of it.
    fn add_drift(&self, report: &Report) {
        let mut known = self.known();
        if known.revision.as_ref() == Some(&report.revision) {
            let is_off = |task: &&TaskReport| {
                let is_declared = !task.handler && !task.ignored;
                is_declared
                    && (task.status == Status::Failed
                        || (task.status == Status::Changed && !task.changes.is_empty()))
            };
            self.drift_of(&known.drifted, 0);
            let off: BTreeSet<[String; 2]> = report
                .tasks
                .iter()
                .filter(is_off)
                .map(|task| [task.place.clone().unwrap_or_default(), task.name.clone()])
                .collect();
            self.drifts.inc_by(off.len() as u64);
            for task in off {
                if known.drifted.contains(&task) || known.drifted.len() < MOST_DRIFTED {
                    self.drift.with_label_values(&task).set(1);
                    known.drifted.insert(task);
                }
            }
            return;
        }
        self.drift.reset();
        self.revision.reset();
        self.revision.with_label_values(&[report.revision.as_str()]).set(1);
        let is_whole = !report.has_failed();
        let revision = is_whole.then(|| report.revision.clone());
        *known = Known { revision, drifted: BTreeSet::new() };
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drift_of(&self, tasks: &BTreeSet<[String; 2]>, value: i64) {
        for task in tasks {
            self.drift.with_label_values(task).set(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::apply::report::ChangeReport;

    fn report(revision: &str, tasks: &[(&str, Status)]) -> Report {
        let change = || ChangeReport {
            kind: "replace",
            path: "/etc/motd".into(),
            summary: "replace /etc/motd".into(),
            diff: None,
        };
        let task = |(name, status): &(&str, Status)| TaskReport {
            name: (*name).to_owned(),
            place: Some(format!("apply.yml:{}", name.len())),
            status: *status,
            changes: if *status == Status::Changed { vec![change()] } else { Vec::new() },
            ..TaskReport::default()
        };
        let tasks = tasks.iter().map(task).collect();
        Report { revision: revision.into(), tasks, ..Report::default() }
    }

    #[test]
    fn a_task_drifts_when_a_run_finds_it_otherwise_than_it_was_left_and_not_before() {
        use Status::{Changed, Failed, Ok};
        let telemetry = Telemetry::new().unwrap();
        let numbers = Numbers::new(&telemetry).unwrap();
        let told = || {
            let families = telemetry.families();
            let of = |name: &str| families.iter().find(|family| family.name == *name);
            let samples = of("driftless_task_drift").map(|family| &family.samples);
            let mut told: Vec<String> = samples
                .into_iter()
                .flatten()
                .map(|sample| format!("{} {:?}", &*sample.labels[1].1, sample.value))
                .collect();
            told.sort();
            told.join(", ")
        };
        let run = |revision: &str, tasks: &[(&str, Status)]| {
            let second = Duration::from_secs(1);
            numbers.add(Some(&report(revision, tasks)), second, second);
            told()
        };
        assert_eq!(run("1", &[("a", Changed), ("bb", Failed)]), "", "it was never as declared");
        assert_eq!(run("1", &[("a", Changed), ("bb", Changed)]), "", "nor now");
        assert_eq!(run("1", &[("a", Changed), ("bb", Ok)]), "a Number(1.0)");
        assert_eq!(run("1", &[("a", Ok), ("bb", Failed)]), "a Number(0.0), bb Number(1.0)");
        assert_eq!(run("2", &[("a", Changed), ("bb", Ok)]), "", "another state is declared");
        assert_eq!(run("2", &[("a", Ok), ("bb", Changed)]), "bb Number(1.0)");
        assert_eq!(numbers.drifts.get(), 3);
    }
}
