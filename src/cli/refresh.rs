//! When secrets are looked up anew, where the agent's own file asks for that.

use crate::config::files::AgentFile;
use crate::topology::settings::Period;
use tokio::time::{Instant, sleep_until};

/// When it is time, and how it went last.
pub(super) struct Refresh {
    interval: Option<Period>,
    next: Instant,
    /// Whether the last look failed, which is said once.
    has_failed: bool,
}

impl Refresh {
    pub(super) fn new(settings: &AgentFile) -> Self {
        let mut refresh = Self { interval: None, next: Instant::now(), has_failed: false };
        refresh.set(settings);
        refresh
    }

    /// All of them have just been looked up; from here on it goes by these settings.
    pub(super) fn set(&mut self, settings: &AgentFile) {
        self.interval = settings.secrets_interval;
        self.has_failed = false;
        self.wait();
    }

    /// Counts from now on.
    pub(super) fn wait(&mut self) {
        if let Some(Period(interval)) = self.interval {
            self.next = Instant::now() + interval;
        }
    }

    /// Waits until it is time; for ever where nobody asks for it.
    pub(super) async fn due(&self) {
        match self.interval {
            Some(_) => sleep_until(self.next).await,
            None => std::future::pending().await,
        }
    }

    /// Notes how a look went; whether that is news.
    pub(super) fn is_news(&mut self, has_failed: bool) -> bool {
        std::mem::replace(&mut self.has_failed, has_failed) != has_failed
    }
}
