//! What the agent tells the service manager that has started it, where one wants to hear.

use crate::host::service_manager::ServiceManager;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

/// After a drain that takes as long as it may, what is left to do takes no longer.
const LAST_STEPS: Duration = Duration::from_secs(5);

/// The service manager, or nobody.
pub(super) struct Manager {
    manager: Option<ServiceManager>,
    /// Comes from another thread than the one that passes it on: both have to get on with their
    /// work for a sign of life to be given.
    pulse: Option<mpsc::Receiver<()>>,
}

impl Manager {
    /// The one that has started this process.
    pub(super) fn of_this_process() -> Self {
        let manager = ServiceManager::of_this_process().unwrap_or_else(|error| {
            tracing::warn!(%error, "the service manager cannot be told anything");
            None
        });
        let every = manager.as_ref().and_then(ServiceManager::sign_of_life_every);
        Self { manager, pulse: every.map(pulse) }
    }

    /// Everything is at work.
    pub(super) fn ready(&self, status: &str) {
        self.manager.iter().for_each(|manager| manager.ready(status));
    }

    /// The config is being loaded anew.
    pub(super) fn reloading(&self) {
        self.manager.iter().for_each(ServiceManager::reloading);
    }

    /// The process ends, after a drain that may take so long.
    pub(super) fn stopping(&self, drain: Duration) {
        self.manager.iter().for_each(|manager| manager.stopping(drain + LAST_STEPS));
    }

    /// Gives signs of life for as long as whoever awaits this does so; it never ends by itself.
    pub(super) async fn live(&mut self) -> Infallible {
        let Self { manager: Some(manager), pulse: Some(pulse) } = self else {
            return std::future::pending().await;
        };
        while pulse.recv().await.is_some() {
            manager.alive();
        }
        std::future::pending().await
    }
}

fn pulse(every: Duration) -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if sender.send(()).await.is_err() {
                return;
            }
        }
    });
    receiver
}
