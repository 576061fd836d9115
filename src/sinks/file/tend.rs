//! What open files need while nothing is written to them: to be synced, to be closed.

use super::append::Appender;
use super::place::Told;
use crate::topology::component::Fault;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// An appender with somebody who looks after its files, as long as some are open.
pub(super) struct Tended(Arc<Shared>);

struct Shared {
    appender: Mutex<Appender>,
    /// Whether somebody does.
    is_tended: AtomicBool,
}

impl Tended {
    pub(super) fn new(appender: Appender) -> Self {
        let appender = Mutex::new(appender);
        Self(Arc::new(Shared { appender, is_tended: AtomicBool::new(false) }))
    }

    /// Appends all the parts of `body` or nothing; `now` is the time since the epoch.
    pub(super) fn append(
        &self,
        path: &str,
        body: &[&[u8]],
        now: Duration,
        told: Told<'_>,
    ) -> Result<(), Fault> {
        let mut appender = self.0.appender.lock().unwrap_or_else(PoisonError::into_inner);
        let appended = appender.append(path, body, now, told);
        drop(appender);
        if let Ok(runtime) = Handle::try_current()
            && !self.0.is_tended.swap(true, Ordering::AcqRel)
        {
            runtime.spawn(tend(Arc::downgrade(&self.0)));
        }
        appended
    }

    #[cfg(test)]
    pub(super) fn open_files(&self) -> usize {
        self.0.appender.lock().unwrap().open_files()
    }
}

/// Looks after the files until none is open, or the sink is gone.
async fn tend(shared: Weak<Shared>) {
    loop {
        let at = shared.clone();
        // A file may wait for a disk or a server.
        let due = tokio::task::spawn_blocking(move || {
            let shared = at.upgrade()?;
            let mut appender = shared.appender.lock().unwrap_or_else(PoisonError::into_inner);
            let due = appender.tend(Instant::now());
            if due.is_none() {
                // Said under the lock, so that whoever opens the next file starts anew.
                shared.is_tended.store(false, Ordering::Release);
            }
            due
        });
        let Ok(Some(due)) = due.await else { return };
        tokio::time::sleep_until(due.into()).await;
    }
}
