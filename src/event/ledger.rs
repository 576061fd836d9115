//! The ledger: what became of each record that a source gave, counted once, with its worst
//! outcome over all sinks.
//!
//! Each batch of records has a [`Sheet`], which goes with its acknowledgement. Sinks, buffers and
//! whoever gives records up note on it what reached them; what nobody has noted when the last
//! share is settled was left out on purpose. So a component cannot get it wrong: it is the runners
//! that note, and a filter need not say anything.
//!
//! While a batch has one way to go, numbers are all that is noted. Once it is split (a fan-out, a
//! transform with several outputs), two sinks may reject the same record or different ones, and
//! one may get what the other's filter leaves out: then records are told apart by their place in
//! the batch, a byte for each.

use super::Batch;
use super::log::LogBatch;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The account that a source's batches are booked in.
pub trait Book: Send + Sync {
    /// A batch of so many records begins its way.
    fn opened(&self, records: u64);

    /// All that there is to say of a batch is known.
    fn closed(&self, tally: &Tally);
}

/// What became of the records of a batch. The numbers add up to `records`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them.
    pub records: u64,
    /// Left out on purpose on every way.
    pub filtered: u64,
    /// Went into a record or metric that was made of several.
    pub merged: u64,
    /// Safe at every sink that was to get them.
    pub delivered: u64,
    /// Safe in a buffer on disk, which has an account of its own.
    pub buffered: u64,
    /// Lost on their way inside the process: the source reads them again, and counts them again.
    pub replayed: u64,
    /// Given up for good by some sink or on the way there, by reason.
    pub dropped: Vec<(Arc<str>, u64)>,
}

/// What can be noted of a record. The highest counts; from [`DROPPED`] on there is one for each
/// reason.
type Level = u8;
const FILTERED: Level = 0;
const MERGED: Level = 1;
const DELIVERED: Level = 2;
const BUFFERED: Level = 3;
const DROPPED: Level = 4;

/// Levels below [`DROPPED`].
const KEPT: usize = DROPPED as usize;

/// Which records of a batch something is said of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of them.
    All,
    /// All of them, by way of what was made of them.
    Made,
    /// So many; which ones does not matter, or nobody knows.
    Some(u64),
    /// Those at these places of the batch.
    At(Arc<[u32]>),
}

/// The notes on one batch.
pub struct Sheet {
    book: Arc<dyn Book>,
    records: u64,
    /// Places that records can have: more than there are records where some were left out before.
    places: usize,
    /// Where the chunk lies, how long it is and where it begins in its file. Only what is still of
    /// this chunk is what the source gave.
    chunk: (usize, usize, u64),
    is_split: AtomicBool,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    is_lost: bool,
    /// Said of all records.
    floor: Level,
    /// Said of single records, by place; empty where nothing is.
    levels: Vec<Level>,
    /// So many records reached this level.
    reached: [u64; KEPT],
    /// So many of those that had reached a sink were given up, by reason.
    rejected: Vec<(Level, u64)>,
    /// So many were given up before they reached one.
    given_up: Vec<(Level, u64)>,
    reasons: Vec<Arc<str>>,
}

impl Sheet {
    /// For a batch that a source sends; `None` where that has no records.
    pub fn of(batch: &Batch, book: &Arc<dyn Book>) -> Option<Self> {
        let Batch::Logs(logs) = batch else { return None };
        let records = logs.len() as u64;
        book.opened(records);
        Some(Self {
            book: Arc::clone(book),
            records,
            places: logs.places(),
            chunk: chunk_of(logs),
            is_split: AtomicBool::new(false),
            notes: Mutex::default(),
        })
    }

    pub(super) fn split(&self) {
        self.is_split.store(true, Ordering::Relaxed);
    }

    /// The records that are in `batch`, which has come so far.
    pub(super) fn part(&self, batch: &Batch) -> Part {
        let Batch::Logs(logs) = batch else { return Part::Made };
        if chunk_of(logs) != self.chunk {
            return Part::Made;
        }
        let records = logs.len() as u64;
        if !self.is_split.load(Ordering::Relaxed) {
            return Part::Some(records);
        }
        if records >= self.records && self.places as u64 == self.records {
            return Part::All;
        }
        let mut places = Vec::with_capacity(logs.len());
        let known = logs.each_place(self.places, |place| places.push(place));
        if known { Part::At(places.into()) } else { Part::Some(records) }
    }

    pub(super) fn lost(&self) {
        self.notes().is_lost = true;
    }

    /// These have reached a sink.
    pub(super) fn arrived(&self, part: &Part) {
        let level = if *part == Part::Made { MERGED } else { DELIVERED };
        self.notes().reach(level, part, self.places);
    }

    /// These are in a buffer on disk.
    pub(super) fn buffered(&self, part: &Part) {
        self.notes().reach(BUFFERED, part, self.places);
    }

    /// These had reached a sink and are given up.
    pub(super) fn rejected(&self, reason: &str, part: &Part) {
        let mut notes = self.notes();
        let level = notes.level_of(reason);
        match part {
            Part::Some(records) => notes.rejected.push((level, *records)),
            part => notes.reach(level, part, self.places),
        }
    }

    /// These are given up on their way.
    pub(super) fn given_up(&self, reason: &str, part: &Part) {
        let mut notes = self.notes();
        let level = notes.level_of(reason);
        match part {
            Part::Some(records) => notes.given_up.push((level, *records)),
            part => notes.reach(level, part, self.places),
        }
    }

    fn notes(&self) -> std::sync::MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Sheet {
    /// The last share is settled.
    fn drop(&mut self) {
        let tally = self.notes().tally(self.records);
        self.book.closed(&tally);
    }
}

fn chunk_of(logs: &LogBatch) -> (usize, usize, u64) {
    (logs.chunk().as_ptr() as usize, logs.chunk().len(), logs.offset)
}

impl Part {
    /// Of a part of which `all` records came to a sink, those at `positions` among them.
    pub(super) fn only(&self, positions: &[usize], all: u64) -> Self {
        match self {
            Self::Made => Self::Made,
            Self::At(places) if places.len() as u64 == all => {
                Self::At(positions.iter().filter_map(|at| places.get(*at).copied()).collect())
            }
            Self::All if positions.len() as u64 == all => Self::All,
            Self::All => {
                Self::At(positions.iter().filter_map(|at| u32::try_from(*at).ok()).collect())
            }
            Self::Some(_) | Self::At(_) => Self::Some(positions.len() as u64),
        }
    }

    /// The records of it that went into one of several requests, `records` of `all`.
    pub(super) fn some(&self, records: u64, all: u64) -> Self {
        match self {
            Self::Made => Self::Made,
            part if records >= all => part.clone(),
            _ => Self::Some(records),
        }
    }
}

impl Notes {
    fn level_of(&mut self, reason: &str) -> Level {
        let known = self.reasons.iter().position(|known| **known == *reason);
        let at = known.unwrap_or_else(|| {
            self.reasons.push(reason.into());
            self.reasons.len() - 1
        });
        // There are a handful of reasons in all.
        DROPPED.saturating_add(u8::try_from(at).unwrap_or(u8::MAX))
    }

    fn reach(&mut self, level: Level, part: &Part, places: usize) {
        match part {
            Part::All | Part::Made => self.floor = self.floor.max(level),
            Part::Some(records) => self.reached[usize::from(level).min(KEPT - 1)] += records,
            Part::At(at) => {
                self.levels.resize(places, FILTERED);
                for place in at.iter() {
                    if let Some(known) = self.levels.get_mut(*place as usize) {
                        *known = (*known).max(level);
                    }
                }
            }
        }
    }

    fn tally(&self, records: u64) -> Tally {
        let mut counts = vec![0u64; KEPT + self.reasons.len()];
        let last = counts.len() - 1;
        let floor = usize::from(self.floor).min(last);
        if self.levels.is_empty() {
            counts[floor] = records;
        }
        for level in &self.levels {
            counts[usize::from(*level).clamp(floor, last.max(floor))] += 1;
        }
        // Places of records that the batch began without.
        counts[floor] -= (self.levels.len() as u64).saturating_sub(records).min(counts[floor]);
        let mut shift = |from: &[Level], to: Level, records: u64| {
            let mut left = records;
            for level in from.iter().map(|level| usize::from(*level)) {
                let moved = left.min(counts[level]);
                counts[level] -= moved;
                counts[usize::from(to).min(last)] += moved;
                left -= moved;
            }
        };
        for level in [MERGED, DELIVERED, BUFFERED] {
            shift(&[FILTERED, MERGED], level, self.reached[usize::from(level)]);
        }
        for (level, records) in &self.rejected {
            shift(&[DELIVERED, BUFFERED, MERGED, FILTERED], *level, *records);
        }
        for (level, records) in &self.given_up {
            shift(&[FILTERED, MERGED, DELIVERED, BUFFERED], *level, *records);
        }
        let mut replayed = 0;
        if self.is_lost {
            // What is given up for good stays so: nobody will learn of it again.
            replayed = counts[..KEPT].iter().sum();
            counts[..KEPT].fill(0);
        }
        let dropped = self.reasons.iter().cloned().zip(counts[KEPT..].iter().copied());
        Tally {
            records,
            filtered: counts[usize::from(FILTERED)],
            merged: counts[usize::from(MERGED)],
            delivered: counts[usize::from(DELIVERED)],
            buffered: counts[usize::from(BUFFERED)],
            replayed,
            dropped: dropped.filter(|(_, records)| *records > 0).collect(),
        }
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
