//! The thread that reads: in turn from each file that has something, and asleep otherwise.

mod serve;

use super::catalog::Catalog;
use super::checkpoint::Store;
use super::patterns::Patterns;
use super::tracked::Ahead;
use super::watch::{Bell, News, Watcher};
use super::{Config, ReadFrom};
use crate::event::ack::{Outcome, Receipt, SinkSet};
use crate::host::clock;
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

/// Between two checkpoints.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// While there is much to read, news is asked for this often.
const LISTEN_EVERY: Duration = Duration::from_millis(10);

/// Follows the files of one source.
pub(super) struct Follower {
    config: Config,
    /// Gone once reading has ended, so that everything below can finish.
    out: Option<Output>,
    cx: SourceContext,
    /// Says by its end that nobody waits for this thread any more.
    abandoned: watch::Receiver<()>,
    runtime: Handle,
    reserve: Reserve,
    store: Store,
    watcher: Watcher,
    catalog: Catalog,
    /// Files with something to read, in turn.
    ready: VecDeque<u64>,
    /// Batches on their way, and the file of each.
    open: HashMap<u64, u64>,
    next_mark: u64,
    /// The sinks that were connected when last looked.
    sinks: SinkSet,
    /// Whether the checkpoint no longer says how things are.
    moved: bool,
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
        config: Config,
        patterns: Patterns,
        out: Output,
        cx: SourceContext,
        abandoned: watch::Receiver<()>,
        bell: Bell,
    ) -> Self {
        let now = Instant::now();
        let host = cx.env.host.clone();
        Self {
            config,
            sinks: out.sinks(),
            out: Some(out),
            abandoned,
            runtime: Handle::current(),
            reserve: cx.env.memory.reserve(),
            store: Store::new(&cx.env.data_dir, &cx.name, cx.env.keeps_state),
            watcher: Watcher::new(bell),
            catalog: Catalog::new(patterns, cx.name.clone(), host),
            ready: VecDeque::new(),
            open: HashMap::new(),
            next_mark: 0,
            moved: true,
            lost: false,
            save_failed: false,
            scan_rest: now,
            scan_at: now + SCAN_EVERY,
            poll_at: now + POLL_EVERY,
            save_at: now + SAVE_EVERY,
            listen_at: now,
            cx,
        }
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
        Ok(if loaded.existed { ReadFrom::Beginning } else { self.config.read_from })
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
        if now >= self.scan_at {
            self.scan();
        }
        if now >= self.poll_at {
            self.poll();
        }
        if self.moved && now >= self.save_at {
            self.save();
        }
        if !self.ready.is_empty() && now >= self.listen_at {
            self.listen(Duration::ZERO);
        }
        match self.ready.pop_front() {
            Some(id) => self.serve(id),
            None if self.cx.env.once => Err(End::Asked),
            None => {
                let due = self.scan_at.min(self.poll_at);
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
                News::Content(path) => {
                    if let Some(id) = self.catalog.at(path) {
                        self.enqueue([id]);
                    }
                }
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
                self.ready.push_back(id);
            }
        }
    }

    fn enqueue_all(&mut self) {
        let all: Vec<u64> = self.catalog.files.keys().copied().collect();
        self.enqueue(all);
    }

    fn scan(&mut self) {
        let begun = Instant::now();
        let unconnected = self.sinks.is_empty();
        self.look_at_sinks();
        if unconnected && !self.sinks.is_empty() {
            self.enqueue_all();
        }
        let sinks = (&self.cx.env.sinks, self.sinks);
        let changed = self.catalog.scan(&mut self.watcher, sinks);
        self.moved |= !changed.is_empty();
        self.enqueue(changed);
        let pause = if self.catalog.incomplete { POLL_EVERY } else { SCAN_EVERY };
        self.scan_rest = Instant::now() + begun.elapsed() * 5;
        self.scan_at = self.scan_rest + pause;
    }

    /// Looks at the files whose changes nobody tells of.
    fn poll(&mut self) {
        self.poll_at = Instant::now() + POLL_EVERY;
        let mut grown = Vec::new();
        for (id, file) in &mut self.catalog.files {
            let alone = file.polled || file.leaving.is_some();
            if !alone || file.queued || matches!(file.ahead(), Ok(Ahead::Nothing)) {
                continue;
            }
            // An unfinished line is still there; only growth counts.
            if file.has_grown() {
                if let Some(leaving) = &mut file.leaving {
                    file.flush = false;
                    leaving.quiet_since = Instant::now();
                }
                grown.push(*id);
            }
        }
        self.enqueue(grown);
        let (unfinished, gone) = self.catalog.let_go();
        self.moved |= gone;
        self.enqueue(unfinished);
    }

    fn settle(&mut self, receipt: Receipt) {
        self.lost |= receipt.outcome == Outcome::Lost;
        let file = self.open.get(&receipt.mark).and_then(|id| self.catalog.files.get_mut(id));
        if let Some(file) = file.filter(|_| receipt.outcome != Outcome::Lost) {
            // After a loss a batch's last receipt no longer says that all its sinks have it.
            let last = receipt.last && !self.lost;
            self.moved |= file.marks.settled(receipt.mark, receipt.sink, last);
        }
        if receipt.last {
            self.open.remove(&receipt.mark);
        }
    }

    fn save(&mut self) {
        self.save_at = Instant::now() + SAVE_EVERY;
        let now = u64::try_from(clock::now_ns() / 1_000_000_000).unwrap_or(0);
        let entries = self.catalog.entries(&self.cx.env.sinks, self.sinks, now);
        match self.store.save(entries.iter()) {
            Ok(()) => {
                self.moved = false;
                self.save_failed = false;
            }
            Err(_) if self.save_failed => {}
            Err(error) => {
                self.save_failed = true;
                self.cx.telemetry.errors(1);
                tracing::warn!(
                    source = %self.cx.name,
                    checkpoint = %self.store.path().display(),
                    "the checkpoint cannot be saved: {error}; a restart would read again"
                );
            }
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
