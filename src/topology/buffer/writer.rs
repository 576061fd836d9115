//! The writing end of a disk buffer: takes batches from the edge, appends them, and settles them
//! with their source once they are safe.

use super::disk::{HEADER_BYTES, Refusal};
use super::settings::WhenFull;
use super::unit::{Buffer, GRACE, Shared};
use crate::event::ack::{Ack, Outcome};
use crate::event::pack::{pack, wire};
use crate::topology::component::Fault;
use crate::topology::edge::Envelope;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// So much is not left waiting for others to be synced with it.
const SYNC_BYTES: usize = 8 << 20;

/// Between two looks whether a full disk has room again.
const RETRY_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Writer<'b> {
    buffer: &'b Buffer,
    shared: Arc<Shared>,
    /// The frame at hand, kept for the next.
    frame: Vec<u8>,
    /// What was written and is not known to be safe.
    unsafe_acks: Vec<Ack>,
    unsafe_bytes: usize,
    unsafe_since: Option<Instant>,
    file: Option<Arc<File>>,
    /// Since when it may take no longer, once it is to stop.
    stopping: Option<Instant>,
    /// Whether a full disk was told of.
    complained: bool,
}

/// What became of an attempt to append.
enum Appended {
    Yes,
    /// There is no room, for this reason where it is the disk's.
    NoRoom(Option<io::Error>),
    TooLarge,
}

impl<'b> Writer<'b> {
    pub(super) fn new(buffer: &'b Buffer, shared: Arc<Shared>) -> Self {
        Self {
            buffer,
            shared,
            frame: Vec::new(),
            unsafe_acks: Vec::new(),
            unsafe_bytes: 0,
            unsafe_since: None,
            file: None,
            stopping: None,
            complained: false,
        }
    }

    /// Writes until the edge has ended.
    pub(super) async fn run(&mut self) -> Result<(), Fault> {
        loop {
            let next = match self.unsafe_since {
                None => self.buffer.input.next().await,
                Some(since) => {
                    let due = since + self.buffer.settings.sync_after();
                    match timeout_at(due, self.buffer.input.next()).await {
                        Ok(next) => next,
                        Err(_) => {
                            self.sync().await?;
                            continue;
                        }
                    }
                }
            };
            let Some(envelope) = next else { break };
            self.write(envelope).await?;
            let since = self.unsafe_since.map_or(Duration::ZERO, |since| since.elapsed());
            if self.unsafe_bytes >= SYNC_BYTES
                || (self.file.is_some() && since >= self.buffer.settings.sync_after())
            {
                self.sync().await?;
            }
        }
        self.sync().await?;
        if let Err(Refusal::Unsafe(error)) = self.shared.work(super::disk::Store::seal).await? {
            tracing::warn!(component = &*self.buffer.name, "the disk buffer: {error}");
        }
        self.shared.written.store(true, Ordering::SeqCst);
        self.shared.grown.notify_one();
        Ok(())
    }

    async fn write(&mut self, envelope: Envelope) -> Result<(), Fault> {
        // Who asks for a poll wants it now, or not at all.
        let kind = if envelope.demand.is_none() { self.pack(&envelope) } else { None };
        let Some(kind) = kind else {
            self.buffer.way.send(envelope).await;
            return Ok(());
        };
        let events = envelope.batch.len();
        loop {
            match self.append(kind, events).await? {
                Appended::Yes => {
                    self.shared.full.end();
                    let (batch, mut ack, _) = envelope.open();
                    ack.buffer(&batch);
                    self.unsafe_acks.push(ack);
                    self.unsafe_bytes += self.frame.len();
                    self.unsafe_since.get_or_insert_with(Instant::now);
                    self.shared.numbers.events.add(i64::try_from(events).unwrap_or(i64::MAX));
                    self.shared.grown.notify_one();
                    return Ok(());
                }
                Appended::NoRoom(error) => {
                    self.shared.full.begin();
                    if let Some(error) = error {
                        self.complain(&error);
                    }
                    if self.drops() {
                        self.drop_newest(envelope);
                        return Ok(());
                    }
                }
                Appended::TooLarge => {
                    if self.drops() {
                        self.drop_newest(envelope);
                        return Ok(());
                    }
                    if self.is_empty().await? {
                        // It passes by, alone, and is safe once it is delivered.
                        self.buffer.way.send(envelope).await;
                        return Ok(());
                    }
                }
            }
            if !self.wait_for_room().await? {
                // The source reads it again at its next start.
                return Ok(());
            }
        }
    }

    fn drops(&self) -> bool {
        self.buffer.settings.when_full == WhenFull::DropNewest
    }

    fn drop_newest(&self, envelope: Envelope) {
        let (batch, ack, _) = envelope.open();
        self.buffer.telemetry.dropped("buffer_full", batch.len() as u64);
        ack.give_up(&batch, "buffer_full");
    }

    /// Packs the batch, with the sinks that it is for, behind the room for a header.
    fn pack(&mut self, envelope: &Envelope) -> Option<crate::event::pack::PackedKind> {
        self.frame.clear();
        self.frame.resize(HEADER_BYTES, 0);
        let sinks = envelope.ack.sinks();
        wire::put_size(&mut self.frame, sinks.iter().count());
        for sink in sinks.iter() {
            let name = self.buffer.env.sinks.name(sink);
            wire::put_bytes(&mut self.frame, name.as_bytes());
        }
        pack(&envelope.batch, &mut self.frame)
    }

    async fn append(
        &mut self,
        kind: crate::event::pack::PackedKind,
        events: usize,
    ) -> Result<Appended, Fault> {
        let mut frame = std::mem::take(&mut self.frame);
        let work = self.shared.work(move |store| {
            if store.is_too_large(frame.len()) {
                return (frame, Ok(None));
            }
            let mut appended = store.append(kind, events, &mut frame);
            // Only a closed segment can be removed.
            if let Err(Refusal::Full) = appended {
                appended = store.seal().and_then(|()| store.append(kind, events, &mut frame));
            } else if let Err(Refusal::DiskFull(error)) = appended {
                appended = store.seal().and(Err(Refusal::DiskFull(error)));
            }
            (frame, appended.map(Some))
        });
        let (frame, appended) = work.await?;
        self.frame = frame;
        match appended {
            Ok(Some(file)) => {
                self.file = Some(file);
                self.complained = false;
                Ok(Appended::Yes)
            }
            Ok(None) => Ok(Appended::TooLarge),
            Err(Refusal::Full) => Ok(Appended::NoRoom(None)),
            Err(Refusal::DiskFull(error)) => Ok(Appended::NoRoom(Some(error))),
            // Whatever was not synced is then read again by its source.
            Err(Refusal::Unsafe(error) | Refusal::Fault(error)) => {
                Err(Fault::passing(format!("the disk buffer cannot be written: {error}")))
            }
        }
    }

    async fn is_empty(&mut self) -> Result<bool, Fault> {
        let next = self.shared.work(|store| store.next()).await?;
        Ok(self.shared.settled.load(Ordering::SeqCst) >= next)
    }

    /// Waits until there may be room again; `false` where it is to stop and has waited enough.
    async fn wait_for_room(&mut self) -> Result<bool, Fault> {
        self.sync().await?;
        if self.buffer.stop.is_requested() {
            let begun = *self.stopping.get_or_insert_with(Instant::now);
            if begun.elapsed() >= GRACE {
                return Ok(false);
            }
        }
        self.shared.wants_room.store(true, Ordering::SeqCst);
        self.shared.grown.notify_one();
        // However it ends, it is time for another look.
        timeout(RETRY_EVERY, self.shared.room.notified()).await.ok();
        Ok(true)
    }

    /// Makes safe what was written, and says so to whoever waits for it.
    async fn sync(&mut self) -> Result<(), Fault> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let synced = tokio::task::spawn_blocking(move || file.sync_data()).await;
        let synced = synced.unwrap_or_else(|error| Err(io::Error::other(error)));
        self.unsafe_bytes = 0;
        self.unsafe_since = None;
        match synced {
            Ok(()) => {
                self.unsafe_acks.drain(..).for_each(|ack| ack.settle(Outcome::Delivered));
                Ok(())
            }
            Err(error) => {
                self.unsafe_acks.clear();
                self.shared.work(super::disk::Store::abandon).await?;
                Err(Fault::passing(format!("the disk buffer cannot be made safe: {error}")))
            }
        }
    }

    fn complain(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.complained, true) {
            self.buffer.telemetry.errors(1);
            let component = &*self.buffer.name;
            let buffer = self.shared.dir.display();
            tracing::warn!(component, %buffer, "the disk buffer has no room: {error}");
        }
    }
}
