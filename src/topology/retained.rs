//! The acknowledgements of batches of which a transform may still hold something.

use crate::event::ack::{Ack, Outcome, SinkSet};
use std::collections::VecDeque;

/// So many neighbours of one size become one, so that thousands of batches are few entries, and a
/// share in all of them is cheap.
const FAN_IN: usize = 32;

/// The batches in the order in which the transform took them.
#[derive(Default)]
pub(super) struct Retained {
    entries: VecDeque<Entry>,
    next: u64,
    batches: usize,
}

/// Neighbouring batches that are let go together.
struct Entry {
    last: u64,
    batches: usize,
    records: u64,
    ack: Ack,
}

impl Retained {
    /// Keeps the acknowledgement of a batch, and gives the batch its number.
    pub(super) fn add(&mut self, ack: Ack, records: u64) -> u64 {
        let last = self.next;
        self.next += 1;
        self.batches += 1;
        self.entries.push_back(Entry { last, batches: 1, records, ack });
        let mut size = 1;
        while self.entries.iter().rev().take_while(|it| it.batches == size).count() >= FAN_IN {
            let group = self.entries.split_off(self.entries.len() - FAN_IN);
            let records = group.iter().map(|entry| entry.records).sum();
            size *= FAN_IN;
            let ack = Ack::merge(group.into_iter().map(|entry| entry.ack));
            self.entries.push_back(Entry { last, batches: size, records, ack });
        }
        last
    }

    /// The number of the latest batch.
    pub(super) fn latest(&self) -> u64 {
        self.next.saturating_sub(1)
    }

    /// A share in everything that is kept: whoever emits something may have made it of all that.
    pub(super) fn share(&self) -> Ack {
        Ack::merge(self.entries.iter().map(|entry| entry.ack.share(SinkSet::ALL)))
    }

    /// Lets go of all batches before this one, or of all.
    pub(super) fn release_before(&mut self, oldest: Option<u64>) {
        while let Some(entry) = self.entries.pop_front() {
            if oldest.is_some_and(|oldest| entry.last >= oldest) {
                return self.entries.push_front(entry);
            }
            self.batches -= entry.batches;
            entry.ack.settle(Outcome::Delivered);
        }
    }

    /// How many batches are kept.
    pub(super) fn batches(&self) -> usize {
        self.batches
    }

    /// Gives up everything for good, and says how many records that were.
    pub(super) fn give_up(&mut self) -> u64 {
        self.batches = 0;
        let mut records = 0;
        for entry in self.entries.drain(..) {
            records += entry.records;
            entry.ack.reject_all("crashes");
        }
        records
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ack::SinkId;
    use tokio::sync::mpsc;

    #[test]
    fn thousands_of_batches_are_few_entries_and_each_is_let_go_once() {
        let (tx, mut rx) = mpsc::unbounded_channel();
        let sinks = SinkSet::one(SinkId::new(3).unwrap());
        let mut retained = Retained::default();
        for mark in 0..10_000 {
            let number = retained.add(Ack::new(mark, sinks, tx.clone()), 1);
            assert_eq!(number, mark);
            // A window of a thousand batches.
            retained.release_before(Some(number.saturating_sub(1000)));
            assert!(retained.entries.len() < 4 * FAN_IN, "{}", retained.entries.len());
            assert!(retained.batches() <= 2 * 1024 + FAN_IN, "{}", retained.batches());
        }
        retained.share().settle(Outcome::Delivered);
        retained.release_before(None);
        assert_eq!(retained.batches(), 0);
        let mut marks: Vec<u64> = std::iter::from_fn(|| rx.try_recv().ok())
            .map(|receipt| {
                assert_eq!(receipt.outcome, Outcome::Delivered);
                receipt.mark
            })
            .collect();
        marks.sort_unstable();
        assert_eq!(marks, (0..10_000).collect::<Vec<_>>());
    }
}
