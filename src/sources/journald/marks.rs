//! How far each sink is in the journal, while it is read and from one run to the next.
//!
//! Reading begins behind the sink that is furthest behind. The others are ahead of it, and get
//! nothing until reading has come to where they are, so that none of them gets anything twice.

use super::cursor::{Known, Store, is_past};
use crate::event::ack::{SinkId, SinkSet};
use crate::topology::context::SinkNames;
use crate::topology::held::Owed;
use std::collections::VecDeque;
use std::io;

/// The marks of all sinks.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Number and last cursor of each batch that some sink may not have.
    open: VecDeque<(u64, String)>,
    /// The same of the last batch before those; without a number for where reading began.
    passed: Option<(Option<u64>, String)>,
    /// The number of the batch that was sent last.
    sent: Option<u64>,
    /// How far each sink is that gets what is read.
    safe: Vec<Mark>,
    /// Sinks that have more than was read so far, the nearest first.
    ahead: VecDeque<(SinkId, String)>,
    saved: Vec<Known>,
}

#[derive(Debug)]
struct Mark {
    sink: SinkId,
    /// Nothing for a sink that has no entry at all.
    cursor: Option<String>,
    /// The batch that it is the last of; nothing for where reading began.
    number: Option<u64>,
}

/// What an entry is to the nearest sink that is ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meeting {
    /// It has the entry too, and more.
    Before,
    /// It is the last one that it has.
    Last,
    /// It does not have the entry.
    Past,
}

impl Marks {
    /// Goes on from what is `known`, with the `sinks` that are there now. Sinks that are new begin
    /// where the one that is furthest behind does. Gives the cursor to begin behind; nothing where
    /// reading has to begin as at the first start, if that `reads_all`.
    pub(super) fn new(
        mut known: Vec<Known>,
        reads_all: bool,
        (names, sinks): (&SinkNames, SinkSet),
    ) -> (Self, Option<String>) {
        let mut marks = Self::default();
        known.retain(|known| reads_all || known.cursor.is_some());
        let id = |name: &str| sinks.iter().find(|sink| *names.name(*sink) == *name);
        let met = known.iter().find(|known| id(&known.sink).is_some()).or_else(|| known.first());
        let begin = met.and_then(|known| known.cursor.clone());
        for Known { sink, cursor } in known {
            if let (Some(sink), Some(cursor)) = (id(&sink), cursor)
                && Some(&cursor) != begin.as_ref()
            {
                marks.ahead.push_back((sink, cursor));
            }
        }
        let behind = sinks.without(marks.ahead());
        let mark = |sink| Mark { sink, cursor: begin.clone(), number: None };
        marks.safe = behind.iter().map(mark).collect();
        marks.passed = begin.clone().map(|cursor| (None, cursor));
        (marks, begin)
    }

    /// The sinks that have more than was read so far.
    pub(super) fn ahead(&self) -> SinkSet {
        self.ahead.iter().fold(SinkSet::NONE, |all, (sink, _)| all.union(SinkSet::one(*sink)))
    }

    /// What the entry with this cursor is to the nearest sink that is ahead; nothing where none is.
    pub(super) fn meets(&self, entry: &str) -> Option<Meeting> {
        let (_, mark) = self.ahead.front()?;
        Some(match () {
            () if entry == mark => Meeting::Last,
            () if is_past(entry, mark) => Meeting::Past,
            () => Meeting::Before,
        })
    }

    /// Reading has come to where the nearest sink ahead is: it gets what follows, as do others
    /// that are at the same place.
    pub(super) fn join(&mut self) {
        let Some((_, place)) = self.ahead.front().cloned() else { return };
        while let Some((sink, cursor)) = self.ahead.pop_front_if(|(_, cursor)| *cursor == place) {
            self.safe.push(Mark { sink, cursor: Some(cursor), number: self.sent });
        }
    }

    /// A batch is on its way.
    pub(super) fn sent(&mut self, number: u64, cursor: String) {
        self.sent = Some(number);
        self.open.push_back((number, cursor));
    }

    /// How far each of `sinks` is by now, the one that is furthest behind first; nothing where that
    /// is what was saved last.
    pub(super) fn news(
        &mut self,
        owed: &Owed,
        (names, sinks): (&SinkNames, SinkSet),
    ) -> Option<Vec<Known>> {
        self.safe.retain(|mark| sinks.contains(mark.sink));
        self.ahead.retain(|(sink, _)| sinks.contains(*sink));
        for sink in sinks.without(self.ahead()).iter() {
            self.advance(sink, owed.first_of(sink));
        }
        let had = |(number, _): &mut (u64, String)| *number < owed.first();
        while let Some((number, cursor)) = self.open.pop_front_if(had) {
            self.passed = Some((Some(number), cursor));
        }
        self.safe.sort_by_key(|mark| mark.number);
        let known = |sink: SinkId, cursor: Option<&String>| Known {
            sink: names.name(sink).to_string(),
            cursor: cursor.cloned(),
        };
        let safe = self.safe.iter().map(|mark| known(mark.sink, mark.cursor.as_ref()));
        let ahead = self.ahead.iter().map(|(sink, cursor)| known(*sink, Some(cursor)));
        let all: Vec<Known> = safe.chain(ahead).collect();
        let is_news = all != self.saved && all.iter().any(|known| known.cursor.is_some());
        is_news.then(|| {
            self.saved.clone_from(&all);
            all
        })
    }

    /// Moves a sink's mark to the end of the last batch before this number.
    fn advance(&mut self, sink: SinkId, owed: u64) {
        let last = self.open.iter().take_while(|(number, _)| *number < owed).last();
        let last = last.map(|(number, cursor)| (Some(*number), cursor.clone()));
        match self.safe.iter_mut().find(|mark| mark.sink == sink) {
            Some(mark) => {
                if let Some((number, cursor)) = last {
                    (mark.number, mark.cursor) = (number, Some(cursor));
                }
            }
            // A sink that a reload has brought has no part in what was before.
            None => {
                let (number, cursor) = last.or_else(|| self.passed.clone()).unzip();
                self.safe.push(Mark { sink, cursor, number: number.flatten() });
            }
        }
    }
}

/// Writes the marks down, where that holds up nobody.
pub(super) async fn save(store: &Store, known: Vec<Known>) -> io::Result<()> {
    let store = store.clone();
    tokio::task::spawn_blocking(move || store.save(&known)).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(at: u64) -> String {
        format!("s=a;i={at:x};t={at:x}")
    }

    fn known(sink: &str, at: u64) -> Known {
        Known { sink: sink.to_owned(), cursor: (at > 0).then(|| cursor(at)) }
    }

    fn names(all: &[&str]) -> (SinkNames, Vec<SinkId>, SinkSet) {
        let names = SinkNames::default();
        let ids: Vec<SinkId> = all.iter().map(|name| names.intern(name).unwrap()).collect();
        let set = ids.iter().fold(SinkSet::NONE, |all, sink| all.union(SinkSet::one(*sink)));
        (names, ids, set)
    }

    #[test]
    fn a_sink_that_is_ahead_joins_where_it_stands_though_its_entry_be_gone() {
        let (names, ids, all) = names(&["slow", "fast", "new"]);
        let stored = vec![known("gone", 1), known("slow", 3), known("fast", 9)];
        let (mut marks, begin) = Marks::new(stored.clone(), true, (&names, all));
        assert_eq!((begin, marks.ahead()), (Some(cursor(3)), SinkSet::one(ids[1])));
        assert_eq!(marks.meets(&cursor(4)), Some(Meeting::Before));
        assert_eq!(marks.meets(&cursor(9)), Some(Meeting::Last));
        assert_eq!(marks.meets(&cursor(10)), Some(Meeting::Past));
        marks.join();
        assert_eq!((marks.ahead(), marks.meets(&cursor(10))), (SinkSet::NONE, None));
        // Where no sink of those that are known is there any more, none may lose anything.
        let (_, begin) = Marks::new(stored, true, (&names, SinkSet::one(ids[2])));
        assert_eq!(begin, Some(cursor(1)));
    }

    #[test]
    fn a_sink_that_has_nothing_yet_is_begun_with_anew_unless_that_would_pass_over_entries() {
        let (names, ids, all) = names(&["away", "fast"]);
        let stored = vec![known("away", 0), known("fast", 9)];
        let (marks, begin) = Marks::new(stored.clone(), true, (&names, all));
        assert_eq!((begin, marks.ahead()), (None, SinkSet::one(ids[1])));
        let (marks, begin) = Marks::new(stored, false, (&names, all));
        assert_eq!((begin, marks.ahead()), (Some(cursor(9)), SinkSet::NONE));
    }

    #[test]
    fn each_sink_is_as_far_as_it_has_entries_and_the_furthest_behind_comes_first() {
        let (names, ids, all) = names(&["fast", "slow"]);
        let (mut marks, _) = Marks::new(Vec::new(), true, (&names, all));
        for number in 0..5 {
            marks.sent(number, cursor(10 + number));
        }
        let slow = SinkSet::one(ids[1]);
        let mut news = |open: &[u64]| {
            let owed = Owed::of(open.iter().map(|number| (*number, slow)).collect(), 5);
            marks.news(&owed, (&names, all))
        };
        assert_eq!(news(&[0, 1, 2, 3, 4]), Some(vec![known("slow", 0), known("fast", 14)]));
        assert_eq!(news(&[2, 4]), Some(vec![known("slow", 11), known("fast", 14)]));
        assert_eq!(news(&[2, 4]), None, "nothing new");
        assert_eq!(
            news(&[]).unwrap().iter().map(|known| &known.cursor).min().unwrap(),
            &Some(cursor(14))
        );
    }
}
