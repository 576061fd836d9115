//! A partition: the object that is being gathered for one prefix.

use super::letters::Records;
use super::manifest::Told;
use super::object::Identity;
use crate::event::ack::Ack;
use crate::event::encode::Encoder;
use crate::event::encode::compress::{Compression, Writer};
use crate::event::log::{LogBatch, RecordRef};
use crate::event::metric::{MetricBatch, Taken};
use crate::event::metric_history::History;
use crate::topology::request::Share;
use chrono::DateTime;
use std::io::{self, Write};
use tokio::time::Instant;

/// The object that is being gathered for one prefix.
pub(super) struct Partition {
    writer: Writer<Vec<u8>>,
    /// Of metrics: when and where the first of them were taken.
    taken: Option<Taken>,
    /// Of metrics that are to be text, which is put together once all are there.
    history: Option<History>,
    /// Since when something waits.
    pub(super) since: Instant,
    pub(super) records: u64,
    identity: Identity,
    /// For the dead letters, where there are any.
    letters: Option<Records>,
    /// For its manifest.
    told: Told,
    /// What waits to hear of it.
    shares: Vec<Share>,
    /// Records of the batch at hand, which has no share yet.
    fresh: u64,
}

/// An object that is ready to be put.
pub(super) struct Object {
    pub(super) key: String,
    pub(super) prefix: String,
    pub(super) manifest: Manifest,
    pub(super) body: Vec<u8>,
    pub(super) records: u64,
    pub(super) letters: Option<Records>,
    pub(super) shares: Vec<Share>,
}

/// What is on record of an object.
pub(super) enum Manifest {
    /// Nothing yet.
    New(Told),
    /// All, by an earlier run, under this number.
    Known(u64),
}

/// The batch at hand.
#[derive(Clone, Copy)]
pub(super) struct Coming<'b> {
    pub(super) ack: &'b Ack,
    /// How many records it has.
    pub(super) records: u64,
    /// Whether they can be told again.
    pub(super) can_be_told: bool,
}

impl Partition {
    pub(super) fn new(
        compression: Compression,
        encoder: &Encoder,
        letters: Option<Records>,
    ) -> io::Result<Self> {
        let mut head = Vec::new();
        encoder.begin(&mut head);
        let mut writer = compression.writer(Vec::new())?;
        writer.write_all(&head)?;
        Ok(Self {
            writer,
            taken: None,
            history: None,
            since: Instant::now(),
            records: 0,
            identity: Identity::default(),
            letters,
            told: Told::default(),
            shares: Vec::new(),
            fresh: 0,
        })
    }

    /// What it takes as it is stored, but for what the compression still holds back.
    pub(super) fn stored_bytes(&self) -> usize {
        self.writer.written().len() + self.history.as_ref().map_or(0, History::bytes)
    }

    /// What it takes here.
    pub(super) fn held_bytes(&self) -> usize {
        let letters = self.letters.as_ref().map_or(0, Records::bytes);
        self.stored_bytes() + letters + self.told.extents.bytes()
    }

    /// Adds what stands between records.
    pub(super) fn separate(&mut self, by: &[u8]) -> io::Result<()> {
        self.writer.write_all(by)
    }

    /// Adds all records of a batch.
    pub(super) fn add_all(
        &mut self,
        logs: &LogBatch,
        encoded: &[u8],
        batch: Coming<'_>,
    ) -> io::Result<()> {
        self.identity.add(&logs.origin, logs.records());
        if batch.can_be_told {
            self.told.read(logs);
            self.told.extents.add_batch(logs);
        }
        self.count(logs.len() as u64, batch);
        self.writer.write_all(encoded)
    }

    /// Adds a record.
    pub(super) fn add(
        &mut self,
        record: &RecordRef<'_>,
        encoded: &[u8],
        batch: Coming<'_>,
    ) -> io::Result<()> {
        let logs = record.batch();
        self.identity.add(&logs.origin, std::iter::once(*record));
        if batch.can_be_told {
            self.told.read(logs);
            self.told.extents.add_record(record);
        }
        if let Some(letters) = &mut self.letters {
            letters.add(record, encoded)?;
        }
        self.count(1, batch);
        self.writer.write_all(encoded)
    }

    /// Adds a snapshot of metrics; `encoded` is its form where no history is made of them.
    pub(super) fn add_metrics(
        &mut self,
        metrics: &MetricBatch,
        taken: &Taken,
        encoded: Option<&[u8]>,
        batch: Coming<'_>,
    ) -> io::Result<()> {
        self.taken.get_or_insert_with(|| taken.clone());
        self.count(metrics.len() as u64, batch);
        match encoded {
            Some(encoded) => self.writer.write_all(encoded),
            None => {
                let history = self.history.get_or_insert_default();
                let left_out = history.add(metrics, taken.time_ms());
                if left_out > 0 {
                    tracing::debug!(left_out, "samples that are in the object already");
                }
                Ok(())
            }
        }
    }

    fn count(&mut self, records: u64, batch: Coming<'_>) {
        self.records += records;
        self.fresh += records;
        self.told.records += if batch.can_be_told { records } else { 0 };
    }

    /// Lets the batch at hand wait for this object, where some of it is in it.
    pub(super) fn holds(&mut self, batch: Coming<'_>) {
        let records = std::mem::take(&mut self.fresh);
        if records > 0 {
            let ack = batch.ack.share_some(records, batch.records);
            self.shares.push(Share { ack, records });
        }
    }

    /// Ends the object. Its key is `prefix`, its name and `extension`.
    pub(super) fn end(
        self,
        encoder: &Encoder,
        prefix: String,
        (salt, extension): (&str, &str),
    ) -> io::Result<Object> {
        let name = match &self.taken {
            None => self.identity.name(salt),
            Some(Taken { time_ns, host, source }) => {
                let time = DateTime::from_timestamp_nanos(*time_ns).format("%Y%m%dT%H%M%SZ");
                format!("{time}-{}", self.identity.name(&format!("{salt} {host} {source}")))
            }
        };
        let key = format!("{prefix}{name}{extension}");
        self.end_as(encoder, prefix, key)
    }

    fn end_as(mut self, encoder: &Encoder, prefix: String, key: String) -> io::Result<Object> {
        if let Some(history) = self.history.take() {
            history.encode(|text| self.writer.write_all(text))?;
        }
        let mut end = Vec::new();
        encoder.end(&mut end);
        self.writer.write_all(&end)?;
        let body = self.writer.finish()?;
        let (records, letters, shares) = (self.records, self.letters, self.shares);
        let manifest = Manifest::New(self.told);
        Ok(Object { key, prefix, manifest, body, records, letters, shares })
    }

    /// Ends an object that has a key and a manifest already.
    pub(super) fn end_again(self, encoder: &Encoder, key: String, id: u64) -> io::Result<Object> {
        let object = self.end_as(encoder, String::new(), key)?;
        Ok(Object { manifest: Manifest::Known(id), ..object })
    }
}
