//! Tells which process wrote to a file: what the kernel's fanotify says of directories.
//!
//! It only listens. Nobody who opens or writes a file ever waits for it.

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::fanotify::{EventFFlags, Fanotify, FanotifyEvent, InitFlags, MarkFlags, MaskFlags};
use nix::sys::stat::fstat;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fs;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// So many files are remembered by who has written them; after that the oldest is forgotten.
const MOST_FILES: usize = 1024;

/// So often news are taken at a time, so that who writes as fast as we read holds up nobody.
const MOST_READS: usize = 64;

/// Where news come all the time, they are taken so seldom, in milliseconds.
const PAUSE_MS: u8 = 10;

/// Stack of the thread that listens, in bytes.
const STACK_BYTES: usize = 64 << 10;

/// What is written to, and what somebody had open for that.
const WRITES: MaskFlags =
    MaskFlags::FAN_MODIFY.union(MaskFlags::FAN_CLOSE_WRITE).union(MaskFlags::FAN_EVENT_ON_CHILD);

/// A process that wrote to a file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Writer {
    /// Its number.
    pub pid: u32,
    /// Its program, in letters: anybody may give a file a name that is none. `None` where it was gone
    /// before one could look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exe: Option<String>,
    /// The number of the user whose it is, not of the one whose rights it has taken on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
}

impl Writer {
    /// What `/proc` says of the process as of now.
    ///
    /// - Source: `/proc/PID/exe`, and `Uid` in `/proc/PID/status`.
    fn of(pid: u32) -> Self {
        let place = PathBuf::from(format!("/proc/{pid}"));
        let status = fs::read_to_string(place.join("status")).unwrap_or_default();
        let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"));
        let uid = uid.and_then(|numbers| numbers.split_whitespace().next()?.parse().ok());
        let exe = fs::read_link(place.join("exe")).ok();
        Self { pid, exe: exe.map(|exe| exe.to_string_lossy().into_owned()), uid }
    }
}

/// Which file it is, whatever its name: device and inode.
type File = (u64, u64);

/// When anything about a file was changed last, in seconds and nanoseconds since the epoch.
type Changed = (i64, i64);

/// Listens to directories.
pub struct Writers {
    heard: Arc<Heard>,
    listened_to: BTreeSet<PathBuf>,
    /// The thread ends when this is closed.
    _goes_on: PipeWriter,
}

/// What was heard, by the thread that waits for it and by whoever asks.
struct Heard {
    group: Fanotify,
    traces: Mutex<Traces>,
}

#[derive(Default)]
struct Traces {
    by_file: HashMap<File, (Writer, Changed)>,
    /// The same files, the one that was first heard of at the front.
    order: VecDeque<File>,
    has_overflowed: bool,
}

impl Writers {
    /// Listens to nothing yet.
    ///
    /// # Errors
    /// The kernel has no fanotify, or does not let this process: it takes `CAP_SYS_ADMIN`.
    pub fn new() -> io::Result<Self> {
        let flags = InitFlags::FAN_CLASS_NOTIF | InitFlags::FAN_CLOEXEC | InitFlags::FAN_NONBLOCK;
        // The kernel opens for us what was written to, and that must not wait for the other end of
        // a pipe.
        let opens = EventFFlags::O_RDONLY
            | EventFFlags::O_LARGEFILE
            | EventFFlags::O_CLOEXEC
            | EventFFlags::O_NONBLOCK;
        let group = Fanotify::init(flags, opens)?;
        let heard = Arc::new(Heard { group, traces: Mutex::default() });
        let (ends, goes_on) = io::pipe()?;
        let listener = Arc::clone(&heard);
        thread::Builder::new()
            .name("writers".into())
            .stack_size(STACK_BYTES)
            .spawn(move || listener.listen(&ends))?;
        Ok(Self { heard, listened_to: BTreeSet::new(), _goes_on: goes_on })
    }

    /// From now on listens to what is written to the files of these directories, and to no others. Those
    /// that it has listened to before are not let go of in between.
    pub fn set<'p>(&mut self, directories: impl Iterator<Item = &'p Path>) {
        let wanted: BTreeSet<PathBuf> = directories.map(Path::to_owned).collect();
        let group = &self.heard.group;
        let remove = MarkFlags::FAN_MARK_REMOVE | MarkFlags::FAN_MARK_ONLYDIR;
        let let_go = |path: &PathBuf| group.mark(remove, WRITES, AT_FDCWD, Some(path.as_path()));
        // One that is somewhere else by now cannot be named.
        if self.listened_to.difference(&wanted).any(|path| let_go(path).is_err()) {
            let none = None::<&Path>;
            let flushed = group.mark(MarkFlags::FAN_MARK_FLUSH, MaskFlags::empty(), AT_FDCWD, none);
            if let Err(error) = flushed {
                tracing::debug!(%error, "fanotify still tells of directories that no task looks at");
            }
        }
        let add = MarkFlags::FAN_MARK_ADD | MarkFlags::FAN_MARK_ONLYDIR;
        let mut refused = None;
        // Another one may be at the same place, so that all are named again.
        for directory in &wanted {
            if let Err(error) = group.mark(add, WRITES, AT_FDCWD, Some(directory.as_path())) {
                refused.get_or_insert((directory, error));
            }
        }
        if let Some((directory, error)) = refused {
            let directory = directory.display();
            tracing::debug!(%directory, %error, "who writes here, and maybe elsewhere, is not told");
        }
        self.listened_to = wanted;
    }

    /// Who wrote last to this file, where that is known and was after `since`.
    pub fn of(&self, file: File, since: Option<Changed>) -> Option<Writer> {
        self.heard.take();
        let traces = self.heard.traces.lock().unwrap_or_else(PoisonError::into_inner);
        let (writer, changed) = traces.by_file.get(&file)?;
        since.is_none_or(|since| since < *changed).then(|| writer.clone())
    }
}

impl Heard {
    /// Takes what there is to hear, until `ends` is closed at its other end.
    fn listen(&self, ends: &PipeReader) {
        let end = || PollFd::new(ends.as_fd(), PollFlags::POLLIN);
        loop {
            let mut both = [end(), PollFd::new(self.group.as_fd(), PollFlags::POLLIN)];
            if has_ended(&mut both, PollTimeout::NONE) {
                return;
            }
            self.take();
            if has_ended(&mut [end()], PollTimeout::from(PAUSE_MS)) {
                return;
            }
        }
    }

    /// Takes what there is to hear now. A process is looked at right then, since it may soon be gone.
    fn take(&self) {
        let mut traces = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..MOST_READS {
            // There is nothing more, as a rule.
            let Ok(events) = self.group.read_events() else { return };
            events.iter().for_each(|event| traces.hear(event));
        }
    }
}

/// Waits for news. Whether the first of what is waited for is closed, or nothing can be waited for.
fn has_ended(what: &mut [PollFd<'_>], time: PollTimeout) -> bool {
    match poll(what, time) {
        Ok(_) => what.first().and_then(PollFd::any) == Some(true),
        Err(Errno::EINTR) => false,
        Err(error) => {
            tracing::debug!(%error, "who writes is told no more");
            true
        }
    }
}

impl Traces {
    fn hear(&mut self, event: &FanotifyEvent) {
        let Some(descriptor) = event.fd() else {
            if !self.has_overflowed {
                tracing::debug!("so much is written that the kernel does not say by whom");
            }
            *self = Self { has_overflowed: true, ..Self::default() };
            return;
        };
        let Ok(about) = fstat(descriptor) else { return };
        let file = (about.st_dev, about.st_ino);
        // The kernel says 0 of one that cannot be seen from here, as from within a container.
        let pid = u32::try_from(event.pid()).ok().filter(|pid| *pid != 0);
        match pid.filter(|pid| *pid != std::process::id()) {
            Some(pid) => self.note(file, Writer::of(pid), (about.st_ctime, about.st_ctime_nsec)),
            None => self.forget(file),
        }
    }

    fn note(&mut self, file: File, mut writer: Writer, changed: Changed) {
        match self.by_file.get(&file) {
            // It has ended meanwhile, and somebody has looked before.
            Some((known, _)) if known.pid == writer.pid && writer.exe.is_none() => {
                writer = known.clone();
            }
            Some(_) => {}
            None => self.order.push_back(file),
        }
        self.by_file.insert(file, (writer, changed));
        if self.order.len() > MOST_FILES
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_file.remove(&oldest);
        }
    }

    fn forget(&mut self, file: File) {
        if self.by_file.remove(&file).is_some() {
            self.order.retain(|known| *known != file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    fn file_at(path: &Path) -> File {
        let about = fs::metadata(path).unwrap();
        (about.dev(), about.ino())
    }

    #[test]
    fn who_wrote_last_is_told_and_own_writes_are_nobody_s() {
        let Ok(mut writers) = Writers::new() else { return };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "ours").unwrap();
        writers.set([dir.path()].into_iter());
        let told = || writers.of(file_at(&path), None);
        let mut other = Command::new("sh")
            .args(["-c", "echo theirs > \"$0\" && read -r line", path.to_str().unwrap()])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while told().is_none() && Instant::now() < deadline {
            thread::yield_now();
        }
        let writer = told().unwrap();
        let exe = fs::read_link(format!("/proc/{}/exe", other.id())).ok();
        let exe = exe.map(|exe| exe.display().to_string());
        let uid = Some(nix::unistd::getuid().as_raw());
        assert_eq!(writer, Writer { pid: other.id(), exe, uid });
        let about = fs::metadata(&path).unwrap();
        let since = Some((about.ctime(), about.ctime_nsec()));
        assert_eq!(writers.of(file_at(&path), since), None, "nobody has written since then");
        drop(other.stdin.take());
        other.wait().unwrap();
        fs::write(&path, "ours again").unwrap();
        assert_eq!(told(), None);
    }

    #[test]
    fn of_many_files_the_latest_are_remembered() {
        let mut traces = Traces::default();
        let writer = Writer { pid: 7, exe: None, uid: None };
        for inode in 0..2000 {
            traces.note((1, inode), writer.clone(), (0, 0));
        }
        assert_eq!((traces.by_file.len(), traces.order.len()), (MOST_FILES, MOST_FILES));
        assert!(traces.by_file.contains_key(&(1, 1999)) && !traces.by_file.contains_key(&(1, 0)));
        traces.forget((1, 1999));
        assert_eq!((traces.by_file.len(), traces.order.len()), (MOST_FILES - 1, MOST_FILES - 1));
    }
}
