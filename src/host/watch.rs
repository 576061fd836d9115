//! Hears of changes to paths: what the kernel tells of the directories that they are in.

use crate::host::machine::seen::{Depth, Seen};
use crate::host::statfs::is_deaf;
use futures::{FutureExt, StreamExt};
use inotify::{EventMask, EventOwned, EventStream, Inotify, WatchDescriptor, WatchMask};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io;
use std::ops::Bound;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Room for so many bytes of news at a time.
const BUFFER_BYTES: usize = 16 << 10;

/// No more changes are told at a time, so that who writes as fast as we read holds up nobody.
const MOST_EVENTS: usize = 1000;

/// The kernel makes these up as they are read, and tells of no change.
const MADE_UP: [&str; 3] = ["/dev", "/proc", "/sys"];

/// A name in a directory does.
const COMES_OR_GOES: EventMask = EventMask::CREATE
    .union(EventMask::DELETE)
    .union(EventMask::MOVED_FROM)
    .union(EventMask::MOVED_TO);

/// The directory does, or what was mounted there.
const ITSELF_GOES: EventMask = EventMask::DELETE_SELF
    .union(EventMask::MOVE_SELF)
    .union(EventMask::IGNORED)
    .union(EventMask::UNMOUNT);

/// What was at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp(Option<Found>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    /// Kind and permissions.
    mode: u32,
    owner: (u32, u32),
    /// Where it leads, if it is a link.
    target: Option<PathBuf>,
    /// Device, inode, size, and when any of it was changed last.
    content: (u64, u64, u64, i64, i64),
}

impl Stamp {
    /// What is at `path` now. What cannot be looked at counts as nothing.
    pub fn of(path: &Path) -> Self {
        let Ok(meta) = fs::symlink_metadata(path) else { return Self(None) };
        Self(Some(Found {
            mode: meta.mode(),
            owner: (meta.uid(), meta.gid()),
            target: if meta.is_symlink() { fs::read_link(path).ok() } else { None },
            content: (meta.dev(), meta.ino(), meta.size(), meta.ctime(), meta.ctime_nsec()),
        }))
    }

    /// Whether it is the same for somebody who looks so closely.
    pub fn is_same(&self, other: &Self, depth: Depth) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) if depth == Depth::Rights => {
                (one.mode, one.owner, &one.target) == (other.mode, other.owner, &other.target)
            }
            (one, other) => one == other,
        }
    }
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Something about these paths.
    Paths(BTreeSet<PathBuf>),
    /// So much that the kernel has lost count.
    Anything,
}

/// Listens to the directories of paths; to the nearest one that there is where one is missing.
pub struct Watch {
    events: EventStream<Vec<u8>>,
    paths: Seen,
    /// By the path that they were set for; and whether all changes there are told.
    directories: HashMap<PathBuf, (WatchDescriptor, bool)>,
    /// One directory can have several paths.
    by_descriptor: HashMap<WatchDescriptor, Vec<PathBuf>>,
    /// Those that nobody tells of.
    polled: BTreeSet<PathBuf>,
}

impl Watch {
    /// Listens to nothing yet.
    ///
    /// # Errors
    /// The kernel has no more of its queues for this user.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            events: Inotify::init()?.into_event_stream(vec![0; BUFFER_BYTES])?,
            paths: Seen::new(),
            directories: HashMap::new(),
            by_descriptor: HashMap::new(),
            polled: BTreeSet::new(),
        })
    }

    /// From now on listens to these paths, and to no others.
    pub fn set(&mut self, paths: Seen) {
        self.paths = paths;
        self.paths.retain(|path, _| !MADE_UP.iter().any(|top| path.starts_with(top)));
        self.listen();
    }

    /// The paths whose changes are not told: the file system does not, or the kernel's limit of
    /// watches is reached.
    pub fn polled(&self) -> &BTreeSet<PathBuf> {
        &self.polled
    }

    /// How many paths it listens to, those that are polled included.
    pub fn count(&self) -> usize {
        self.paths.len()
    }

    /// Sets what watches are missing, and drops those that nothing needs.
    fn listen(&mut self) {
        let mut wanted = HashSet::new();
        self.polled.clear();
        let paths = std::mem::take(&mut self.paths);
        for (path, depth) in &paths {
            let mut deaf = true;
            if *depth == Depth::Content && path.is_dir() {
                deaf = !self.listens_to(path, &mut wanted);
            }
            let nearest = path.ancestors().skip(1).find(|above| above.is_dir());
            if let Some(nearest) = nearest {
                deaf = !self.listens_to(nearest, &mut wanted);
            }
            if deaf {
                self.polled.insert(path.clone());
            }
        }
        self.paths = paths;
        let gone: Vec<PathBuf> =
            self.directories.keys().filter(|path| !wanted.contains(*path)).cloned().collect();
        gone.iter().for_each(|path| self.leave(path));
    }

    /// Whether changes in `directory` will be told.
    fn listens_to(&mut self, directory: &Path, wanted: &mut HashSet<PathBuf>) -> bool {
        if wanted.contains(directory) {
            return self.directories.get(directory).is_some_and(|(_, hears_all)| *hears_all);
        }
        wanted.insert(directory.to_owned());
        let mask = WatchMask::MODIFY
            | WatchMask::ATTRIB
            | WatchMask::CREATE
            | WatchMask::DELETE
            | WatchMask::MOVE
            | WatchMask::DELETE_SELF
            | WatchMask::MOVE_SELF
            | WatchMask::ONLYDIR;
        // Setting it again costs a system call, and finds out that another directory is there.
        let Ok(descriptor) = self.events.watches().add(directory, mask) else {
            self.leave(directory);
            return false;
        };
        let hears_all = !is_deaf(directory);
        if self.directories.get(directory).is_none_or(|(known, _)| *known != descriptor) {
            self.leave(directory);
            self.directories.insert(directory.to_owned(), (descriptor.clone(), hears_all));
            self.by_descriptor.entry(descriptor).or_default().push(directory.to_owned());
        }
        hears_all
    }

    fn leave(&mut self, directory: &Path) {
        let Some((descriptor, _)) = self.directories.remove(directory) else { return };
        let Some(paths) = self.by_descriptor.get_mut(&descriptor) else { return };
        paths.retain(|path| path != directory);
        if paths.is_empty() {
            self.by_descriptor.remove(&descriptor);
            // An error says that the kernel has removed it already.
            self.events.watches().remove(descriptor).ok();
        }
    }

    /// Waits for the next change to one of the paths, or to what leads to it.
    ///
    /// # Errors
    /// The kernel takes its queue back.
    pub async fn news(&mut self) -> io::Result<News> {
        loop {
            let mut told = Told::default();
            let mut next = self.events.next().await;
            for _ in 0..MOST_EVENTS {
                let event = next.ok_or(io::ErrorKind::UnexpectedEof)??;
                if event.mask.contains(EventMask::Q_OVERFLOW) {
                    // What leads to the paths may be other directories by now.
                    self.listen();
                    return Ok(News::Anything);
                }
                self.sort(&event, &mut told);
                match self.events.next().now_or_never() {
                    Some(more) => next = more,
                    None => break,
                }
            }
            if told.way_is_new {
                self.listen();
            }
            if !told.paths.is_empty() {
                return Ok(News::Paths(told.paths));
            }
        }
    }

    /// Adds the paths that an event is about.
    fn sort(&self, event: &EventOwned, told: &mut Told) {
        for directory in self.by_descriptor.get(&event.wd).into_iter().flatten() {
            let (path, moves) = match &event.name {
                Some(name) => (directory.join(name), COMES_OR_GOES),
                None => (directory.clone(), ITSELF_GOES),
            };
            if event.mask.intersects(moves) {
                let below = (Bound::Excluded(&path), Bound::Unbounded);
                let below = self.paths.range::<PathBuf, _>(below).map(|(below, _)| below);
                let before = told.paths.len();
                told.paths.extend(below.take_while(|below| below.starts_with(&path)).cloned());
                told.way_is_new |= told.paths.len() > before;
            }
            let is_listed = self.paths.get(directory) == Some(&Depth::Content);
            if is_listed && event.mask.intersects(COMES_OR_GOES) {
                told.paths.insert(directory.clone());
            }
            if self.paths.contains_key(&path) {
                told.paths.insert(path);
            }
        }
    }
}

/// What some events are about.
#[derive(Default)]
struct Told {
    paths: BTreeSet<PathBuf>,
    /// Something came or went on the way to a path.
    way_is_new: bool,
}
