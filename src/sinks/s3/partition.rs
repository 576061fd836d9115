//! A partition: the object that is being gathered for one prefix.

use super::letters::Records;
use super::object::Identity;
use crate::event::ack::Ack;
use crate::event::encode::Encoder;
use crate::event::encode::compress::{Compression, Writer};
use crate::topology::request::Share;
use std::io::{self, Write};
use tokio::time::Instant;

/// The object that is being gathered for one prefix.
pub(super) struct Partition {
    writer: Writer<Vec<u8>>,
    /// Since when something waits.
    pub(super) since: Instant,
    pub(super) records: u64,
    pub(super) identity: Identity,
    /// For the dead letters, where there are any.
    pub(super) letters: Option<Records>,
    /// What waits to hear of it.
    shares: Vec<Share>,
    /// Records of the batch at hand, which has no share yet.
    fresh: u64,
}

/// An object that is ready to be put.
pub(super) struct Object {
    pub(super) key: String,
    pub(super) body: Vec<u8>,
    pub(super) records: u64,
    pub(super) letters: Option<Records>,
    pub(super) shares: Vec<Share>,
}

/// The batch at hand.
#[derive(Clone, Copy)]
pub(super) struct Coming<'b> {
    pub(super) ack: &'b Ack,
    /// How many records it has.
    pub(super) records: u64,
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
        let (identity, shares) = (Identity::default(), Vec::new());
        let since = Instant::now();
        Ok(Self { writer, since, records: 0, identity, letters, shares, fresh: 0 })
    }

    /// What it takes as it is stored, but for what the compression still holds back.
    pub(super) fn stored_bytes(&self) -> usize {
        self.writer.written().len()
    }

    /// What it takes here.
    pub(super) fn held_bytes(&self) -> usize {
        self.stored_bytes() + self.letters.as_ref().map_or(0, Records::bytes)
    }

    /// Adds encoded records of the batch at hand.
    pub(super) fn add(&mut self, encoded: &[u8], records: u64) -> io::Result<()> {
        self.writer.write_all(encoded)?;
        self.records += records;
        self.fresh += records;
        Ok(())
    }

    /// Lets the batch at hand wait for this object, where some of it is in it.
    pub(super) fn holds(&mut self, batch: Coming<'_>) {
        let records = std::mem::take(&mut self.fresh);
        if records > 0 {
            let ack = batch.ack.share_some(records, batch.records);
            self.shares.push(Share { ack, records });
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
        let (records, letters, shares) = (self.records, self.letters, self.shares);
        Ok(Object { key, body, records, letters, shares })
    }
}
