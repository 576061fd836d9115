//! The runner of a sink that sends requests: fills them, sends them, settles what they held.
//!
//! Each destination has a request of its own that is full by itself. Full ones wait in line; as
//! many as the sink's `concurrency` says are in flight. All of this lies in the [`Hand`], which
//! outlives a run that fails, so that nothing is lost, doubled or overtaken.

mod attempt;

use super::component::{Deliver, Encode, Fault};
use super::dead_letters::DeadLetters;
use super::delivery::Delivery;
use super::edge::{Envelope, Input};
use super::limits::{Flights, Rate};
use super::request::{Marking, Request, Requests};
use super::sending::look;
use super::supervise::{Backoff, MAX_CRASHES};
use super::telemetry::ComponentTelemetry;
use crate::event::ack::{Ack, Outcome};
use attempt::{Attempts, Landed, Plan, Verdict};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use indexmap::IndexMap;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// What a sink has taken and not settled.
#[derive(Default)]
pub(super) struct Hand {
    /// The requests that are being filled.
    open: Requests,
    /// Those that are full, in order.
    ready: VecDeque<Request>,
    /// Those that are on their way, by the order in which they left.
    flying: BTreeMap<u64, Flight>,
    /// How many have left so far.
    left: u64,
    /// The batch that is being encoded.
    coming: Option<Envelope>,
    /// Runs in a row that ended while encoding this batch.
    crashes: u32,
    /// Whether somebody has looked whether the other side is there.
    looked: bool,
}

/// A request on its way.
struct Flight {
    request: Arc<Request>,
    backoff: Backoff,
    /// How often it was sent.
    attempts: u32,
}

pub(super) struct Runner<'h> {
    pub(super) encoder: Box<dyn Encode>,
    pub(super) sender: Arc<dyn Deliver>,
    pub(super) delivery: Delivery,
    pub(super) telemetry: &'h ComponentTelemetry,
    pub(super) hand: &'h mut Hand,
    /// The way to the sink for dead letters.
    pub(super) dead_letters: Option<DeadLetters>,
}

impl Hand {
    pub(super) fn new(marking: Marking, delivery: &Delivery) -> Self {
        let open = Requests::new(marking, delivery.batch).noting(delivery.extents);
        Self { open, ..Self::default() }
    }

    /// Puts what a run that failed had under way back to where it was before.
    fn take_up(&mut self) {
        while let Some((_, flight)) = self.flying.pop_last() {
            // The attempts of the run that failed are gone, and their holds with them.
            if let Ok(request) = Arc::try_unwrap(flight.request) {
                self.ready.push_front(request);
            }
        }
    }
}

/// A share for what is not left out of a batch of so many `records`, where anything is.
fn rest_of(ack: &Ack, left_out: &IndexMap<&'static str, Vec<usize>>, records: u64) -> Option<Ack> {
    if left_out.is_empty() {
        return None;
    }
    let left_out: HashSet<usize> = left_out.values().flatten().copied().collect();
    let all = usize::try_from(records).unwrap_or(usize::MAX);
    let rest: Vec<usize> = (0..all).filter(|at| !left_out.contains(at)).collect();
    Some(ack.share_at(&rest, records))
}

impl Runner<'_> {
    pub(super) async fn run(mut self, input: &Input) -> Result<(), Fault> {
        let attempts = Attempts {
            sender: Arc::clone(&self.sender),
            timeout: self.delivery.timeout,
            rate: Rate::new(self.delivery.rate_limit),
            letters: self.dead_letters.take(),
            telemetry: self.telemetry,
            failing: self.telemetry.failing(),
        };
        let mut flights = Flights::new(self.delivery.concurrency);
        self.sender.prepare().await?;
        self.hand.take_up();
        let mut flying = FuturesUnordered::new();
        if self.hand.coming.is_some() {
            self.hand.open.roll_back();
            self.encode();
        }
        let mut look = std::pin::pin!(look(attempts.sender.check(), self.telemetry));
        let mut looking = !std::mem::replace(&mut self.hand.looked, true);
        let mut is_over = false;
        loop {
            while flying.len() < flights.limit()
                && let Some(request) = self.next_ready()
            {
                let backoff =
                    Backoff::new(self.delivery.retry.initial.0, self.delivery.retry.max.0);
                let request = Arc::new(request);
                let number = self.hand.left;
                self.hand.left += 1;
                let plan = Plan::Send(Duration::ZERO);
                flying.push(attempts.carry_out(number, Arc::clone(&request), plan));
                self.hand.flying.insert(number, Flight { request, backoff, attempts: 0 });
            }
            let has_room = flying.len() < flights.limit();
            let may_read = !is_over && self.hand.ready.is_empty();
            if self.delivery.batch.age.0.is_zero() && has_room && self.hand.open.len() > 0 {
                // There is no use in waiting: what is there goes, once nothing more is.
                match if may_read { input.try_next().await } else { None } {
                    Some(envelope) => self.take(envelope),
                    None => self.close(|_| true),
                }
                continue;
            }
            if is_over
                && flying.is_empty()
                && self.hand.ready.is_empty()
                && self.hand.open.len() == 0
            {
                return Ok(());
            }
            let age = self.delivery.batch.age.0;
            let due = self.hand.open.oldest().filter(|_| !age.is_zero()).map(|oldest| oldest + age);
            tokio::select! {
                biased;
                Some(landed) = flying.next(), if !flying.is_empty() => {
                    let busy = flying.len() + 1 >= flights.limit();
                    let landed: Landed = landed;
                    flights.learn(landed.sent, landed.verdict.is_well(), busy);
                    let number = landed.number;
                    if let Some((request, plan)) = self.land(landed) {
                        flying.push(attempts.carry_out(number, request, plan));
                    }
                }
                envelope = input.next(), if may_read => match envelope {
                    Some(envelope) => self.take(envelope),
                    None => {
                        is_over = true;
                        self.close(|_| true);
                    }
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    let now = Instant::now();
                    self.close(|request| request.opened.is_none_or(|opened| opened + age <= now));
                }
                () = &mut look, if looking => looking = false,
            }
        }
    }

    /// The next request to send: the first in line that no other one of its destination is
    /// before.
    fn next_ready(&mut self) -> Option<Request> {
        let hand = &mut *self.hand;
        if !self.delivery.key_order {
            return hand.ready.pop_front();
        }
        let flies = |key: &str| hand.flying.values().any(|flight| flight.request.key == key);
        let at = hand.ready.iter().position(|request| !flies(&request.key))?;
        hand.ready.remove(at)
    }

    fn take(&mut self, envelope: Envelope) {
        self.hand.coming = Some(envelope);
        self.encode();
    }

    /// Puts the open requests in line that are `done`.
    fn close(&mut self, done: impl Fn(&Request) -> bool) {
        while let Some(request) = self.hand.open.take(&done) {
            self.hand.ready.push_back(request);
        }
    }

    /// Encodes the coming batch. Its memory is free again once this returns.
    fn encode(&mut self) {
        let hand = &mut *self.hand;
        let Some(coming) = &hand.coming else { return };
        let records = coming.batch.len() as u64;
        if hand.crashes == 0 {
            self.telemetry.received(&coming.batch);
        }
        let started = Instant::now();
        hand.open.begin();
        let encoded = if hand.crashes >= MAX_CRASHES {
            Err(("crashes", "failed on this batch again and again".to_owned()))
        } else {
            hand.crashes += 1;
            let encoded = self.encoder.encode(&coming.batch, &mut hand.open);
            encoded.map_err(|fault| ("encoding", fault.message))
        };
        hand.crashes = 0;
        self.telemetry.busy(started.elapsed());
        if encoded.is_err() {
            hand.open.roll_back();
        }
        let Some((_, ack, _)) = hand.coming.take().map(Envelope::open) else { return };
        match encoded {
            Ok(()) => {
                let left_out = hand.open.take_left_out();
                for (reason, places) in &left_out {
                    ack.reject(reason, places, records);
                }
                // From here on the batch is the rest of it.
                let rest = rest_of(&ack, &left_out, records);
                hand.ready.extend(hand.open.end(rest.as_ref().unwrap_or(&ack)));
                rest.into_iter().chain([ack]).for_each(|ack| ack.settle(Outcome::Delivered));
                for (reason, places) in left_out {
                    self.give_up(reason, "they cannot be sent", places.len() as u64);
                }
            }
            Err((reason, message)) => {
                ack.reject_all(reason);
                self.give_up(reason, &message, records);
            }
        }
        let batch = self.delivery.batch;
        self.close(|request| request.is_full(&batch));
        let most = self.delivery.open_bytes.max(batch.bytes.as_usize());
        while self.hand.open.len() > self.delivery.open_requests
            || (self.hand.open.len() > 1 && self.hand.open.bytes() > most)
        {
            let Some(oldest) = self.hand.open.take(|_| true) else { break };
            self.hand.ready.push_back(oldest);
        }
    }

    /// Settles what has come back; gives what has to be done next, where anything has.
    fn land(&mut self, landed: Landed) -> Option<(Arc<Request>, Plan)> {
        let flight = self.hand.flying.get_mut(&landed.number)?;
        flight.attempts += 1;
        let (rest, reason, pause) = match landed.verdict {
            Verdict::Settled(outcome) => {
                let flight = self.hand.flying.remove(&landed.number)?;
                // The attempt that held it too has ended.
                if let Ok(mut request) = Arc::try_unwrap(flight.request) {
                    request.shares.drain(..).for_each(|share| share.ack.end(outcome));
                    self.hand.open.reuse(request.body);
                }
                return None;
            }
            Verdict::Again { rest, reason, pause } => (rest, reason, pause),
        };
        if let Some(mut rest) = rest
            && let Some(whole) = Arc::get_mut(&mut flight.request)
        {
            rest.shares = std::mem::take(&mut whole.shares);
            flight.request = Arc::from(rest);
        }
        let request = Arc::clone(&flight.request);
        if self.delivery.retry.attempts.is_some_and(|most| flight.attempts >= most.get()) {
            let message = format!("given up after {} attempts: {reason}", flight.attempts);
            return Some((request, Plan::GiveUp("attempts", message)));
        }
        let pause = flight.backoff.pause().max(pause.unwrap_or_default());
        let (component, pause_seconds) = (self.telemetry.name(), pause.as_secs_f64());
        tracing::warn!(component, reason, pause_seconds, "will try again");
        self.telemetry.errors(1);
        self.telemetry.retried();
        Some((request, Plan::Send(pause)))
    }

    fn give_up(&self, reason: &str, message: &str, records: u64) {
        let component = self.telemetry.name();
        tracing::error!(component, reason, message, records, "dropped");
        self.telemetry.errors(1);
        self.telemetry.dropped(reason, records);
    }
}
