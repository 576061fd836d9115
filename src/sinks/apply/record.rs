//! A run for good: under the host's lock, with a record of every task.

use super::executor::{Action, Inputs, Observer, Pending, Selection, Wish, run};
use super::report::{Report, Status, TaskReport};
use crate::event::task::TaskSet;
use crate::event::time::write_rfc3339;
use crate::host::audit::chain::Chain;
use crate::host::audit::directory;
use crate::host::clock;
use crate::host::machine::Machine;
use crate::host::run_lock::{RunLock, place};
use minijinja::Value;
use serde_json::Map;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Runs `set` on this host. Waits while another run holds the lock; `waits` hears which process
/// that is. Every task's record is stored before the next task begins; one that cannot be stored
/// ends the run.
///
/// # Errors
/// Why the run did not begin: no lock, or no place for its records.
pub fn run_recorded(
    set: &TaskSet,
    inputs: &Inputs,
    selection: &Selection,
    data_dir: &Path,
    waits: impl FnOnce(&str),
    observer: &mut dyn Observer,
) -> Result<Report, String> {
    let lock = place(data_dir);
    let _lock = RunLock::take(&lock, waits)
        .map_err(|error| format!("the lock of runs, `{}`: {error}", lock.display()))?;
    let directory = directory(data_dir);
    let chain = Chain::open(&directory)
        .map_err(|error| format!("the audit trail in `{}`: {error}", directory.display()))?;
    let pending = Pending::load(data_dir).map_err(|error| {
        format!("which handlers were notified, in `{}`: {error}", data_dir.display())
    })?;
    let inputs = &Inputs { pending, ..inputs.clone() };
    let mut recorder = Recorder {
        chain,
        host: &inputs.host,
        run: run_id(&inputs.host),
        revision: &set.revision,
        observer,
    };
    let mut report = run(set, &mut Machine::live(), inputs, selection, &mut recorder);
    if let Err(error) = recorder.chain.finish() {
        report.stopped.get_or_insert(unstored(&error));
    }
    Ok(report)
}

/// Tells this run from all others.
fn run_id(host: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(clock::now_ns().to_le_bytes());
    hash.update(std::process::id().to_le_bytes());
    hash.update(host);
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn unstored(error: &std::io::Error) -> String {
    format!("what was done cannot be put on record, so that nothing more is done: {error}")
}

/// Puts each task on record on its way to the observer behind it.
struct Recorder<'a> {
    chain: Chain,
    host: &'a str,
    run: String,
    revision: &'a str,
    observer: &'a mut dyn Observer,
}

impl Recorder<'_> {
    fn store(&mut self, task: &TaskReport) -> std::io::Result<()> {
        let mut time = Vec::new();
        write_rfc3339(&mut time, clock::now_ns());
        let mut record = Map::new();
        record.insert("timestamp".into(), String::from_utf8_lossy(&time).into());
        record.insert("host".into(), self.host.into());
        record.insert("run".into(), self.run.as_str().into());
        record.insert("revision".into(), self.revision.into());
        if let serde_json::Value::Object(task) = serde_json::to_value(task)? {
            record.extend(task.into_iter().filter(|(_, value)| !value.is_null()));
        }
        record.insert("changed".into(), (!task.changes.is_empty()).into());
        self.chain.append(record)?;
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
        let stored = self.store(task).map_err(|error| unstored(&error));
        // It is told even where it could not be stored.
        let told = self.observer.finished(task);
        stored.and(told)
    }

    fn done_before(&mut self, action: &Action<'_>) -> Option<Value> {
        self.observer.done_before(action)
    }

    fn done(&mut self, action: &Action<'_>, result: &Value) -> Result<(), String> {
        self.observer.done(action, result)
    }
}
