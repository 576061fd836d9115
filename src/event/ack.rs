//! Acknowledgement: how a source learns what became of each batch it sent.
//!
//! Every batch travels with an [`Ack`]. It names the sinks that the batch is meant for; a fan-out
//! gives each branch a share with the sinks behind that branch. A sink's verdict is known when
//! its last share is settled, and the worst verdict counts. A share that is dropped without a
//! word (a panic, an aborted task) counts as [`Outcome::Lost`], and the source reads again from
//! its mark. Only the runners of the topology settle shares; components never see them.

use super::ledger::{Part, Sheet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// What became of a batch at one sink, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The sink has it safe, or a transform left all of it out on purpose.
    Delivered,
    /// Given up for good, and counted with its reason.
    Dropped,
    /// Nobody knows; it has to be read again.
    Lost,
}

/// A sink's number while the process runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SinkId(u8);

/// A set of sinks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SinkSet(u128);

impl SinkId {
    /// How many sinks one topology can have.
    pub const LIMIT: usize = 128;

    /// The sink with this number; `None` from [`Self::LIMIT`] on.
    pub fn new(index: usize) -> Option<Self> {
        u8::try_from(index).ok().filter(|_| index < Self::LIMIT).map(Self)
    }

    /// The number.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl SinkSet {
    /// No sink.
    pub const NONE: Self = Self(0);
    /// Every sink there could be.
    pub const ALL: Self = Self(u128::MAX);

    /// The set of this one sink.
    pub fn one(sink: SinkId) -> Self {
        Self(1 << sink.0)
    }

    /// Sinks that are in either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Sinks that are in both sets.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Sinks that are in this set and not in the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether no sink is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the sink is in it.
    pub fn contains(self, sink: SinkId) -> bool {
        self.0 & (1 << sink.0) != 0
    }

    /// The sinks, in order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = SinkId> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let index = rest.trailing_zeros();
            rest &= rest.wrapping_sub(1);
            u8::try_from(index).ok().filter(|index| *index < 128).map(SinkId)
        })
    }
}

/// The news that one sink has settled one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The number that the source gave the batch.
    pub mark: u64,
    /// The sink.
    pub sink: SinkId,
    /// The worst of what its shares met.
    pub outcome: Outcome,
    /// Whether this was the last open sink of the batch.
    pub last: bool,
}

/// Sinks of one batch that are still open: shares outstanding and the worst outcome so far.
struct Open {
    sink: SinkId,
    shares: u32,
    worst: Outcome,
}

struct Batch {
    heir: Heir,
    open: Mutex<Vec<Open>>,
}

/// Who is told when a sink has settled the last share.
enum Heir {
    /// The source, under the number that it gave the batch.
    Source { mark: u64, receipts: mpsc::UnboundedSender<Receipt>, sheet: Option<Sheet> },
    /// The shares of other batches that this one stands for.
    Merged(Vec<Whole>),
}

/// A share that was merged: of which batch, for which sinks, and for which of its records.
struct Whole {
    batch: Arc<Batch>,
    sinks: SinkSet,
    part: Option<Part>,
}

/// One share in a batch's fate.
pub struct Ack {
    batch: Option<Arc<Batch>>,
    sinks: SinkSet,
    /// The records that it is for, once they have come to a sink.
    part: Option<Part>,
}

impl Ack {
    /// The first share of a new batch, meant for `sinks`; each of them is heard of once in
    /// `receipts`. Where there are none, nothing is.
    pub fn new(mark: u64, sinks: SinkSet, receipts: mpsc::UnboundedSender<Receipt>) -> Self {
        Self::booked(mark, sinks, receipts, None)
    }

    /// As [`Self::new`], with a sheet on which is noted what becomes of each record.
    pub fn booked(
        mark: u64,
        sinks: SinkSet,
        receipts: mpsc::UnboundedSender<Receipt>,
        sheet: Option<Sheet>,
    ) -> Self {
        let batch = Batch::of(Heir::Source { mark, receipts, sheet }, sinks);
        Self { batch: Some(batch), sinks, part: None }
    }

    /// One share that answers for all of these, for a batch that was made of several: what becomes
    /// of it at a sink becomes of each of them that is meant for that sink.
    pub fn merge(shares: impl IntoIterator<Item = Self>) -> Self {
        let mut sinks = SinkSet::NONE;
        let mut parts: Vec<Whole> = Vec::new();
        for mut share in shares {
            sinks = sinks.union(share.sinks);
            let (of, part) = (share.sinks, share.part.take());
            parts.extend(share.batch.take().map(|batch| Whole { batch, sinks: of, part }));
        }
        if parts.len() == 1
            && let Some(only) = parts.pop_if(|only| only.sinks == sinks)
        {
            return Self { batch: Some(only.batch), sinks, part: only.part };
        }
        let batch = (!parts.is_empty()).then(|| Batch::of(Heir::Merged(parts), sinks));
        Self { batch, sinks, part: None }
    }

    /// A share that nobody waits for, for batches whose source keeps no mark.
    pub fn unobserved(sinks: SinkSet) -> Self {
        Self { batch: None, sinks, part: None }
    }

    /// The sinks that this share answers for.
    pub fn sinks(&self) -> SinkSet {
        self.sinks
    }

    /// A further share, for those of `sinks` that this one answers for.
    #[must_use]
    pub fn share(&self, sinks: SinkSet) -> Self {
        let sinks = self.sinks.intersection(sinks);
        if let Some(batch) = &self.batch {
            let mut open = batch.open.lock().unwrap_or_else(PoisonError::into_inner);
            for entry in open.iter_mut().filter(|entry| sinks.contains(entry.sink)) {
                entry.shares += 1;
            }
        }
        Self { batch: self.batch.clone(), sinks, part: self.part.clone() }
    }

    /// Says what became of this share. Records that came to a sink and are dropped there count
    /// as rejected.
    pub fn settle(self, outcome: Outcome) {
        if outcome == Outcome::Dropped {
            return self.reject_all("rejected");
        }
        self.end(outcome);
    }

    /// As [`Self::settle`], where what was dropped has been noted before.
    pub fn end(mut self, outcome: Outcome) {
        self.close(outcome);
    }

    /// From here on there are several ways, on which different things may become of a record.
    pub fn split(&self) {
        self.sheets(|sheet, _| sheet.split());
    }

    /// The batch has come to a sink.
    pub fn arrive(&mut self, batch: &super::Batch) {
        if self.part.is_none() {
            self.part = self.part_of(batch);
        }
        self.sheets(|sheet, part| sheet.arrived(part));
    }

    /// The batch is in a buffer on disk, which answers for it once this share is settled.
    pub fn buffer(&mut self, batch: &super::Batch) {
        if self.part.is_none() {
            self.part = self.part_of(batch);
        }
        self.sheets(|sheet, part| sheet.buffered(part));
    }

    /// Notes that all that this share is for is given up.
    pub fn note_rejected(&self, reason: &str) {
        self.sheets(|sheet, part| sheet.rejected(reason, part));
    }

    /// Gives up what has come to a sink.
    pub fn reject_all(self, reason: &str) {
        self.note_rejected(reason);
        self.end(Outcome::Dropped);
    }

    /// Notes that some of what has come to a sink is given up: of `all` records, those at these
    /// positions.
    pub fn reject(&self, reason: &str, positions: &[usize], all: u64) {
        let only = |part: &Part| part.only(positions, all);
        self.sheets(|sheet, part| sheet.rejected(reason, &only(part)));
    }

    /// Gives up a batch on its way.
    pub fn give_up(mut self, batch: &super::Batch, reason: &str) {
        if self.part.is_none() {
            self.part = self.part_of(batch);
        }
        self.sheets(|sheet, part| sheet.given_up(reason, part));
        self.end(Outcome::Dropped);
    }

    /// Notes that so many records were given up on their way. The share itself goes on.
    pub fn leave_out(&self, reason: &str, records: u64) {
        let some = Part::Some(records);
        self.sheets(|sheet, _| sheet.given_up(reason, &some));
    }

    /// A further share, for those `records` of `all` that came to a sink which went into one of
    /// several requests.
    #[must_use]
    pub fn share_some(&self, records: u64, all: u64) -> Self {
        let mut share = self.share(self.sinks);
        share.part = self.part.as_ref().map(|part| part.some(records, all));
        share
    }

    /// A further share, for those at `positions` of `all` records that came to a sink.
    #[must_use]
    pub fn share_at(&self, positions: &[usize], all: u64) -> Self {
        let mut share = self.share(self.sinks);
        share.part = self.part.as_ref().map(|part| part.only(positions, all));
        share
    }

    /// The records of the source's batch that are in this one. What was merged is told by its
    /// parts.
    fn part_of(&self, batch: &super::Batch) -> Option<Part> {
        match &self.batch.as_ref()?.heir {
            Heir::Source { sheet, .. } => sheet.as_ref().map(|sheet| sheet.part(batch)),
            Heir::Merged(_) => None,
        }
    }

    /// Calls `note` with each sheet, and the records on it that this share is for.
    fn sheets(&self, note: impl Fn(&Sheet, &Part)) {
        if let Some(batch) = &self.batch {
            batch.sheets(self.part.as_ref().unwrap_or(&Part::All), self.sinks, &note);
        }
    }

    fn close(&mut self, outcome: Outcome) {
        if let Some(batch) = self.batch.take() {
            batch.close(self.sinks, outcome);
        }
    }
}

impl Batch {
    fn of(heir: Heir, sinks: SinkSet) -> Arc<Self> {
        let open =
            sinks.iter().map(|sink| Open { sink, shares: 1, worst: Outcome::Delivered }).collect();
        Arc::new(Self { heir, open: Mutex::new(open) })
    }

    fn sheets(&self, part: &Part, sinks: SinkSet, note: &dyn Fn(&Sheet, &Part)) {
        match &self.heir {
            Heir::Source { sheet, .. } => {
                if let Some(sheet) = sheet {
                    note(sheet, part);
                }
            }
            Heir::Merged(parts) => {
                let concerned = |whole: &&Whole| !whole.sinks.intersection(sinks).is_empty();
                for whole in parts.iter().filter(concerned) {
                    let part = whole.part.as_ref().unwrap_or(&Part::Made);
                    whole.batch.sheets(part, whole.sinks, note);
                }
            }
        }
    }

    /// One share less for these sinks.
    fn close(&self, sinks: SinkSet, outcome: Outcome) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for sink in sinks.iter() {
            let Some(at) = open.iter().position(|entry| entry.sink == sink) else { continue };
            let entry = &mut open[at];
            entry.worst = entry.worst.max(outcome);
            entry.shares -= 1;
            if entry.shares == 0 {
                let outcome = open.swap_remove(at).worst;
                self.heir.hears(sink, outcome, open.is_empty());
            }
        }
    }
}

impl Heir {
    fn hears(&self, sink: SinkId, outcome: Outcome, last: bool) {
        match self {
            // A source that has ended needs no receipts.
            Self::Source { mark, receipts, sheet } => {
                if let (Some(sheet), Outcome::Lost) = (sheet, outcome) {
                    sheet.lost();
                }
                receipts.send(Receipt { mark: *mark, sink, outcome, last }).ok();
            }
            // What was merged is older than what it was merged into, so that locks never wait in
            // a circle.
            Self::Merged(parts) => {
                for whole in parts.iter().filter(|whole| whole.sinks.contains(sink)) {
                    whole.batch.close(SinkSet::one(sink), outcome);
                }
            }
        }
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        self.close(Outcome::Lost);
    }
}

#[cfg(test)]
#[path = "ack_tests.rs"]
mod tests;
