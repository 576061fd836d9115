//! A partition: the object that is being gathered for one prefix.

use super::object::Identity;
use crate::event::ack::Ack;
use crate::event::encode::Encoder;
use crate::event::encode::compress::{Compression, Writer};
use std::io::{self, Write};
use tokio::time::Instant;

/// The object that is being gathered for one prefix.
pub(super) struct Partition {
    writer: Writer<Vec<u8>>,
    /// Since when something waits.
    pub(super) since: Instant,
    pub(super) records: u64,
    pub(super) identity: Identity,
    /// What waits to hear of it.
    acks: Vec<Ack>,
    /// The number of the batch that was last added.
    batch: u64,
}

/// An object that is ready to be put.
pub(super) struct Object {
    pub(super) key: String,
    pub(super) body: Vec<u8>,
    pub(super) records: u64,
    pub(super) acks: Vec<Ack>,
}

impl Partition {
    pub(super) fn new(compression: Compression, encoder: &Encoder) -> io::Result<Self> {
        let mut head = Vec::new();
        encoder.begin(&mut head);
        let mut writer = compression.writer(Vec::new())?;
        writer.write_all(&head)?;
        let (identity, acks) = (Identity::default(), Vec::new());
        Ok(Self { writer, since: Instant::now(), records: 0, identity, acks, batch: 0 })
    }

    /// What it takes as it is stored, but for what the compression still holds back.
    pub(super) fn stored_bytes(&self) -> usize {
        match &self.writer {
            Writer::Plain(body) => body.len(),
            Writer::Gzip(encoder) => encoder.get_ref().len(),
            Writer::Zstd(encoder) => encoder.get_ref().len(),
        }
    }

    /// Adds encoded records.
    pub(super) fn add(&mut self, encoded: &[u8], records: u64) -> io::Result<()> {
        self.writer.write_all(encoded)?;
        self.records += records;
        Ok(())
    }

    /// Lets a batch wait for this object; `number` tells batches apart.
    pub(super) fn holds(&mut self, number: u64, ack: &Ack) {
        if self.batch != number || self.acks.is_empty() {
            self.batch = number;
            self.acks.push(ack.share(ack.sinks()));
        }
    }

    /// Ends the object. `place` makes its key from its name.
    pub(super) fn end(
        mut self,
        encoder: &Encoder,
        salt: &str,
        place: impl Fn(&str) -> String,
    ) -> io::Result<Object> {
        let mut end = Vec::new();
        encoder.end(&mut end);
        self.writer.write_all(&end)?;
        let body = self.writer.finish()?;
        let key = place(&self.identity.name(salt));
        Ok(Object { key, body, records: self.records, acks: self.acks })
    }
}
