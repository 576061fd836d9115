//! The sink at work: gathers records by prefix, and puts what is enough or old enough.

use super::partition::Partition;
use super::upload::Uploader;
use crate::event::Batch;
use crate::event::ack::{Ack, Outcome};
use crate::event::encode::Encoder;
use crate::event::encode::compress::Compression;
use crate::event::log::LogBatch;
use crate::expr::path_template::{PathRenderer, PathTemplate};
use crate::host::clock;
use crate::topology::component::{Fault, StreamSink};
use crate::topology::context::SinkContext;
use crate::topology::edge::{Envelope, Input};
use async_trait::async_trait;
use indexmap::IndexMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// When objects are put.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) bytes: usize,
    pub(super) records: u64,
    pub(super) age: Duration,
    pub(super) partitions: usize,
    pub(super) gathered_bytes: usize,
    pub(super) uploads: usize,
}

pub(super) struct S3 {
    pub(super) uploader: Arc<Uploader>,
    pub(super) limits: Limits,
    pub(super) template: PathTemplate,
    pub(super) renderer: PathRenderer,
    pub(super) made: Made,
    pub(super) extension: String,
    pub(super) scratch: Vec<u8>,
}

/// What objects are made of.
pub(super) struct Made {
    pub(super) encoder: Encoder,
    /// Whether records are the items of one array.
    pub(super) is_array: bool,
    pub(super) compression: Compression,
}

/// What is gathered and what is on its way.
struct Work {
    /// By prefix, the oldest first.
    partitions: IndexMap<String, Partition>,
    uploads: JoinSet<()>,
    /// Batches so far.
    batches: u64,
    /// Different for each object, of any run.
    salt: String,
    objects: u64,
}

#[async_trait]
impl StreamSink for S3 {
    async fn run(mut self: Box<Self>, input: Input, cx: SinkContext) -> Result<(), Fault> {
        let mut work = Work {
            partitions: IndexMap::new(),
            uploads: JoinSet::new(),
            batches: 0,
            salt: format!("{}-{}", clock::now_ns(), std::process::id()),
            objects: 0,
        };
        let orphans = Arc::clone(&self.uploader);
        let cleaning = tokio::spawn(async move { orphans.abort_orphans().await });
        loop {
            let due = work.partitions.first().map(|(_, oldest)| oldest.since + self.limits.age);
            tokio::select! {
                next = input.next() => {
                    let Some((batch, ack, _)) = next.map(Envelope::open) else { break };
                    let Batch::Logs(logs) = &batch else {
                        return Err(Fault::fatal("a bucket takes log records only"));
                    };
                    cx.telemetry.received(&batch);
                    work.batches += 1;
                    let started = Instant::now();
                    self.gather(logs, &ack, &mut work).map_err(|error| unwritable(&error))?;
                    cx.telemetry.busy(started.elapsed());
                    // Its shares are with the objects that it went into.
                    ack.settle(Outcome::Delivered);
                    self.put_full(&mut work).await?;
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.put(0, &mut work).await?;
                }
                Some(done) = work.uploads.join_next(), if !work.uploads.is_empty() => {
                    done.map_err(|error| crashed(&error))?;
                }
            }
        }
        while !work.partitions.is_empty() {
            self.put(0, &mut work).await?;
        }
        while let Some(done) = work.uploads.join_next().await {
            done.map_err(|error| crashed(&error))?;
        }
        cleaning.abort();
        Ok(())
    }
}

fn unwritable(error: &io::Error) -> Fault {
    Fault::passing(format!("compress an object: {error}"))
}

/// What an upload held is read again by its source.
fn crashed(error: &tokio::task::JoinError) -> Fault {
    Fault::passing(format!("an upload ended by a bug: {error}"))
}

impl S3 {
    /// Adds a batch's records to the objects of their prefixes.
    fn gather(&mut self, logs: &LogBatch, ack: &Ack, work: &mut Work) -> io::Result<()> {
        let Some(first) = logs.records().next() else { return Ok(()) };
        let number = work.batches;
        let slot = self.template.slot(first.time_ns());
        let together = !self.template.reads_fields()
            && logs.records().all(|record| self.template.slot(record.time_ns()) == slot);
        if together {
            let partition = open(self.renderer.render(&first), work, &self.made)?;
            partition.identity.add(&logs.origin, logs.records());
            self.scratch.clear();
            self.made.encoder.encode(logs, &mut self.scratch);
            partition.holds(number, ack);
            return partition.add(&self.scratch, logs.len() as u64);
        }
        for record in logs.records() {
            let partition = open(self.renderer.render(&record), work, &self.made)?;
            partition.identity.add(&logs.origin, std::iter::once(record));
            self.scratch.clear();
            self.made.encoder.encode_record(&record, &mut self.scratch);
            partition.holds(number, ack);
            partition.add(&self.scratch, 1)?;
        }
        Ok(())
    }
}

impl S3 {
    /// Puts what is enough, and what there is no room for.
    async fn put_full(&self, work: &mut Work) -> Result<(), Fault> {
        let Limits { bytes, records, partitions, gathered_bytes, .. } = self.limits;
        let is_full =
            |partition: &Partition| partition.stored_bytes() >= bytes || partition.records >= records;
        while let Some(at) = work.partitions.values().position(is_full) {
            self.put(at, work).await?;
        }
        while work.partitions.len() > partitions {
            self.put(0, work).await?;
        }
        loop {
            let sizes = || work.partitions.values().map(Partition::stored_bytes);
            if sizes().sum::<usize>() <= gathered_bytes {
                return Ok(());
            }
            let largest = sizes().enumerate().max_by_key(|(_, size)| *size);
            self.put(largest.map_or(0, |(at, _)| at), work).await?;
        }
    }

    /// Puts an object on its way, as soon as there is room for one.
    async fn put(&self, at: usize, work: &mut Work) -> Result<(), Fault> {
        while work.uploads.len() >= self.limits.uploads {
            if let Some(done) = work.uploads.join_next().await {
                done.map_err(|error| crashed(&error))?;
            }
        }
        let Some((prefix, partition)) = work.partitions.shift_remove_index(at) else {
            return Ok(());
        };
        work.objects += 1;
        let salt = format!("{}-{}", work.salt, work.objects);
        let place = |name: &str| format!("{prefix}{name}{}", self.extension);
        let object = partition.end(&self.made.encoder, &salt, place).map_err(|error| unwritable(&error))?;
        let uploader = Arc::clone(&self.uploader);
        work.uploads.spawn(async move { uploader.deliver(object).await });
        Ok(())
    }
}

/// The object that is being gathered for this prefix, ready for its next record.
fn open<'w>(prefix: &str, work: &'w mut Work, made: &Made) -> io::Result<&'w mut Partition> {
    let at = match work.partitions.get_index_of(prefix) {
        Some(at) => at,
        None => {
            let new = Partition::new(made.compression, &made.encoder)?;
            work.partitions.insert_full(prefix.to_owned(), new).0
        }
    };
    let partition = &mut work.partitions[at];
    if made.is_array && partition.records > 0 {
        partition.add(b",", 0)?;
    }
    Ok(partition)
}
