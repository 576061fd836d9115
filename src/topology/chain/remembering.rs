//! A chain in which some transform remembers: it ticks, it is flushed at the end, and what it
//! holds something of stays unacknowledged.
//!
//! What is emitted may have been made of anything that was held, so it carries a share in every
//! batch of which the transform may hold something. A batch is let go by the transform once
//! nothing of it is held, and is delivered once all that it went into is.
//!
//! What a member has to know after a restart is kept before what it has said is sent, together
//! with that: a crash in between loses neither.

mod telling;

use super::{Chain, Dropped, answer_with_nothing, count, give_up_on_moved};
use crate::event::ack::{Ack, Outcome, SinkSet};
use crate::event::log::Origin;
use crate::event::{Batch, Kind};
use crate::topology::component::{Fault, Outputs, Remember, Transform};
use crate::topology::edge::{Envelope, Input};
use crate::topology::retained::Retained;
use crate::topology::supervise::MAX_CRASHES;
use crate::topology::untold::Untold;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Batches that one transform may hold something of. Each keeps a range of its source open, which
/// takes some hundred bytes here and there.
const MOST_BATCHES: usize = 16 << 10;

/// The share of the memory ceiling that what one transform holds may take.
const MEMORY_SHARE: usize = 8;

/// What it may hold even under a low ceiling.
const LEAST_BYTES: usize = 1 << 20;

/// What outlives a run that fails.
#[derive(Default)]
pub(super) struct Memory {
    /// By member.
    retained: Vec<Retained>,
    /// What members have said that the next start will not say again.
    untold: Untold,
    /// Whether that of the process before has been taken up.
    is_taken_up: bool,
    /// What members have to know after a restart, by member, and is not kept yet.
    to_keep: Vec<(usize, Vec<u8>)>,
    /// What the run is at.
    at: Place,
    /// What the run before ended at.
    failed_at: Place,
    /// Runs in a row that ended there.
    crashes: u32,
}

/// What a run can end at.
#[derive(Clone, Debug, Default, PartialEq)]
enum Place {
    /// Building, or waiting.
    #[default]
    Between,
    /// A tick or the end.
    Tick,
    /// A batch of this origin that begins there.
    Batch(Option<(Arc<Origin>, u64)>),
}

/// A batch on its way through the chain.
struct Piece {
    output: Arc<str>,
    batch: Batch,
    ack: Ack,
}

type Transforms = [Box<dyn Transform>];

/// What to ask of a transform that remembers.
type Ask<'a> = &'a (dyn Fn(&mut dyn Remember, &mut Outputs) -> Result<(), Fault> + Sync);

impl Chain {
    /// Runs until the input ends.
    pub(super) async fn run_remembering(
        &self,
        transforms: &mut Transforms,
        input: &Input,
        memory: &mut Memory,
    ) -> Result<(), Fault> {
        self.begin(memory);
        let begun = Instant::now();
        self.say_again(transforms, memory, begun.elapsed()).await?;
        loop {
            memory.at = Place::Between;
            let due = transforms.iter_mut().filter_map(|it| it.memory()?.due()).min();
            let due = due.and_then(|due| begun.checked_add(due));
            let next = tokio::select! {
                next = next_by(due, input) => next,
                () = memory.untold.hear() => {
                    self.keep(memory).await;
                    continue;
                }
            };
            let now = begun.elapsed();
            self.say_again(transforms, memory, now).await?;
            match next {
                Some(Some(envelope)) => self.take(transforms, memory, envelope, now).await?,
                Some(None) => break,
                None => {
                    memory.at = Place::Tick;
                    self.ask_all(transforms, memory, now, &|it, out| it.tick(now, out)).await?;
                }
            }
            self.relieve(transforms, memory, now).await?;
        }
        memory.at = Place::Tick;
        self.ask_all(transforms, memory, begun.elapsed(), &|it, out| it.flush(out)).await?;
        self.see_told(memory).await;
        Ok(())
    }

    /// Deals with what the run before has left. What it held is lost, and so read again.
    fn begin(&self, memory: &mut Memory) {
        let failed_at = std::mem::take(&mut memory.at);
        memory.crashes = if failed_at == memory.failed_at { memory.crashes + 1 } else { 1 };
        if failed_at == Place::Tick && memory.crashes >= MAX_CRASHES {
            memory.crashes = 0;
            let records: u64 = memory.retained.iter_mut().map(Retained::give_up).sum();
            self.give_up_records(records + memory.untold.give_up());
        }
        memory.failed_at = failed_at;
        memory.retained.clear();
        memory.retained.resize_with(self.members.len(), Retained::default);
        memory.to_keep.clear();
        if !std::mem::replace(&mut memory.is_taken_up, true) {
            self.take_up(&mut memory.untold);
        }
    }

    /// Takes a batch through the chain and to the edges behind it.
    async fn take(
        &self,
        transforms: &mut Transforms,
        memory: &mut Memory,
        envelope: Envelope,
        now: Duration,
    ) -> Result<(), Fault> {
        let (batch, ack, demand) = envelope.open();
        memory.at = Place::of(&batch);
        if memory.at == memory.failed_at && memory.crashes >= MAX_CRASHES {
            memory.crashes = 0;
            self.give_up(&batch);
            ack.give_up(&batch, "crashes");
            return Ok(());
        }
        let asked =
            demand.filter(|_| batch.kind() == Kind::Metrics).map(|_| ack.share(ack.sinks()));
        give_up_on_moved(&ack, &self.routes());
        let piece = Piece { output: "".into(), batch, ack };
        let pieces = self.pass(transforms, memory, 0, vec![piece], now)?;
        self.keep(memory).await;
        self.give_on_pieces(pieces).await;
        if let Some(asked) = asked {
            // What was asked for has gone into what is remembered, and comes out with that.
            answer_with_nothing(&self.routes(), asked, demand).await;
        }
        Ok(())
    }

    /// Takes pieces through the members from the one at `from` on.
    fn pass(
        &self,
        transforms: &mut Transforms,
        memory: &mut Memory,
        from: usize,
        mut pieces: Vec<Piece>,
        now: Duration,
    ) -> Result<Vec<Piece>, Fault> {
        for at in from..transforms.len() {
            let mut next = Vec::new();
            for piece in pieces {
                // Only the default output leads to the next transform of a chain.
                if piece.output.is_empty() {
                    self.one(&mut *transforms[at], memory, at, piece, now, &mut next)?;
                } else {
                    piece.ack.settle(Outcome::Delivered);
                }
            }
            pieces = next;
        }
        Ok(pieces)
    }

    /// Takes one piece through the member at `at`.
    fn one(
        &self,
        transform: &mut dyn Transform,
        memory: &mut Memory,
        at: usize,
        piece: Piece,
        now: Duration,
        next: &mut Vec<Piece>,
    ) -> Result<(), Fault> {
        self.at.store(at, std::sync::atomic::Ordering::Relaxed);
        let (telemetry, started) = (&self.telemetry[at], Instant::now());
        let Piece { batch, ack, .. } = piece;
        telemetry.received(&batch);
        if transform.memory().is_none() {
            let mut out = Outputs::default();
            transform.transform(batch, &mut out)?;
            telemetry.busy(started.elapsed());
            let (emitted, dropped) = count(out, telemetry);
            dropped.iter().for_each(|(reason, records)| ack.leave_out(reason, *records));
            if emitted.len() > 1 {
                ack.split();
            }
            for (output, batch) in emitted {
                next.push(Piece { output, batch, ack: ack.share(SinkSet::ALL) });
            }
            ack.settle(Outcome::Delivered);
            return Ok(());
        }
        // Answers for no sink, and tells whose records they are that are given up here.
        let aside = ack.share(SinkSet::NONE);
        let mut out = Outputs::of(memory.retained[at].add(ack, batch.len() as u64));
        if let Some(remembers) = transform.memory() {
            remembers.tick(now, &mut out)?;
        }
        transform.transform(batch, &mut out)?;
        telemetry.busy(started.elapsed());
        let dropped = self.emit(transform, memory, at, out, next);
        dropped.iter().for_each(|(reason, records)| aside.leave_out(reason, *records));
        Ok(())
    }

    /// Gives what a member that remembers has emitted its share in all that it may be made of.
    fn emit(
        &self,
        transform: &mut dyn Transform,
        memory: &mut Memory,
        at: usize,
        out: Outputs,
        next: &mut Vec<Piece>,
    ) -> Dropped {
        let (emitted, dropped) = count(out, &self.telemetry[at]);
        let to_keep = transform.memory().and_then(Remember::to_keep);
        let retained = &mut memory.retained[at];
        let several = emitted.len() > 1;
        for (output, batch) in emitted {
            // What is made of no batch in particular, such as a total that did not change, is for
            // everybody.
            let nobody = retained.batches() == 0;
            let mut ack = if nobody { Ack::unobserved(SinkSet::ALL) } else { retained.share() };
            if several {
                ack.split();
            }
            if to_keep.is_some() && output.is_empty() {
                ack = memory.untold.note(at, &batch, ack, self.reach());
            }
            next.push(Piece { output, batch, ack });
        }
        retained.release_before(transform.memory().and_then(|memory| memory.held_since()));
        memory.to_keep.extend(to_keep.map(|bytes| (at, bytes)));
        dropped
    }

    /// Asks every member that remembers, in order, and takes what it emits to the edges.
    async fn ask_all(
        &self,
        transforms: &mut Transforms,
        memory: &mut Memory,
        now: Duration,
        ask: Ask<'_>,
    ) -> Result<(), Fault> {
        for at in 0..transforms.len() {
            self.ask(transforms, memory, at, now, ask).await?;
        }
        Ok(())
    }

    async fn ask(
        &self,
        transforms: &mut Transforms,
        memory: &mut Memory,
        at: usize,
        now: Duration,
        ask: Ask<'_>,
    ) -> Result<(), Fault> {
        self.at.store(at, std::sync::atomic::Ordering::Relaxed);
        let transform = &mut *transforms[at];
        let mut out = Outputs::of(memory.retained[at].latest());
        let Some(remembers) = transform.memory() else { return Ok(()) };
        let started = Instant::now();
        ask(remembers, &mut out)?;
        self.telemetry[at].busy(started.elapsed());
        let mut pieces = Vec::new();
        self.emit(transform, memory, at, out, &mut pieces);
        let pieces = self.pass(transforms, memory, at + 1, pieces, now)?;
        self.keep(memory).await;
        self.give_on_pieces(pieces).await;
        Ok(())
    }

    /// Makes members that hold too much, or of too many batches, give on what is oldest.
    async fn relieve(
        &self,
        transforms: &mut Transforms,
        memory: &mut Memory,
        now: Duration,
    ) -> Result<(), Fault> {
        for at in 0..transforms.len() {
            let limit = self.members[at].build.env.memory.limit_bytes() / MEMORY_SHARE;
            let mut before = None;
            while let Some(remembers) = transforms[at].memory() {
                let held = (remembers.held_since(), remembers.held_bytes());
                let batches = memory.retained[at].batches();
                let much = held.1 > limit.max(LEAST_BYTES) || batches > MOST_BATCHES;
                // One that gives nothing away when asked is not asked again and again.
                if !much || before == Some(held) {
                    break;
                }
                before = Some(held);
                memory.at = Place::Tick;
                self.ask(transforms, memory, at, now, &|it, out| it.relieve(out)).await?;
            }
        }
        Ok(())
    }

    /// Sends on what came out of the last member.
    async fn give_on_pieces(&self, pieces: Vec<Piece>) {
        let mut pieces = VecDeque::from(pieces);
        while let Some(Piece { output, batch, ack }) = pieces.pop_front() {
            let routes = self.routes();
            give_up_on_moved(&ack, &routes);
            if let Some((_, route)) = routes.iter().find(|(name, _)| **name == output) {
                // Where nobody is left to take it, the share is lost and will be read again.
                route.send(batch, ack.share(route.reach), None).await;
            }
            ack.settle(Outcome::Delivered);
        }
    }

    fn give_up_records(&self, records: u64) {
        let telemetry = &self.telemetry[self.at.load(std::sync::atomic::Ordering::Relaxed)];
        telemetry.dropped("crashes", records);
        let component = telemetry.name();
        tracing::error!(component, records, "failed on what it held again and again, dropped");
    }
}

/// The next batch, `None` where the input has ended; neither where it is `due` before.
async fn next_by(due: Option<Instant>, input: &Input) -> Option<Option<Envelope>> {
    match due {
        Some(due) => timeout_at(due, input.next()).await.ok(),
        None => Some(input.next().await),
    }
}

impl Place {
    fn of(batch: &Batch) -> Self {
        Self::Batch(match batch {
            Batch::Logs(logs) => Some((Arc::clone(&logs.origin), logs.offset)),
            Batch::Metrics(_) | Batch::Tasks(_) => None,
        })
    }
}
