//! The files that a source follows: finding, recognising, letting go.

use super::ReadFrom;
use super::checkpoint::Entry;
use super::patterns::{Found, Patterns, Walk};
use super::position::{FINGERPRINT_BYTES, Position};
use super::tracked::{Leaving, Tracked};
use super::watch::Watcher;
use crate::event::ack::SinkSet;
use crate::event::log::Origin;
use crate::topology::context::SinkNames;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A file that has been away for so long is forgotten.
const FORGET_AFTER_SECONDS: u64 = 7 * 86_400;

/// How long a renamed file, which its writer may still have open, is read on after it last grew.
const RENAMED_QUIET: Duration = Duration::from_mins(5);

/// The same for a removed file, whose space is free only when it is closed.
const REMOVED_QUIET: Duration = Duration::from_secs(5);

/// How long a file that has lost its name may be quiet before an unfinished last line is taken
/// as it is.
const UNFINISHED_QUIET: Duration = Duration::from_millis(900);

/// All files of one source, by a number that is never used again.
pub(super) struct Catalog {
    patterns: Patterns,
    name: Arc<str>,
    host: Arc<str>,
    pub(super) files: BTreeMap<u64, Tracked>,
    next: u64,
    by_path: HashMap<PathBuf, u64>,
    by_identity: HashMap<(u64, u64), u64>,
    /// What the checkpoint says of files that have not been met again.
    remembered: Vec<Entry>,
    /// Where files begin that nothing is known of.
    begin: ReadFrom,
    complained: HashSet<PathBuf>,
    /// Whether a pattern leads to what does not exist yet, so that nobody would tell.
    pub(super) incomplete: bool,
}

impl Catalog {
    pub(super) fn new(patterns: Patterns, name: Arc<str>, host: Arc<str>) -> Self {
        Self {
            patterns,
            name,
            host,
            files: BTreeMap::new(),
            next: 0,
            by_path: HashMap::new(),
            by_identity: HashMap::new(),
            remembered: Vec::new(),
            begin: ReadFrom::Beginning,
            complained: HashSet::new(),
            incomplete: false,
        }
    }

    /// Takes over what the checkpoint said.
    pub(super) fn remember(&mut self, entries: Vec<Entry>) {
        self.remembered = entries;
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
                }
            } else if let Some(id) = self.adopt(found, sinks) {
                if let Some(file) = self.files.get_mut(&id) {
                    file.polled = polled;
                }
                changed.push(id);
            }
        }
        if !changed.is_empty() {
            self.index();
        }
        changed
    }

    /// Moves each file to the name that it has now; notes which have none any more.
    fn follow_names(&mut self, walk: &Walk) -> Vec<u64> {
        let mut names: HashMap<(u64, u64), Vec<&Path>> = HashMap::new();
        for found in &walk.files {
            names.entry((found.device, found.inode)).or_default().push(&found.path);
        }
        let mut changed = Vec::new();
        for (id, file) in &mut self.files {
            match names.get(&(file.device, file.inode)) {
                Some(paths) => {
                    if let Some(path) = paths.first().filter(|_| !paths.contains(&&*file.path)) {
                        file.path = (*path).to_owned();
                        file.origin = origin(&self.name, &self.host, path);
                        file.at_end = false;
                        changed.push(*id);
                    }
                    file.leaving = None;
                }
                None if file.leaving.is_none() => {
                    file.leaving = Some(Leaving { quiet_since: Instant::now() });
                    file.at_end = false;
                    changed.push(*id);
                }
                None => {}
            }
        }
        changed
    }

    /// Begins to follow a file. Where it cannot be opened that is said once.
    fn adopt(&mut self, found: &Found, sinks: (&SinkNames, SinkSet)) -> Option<u64> {
        let (file, id) = match open(&found.path) {
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
        let known = self.recall(&file, &found.path, id);
        let mut tracked = Tracked::new(file, found.path.clone(), id, self.origin(&found.path));
        let begun = match known {
            Some(entry) => resume(&mut tracked, entry, sinks),
            None if self.begin == ReadFrom::End => {
                end_of(&tracked).and_then(|position| tracked.start(position, Vec::new()))
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

    fn insert(&mut self, tracked: Tracked) -> u64 {
        let id = self.next;
        self.next += 1;
        self.by_identity.insert((tracked.device, tracked.inode), id);
        self.files.insert(id, tracked);
        id
    }

    /// What the checkpoint says of this file, if it is the same one: by inode and first bytes;
    /// or, where it was copied or its file system has another number now, by name and a full
    /// fingerprint.
    fn recall(&mut self, file: &File, path: &Path, id: (u64, u64)) -> Option<Entry> {
        let same_inode = |entry: &&(usize, &Entry)| (entry.1.device, entry.1.inode) == id;
        let same_name = |entry: &&(usize, &Entry)| {
            entry.1.path == path
                && (entry.1.inode == id.1 || entry.1.fingerprint.bytes == FINGERPRINT_BYTES)
                && entry.1.sinks.iter().all(|(_, position)| position.holds(file))
        };
        let entries: Vec<(usize, &Entry)> = self.remembered.iter().enumerate().collect();
        let exact = entries.iter().filter(same_inode);
        let at = exact
            .chain(entries.iter().filter(same_name))
            .find(|(_, entry)| entry.fingerprint.holds(file))
            .map(|(at, _)| *at)?;
        Some(self.remembered.swap_remove(at))
    }

    /// Looks beside their old names for files that were rotated away while nobody watched.
    fn find_rotated(&mut self, sinks: (&SinkNames, SinkSet)) -> Vec<u64> {
        let mut dirs: Vec<PathBuf> = self
            .remembered
            .iter()
            .filter_map(|entry| entry.path.parent().map(Path::to_owned))
            .collect();
        dirs.sort_unstable();
        dirs.dedup();
        let mut fresh = Vec::new();
        for entry in dirs.iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten() {
            let inode = entry.ino();
            let wanted = |known: &Entry| {
                known.inode == inode && known.path.parent() == entry.path().parent()
            };
            let Some(at) = self.remembered.iter().position(wanted) else { continue };
            let known = &self.remembered[at];
            let Ok((file, id)) = open(&entry.path()) else { continue };
            let same = known.fingerprint.holds(&file)
                && known.sinks.iter().all(|(_, position)| position.holds(&file));
            if !same || self.by_identity.contains_key(&id) {
                continue;
            }
            let known = self.remembered.swap_remove(at);
            let path = known.path.clone();
            let mut tracked = Tracked::new(file, path.clone(), id, self.origin(&path));
            tracked.leaving = Some(Leaving { quiet_since: Instant::now() });
            if resume(&mut tracked, known, sinks).is_ok() {
                fresh.push(self.insert(tracked));
            }
        }
        fresh
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

    /// Lets go of files that are gone and quiet. Returns those that have an unfinished last line
    /// to be taken now, and whether any was let go.
    pub(super) fn let_go(&mut self) -> (Vec<u64>, bool) {
        let mut unfinished = Vec::new();
        let mut gone = Vec::new();
        for (id, file) in &mut self.files {
            let Some(leaving) = file.leaving.filter(|_| file.at_end && !file.queued) else {
                continue;
            };
            let quiet = leaving.quiet_since.elapsed();
            if quiet > UNFINISHED_QUIET && !file.flush {
                file.flush = true;
                unfinished.push(*id);
                continue;
            }
            let enough = if file.is_removed() { REMOVED_QUIET } else { RENAMED_QUIET };
            if quiet > enough && file.marks.is_quiet() {
                gone.push(*id);
            }
        }
        for id in &gone {
            if let Some(file) = self.files.remove(id) {
                self.by_identity.remove(&(file.device, file.inode));
            }
        }
        (unfinished, !gone.is_empty())
    }

    /// What the checkpoint is to say; `sinks` are the connected ones.
    pub(super) fn entries(&self, names: &SinkNames, sinks: SinkSet, now: u64) -> Vec<Entry> {
        let fresh = |entry: &&Entry| entry.seen.saturating_add(FORGET_AFTER_SECONDS) > now;
        let known = self.files.values().map(|file| {
            let safe = file.marks.safe(sinks);
            let safe = safe.map(|(sink, position)| (names.name(sink).to_string(), position));
            Entry {
                path: file.path.clone(),
                device: file.device,
                inode: file.inode,
                fingerprint: file.fingerprint(),
                rotated: file.leaving.is_some(),
                seen: now,
                sinks: safe.chain(file.others.iter().cloned()).collect(),
            }
        });
        known.chain(self.remembered.iter().filter(fresh).cloned()).collect()
    }

    fn index(&mut self) {
        let named = self.files.iter().filter(|(_, file)| file.leaving.is_none());
        self.by_path = named.map(|(id, file)| (file.path.clone(), *id)).collect();
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
    Arc::new(Origin { source: Arc::clone(name), host: Arc::clone(host), path })
}

/// Opens a regular file without waiting, whatever stands at its name by now.
fn open(path: &Path) -> Result<(File, (u64, u64)), Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let about =
        file.metadata().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    if about.is_file() { Ok((file, (about.dev(), about.ino()))) } else { Err(Errno::NOENT) }
}

/// Goes on from the lowest mark of the connected sinks. A sink that was not there before begins
/// there too.
fn resume(
    file: &mut Tracked,
    entry: Entry,
    (names, connected): (&SinkNames, SinkSet),
) -> Result<(), Errno> {
    if !entry.sinks.iter().all(|(_, position)| position.holds(file.file())) {
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
fn end_of(file: &Tracked) -> Result<Position, Errno> {
    const LOOK_BACK: u64 = 64 << 10;
    let size = rustix::fs::fstat(file.file())?.st_size;
    let size = u64::try_from(size).unwrap_or(0);
    let from = size.saturating_sub(LOOK_BACK);
    let mut tail = Vec::with_capacity(LOOK_BACK as usize);
    super::position::fill(file.file(), &mut tail, from, size - from)?;
    let line = memchr::memrchr(b'\n', &tail).map_or(size, |newline| from + newline as u64 + 1);
    Position::at(file.file(), if from == 0 && !tail.contains(&b'\n') { 0 } else { line })
}
