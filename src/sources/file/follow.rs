//! The thread that reads: in turn from each file that has something, and asleep otherwise.

mod care;
mod serve;
mod wait;

use super::catalog::Catalog;
use super::checkpoint::Store;
use super::metrics::Metrics;
use super::pins::Pins;
use super::watch::{Bell, News, Watcher};
use super::{FileSource, Limits, ReadFrom};
use crate::event::ack::{Outcome, Receipt, SinkSet};
use crate::event::log::framing::Framing;
use crate::topology::component::Fault;
use crate::topology::context::SourceContext;
use crate::topology::memory::Reserve;
use crate::topology::output::Output;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// Between two looks at files whose changes nobody tells of.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// Between two looks at everything, in case that the kernel did not tell.
const SCAN_EVERY: Duration = Duration::from_secs(10);

/// Looking for files takes no more than this part of the time: one of so many.
const SCAN_SHARE: u32 = 400;

/// Between two checkpoints.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// While there is much to read, news is asked for this often.
const LISTEN_EVERY: Duration = Duration::from_millis(10);

/// Follows the files of one source.
pub(super) struct Follower {
    framing: Framing,
    limits: Limits,
    /// Gone once reading has ended, so that everything below can finish, and while a batch
    /// waits to be taken.
    out: Option<Output>,
    cx: SourceContext,
    /// Says by its end that nobody waits for this thread any more.
    abandoned: watch::Receiver<()>,
    runtime: Handle,
    reserve: Reserve,
    store: Store,
    metrics: Metrics,
    watcher: Watcher,
    catalog: Catalog,
    /// Files with something to read, in turn.
    ready: VecDeque<u64>,
    /// Compressed files are read one after the other: each takes a decoder's memory.
    unpacking: Option<u64>,
    /// Files with lines held back, and when these are taken as they are.
    held: HashMap<u64, Instant>,
    /// Batches on their way, and the file of each.
    open: HashMap<u64, u64>,
    next_mark: u64,
    /// The sinks that were connected when last looked.
    sinks: SinkSet,
    /// Whether the checkpoint no longer says how things are.
    moved: bool,
    /// Whether a checkpoint has to be written as a whole, before changes can be added to it.
    unsaved: bool,
    lost: bool,
    save_failed: bool,
    scan_at: Instant,
    /// Not before this, so that looking for names that change all the time does not take all of
    /// the time.
    scan_rest: Instant,
    poll_at: Instant,
    save_at: Instant,
    listen_at: Instant,
}

/// Why reading ends.
enum End {
    /// It was asked to, or all is read.
    Asked,
    /// Nobody waits for it any more.
    Abandoned,
    /// Something below has failed.
    Fault(Fault),
}

impl Follower {
    /// Must be called within the runtime.
    pub(super) fn new(
        source: FileSource,
        out: Output,
        cx: SourceContext,
        abandoned: watch::Receiver<()>,
        bell: Bell,
    ) -> Result<Self, Fault> {
        let now = Instant::now();
        let FileSource { patterns, framing, limits } = source;
        let names = (cx.name.clone(), cx.env.host.clone());
        let (data_dir, keeps_state) = (&cx.env.data_dir, cx.env.keeps_state);
        let pins = Pins::new(data_dir, &cx.name, keeps_state);
        let metrics = Metrics::new(&cx.env.telemetry, &cx.name)
            .map_err(|error| Fault::fatal(format!("a metric of its own: {error}")))?;
        Ok(Self {
            catalog: Catalog::new((patterns, limits.clone()), names, pins),
            framing,
            limits,
            sinks: out.sinks(),
            out: Some(out),
            abandoned,
            runtime: Handle::current(),
            reserve: cx.env.memory.reserve(),
            store: Store::new(data_dir, &cx.name, keeps_state),
            metrics,
            watcher: Watcher::new(bell),
            ready: VecDeque::new(),
            unpacking: None,
            held: HashMap::new(),
            open: HashMap::new(),
            next_mark: 0,
            moved: true,
            unsaved: true,
            lost: false,
            save_failed: false,
            scan_rest: now,
            scan_at: now + SCAN_EVERY,
            poll_at: now + POLL_EVERY,
            save_at: now + SAVE_EVERY,
            listen_at: now,
            cx,
        })
    }

    /// Reads until it is asked to end, or, where only what is there now is wanted, to the end of
    /// all files.
    pub(super) fn run(mut self) -> Result<(), Fault> {
        let begin = self.load()?;
        let sinks = (&self.cx.env.sinks, self.sinks);
        let fresh = self.catalog.first_scan(begin, &mut self.watcher, sinks);
        self.enqueue(fresh);
        let end = loop {
            if let Err(end) = self.turn() {
                break end;
            }
        };
        self.finish(end)
    }

    fn load(&mut self) -> Result<ReadFrom, Fault> {
        let place = self.store.path().display().to_string();
        let loaded = self
            .store
            .load()
            .map_err(|error| Fault::passing(format!("the checkpoint {place}: {error}")))?;
        if loaded.damaged > 0 {
            self.cx.telemetry.errors(loaded.damaged as u64);
            tracing::warn!(
                source = %self.cx.name,
                checkpoint = %place,
                damaged_lines = loaded.damaged,
                known_files = loaded.entries.len(),
                "the checkpoint is damaged; files that it no longer tells of are read again"
            );
        }
        self.catalog.remember(loaded.entries);
        Ok(if loaded.existed { ReadFrom::Beginning } else { self.limits.read_from })
    }

    /// One round: the news, what is due, and a chunk from the file whose turn it is.
    fn turn(&mut self) -> Result<(), End> {
        while let Ok(receipt) = self.cx.receipts.try_recv() {
            self.settle(receipt);
        }
        if self.abandoned.has_changed().is_err() {
            return Err(End::Abandoned);
        }
        if self.lost {
            return Err(End::Fault(Fault::passing(
                "a batch was lost on its way; reading it again",
            )));
        }
        if self.cx.stop.is_requested() {
            return Err(End::Asked);
        }
        let now = Instant::now();
        self.do_what_is_due(now);
        if !self.ready.is_empty() && now >= self.listen_at {
            self.listen(Duration::ZERO);
        }
        match self.ready.pop_front() {
            Some(id) => self.serve(id),
            None if self.cx.env.once => Err(End::Asked),
            None => {
                let due = self.scan_at.min(self.poll_at);
                let due = self.held.values().fold(due, |due, held| due.min(*held));
                self.listen(due.saturating_duration_since(now));
                Ok(())
            }
        }
    }

    fn listen(&mut self, patience: Duration) {
        self.listen_at = Instant::now() + LISTEN_EVERY;
        let mut last = None;
        for news in self.watcher.wait(patience) {
            // A busy writer's news are many and alike.
            if last.as_ref() == Some(&news) {
                continue;
            }
            match &news {
                News::Content(path) => match self.catalog.at(path) {
                    Some(id) => self.enqueue([id]),
                    // It was left alone because it was old, or could not be opened.
                    None if self.catalog.concerns(path) => {
                        self.scan_at = self.scan_at.min(self.scan_rest);
                    }
                    None => {}
                },
                News::Name(path) => {
                    if self.catalog.concerns(path) {
                        self.scan_at = self.scan_at.min(self.scan_rest);
                    }
                }
                News::Anything => {
                    self.scan_at = self.scan_at.min(self.scan_rest);
                    self.enqueue_all();
                }
            }
            last = Some(news);
        }
    }

    fn look_at_sinks(&mut self) {
        if let Some(out) = &self.out {
            self.sinks = out.sinks();
        }
    }

    fn enqueue(&mut self, ids: impl IntoIterator<Item = u64>) {
        for id in ids {
            if let Some(file) = self.catalog.files.get_mut(&id).filter(|file| !file.queued) {
                file.queued = true;
                self.catalog.busy.insert(id);
                self.ready.push_back(id);
            }
        }
    }

    fn enqueue_all(&mut self) {
        let all: Vec<u64> = self.catalog.files.keys().copied().collect();
        self.enqueue(all);
    }

    fn settle(&mut self, receipt: Receipt) {
        self.lost |= receipt.outcome == Outcome::Lost;
        let file = self.open.get(&receipt.mark).and_then(|id| self.catalog.files.get_mut(id));
        if let Some(file) = file.filter(|_| receipt.outcome != Outcome::Lost) {
            // After a loss a batch's last receipt no longer says that all its sinks have it.
            let last = receipt.last && !self.lost;
            let moved = file.marks.settled(receipt.mark, receipt.sink, last);
            file.moved |= moved;
            self.moved |= moved;
        }
        if receipt.last {
            self.open.remove(&receipt.mark);
        }
    }

    /// Lets everything below finish, waits for what became of it, and saves how far it got.
    fn finish(mut self, end: End) -> Result<(), Fault> {
        if let Some(out) = self.out.take()
            && matches!(end, End::Asked)
        {
            out.finish();
        }
        while !self.open.is_empty() && !matches!(end, End::Abandoned) {
            let (receipts, abandoned) = (&mut self.cx.receipts, &mut self.abandoned);
            let receipt = self.runtime.block_on(async {
                tokio::select! {
                    biased;
                    receipt = receipts.recv() => receipt,
                    _ = abandoned.changed() => None,
                }
            });
            let Some(receipt) = receipt else { break };
            self.settle(receipt);
        }
        while let Ok(receipt) = self.cx.receipts.try_recv() {
            self.settle(receipt);
        }
        // What a sink does not have yet must be there at the next start.
        self.keep();
        self.unsaved = true;
        self.save();
        match end {
            End::Fault(fault) => Err(fault),
            End::Asked | End::Abandoned if self.lost => {
                Err(Fault::passing("a batch was lost on its way; it is read again"))
            }
            End::Asked | End::Abandoned => Ok(()),
        }
    }
}
