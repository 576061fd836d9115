//! One attempt to bring a request to its place, and what came of it.

use crate::event::ack::Outcome;
use crate::topology::component::{Deliver, Fault, FaultKind};
use crate::topology::dead_letters::DeadLetters;
use crate::topology::limits::Rate;
use crate::topology::request::{Answer, Rejected, Request};
use crate::topology::supervise::MAX_CRASHES;
use crate::topology::telemetry::{ComponentTelemetry, Failing};
use futures::FutureExt;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// What all attempts share.
pub(super) struct Attempts<'t> {
    pub(super) sender: Arc<dyn Deliver>,
    pub(super) timeout: Option<Duration>,
    pub(super) rate: Rate,
    pub(super) letters: Option<DeadLetters>,
    pub(super) telemetry: &'t ComponentTelemetry,
    pub(super) failing: Failing,
}

/// What to do with a request.
pub(super) enum Plan {
    /// Send it, after a pause.
    Send(Duration),
    /// Give it up, for a reason as metrics name it, and as a person reads it.
    GiveUp(&'static str, String),
}

/// A request has come back.
pub(super) struct Landed {
    pub(super) number: u64,
    pub(super) sent: Instant,
    pub(super) verdict: Verdict,
}

/// What became of it.
pub(super) enum Verdict {
    /// Nothing is left to do.
    Settled(Outcome),
    /// It was not accepted now; or only in part, and `rest` is what is left of it.
    Again { rest: Option<Box<Request>>, reason: String, pause: Option<Duration> },
}

impl Verdict {
    pub(super) fn is_well(&self) -> bool {
        matches!(self, Self::Settled(_))
    }
}

impl Attempts<'_> {
    pub(super) async fn carry_out(&self, number: u64, request: Arc<Request>, plan: Plan) -> Landed {
        let crashed = request.crashes.load(Ordering::Relaxed) >= MAX_CRASHES;
        let plan = match plan {
            Plan::Send(_) if crashed => {
                Plan::GiveUp("crashes", "failed on this request again and again".to_owned())
            }
            plan => plan,
        };
        match plan {
            Plan::Send(pause) => {
                if !pause.is_zero() {
                    sleep(pause).await;
                }
                self.rate.turn().await;
                let sent = Instant::now();
                let verdict = self.send(&request).await;
                Landed { number, sent, verdict }
            }
            Plan::GiveUp(reason, message) => {
                let outcome = self.give_up_all(&request, reason, Fault::fatal(message)).await;
                Landed { number, sent: Instant::now(), verdict: Verdict::Settled(outcome) }
            }
        }
    }

    async fn send(&self, request: &Request) -> Verdict {
        if request.records == 0 {
            return Verdict::Settled(Outcome::Delivered);
        }
        if let Some(answer) = request.answer.get() {
            // It is there. A run that ended since had not done all that follows from that.
            return self.answered(request, answer.clone()).await;
        }
        let started = Instant::now();
        let sent = AssertUnwindSafe(self.send_in_time(request)).catch_unwind().await;
        self.telemetry.busy(started.elapsed());
        let sent = sent.unwrap_or_else(|panic| {
            // This one is to blame, and none of those beside it.
            request.crashes.fetch_add(1, Ordering::Relaxed);
            resume_unwind(panic)
        });
        request.crashes.store(0, Ordering::Relaxed);
        self.failing.note(sent.as_ref().map(drop).map_err(|fault| &*fault.message));
        match sent {
            Ok(answer) => {
                let answer = request.answer.get_or_init(|| answer).clone();
                self.answered(request, answer).await
            }
            Err(fault) => match fault.kind {
                FaultKind::Passing(pause) => {
                    Verdict::Again { rest: None, reason: fault.message, pause }
                }
                FaultKind::Final => {
                    Verdict::Settled(self.give_up_all(request, "rejected", fault).await)
                }
            },
        }
    }

    async fn send_in_time(&self, request: &Request) -> Result<Answer, Fault> {
        let sending = self.sender.deliver(request);
        match self.timeout {
            None => sending.await,
            Some(limit) => timeout(limit, sending).await.unwrap_or_else(|_| {
                Err(Fault::passing(format!("no answer within {} s", limit.as_secs_f64())))
            }),
        }
    }

    async fn answered(&self, request: &Request, answer: Answer) -> Verdict {
        let Answer { rejected, again, reason, pause } = answer;
        let refused = rejected.iter().map(|rejected| rejected.record);
        let left = request.records_at(refused.chain(again.iter().copied()));
        let bytes = if again.is_empty() { request.bytes() } else { 0 };
        self.telemetry.delivered(request.records.saturating_sub(left), bytes as u64);
        let mut dropped = request.dropped;
        if !rejected.is_empty() {
            dropped |= self.reject(request, "rejected", &rejected).await == Outcome::Dropped;
        }
        if again.is_empty() {
            return Verdict::Settled(if dropped { Outcome::Dropped } else { Outcome::Delivered });
        }
        let mut rest = request.only(&again);
        rest.dropped = dropped;
        Verdict::Again { rest: Some(Box::new(rest)), reason, pause }
    }

    /// Gives up all that is in a request.
    async fn give_up_all(&self, request: &Request, reason: &str, fault: Fault) -> Outcome {
        let Fault { message, status, .. } = fault;
        if self.letters.is_none() {
            request.reject_rest(reason);
            self.drop_records(reason, &message, request.records);
            return Outcome::Dropped;
        }
        let rejected = |record| Rejected { record, reason: message.clone(), status };
        let all: Vec<Rejected> = (0..request.marked()).map(rejected).collect();
        let outcome = self.reject(request, reason, &all).await;
        if request.dropped { Outcome::Dropped } else { outcome }
    }

    /// Gives rejected records to the sink for dead letters; where there is none, drops them.
    async fn reject(&self, request: &Request, reason: &str, rejected: &[Rejected]) -> Outcome {
        let message = rejected.first().map_or("", |first| &*first.reason);
        let records = request.records_at(rejected.iter().map(|rejected| rejected.record));
        let Some(letters) = &self.letters else {
            request.reject(reason, rejected.iter().map(|rejected| rejected.record));
            self.drop_records(reason, message, records);
            return Outcome::Dropped;
        };
        let component = self.telemetry.name();
        tracing::warn!(component, reason, message, records, "given to the dead letters");
        self.telemetry.errors(1);
        self.telemetry.dead_lettered(records);
        let sent: Vec<_> = rejected.iter().filter_map(|record| request.letter(record)).collect();
        let shares = request.shares_at(rejected.iter().map(|rejected| rejected.record));
        letters.send(&sent, shares).await;
        Outcome::Delivered
    }

    fn drop_records(&self, reason: &str, message: &str, records: u64) {
        let component = self.telemetry.name();
        tracing::error!(component, reason, message, records, "dropped");
        self.telemetry.errors(1);
        self.telemetry.dropped(reason, records);
    }
}
