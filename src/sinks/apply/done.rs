//! What was done: actions that ran are remembered over restarts, so that they run once a
//! revision, or as often as they say.

use super::executor::Action;
use crate::event::hex::hex;
use crate::event::secret::Masker;
use crate::expr::value::{from_json, to_json};
use crate::host::state_file;
use minijinja::Value;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The actions that ran in one revision, kept in `apply/ran.json` of the data directory.
#[derive(Debug)]
pub(super) struct Ran {
    path: PathBuf,
    stored: Stored,
    /// Results that are not to be written down, since they hold secrets.
    unwritten: BTreeMap<String, Value>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    revision: String,
    /// By a hash of place and name.
    actions: BTreeMap<String, Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    /// When it ran, in seconds since the epoch.
    at: u64,
    /// What it came to, where other tasks read that.
    result: serde_json::Value,
}

impl Ran {
    /// What is known of `revision`. A file that cannot be understood counts as empty, loudly.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn load(data_dir: &Path, revision: &str) -> io::Result<Self> {
        let path = data_dir.join("apply/ran.json");
        let stored: Stored = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                let path = path.display();
                tracing::error!(%path, %error, "what ran is not known any more; it runs again");
                Stored::default()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Stored::default(),
            Err(error) => return Err(error),
        };
        let mut ran = Self { path, stored, unwritten: BTreeMap::new() };
        ran.enter(revision);
        Ok(ran)
    }

    /// From now on it is about `revision`.
    pub(super) fn enter(&mut self, revision: &str) {
        if self.stored.revision != revision {
            self.stored = Stored { revision: revision.to_owned(), ..Stored::default() };
            self.unwritten.clear();
        }
    }

    /// What the action came to, where it is not due at `now` (since the epoch).
    pub(super) fn result(&self, action: &Action<'_>, now: Duration) -> Option<Value> {
        let key = key(action);
        let entry = self.stored.actions.get(&key)?;
        // A clock that was set back must not put it off for years.
        let age = now.as_secs().checked_sub(entry.at).map(Duration::from_secs);
        if action.every.is_some_and(|every| age.is_none_or(|age| age >= every)) {
            return None;
        }
        Some(self.unwritten.get(&key).cloned().unwrap_or_else(|| from_json(&entry.result)))
    }

    /// Remembers that the action ran at `now`, over restarts too.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn remember(
        &mut self,
        action: &Action<'_>,
        result: &Value,
        now: Duration,
        masker: &Masker,
    ) -> io::Result<()> {
        let key = key(action);
        let mut written = serde_json::Value::Null;
        if action.is_read {
            written = to_json(result);
            if reveals(masker, &written) {
                written = serde_json::Value::Null;
                self.unwritten.insert(key.clone(), result.clone());
            }
        }
        self.stored.actions.insert(key, Entry { at: now.as_secs(), result: written });
        self.save()
    }

    fn save(&self) -> io::Result<()> {
        state_file::replace(&self.path, &serde_json::to_vec(&self.stored)?).map(drop)
    }
}

/// Whether a secret is anywhere in `value`. Each text is looked at on its own, since escaping what
/// is escaped already gives a secret a spelling that nobody looks for.
fn reveals(masker: &Masker, value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => masker.reveals(text),
        serde_json::Value::Array(items) => items.iter().any(|item| reveals(masker, item)),
        serde_json::Value::Object(entries) => {
            entries.iter().any(|(key, value)| masker.reveals(key) || reveals(masker, value))
        }
        number => masker.reveals(&number.to_string()),
    }
}

fn key(action: &Action<'_>) -> String {
    let place = action.task.span.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut hash = Sha256::new();
    for part in [&place, &action.task.name, &action.task.module] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hex(&hash.finalize()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::secret::one;
    use crate::event::task::Task;
    use crate::event::tree::Node;

    fn task() -> Task {
        let (name, module) = ("make it".to_owned(), "command".to_owned());
        Task { name, module, args: Node::string(""), ..Task::default() }
    }

    const NOON: Duration = Duration::from_secs(1_000_000);

    #[test]
    fn an_action_is_done_once_a_revision_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let task = task();
        let action = Action { task: &task, every: None, is_read: true };
        let mut ran = Ran::load(dir.path(), "r1").unwrap();
        assert!(ran.result(&action, NOON).is_none());
        let result = Value::from_pairs([("rc", Value::from(0))]);
        ran.remember(&action, &result, NOON, &Masker::default()).unwrap();
        for ran in [&ran, &Ran::load(dir.path(), "r1").unwrap()] {
            assert_eq!(to_json(&ran.result(&action, NOON).unwrap())["rc"], 0);
        }
        assert!(Ran::load(dir.path(), "r2").unwrap().result(&action, NOON).is_none());
    }

    #[test]
    fn an_action_with_a_period_is_due_again_when_it_has_passed() {
        let dir = tempfile::tempdir().unwrap();
        let task = task();
        let every = Some(Duration::from_secs(60));
        let action = Action { task: &task, every, is_read: false };
        let mut ran = Ran::load(dir.path(), "r1").unwrap();
        ran.remember(&action, &Value::from(1), NOON, &Masker::default()).unwrap();
        assert!(ran.result(&action, NOON + Duration::from_secs(59)).is_some());
        assert!(ran.result(&action, NOON + Duration::from_secs(60)).is_none());
        assert!(ran.result(&action, NOON - Duration::from_secs(60)).is_none(), "set back");
    }

    #[test]
    fn a_result_with_a_secret_is_not_written_down() {
        let dir = tempfile::tempdir().unwrap();
        let task = task();
        let action = Action { task: &task, every: None, is_read: true };
        let mut ran = Ran::load(dir.path(), "r1").unwrap();
        let result = Value::from_pairs([("stdout", Value::from("is hunter2-hunter2"))]);
        let masker = Masker::new(&one("hunter2-hunter2"));
        ran.remember(&action, &result, NOON, &masker).unwrap();
        let written = fs::read_to_string(dir.path().join("apply/ran.json")).unwrap();
        assert!(!written.contains("hunter2"), "{written}");
        assert_eq!(to_json(&ran.result(&action, NOON).unwrap())["stdout"], "is hunter2-hunter2");
        assert!(Ran::load(dir.path(), "r1").unwrap().result(&action, NOON).is_some());
    }
}
