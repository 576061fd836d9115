//! Acknowledgement: how a source learns what became of each batch it sent.
//!
//! Every batch travels with an [`Ack`]. It names the sinks that the batch is meant for; a fan-out
//! gives each branch a share with the sinks behind that branch. A sink's verdict is known when
//! its last share is settled, and the worst verdict counts. A share that is dropped without a
//! word (a panic, an aborted task) counts as [`Outcome::Lost`], and the source reads again from
//! its mark. Only the runners of the topology settle shares; components never see them.

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
    Source { mark: u64, receipts: mpsc::UnboundedSender<Receipt> },
    /// The shares of other batches that this one stands for, each for these sinks.
    Merged(Vec<(Arc<Batch>, SinkSet)>),
    /// The same, where one sink takes what was meant for others.
    Deputy(Vec<(Arc<Batch>, SinkSet)>),
}

/// One share in a batch's fate.
pub struct Ack {
    batch: Option<Arc<Batch>>,
    sinks: SinkSet,
}

impl Ack {
    /// The first share of a new batch, meant for `sinks`; each of them is heard of once in
    /// `receipts`. Where there are none, nothing is.
    pub fn new(mark: u64, sinks: SinkSet, receipts: mpsc::UnboundedSender<Receipt>) -> Self {
        Self { batch: Some(Batch::of(Heir::Source { mark, receipts }, sinks)), sinks }
    }

    /// One share that answers for all of these, for a batch that was made of several: what becomes
    /// of it at a sink becomes of each of them that is meant for that sink.
    pub fn merge(shares: impl IntoIterator<Item = Self>) -> Self {
        let mut sinks = SinkSet::NONE;
        let mut parts: Vec<(Arc<Batch>, SinkSet)> = Vec::new();
        for mut share in shares {
            sinks = sinks.union(share.sinks);
            parts.extend(share.batch.take().map(|batch| (batch, share.sinks)));
        }
        match parts.as_slice() {
            [] => Self { batch: None, sinks },
            [(_, only)] if *only == sinks => Self { batch: parts.pop().map(|part| part.0), sinks },
            _ => Self { batch: Some(Batch::of(Heir::Merged(parts), sinks)), sinks },
        }
    }

    /// One share for `sink` that answers for all of these, whatever sinks they are for: what becomes
    /// of it there becomes of each of them.
    pub fn deputy(shares: impl IntoIterator<Item = Self>, sink: SinkSet) -> Self {
        let parts: Vec<(Arc<Batch>, SinkSet)> = shares
            .into_iter()
            .filter_map(|mut share| share.batch.take().map(|batch| (batch, share.sinks)))
            .collect();
        Self { batch: Some(Batch::of(Heir::Deputy(parts), sink)), sinks: sink }
    }

    /// A share that nobody waits for, for batches whose source keeps no mark.
    pub fn unobserved(sinks: SinkSet) -> Self {
        Self { batch: None, sinks }
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
        Self { batch: self.batch.clone(), sinks }
    }

    /// Says what became of this share.
    pub fn settle(mut self, outcome: Outcome) {
        self.close(outcome);
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
            Self::Source { mark, receipts } => {
                receipts.send(Receipt { mark: *mark, sink, outcome, last }).ok();
            }
            Self::Deputy(parts) => {
                for (batch, sinks) in parts.iter().filter(|_| last) {
                    batch.close(*sinks, outcome);
                }
            }
            // What was merged is older than what it was merged into, so that locks never wait in
            // a circle.
            Self::Merged(parts) => {
                for (batch, _) in parts.iter().filter(|(_, sinks)| sinks.contains(sink)) {
                    batch.close(SinkSet::one(sink), outcome);
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
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn sinks(indexes: &[usize]) -> SinkSet {
        indexes
            .iter()
            .fold(SinkSet::NONE, |set, i| set.union(SinkSet::one(SinkId::new(*i).unwrap())))
    }

    fn outcomes(rx: &mut mpsc::UnboundedReceiver<Receipt>) -> Vec<(usize, Outcome, bool)> {
        std::iter::from_fn(|| rx.try_recv().ok())
            .map(|receipt| (receipt.sink.index(), receipt.outcome, receipt.last))
            .collect()
    }

    #[test]
    fn a_batch_nobody_accounts_for_is_lost_not_delivered() {
        let (tx, mut rx) = mpsc::unbounded_channel();
        drop(Ack::new(7, sinks(&[0]), tx));
        assert_eq!(outcomes(&mut rx), [(0, Outcome::Lost, true)]);
    }

    #[test]
    fn each_sink_is_told_apart_and_its_worst_share_counts() {
        let (tx, mut rx) = mpsc::unbounded_channel();
        let ack = Ack::new(1, sinks(&[0, 127]), tx);
        let (left, right) = (ack.share(sinks(&[0])), ack.share(sinks(&[0, 127])));
        ack.settle(Outcome::Delivered);
        left.settle(Outcome::Dropped);
        assert_eq!(outcomes(&mut rx), []);
        right.settle(Outcome::Delivered);
        assert_eq!(
            outcomes(&mut rx),
            [(0, Outcome::Dropped, false), (127, Outcome::Delivered, true)]
        );
    }

    #[test]
    fn a_sink_that_no_branch_leads_to_any_more_does_not_keep_a_batch_open() {
        let (tx, mut rx) = mpsc::unbounded_channel();
        let ack = Ack::new(1, sinks(&[0, 1]), tx);
        let branch = ack.share(sinks(&[0]));
        ack.settle(Outcome::Delivered);
        assert_eq!(outcomes(&mut rx), [(1, Outcome::Delivered, false)]);
        branch.settle(Outcome::Delivered);
        assert_eq!(outcomes(&mut rx), [(0, Outcome::Delivered, true)]);
    }

    #[test]
    fn what_becomes_of_a_merged_share_becomes_of_each_that_it_was_made_of() {
        let (tx, mut rx) = mpsc::unbounded_channel();
        let first = Ack::new(1, sinks(&[0, 1]), tx.clone());
        let second = Ack::new(2, sinks(&[1]), tx);
        let made = Ack::merge([first.share(SinkSet::ALL), second.share(SinkSet::ALL)]);
        assert_eq!(made.sinks(), sinks(&[0, 1]));
        let branch = made.share(sinks(&[1]));
        first.settle(Outcome::Delivered);
        made.settle(Outcome::Delivered);
        assert_eq!(outcomes(&mut rx), [(0, Outcome::Delivered, false)]);
        drop(branch);
        assert_eq!(outcomes(&mut rx), [(1, Outcome::Lost, true)], "the second is still held");
        second.settle(Outcome::Delivered);
        assert_eq!(outcomes(&mut rx), [(1, Outcome::Lost, true)]);
    }

    #[test]
    fn what_becomes_of_a_deputy_becomes_of_those_that_it_stands_for() {
        let (tx, mut rx) = mpsc::unbounded_channel();
        let (first, second) =
            (Ack::new(1, sinks(&[0, 1]), tx.clone()), Ack::new(2, sinks(&[0]), tx));
        let shares = [first.share(sinks(&[0])), second.share(sinks(&[0]))];
        let deputy = Ack::deputy(shares, sinks(&[5]));
        assert_eq!(deputy.sinks(), sinks(&[5]));
        first.settle(Outcome::Delivered);
        second.settle(Outcome::Delivered);
        assert_eq!(outcomes(&mut rx), [(1, Outcome::Delivered, false)]);
        let branch = deputy.share(SinkSet::ALL);
        deputy.settle(Outcome::Delivered);
        assert_eq!(outcomes(&mut rx), []);
        branch.settle(Outcome::Dropped);
        assert_eq!(outcomes(&mut rx), [(0, Outcome::Dropped, true), (0, Outcome::Dropped, true)]);
    }

    /// A branch of a fan-out: what becomes of a share, or into which it is split and whether
    /// what is left of it is then settled or dropped without a word.
    #[derive(Clone, Debug)]
    enum Fate {
        End(Option<Outcome>),
        Split(Vec<(u128, Fate)>, Option<Outcome>),
    }

    fn fate() -> impl Strategy<Value = Fate> {
        let end = || {
            prop_oneof![
                4 => Just(Some(Outcome::Delivered)),
                1 => Just(Some(Outcome::Dropped)),
                1 => Just(Some(Outcome::Lost)),
                1 => Just(None),
            ]
        };
        end().prop_map(Fate::End).prop_recursive(4, 40, 4, move |inner| {
            let branches = proptest::collection::vec((any::<u128>(), inner), 0..4);
            (branches, end()).prop_map(|(branches, rest)| Fate::Split(branches, rest))
        })
    }

    /// Lets the shares be settled in the order that `later` says, and notes the worst per sink.
    fn play(
        ack: Ack,
        fate: &Fate,
        worst: &mut HashMap<SinkId, Outcome>,
        later: &mut Vec<(Ack, Option<Outcome>)>,
    ) {
        let end = match fate {
            Fate::End(end) => end,
            Fate::Split(branches, rest) => {
                for (sinks, fate) in branches {
                    play(ack.share(SinkSet(*sinks)), fate, worst, later);
                }
                rest
            }
        };
        for sink in ack.sinks().iter() {
            let known = worst.entry(sink).or_insert(Outcome::Delivered);
            *known = (*known).max(end.unwrap_or(Outcome::Lost));
        }
        later.push((ack, *end));
    }

    proptest! {
        #[test]
        fn each_sink_hears_once_and_of_its_worst_share_whatever_the_fan_out(
            sinks: u128,
            merged: bool,
            fate in fate(),
            order in proptest::collection::vec(any::<proptest::sample::Index>(), 64),
        ) {
            let (tx, mut rx) = mpsc::unbounded_channel();
            let (mut worst, mut later) = (HashMap::new(), Vec::new());
            let whole = Ack::new(9, SinkSet(sinks), tx);
            // A share of a share of several is as good as a share.
            let made = Ack::merge([whole.share(SinkSet::ALL), whole.share(SinkSet::ALL)]);
            let part = if merged { Ack::merge([made, whole]) } else { made.settle(Outcome::Delivered); whole };
            play(part, &fate, &mut worst, &mut later);
            for index in order.iter().cycle() {
                if later.is_empty() {
                    break;
                }
                match later.swap_remove(index.index(later.len())) {
                    (ack, Some(outcome)) => ack.settle(outcome),
                    (ack, None) => drop(ack),
                }
            }
            let receipts: Vec<Receipt> = std::iter::from_fn(|| rx.try_recv().ok()).collect();
            let told: HashMap<SinkId, Outcome> =
                receipts.iter().map(|receipt| (receipt.sink, receipt.outcome)).collect();
            prop_assert_eq!(receipts.len(), SinkSet(sinks).iter().count());
            prop_assert_eq!(told, worst);
            let lasts: Vec<bool> = receipts.iter().map(|receipt| receipt.last).collect();
            prop_assert_eq!(lasts.iter().position(|last| *last), receipts.len().checked_sub(1));
        }
    }
}
