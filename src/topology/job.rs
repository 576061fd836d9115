//! A unit's task, and the wait for its end.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout, timeout_at};

/// How long a task that was cut off may take to notice. One that keeps its thread busy does not.
const GRACE: Duration = Duration::from_secs(1);

/// A spawned task. Unlike a join handle it can be waited for by many and more than once.
#[derive(Clone)]
pub(super) struct Job {
    task: AbortHandle,
    /// Never changes; its sender goes when the task does.
    ended: watch::Receiver<()>,
}

impl Job {
    pub(super) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        let (end, ended) = watch::channel(());
        let task = tokio::spawn(async move {
            let _end = end;
            work.await;
        });
        Self { task: task.abort_handle(), ended }
    }

    /// Returns once the task has ended, however it did.
    pub(super) async fn ended(&self) {
        // The only news there can be is that the sender is gone.
        self.ended.clone().changed().await.ok();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.has_changed().is_err()
    }

    /// Waits until `deadline` for all of them, then cuts off those that still run. Returns
    /// whether none had to be.
    pub(super) async fn all_ended_by(deadline: Instant, jobs: &[Self]) -> bool {
        let mut drained = true;
        for job in jobs {
            if timeout_at(deadline, job.ended()).await.is_err() {
                job.task.abort();
                drained = false;
            }
        }
        let all = async {
            for job in jobs {
                job.ended().await;
            }
        };
        timeout(GRACE, all).await.ok();
        drained
    }
}

/// A unit that a reload took out and that still drains.
pub(super) struct Leaving {
    /// Its components.
    pub(super) members: Vec<Arc<str>>,
    /// The unit itself.
    pub(super) job: Job,
    /// Ends when the unit has, or has been cut off.
    pub(super) gone: Job,
}

impl Leaving {
    /// Watches over `job`, which has been told to end, and cuts it off at `deadline`.
    pub(super) fn new(members: Vec<Arc<str>>, job: Job, deadline: Instant) -> Self {
        let watched = job.clone();
        let members_left = members.clone();
        let gone = Job::spawn(async move {
            if !Job::all_ended_by(deadline, &[watched]).await {
                let component = members_left.first().map_or("", |name| &**name);
                tracing::warn!(component, "did not drain in time after a reload, cut off");
            }
        });
        Self { members, job, gone }
    }
}
