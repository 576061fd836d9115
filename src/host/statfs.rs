//! Asks file systems how full they are, without ever waiting long for one that hangs.
//!
//! A mount whose server is gone can hold `statfs` for hours, and nothing can interrupt it. So the
//! question is asked on helper threads, and a mount that has not answered costs its helper, and
//! nobody else: it is not asked again until that helper comes back.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::statvfs::statvfs;

/// How long a helper may be silent before the mounts behind the one it asks get another helper.
const PATIENCE: Duration = Duration::from_millis(200);

/// File systems whose changes may be made elsewhere, so that this kernel does not hear of them:
/// NFS, SMB, CIFS, SMB2, FUSE, 9P, Ceph, AFS, GPFS, Lustre, overlay.
const DEAF: [u32; 11] = [
    0x6969,
    0x517b,
    0xff53_4d42,
    0xfe53_4d42,
    0x6573_5546,
    0x0102_1997,
    0x00c3_6400,
    0x5346_414f,
    0x4750_4653,
    0x0bd0_0bd0,
    0x794c_7630,
];

/// Whether the file system at `path` may change without this kernel hearing of it.
pub fn is_deaf(path: &Path) -> bool {
    rustix::fs::statfs(path)
        .is_ok_and(|about| u32::try_from(about.f_type).is_ok_and(|kind| DEAF.contains(&kind)))
}

/// How full a file system is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Size in bytes.
    pub size_bytes: f64,
    /// Bytes that nothing uses.
    pub free_bytes: f64,
    /// Bytes that users other than root may still use.
    pub available_bytes: f64,
    /// Number of files that there is room for.
    pub files: f64,
    /// Number of files that may still be made.
    pub files_free: f64,
}

/// What came of asking one mount.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    /// It is this full.
    Usage(Usage),
    /// The kernel refused.
    Refused(Errno),
    /// It did not answer in time, now or earlier, and still has not.
    Stuck,
}

type Question = dyn Fn(&Path) -> Result<Usage, Errno> + Send + Sync;

/// Helper threads that ask mounts. Dropping it lets idle helpers go at once, and each stuck one
/// when its mount answers.
pub struct Watchdog {
    shared: Arc<Shared>,
}

struct Shared {
    question: Box<Question>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Mounts that no helper has taken up yet.
    queue: VecDeque<Arc<Path>>,
    /// Mounts that a helper is asking.
    asked: HashSet<Arc<Path>>,
    /// What came back since the last round began.
    answers: HashMap<Arc<Path>, Result<Usage, Errno>>,
    /// Helpers that wait for work.
    idle: usize,
    /// Set when nobody will ask again.
    closed: bool,
}

impl Default for Watchdog {
    fn default() -> Self {
        Self::new(usage)
    }
}

impl Watchdog {
    /// Asks with `question` instead of the kernel.
    fn new(question: impl Fn(&Path) -> Result<Usage, Errno> + Send + Sync + 'static) -> Self {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Self { shared: Arc::new(Shared { question: Box::new(question), state, changed }) }
    }

    /// Asks all `mounts` and waits at most `limit` for all of them together. The answers are in
    /// the order of `mounts`.
    pub fn ask(&self, mounts: &[Arc<Path>], limit: Duration) -> Vec<Answer> {
        let deadline = Instant::now() + limit;
        let mut state = self.shared.lock();
        state.answers.clear();
        let mut open: HashSet<&Arc<Path>> =
            mounts.iter().filter(|mount| !state.asked.contains(*mount)).collect();
        state.queue.extend(open.iter().copied().cloned());
        if state.idle == 0 {
            self.shared.add_helper();
        }
        self.shared.changed.notify_all();
        let mut last_news = Instant::now();
        while !open.is_empty() && Instant::now() < deadline {
            let before = state.answers.len();
            let until = deadline.min(last_news + PATIENCE);
            let wait = until.saturating_duration_since(Instant::now());
            let waited = self.shared.changed.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if state.answers.len() > before {
                open.retain(|mount| !state.answers.contains_key(*mount));
                last_news = Instant::now();
            } else if Instant::now() >= until {
                if !state.queue.is_empty() {
                    self.shared.add_helper();
                }
                last_news = Instant::now();
            }
        }
        state.queue.clear();
        let answer = |mount: &Arc<Path>| match state.answers.get(mount) {
            Some(Ok(usage)) => Answer::Usage(*usage),
            Some(Err(errno)) => Answer::Refused(*errno),
            None => Answer::Stuck,
        };
        mounts.iter().map(answer).collect()
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more helper. Where the host gives no more threads, the mounts behind stay unanswered.
    fn add_helper(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        let started = thread::Builder::new()
            .name("statfs".into())
            .stack_size(128 * 1024)
            .spawn(move || shared.help());
        if let Err(error) = started {
            tracing::warn!(%error, "no thread to ask mounts with");
        }
    }

    /// A helper's life: it takes mounts from the queue until none wants it.
    fn help(&self) {
        let mut state = self.lock();
        loop {
            if let Some(mount) = state.queue.pop_front() {
                state.asked.insert(mount.clone());
                drop(state);
                let answer = (self.question)(&mount);
                state = self.lock();
                state.asked.remove(&mount);
                state.answers.insert(mount, answer);
                self.changed.notify_all();
            } else if state.closed || state.idle > 0 {
                return; // one idle helper is enough
            } else {
                state.idle += 1;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
    }
}

/// Asks one mount on this thread, for those that cannot hang.
pub fn ask(mount: &Path) -> Answer {
    usage(mount).map_or_else(Answer::Refused, Answer::Usage)
}

fn usage(mount: &Path) -> Result<Usage, Errno> {
    let told = statvfs(mount)?;
    let block = told.fragment_size() as f64;
    Ok(Usage {
        size_bytes: told.blocks() as f64 * block,
        free_bytes: told.blocks_free() as f64 * block,
        available_bytes: told.blocks_available() as f64 * block,
        files: told.files() as f64,
        files_free: told.files_free() as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn paths(names: &[&str]) -> Vec<Arc<Path>> {
        names.iter().map(|name| Path::new(name).into()).collect()
    }

    #[test]
    fn the_root_file_system_has_a_size_and_a_missing_one_says_why_not() {
        let mounts = paths(&["/", "/no/such/mount"]);
        let answers = Watchdog::default().ask(&mounts, Duration::from_secs(5));
        let Answer::Usage(root) = answers[0] else { panic!("{:?}", answers[0]) };
        assert!(root.size_bytes >= root.free_bytes && root.free_bytes >= root.available_bytes);
        assert_eq!(answers[1], Answer::Refused(Errno::ENOENT));
    }

    #[test]
    fn a_stuck_mount_costs_only_itself_and_is_not_asked_again_until_it_answers() {
        let (release, held) = mpsc::channel::<()>();
        let (count, asked) = mpsc::channel::<()>();
        let (held, count) = (Mutex::new(held), Mutex::new(count));
        let watchdog = Watchdog::new(move |mount| {
            if mount == Path::new("/stuck") {
                count.lock().unwrap().send(()).unwrap();
                held.lock().unwrap().recv().unwrap();
            }
            Ok(Usage::default())
        });
        let fine = Answer::Usage(Usage::default());
        let mounts = paths(&["/a", "/stuck", "/b", "/c"]);
        let limit = Duration::from_millis(600);
        assert_eq!(watchdog.ask(&mounts, limit), [fine, Answer::Stuck, fine, fine]);

        let again = Instant::now();
        let minutes = Duration::from_secs(120);
        assert_eq!(watchdog.ask(&mounts, minutes), [fine, Answer::Stuck, fine, fine]);
        assert!(again.elapsed() < minutes, "the second round waits for nobody");
        assert_eq!(asked.try_iter().count(), 1, "one thread hangs, not one a round");

        release.send(()).unwrap();
        release.send(()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while watchdog.ask(&mounts, minutes) != [fine; 4] {
            assert!(Instant::now() < deadline, "the mount answers again, but is not asked");
        }
    }
}
