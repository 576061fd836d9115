//! A run for good: under the host's lock, with a record of every task.

use super::executor::{Action, Inputs, Observer, Pending, Selection, Wish, run};
use super::part::{ChangedBy, Left, TaskKey};
use super::report::{ChangeReport, ItemReport, Report, Status, TaskReport};
use crate::event::hex::hex;
use crate::event::task::{Task, TaskSet};
use crate::event::time::write_rfc3339;
use crate::host::audit::chain::Chain;
use crate::host::audit::directory;
use crate::host::clock;
use crate::host::machine::Machine;
use crate::host::run_lock::{RunLock, place};
use minijinja::Value;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Runs `set` on this host. Waits while another run holds the lock; `waits` hears which process
/// that is. `check` may call it off when nobody else can change the host any more. Every task's record is stored before the next task begins; one that cannot be stored
/// ends the run.
///
/// # Errors
/// Why the run did not begin: no lock, no place for its records, or what `check` says.
pub fn run_recorded(
    set: &TaskSet,
    inputs: &Inputs,
    selection: &Selection,
    data_dir: &Path,
    waits: impl FnOnce(&str),
    check: impl FnOnce() -> Result<(), String>,
    observer: &mut dyn Observer,
) -> Result<Report, String> {
    let lock = place(data_dir);
    let _lock = RunLock::take(&lock, waits)
        .map_err(|error| format!("the lock of runs, `{}`: {error}", lock.display()))?;
    check()?;
    let directory = directory(data_dir);
    let chain = Chain::open(&directory)
        .map_err(|error| format!("the audit trail in `{}`: {error}", directory.display()))?;
    let pending = Pending::load(data_dir).map_err(|error| {
        format!("which handlers were notified, in `{}`: {error}", data_dir.display())
    })?;
    let inputs = &Inputs { pending, ..inputs.clone() };
    let mut recorder = Recorder {
        chain,
        directory: &directory,
        host: &inputs.host,
        run: run_id(&inputs.host),
        revision: &set.revision,
        observer,
    };
    let mut report = run(set, &mut Machine::live(), inputs, selection, &mut recorder);
    if let Err(error) = recorder.chain.finish() {
        report.stopped.get_or_insert(unstored(&directory, &error));
    }
    Ok(report)
}

/// Tells this run from all others.
fn run_id(host: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(clock::now_ns().to_le_bytes());
    hash.update(std::process::id().to_le_bytes());
    hash.update(host);
    hex(&hash.finalize()[..8])
}

fn unstored(directory: &Path, error: &std::io::Error) -> String {
    let place = directory.display();
    format!(
        "what was done cannot be put on record in `{place}`, so that nothing more is done: {error}"
    )
}

/// What is kept of a task.
#[derive(serde::Serialize)]
struct Record<'a> {
    timestamp: &'a str,
    host: &'a str,
    run: &'a str,
    revision: &'a str,
    /// Why only some tasks ran: `drift`.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    /// Who has changed what the task depends on, as far as the kernel tells.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    changed_by: &'a [ChangedBy],
    number: usize,
    task: &'a str,
    module: &'a str,
    handler: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<&'a str>,
    status: Status,
    ignored: bool,
    rescued: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    items: &'a [ItemReport],
    changes: &'a [ChangeReport],
    duration_seconds: f64,
    changed: bool,
}

/// Puts each task on record on its way to the observer behind it.
struct Recorder<'a> {
    chain: Chain,
    /// Where the chain is.
    directory: &'a Path,
    host: &'a str,
    run: String,
    revision: &'a str,
    observer: &'a mut dyn Observer,
}

impl Recorder<'_> {
    fn store(&mut self, task: &TaskReport) -> std::io::Result<()> {
        let mut time = Vec::new();
        write_rfc3339(&mut time, clock::now_ns());
        let watched = task.watched.as_ref();
        let changed_by = watched.map(|watched| self.observer.changed_by(&watched.key));
        self.chain.append(&Record {
            timestamp: &String::from_utf8_lossy(&time),
            host: self.host,
            run: &self.run,
            revision: self.revision,
            cause: self.observer.cause(),
            changed_by: changed_by.unwrap_or_default(),
            number: task.number,
            task: &task.name,
            module: &task.module,
            handler: task.handler,
            place: task.place.as_deref(),
            status: task.status,
            ignored: task.ignored,
            rescued: task.rescued,
            message: task.message.as_deref(),
            hint: task.hint.as_deref(),
            items: &task.items,
            changes: &task.changes,
            duration_seconds: task.duration.as_secs_f64(),
            changed: !task.changes.is_empty(),
        })?;
        // What left the host as it was may wait for the end of the run.
        match task.status {
            Status::Ok | Status::Skipped | Status::Unknown if task.changes.is_empty() => Ok(()),
            _ => self.chain.sync(),
        }
    }
}

impl Observer for Recorder<'_> {
    fn play(&mut self, name: &str) {
        self.observer.play(name);
    }

    fn asks(&mut self, name: &str) -> Wish {
        self.observer.asks(name)
    }

    fn is_interrupted(&self) -> bool {
        self.observer.is_interrupted()
    }

    fn started(&mut self, name: &str, handler: bool) {
        self.observer.started(name, handler);
    }

    fn finished(&mut self, task: &TaskReport) -> Result<(), String> {
        // Where some tasks run for the sake of a change, what is as declared is no news.
        let is_news = self.cause().is_none()
            || !task.changes.is_empty()
            || !matches!(task.status, Status::Ok | Status::Skipped);
        let stored = if is_news { self.store(task) } else { Ok(()) };
        let stored = stored.map_err(|error| unstored(self.directory, &error));
        // It is told even where it could not be stored.
        let told = self.observer.finished(task);
        stored.and(told)
    }

    fn cause(&self) -> Option<&'static str> {
        self.observer.cause()
    }

    fn changed_by(&self, key: &TaskKey) -> &[ChangedBy] {
        self.observer.changed_by(key)
    }

    fn remembers(&self) -> bool {
        self.observer.remembers()
    }

    fn left_before(&mut self, key: &TaskKey, task: &Task) -> Option<Left> {
        self.observer.left_before(key, task)
    }

    fn leaves(&mut self, key: &TaskKey, left: Left) {
        self.observer.leaves(key, left);
    }

    fn done_before(&mut self, action: &Action<'_>) -> Option<Value> {
        self.observer.done_before(action)
    }

    fn done(&mut self, action: &Action<'_>, result: &Value) -> Result<(), String> {
        self.observer.done(action, result)
    }
}
