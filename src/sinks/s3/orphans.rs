//! Orphans: uploads in parts that were begun, kept on record until they end, so that the next run
//! can give up those that a crash left. Servers keep, and charge for, such parts for ever.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Uploads that are under way, by id.
#[derive(Debug)]
pub(super) struct Orphans {
    /// Where they are on record; `None` where nothing is kept.
    path: Option<PathBuf>,
    earlier: BTreeMap<String, String>,
    open: Mutex<BTreeMap<String, String>>,
}

impl Orphans {
    /// Those on record at `path`.
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        let text = path.as_ref().and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        let entry = |line: &str| {
            let (id, key) = line.split_once('\t')?;
            Some((id.to_owned(), key.to_owned()))
        };
        let earlier: BTreeMap<_, _> = text.lines().filter_map(entry).collect();
        Self { path, open: Mutex::new(earlier.clone()), earlier }
    }

    /// Id and key of those that an earlier run began.
    pub(super) fn of_earlier_runs(&self) -> BTreeMap<String, String> {
        self.earlier.clone()
    }

    /// Puts an upload on record, before its first part is sent.
    pub(super) fn begun(&self, id: &str, key: &str) {
        // No id and no key has one of these; one that had could not be read back.
        if !id.contains(['\t', '\n']) && !key.contains('\n') {
            self.change(|open| open.insert(id.to_owned(), key.to_owned()));
        }
    }

    /// Takes an upload off the record.
    pub(super) fn settled(&self, id: &str) {
        self.change(|open| open.remove(id));
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<String, String>) -> T) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut open);
        if let Some(path) = &self.path
            && let Err(error) = write(path, &open)
        {
            let path = path.display();
            tracing::warn!(%path, %error, "uploads are not on record; a crash may leave parts");
        }
    }
}

fn write(path: &PathBuf, open: &BTreeMap<String, String>) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let text: String = open.iter().map(|(id, key)| format!("{id}\t{key}\n")).collect();
    let new = path.with_extension("new");
    fs::write(&new, text)?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_begun_and_not_ended_is_known_to_the_next_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = Some(dir.path().join("s3/out.uploads"));
        let first = Orphans::new(path.clone());
        first.begun("one", "a/b c");
        first.begun("two", "d");
        first.settled("two");
        assert!(first.of_earlier_runs().is_empty(), "those are its own");
        let second = Orphans::new(path.clone());
        let found: Vec<_> = second.of_earlier_runs().into_iter().collect();
        assert_eq!(found, [("one".to_owned(), "a/b c".to_owned())]);
        second.settled("one");
        assert!(Orphans::new(path).of_earlier_runs().is_empty());
    }
}
