//! What is gathered: the objects that are being made, by prefix, and those that wait to be put.

use super::again::{Again, PATIENCE};
use super::letters::Records;
use super::manifest::{Manifests, pieces};
use super::partition::{Coming, Object, Partition};
use crate::event::Kind;
use crate::event::ack::Ack;
use crate::event::encode::Encoder;
use crate::event::encode::compress::Compression;
use crate::event::log::LogBatch;
use crate::event::metric::MetricBatch;
use crate::expr::path_template::{PathRenderer, PathTemplate};
use crate::host::clock;
use crate::topology::once::Fate;
use indexmap::{Equivalent, IndexMap};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// When an object is put.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) bytes: usize,
    pub(super) records: u64,
    pub(super) age: Duration,
    pub(super) partitions: usize,
    pub(super) gathered_bytes: usize,
}

/// What objects are made of.
pub(super) struct Made {
    pub(super) encoder: Encoder,
    /// Whether records are the items of one array.
    pub(super) is_array: bool,
    pub(super) compression: Compression,
    /// How their names end.
    pub(super) extension: String,
    /// The same for metrics, and whether they become one text in OpenMetrics.
    pub(super) metrics: MadeOfMetrics,
    /// Whether records are kept for the dead letters.
    pub(super) keeps_letters: bool,
}

/// What objects of metrics are made of.
pub(super) struct MadeOfMetrics {
    /// How their names end.
    pub(super) extension: String,
    /// Whether they become one text in OpenMetrics.
    pub(super) is_history: bool,
}

impl Made {
    /// An object without records.
    pub(super) fn begin(&self) -> io::Result<Partition> {
        let letters = self.keeps_letters.then(Records::new).transpose()?;
        Partition::new(self.compression, &self.encoder, letters)
    }

    /// One for `kind`. Of metrics nothing is kept for the dead letters, which are records.
    fn begin_for(&self, kind: Kind) -> io::Result<Partition> {
        match kind {
            Kind::Metrics => Partition::new(self.compression, &self.encoder, None),
            _ => self.begin(),
        }
    }

    /// Makes an object ready for its next record.
    pub(super) fn separate(&self, partition: &mut Partition) -> io::Result<()> {
        let between: &[u8] = if self.is_array && partition.records > 0 { b"," } else { b"" };
        partition.separate(between)
    }
}

pub(super) struct Gathering {
    made: Made,
    template: PathTemplate,
    renderer: PathRenderer,
    open: Open,
    scratch: Vec<u8>,
    manifests: Option<Arc<Manifests>>,
    /// What an earlier run had on its way.
    again: Again,
}

/// The objects, by how far they are.
struct Open {
    limits: Limits,
    /// The oldest first.
    partitions: IndexMap<Slot, Partition>,
    ready: VecDeque<Object>,
    /// Different for each object, of any run.
    salt: String,
    objects: u64,
}

/// What is gathered together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Slot {
    kind: Kind,
    prefix: String,
}

/// A [`Slot`] that is looked for.
#[derive(Clone, Copy, Hash)]
struct Sought<'s> {
    kind: Kind,
    prefix: &'s str,
}

impl<'s> Sought<'s> {
    fn logs(prefix: &'s str) -> Self {
        Self { kind: Kind::Logs, prefix }
    }
}

impl Equivalent<Slot> for Sought<'_> {
    fn equivalent(&self, slot: &Slot) -> bool {
        self.kind == slot.kind && self.prefix == slot.prefix
    }
}

impl Gathering {
    /// Nothing but what `manifests` say that an earlier run had on its way.
    pub(super) fn new(
        limits: Limits,
        made: Made,
        template: PathTemplate,
        manifests: Option<Arc<Manifests>>,
    ) -> Self {
        let again = Again::new(manifests.clone());
        let open = Open {
            limits,
            partitions: IndexMap::new(),
            ready: VecDeque::new(),
            salt: format!("{}-{}", clock::now_ns(), std::process::id()),
            objects: 0,
        };
        let (renderer, scratch) = (template.renderer(), Vec::new());
        Self { made, renderer, template, open, scratch, manifests, again }
    }

    /// Adds a batch's records to the objects of their prefixes, and ends those that are full. What
    /// came before a crash goes into the same object once more, or is left out.
    pub(super) fn take(&mut self, logs: &LogBatch, ack: &Ack) -> io::Result<()> {
        let manifests = self.manifests.clone();
        let can_be_told = manifests.as_ref().is_some_and(|it| it.can_tell(&logs.origin));
        let batch = Coming { ack, records: logs.len() as u64, can_be_told };
        let replays = manifests.as_ref().and_then(|manifests| manifests.journal.replays(logs));
        match (&manifests, replays) {
            (Some(manifests), Some(replays)) => {
                for (fate, piece) in pieces(logs, &replays, self.again.open()) {
                    match fate {
                        Fate::New => self.gather(&piece, batch)?,
                        Fate::Open(id) => self.gather_again(id, &piece, batch)?,
                        Fate::Delivered => manifests.journal.count("left_out", piece.len() as u64),
                    }
                }
            }
            _ => self.gather(logs, batch)?,
        }
        self.open.partitions.values_mut().for_each(|partition| partition.holds(batch));
        self.open.ready.extend(self.again.end_whole(&self.made, batch)?);
        self.open.end_full(&self.made)
    }

    fn gather(&mut self, logs: &LogBatch, batch: Coming<'_>) -> io::Result<()> {
        let Some(first) = logs.records().next() else { return Ok(()) };
        let slot = self.template.slot(first.time_ns());
        let together = !self.template.reads_fields()
            && !self.made.keeps_letters
            && logs.records().all(|record| self.template.slot(record.time_ns()) == slot);
        if together {
            let partition =
                self.open.to(Sought::logs(self.renderer.render(&first)), &self.made, batch)?;
            self.scratch.clear();
            self.made.encoder.encode(logs, &mut self.scratch);
            return partition.add_all(logs, &self.scratch, batch);
        }
        for record in logs.records() {
            let partition =
                self.open.to(Sought::logs(self.renderer.render(&record)), &self.made, batch)?;
            self.scratch.clear();
            self.made.encoder.encode_record(&record, &mut self.scratch);
            partition.add(&record, &self.scratch, batch)?;
        }
        Ok(())
    }

    /// Adds a snapshot of metrics to the object of its prefix.
    pub(super) fn take_metrics(&mut self, metrics: &MetricBatch, ack: &Ack) -> io::Result<()> {
        let batch = Coming { ack, records: metrics.len() as u64, can_be_told: false };
        let taken = metrics.taken_or(clock::now_ns());
        let prefix = self.renderer.render_metrics(&taken);
        let sought = Sought { kind: Kind::Metrics, prefix };
        let partition = self.open.to(sought, &self.made, batch)?;
        let encoded = if self.made.metrics.is_history {
            None
        } else {
            self.scratch.clear();
            self.made.encoder.encode_metrics(metrics, &mut self.scratch);
            Some(&*self.scratch)
        };
        partition.add_metrics(metrics, &taken, encoded, batch)?;
        self.open.partitions.values_mut().for_each(|partition| partition.holds(batch));
        self.open.end_full(&self.made)
    }

    fn gather_again(&mut self, id: u64, logs: &LogBatch, batch: Coming<'_>) -> io::Result<()> {
        for record in logs.records() {
            let partition = self.again.to(id, &self.made)?;
            self.scratch.clear();
            self.made.encoder.encode_record(&record, &mut self.scratch);
            partition.add(&record, &self.scratch, batch)?;
        }
        Ok(())
    }

    /// When there is something to do although nothing comes.
    pub(super) fn due(&self) -> Option<Instant> {
        let oldest = self.open.partitions.first();
        let old = oldest.map(|(_, oldest)| oldest.since + self.open.limits.age);
        old.into_iter().chain(self.again.due()).min()
    }

    /// Does it.
    pub(super) fn do_due(&mut self) -> io::Result<()> {
        let now = Instant::now();
        self.give_up_again(now)?;
        self.again.forget_missing(now);
        if self.due().is_some_and(|due| due <= now) {
            self.open.end(0, &self.made)?;
        }
        Ok(())
    }

    /// Gives up, by `now`, what of an earlier run's objects does not come again: the rest of each
    /// becomes an object of its own.
    fn give_up_again(&mut self, now: Instant) -> io::Result<()> {
        for (prefix, partition) in self.again.give_up(now) {
            self.open.end_one(Slot { kind: Kind::Logs, prefix }, partition, &self.made)?;
        }
        Ok(())
    }

    /// Time passed in which nothing could come.
    pub(super) fn was_held_up(&mut self) {
        self.again.was_held_up();
    }

    /// Nothing more will come in this run, nor, where `ever`, in another one.
    pub(super) fn finish_again(&mut self, ever: bool) -> io::Result<()> {
        if ever {
            return self.give_up_again(Instant::now() + PATIENCE);
        }
        // The next run reads it again, and more.
        self.again.leave();
        Ok(())
    }

    /// Ends the oldest object; `false` where there is none.
    pub(super) fn end_oldest(&mut self) -> io::Result<bool> {
        let is_one = !self.open.partitions.is_empty();
        self.open.end(0, &self.made).map(|()| is_one)
    }

    /// The next object to put.
    pub(super) fn next(&mut self) -> Option<Object> {
        self.open.ready.pop_front()
    }
}

impl Open {
    /// The object that is being gathered for this prefix, ready for its next record. For a new one
    /// too many, the one that has waited longest ends.
    fn to(
        &mut self,
        sought: Sought<'_>,
        made: &Made,
        batch: Coming<'_>,
    ) -> io::Result<&mut Partition> {
        let at = match self.partitions.get_index_of(&sought) {
            Some(at) => at,
            None => {
                while self.partitions.len() >= self.limits.partitions {
                    self.partitions[0].holds(batch);
                    self.end(0, made)?;
                }
                let Sought { kind, prefix } = sought;
                let slot = Slot { kind, prefix: prefix.to_owned() };
                self.partitions.insert_full(slot, made.begin_for(kind)?).0
            }
        };
        let partition = &mut self.partitions[at];
        made.separate(partition)?;
        Ok(partition)
    }

    /// Ends what is enough, and what there is no room for.
    fn end_full(&mut self, made: &Made) -> io::Result<()> {
        let Limits { bytes, records, gathered_bytes, .. } = self.limits;
        let is_full = |partition: &Partition| {
            partition.stored_bytes() >= bytes || partition.records >= records
        };
        while let Some(at) = self.partitions.values().position(is_full) {
            self.end(at, made)?;
        }
        loop {
            let sizes = || self.partitions.values().map(Partition::held_bytes);
            if sizes().sum::<usize>() <= gathered_bytes {
                return Ok(());
            }
            let largest = sizes().enumerate().max_by_key(|(_, size)| *size);
            self.end(largest.map_or(0, |(at, _)| at), made)?;
        }
    }

    fn end(&mut self, at: usize, made: &Made) -> io::Result<()> {
        let Some((slot, partition)) = self.partitions.shift_remove_index(at) else {
            return Ok(());
        };
        self.end_one(slot, partition, made)
    }

    fn end_one(&mut self, slot: Slot, partition: Partition, made: &Made) -> io::Result<()> {
        self.objects += 1;
        let salt = format!("{}-{}", self.salt, self.objects);
        let extension = match slot.kind {
            Kind::Metrics => &made.metrics.extension,
            _ => &made.extension,
        };
        let object = partition.end(&made.encoder, slot.prefix, (&salt, extension))?;
        self.ready.push_back(object);
        Ok(())
    }
}
