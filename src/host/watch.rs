//! Hears of changes to paths: what the kernel tells of the directories that they are in.

use crate::host::machine::seen::{Depth, Seen};
use crate::host::statfs::is_deaf;
use crate::host::writers::{Writer, Writers};
use futures::{FutureExt, StreamExt};
use inotify::{EventMask, EventOwned, EventStream, Inotify, WatchDescriptor, WatchMask};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
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

/// What leads to a path changes, or to the directory that it is in. Two paths can lead to the same
/// directory, so what was asked for it before stays.
const WAYS: WatchMask = WatchMask::CREATE
    .union(WatchMask::DELETE)
    .union(WatchMask::MOVE)
    .union(WatchMask::DELETE_SELF)
    .union(WatchMask::MOVE_SELF)
    .union(WatchMask::ONLYDIR)
    .union(WatchMask::MASK_ADD);

/// Content and rights as well.
const EVERY_CHANGE: WatchMask = WAYS.union(WatchMask::MODIFY).union(WatchMask::ATTRIB);

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

/// Listens to the directories of paths, and to all that lead to them.
pub struct Watch {
    events: EventStream<Vec<u8>>,
    paths: Seen,
    /// By the path that they were set for.
    directories: HashMap<PathBuf, WatchDescriptor>,
    /// One directory can have several paths.
    by_descriptor: HashMap<WatchDescriptor, Vec<PathBuf>>,
    /// Those that nobody tells of.
    polled: BTreeSet<PathBuf>,
    /// Where the kernel says who writes.
    writers: Option<Writers>,
}

impl Watch {
    /// Listens to nothing yet.
    ///
    /// # Errors
    /// The kernel has no more of its queues for this user.
    pub fn new() -> io::Result<Self> {
        let writers = Writers::new().inspect_err(|error| {
            let needs = "fanotify, and the capability CAP_SYS_ADMIN";
            tracing::info!(%error, needs, "it cannot be told which process changes a file");
        });
        Ok(Self {
            events: Inotify::init()?.into_event_stream(vec![0; BUFFER_BYTES])?,
            paths: Seen::new(),
            directories: HashMap::new(),
            by_descriptor: HashMap::new(),
            polled: BTreeSet::new(),
            writers: writers.ok(),
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

    /// Which process has written what is at `path` since somebody who looks so closely `left` it,
    /// where the kernel tells. Who renames, removes or only changes rights it does not tell.
    pub fn writer(&self, path: &Path, left: &Stamp, depth: Depth) -> Option<Writer> {
        let file = |found: &Found| (found.content.0, found.content.1);
        let found = file(Stamp::of(path).0.as_ref()?);
        let is_same = left.0.as_ref().is_some_and(|left| file(left) == found);
        if is_same && depth == Depth::Rights {
            return None;
        }
        let since = left.0.as_ref().map(|left| (left.content.3, left.content.4));
        self.writers.as_ref()?.of(found, since)
    }

    /// Sets what watches are missing, and drops those that nothing needs. In the directories that
    /// paths are in every change counts, in those above what is made, removed and renamed.
    fn listen(&mut self) {
        let mut wanted = BTreeMap::new();
        let mut places = Vec::with_capacity(self.paths.len());
        for (path, depth) in &self.paths {
            let itself = Some(&**path).filter(|path| *depth == Depth::Content && path.is_dir());
            let mut above = path.ancestors().skip(1).skip_while(|above| !above.is_dir());
            let nearest = above.next();
            for directory in itself.into_iter().chain(nearest) {
                wanted.insert(directory.to_owned(), EVERY_CHANGE);
            }
            for directory in above {
                wanted.entry(directory.to_owned()).or_insert(WAYS);
            }
            places.push((path.clone(), itself.map(Path::to_owned), nearest.map(Path::to_owned)));
        }
        let gone: Vec<PathBuf> =
            self.directories.keys().filter(|path| !wanted.contains_key(*path)).cloned().collect();
        gone.iter().for_each(|path| self.leave(path));
        let told: Vec<PathBuf> = wanted
            .iter()
            .filter(|(_, mask)| **mask == EVERY_CHANGE)
            .map(|(path, _)| path.clone())
            .collect();
        let heard: HashSet<PathBuf> =
            wanted.into_iter().filter_map(|(path, mask)| self.hears(path, mask)).collect();
        if let Some(writers) = &mut self.writers {
            writers.set(told.iter().filter(|path| heard.contains(*path)).map(PathBuf::as_path));
        }
        let is_told = |(_, itself, nearest): &(_, Option<PathBuf>, Option<PathBuf>)| {
            nearest.is_some() && itself.iter().chain(nearest).all(|path| heard.contains(path))
        };
        places.retain(|place| !is_told(place));
        self.polled = places.into_iter().map(|(path, ..)| path).collect();
    }

    /// Listens to `directory`, and returns it where all that happens there will be told.
    fn hears(&mut self, directory: PathBuf, mask: WatchMask) -> Option<PathBuf> {
        // Setting it again costs a system call, and finds out that another directory is there.
        let Ok(descriptor) = self.events.watches().add(&directory, mask) else {
            self.leave(&directory);
            return None;
        };
        if self.directories.get(&directory) != Some(&descriptor) {
            self.leave(&directory);
            self.directories.insert(directory.clone(), descriptor.clone());
            self.by_descriptor.entry(descriptor).or_default().push(directory.clone());
        }
        (!is_deaf(&directory)).then_some(directory)
    }

    fn leave(&mut self, directory: &Path) {
        let Some(descriptor) = self.directories.remove(directory) else { return };
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;
    use tokio::time::timeout;

    /// The paths that are told to have changed, relative to `root`; nothing where none is.
    async fn told(watch: &mut Watch, root: &Path) -> Vec<String> {
        let Ok(Ok(News::Paths(paths))) = timeout(Duration::from_secs(1), watch.news()).await else {
            return Vec::new();
        };
        let below = paths.iter().filter_map(|path| path.strip_prefix(root).ok());
        below.map(|path| path.display().to_string()).collect()
    }

    #[tokio::test]
    async fn what_happens_to_a_path_is_told_and_what_happens_beside_it_is_not() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::write(at("own"), "as it should be").unwrap();
        fs::create_dir(at("listed")).unwrap();
        let mut watch = Watch::new().unwrap();
        watch.set(Seen::from([
            (at("own"), Depth::Content),
            (at("listed"), Depth::Content),
            (at("rights"), Depth::Rights),
        ]));
        assert!(watch.polled().is_empty());
        fs::write(at("other"), "of somebody else").unwrap();
        fs::write(at("own"), "otherwise").unwrap();
        assert_eq!(told(&mut watch, root.path()).await, ["own"]);
        fs::write(at("listed/new"), "").unwrap();
        assert_eq!(told(&mut watch, root.path()).await, ["listed"]);
        fs::create_dir(at("rights")).unwrap();
        assert_eq!(told(&mut watch, root.path()).await, ["rights"]);
        fs::set_permissions(at("rights"), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(told(&mut watch, root.path()).await, ["rights"]);
        watch.set(Seen::new());
        fs::write(at("own"), "once more").unwrap();
        assert_eq!(told(&mut watch, root.path()).await, [""; 0]);
    }

    #[tokio::test]
    async fn a_path_is_followed_where_the_way_to_it_comes_and_goes() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let mut watch = Watch::new().unwrap();
        watch.set(Seen::from([(at("a/b/file"), Depth::Content)]));
        fs::create_dir(at("a")).unwrap();
        assert_eq!(told(&mut watch, root.path()).await, ["a/b/file"]);
        fs::create_dir(at("a/b")).unwrap();
        assert_eq!(told(&mut watch, root.path()).await, ["a/b/file"]);
        while !told(&mut watch, root.path()).await.is_empty() {}
        fs::write(at("a/b/file"), "here").unwrap();
        assert_eq!(told(&mut watch, root.path()).await, ["a/b/file"]);
        while !told(&mut watch, root.path()).await.is_empty() {}
        fs::rename(at("a"), at("elsewhere")).unwrap();
        assert_eq!(told(&mut watch, root.path()).await, ["a/b/file"]);
        while !told(&mut watch, root.path()).await.is_empty() {}
        fs::write(at("elsewhere/b/file"), "no longer ours").unwrap();
        assert_eq!(told(&mut watch, root.path()).await, [""; 0]);
        fs::rename(at("elsewhere"), at("a")).unwrap();
        assert_eq!(told(&mut watch, root.path()).await, ["a/b/file"]);
    }

    #[tokio::test]
    async fn what_the_kernel_makes_up_as_it_is_read_is_not_listened_to() {
        let mut watch = Watch::new().unwrap();
        watch.set(Seen::from([(PathBuf::from("/proc/version"), Depth::Content)]));
        assert_eq!(watch.count(), 0);
        assert!(watch.polled().is_empty());
    }
}
