//! What is done from time to time: looking for files, polling, keeping, saving.

use super::{Follower, POLL_EVERY, SAVE_EVERY, SCAN_EVERY, SCAN_SHARE};
use crate::sources::file::checkpoint::Entry;
use crate::sources::file::tracked::Ahead;
use std::io;
use std::time::Instant;

impl Follower {
    /// Looks for files, polls, releases what was held back, and saves, each when it is due.
    pub(super) fn do_what_is_due(&mut self, now: Instant) {
        if now >= self.scan_at {
            self.scan();
        }
        if now >= self.poll_at {
            self.poll();
        }
        if !self.held.is_empty() {
            self.release(now);
        }
        if self.moved && now >= self.save_at {
            self.save();
        }
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
        if !changed.is_empty() {
            self.moved = true;
            self.keep();
        }
        self.enqueue(changed);
        let pause = if self.catalog.incomplete { POLL_EVERY } else { SCAN_EVERY };
        let took = begun.elapsed();
        self.scan_rest = Instant::now() + took * 5;
        self.scan_at = self.scan_rest + pause.max(took * SCAN_SHARE);
    }

    /// Looks at the files whose changes nobody tells of, and at those that have to be kept.
    fn poll(&mut self) {
        self.poll_at = Instant::now() + POLL_EVERY;
        if self.cx.env.deliveries.is_asked(&self.cx.name) {
            (self.moved, self.unsaved) = (true, true);
        }
        let mut news = Vec::new();
        for id in &self.catalog.busy {
            let Some(file) = self.catalog.files.get_mut(id) else { continue };
            let alone = file.polled || file.leaving.is_some();
            if file.queued {
                continue;
            }
            if file.unrecognised || file.is_unsettled() {
                news.push(*id);
                continue;
            }
            if !alone || matches!(file.ahead(), Ok(Ahead::Nothing)) {
                continue;
            }
            // An unfinished line is still there; only growth counts.
            if file.has_grown() {
                if let Some(leaving) = &mut file.leaving {
                    file.flush = false;
                    leaving.quiet_since = Instant::now();
                }
                news.push(*id);
            }
        }
        self.enqueue(news);
        let sinks = (&self.cx.env.sinks, self.sinks);
        let let_go = self.catalog.let_go(sinks);
        self.moved |= let_go.some;
        for (path, why, bytes) in let_go.lost {
            self.lose(&path, why, bytes);
        }
        self.enqueue(let_go.unfinished);
        self.keep();
        self.catalog.close_inactive();
        self.catalog.delete_done();
        self.catalog.let_rest();
        let open = self.catalog.open_files();
        self.metrics.open.set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    /// Pins what some sink does not have. The checkpoint tells of a file before its pin is made,
    /// or a crash in between would leave a pin that nobody knows what to do with.
    pub(super) fn keep(&mut self) {
        if self.catalog.wants_pins() {
            self.save();
        }
        self.catalog.pin_and_unpin(&self.metrics);
    }

    /// Takes records that might have gone on, where nothing was added for long enough.
    fn release(&mut self, now: Instant) {
        let due: Vec<u64> =
            self.held.iter().filter(|(_, at)| **at <= now).map(|(id, _)| *id).collect();
        for id in due {
            self.held.remove(&id);
            if let Some(file) = self.catalog.files.get_mut(&id) {
                file.release = true;
                self.enqueue([id]);
            }
        }
    }

    /// Counts and says that bytes were there and can be read no more.
    pub(super) fn lose(&self, path: &str, why: &'static str, bytes: u64) {
        if bytes == 0 {
            return;
        }
        self.metrics.lost(why, bytes);
        // How many records they were nobody can tell.
        self.cx.telemetry.dropped(why, 1);
        tracing::warn!(
            source = %self.cx.name,
            path,
            bytes,
            reason = why,
            "bytes that were written are gone before they could be read"
        );
    }

    pub(super) fn save(&mut self) {
        self.save_at = Instant::now() + SAVE_EVERY;
        match self.write_checkpoint() {
            Ok(()) => {
                self.catalog.saved();
                self.moved = false;
                self.unsaved = false;
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

    /// Writes down what has changed, or all, and tells the journals of sinks how far they are now.
    fn write_checkpoint(&mut self) -> io::Result<()> {
        let env = &self.cx.env;
        let (names, deliveries) = (&env.sinks, &env.deliveries);
        if !self.unsaved {
            let (changed, gone) = self.catalog.changes(names, self.sinks);
            if self.store.append(changed.iter(), &gone)? {
                deliveries.saved(&self.cx.name, changed.iter().flat_map(Entry::marks));
                return Ok(());
            }
        }
        self.catalog.forget();
        let entries = self.catalog.entries(names, self.sinks);
        self.store.replace(entries.iter())?;
        deliveries.saved_all(&self.cx.name, entries.iter().flat_map(Entry::marks));
        Ok(())
    }
}
