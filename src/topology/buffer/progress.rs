//! What of a buffer each sink has: the frames on their way, and the marks that follow from them.

use super::disk::Cursor;
use crate::event::ack::{Outcome, SinkId, SinkSet};
use std::collections::VecDeque;
use std::sync::Arc;

/// A frame on its way.
#[derive(Debug)]
struct Open {
    number: u64,
    events: u64,
    /// Sinks that it was sent to.
    sinks: SinkSet,
    /// Sinks that have not said what became of it.
    waiting: SinkSet,
    /// Sinks that it has to be sent to again.
    lost: SinkSet,
}

/// What each sink has. A sink's mark moves only over frames that it has without a gap.
#[derive(Debug, Default)]
pub(super) struct Progress {
    open: VecDeque<Open>,
    /// The number after the last frame that was sent or passed over.
    sent: u64,
    /// Sinks that have more than is read again now, by name.
    ahead: Vec<(Arc<str>, u64)>,
}

impl Progress {
    pub(super) fn new(cursor: &Cursor) -> Self {
        let ahead = cursor.ahead.iter().map(|(name, number)| (name.as_str().into(), *number));
        Self { open: VecDeque::new(), sent: cursor.settled, ahead: ahead.collect() }
    }

    /// Whether the sink of this name has frame `number` already.
    pub(super) fn has(&self, sink: &str, number: u64) -> bool {
        self.ahead.iter().any(|(name, end)| **name == *sink && *end > number)
    }

    /// Frame `number` is on its way to `sinks`; to none where nobody wants it.
    pub(super) fn sent(&mut self, number: u64, events: u64, sinks: SinkSet) {
        self.sent = number + 1;
        self.ahead.retain(|(_, end)| *end > number + 1);
        self.open.push_back(Open { number, events, sinks, waiting: sinks, lost: SinkSet::NONE });
    }

    /// All frames below `number` are behind us, also those that were never met.
    pub(super) fn passed(&mut self, number: u64) {
        self.sent = self.sent.max(number);
    }

    /// A sink has said what became of a frame. Returns whether it has to be sent again; a sink
    /// that is not in `wanted` any more does not want it.
    pub(super) fn settled(
        &mut self,
        number: u64,
        sink: SinkId,
        outcome: Outcome,
        wanted: SinkSet,
    ) -> bool {
        let Ok(at) = self.open.binary_search_by_key(&number, |open| open.number) else {
            return false;
        };
        let open = &mut self.open[at];
        open.waiting = open.waiting.without(SinkSet::one(sink));
        let lost = outcome == Outcome::Lost && wanted.contains(sink);
        if lost {
            open.lost = open.lost.union(SinkSet::one(sink));
        }
        lost
    }

    /// Forgets the frames in front that are settled; gives the number of their events.
    pub(super) fn advance(&mut self) -> u64 {
        let mut events = 0;
        while let Some(open) =
            self.open.pop_front_if(|open| open.waiting.union(open.lost).is_empty())
        {
            events += open.events;
        }
        events
    }

    /// Whether some sink still has to say something.
    pub(super) fn is_waiting(&self) -> bool {
        self.open.iter().any(|open| !open.waiting.is_empty())
    }

    /// Whether nothing is on its way, and nothing lost.
    pub(super) fn is_quiet(&self) -> bool {
        self.open.is_empty()
    }

    /// Every sink has all frames below this number.
    pub(super) fn low(&self) -> u64 {
        self.open.front().map_or(self.sent, |open| open.number)
    }

    /// What is to be kept. `name` gives the name of a sink.
    pub(super) fn cursor(&self, name: impl Fn(SinkId) -> Arc<str>) -> Cursor {
        let settled = self.low();
        let marks = self.marks(name);
        let ahead = marks.into_iter().filter(|(_, mark)| *mark > settled);
        Cursor { settled, ahead: ahead.map(|(name, mark)| (name.to_string(), mark)).collect() }
    }

    /// Goes back to the first frame that is not settled everywhere; gives its number.
    pub(super) fn rewind(&mut self, name: impl Fn(SinkId) -> Arc<str>) -> u64 {
        let low = self.low();
        self.ahead = self.marks(name);
        self.open.clear();
        self.sent = low;
        low
    }

    /// Up to where each sink has everything, for those that frames on their way were sent to and
    /// those that were ahead.
    fn marks(&self, name: impl Fn(SinkId) -> Arc<str>) -> Vec<(Arc<str>, u64)> {
        let mut marks = self.ahead.clone();
        let all = self.open.iter().fold(SinkSet::NONE, |set, open| set.union(open.sinks));
        for sink in all.iter() {
            let misses = |open: &&Open| open.waiting.union(open.lost).contains(sink);
            let mark = self.open.iter().find(misses).map_or(self.sent, |open| open.number);
            let name = name(sink);
            marks.retain(|(known, _)| *known != name);
            marks.push((name, mark));
        }
        marks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sink(index: usize) -> SinkId {
        SinkId::new(index).unwrap()
    }

    fn name(sink: SinkId) -> Arc<str> {
        sink.index().to_string().into()
    }

    #[test]
    fn nothing_is_settled_before_what_came_before_it() {
        let all = SinkSet::one(sink(0));
        let mut progress = Progress::new(&Cursor { settled: 5, ahead: Vec::new() });
        for number in 5..8 {
            progress.sent(number, 10, all);
        }
        assert!(!progress.settled(6, sink(0), Outcome::Delivered, all));
        assert_eq!((progress.advance(), progress.low()), (0, 5));
        progress.settled(5, sink(0), Outcome::Dropped, all);
        assert_eq!((progress.advance(), progress.low()), (20, 7));
        assert!(progress.settled(7, sink(0), Outcome::Lost, all));
        assert_eq!((progress.advance(), progress.low()), (0, 7));
        assert_eq!(progress.rewind(name), 7);
    }

    #[test]
    fn a_sink_that_is_behind_gets_again_what_the_other_has() {
        let both = SinkSet::one(sink(0)).union(SinkSet::one(sink(1)));
        let mut progress = Progress::default();
        for number in 0..4 {
            progress.sent(number, 1, both);
        }
        for number in 0..4 {
            progress.settled(number, sink(0), Outcome::Delivered, both);
        }
        progress.settled(0, sink(1), Outcome::Delivered, both);
        assert!(progress.settled(1, sink(1), Outcome::Lost, both));
        progress.settled(2, sink(1), Outcome::Delivered, both);
        progress.settled(3, sink(1), Outcome::Delivered, both);
        assert!(!progress.is_waiting());
        progress.advance();
        assert_eq!(progress.cursor(name), Cursor { settled: 1, ahead: vec![("0".to_owned(), 4)] });
        assert_eq!(progress.rewind(name), 1);
        assert!(progress.has("0", 3) && !progress.has("0", 4) && !progress.has("1", 1));
    }
}
