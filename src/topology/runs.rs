//! How far the runs of the desired state are, for whoever waits for the record of them or asks for
//! one.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::watch;

/// What is known of the runs in this process. Clones share it.
#[derive(Clone, Debug)]
pub struct Runs {
    progress: watch::Sender<Progress>,
    /// How many runs were asked for.
    asked: watch::Sender<u64>,
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
        Self { progress, asked: watch::Sender::new(0) }
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

    /// A run begins; gives how many it answers where it is a whole one.
    pub fn begin(&self) -> u64 {
        let asked = *self.asked.borrow();
        self.progress.send_modify(|progress| progress.running = true);
        asked
    }

    /// The run is over, which is not a whole one.
    pub fn end(&self, failed: bool) {
        self.progress.send_modify(|progress| {
            progress.running = false;
            progress.failed = failed;
        });
    }

    /// The run is over, which is a whole one: it answers so many that were asked for.
    pub fn end_whole(&self, recap: Recap, answers: u64, next_seconds: f64) {
        self.progress.send_modify(|progress| {
            progress.running = false;
            progress.failed = recap.failed;
            progress.answered = progress.answered.max(answers);
            progress.next_seconds = Some(next_seconds);
            progress.last = Some(Arc::new(recap));
        });
    }

    /// Whoever runs them begins to wait for its input, or has come to its end.
    pub fn set_ended(&self, ended: bool) {
        self.progress.send_modify(|progress| progress.ended = ended);
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
}
