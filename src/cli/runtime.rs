//! The threads that components run on, and the signals that end or renew a run.

use std::future::Future;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Threads that run components. File tailing and the executor have threads of their own.
const WORKERS: usize = 2;
/// Threads for calls that block, at most; each ends when it was idle for a while. So many that the
/// file sinks of one dead mount, which hold one each until it is back, leave enough to the others.
const BLOCKING: usize = 512;

/// Does `work` on threads of its own. Afterwards no thread that hangs in a system call (a dead
/// mount) is waited for.
///
/// # Errors
/// Where the threads cannot be started.
pub(super) fn run<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(BLOCKING)
        .thread_name("driftless")
        .enable_all()
        .build()
        .map_err(|error| format!("the threads could not be started: {error}"))?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(Duration::from_millis(100));
    Ok(result)
}

/// The signals that a long run listens to.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// What a signal means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Stop,
    Reload,
}

impl Signals {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    pub(super) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hangup.recv() => Told::Reload,
        }
    }
}
