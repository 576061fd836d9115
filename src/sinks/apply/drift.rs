//! Drift: which tasks are due because something is not as they left it.

use super::part::{ChangedBy, Due, TaskKey, Watched};
use crate::host::machine::seen::{Depth, Seen, note};
use crate::host::watch::{News, Stamp, Watch};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// What the kernel does not tell is looked at this often.
const POLL: Duration = Duration::from_secs(10);

/// Changes that come together are repaired together.
const GATHER: Duration = Duration::from_millis(2);

/// So often is a task repaired at once; after that somebody fights with it, and it waits for twice as
/// long each time.
const AT_ONCE: u32 = 3;

/// The same for a task that ran and found nothing to do: it reads what changes all the time.
const AT_ONCE_FOR_NOTHING: u32 = 20;

/// So many changed paths of a task are told with who it was: a record stays short where somebody has
/// gone through a whole tree.
const MOST_NAMED: usize = 20;

/// Whom nobody fights with for so long is at peace.
const PEACE: Duration = Duration::from_secs(10 * 60);

/// Which tasks a run was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All there are.
    Whole,
    /// Those that were due since something had drifted.
    Due,
    /// Those that somebody asked for.
    Selected,
}

/// What a task looked at in a run, and how it left that.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) name: String,
    pub(super) watched: Watched,
    /// Whether it changed anything.
    pub(super) has_changed: bool,
    /// Who had changed what it depends on, in words, where that is known.
    pub(super) changed_by: Option<String>,
}

/// What tasks depend on, listened to.
pub(super) struct Drift {
    watch: Watch,
    tasks: HashMap<TaskKey, Seen>,
    /// How the tasks left what they looked at.
    stamps: HashMap<PathBuf, Stamp>,
    /// Which tasks depend on a path, and how closely they look.
    readers: BTreeMap<PathBuf, Vec<(TaskKey, Depth)>>,
    due: BTreeMap<TaskKey, Waiting>,
    repairs: HashMap<TaskKey, Repairs>,
    next_poll: Instant,
    /// The longest that a repair waits.
    interval: Duration,
    /// How many tasks somebody has begun to fight with.
    fights: u64,
}

/// A task that is due.
struct Waiting {
    at: Instant,
    /// What is not as it was left, as closely as the task looks.
    changed: BTreeMap<PathBuf, Depth>,
}

struct Repairs {
    /// How often it had something to put right.
    count: u32,
    /// How often it had not.
    for_nothing: u32,
    last: Instant,
}

impl Drift {
    /// Nothing to listen to yet.
    ///
    /// # Errors
    /// The kernel has no more queues of changes for this user.
    pub(super) fn new(interval: Duration) -> io::Result<Self> {
        Ok(Self {
            watch: Watch::new()?,
            tasks: HashMap::new(),
            stamps: HashMap::new(),
            readers: BTreeMap::new(),
            due: BTreeMap::new(),
            repairs: HashMap::new(),
            next_poll: Instant::now() + POLL,
            interval,
            fights: 0,
        })
    }

    /// How many paths are listened to, how many of them only looked at now and then, and how many
    /// fights there were.
    pub(super) fn counts(&self) -> (usize, usize, u64) {
        (self.watch.count(), self.watch.polled().len(), self.fights)
    }

    /// Waits until tasks are due.
    ///
    /// # Errors
    /// The kernel tells of nothing any more.
    pub(super) async fn next(&mut self) -> io::Result<Due> {
        loop {
            let now = Instant::now();
            let due = self.due.iter().filter(|(_, waiting)| waiting.at <= now);
            let due: Due = due.map(|(key, waiting)| (key.clone(), self.who(waiting))).collect();
            if !due.is_empty() {
                // Once only: a run that fails before it comes to them leaves them to the interval.
                self.due.retain(|key, _| !due.contains_key(key));
                return Ok(due);
            }
            let wake = self.due.values().map(|waiting| waiting.at).min().unwrap_or(self.next_poll);
            tokio::select! {
                news = self.watch.news() => match news? {
                    News::Anything => {
                        let all: Vec<PathBuf> = self.readers.keys().cloned().collect();
                        all.iter().for_each(|path| self.look_at(path));
                    }
                    News::Paths(paths) => paths.iter().for_each(|path| self.look_at(path)),
                },
                () = sleep_until(wake.min(self.next_poll)) => self.poll(),
            }
        }
    }

    fn poll(&mut self) {
        if Instant::now() >= self.next_poll {
            self.next_poll = Instant::now() + POLL;
            let polled = self.watch.polled().clone();
            polled.iter().for_each(|path| self.look_at(path));
        }
    }

    /// Makes those due for whom `path` is not as it was left.
    fn look_at(&mut self, path: &PathBuf) {
        let (Some(left), Some(readers)) = (self.stamps.get(path), self.readers.get(path)) else {
            return;
        };
        let found = Stamp::of(path);
        let readers = readers.iter().filter(|(_, depth)| !left.is_same(&found, *depth));
        let readers: Vec<(TaskKey, Depth)> = readers.cloned().collect();
        for (key, depth) in readers {
            self.is_due(&key).changed.insert(path.clone(), depth);
        }
    }

    fn is_due(&mut self, key: &TaskKey) -> &mut Waiting {
        self.due.entry(key.clone()).or_insert_with(|| {
            let at = Instant::now() + GATHER + delay(self.repairs.get(key), self.interval);
            Waiting { at, changed: BTreeMap::new() }
        })
    }

    /// Who has changed what a task waits for, as far as that is known.
    fn who(&self, waiting: &Waiting) -> Vec<ChangedBy> {
        let known = waiting.changed.iter().filter_map(|(path, depth)| {
            let writer = self.watch.writer(path, self.stamps.get(path)?, *depth)?;
            Some(ChangedBy { path: path.display().to_string(), writer })
        });
        known.take(MOST_NAMED).collect()
    }

    /// Learns what the tasks of a run have looked at.
    pub(super) fn ran(&mut self, looked: Vec<Looked>, extent: Extent) {
        let whole = extent == Extent::Whole;
        if whole {
            self.tasks.clear();
            self.stamps.clear();
            self.due.clear();
        }
        let mut are_known = !whole;
        let mut touched = BTreeSet::new();
        for Looked { name, watched, has_changed, changed_by } in looked {
            let Watched { key, seen, stamps, overtaken } = watched;
            self.due.remove(&key);
            self.stamps.extend(stamps);
            if extent == Extent::Due {
                self.count_repair(&key, &name, has_changed, changed_by.as_deref());
            }
            if overtaken {
                self.is_due(&key);
            }
            are_known &= self.tasks.get(&key) == Some(&seen);
            touched.extend(seen.keys().cloned());
            self.tasks.insert(key, seen);
        }
        if !are_known {
            self.listen();
            touched.extend(self.readers.keys().cloned());
        }
        // What came between a task and the watch.
        touched.iter().for_each(|path| self.look_at(path));
    }

    /// Listens to what the tasks depend on.
    fn listen(&mut self) {
        self.readers.clear();
        let mut paths = Seen::new();
        for (key, seen) in &self.tasks {
            for (path, depth) in seen {
                note(&mut paths, path, *depth);
                self.readers.entry(path.clone()).or_default().push((key.clone(), *depth));
            }
        }
        self.watch.set(paths);
    }

    fn count_repair(
        &mut self,
        key: &TaskKey,
        name: &str,
        has_changed: bool,
        changed_by: Option<&str>,
    ) {
        let now = Instant::now();
        let none = Repairs { count: 0, for_nothing: 0, last: now };
        let repairs = self.repairs.entry(key.clone()).or_insert(none);
        if now.duration_since(repairs.last) > PEACE {
            (repairs.count, repairs.for_nothing) = (0, 0);
        }
        repairs.last = now;
        if !has_changed {
            repairs.for_nothing += 1;
            return;
        }
        repairs.count += 1;
        if repairs.count == AT_ONCE {
            self.fights += 1;
            tracing::warn!(
                name,
                place = key.place,
                changed_by,
                "somebody keeps changing what this task has put right; it is repaired ever more slowly"
            );
        }
    }
}

/// How long the next repair waits.
fn delay(repairs: Option<&Repairs>, longest: Duration) -> Duration {
    let Some(repairs) = repairs.filter(|repairs| repairs.last.elapsed() <= PEACE) else {
        return Duration::ZERO;
    };
    let fought = repairs.count.checked_sub(AT_ONCE);
    let idle = repairs.for_nothing.checked_sub(AT_ONCE_FOR_NOTHING);
    match fought.max(idle) {
        Some(more) => Duration::from_secs(1 << more.min(16)).min(longest),
        None => Duration::ZERO,
    }
}
