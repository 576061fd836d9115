//! Manifests: which records an object is made of and when they were read, on record before its
//! first byte is sent. After a crash the same records become the same object once more.

use crate::event::log::{LogBatch, Origin};
use crate::topology::component::BuildContext;
use crate::topology::context::Environment;
use crate::topology::once::{Extents, Fate, Journal, Left, Replays, Safe};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;

/// What is on record, for all objects.
pub(super) struct Manifests {
    pub(super) journal: Journal,
    env: Arc<Environment>,
    sink: Arc<str>,
    /// Stands for all settings that say where objects lie and how they are written.
    settings: String,
}

/// What is told of an object that is being gathered.
#[derive(Default)]
pub(super) struct Told {
    pub(super) extents: Extents,
    /// Its records that can be told again.
    pub(super) records: u64,
    reads: Reads,
}

/// An object that an earlier run may or may not have put.
pub(super) struct Open {
    pub(super) records: u64,
    pub(super) key: String,
    pub(super) prefix: String,
    reads: Reads,
}

/// What the journal keeps of an object beside its records.
#[derive(Serialize, Deserialize)]
struct Note {
    key: String,
    prefix: String,
    settings: String,
    reads: Reads,
}

/// When the bytes of files were read: it counts where a record has no time of its own.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Reads(Vec<OfContent>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct OfContent {
    source: String,
    content: u64,
    /// From which byte on at which time, in nanoseconds since the epoch.
    from: Vec<(u64, i64)>,
}

impl Manifests {
    /// Those of the sink that is built; `settings` are all that say where objects lie and how they
    /// are written.
    pub(super) fn new(cx: &BuildContext, settings: &str) -> Self {
        Self {
            journal: Journal::new(cx, Safe::Disk),
            env: Arc::clone(&cx.env),
            sink: Arc::clone(&cx.name),
            settings: crate::event::hex::hex(&Sha256::digest(settings)[..12]),
        }
    }

    /// Reads what an earlier run has left: the objects of which it is not known whether they came
    /// to their place, by number.
    pub(super) fn open(&self) -> HashMap<u64, Open> {
        let left = self.journal.open();
        left.into_iter().filter_map(|left| Some((left.id, self.take_up(&left)?))).collect()
    }

    fn take_up(&self, left: &Left) -> Option<Open> {
        let (id, records) = (left.id, left.records);
        let why = match serde_json::from_slice(&left.note) {
            Ok(Note { key, prefix, settings, reads }) if settings == self.settings => {
                return Some(Open { records, key, prefix, reads });
            }
            Ok(_) => "the sink's settings have changed",
            Err(_) => "its manifest cannot be read",
        };
        self.give_up(id, records, why);
        None
    }

    /// Gives up making an object once more; its records become another.
    pub(super) fn give_up(&self, id: u64, records: u64, why: &str) {
        let component = &*self.sink;
        tracing::warn!(
            component,
            records,
            "an object that was on its way when the last run ended cannot be made again: {why}; \
             records may come twice"
        );
        self.journal.unsure(id);
    }

    /// Whether records of this source can be told again, and come once.
    pub(super) fn can_tell(&self, origin: &Origin) -> bool {
        origin.content != 0 && self.env.deliveries.is_once(&self.sink, &origin.source)
    }

    /// Puts an object on record before it is sent; gives its number, 0 where there is nothing to
    /// tell of it.
    pub(super) fn begin(&self, key: &str, prefix: &str, told: &Told) -> u64 {
        let note = Note {
            key: key.to_owned(),
            prefix: prefix.to_owned(),
            settings: self.settings.clone(),
            reads: told.reads.clone(),
        };
        let note = serde_json::to_vec(&note).unwrap_or_default();
        self.journal.begin(&note, &told.extents, told.records)
    }

    /// The object is at its place. Nobody may hear of it before.
    pub(super) fn done(&self, id: u64) {
        self.journal.done(id);
        self.journal.write_down();
    }
}

impl Told {
    /// Records of this batch are added, at the time when they were read.
    pub(super) fn read(&mut self, logs: &LogBatch) {
        self.reads.note(&logs.origin, logs.offset, logs.read_at_ns);
    }
}

impl Reads {
    fn note(&mut self, origin: &Origin, offset: u64, at_ns: i64) {
        let is_it = |of: &OfContent| of.content == origin.content && *of.source == *origin.source;
        let at = self.0.iter().position(is_it).unwrap_or_else(|| {
            let (source, content) = (origin.source.to_string(), origin.content);
            self.0.push(OfContent { source, content, from: Vec::new() });
            self.0.len() - 1
        });
        let from = &mut self.0[at].from;
        if from.last().is_none_or(|(known, last)| *last != at_ns && *known <= offset) {
            from.push((offset, at_ns));
        }
    }

    /// When the byte at `offset` was read.
    fn at(&self, origin: &Origin, offset: u64) -> Option<i64> {
        let is_it = |of: &&OfContent| of.content == origin.content && *of.source == *origin.source;
        let from = &self.0.iter().find(is_it)?.from;
        let at = from.partition_point(|(begin, _)| *begin <= offset);
        at.checked_sub(1).map(|at| from[at].1)
    }
}

/// The batch in pieces of which each has one fate, with the times at which they were first read.
pub(super) fn pieces(
    logs: &LogBatch,
    replays: &Replays,
    open: &HashMap<u64, Open>,
) -> Vec<(Fate, LogBatch)> {
    let of_record = |record| {
        let fate = match replays.of(&record) {
            Fate::Open(id) if !open.contains_key(&id) => Fate::New,
            fate => fate,
        };
        let read_at = match fate {
            Fate::Open(id) => open[&id].reads.at(&logs.origin, record.offset()),
            Fate::New | Fate::Delivered => None,
        };
        (fate, read_at.unwrap_or(logs.read_at_ns))
    };
    let fates: Vec<(Fate, i64)> = logs.records().map(of_record).collect();
    let mut begin = 0;
    let mut pieces = Vec::new();
    for run in fates.chunk_by(|one, next| one == next) {
        let (end, (fate, read_at_ns)) = (begin + run.len(), run[0]);
        let mut piece = logs.clone();
        piece.read_at_ns = read_at_ns;
        let mut at = 0;
        piece.retain(|_| {
            at += 1;
            (begin..end).contains(&(at - 1))
        });
        pieces.push((fate, piece));
        begin = end;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_again_has_the_time_at_which_it_was_first_read() {
        let origin = Origin { source: "app".into(), content: 7, ..Origin::default() };
        let mut reads = Reads::default();
        for (offset, at) in [(100, 1), (150, 1), (200, 2), (300, 3)] {
            reads.note(&origin, offset, at);
        }
        let text = serde_json::to_string(&reads).unwrap();
        let reads: Reads = serde_json::from_str(&text).unwrap();
        let at = |offset| reads.at(&origin, offset);
        assert_eq!(
            [at(99), at(100), at(199), at(200), at(999)],
            [None, Some(1), Some(1), Some(2), Some(3)]
        );
        assert_eq!(reads.at(&Origin { content: 8, ..origin.clone() }, 100), None);
    }
}
