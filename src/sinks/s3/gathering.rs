//! What is gathered: the objects that are being made, by prefix, and those that wait to be put.

use super::letters::Records;
use super::partition::{Coming, Object, Partition};
use crate::event::encode::Encoder;
use crate::event::encode::compress::Compression;
use crate::event::log::LogBatch;
use crate::expr::path_template::{PathRenderer, PathTemplate};
use crate::host::clock;
use indexmap::IndexMap;
use std::collections::VecDeque;
use std::io;
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
    /// Whether records are kept for the dead letters.
    pub(super) keeps_letters: bool,
}

pub(super) struct Gathering {
    made: Made,
    template: PathTemplate,
    renderer: PathRenderer,
    open: Open,
    scratch: Vec<u8>,
}

/// The objects, by how far they are.
struct Open {
    limits: Limits,
    /// By prefix, the oldest first.
    partitions: IndexMap<String, Partition>,
    ready: VecDeque<Object>,
    /// Different for each object, of any run.
    salt: String,
    objects: u64,
}

impl Gathering {
    pub(super) fn new(limits: Limits, made: Made, template: PathTemplate) -> Self {
        let open = Open {
            limits,
            partitions: IndexMap::new(),
            ready: VecDeque::new(),
            salt: format!("{}-{}", clock::now_ns(), std::process::id()),
            objects: 0,
        };
        Self { made, renderer: template.renderer(), template, open, scratch: Vec::new() }
    }

    /// Adds a batch's records to the objects of their prefixes, and ends those that are full.
    pub(super) fn take(&mut self, logs: &LogBatch, batch: Coming<'_>) -> io::Result<()> {
        let Some(first) = logs.records().next() else { return Ok(()) };
        let slot = self.template.slot(first.time_ns());
        let together = !self.template.reads_fields()
            && !self.made.keeps_letters
            && logs.records().all(|record| self.template.slot(record.time_ns()) == slot);
        if together {
            let partition = self.open.to(self.renderer.render(&first), &self.made, batch)?;
            partition.identity.add(&logs.origin, logs.records());
            self.scratch.clear();
            self.made.encoder.encode(logs, &mut self.scratch);
            partition.add(&self.scratch, batch.records)?;
        } else {
            for record in logs.records() {
                let partition = self.open.to(self.renderer.render(&record), &self.made, batch)?;
                partition.identity.add(&logs.origin, std::iter::once(record));
                self.scratch.clear();
                self.made.encoder.encode_record(&record, &mut self.scratch);
                if let Some(letters) = &mut partition.letters {
                    letters.add(&record, &self.scratch)?;
                }
                partition.add(&self.scratch, 1)?;
            }
        }
        self.open.partitions.values_mut().for_each(|partition| partition.holds(batch));
        self.open.end_full(&self.made)
    }

    /// When the oldest object is old enough.
    pub(super) fn due(&self) -> Option<Instant> {
        self.open.partitions.first().map(|(_, oldest)| oldest.since + self.open.limits.age)
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
    fn to(&mut self, prefix: &str, made: &Made, batch: Coming<'_>) -> io::Result<&mut Partition> {
        let at = match self.partitions.get_index_of(prefix) {
            Some(at) => at,
            None => {
                while self.partitions.len() >= self.limits.partitions {
                    self.partitions[0].holds(batch);
                    self.end(0, made)?;
                }
                let letters = made.keeps_letters.then(Records::new).transpose()?;
                let new = Partition::new(made.compression, &made.encoder, letters)?;
                self.partitions.insert_full(prefix.to_owned(), new).0
            }
        };
        let partition = &mut self.partitions[at];
        if made.is_array && partition.records > 0 {
            partition.add(b",", 0)?;
        }
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
        let Some((prefix, partition)) = self.partitions.shift_remove_index(at) else {
            return Ok(());
        };
        self.objects += 1;
        let salt = format!("{}-{}", self.salt, self.objects);
        let place = |name: &str| format!("{prefix}{name}{}", made.extension);
        self.ready.push_back(partition.end(&made.encoder, &salt, place)?);
        Ok(())
    }
}
