//! Orphans: uploads in parts that were begun, kept on record until they end, so that the next run
//! can give up those that a crash left. Servers keep, and charge for, such parts for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Uploads that are under way.
#[derive(Debug)]
pub(super) struct Orphans {
    /// Where they are on record; `None` where nothing is kept.
    path: Option<PathBuf>,
    earlier: Uploads,
    open: Mutex<Uploads>,
}

/// What is known of uploads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Uploads {
    /// Keys, by id.
    pub(super) begun: BTreeMap<String, String>,
    /// Keys of those that the server was asked for, and whose ids nobody has heard yet.
    pub(super) asked: BTreeSet<String>,
}

impl Orphans {
    /// Those on record at `path`.
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        let text = path.as_ref().and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        let mut earlier = Uploads::default();
        for (id, key) in text.lines().filter_map(|line| line.split_once('\t')) {
            match id {
                "" => earlier.asked.insert(key.to_owned()),
                id => earlier.begun.insert(id.to_owned(), key.to_owned()).is_none(),
            };
        }
        Self { path, open: Mutex::new(earlier.clone()), earlier }
    }

    /// Those that an earlier run began.
    pub(super) fn of_earlier_runs(&self) -> &Uploads {
        &self.earlier
    }

    /// Whether an upload of this key may be at the server though nobody has heard its id.
    pub(super) fn is_in_doubt(&self, key: &str) -> bool {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).asked.contains(key)
    }

    /// Whether the upload of this id is on record.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).begun.contains_key(id)
    }

    /// Puts on record that the server is about to be asked for an upload.
    pub(super) fn asks(&self, key: &str) {
        if !key.contains('\n') {
            self.change(|open| open.asked.insert(key.to_owned()));
        }
    }

    /// Nothing is in doubt about this key any more.
    pub(super) fn is_sure(&self, key: &str) {
        self.change(|open| open.asked.remove(key));
    }

    /// Puts an upload on record, before its first part is sent.
    pub(super) fn begun(&self, id: &str, key: &str) {
        self.change(|open| open.begin(id, key));
    }

    /// The same, where it is the only one that the server was asked for.
    pub(super) fn heard(&self, id: &str, key: &str) {
        self.change(|open| {
            open.asked.remove(key);
            open.begin(id, key);
        });
    }

    /// Takes an upload off the record.
    pub(super) fn settled(&self, id: &str) {
        self.change(|open| open.begun.remove(id));
    }

    fn change<T>(&self, change: impl FnOnce(&mut Uploads) -> T) {
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

impl Uploads {
    fn begin(&mut self, id: &str, key: &str) {
        // No id and no key has one of these; one that had could not be read back.
        if !id.is_empty() && !id.contains(['\t', '\n']) && !key.contains('\n') {
            self.begun.insert(id.to_owned(), key.to_owned());
        }
    }
}

fn write(path: &PathBuf, open: &Uploads) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let begun = open.begun.iter().map(|(id, key)| format!("{id}\t{key}\n"));
    let asked = open.asked.iter().map(|key| format!("\t{key}\n"));
    let text: String = begun.chain(asked).collect();
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
        for key in ["a/b c", "d", "e"] {
            first.asks(key);
        }
        first.heard("one", "a/b c");
        first.heard("two", "d");
        first.settled("two");
        assert_eq!(*first.of_earlier_runs(), Uploads::default(), "those are its own");
        let second = Orphans::new(path.clone());
        let found = second.of_earlier_runs();
        assert_eq!(found.begun, BTreeMap::from([("one".to_owned(), "a/b c".to_owned())]));
        assert_eq!(found.asked, BTreeSet::from(["e".to_owned()]));
        assert!(second.is_in_doubt("e") && !second.is_in_doubt("d"));
        second.settled("one");
        second.is_sure("e");
        assert_eq!(*Orphans::new(path).of_earlier_runs(), Uploads::default());
    }
}
