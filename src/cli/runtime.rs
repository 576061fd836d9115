//! The threads that components run on, and the signals that end or renew a run.

use super::Exit;
use super::shell::{Output, Shell};
use crate::event::fault::Diagnostic;
use crate::host::own_text;
use crate::topology::context::Environment;
use crate::topology::graph::Graph;
use crate::topology::run::Topology;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior};

/// Threads that run components. File tailing and the executor have threads of their own.
pub(super) const WORKERS: usize = 2;
/// Threads for calls that block, at most; each ends when it was idle for a while. So many that the
/// file sinks of one dead mount, which hold one each until it is back, leave enough to the others.
const BLOCKING: usize = 512;

/// How often what was said again is summed up.
const SUM_UP: Duration = Duration::from_secs(5);

/// What a start has come to.
pub(super) type Started = Result<Topology, Vec<Diagnostic>>;

/// The program's own code in memory is let go of first when a start has settled, with all that runs
/// once at its beginning, and then so often: a run of apply or a look at a large config uses a great
/// deal of it that nothing needs for long.
const SETTLED: Duration = Duration::from_secs(15);
const TIDY: Duration = Duration::from_mins(10);

/// Starts the components of `graph` on so many threads, and does with them what `work` says until that comes to an end.
/// Signals are listened to first: one that comes while components start must not cut them off.
pub(super) fn run_topology(
    workers: usize,
    graph: &Graph,
    env: Arc<Environment>,
    shell: &mut Shell,
    work: impl AsyncFnOnce(Started, Signals) -> Result<Exit, Vec<Diagnostic>>,
) -> Exit {
    let limit = shell.log_limit.clone();
    let start = async || {
        let repeated = limit.clone();
        let sums_up = tokio::spawn(every(SUM_UP, SUM_UP, move || repeated.sum_up()));
        let tidies = tokio::spawn(every(SETTLED, TIDY, own_text::give_back));
        let signals = Signals::new().map_err(|error| shell.fail(&error.to_string()))?;
        let exit = work(Topology::start(graph, env), signals).await;
        sums_up.abort();
        tidies.abort();
        exit.map_err(|complaints| shell.complain(&complaints, Output::Text))
    };
    let end = run(workers, start());
    limit.sum_up_all();
    match end {
        Ok(Ok(exit) | Err(exit)) => exit,
        Err(message) => shell.fail(&message),
    }
}

/// Does `work` after `first`, and then each `period`.
async fn every(first: Duration, period: Duration, work: impl Fn()) {
    let mut ticks = tokio::time::interval_at(Instant::now() + first, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        work();
    }
}

/// Does `work` on so many threads of its own. Afterwards no thread that hangs in a system call (a dead
/// mount) is waited for.
///
/// # Errors
/// Where the threads cannot be started.
pub(super) fn run<T>(workers: usize, work: impl Future<Output = T>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
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

    /// Waits to be told to stop. Whatever else is told meanwhile is told by [`Self::next`] then.
    pub(super) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
