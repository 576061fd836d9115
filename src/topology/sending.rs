//! How a sink that takes its stream itself sends what it has put together: by the settings that
//! all sinks have in common, and with the same words as the runner of requests.

use super::component::{Fault, FaultKind};
use super::context::SinkContext;
use super::dead_letters::{DeadLetters, Letter};
use super::delivery::{Concurrency, RateLimit};
use super::limits::{Flights, Rate};
use super::request::{Share, by_share};
use super::settings::RetrySettings;
use super::supervise::Backoff;
use super::telemetry::{ComponentTelemetry, Failing};
use crate::event::ack::{Ack, Outcome};
use async_trait::async_trait;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long to wait for a sign of life at the start.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// Something that has to be brought to a place.
#[async_trait]
pub trait Parcel: Send {
    /// Tries to bring it there.
    async fn attempt(&mut self) -> Result<(), Fault>;
}

/// How everything that a sink sends is sent.
pub struct Sending {
    retry: RetrySettings,
    rate: Rate,
    flights: Mutex<Flights>,
    letters: Option<DeadLetters>,
    telemetry: ComponentTelemetry,
    failing: Failing,
}

/// Why something was given up.
pub struct GivenUp {
    reason: &'static str,
    fault: Fault,
}

impl Sending {
    /// By these settings, for the sink whose context this is.
    pub fn new(
        retry: RetrySettings,
        concurrency: Concurrency,
        rate_limit: Option<RateLimit>,
        cx: &SinkContext,
    ) -> Self {
        Self {
            retry,
            rate: Rate::new(rate_limit),
            flights: Mutex::new(Flights::new(concurrency)),
            letters: cx.dead_letters.clone(),
            failing: cx.telemetry.failing(),
            telemetry: cx.telemetry.clone(),
        }
    }

    /// How many may be on their way at a time, as it is now.
    pub fn limit(&self) -> usize {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner).limit()
    }

    /// Whether somebody takes what is given up, so that its records have to be kept.
    pub fn has_letters(&self) -> bool {
        self.letters.is_some()
    }

    /// Returns when a request may be sent.
    pub async fn turn(&self) {
        self.rate.turn().await;
    }

    /// Says so if the other side is not there.
    pub async fn look(&self, check: impl Future<Output = Result<(), Fault>>) {
        look(check, &self.telemetry).await;
    }

    /// Tries again and again until it is done. `flying` are on their way, this one included.
    ///
    /// # Errors
    /// Why it has to be given up, which nobody has been told yet.
    pub async fn bring(&self, parcel: &mut dyn Parcel, flying: usize) -> Result<(), GivenUp> {
        let mut backoff = Backoff::new(self.retry.initial.0, self.retry.max.0);
        let mut attempts = 0;
        loop {
            let sent = Instant::now();
            let answer = parcel.attempt().await;
            self.telemetry.busy(sent.elapsed());
            self.failing.note(answer.as_ref().map(drop).map_err(|fault| &*fault.message));
            {
                let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
                let busy = flying >= flights.limit();
                flights.learn(sent, answer.is_ok(), busy);
            }
            let Err(fault) = answer else { return Ok(()) };
            let FaultKind::Passing(asked) = fault.kind else {
                return Err(GivenUp { reason: "rejected", fault });
            };
            attempts += 1;
            if self.retry.attempts.is_some_and(|most| attempts >= most.get()) {
                let message = format!("given up after {attempts} attempts: {}", fault.message);
                return Err(GivenUp { reason: "attempts", fault: Fault { message, ..fault } });
            }
            let pause = backoff.pause().max(asked.unwrap_or_default());
            let (component, reason) = (self.telemetry.name(), &fault.message);
            let pause_seconds = pause.as_secs_f64();
            tracing::warn!(component, reason, pause_seconds, "will try again");
            self.telemetry.errors(1);
            self.telemetry.retried();
            sleep(pause).await;
        }
    }

    /// Drops the records that `shares` speak for, and counts them.
    pub fn give_up(&self, why: &GivenUp, shares: Vec<Share>) {
        let records: u64 = shares.iter().map(|share| share.records).sum();
        let (component, reason, message) = (self.telemetry.name(), why.reason, &why.fault.message);
        tracing::error!(component, reason, message, records, "dropped");
        self.telemetry.errors(1);
        self.telemetry.dropped(reason, records);
        for share in shares {
            share.ack.note_rejected(reason);
            share.ack.end(Outcome::Dropped);
        }
    }

    /// Gives records to the sink for dead letters: those from the place `from` on, of all that
    /// `shares` speak for.
    pub async fn give_letters(&self, letters: &[Letter<'_>], shares: &[Share], from: usize) {
        let Some(way) = &self.letters else { return };
        let of_each = by_share(shares, from..from + letters.len()).into_iter();
        let shares: Vec<Ack> = of_each
            .filter(|(_, positions)| !positions.is_empty())
            .map(|(share, positions)| share.ack.share_at(&positions, share.records))
            .collect();
        way.send(letters, shares).await;
    }

    /// Says that records are given to the sink for dead letters.
    pub fn tell_letters(&self, why: &GivenUp, records: u64) {
        let (component, reason, message) = (self.telemetry.name(), why.reason, &why.fault.message);
        tracing::warn!(component, reason, message, records, "given to the dead letters");
        self.telemetry.errors(1);
        self.telemetry.dead_lettered(records);
    }
}

impl GivenUp {
    /// What a person reads.
    pub fn message(&self) -> &str {
        &self.fault.message
    }

    /// Whether the other side has refused it, and so has nothing of it.
    pub fn is_refused(&self) -> bool {
        self.fault.kind == FaultKind::Final
    }

    /// The other side's number for it.
    pub fn status(&self) -> Option<u16> {
        self.fault.status
    }
}

/// Says so if the other side is not there.
pub(super) async fn look(
    check: impl Future<Output = Result<(), Fault>>,
    telemetry: &ComponentTelemetry,
) {
    let reason = match timeout(LOOK_TIMEOUT, check).await {
        Ok(Ok(())) => return,
        Ok(Err(fault)) => fault.message,
        Err(_) => "no answer in time".to_owned(),
    };
    let component = telemetry.name();
    tracing::warn!(component, reason, "the other side does not answer yet");
}
