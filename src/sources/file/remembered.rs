//! Files that are known and not there now: from the checkpoint, or gone since.

use super::checkpoint::Entry;
use super::content::{Content, Identity};
use super::position::FINGERPRINT_BYTES;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// How many are kept; the oldest go first.
const LIMIT: usize = 100_000;

/// What is known of files, by the number that the checkpoint gives each.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    entries: BTreeMap<u64, Entry>,
    by_identity: HashMap<Identity, Vec<u64>>,
    by_path: HashMap<PathBuf, Vec<u64>>,
}

impl Remembered {
    pub(super) fn add(&mut self, entry: Entry) {
        while self.entries.len() >= LIMIT {
            let Some(oldest) = self.entries.keys().next().copied() else { break };
            self.take(oldest);
        }
        self.by_identity.entry((entry.device, entry.inode)).or_default().push(entry.key);
        self.by_path.entry(entry.path.clone()).or_default().push(entry.key);
        self.entries.insert(entry.key, entry);
    }

    pub(super) fn take(&mut self, key: u64) -> Option<Entry> {
        let entry = self.entries.remove(&key)?;
        if let Some(keys) = self.by_identity.get_mut(&(entry.device, entry.inode)) {
            keys.retain(|known| *known != key);
            if keys.is_empty() {
                self.by_identity.remove(&(entry.device, entry.inode));
            }
        }
        if let Some(keys) = self.by_path.get_mut(&entry.path) {
            keys.retain(|known| *known != key);
            if keys.is_empty() {
                self.by_path.remove(&entry.path);
            }
        }
        Some(entry)
    }

    pub(super) fn get(&self, key: u64) -> Option<&Entry> {
        self.entries.get(&key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The entries of a file of this identity.
    pub(super) fn of(&self, id: Identity) -> impl Iterator<Item = &Entry> {
        self.by_identity.get(&id).into_iter().flatten().filter_map(|key| self.entries.get(key))
    }

    /// The numbers of the entries of this path.
    pub(super) fn at(&self, path: &Path) -> impl Iterator<Item = u64> {
        self.by_path.get(path).into_iter().flatten().copied()
    }

    /// What is known of this file, if it is the same one: by inode and first bytes; or, where it
    /// was copied or its file system has another number now, by name and a full fingerprint.
    pub(super) fn recall(
        &mut self,
        content: &mut Content,
        path: &Path,
        id: Identity,
    ) -> Option<Entry> {
        let holds = |entry: &&Entry, content: &mut Content| {
            entry.fingerprint.holds(content)
                && entry.sinks.iter().all(|(_, position)| position.holds(content))
        };
        let named = self.by_path.get(path).into_iter().flatten();
        let named = named
            .filter_map(|key| self.entries.get(key))
            .filter(|entry| entry.inode == id.1 || entry.fingerprint.bytes == FINGERPRINT_BYTES);
        let key = self
            .of(id)
            .chain(named)
            .find(|entry| holds(entry, content))
            // The beginning is the same and the rest is not: it was truncated.
            .or_else(|| self.of(id).find(|entry| entry.fingerprint.holds(content)))?
            .key;
        self.take(key)
    }
}
