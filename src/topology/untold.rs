//! What a transform has said of what it keeps for its next start, until every sink has it.
//!
//! The next start knows that it was said, and does not say it again: so it lies beside what is
//! kept, and is sent again after a crash, and where a sink has lost it.

use super::component::BuildContext;
use crate::event::ack::{Ack, Outcome, Receipt, SinkSet};
use crate::event::pack::wire::{Taker, put_size};
use crate::event::pack::{Packed, PackedKind, pack};
use crate::event::{Batch, Kinds};
use bytes::Bytes;
use std::collections::{BTreeSet, VecDeque};
use tokio::sync::mpsc;

/// What the members of a chain have said.
pub(super) struct Untold {
    /// The oldest first.
    entries: VecDeque<Entry>,
    next: u64,
    receipts_in: mpsc::UnboundedSender<Receipt>,
    receipts: mpsc::UnboundedReceiver<Receipt>,
    /// Members whose file does not say what is here.
    changed: BTreeSet<usize>,
}

struct Entry {
    mark: u64,
    /// Which of the chain has said it.
    member: usize,
    batch: Batch,
    /// The sinks that it is on its way to.
    open: SinkSet,
    /// Those that it has to be sent to again.
    lost: SinkSet,
}

/// Something to be sent again.
pub(super) struct Again {
    pub(super) member: usize,
    pub(super) batch: Batch,
    pub(super) ack: Ack,
}

impl Default for Untold {
    fn default() -> Self {
        let (receipts_in, receipts) = mpsc::unbounded_channel();
        let (entries, next, changed) = Default::default();
        Self { entries, next, receipts_in, receipts, changed }
    }
}

impl Untold {
    /// Takes up what the process before has left of a member that gives these kinds.
    pub(super) fn take_up(&mut self, member: usize, bytes: &[u8], gives: Kinds) {
        for batch in unpack(bytes).into_iter().filter(|it| gives.contains(it.kind().into())) {
            let (mark, open) = (self.number(), SinkSet::NONE);
            self.entries.push_back(Entry { mark, member, batch, open, lost: SinkSet::ALL });
        }
    }

    /// Notes what a member says, on its way to these sinks. The share that is returned stands for
    /// `ack` and tells what becomes of it.
    pub(super) fn note(&mut self, member: usize, batch: &Batch, ack: Ack, reach: SinkSet) -> Ack {
        let open = ack.sinks().intersection(reach);
        if open.is_empty() {
            return ack;
        }
        let (mark, batch) = (self.number(), batch.clone());
        self.entries.push_back(Entry { mark, member, batch, open, lost: SinkSet::NONE });
        self.changed.insert(member);
        Ack::merge([ack, Ack::new(mark, open, self.receipts_in.clone())])
    }

    /// What has to be sent again to those of the sinks that can be reached. Nobody waits for the
    /// others any more.
    pub(super) fn again(&mut self, reach: SinkSet) -> Vec<Again> {
        let mut again = Vec::new();
        for entry in self.entries.iter_mut().filter(|entry| !entry.lost.is_empty()) {
            let sinks = std::mem::take(&mut entry.lost).intersection(reach);
            entry.open = entry.open.union(sinks);
            if !sinks.is_empty() {
                let ack = Ack::new(entry.mark, sinks, self.receipts_in.clone());
                again.push(Again { member: entry.member, batch: entry.batch.clone(), ack });
            }
        }
        self.forget_the_told();
        again
    }

    /// Waits for news of what is on its way, and takes it in.
    pub(super) async fn hear(&mut self) {
        if let Some(receipt) = self.receipts.recv().await {
            self.take_in(receipt);
        }
        while let Ok(receipt) = self.receipts.try_recv() {
            self.take_in(receipt);
        }
        self.forget_the_told();
    }

    /// Whether anything has to be sent again.
    pub(super) fn has_lost(&self) -> bool {
        self.entries.iter().any(|entry| !entry.lost.is_empty())
    }

    /// Gives up what has to be sent again, and says how many records that were.
    pub(super) fn give_up(&mut self) -> u64 {
        let lost = self.entries.iter_mut().filter(|entry| !entry.lost.is_empty());
        let records = lost.map(|entry| {
            entry.lost = SinkSet::NONE;
            entry.batch.len() as u64
        });
        let records = records.sum();
        self.forget_the_told();
        records
    }

    /// Whether anything is on its way.
    pub(super) fn is_open(&self) -> bool {
        self.entries.iter().any(|entry| !entry.open.is_empty())
    }

    /// The members whose file has to be written, each with what belongs in it.
    pub(super) fn take_changed(&mut self) -> Vec<(usize, Vec<u8>)> {
        let content = |member| {
            let mut bytes = Vec::new();
            let of_it = self.entries.iter().filter(|entry| entry.member == member);
            of_it.for_each(|entry| put_batch(&entry.batch, &mut bytes));
            (member, bytes)
        };
        std::mem::take(&mut self.changed).into_iter().map(content).collect()
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn take_in(&mut self, receipt: Receipt) {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.mark == receipt.mark) else {
            return;
        };
        let sink = SinkSet::one(receipt.sink);
        entry.open = entry.open.without(sink);
        if receipt.outcome == Outcome::Lost {
            entry.lost = entry.lost.union(sink);
        }
    }

    fn forget_the_told(&mut self) {
        let changed = &mut self.changed;
        self.entries.retain(|entry| {
            let is_told = entry.open.is_empty() && entry.lost.is_empty();
            if is_told {
                changed.insert(entry.member);
            }
            !is_told
        });
    }
}

fn put_batch(batch: &Batch, out: &mut Vec<u8>) {
    let mut packed = Vec::new();
    let Some(kind) = pack(batch, &mut packed) else { return };
    out.push(u8::from(kind == PackedKind::Metrics));
    put_size(out, packed.len());
    out.extend_from_slice(&packed);
}

/// The batches in a file, up to what makes no sense.
fn unpack(bytes: &[u8]) -> Vec<Batch> {
    let mut taker = Taker::new(bytes);
    let mut next = || {
        let kind = if taker.byte()? == 0 { PackedKind::Logs } else { PackedKind::Metrics };
        let packed = Bytes::copy_from_slice(taker.bytes()?);
        Packed::new(kind, &packed)?.unpack()
    };
    std::iter::from_fn(&mut next).collect()
}

/// Any bytes as what a process before has left.
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile {
    use super::*;
    use crate::event::ack::SinkId;
    use crate::event::pack::hostile::{batches, text};

    /// What can be read of it is said once, to all sinks, and what is kept until then reads as the
    /// same.
    pub(crate) fn untold(input: &[u8]) {
        let Some(reach) = SinkId::new(1).map(SinkSet::one) else { return };
        let mut untold = Untold::default();
        untold.take_up(0, input, Kinds::LOGS.union(Kinds::METRICS));
        let batches: Vec<Batch> = untold.again(reach).into_iter().map(|it| it.batch).collect();
        assert!(untold.again(reach).is_empty(), "it is said once");
        let mut kept = Vec::new();
        batches.iter().for_each(|batch| put_batch(batch, &mut kept));
        let texts = |batches: &[Batch]| batches.iter().map(text).collect::<Vec<_>>();
        assert!(texts(&unpack(&kept)) == texts(&batches), "{batches:?}");
    }

    /// Good input: a file of one batch, and one of all of them.
    pub(crate) fn files() -> Vec<Vec<u8>> {
        let kept = |packed: &Vec<u8>| {
            let Some((kind, packed)) = packed.split_first() else { return Vec::new() };
            let mut bytes = vec![*kind];
            put_size(&mut bytes, packed.len());
            bytes.extend_from_slice(packed);
            bytes
        };
        let mut files: Vec<Vec<u8>> = batches().iter().map(kept).collect();
        files.push(files.concat());
        files
    }
}

impl BuildContext {
    /// What the component of this name has said before this process began, and not every sink has.
    pub(super) fn untold(&self) -> Option<Vec<u8>> {
        self.read_state("untold")
    }

    /// Keeps what it has said and not every sink has yet.
    pub(super) async fn keep_untold(&self, bytes: Vec<u8>) {
        self.keep_in("untold", bytes).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ack::SinkId;
    use crate::topology::testing::{number, numbers};

    fn sinks(numbers: &[usize]) -> SinkSet {
        let one = |number: &usize| SinkSet::one(SinkId::new(*number).unwrap());
        numbers.iter().map(one).fold(SinkSet::NONE, SinkSet::union)
    }

    /// What a file holds after the last change.
    fn kept(untold: &mut Untold) -> Vec<u64> {
        let changed = untold.take_changed();
        let [(2, bytes)] = &changed[..] else { panic!("one member") };
        unpack(bytes).iter().flat_map(numbers).collect()
    }

    #[tokio::test]
    async fn what_one_sink_has_lost_is_said_again_to_that_one_and_then_forgotten() {
        let mut untold = Untold::default();
        let reach = sinks(&[1, 4]);
        let ack = untold.note(2, &number(7), Ack::unobserved(SinkSet::ALL), reach);
        assert_eq!(kept(&mut untold), [7]);
        ack.share(sinks(&[4])).settle(Outcome::Delivered);
        drop(ack.share(sinks(&[1])));
        ack.settle(Outcome::Delivered);
        untold.hear().await;
        assert!(!untold.is_open());
        let again = untold.again(reach).pop().unwrap();
        assert_eq!((again.member, numbers(&again.batch)), (2, vec![7]));
        assert_eq!(again.ack.sinks(), sinks(&[1]));
        assert!(untold.again(reach).is_empty() && untold.take_changed().is_empty());
        again.ack.settle(Outcome::Delivered);
        untold.hear().await;
        assert!(kept(&mut untold).is_empty());
    }

    #[test]
    fn what_a_process_has_left_is_said_to_all_and_what_makes_no_sense_is_passed_over() {
        let mut before = Untold::default();
        for n in [3, 5] {
            drop(before.note(2, &number(n), Ack::unobserved(SinkSet::ALL), sinks(&[1])));
        }
        let (_, bytes) = before.take_changed().pop().unwrap();
        for end in 0..=bytes.len() {
            let mut untold = Untold::default();
            untold.take_up(2, &bytes[..end], Kinds::LOGS);
            let again = untold.again(sinks(&[0, 9]));
            let said: Vec<u64> = again.iter().flat_map(|it| numbers(&it.batch)).collect();
            assert!([3, 5].starts_with(&said), "{said:?}");
            assert!(again.iter().all(|it| it.ack.sinks() == sinks(&[0, 9])));
            assert_eq!(said.len() == 2, end == bytes.len());
        }
        let mut nobody = Untold::default();
        nobody.take_up(2, &bytes, Kinds::METRICS);
        assert!(nobody.again(sinks(&[1])).is_empty(), "it is of another kind");
    }
}
