//! Marks: which part of a file each sink has safe.
//!
//! Batches of one file are settled by each sink in whatever order; a sink's mark moves only over
//! batches that it has settled without a gap. After a restart the file is read from the lowest
//! mark, and each part goes only to the sinks whose mark is not past it.

use super::position::Position;
use crate::event::ack::{SinkId, SinkSet};
use std::collections::VecDeque;

/// The marks of one file.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// How far each sink is without a gap.
    safe: Vec<(SinkId, Position)>,
    /// Batches on their way, in the order of the file.
    open: VecDeque<Open>,
    /// What reading began at: the mark of a sink that has settled nothing yet.
    start: Position,
}

#[derive(Debug)]
struct Open {
    number: u64,
    end: Position,
    sinks: SinkSet,
}

impl Marks {
    /// For a file that is read from `start`; the sinks in `ahead` have more than that already.
    pub(super) fn new(start: Position, ahead: Vec<(SinkId, Position)>) -> Self {
        Self { safe: ahead, open: VecDeque::new(), start }
    }

    /// The sinks of `all` that still need what begins at `offset`, and where the next of the
    /// others begins to need it.
    pub(super) fn wanting(&self, offset: u64, all: SinkSet) -> (SinkSet, Option<u64>) {
        let mut wanting = all;
        let mut until: Option<u64> = None;
        for (sink, position) in &self.safe {
            if position.offset > offset && all.contains(*sink) {
                wanting = wanting.without(SinkSet::one(*sink));
                until = Some(until.map_or(position.offset, |least| least.min(position.offset)));
            }
        }
        (wanting, until)
    }

    /// A batch that ends at `end` is on its way to `sinks`.
    pub(super) fn sent(&mut self, number: u64, end: Position, sinks: SinkSet) {
        self.open.push_back(Open { number, end, sinks });
    }

    /// A sink has settled a batch; `last` where no other sink is open. Says whether a mark moved.
    pub(super) fn settled(&mut self, number: u64, sink: SinkId, last: bool) -> bool {
        let Ok(at) = self.open.binary_search_by_key(&number, |open| open.number) else {
            return false;
        };
        let open = &mut self.open[at];
        // A sink that a reload took away in between sends no receipt of its own.
        let settled = if last { open.sinks } else { SinkSet::one(sink) };
        open.sinks = open.sinks.without(settled);
        let mut moved = false;
        for sink in settled.union(SinkSet::one(sink)).iter() {
            moved |= self.advance(sink);
        }
        while self.open.front().is_some_and(|open| open.sinks.is_empty()) {
            self.open.pop_front();
        }
        moved
    }

    fn advance(&mut self, sink: SinkId) -> bool {
        let settled = self.open.iter().take_while(|open| !open.sinks.contains(sink));
        let Some(end) = settled.last().map(|open| open.end) else { return false };
        match self.safe.iter_mut().find(|(known, _)| *known == sink) {
            Some((_, position)) if position.offset >= end.offset => return false,
            Some((_, position)) => *position = end,
            None => self.safe.push((sink, end)),
        }
        true
    }

    /// How far each of `sinks` is. A sink that has settled nothing stands where reading began.
    pub(super) fn safe(&self, sinks: SinkSet) -> impl Iterator<Item = (SinkId, Position)> {
        sinks.iter().map(|sink| {
            let known = self.safe.iter().find(|(known, _)| *known == sink);
            (sink, known.map_or(self.start, |(_, position)| *position))
        })
    }

    /// Whether no batch is on its way.
    pub(super) fn is_quiet(&self) -> bool {
        self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sink(index: usize) -> SinkId {
        SinkId::new(index).unwrap()
    }

    fn both() -> SinkSet {
        SinkSet::one(sink(0)).union(SinkSet::one(sink(1)))
    }

    fn offsets(marks: &Marks) -> Vec<u64> {
        marks.safe(both()).map(|(_, position)| position.offset).collect()
    }

    fn at(offset: u64) -> Position {
        Position { offset, ..Position::default() }
    }

    #[test]
    fn a_mark_moves_only_over_batches_settled_without_a_gap() {
        let mut marks = Marks::new(at(0), Vec::new());
        for number in 1..=3 {
            marks.sent(number, at(number * 10), both());
        }
        assert!(!marks.settled(2, sink(0), false));
        assert_eq!(offsets(&marks), [0, 0]);
        assert!(marks.settled(1, sink(0), false));
        assert_eq!(offsets(&marks), [20, 0]);
        marks.settled(1, sink(1), true);
        marks.settled(2, sink(1), true);
        assert_eq!(offsets(&marks), [20, 20]);
        marks.settled(3, sink(1), false);
        marks.settled(3, sink(0), true);
        assert_eq!(offsets(&marks), [30, 30]);
        assert!(marks.is_quiet());
    }

    #[test]
    fn what_a_sink_has_already_is_not_meant_for_it_again() {
        let mut marks = Marks::new(at(10), vec![(sink(1), at(30))]);
        assert_eq!(marks.wanting(10, both()), (SinkSet::one(sink(0)), Some(30)));
        assert_eq!(marks.wanting(30, both()), (both(), None));
        marks.sent(1, at(30), SinkSet::one(sink(0)));
        marks.settled(1, sink(0), true);
        assert_eq!(offsets(&marks), [30, 30]);
    }
}
