//! Notifications that outlive a crash and a failed run: the handlers that were notified and have
//! not run yet, kept in `apply/pending.json` of the data directory.

use crate::host::state_file;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Handlers, by name, that are still to run. All clones are about the same ones.
#[derive(Clone, Debug, Default)]
pub struct Pending(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    /// Where they are written down; nowhere in a dry run.
    path: Option<PathBuf>,
    names: BTreeSet<String>,
}

impl Pending {
    /// Those that earlier runs have left, to be written down from now on. A file that cannot be
    /// understood counts as empty, loudly.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn load(data_dir: &Path) -> io::Result<Self> {
        let pending = Self::look(data_dir)?;
        pending.kept().path = Some(place(data_dir));
        Ok(pending)
    }

    /// The same for a dry run, which writes nothing down.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn look(data_dir: &Path) -> io::Result<Self> {
        let path = place(data_dir);
        let names = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                let path = path.display();
                tracing::error!(%path, %error, "which handlers were notified is not known any more");
                BTreeSet::new()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
            Err(error) => return Err(error),
        };
        Ok(Self(Arc::new(Mutex::new(Kept { path: None, names }))))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Their names.
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.kept().names.clone()
    }

    /// From now on it is these. Nothing is written where nothing is new.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn set(&self, names: BTreeSet<String>) -> io::Result<()> {
        let mut kept = self.kept();
        if kept.names == names {
            return Ok(());
        }
        kept.names = names;
        kept.save()
    }

    /// These too.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn add(&self, names: &BTreeSet<String>) -> io::Result<()> {
        let all = self.kept().names.union(names).cloned().collect();
        self.set(all)
    }
}

impl Kept {
    fn save(&self) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        state_file::replace(path, &serde_json::to_vec(&self.names)?).map(drop)
    }
}

fn place(data_dir: &Path) -> PathBuf {
    data_dir.join("apply/pending.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_is_known_after_a_restart_until_its_handler_ran() {
        let dir = tempfile::tempdir().unwrap();
        let names = BTreeSet::from(["reload".to_owned()]);
        Pending::load(dir.path()).unwrap().add(&names).unwrap();
        let pending = Pending::load(dir.path()).unwrap();
        assert_eq!(pending.names(), names);
        pending.set(BTreeSet::new()).unwrap();
        assert!(Pending::look(dir.path()).unwrap().names().is_empty());
    }

    #[test]
    fn a_look_and_a_run_without_notifications_write_nothing() {
        let dir = tempfile::tempdir().unwrap();
        Pending::look(dir.path()).unwrap().add(&BTreeSet::from(["x".to_owned()])).unwrap();
        Pending::load(dir.path()).unwrap().set(BTreeSet::new()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
