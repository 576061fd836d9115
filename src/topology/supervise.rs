//! Supervision: an error or a panic ends one run of one component, never the process.

use super::component::Fault;
use super::context::Stop;
use super::telemetry::ComponentTelemetry;
use futures::FutureExt;
use std::any::Any;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tokio::time::Instant;

/// The first pause before a restart.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// After this much healthy running a failure counts as the first one again.
const HEALTHY: Duration = Duration::from_secs(600);

/// A batch that this many runs in a row have ended at is given up, so that the rest can go on.
pub(super) const MAX_CRASHES: u32 = 3;

/// A pause that doubles each time, up to a limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// The next pause, with up to a quarter taken off so that many waiters spread out.
    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        let spread = RandomState::new().hash_one(()) % 64;
        pause - pause / 4 * u32::try_from(spread).unwrap_or(0) / 64
    }

    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Runs `attempt` again and again, with growing pauses, until it ends well or `stop` says so.
/// `blame` tells whose failure it was.
pub(super) async fn supervise<'t, F, R>(
    blame: impl Fn() -> &'t ComponentTelemetry,
    stop: Option<&Stop>,
    mut attempt: F,
) where
    F: FnMut() -> R,
    R: Future<Output = Result<(), Fault>>,
{
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    while !stop.is_some_and(Stop::is_requested) {
        let started = Instant::now();
        // What a panic may have left half done belongs to the run that is thrown away.
        let end = AssertUnwindSafe(async { attempt().await }).catch_unwind().await;
        let reason = match end {
            Ok(Ok(())) => return,
            Ok(Err(fault)) => fault.message,
            Err(panic) => format!("a bug in this component: {}", panic_text(&*panic)),
        };
        let telemetry = blame();
        telemetry.errors(1);
        telemetry.restarted();
        if started.elapsed() >= HEALTHY {
            backoff.reset();
        }
        let pause = backoff.pause();
        let pause_seconds = pause.as_secs_f64();
        let component = telemetry.name();
        tracing::error!(component, reason, pause_seconds, "component failed, will restart");
        let asked = async {
            match stop {
                Some(stop) => stop.requested().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = asked => return,
        }
    }
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
