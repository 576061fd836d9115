//! Edges: the bounded way from one component to the next.
//!
//! An edge is bounded in batches and in bytes. A full one makes its writer wait, and so holds
//! back everything above it, up to the source.

use super::buffer::WhenFull;
use super::telemetry::EdgeTelemetry;
use crate::event::Batch;
use crate::event::ack::Ack;
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc};

/// How much an edge may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeLimits {
    /// Batches.
    pub batches: usize,
    /// Bytes; a single larger batch still passes, alone.
    pub bytes: usize,
    /// What happens to a batch that finds no room.
    pub when_full: WhenFull,
}

impl Default for EdgeLimits {
    /// Little more than one read of a file: what waits for long is no longer in the processor's
    /// cache when its turn comes, and its memory cannot serve the next read.
    fn default() -> Self {
        Self { batches: 16, bytes: 1 << 20, when_full: WhenFull::Block }
    }
}

/// A batch on its way, with all that belongs to it.
pub struct Envelope {
    /// What is on its way.
    pub batch: Batch,
    /// Who wants to know what becomes of it.
    pub ack: Ack,
    /// The demand that it answers, if any.
    pub demand: Option<u64>,
    /// Its room on the edge, given back when the envelope is gone.
    room: Option<Room>,
}

struct Room {
    _bytes: OwnedSemaphorePermit,
    held: u32,
    telemetry: EdgeTelemetry,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.telemetry.leaves(self.held);
    }
}

impl Envelope {
    /// A batch that is not on any edge yet.
    pub fn new(batch: Batch, ack: Ack, demand: Option<u64>) -> Self {
        Self { batch, ack, demand, room: None }
    }

    /// The batch, its token and the demand that it answers; its room on the edge is free again.
    pub fn open(self) -> (Batch, Ack, Option<u64>) {
        (self.batch, self.ack, self.demand)
    }
}

/// The writing end. Clones write to the same edge.
#[derive(Clone)]
pub struct EdgeSender {
    queue: mpsc::Sender<Envelope>,
    bytes: Arc<Semaphore>,
    limit: u32,
    when_full: WhenFull,
    telemetry: EdgeTelemetry,
}

/// A writing end that does not keep the edge open.
#[derive(Clone)]
pub(super) struct WeakEdgeSender {
    queue: mpsc::WeakSender<Envelope>,
    bytes: Arc<Semaphore>,
    limit: u32,
    when_full: WhenFull,
    telemetry: EdgeTelemetry,
}

impl WeakEdgeSender {
    /// The writing end, while somebody else keeps the edge open and somebody reads from it.
    pub(super) fn upgrade(&self) -> Option<EdgeSender> {
        let queue = self.queue.upgrade().filter(|queue| !queue.is_closed())?;
        let (bytes, telemetry) = (Arc::clone(&self.bytes), self.telemetry.clone());
        let (limit, when_full) = (self.limit, self.when_full);
        Some(EdgeSender { queue, bytes, limit, when_full, telemetry })
    }
}

/// The reading end. Clones read from the same edge, so that a supervisor can hand it to the
/// next run of a component that failed.
#[derive(Clone)]
pub struct Input {
    queue: Arc<Mutex<mpsc::Receiver<Envelope>>>,
    /// Whether it is a sink that reads.
    at_sink: bool,
}

/// Makes an edge.
pub fn edge(limits: EdgeLimits, telemetry: EdgeTelemetry) -> (EdgeSender, Input) {
    let (sender, receiver) = mpsc::channel(limits.batches.max(1));
    let limit = u32::try_from(limits.bytes).unwrap_or(u32::MAX).max(1);
    let bytes = Arc::new(Semaphore::new(limit as usize));
    let input = Input { queue: Arc::new(Mutex::new(receiver)), at_sink: false };
    let when_full = limits.when_full;
    (EdgeSender { queue: sender, bytes, limit, when_full, telemetry }, input)
}

impl EdgeSender {
    /// Sends; waits for room, or drops the batch where the edge is meant to do that. `false`
    /// where nobody reads any more: the batch is then lost.
    pub async fn send(&self, mut envelope: Envelope) -> bool {
        let held = u32::try_from(envelope.batch.memory_bytes()).unwrap_or(u32::MAX);
        let held = held.clamp(1, self.limit);
        if self.when_full == WhenFull::DropNewest && envelope.demand.is_none() {
            return self.send_or_drop(envelope, held);
        }
        let permit = match Arc::clone(&self.bytes).try_acquire_many_owned(held) {
            Ok(permit) => Ok(permit),
            Err(_) => {
                self.telemetry.is_full();
                Arc::clone(&self.bytes).acquire_many_owned(held).await
            }
        };
        let Ok(permit) = permit else { return false };
        self.telemetry.enters(held);
        envelope.room = Some(Room { _bytes: permit, held, telemetry: self.telemetry.clone() });
        match self.queue.try_send(envelope) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(envelope)) => {
                self.telemetry.is_full();
                self.queue.send(envelope).await.is_ok()
            }
        }
    }

    fn send_or_drop(&self, mut envelope: Envelope, held: u32) -> bool {
        let records = envelope.batch.len() as u64;
        let permit = Arc::clone(&self.bytes).try_acquire_many_owned(held);
        match (permit, self.queue.try_reserve()) {
            (_, Err(mpsc::error::TrySendError::Closed(()))) => return false,
            (Ok(permit), Ok(slot)) => {
                self.telemetry.enters(held);
                let telemetry = self.telemetry.clone();
                envelope.room = Some(Room { _bytes: permit, held, telemetry });
                slot.send(envelope);
                return true;
            }
            (Err(_), _) | (_, Err(mpsc::error::TrySendError::Full(()))) => {
                let (batch, ack, _) = envelope.open();
                ack.give_up(&batch, "buffer_full");
            }
        }
        self.telemetry.is_full();
        self.telemetry.dropped(records);
        true
    }

    pub(super) fn downgrade(&self) -> WeakEdgeSender {
        let (bytes, telemetry) = (Arc::clone(&self.bytes), self.telemetry.clone());
        let (limit, when_full) = (self.limit, self.when_full);
        WeakEdgeSender { queue: self.queue.downgrade(), bytes, limit, when_full, telemetry }
    }
}

impl Input {
    /// The same edge, read by a sink: what comes out has arrived.
    pub(super) fn at_sink(self) -> Self {
        Self { at_sink: true, ..self }
    }

    fn came(&self, mut envelope: Envelope) -> Envelope {
        if self.at_sink {
            envelope.ack.arrive(&envelope.batch);
        }
        envelope
    }

    /// The next batch; `None` once all writers are gone and the edge is empty.
    pub async fn next(&self) -> Option<Envelope> {
        self.queue.lock().await.recv().await.map(|envelope| self.came(envelope))
    }

    /// The next batch, if one is there now.
    pub async fn try_next(&self) -> Option<Envelope> {
        self.queue.lock().await.try_recv().ok().map(|envelope| self.came(envelope))
    }

    /// Whether all writers are gone and the edge is empty.
    pub(super) async fn is_over(&self) -> bool {
        let queue = self.queue.lock().await;
        queue.is_closed() && queue.is_empty()
    }
}
