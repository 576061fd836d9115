//! How far the runs of the desired state are, for whoever waits for the record of them or asks for
//! one.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

/// So many runs of a part can be asked for before the first of them begins.
const MOST_PARTS: usize = 64;

/// What is known of the runs in this process. Clones share it.
#[derive(Clone, Debug)]
pub struct Runs {
    progress: watch::Sender<Progress>,
    /// How many runs were asked for.
    asked: watch::Sender<u64>,
    /// Runs of a part that were asked for.
    parts: watch::Sender<VecDeque<Part>>,
}

/// A run of some tasks that is asked for.
#[derive(Debug)]
pub struct Part {
    /// Only tasks with one of these tags; all where there are none.
    pub tags: Vec<String>,
    /// No tasks with one of these.
    pub skip_tags: Vec<String>,
    /// Where it is told what it came to; dropped where it will never be run.
    pub answer: oneshot::Sender<Recap>,
}

/// How far they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// One is under way.
    pub running: bool,
    /// Whoever runs them has come to the end of its input.
    pub ended: bool,
    /// The last one did not bring about all that is declared.
    pub failed: bool,
    /// How many of those that were asked for have been answered by a whole run.
    pub answered: u64,
    /// What the last whole run came to.
    pub last: Option<Arc<Recap>>,
    /// Who had changed what was repaired last, by the place of the task, where that is known.
    pub changed_by: Arc<BTreeMap<String, String>>,
    /// When the next one is due, in seconds since the epoch, where that is known.
    pub next_seconds: Option<f64>,
}

/// What a whole run came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recap {
    /// Which desired state.
    pub revision: String,
    /// When it ended, in seconds since the epoch.
    pub at_seconds: f64,
    /// How long it took.
    pub duration_seconds: f64,
    /// Whether something that is declared was not brought about.
    pub failed: bool,
    /// Tasks by how they ended: `ok`, `changed`, `failed`, `skipped`, `rescued`, `ignored`.
    pub tasks: Vec<(String, u64)>,
    /// What failed and why, one line each.
    pub failures: Vec<String>,
}

impl Default for Runs {
    fn default() -> Self {
        let progress = watch::Sender::new(Progress::default());
        Self { progress, asked: watch::Sender::new(0), parts: watch::Sender::default() }
    }
}

impl Runs {
    /// How far they are, and how to hear when that changes.
    pub fn watch(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Asks for a whole run now. It is done once [`Progress::answered`] has come to what this gives.
    pub fn ask(&self) -> u64 {
        let mut number = 0;
        self.asked.send_modify(|asked| {
            *asked += 1;
            number = *asked;
        });
        number
    }

    /// Returns once a run is asked for that none has answered.
    pub async fn asked(&self) {
        let answered = self.progress.borrow().answered;
        // Whoever could ask is this very value.
        self.asked.subscribe().wait_for(|asked| *asked > answered).await.ok();
    }

    /// Asks for a run of some tasks; gives the part back where too many wait already.
    ///
    /// # Errors
    /// That one.
    pub fn ask_part(&self, part: Part) -> Result<(), Part> {
        let mut left = Some(part);
        self.parts.send_if_modified(|parts| {
            let has_room = parts.len() < MOST_PARTS;
            parts.extend(left.take_if(|_| has_room));
            has_room
        });
        left.map_or(Ok(()), Err)
    }

    /// Returns once a run of some tasks is asked for.
    pub async fn part_asked(&self) {
        // Whoever could ask is this very value.
        self.parts.subscribe().wait_for(|parts| !parts.is_empty()).await.ok();
    }

    /// The run of some tasks that was asked for first.
    pub fn next_part(&self) -> Option<Part> {
        let mut next = None;
        self.parts.send_modify(|parts| next = parts.pop_front());
        next
    }

    /// A run begins; gives how many it answers where it is a whole one.
    pub fn begin(&self) -> u64 {
        let asked = *self.asked.borrow();
        self.progress.send_modify(|progress| progress.running = true);
        asked
    }

    /// The run is over, which is not a whole one. `changed_by` tells who had changed what it was for.
    pub fn end(&self, failed: bool, changed_by: BTreeMap<String, String>) {
        self.progress.send_modify(|progress| {
            progress.running = false;
            progress.failed = failed;
            progress.changed_by = Arc::new(changed_by);
        });
    }

    /// The run is over, which is a whole one: it answers so many that were asked for.
    pub fn end_whole(&self, recap: Recap, answers: u64, next_seconds: f64) {
        self.progress.send_modify(|progress| {
            progress.running = false;
            progress.failed = recap.failed;
            progress.changed_by = Arc::default();
            progress.answered = progress.answered.max(answers);
            progress.next_seconds = Some(next_seconds);
            progress.last = Some(Arc::new(recap));
        });
    }

    /// Whoever runs them begins to wait for its input, or has come to its end.
    pub fn set_ended(&self, ended: bool) {
        self.progress.send_modify(|progress| progress.ended = ended);
        if ended {
            self.parts.send_modify(VecDeque::clear);
        }
    }

    /// Whether one is under way.
    pub fn is_running(&self) -> bool {
        self.progress.borrow().running
    }

    /// Whether the last one failed.
    pub fn last_failed(&self) -> bool {
        self.progress.borrow().failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn only_a_run_that_begins_after_it_was_asked_for_answers() {
        let runs = Runs::default();
        let before = runs.begin();
        let number = runs.ask();
        runs.end_whole(Recap::default(), before, 0.0);
        assert!(runs.watch().borrow().answered < number);
        assert!(runs.asked().now_or_never().is_some(), "it is still asked for");
        let after = runs.begin();
        runs.end_whole(Recap::default(), after, 0.0);
        assert_eq!(runs.watch().borrow().answered, number);
        assert!(runs.asked().now_or_never().is_none());
    }

    #[test]
    fn runs_of_parts_wait_in_order_not_without_bound_and_hear_when_there_will_be_none() {
        let runs = Runs::default();
        let ask = |tag: &str| {
            let (answer, answered) = oneshot::channel();
            let part = Part { tags: vec![tag.to_owned()], skip_tags: Vec::new(), answer };
            runs.ask_part(part).map(|()| answered).map_err(|part| part.tags)
        };
        assert!(runs.part_asked().now_or_never().is_none());
        let (_first, mut last) = (ask("first").unwrap(), ask("last").unwrap());
        assert_eq!(runs.next_part().unwrap().tags, ["first"]);
        assert!(runs.part_asked().now_or_never().is_some());
        let more: Vec<_> = (0..100).map(|_| ask("more")).collect();
        assert_eq!(more.iter().filter(|asked| asked.is_ok()).count(), MOST_PARTS - 1);
        runs.set_ended(true);
        assert_eq!(last.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert!(runs.next_part().is_none());
    }
}
