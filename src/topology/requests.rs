//! The runner of a sink that sends requests: fills them, retries them, settles what they held.

use super::component::{Fault, FaultKind, Request, Sink};
use super::edge::{Envelope, Input};
use super::settings::{BatchSettings, RetrySettings};
use super::supervise::{Backoff, MAX_CRASHES};
use super::telemetry::ComponentTelemetry;
use crate::event::ack::{Ack, Outcome};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// What a sink has taken and not settled. Outlives a run that fails: the next one goes on with
/// it, so that nothing is lost, doubled or overtaken.
#[derive(Default)]
pub(super) struct Hand {
    request: Request,
    acks: Vec<Ack>,
    /// The batch that is being encoded.
    coming: Option<Envelope>,
    /// The size of each part before it.
    sizes: Vec<(usize, u64)>,
    /// Runs in a row that ended while encoding this batch or sending this request.
    crashes: u32,
}

pub(super) struct Requests<'h> {
    pub(super) sink: Box<dyn Sink>,
    pub(super) batch: BatchSettings,
    pub(super) retry: RetrySettings,
    pub(super) telemetry: &'h ComponentTelemetry,
    pub(super) hand: &'h mut Hand,
}

impl Requests<'_> {
    pub(super) async fn run(mut self, input: &Input) -> Result<(), Fault> {
        if self.hand.coming.is_some() || !self.hand.acks.is_empty() {
            self.hand.rollback();
            self.encode();
            self.deliver().await;
        }
        while let Some(first) = input.next().await {
            let due = Instant::now() + self.batch.age.0;
            self.hand.coming = Some(first);
            self.encode();
            while !self.is_full() {
                let next = if self.batch.age.0 == Duration::ZERO {
                    input.try_next().await
                } else {
                    timeout_at(due, input.next()).await.ok().flatten()
                };
                let Some(next) = next else { break };
                self.hand.coming = Some(next);
                self.encode();
            }
            self.deliver().await;
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        let request = &self.hand.request;
        request.bytes() >= self.batch.bytes.as_usize() || request.records() >= self.batch.records
    }

    /// Encodes the coming batch into the request. Its memory is free again once this returns.
    fn encode(&mut self) {
        let hand = &mut *self.hand;
        let Some(coming) = &hand.coming else { return };
        let records = coming.batch.len() as u64;
        if hand.crashes == 0 {
            self.telemetry.received(&coming.batch);
        }
        let started = Instant::now();
        let encoded = if hand.crashes >= MAX_CRASHES {
            Err(("crashes", "failed on this batch again and again".to_owned()))
        } else {
            hand.crashes += 1;
            hand.sizes.clear();
            hand.sizes.extend(hand.request.sizes());
            let encoded = self.sink.encode(&coming.batch, &mut hand.request);
            encoded.map_err(|fault| ("encoding", fault.message))
        };
        hand.crashes = 0;
        self.telemetry.busy(started.elapsed());
        if encoded.is_err() {
            hand.request.cut_back(&hand.sizes);
        }
        let Some((_, ack, _)) = hand.coming.take().map(Envelope::open) else { return };
        match encoded {
            Ok(()) => hand.acks.push(ack),
            Err((reason, message)) => {
                ack.settle(Outcome::Dropped);
                self.give_up(reason, &message, records);
            }
        }
    }

    /// Sends until it is accepted or refused for good, and says so to whoever waits for it.
    async fn deliver(&mut self) {
        let records = self.hand.request.records();
        let outcome = if records == 0 {
            Outcome::Delivered
        } else if self.hand.crashes >= MAX_CRASHES {
            self.give_up("crashes", "failed on this request again and again", records);
            Outcome::Dropped
        } else {
            self.send(records).await
        };
        self.hand.crashes = 0;
        self.hand.acks.drain(..).for_each(|ack| ack.settle(outcome));
        self.hand.request.clear();
    }

    async fn send(&mut self, records: u64) -> Outcome {
        let crashes = self.hand.crashes;
        let mut backoff = Backoff::new(self.retry.initial.0, self.retry.max.0);
        loop {
            let started = Instant::now();
            self.hand.crashes = crashes + 1;
            let sent = self.sink.send(&self.hand.request).await;
            self.hand.crashes = 0;
            self.telemetry.busy(started.elapsed());
            let Err(fault) = sent else {
                self.telemetry.delivered(records, self.hand.request.bytes() as u64);
                return Outcome::Delivered;
            };
            match fault.kind {
                FaultKind::Final => {
                    self.give_up("rejected", &fault.message, records);
                    return Outcome::Dropped;
                }
                FaultKind::Passing(asked) => {
                    let pause = backoff.pause().max(asked.unwrap_or_default());
                    let (component, reason) = (self.telemetry.name(), fault.message);
                    let pause_seconds = pause.as_secs_f64();
                    tracing::warn!(component, reason, pause_seconds, "will try again");
                    self.telemetry.errors(1);
                    self.telemetry.retried();
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    fn give_up(&self, reason: &str, message: &str, records: u64) {
        let component = self.telemetry.name();
        tracing::error!(component, reason, message, records, "dropped");
        self.telemetry.errors(1);
        self.telemetry.dropped(reason, records);
    }
}

impl Hand {
    /// Takes what a run that failed had encoded of the coming batch back out of the request.
    fn rollback(&mut self) {
        if self.coming.is_some() {
            self.request.cut_back(&self.sizes);
        }
    }
}
