//! What a whole run came to, in short, for whoever has asked for it.

use super::report::{Report, Status, TaskReport};
use crate::event::secret::Masker;
use crate::host::clock;
use crate::topology::runs::Recap;
use std::time::Duration;

/// What the run came to that took so long.
pub(super) fn of(end: &Result<Report, String>, took: Duration, masker: &Masker) -> Recap {
    let (at_seconds, duration_seconds) = (clock::now().as_secs_f64(), took.as_secs_f64());
    let nothing = Recap { at_seconds, duration_seconds, failed: true, ..Recap::default() };
    let report = match end {
        Ok(report) => report,
        Err(reason) => return Recap { failures: vec![reason.clone()], ..nothing },
    };
    let counts = report.recap();
    let tasks = [
        ("ok", counts.ok),
        ("changed", counts.changed),
        ("failed", counts.failed),
        ("skipped", counts.skipped),
        ("rescued", counts.rescued),
        ("ignored", counts.ignored),
        ("not_run", report.not_run.len()),
    ];
    let has_failed =
        |task: &&TaskReport| task.status == Status::Failed && !task.ignored && !task.rescued;
    let of_task = |task: &TaskReport| {
        let message = task.message.as_deref().unwrap_or("failed");
        let place = task.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
        masker.mask(&format!("{place}{}: {message}", task.name)).into_owned()
    };
    let failures = report.tasks.iter().filter(has_failed).map(of_task);
    Recap {
        revision: report.revision.clone(),
        failed: report.has_failed(),
        tasks: tasks.map(|(status, count)| (status.to_owned(), count as u64)).into(),
        failures: failures.chain(report.stopped.clone()).collect(),
        ..nothing
    }
}
