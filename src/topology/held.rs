//! What a source has that cannot read its input again: batches are held until every sink has
//! them, and those that got lost inside the process are sent again.

use super::component::Fault;
use super::context::{SourceContext, Stop};
use super::memory::{Chunk, Reserve};
use super::output::Output;
use super::telemetry::ComponentTelemetry;
use crate::event::Batch;
use crate::event::ack::{Outcome, Receipt, SinkId, SinkSet};
use std::collections::BTreeMap;
use std::pin::pin;
use tokio::sync::mpsc;

/// Called with what became of a batch in the end: it was delivered, or given up for good.
pub type Told = Box<dyn FnOnce(Outcome) + Send>;

/// A source's way into the topology that keeps copies of what is on its way.
///
/// A copy shares the batch's chunk, so it costs no memory beyond what the batch itself holds
/// until it is delivered.
pub struct Held {
    out: Output,
    receipts: mpsc::UnboundedReceiver<Receipt>,
    telemetry: ComponentTelemetry,
    open: BTreeMap<u64, Open>,
    bytes: usize,
    limit_bytes: usize,
    next: u64,
}

struct Open {
    batch: Batch,
    bytes: usize,
    /// Sinks that do not have it yet.
    owed: SinkSet,
    /// Sinks that lost it.
    lost: SinkSet,
    worst: Outcome,
    told: Option<Told>,
}

impl Held {
    /// Holds about so many bytes at the most. Takes the receipts out of `cx`.
    pub fn new(out: Output, cx: &mut SourceContext, limit_bytes: usize) -> Self {
        let receipts = std::mem::replace(&mut cx.receipts, mpsc::unbounded_channel().1);
        let (open, telemetry) = (BTreeMap::new(), cx.telemetry.clone());
        Self { out, receipts, telemetry, open, bytes: 0, limit_bytes, next: 0 }
    }

    /// Whether another batch may be sent; else wait for a receipt first.
    pub fn has_room(&self) -> bool {
        self.bytes < self.limit_bytes
    }

    /// What sinks do not have yet.
    pub fn owed(&self) -> Owed {
        Owed::of(self.open.iter().map(|(number, open)| (*number, open.owed)).collect(), self.next)
    }

    /// The sinks that a batch sent now would reach.
    pub fn sinks(&self) -> SinkSet {
        self.out.sinks()
    }

    /// Sends a batch to every sink and gives its number; they count up from 0. Waits while an
    /// edge is full.
    ///
    /// # Errors
    /// Where nobody reads any more: the topology is being taken down.
    pub async fn send(&mut self, batch: Batch, told: Option<Told>) -> Result<u64, Fault> {
        self.send_to(batch, self.out.sinks(), told).await
    }

    /// As [`Self::send`], for those sinks only: the others have it already.
    ///
    /// # Errors
    /// As for [`Self::send`].
    pub async fn send_to(
        &mut self,
        batch: Batch,
        sinks: SinkSet,
        told: Option<Told>,
    ) -> Result<u64, Fault> {
        let mark = self.next;
        self.next += 1;
        if batch.is_empty() || sinks.is_empty() {
            settle(told, Outcome::Delivered);
            return Ok(mark);
        }
        let bytes = batch.bytes().max(1);
        self.bytes += bytes;
        let (copy, lost, worst) = (batch.clone(), SinkSet::NONE, Outcome::Delivered);
        self.open.insert(mark, Open { batch: copy, bytes, owed: sinks, lost, worst, told });
        self.out.send_to(batch, mark, sinks).await?;
        Ok(mark)
    }

    /// Memory for the next batch. What is held is let go as it is delivered meanwhile.
    ///
    /// # Errors
    /// As for [`Self::send`].
    pub async fn chunk(&mut self, reserve: &Reserve, bytes: usize) -> Result<Chunk, Fault> {
        let mut chunk = pin!(reserve.chunk(bytes));
        loop {
            tokio::select! {
                biased;
                chunk = chunk.as_mut() => return Ok(chunk),
                receipt = self.receipt() => self.settle(receipt).await?,
            }
        }
    }

    /// The next receipt, to be given to [`Self::settle`]. Waits for ever where none can come.
    pub async fn receipt(&mut self) -> Receipt {
        match self.receipts.recv().await {
            Some(receipt) => receipt,
            None => std::future::pending().await,
        }
    }

    /// Notes what became of a batch, and of all others that are known by now; sends again what
    /// was lost.
    ///
    /// # Errors
    /// As for [`Self::send`].
    pub async fn settle(&mut self, receipt: Receipt) -> Result<(), Fault> {
        let mut next = Some(receipt);
        while let Some(receipt) = next {
            if let Some(mark) = self.note(receipt) {
                self.again(mark).await?;
            }
            next = self.receipts.try_recv().ok();
        }
        Ok(())
    }

    /// Notes a receipt; gives the batch's number where it has to be sent again.
    fn note(&mut self, receipt: Receipt) -> Option<u64> {
        let open = self.open.get_mut(&receipt.mark)?;
        match receipt.outcome {
            Outcome::Lost => open.lost = open.lost.union(SinkSet::one(receipt.sink)),
            outcome => {
                open.worst = open.worst.max(outcome);
                open.owed = open.owed.without(SinkSet::one(receipt.sink));
            }
        }
        if !receipt.last {
            return None;
        }
        // A sink that a reload took away wants it no more.
        open.lost = open.lost.intersection(self.out.sinks());
        if !open.lost.is_empty() {
            return Some(receipt.mark);
        }
        self.close(receipt.mark);
        None
    }

    fn close(&mut self, mark: u64) {
        if let Some(open) = self.open.remove(&mark) {
            self.bytes -= open.bytes;
            settle(open.told, open.worst);
        }
    }

    async fn again(&mut self, mark: u64) -> Result<(), Fault> {
        let Some(open) = self.open.get_mut(&mark) else { return Ok(()) };
        let (batch, sinks) = (open.batch.clone(), std::mem::take(&mut open.lost));
        self.telemetry.errors(1);
        self.out.send_to(batch, mark, sinks).await
    }

    /// Waits until every batch has found its end, or until it is time to stop: before a source
    /// gives up this run and hopes for another.
    ///
    /// # Errors
    /// As for [`Self::send`].
    pub async fn settle_all(&mut self, stop: &Stop) -> Result<(), Fault> {
        while !self.open.is_empty() {
            tokio::select! {
                biased;
                receipt = self.receipt() => self.settle(receipt).await?,
                () = stop.requested() => break,
            }
        }
        Ok(())
    }

    /// Says that nothing more will come, and waits until every batch has found its end.
    ///
    /// What is lost from here on stays lost, since the topology is on its way down: it is counted
    /// and told. Gives what sinks do not have in the end.
    pub async fn finish(mut self) -> Owed {
        while let Ok(receipt) = self.receipts.try_recv() {
            // Where nobody reads any more, the batch is found among the lost ones below.
            self.settle(receipt).await.ok();
        }
        let Self { out, mut receipts, telemetry, mut open, next, .. } = self;
        out.finish();
        while !open.is_empty() {
            let Some(receipt) = receipts.recv().await else { break };
            let Some(batch) = open.get_mut(&receipt.mark) else { continue };
            batch.worst = batch.worst.max(receipt.outcome);
            if receipt.outcome != Outcome::Lost {
                batch.owed = batch.owed.without(SinkSet::one(receipt.sink));
            }
            let is_settled = receipt.last && batch.worst != Outcome::Lost && batch.lost.is_empty();
            if let Some(batch) = is_settled.then(|| open.remove(&receipt.mark)).flatten() {
                settle(batch.told, batch.worst);
            }
        }
        let records: usize = open.values().map(|open| open.batch.len()).sum();
        if records > 0 {
            telemetry.errors(open.len() as u64);
            tracing::error!(component = telemetry.name(), records, "lost at the end of the run");
        }
        Owed::of(open.into_iter().map(|(number, open)| (number, open.owed)).collect(), next)
    }
}

/// Batches that sinks do not have.
pub struct Owed {
    /// Number and sinks of each, in order.
    open: Vec<(u64, SinkSet)>,
    /// The number of the batch that would come next.
    next: u64,
}

impl Owed {
    /// These batches; `next` is the number of the one that would come next.
    pub fn of(open: Vec<(u64, SinkSet)>, next: u64) -> Self {
        Self { open, next }
    }

    /// The number of the first batch that some sink does not have: all before it are settled.
    pub fn first(&self) -> u64 {
        self.open.first().map_or(self.next, |(number, _)| *number)
    }

    /// The number of the first batch that this sink does not have.
    pub fn first_of(&self, sink: SinkId) -> u64 {
        let mut owed = self.open.iter().filter(|(_, sinks)| sinks.contains(sink));
        owed.next().map_or(self.next, |(number, _)| *number)
    }
}

fn settle(told: Option<Told>, outcome: Outcome) {
    if let Some(told) = told {
        told(outcome);
    }
}
