//! What a run did and did not do. All text in it is masked.

use super::part::Watched;
use crate::event::secret::Masker;
use crate::host::machine::change::Change;
use std::time::Duration;

/// How a task ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All was as it should be.
    #[default]
    Ok,
    /// Something was changed (in a dry run: would be).
    Changed,
    /// It could not be done, or counts as failed.
    Failed,
    /// A condition, or its tags, left it out.
    Skipped,
    /// A dry run cannot know: it would run a command, or depends on one that did not run.
    Unknown,
}

/// One effect, as people read it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ChangeReport {
    /// What was done: `create`, `replace`, `mode`.
    pub kind: &'static str,
    /// What to.
    pub path: String,
    /// The whole of it on one line.
    pub summary: String,
    /// How the text differs.
    pub diff: Option<String>,
}

impl ChangeReport {
    pub(super) fn new(change: &Change, masker: &Masker, show_diff: bool) -> Self {
        let mask = |text: String| masker.mask(&text).into_owned();
        Self {
            kind: change.effect.word(),
            path: mask(change.path.display().to_string()),
            summary: mask(change.summary()),
            diff: if show_diff { change.diff().map(mask) } else { None },
        }
    }
}

/// One turn of a loop.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ItemReport {
    /// The item, or what `label` makes of it.
    pub label: String,
    /// How it ended.
    pub status: Status,
    /// What there is to say.
    pub message: Option<String>,
}

/// One task.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct TaskReport {
    /// From 1, in the order in which tasks ran.
    pub number: usize,
    /// Its name, rendered where that is possible.
    #[serde(rename = "task")]
    pub name: String,
    /// What it uses.
    pub module: String,
    /// Whether it is a handler.
    pub handler: bool,
    /// `file:line:column`.
    pub place: Option<String>,
    /// How it ended.
    pub status: Status,
    /// Whether a failure was ignored, as the task says.
    pub ignored: bool,
    /// Whether it failed and a `rescue` is for that.
    pub rescued: bool,
    /// What there is to say.
    pub message: Option<String>,
    /// How to mend a failure.
    pub hint: Option<String>,
    /// The turns of its loop.
    pub items: Vec<ItemReport>,
    /// What it changed, in order.
    pub changes: Vec<ChangeReport>,
    /// How long it took.
    #[serde(rename = "duration_seconds", serialize_with = "seconds")]
    pub duration: Duration,
    /// What there is to watch over, where somebody does.
    #[serde(skip)]
    pub watched: Option<Watched>,
}

fn seconds<S: serde::Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(duration.as_secs_f64())
}

/// How many tasks ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Recap {
    /// As it should be.
    pub ok: usize,
    /// Changed.
    pub changed: usize,
    /// Failed, and not ignored.
    pub failed: usize,
    /// Left out.
    pub skipped: usize,
    /// Failed, and rescued by their block.
    pub rescued: usize,
    /// Failed, and ignored.
    pub ignored: usize,
    /// Not known in a dry run.
    pub unknown: usize,
}

/// A whole run.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Report {
    /// Which desired state.
    pub revision: String,
    /// Whether nothing was really done.
    pub dry_run: bool,
    /// All tasks that were looked at, in order.
    pub tasks: Vec<TaskReport>,
    /// Tasks that a failure kept from running.
    pub not_run: Vec<String>,
    /// Handlers that were notified and, for the same reason, did not run.
    pub pending_handlers: Vec<String>,
    /// Why it ended early, where no task is to blame.
    pub stopped: Option<String>,
}

impl Report {
    /// Whether something that is declared was not brought about.
    pub fn has_failed(&self) -> bool {
        self.stopped.is_some() || self.recap().failed > 0
    }

    /// The sums.
    pub fn recap(&self) -> Recap {
        let mut recap = Recap::default();
        for task in &self.tasks {
            let count = match task.status {
                Status::Failed if task.ignored => &mut recap.ignored,
                Status::Failed if task.rescued => &mut recap.rescued,
                Status::Failed => &mut recap.failed,
                Status::Ok => &mut recap.ok,
                Status::Changed => &mut recap.changed,
                Status::Skipped => &mut recap.skipped,
                Status::Unknown => &mut recap.unknown,
            };
            *count += 1;
        }
        recap
    }
}
