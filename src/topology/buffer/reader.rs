//! The reading end of a disk buffer: a source of its own, which takes frames to the component and
//! keeps what of them is delivered.

use super::disk::{Cursor, Frame, Next, Reading};
use super::progress::Progress;
use super::unit::{Buffer, GRACE, Shared};
use crate::event::ack::{Ack, Receipt, SinkSet};
use crate::event::ledger::{Book, Sheet};
use crate::event::pack::{Packed, wire::Taker};
use crate::topology::component::Fault;
use crate::topology::edge::Envelope;
use crate::topology::memory::{Chunk, Reserve};
use crate::topology::supervise::Backoff;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

/// Between two times that the cursor is saved.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// Frames that are taken out of a block at a time.
const MOST_FRAMES: usize = 64;

/// A segment that cannot be read is given up after this many attempts.
const READ_ATTEMPTS: u32 = 3;

pub(super) struct Reader<'b> {
    buffer: &'b Buffer,
    shared: Arc<Shared>,
    account: Arc<dyn Book>,
    reading: Reading,
    progress: Progress,
    receipts_in: mpsc::UnboundedSender<Receipt>,
    receipts: mpsc::UnboundedReceiver<Receipt>,
    /// Memory for what is read: for one block it is always there.
    blocks: Reserve,
    /// Frames below this number were counted where all of their sinks are gone.
    gone_below: u64,
    lost: bool,
    lost_pause: Backoff,
    /// Whether the cursor on disk no longer says how things are.
    moved: bool,
    save_at: Instant,
    /// Every frame below this number was sent or cannot be read.
    complete: u64,
    save_failed: bool,
    attempts: u32,
}

/// Frames that were read, and what is to be done for more.
struct Gathered {
    frames: Vec<Frame>,
    next: Next,
}

impl<'b> Reader<'b> {
    pub(super) fn new(buffer: &'b Buffer, shared: Arc<Shared>, cursor: &Cursor) -> Self {
        let (receipts_in, receipts) = mpsc::unbounded_channel();
        Self {
            buffer,
            shared,
            account: buffer.env.telemetry.account(&buffer.name),
            reading: Reading::from(cursor.settled),
            progress: Progress::new(cursor),
            receipts_in,
            receipts,
            blocks: buffer.env.memory.reserve(),
            gone_below: 0,
            lost: false,
            lost_pause: Backoff::new(Duration::from_secs(1), Duration::from_secs(30)),
            moved: false,
            save_at: Instant::now(),
            complete: cursor.settled,
            save_failed: false,
            attempts: 0,
        }
    }

    /// Reads until all is written and delivered, or until it is told to stop. The component may
    /// finish as soon as nothing more will come, so that it brings at once what it gathers.
    pub(super) async fn run(&mut self) -> Result<(), Fault> {
        self.send_what_comes().await?;
        self.buffer.way.close();
        let stop = &self.buffer.stop;
        let told = async {
            stop.requested().await;
            sleep(GRACE).await;
        };
        tokio::select! {
            seen = self.see_through() => return seen,
            () = told => self.buffer.cut.store(true, Ordering::SeqCst),
        }
        self.save().await
    }

    /// Sends until all that was written is sent, or until it is told to stop.
    pub(super) async fn send_what_comes(&mut self) -> Result<(), Fault> {
        loop {
            while let Ok(receipt) = self.receipts.try_recv() {
                self.settle(receipt);
            }
            if self.buffer.stop.is_requested() {
                return Ok(());
            }
            self.keep_up().await?;
            if self.lost {
                self.again().await;
                continue;
            }
            let written = self.shared.written.load(Ordering::SeqCst);
            if !self.turn().await? {
                if written {
                    return Ok(());
                }
                self.wait().await;
            }
        }
    }

    /// Returns once each sink has said what became of what was sent. What was lost is sent again
    /// while the way is open; after that it is kept for the next start.
    pub(super) async fn see_through(&mut self) -> Result<(), Fault> {
        loop {
            while let Ok(receipt) = self.receipts.try_recv() {
                self.settle(receipt);
            }
            self.keep_up().await?;
            if self.lost && self.buffer.way.is_open() && !self.buffer.stop.is_requested() {
                self.again().await;
                self.send_what_comes().await?;
                continue;
            }
            if !self.progress.is_waiting() {
                break;
            }
            let (moved, save_at) = (self.moved, self.save_at);
            tokio::select! {
                Some(receipt) = self.receipts.recv() => self.settle(receipt),
                () = sleep_until(save_at), if moved => {}
            }
        }
        if self.lost {
            let component = &*self.buffer.name;
            self.buffer.telemetry.errors(1);
            tracing::warn!(
                component,
                "a batch of the disk buffer was lost on its way, it is sent again at the next start"
            );
        }
        self.save().await
    }

    /// Sends what there is; `false` where there is nothing now.
    async fn turn(&mut self) -> Result<bool, Fault> {
        let gathered = self.gather(None).await?;
        let Some(gathered) = gathered else { return Ok(true) };
        if !self.send_all(gathered.frames).await? {
            return Ok(true);
        }
        match gathered.next {
            Next::Nothing => Ok(false),
            Next::Frame(_) => Ok(true),
            Next::Block(bytes) => {
                self.reading.release();
                let size = usize::try_from(bytes).unwrap_or(usize::MAX);
                let chunk = tokio::select! {
                    biased;
                    chunk = self.blocks.chunk(size) => chunk,
                    () = self.buffer.stop.requested() => return Ok(true),
                };
                if let Some(gathered) = self.gather(Some((chunk, bytes))).await? {
                    self.send_all(gathered.frames).await?;
                }
                Ok(true)
            }
        }
    }

    /// Takes frames out of what was read, after a block was read where one is given. `None`
    /// where the disk did not give it.
    async fn gather(&mut self, block: Option<(Chunk, u64)>) -> Result<Option<Gathered>, Fault> {
        let mut reading = std::mem::take(&mut self.reading);
        let give_up = self.attempts >= READ_ATTEMPTS;
        let work = self.shared.work(move |store| {
            let read = || {
                if let Some((mut chunk, bytes)) = block {
                    reading.load(store, bytes, &mut chunk.data)?;
                    reading.loaded(chunk.freeze());
                }
                let mut frames = Vec::new();
                loop {
                    match reading.next(store)? {
                        Next::Frame(frame) if frames.len() + 1 == MOST_FRAMES => {
                            let next = Next::Frame(frame.clone());
                            frames.push(frame);
                            return Ok(Gathered { frames, next });
                        }
                        Next::Frame(frame) => frames.push(frame),
                        next => return Ok(Gathered { frames, next }),
                    }
                }
            };
            let gathered: io::Result<Gathered> = read();
            if gathered.is_err() && give_up {
                reading.give_up_segment(store);
            }
            (reading, gathered)
        });
        let (reading, gathered) = work.await?;
        self.reading = reading;
        self.note_damage();
        match gathered {
            Ok(gathered) => {
                self.attempts = 0;
                Ok(Some(gathered))
            }
            Err(error) => {
                let component = &*self.buffer.name;
                tracing::warn!(component, give_up, "the disk buffer cannot be read: {error}");
                self.buffer.telemetry.errors(1);
                self.attempts = if give_up { 0 } else { self.attempts + 1 };
                self.reading.release();
                sleep(Duration::from_millis(200)).await;
                Ok(None)
            }
        }
    }

    fn note_damage(&mut self) {
        let passed = self.reading.take_passed_events();
        self.shared.numbers.events.sub(i64::try_from(passed).unwrap_or(i64::MAX));
        let frames = self.reading.take_damaged();
        if frames > 0 {
            self.buffer.telemetry.errors(frames);
            self.shared.numbers.damaged.inc_by(frames);
            tracing::error!(
                component = &*self.buffer.name,
                frames,
                before = self.reading.expected(),
                put_aside = %self.shared.dir.join("damaged").display(),
                "the disk buffer is damaged; these frames are lost"
            );
        }
    }

    /// Sends the frames; `false` where that was broken off.
    async fn send_all(&mut self, frames: Vec<Frame>) -> Result<bool, Fault> {
        for frame in frames {
            while let Ok(receipt) = self.receipts.try_recv() {
                self.settle(receipt);
            }
            if self.lost || self.buffer.stop.is_requested() {
                return Ok(false);
            }
            if !self.send(frame).await? {
                return Ok(false);
            }
        }
        self.complete = self.reading.expected();
        self.moved |= self.progress.is_quiet() && self.progress.low() < self.complete;
        Ok(true)
    }

    async fn send(&mut self, frame: Frame) -> Result<bool, Fault> {
        let events = u64::from(frame.events);
        let Some((sinks, all_gone, packed)) = self.open(&frame) else {
            // Its sums are right and it makes no sense: another version wrote it.
            self.shared.numbers.damaged.inc();
            self.buffer.telemetry.dropped("unreadable", events);
            self.progress.sent(frame.number, events, SinkSet::NONE);
            self.advance();
            return Ok(true);
        };
        let batch = if sinks.is_empty() { None } else { packed.unpack() };
        let Some(batch) = batch else {
            // The sinks that it was for are gone, or have it.
            if all_gone && frame.number >= self.gone_below {
                self.gone_below = frame.number + 1;
                self.buffer.telemetry.dropped("sink_removed", events);
            }
            self.progress.sent(frame.number, events, SinkSet::NONE);
            self.advance();
            return Ok(true);
        };
        drop(frame.body);
        self.progress.sent(frame.number, events, sinks);
        let sheet = Sheet::of(&batch, &self.account);
        let ack = Ack::booked(frame.number, sinks, self.receipts_in.clone(), sheet);
        let buffer = self.buffer;
        let mut sending = pin!(buffer.way.send(Envelope::new(batch, ack, None)));
        loop {
            tokio::select! {
                biased;
                sent = &mut sending => return Ok(sent),
                () = buffer.stop.requested() => return Ok(false),
                // A sink that is behind goes on settling while its edge is full.
                () = self.wait() => self.keep_up().await?,
            }
        }
    }

    /// The sinks that a frame is to be sent to, whether all that it was for are gone, and what is
    /// in it.
    fn open(&self, frame: &Frame) -> Option<(SinkSet, bool, Packed)> {
        let mut taker = Taker::new(&frame.body);
        let mut names = Vec::new();
        for _ in 0..taker.count()? {
            names.push(taker.text()?);
        }
        let at = frame.body.len() - taker.rest().len();
        let reach = self.buffer.reach.get();
        let (mut sinks, mut all_gone) = (SinkSet::NONE, true);
        for sink in reach.iter() {
            let name = self.buffer.env.sinks.name(sink);
            if names.contains(&&*name) {
                all_gone = false;
                if !self.progress.has(&name, frame.number) {
                    sinks = sinks.union(SinkSet::one(sink));
                }
            }
        }
        Some((sinks, all_gone, Packed::new(frame.kind, &frame.body.slice(at..))?))
    }

    fn settle(&mut self, receipt: Receipt) {
        let reach = self.buffer.reach.get();
        let Receipt { mark, sink, outcome, last: _ } = receipt;
        self.lost |= self.progress.settled(mark, sink, outcome, reach);
        // Also where another sink is behind: each has a mark of its own.
        self.moved = true;
        self.advance();
    }

    fn advance(&mut self) {
        let before = self.progress.low();
        let events = self.progress.advance();
        if events > 0 {
            self.shared.numbers.events.sub(i64::try_from(events).unwrap_or(i64::MAX));
            self.lost_pause.reset();
        }
        let low = self.progress.low();
        if low != before || events > 0 {
            self.moved = true;
            self.shared.settled.store(low, Ordering::SeqCst);
            self.shared.room.notify_one();
        }
    }

    /// Goes back to what was lost, once everything that was sent has been heard of.
    async fn again(&mut self) {
        while self.progress.is_waiting() {
            tokio::select! {
                Some(receipt) = self.receipts.recv() => self.settle(receipt),
                () = self.buffer.stop.requested() => return,
            }
        }
        let names = &self.buffer.env.sinks;
        let number = self.progress.rewind(|sink| names.name(sink));
        self.reading = self.reading.again_from(number);
        self.complete = number;
        self.lost = false;
        let pause = self.lost_pause.pause();
        let component = &*self.buffer.name;
        let pause_seconds = pause.as_secs_f64();
        tracing::warn!(
            component,
            pause_seconds,
            "a batch of the disk buffer was lost on its way, it is sent again"
        );
        tokio::select! {
            () = sleep(pause) => {}
            () = self.buffer.stop.requested() => {}
        }
    }

    /// Waits for something to happen.
    async fn wait(&mut self) {
        let (moved, save_at) = (self.moved, self.save_at);
        tokio::select! {
            Some(receipt) = self.receipts.recv() => self.settle(receipt),
            () = self.shared.grown.notified() => {}
            () = self.buffer.stop.requested() => {}
            () = sleep_until(save_at), if moved => {}
        }
    }

    /// Whether something can be removed for a writer that waits.
    async fn has_room(&mut self) -> Result<bool, Fault> {
        if self.progress.is_quiet() {
            self.progress.passed(self.complete);
        }
        let settled = self.progress.low();
        self.shared.work(move |store| store.has_below(settled)).await
    }

    /// Saves the cursor when it is time, or when that gives room to a writer that waits.
    async fn keep_up(&mut self) -> Result<(), Fault> {
        let wanted = self.shared.wants_room.swap(false, Ordering::SeqCst);
        let due = self.moved && Instant::now() >= self.save_at;
        if due || (wanted && self.has_room().await?) {
            self.save().await?;
        }
        Ok(())
    }

    /// Saves the cursor and removes what lies before it.
    async fn save(&mut self) -> Result<(), Fault> {
        if self.progress.is_quiet() {
            self.progress.passed(self.complete);
        }
        let settled = self.progress.low();
        self.shared.settled.store(settled, Ordering::SeqCst);
        let names = &self.buffer.env.sinks;
        let cursor = self.progress.cursor(|sink| names.name(sink));
        let dir = self.shared.dir.clone();
        let saved = self.shared.work(move |store| {
            let mut saved = cursor.save(&dir);
            let before = store.len();
            let removed = store.remove_below(settled);
            if saved.is_err() {
                // On a full disk there may be room now.
                saved = cursor.save(&dir);
            }
            (saved.and(removed), before > store.len(), store.next() <= settled)
        });
        self.save_at = Instant::now() + SAVE_EVERY;
        self.moved = false;
        let (saved, has_room, is_empty) = saved.await?;
        if has_room {
            self.shared.full.end();
            self.shared.room.notify_one();
        }
        if is_empty {
            // Whatever damage has taken is not waited for.
            self.shared.numbers.events.set(0);
        }
        let failed = std::mem::replace(&mut self.save_failed, saved.is_err());
        if let Err(error) = saved {
            self.moved = true;
            if failed {
                return Ok(());
            }
            self.buffer.telemetry.errors(1);
            let component = &*self.buffer.name;
            tracing::warn!(
                component,
                "the cursor of the disk buffer cannot be saved: {error}; a restart would send again"
            );
        }
        Ok(())
    }
}
