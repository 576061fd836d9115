//! One file's turn: its next records, from the disk to the topology.

use super::{End, Follower};
use crate::event::Batch;
use crate::event::ack::SinkSet;
use crate::host::clock;
use crate::sources::file::catalog::Kinship;
use crate::sources::file::position::ANCHOR_BYTES;
use crate::sources::file::tracked::{Ahead, CHUNK_BYTES, Lines, Reading, Taken, Tracked};
use crate::topology::memory::Chunk;
use rustix::io::Errno;
use std::sync::Arc;
use std::time::Instant;

impl Follower {
    /// Reads one chunk of a file and sends it.
    pub(super) fn serve(&mut self, id: u64) -> Result<(), End> {
        if self.must_wait(id) {
            return Ok(());
        }
        let once = self.cx.env.once;
        self.held.remove(&id);
        let Some(file) = self.catalog.files.get_mut(&id) else { return Ok(()) };
        file.queued = false;
        file.flush |= once;
        let outcome = match self.ahead(id) {
            Ok(Ahead::Bytes(_)) if self.must_wait_for_unpacking(id) => return Ok(()),
            Ok(Ahead::Nothing) => Ok(false),
            Ok(Ahead::Replaced) => {
                self.replaced(id);
                Ok(true)
            }
            Ok(Ahead::Bytes(bytes)) => self.read(id, bytes)?,
            Err(error) => Err(error),
        };
        let Some(file) = self.catalog.files.get_mut(&id) else { return Ok(()) };
        file.release = false;
        if let (true, Some(timeout)) = (file.held, self.limits.timeout) {
            self.held.insert(id, Instant::now() + timeout);
        }
        match outcome {
            Ok(true) => self.enqueue([id]),
            Ok(false) => self.at_end(id),
            Err(Errno::NOENT) => {
                // Closed, and gone before it was opened again.
                file.at_end = true;
                file.unreachable = file.leaving.is_some();
                self.scan_at = self.scan_at.min(self.scan_rest);
            }
            Err(error) => {
                file.at_end = true;
                self.cx.telemetry.errors(1);
                tracing::warn!(source = %self.cx.name, path = %file.path.display(), "{error}");
            }
        }
        Ok(())
    }

    /// What there is to read; for a new file that may be a copy, once that is known.
    fn ahead(&mut self, id: u64) -> Result<Ahead, Errno> {
        self.catalog.opens(id);
        let Some(file) = self.catalog.files.get_mut(&id) else { return Ok(Ahead::Nothing) };
        let ahead = file.ahead()?;
        if !file.unrecognised || !matches!(ahead, Ahead::Bytes(_)) || self.is_unpacking_other(id) {
            return Ok(ahead);
        }
        match self.catalog.recognise(id, (&self.cx.env.sinks, self.sinks)) {
            Kinship::Own => Ok(ahead),
            Kinship::NotYet => Ok(Ahead::Nothing),
            Kinship::Copy => {
                self.moved = true;
                match self.catalog.files.get_mut(&id) {
                    Some(file) => file.ahead(),
                    None => Ok(Ahead::Nothing),
                }
            }
        }
    }

    /// All that is there has been read, or what is left has to wait.
    fn at_end(&mut self, id: u64) {
        if self.unpacking == Some(id) {
            self.unpacking = None;
        }
        let once = self.cx.env.once;
        let Some(file) = self.catalog.files.get_mut(&id) else { return };
        file.at_end = true;
        file.rest();
        if let Some(what) = file.wrong(once) {
            self.cx.telemetry.errors(1);
            tracing::warn!(source = %self.cx.name, path = %file.path.display(), "{what}");
            // Its last line will not go on.
            file.flush = true;
            if !once {
                self.enqueue([id]);
            }
        }
    }

    /// Whether something else has to be read first.
    fn must_wait(&mut self, id: u64) -> bool {
        let Some(file) = self.catalog.files.get(&id) else { return false };
        let Some(before) = file.after else { return false };
        if let Some(first) = self.catalog.files.get_mut(&before) {
            let unread = !first.at_end;
            // Nothing will be added to the record that it holds back.
            if unread || (first.held && !first.release) {
                first.release = true;
                self.enqueue([before]);
                self.ready.push_back(id);
                return true;
            }
        }
        if let Some(file) = self.catalog.files.get_mut(&id) {
            file.after = None;
        }
        false
    }

    /// Compressed files wait for each other: each takes a decoder's memory.
    fn must_wait_for_unpacking(&mut self, id: u64) -> bool {
        if self.is_unpacking_other(id) {
            self.enqueue([id]);
            return true;
        }
        if self.catalog.files.get(&id).is_some_and(Tracked::is_packed) {
            self.unpacking = Some(id);
        }
        false
    }

    fn is_unpacking_other(&self, id: u64) -> bool {
        let is_read = |other: &u64| self.catalog.files.get(other).is_some_and(|file| file.queued);
        self.catalog.files.get(&id).is_some_and(Tracked::is_packed)
            && self.unpacking.filter(|other| *other != id).as_ref().is_some_and(is_read)
    }

    fn replaced(&mut self, id: u64) {
        let sinks = (&self.cx.env.sinks, self.sinks);
        self.catalog.keep_ghost(id, sinks);
        let copied = self.catalog.is_being_copied(id);
        let Some(file) = self.catalog.files.get(&id) else { return };
        let path = file.path.display().to_string();
        let lost = self.catalog.restart(id);
        self.moved = true;
        tracing::warn!(
            source = %self.cx.name,
            path,
            "the file was truncated or written anew; reading it from its beginning"
        );
        if !copied {
            self.lose(&path, "truncated_before_read", lost);
        }
    }

    /// Reads of `bytes` bytes that are ahead. Says whether there may be more.
    fn read(&mut self, id: u64, bytes: u64) -> Result<Result<bool, Errno>, End> {
        self.look_at_sinks();
        if self.sinks.is_empty() {
            return Ok(Ok(false));
        }
        let longest = self.limits.longest;
        let mut want = bytes.min(CHUNK_BYTES).min(longest + 1);
        loop {
            let Some(file) = self.catalog.files.get_mut(&id) else { return Ok(Ok(false)) };
            let (sinks, until) = file.marks.wanting(file.position.offset, self.sinks);
            if let Some(until) = until.filter(|_| sinks.is_empty()) {
                return Ok(file.skip_to(until).map(|()| true));
            }
            let coding = match file.coding(&self.framing) {
                Ok(coding) => coding,
                Err(error) => return Ok(Err(error)),
            };
            // Always the same room, so that buffers fit for the next read.
            let room = self.framing.room(want + ANCHOR_BYTES, &coding);
            let Some(chunk) = self.chunk(room)? else { return Ok(Ok(true)) };
            let Some(file) = self.catalog.files.get_mut(&id) else { return Ok(Ok(false)) };
            let begun = Instant::now();
            let reading =
                Reading { framing: &self.framing, longest, on_long_line: self.limits.on_long_line };
            let lines = file.read(chunk, want, until, reading);
            self.cx.telemetry.busy(begun.elapsed());
            match lines {
                Ok(Lines::Some(taken)) => {
                    let more = taken.end.offset < file.size();
                    self.send(id, taken, sinks)?;
                    return Ok(Ok(more));
                }
                Ok(Lines::Longer) if want < bytes.min(longest + 1) => {
                    want = bytes.min(longest + 1);
                }
                // A compressed file may turn out to end here.
                Ok(Lines::Longer) => {
                    return Ok(Ok(file.is_packed() && file.size() < u64::MAX && file.flush));
                }
                Ok(Lines::Skipped) => return Ok(Ok(true)),
                Ok(Lines::SkippedLine) => {
                    file.moved = true;
                    self.moved = true;
                    self.cx.telemetry.dropped("line_too_long", 1);
                    return Ok(Ok(true));
                }
                Ok(Lines::Replaced) => {
                    self.replaced(id);
                    return Ok(Ok(true));
                }
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    /// Memory for a read; `None` where it is time to end instead.
    fn chunk(&mut self, bytes: u64) -> Result<Option<Chunk>, End> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let (reserve, stop) = (self.reserve.clone(), self.cx.stop.clone());
        self.wait_for(async move {
            tokio::select! {
                biased;
                chunk = reserve.chunk(bytes) => Some(chunk),
                () = stop.requested() => None,
            }
        })
    }

    fn send(&mut self, id: u64, taken: Taken, sinks: SinkSet) -> Result<(), End> {
        if self.catalog.has_new_content() {
            self.save();
        }
        let Some(file) = self.catalog.files.get_mut(&id) else { return Ok(()) };
        if taken.truncated {
            self.metrics.truncated_lines.inc();
        }
        let (origin, end) = (Arc::clone(&file.origin), taken.end);
        let metadata = (self.limits.metadata.as_slice(), file.inode);
        let logs = taken.into_batch(origin, clock::now_ns(), metadata);
        let mark = self.next_mark;
        self.next_mark += 1;
        if !sinks.is_empty() {
            file.marks.sent(mark, end, sinks);
            self.open.insert(mark, id);
        }
        let Some(out) = self.out.take() else { return Ok(()) };
        let (out, sent) = self.wait_for(async move {
            let sent = out.send_to(Batch::Logs(logs), mark, sinks).await;
            (out, sent)
        })?;
        self.out = Some(out);
        sent.map_err(End::Fault)
    }
}
