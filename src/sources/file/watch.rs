//! Waking up: what the kernel tells of directories and files, and a bell that others can ring.

use crate::host::statfs::is_deaf;
use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::OwnedFd;
use std::collections::{HashMap, HashSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// So often is the kernel asked for news before what there is is told: who writes as fast as we read
/// would hold up everything else, and fill memory.
const MOST_READS: usize = 8;

/// Rings from another thread.
#[derive(Clone, Debug)]
pub(super) struct Bell(Arc<OwnedFd>);

/// What has happened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A file's content.
    Content(PathBuf),
    /// A name appeared, went or got other permissions.
    Name(PathBuf),
    /// Anything may have.
    Anything,
}

/// Listens to directories, to files behind links, and to the bell.
#[derive(Debug)]
pub(super) struct Watcher {
    bell: Bell,
    inotify: Option<Inotify>,
    /// One watch can stand for several paths that lead to one directory.
    paths: HashMap<WatchDescriptor, Vec<PathBuf>>,
    /// What each path led to when its watch was set.
    watched: HashMap<PathBuf, Watched>,
    buffer: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Watched {
    inode: u64,
    /// Whether what is beneath has to be polled as well.
    polled: bool,
}

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self(Arc::new(eventfd(0, flags)?)))
    }

    pub(super) fn ring(&self) {
        // A full counter rings as well.
        rustix::io::write(&*self.0, &1u64.to_ne_bytes()).ok();
    }
}

impl Watcher {
    /// Works without the kernel's help too, by polling.
    pub(super) fn new(bell: Bell) -> Self {
        let inotify = Inotify::init().ok();
        let (paths, watched) = (HashMap::new(), HashMap::new());
        Self { bell, inotify, paths, watched, buffer: vec![0; 16 << 10] }
    }

    /// Listens to a directory. Says whether what is in it has to be polled as well.
    pub(super) fn directory(&mut self, path: &Path) -> bool {
        let mask = WatchMask::MODIFY
            | WatchMask::ATTRIB
            | WatchMask::CREATE
            | WatchMask::DELETE
            | WatchMask::MOVE
            | WatchMask::DELETE_SELF
            | WatchMask::MOVE_SELF
            | WatchMask::ONLYDIR;
        self.listen(path, mask)
    }

    /// Listens to the file that a link leads to.
    pub(super) fn file(&mut self, path: &Path) -> bool {
        self.listen(path, WatchMask::MODIFY | WatchMask::ATTRIB | WatchMask::MOVE_SELF)
    }

    fn listen(&mut self, path: &Path, mask: WatchMask) -> bool {
        let Some(inotify) = &self.inotify else { return true };
        let Ok(inode) = std::fs::metadata(path).map(|meta| meta.ino()) else { return true };
        if let Some(watched) = self.watched.get(path).filter(|watched| watched.inode == inode) {
            return watched.polled;
        }
        // A path may lead elsewhere by now.
        for paths in self.paths.values_mut() {
            paths.retain(|known| known != path);
        }
        let Ok(watch) = inotify.watches().add(path, mask) else { return true };
        let paths = self.paths.entry(watch).or_default();
        if !paths.iter().any(|known| known == path) {
            paths.push(path.to_owned());
        }
        let polled = is_deaf(path);
        self.watched.insert(path.to_owned(), Watched { inode, polled });
        polled
    }

    /// Stops listening to whatever is not in `wanted`.
    pub(super) fn keep(&mut self, wanted: &HashSet<PathBuf>) {
        if self.watched.keys().all(|path| wanted.contains(path)) {
            return;
        }
        self.watched.retain(|path, _| wanted.contains(path));
        let Some(inotify) = &self.inotify else { return };
        self.paths.retain(|watch, paths| {
            paths.retain(|path| wanted.contains(path));
            if paths.is_empty() {
                // An error says that the kernel has removed it already.
                inotify.watches().remove(watch.clone()).ok();
            }
            !paths.is_empty()
        });
    }

    /// Waits for news, for the bell, or for `patience` to end.
    pub(super) fn wait(&mut self, patience: Duration) -> Vec<News> {
        let mut fds = vec![PollFd::new(&*self.bell.0, PollFlags::IN)];
        if let Some(inotify) = &self.inotify {
            fds.push(PollFd::new(inotify, PollFlags::IN));
        }
        let patience = Timespec::try_from(patience).ok();
        // An interrupted wait is a short one.
        if poll(&mut fds, patience.as_ref()).unwrap_or(0) == 0 {
            return Vec::new();
        }
        rustix::io::read(&*self.bell.0, &mut [0u8; 8]).ok();
        self.news()
    }

    fn news(&mut self) -> Vec<News> {
        let mut news = Vec::new();
        let Some(inotify) = &mut self.inotify else { return news };
        for _ in 0..MOST_READS {
            let Ok(events) = inotify.read_events(&mut self.buffer) else { break };
            for event in events {
                if event.mask.contains(EventMask::Q_OVERFLOW) {
                    news.push(News::Anything);
                    continue;
                }
                let gone = event
                    .mask
                    .intersects(EventMask::IGNORED | EventMask::DELETE_SELF | EventMask::MOVE_SELF);
                if gone {
                    for path in self.paths.remove(&event.wd).unwrap_or_default() {
                        self.watched.remove(&path);
                    }
                    news.push(News::Anything);
                    continue;
                }
                let content = event.mask.contains(EventMask::MODIFY);
                for path in self.paths.get(&event.wd).into_iter().flatten() {
                    let path = event.name.map_or_else(|| path.clone(), |name| path.join(name));
                    let one = if content { News::Content(path) } else { News::Name(path) };
                    // Who writes fast is told of again and again.
                    if news.last() != Some(&one) {
                        news.push(one);
                    }
                }
            }
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    #[test]
    fn writes_new_names_and_the_bell_wake_the_reader() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let bell = Bell::new().unwrap();
        let mut watcher = Watcher::new(bell.clone());
        watcher.directory(dir.path());
        fs::write(&path, "x").unwrap();
        let news = watcher.wait(Duration::from_secs(10));
        assert!(news.contains(&News::Name(path.clone())), "{news:?}");
        assert!(news.contains(&News::Content(path)), "{news:?}");
        bell.ring();
        assert_eq!(watcher.wait(Duration::from_secs(10)), []);
        watcher.keep(&HashSet::new());
        fs::write(dir.path().join("other"), "x").unwrap();
        assert!(watcher.wait(Duration::ZERO).iter().all(|news| *news == News::Anything));
    }

    #[test]
    fn who_writes_without_an_end_is_told_of_in_pieces() {
        let dir = tempfile::tempdir().unwrap();
        let mut watcher = Watcher::new(Bell::new().unwrap());
        watcher.directory(dir.path());
        let paths = ["a", "b"].map(|name| dir.path().join(name));
        let mut files = paths.each_ref().map(|path| fs::File::create(path).unwrap());
        for at in 0..10_000 {
            files[at % 2].write_all(b"x").unwrap();
        }
        let first = watcher.wait(Duration::from_secs(10)).len();
        assert!(first < 10_000, "{first}");
        let mut last = Vec::new();
        loop {
            match watcher.wait(Duration::ZERO) {
                news if news.is_empty() => break,
                news => last = news,
            }
        }
        assert_eq!(last.last(), Some(&News::Content(paths[1].clone())));
    }
}
