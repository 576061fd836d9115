//! How far the runs of the desired state are, for whoever waits for the record of them.

use tokio::sync::watch;

/// What is known of the runs in this process. Clones share it.
#[derive(Clone, Debug)]
pub struct Runs(watch::Sender<Progress>);

/// How far they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// One is under way.
    pub running: bool,
    /// Whoever runs them has come to the end of its input.
    pub ended: bool,
    /// The last one did not bring about all that is declared.
    pub failed: bool,
}

impl Default for Runs {
    fn default() -> Self {
        Self(watch::Sender::new(Progress::default()))
    }
}

impl Runs {
    /// How far they are, and how to hear when that changes.
    pub fn watch(&self) -> watch::Receiver<Progress> {
        self.0.subscribe()
    }

    /// A run begins.
    pub fn begin(&self) {
        self.0.send_modify(|progress| progress.running = true);
    }

    /// The run is over.
    pub fn end(&self, failed: bool) {
        self.0.send_modify(|progress| {
            progress.running = false;
            progress.failed = failed;
        });
    }

    /// Whoever runs them begins to wait for its input, or has come to its end.
    pub fn set_ended(&self, ended: bool) {
        self.0.send_modify(|progress| progress.ended = ended);
    }

    /// Whether one is under way.
    pub fn is_running(&self) -> bool {
        self.0.borrow().running
    }

    /// Whether the last one failed.
    pub fn last_failed(&self) -> bool {
        self.0.borrow().failed
    }
}
