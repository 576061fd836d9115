//! What an earlier run had on its way when it ended: its records are gathered once more, into the
//! same objects.

use super::gathering::Made;
use super::manifest::{Manifests, Open};
use super::partition::{Coming, Object, Partition};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// An object of which nothing more has come for so long cannot be made again: a file is gone, or a
/// transform keeps other records now.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at objects of which nothing has come.
const ASK_EVERY: Duration = Duration::from_secs(5);

pub(super) struct Again {
    manifests: Option<Arc<Manifests>>,
    /// By the number of the manifest.
    open: HashMap<u64, Open>,
    /// Those of which something has come.
    begun: HashMap<u64, Begun>,
    /// When it is time to ask whether something can still come of the others.
    ask_at: Instant,
}

struct Begun {
    partition: Partition,
    /// When something came, or could not come, for the last time.
    since: Instant,
}

impl Again {
    pub(super) fn new(manifests: Option<Arc<Manifests>>) -> Self {
        let open = manifests.as_ref().map(|manifests| manifests.open()).unwrap_or_default();
        Self { manifests, open, begun: HashMap::new(), ask_at: Instant::now() + ASK_EVERY }
    }

    /// The objects that are not whole yet.
    pub(super) fn open(&self) -> &HashMap<u64, Open> {
        &self.open
    }

    /// The object of this number, ready for its next record.
    pub(super) fn to(&mut self, id: u64, made: &Made) -> io::Result<&mut Partition> {
        let begun = match self.begun.entry(id) {
            Entry::Occupied(begun) => begun.into_mut(),
            Entry::Vacant(new) => {
                new.insert(Begun { partition: made.begin()?, since: Instant::now() })
            }
        };
        begun.since = Instant::now();
        made.separate(&mut begun.partition)?;
        Ok(&mut begun.partition)
    }

    /// Lets the batch wait for what it was added to, and ends the objects that are whole.
    pub(super) fn end_whole(&mut self, made: &Made, batch: Coming<'_>) -> io::Result<Vec<Object>> {
        let mut whole = Vec::new();
        for (id, begun) in &mut self.begun {
            begun.partition.holds(batch);
            if self.open.get(id).is_none_or(|open| begun.partition.records >= open.records) {
                whole.push(*id);
            }
        }
        let mut objects = Vec::new();
        for id in whole {
            if let (Some(begun), Some(open)) = (self.begun.remove(&id), self.open.remove(&id)) {
                objects.push(begun.partition.end_again(&made.encoder, open.key, id)?);
            }
        }
        Ok(objects)
    }

    /// When patience with one of them ends.
    pub(super) fn due(&self) -> Option<Instant> {
        let begun = self.begun.values().map(|begun| begun.since + PATIENCE).min();
        let asks = self.open.len() > self.begun.len();
        begun.into_iter().chain(asks.then_some(self.ask_at)).min()
    }

    /// Forgets those of which nothing will come: their files are gone.
    pub(super) fn forget_missing(&mut self, now: Instant) {
        if now < self.ask_at {
            return;
        }
        self.ask_at = now + ASK_EVERY;
        if let Some(manifests) = &self.manifests {
            for id in manifests.journal.missing() {
                self.open.remove(&id);
            }
        }
    }

    /// Gives up those of which nothing more has come for too long; gives what has come of each, and
    /// its prefix.
    pub(super) fn give_up(&mut self, now: Instant) -> Vec<(String, Partition)> {
        let Some(manifests) = &self.manifests else { return Vec::new() };
        let old: Vec<u64> = self
            .begun
            .iter()
            .filter(|(_, begun)| begun.since + PATIENCE <= now)
            .map(|(id, _)| *id)
            .collect();
        let mut given_up = Vec::new();
        for id in old {
            if let (Some(begun), Some(open)) = (self.begun.remove(&id), self.open.remove(&id)) {
                manifests.give_up(id, open.records, "not all of its records have come again");
                given_up.push((open.prefix, begun.partition));
            }
        }
        given_up
    }

    /// Time passed in which nothing could come.
    pub(super) fn was_held_up(&mut self) {
        let now = Instant::now();
        self.begun.values_mut().for_each(|begun| begun.since = now);
    }

    /// Leaves all to the next run. What has come of them counts as lost, and comes again.
    pub(super) fn leave(&mut self) {
        self.begun.clear();
    }
}
