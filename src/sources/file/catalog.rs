//! The files that a source follows: finding, recognising, letting go.

mod copies;
mod keeping;

use super::checkpoint::Entry;
use super::content::{Content, Identity, OpenFiles};
use super::patterns::{Found, Patterns, Walk};
use super::pins::{Pins, identity};
use super::position::Position;
use super::remembered::Remembered;
use super::tracked::{Leaving, Tracked};
use super::watch::Watcher;
use super::{Limits, ReadFrom};
use crate::event::ack::SinkSet;
use crate::event::log::Origin;
use crate::host::clock;
use crate::topology::context::SinkNames;
pub(super) use copies::Kinship;
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fs;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that has been away for so long is forgotten.
const FORGET_AFTER_SECONDS: u64 = 7 * 86_400;

/// All files of one source, by a number that is never used again while it runs.
pub(super) struct Catalog {
    patterns: Patterns,
    limits: Limits,
    name: Arc<str>,
    host: Arc<str>,
    pub(super) files: BTreeMap<u64, Tracked>,
    /// Those about which something may have to be done without news of them.
    pub(super) busy: BTreeSet<u64>,
    next: u64,
    /// The next number in the checkpoint.
    next_key: u64,
    /// The number that was last given to a file's content, and whether no checkpoint knows of it.
    last_content: u64,
    has_new_content: bool,
    by_path: HashMap<PathBuf, u64>,
    by_identity: HashMap<Identity, u64>,
    /// What is known of files that are not there now.
    remembered: Remembered,
    /// Entries of the checkpoint that are to go, and to be added.
    gone: Vec<u64>,
    added: Vec<u64>,
    open: OpenFiles,
    /// Open files, those opened first in front.
    opened: VecDeque<u64>,
    pins: Pins,
    /// Where files begin that nothing is known of.
    begin: ReadFrom,
    complained: HashSet<PathBuf>,
    /// Whether a pattern leads to what does not exist yet, so that nobody would tell.
    pub(super) incomplete: bool,
}

impl Catalog {
    pub(super) fn new(
        (patterns, limits): (Patterns, Limits),
        (name, host): (Arc<str>, Arc<str>),
        pins: Pins,
    ) -> Self {
        Self {
            patterns,
            limits,
            name,
            host,
            files: BTreeMap::new(),
            busy: BTreeSet::new(),
            next: 0,
            next_key: 1,
            last_content: 0,
            has_new_content: false,
            by_path: HashMap::new(),
            by_identity: HashMap::new(),
            remembered: Remembered::default(),
            gone: Vec::new(),
            added: Vec::new(),
            open: OpenFiles::default(),
            opened: VecDeque::new(),
            pins,
            begin: ReadFrom::Beginning,
            complained: HashSet::new(),
            incomplete: false,
        }
    }

    /// Takes over what the checkpoint said.
    pub(super) fn remember(&mut self, entries: Vec<Entry>) {
        // The number of a pinned file is taken, whether the checkpoint tells of it or not.
        let pinned = self.pins.all().into_iter().max();
        self.next_key = self.next_key.max(pinned.map_or(1, |last| last + 1));
        for entry in entries {
            self.next_key = self.next_key.max(entry.key + 1);
            self.remembered.add(entry);
        }
    }

    /// The file of this name.
    pub(super) fn at(&self, path: &Path) -> Option<u64> {
        self.by_path.get(path).copied()
    }

    /// Whether news of this name may change which files there are.
    pub(super) fn concerns(&self, path: &Path) -> bool {
        self.by_path.contains_key(path) || self.patterns.matches(path) || path.is_dir()
    }

    /// Looks for files for the first time. `begin` is for files that nothing is known of.
    pub(super) fn first_scan(
        &mut self,
        begin: ReadFrom,
        watcher: &mut Watcher,
        sinks: (&SinkNames, SinkSet),
    ) -> Vec<u64> {
        self.begin = begin;
        let mut fresh = self.scan(watcher, sinks);
        self.begin = ReadFrom::Beginning;
        fresh.extend(self.find_rotated(sinks));
        fresh.extend(self.find_pinned(sinks));
        self.find_predecessors();
        fresh
    }

    /// Looks which files there are now. Returns those that are new or have lost their name.
    pub(super) fn scan(&mut self, watcher: &mut Watcher, sinks: (&SinkNames, SinkSet)) -> Vec<u64> {
        let mut entered = HashSet::new();
        let mut deaf = HashSet::new();
        let mut walk = self.patterns.walk(&mut |dir| {
            entered.insert(dir.to_owned());
            if watcher.directory(dir) {
                deaf.insert(dir.to_owned());
            }
        });
        for found in walk.files.iter().filter(|found| found.is_link) {
            entered.insert(found.path.clone());
            if watcher.file(&found.path) {
                deaf.insert(found.path.clone());
            }
        }
        watcher.keep(&entered);
        self.incomplete = walk.incomplete;
        for path in std::mem::take(&mut walk.odd) {
            self.complain(&path, "it is no regular file and is left alone");
        }
        let mut changed = self.follow_names(&walk);
        for found in &walk.files {
            let polled = deaf.contains(&found.path)
                || found.path.parent().is_some_and(|dir| deaf.contains(dir));
            if let Some(id) = self.by_identity.get(&(found.device, found.inode)) {
                if let Some(file) = self.files.get_mut(id) {
                    file.polled = polled;
                    if polled {
                        self.busy.insert(*id);
                    }
                }
            } else if let Some(id) = self.adopt(found, sinks) {
                if let Some(file) = self.files.get_mut(&id) {
                    file.polled = polled;
                }
                changed.push(id);
            }
        }
        if !changed.is_empty() {
            self.busy.extend(&changed);
            self.index();
        }
        changed
    }

    /// Moves each file to the name that it has now; notes which have none any more.
    fn follow_names(&mut self, walk: &Walk) -> Vec<u64> {
        let mut names: HashMap<Identity, Vec<&Path>> = HashMap::new();
        for found in &walk.files {
            names.entry((found.device, found.inode)).or_default().push(&found.path);
        }
        let mut changed = Vec::new();
        for (id, file) in &mut self.files {
            match names.get(&file.identity()) {
                Some(paths) => {
                    if let Some(path) = paths.first().filter(|_| !paths.contains(&&*file.path)) {
                        file.path = (*path).to_owned();
                        let content = file.origin.content;
                        file.origin = origin(&self.name, &self.host, path);
                        file.set_content(content);
                        file.at_end = false;
                        file.moved = true;
                        changed.push(*id);
                    }
                    file.moved |= file.leaving.is_some();
                    file.leaving = None;
                    file.moved_to = None;
                }
                None if file.leaving.is_none() => {
                    file.leaving = Some(Leaving::now());
                    file.at_end = false;
                    file.moved = true;
                    if !file.is_open() {
                        file.moved_to = same_inode_beside(&file.path, file.inode);
                    }
                    changed.push(*id);
                }
                None => {}
            }
        }
        changed
    }

    /// Begins to follow a file. Where it cannot be opened that is said once.
    fn adopt(&mut self, found: &Found, sinks: (&SinkNames, SinkSet)) -> Option<u64> {
        if self.is_too_old(found) {
            return None;
        }
        self.make_room(None);
        let (mut content, id) = match Content::open(&found.path, &self.open) {
            Ok(opened) => opened,
            Err(Errno::NOENT) => return None,
            Err(error) => {
                self.complain(&found.path, &format!("{error}; it is tried again"));
                return None;
            }
        };
        if self.by_identity.contains_key(&id) {
            return None;
        }
        self.complained.remove(&found.path);
        let known = self.remembered.recall(&mut content, &found.path, id);
        let key = known.as_ref().map_or_else(|| self.new_key(), |entry| entry.key);
        let origin = self.origin(&found.path);
        let opened = (content, self.open.clone());
        let mut tracked = Tracked::new(key, found.path.clone(), id, opened, origin);
        tracked.unrecognised = known.is_none();
        tracked.pin = self.pins.place(key).filter(|place| identity(place) == Some(id));
        let begun = match known {
            Some(entry) => resume(&mut tracked, entry, sinks),
            None if self.begin == ReadFrom::End => {
                end_of(&mut tracked).and_then(|position| tracked.start(position, Vec::new()))
            }
            None => Ok(()),
        };
        if let Err(error) = begun {
            self.complain(&found.path, &format!("{error}; it is tried again"));
            return None;
        }
        // Whoever had the name before is read to its end first.
        tracked.after = self.by_path.get(&found.path).copied();
        Some(self.insert(tracked))
    }

    /// Whether nothing is known of the file, and it was not written to for too long.
    fn is_too_old(&self, found: &Found) -> bool {
        let Some(limit) = self.limits.ignore_older else { return false };
        let now = clock::now_ns() / 1_000_000_000;
        let age = now.saturating_sub(found.modified_seconds);
        u64::try_from(age).unwrap_or(0) > limit.as_secs()
            && self.remembered.of((found.device, found.inode)).next().is_none()
    }

    fn new_key(&mut self) -> u64 {
        let key = self.next_key;
        self.next_key += 1;
        key
    }

    fn insert(&mut self, mut tracked: Tracked) -> u64 {
        let id = self.next;
        self.next += 1;
        self.tell_apart(&mut tracked);
        self.by_identity.insert(tracked.identity(), id);
        self.opened.push_back(id);
        self.busy.insert(id);
        self.files.insert(id, tracked);
        id
    }

    /// Gives a file's content a number of its own, unless it has one.
    pub(super) fn tell_apart(&mut self, file: &mut Tracked) {
        if file.origin.content == 0 {
            let now = u64::try_from(clock::now_ns()).unwrap_or(0);
            self.last_content = now.max(self.last_content + 1);
            self.has_new_content = true;
            file.set_content(self.last_content);
        }
    }

    /// The file has other content than before.
    pub(super) fn restart(&mut self, id: u64) -> u64 {
        let Some(mut file) = self.files.remove(&id) else { return 0 };
        let lost = file.restart();
        self.tell_apart(&mut file);
        self.files.insert(id, file);
        lost
    }

    /// Looks beside their old names for files that were rotated away while nobody watched.
    fn find_rotated(&mut self, sinks: (&SinkNames, SinkSet)) -> Vec<u64> {
        let mut wanted: HashMap<(PathBuf, u64), Vec<u64>> = HashMap::new();
        for entry in self.remembered.iter() {
            if let Some(dir) = entry.path.parent() {
                wanted.entry((dir.to_owned(), entry.inode)).or_default().push(entry.key);
            }
        }
        let mut dirs: Vec<PathBuf> = wanted.keys().map(|(dir, _)| dir.clone()).collect();
        dirs.sort_unstable();
        dirs.dedup();
        let mut fresh = Vec::new();
        for dir in dirs {
            for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
                let Some(keys) = wanted.get(&(dir.clone(), entry.ino())) else { continue };
                let found = keys.iter().find_map(|key| {
                    self.take_up(*key, &entry.path(), sinks).map(|id| (id, entry.path()))
                });
                if let Some((id, path)) = found {
                    if let Some(file) = self.files.get_mut(&id) {
                        file.moved_to = Some(path);
                    }
                    fresh.push(id);
                }
            }
        }
        fresh
    }

    /// Goes on with a known file that has another name now, if it is at `place`.
    fn take_up(&mut self, key: u64, place: &Path, sinks: (&SinkNames, SinkSet)) -> Option<u64> {
        self.make_room(None);
        let (mut content, id) = Content::open(place, &self.open).ok()?;
        let known = self.remembered.get(key)?;
        let same = known.fingerprint.holds(&mut content)
            && known.sinks.iter().all(|(_, position)| position.holds(&mut content));
        if !same || self.by_identity.contains_key(&id) {
            return None;
        }
        let known = self.remembered.take(key)?;
        let path = known.path.clone();
        let opened = (content, self.open.clone());
        let mut tracked = Tracked::new(key, path.clone(), id, opened, self.origin(&path));
        tracked.leaving = Some(Leaving::now());
        tracked.pin = self.pins.place(key).filter(|place| identity(place) == Some(id));
        resume(&mut tracked, known, sinks).ok()?;
        Some(self.insert(tracked))
    }

    /// A file that was found under the name of a rotated one comes after it.
    fn find_predecessors(&mut self) {
        let leaving: HashMap<PathBuf, u64> = self
            .files
            .iter()
            .filter(|(_, file)| file.leaving.is_some())
            .map(|(id, file)| (file.path.clone(), *id))
            .collect();
        for file in self.files.values_mut().filter(|file| file.leaving.is_none()) {
            file.after = leaving.get(&file.path).copied();
        }
    }

    /// What the checkpoint is to say of a file; `sinks` are the connected ones.
    fn entry(&self, file: &Tracked, names: &SinkNames, sinks: SinkSet, now: u64) -> Entry {
        let safe = file.marks.safe(sinks);
        let safe = safe.map(|(sink, position)| (names.name(sink).to_string(), position));
        Entry {
            key: file.key,
            content: file.origin.content,
            path: file.path.clone(),
            device: file.device,
            inode: file.inode,
            fingerprint: file.fingerprint(),
            rotated: file.leaving.is_some(),
            seen: now,
            sinks: safe.chain(file.others.iter().cloned()).collect(),
        }
    }

    /// What the checkpoint is to say, all of it.
    pub(super) fn entries(&self, names: &SinkNames, sinks: SinkSet) -> Vec<Entry> {
        let now = now_seconds();
        let fresh = |entry: &&Entry| entry.seen.saturating_add(FORGET_AFTER_SECONDS) > now;
        let known = self.files.values().map(|file| self.entry(file, names, sinks, now));
        known.chain(self.remembered.iter().filter(fresh).cloned()).collect()
    }

    /// What has changed since it was saved: entries, and the numbers of those that are gone.
    pub(super) fn changes(&self, names: &SinkNames, sinks: SinkSet) -> (Vec<Entry>, Vec<u64>) {
        let now = now_seconds();
        let moved = self.files.values().filter(|file| file.moved);
        let moved = moved.map(|file| self.entry(file, names, sinks, now));
        let added = self.added.iter().filter_map(|key| self.remembered.get(*key)).cloned();
        (moved.chain(added).collect(), self.gone.clone())
    }

    /// All that has changed is saved.
    pub(super) fn saved(&mut self) {
        self.gone.clear();
        self.added.clear();
        for file in self.files.values_mut() {
            file.moved = false;
        }
    }

    /// Keeps what is known of content that is there no more: a copy of it may turn up.
    fn remember_gone(&mut self, entry: Entry) {
        if entry.fingerprint.bytes > 0 {
            self.added.push(entry.key);
            self.remembered.add(entry);
        } else {
            self.gone.push(entry.key);
        }
    }

    fn index(&mut self) {
        let named = self.files.iter().filter(|(_, file)| file.leaving.is_none());
        self.by_path = named.map(|(id, file)| (file.path.clone(), *id)).collect();
    }

    /// Whether some content is new since this was last asked: a checkpoint tells of it first.
    pub(super) fn has_new_content(&mut self) -> bool {
        std::mem::take(&mut self.has_new_content)
    }

    fn origin(&self, path: &Path) -> Arc<Origin> {
        origin(&self.name, &self.host, path)
    }

    fn complain(&mut self, path: &Path, what: &str) {
        if self.complained.insert(path.to_owned()) {
            tracing::warn!(source = %self.name, path = %path.display(), "{what}");
        }
    }
}

fn origin(name: &Arc<str>, host: &Arc<str>, path: &Path) -> Arc<Origin> {
    let path = Some(path.to_string_lossy().into());
    Arc::new(Origin { source: Arc::clone(name), host: Arc::clone(host), path, content: 0 })
}

fn now_seconds() -> u64 {
    u64::try_from(clock::now_ns() / 1_000_000_000).unwrap_or(0)
}

/// The new name of a file that was renamed within its directory.
pub(super) fn same_inode_beside(path: &Path, inode: u64) -> Option<PathBuf> {
    let entries = fs::read_dir(path.parent()?).ok()?;
    entries.flatten().find(|entry| entry.ino() == inode).map(|entry| entry.path())
}

/// Goes on from the lowest mark of the connected sinks. A sink that was not there before begins
/// there too.
fn resume(
    file: &mut Tracked,
    entry: Entry,
    (names, connected): (&SinkNames, SinkSet),
) -> Result<(), Errno> {
    if entry.content != 0 {
        file.set_content(entry.content);
    }
    let content = file.content()?;
    if !entry.sinks.iter().all(|(_, position)| position.holds(content)) {
        tracing::warn!(
            path = %file.path.display(),
            "the file has other content than at the last run; reading it from its beginning"
        );
        file.restart();
        return Ok(());
    }
    let mut ahead = Vec::new();
    for (name, position) in entry.sinks {
        match connected.iter().find(|sink| *names.name(*sink) == *name) {
            Some(sink) => ahead.push((sink, position)),
            None => file.others.push((name, position)),
        }
    }
    let lowest = |positions: &mut dyn Iterator<Item = Position>| {
        positions.min_by_key(|position| position.offset)
    };
    let start = lowest(&mut ahead.iter().map(|(_, position)| *position))
        .or_else(|| lowest(&mut file.others.iter().map(|(_, position)| *position)))
        .unwrap_or_default();
    file.start(start, ahead)
}

/// The beginning of the last line of a file, so that what is added to it is not torn.
fn end_of(file: &mut Tracked) -> Result<Position, Errno> {
    const LOOK_BACK: u64 = 64 << 10;
    let size = u64::try_from(file.about()?.st_size).unwrap_or(0);
    let content = file.content()?;
    // In compressed files, and before they have a line, there is no such place.
    if content.unpacker().is_some() || size == 0 {
        return Ok(Position::default());
    }
    let from = size.saturating_sub(LOOK_BACK);
    let tail = content.read_at(from, size - from)?;
    let line = memchr::memrchr(b'\n', &tail).map_or(size, |newline| from + newline as u64 + 1);
    Position::at(content, if from == 0 && !tail.contains(&b'\n') { 0 } else { line })
}
