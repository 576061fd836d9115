//! The runner of a chain of transforms, which share one task and have no channel between them.

mod remembering;

use super::component::{BuildContext, Fault, Outputs, Transform, TransformConfig};
use super::edge::Input;
use super::output::{CloseOnEnd, Fanout, Route, give_up_on_moved_sinks};
use super::supervise::{MAX_CRASHES, supervise};
use super::telemetry::ComponentTelemetry;
use crate::event::ack::{Ack, Outcome, SinkSet};
use crate::event::metric::MetricBatch;
use crate::event::{Batch, Kind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// For how many batches after a failure a copy of each is kept, so that one that fails again can
/// be tried in place. Copies are not kept all the time, since they make the transforms copy the
/// field table that they change.
const WARY_BATCHES: u32 = 4096;

/// One transform of a chain.
pub(super) struct Member {
    pub(super) config: Arc<dyn TransformConfig>,
    pub(super) build: BuildContext,
}

struct Chain {
    members: Vec<Member>,
    telemetry: Vec<ComponentTelemetry>,
    /// The member at work, to blame if this run fails.
    at: AtomicUsize,
    fanouts: Vec<(Arc<str>, Fanout)>,
}

/// The batch being worked on. Outlives a run that fails.
#[derive(Default)]
struct Hand {
    token: Option<(Ack, Option<u64>)>,
    copy: Option<Batch>,
    /// Runs in a row that ended at this batch, as far as known.
    crashes: u32,
    wary: u32,
    /// What the members of a chain that remembers may still hold something of.
    memory: remembering::Memory,
}

/// Batches by the output that they were emitted to.
type Emitted = Vec<(Arc<str>, Batch)>;

/// How many records were given up, by reason.
type Dropped = Vec<(&'static str, u64)>;

/// Runs a chain of transforms until its input ends.
pub(super) async fn run_chain(
    members: Vec<Member>,
    input: Input,
    fanouts: Vec<(Arc<str>, Fanout)>,
) {
    let _end = CloseOnEnd(fanouts.iter().map(|(_, fanout)| fanout.clone()).collect());
    let telemetry: Vec<ComponentTelemetry> = members
        .iter()
        .map(|member| member.build.env.telemetry.component(&member.build.name))
        .collect();
    let chain = Chain { members, telemetry, at: AtomicUsize::new(0), fanouts };
    let hand = Mutex::new(Hand::default());
    let blame = || &chain.telemetry[chain.at.load(Ordering::Relaxed)];
    supervise(blame, None, || async { chain.run(&input, &mut *hand.lock().await).await }).await;
}

impl Chain {
    async fn run(&self, input: &Input, hand: &mut Hand) -> Result<(), Fault> {
        let mut transforms = Vec::new();
        for (at, member) in self.members.iter().enumerate() {
            self.at.store(at, Ordering::Relaxed);
            transforms.push(member.config.build(&member.build)?);
        }
        if transforms.iter_mut().any(|transform| transform.memory().is_some()) {
            return self.run_remembering(&mut transforms, input, &mut hand.memory).await;
        }
        if let Some(batch) = hand.after_a_failure(|batch| self.give_up(batch)) {
            self.step(&mut transforms, batch, hand).await?;
        }
        while let Some(envelope) = input.next().await {
            let (batch, ack, demand) = envelope.open();
            hand.token = Some((ack, demand));
            self.step(&mut transforms, batch, hand).await?;
        }
        Ok(())
    }

    /// Takes the batch in hand through the chain and to the edges behind it.
    async fn step(
        &self,
        transforms: &mut [Box<dyn Transform>],
        batch: Batch,
        hand: &mut Hand,
    ) -> Result<(), Fault> {
        hand.copy = (hand.wary > 0).then(|| batch.clone());
        let kind = batch.kind();
        let (emitted, dropped) = self.apply(transforms, batch)?;
        hand.wary = hand.wary.saturating_sub(1);
        hand.crashes = 0;
        hand.copy = None;
        if let Some((ack, demand)) = hand.token.take() {
            dropped.iter().for_each(|(reason, records)| ack.leave_out(reason, *records));
            self.give_on(emitted, ack, demand, kind).await;
        }
        Ok(())
    }

    fn apply(
        &self,
        transforms: &mut [Box<dyn Transform>],
        batch: Batch,
    ) -> Result<(Emitted, Dropped), Fault> {
        let mut dropped = Dropped::new();
        let mut current: Emitted = vec![(Arc::from(""), batch)];
        for (at, (transform, telemetry)) in transforms.iter_mut().zip(&self.telemetry).enumerate() {
            self.at.store(at, Ordering::Relaxed);
            let started = Instant::now();
            let mut out = Outputs::default();
            for (output, batch) in current {
                // Only the default output leads to the next transform of a chain.
                if output.is_empty() {
                    telemetry.received(&batch);
                    transform.transform(batch, &mut out)?;
                }
            }
            telemetry.busy(started.elapsed());
            let more;
            (current, more) = count(out, telemetry);
            dropped.extend(more);
        }
        Ok((current, dropped))
    }

    /// Sends on what came out. Whatever did not is left out on purpose, and so delivered.
    async fn give_on(&self, emitted: Emitted, ack: Ack, demand: Option<u64>, kind: Kind) {
        let routes = self.routes();
        give_up_on_moved(&ack, &routes);
        let mut unanswered = if demand.is_some() { ack.sinks() } else { SinkSet::NONE };
        let is_read = |output: &Arc<str>| routes.iter().any(|(name, _)| *name == output);
        if emitted.iter().filter(|(output, _)| is_read(output)).count() > 1 {
            ack.split();
        }
        for (output, batch) in emitted {
            if let Some((_, route)) = routes.iter().find(|(name, _)| **name == output) {
                unanswered = unanswered.without(route.reach);
                // Where nobody is left to take it, the share is lost and will be read again.
                route.send(batch, ack.share(route.reach), demand).await;
            }
        }
        if kind == Kind::Metrics {
            answer_with_nothing(&routes, ack.share(unanswered), demand).await;
        }
        ack.settle(Outcome::Delivered);
    }

    fn routes(&self) -> Vec<(&Arc<str>, Arc<Route>)> {
        self.fanouts.iter().map(|(name, fanout)| (name, fanout.route())).collect()
    }

    fn give_up(&self, batch: &Batch) {
        let telemetry = &self.telemetry[self.at.load(Ordering::Relaxed)];
        telemetry.dropped("crashes", batch.len() as u64);
        let (component, records) = (telemetry.name(), batch.len());
        tracing::error!(component, records, "failed on this batch again and again, dropped");
    }
}

/// Marks as lost what `ack` owes to sinks that no way leads to any more.
fn give_up_on_moved(ack: &Ack, routes: &[(&Arc<str>, Arc<Route>)]) {
    let reach = routes.iter().fold(SinkSet::NONE, |set, (_, route)| set.union(route.reach));
    let live = routes.iter().fold(SinkSet::NONE, |set, (_, route)| set.union(route.live));
    give_up_on_moved_sinks(ack, reach, live);
}

/// Whoever asked for metrics should learn that there are none, rather than wait.
async fn answer_with_nothing(routes: &[(&Arc<str>, Arc<Route>)], ack: Ack, demand: Option<u64>) {
    let leads = |route: &Route| !route.reach.intersection(ack.sinks()).is_empty();
    match routes.iter().find(|(_, route)| leads(route)) {
        Some((_, route)) => {
            let nothing = Batch::Metrics(MetricBatch::default());
            route.send(nothing, ack, demand).await;
        }
        None => ack.settle(Outcome::Delivered),
    }
}

/// Takes what was emitted, and counts that and everything else that there is to count.
fn count(mut out: Outputs, telemetry: &ComponentTelemetry) -> (Emitted, Dropped) {
    let (emitted, errors) = out.take();
    telemetry.errors(errors);
    let dropped = out.take_dropped();
    for (reason, records) in &dropped {
        telemetry.dropped(reason, *records);
    }
    for (_, batch) in &emitted {
        telemetry.sent(batch);
    }
    (emitted, dropped)
}

impl Hand {
    /// What to do about the batch that the run before failed on: it is returned to be tried
    /// again, given up, or, where no copy of it was kept, lost and so read again by its source.
    fn after_a_failure(&mut self, give_up: impl FnOnce(&Batch)) -> Option<Batch> {
        let (ack, demand) = self.token.take()?;
        self.wary = WARY_BATCHES;
        let batch = self.copy.take()?;
        self.crashes += 1;
        if self.crashes >= MAX_CRASHES {
            self.crashes = 0;
            give_up(&batch);
            ack.give_up(&batch, "crashes");
            return None;
        }
        self.token = Some((ack, demand));
        Some(batch)
    }
}
