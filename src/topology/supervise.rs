//! Supervision: an error or a panic ends one run of one component, never the process.

use super::component::Fault;
use super::context::Stop;
use super::health::State;
use super::telemetry::ComponentTelemetry;
use futures::FutureExt;
use std::any::Any;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;
use tokio::time::Instant;

/// The first pause before a restart.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// After this much healthy running a failure counts as the first one again.
const HEALTHY: Duration = Duration::from_secs(600);

/// A component that has failed counts as at work again once it has run for so long.
const SETTLED: Duration = Duration::from_secs(10);

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
        let run = AssertUnwindSafe(async { attempt().await }).catch_unwind();
        let end = at_work_after(SETTLED, run, || blame().at_work()).await;
        let reason = match end {
            Ok(Ok(())) => {
                blame().at_work();
                return;
            }
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
        telemetry.not_at_work(State::Restarting, &reason);
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

/// Awaits `run`, and says once that it lasts.
async fn at_work_after<T>(time: Duration, run: impl Future<Output = T>, say: impl Fn()) -> T {
    let mut run = pin!(run);
    tokio::select! {
        end = run.as_mut() => return end,
        () = tokio::time::sleep(time) => say(),
    }
    run.await
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::telemetry::Telemetry;
    use std::cell::RefCell;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_a_minute_and_begin_anew_after_ten_healthy_ones() {
        let telemetry = Telemetry::new().unwrap().component(&"it".into());
        // How long each run lives before it fails; the last one ends well.
        let lives = [0, 0, 0, 0, 0, 0, 0, 0, 599, 600, 0, 0];
        let starts = RefCell::new(Vec::new());
        supervise(
            || &telemetry,
            None,
            || async {
                let run = starts.borrow().len();
                starts.borrow_mut().push(Instant::now());
                let Some(life) = lives.get(run) else { return Ok(()) };
                tokio::time::sleep(Duration::from_secs(*life)).await;
                assert!(run % 2 == 0, "a bug");
                Err(Fault::passing("broken"))
            },
        )
        .await;
        let starts = starts.into_inner();
        let pauses: Vec<f64> = starts
            .windows(2)
            .zip(lives)
            .map(|(run, life)| (run[1] - run[0]).as_secs_f64() - life as f64)
            .collect();
        let full = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0, 1.0, 2.0, 4.0];
        assert_eq!(pauses.len(), full.len());
        for (pause, full) in pauses.iter().zip(full) {
            assert!((full * 0.74..=full + 0.01).contains(pause), "{pauses:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_component_that_fails_is_not_started_again_once_it_is_to_stop() {
        let telemetry = Telemetry::new().unwrap().component(&"it".into());
        let (sender, stop) = Stop::new();
        let runs = RefCell::new(0);
        let running = supervise(
            || &telemetry,
            Some(&stop),
            || async {
                *runs.borrow_mut() += 1;
                Err(Fault::passing("broken"))
            },
        );
        let stopping = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            sender.stop();
        };
        tokio::join!(running, stopping);
        assert_eq!(runs.into_inner(), 1);
    }
}
