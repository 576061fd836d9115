//! One file's turn: its next lines, from the disk to the topology.

use super::super::position::{ANCHOR_BYTES, Position};
use super::super::tracked::{Ahead, CHUNK_BYTES, Lines};
use super::{End, Follower};
use crate::event::Batch;
use crate::event::ack::SinkSet;
use crate::event::log::LogBatch;
use crate::host::clock;
use crate::topology::memory::Chunk;
use bytes::Bytes;
use rustix::io::Errno;
use std::time::Instant;

impl Follower {
    /// Reads one chunk of a file and sends it.
    pub(super) fn serve(&mut self, id: u64) -> Result<(), End> {
        if self.must_wait(id) {
            return Ok(());
        }
        let once = self.cx.env.once;
        let Some(file) = self.catalog.files.get_mut(&id) else { return Ok(()) };
        file.queued = false;
        file.flush |= once;
        let outcome = match file.ahead() {
            Ok(Ahead::Nothing) => Ok(false),
            Ok(Ahead::Replaced) => {
                self.replaced(id);
                Ok(true)
            }
            Ok(Ahead::Bytes(bytes)) => self.read(id, bytes)?,
            Err(error) => Err(error),
        };
        let Some(file) = self.catalog.files.get_mut(&id) else { return Ok(()) };
        match outcome {
            Ok(true) => self.enqueue([id]),
            Ok(false) => file.at_end = true,
            Err(error) => {
                file.at_end = true;
                self.cx.telemetry.errors(1);
                tracing::warn!(source = %self.cx.name, path = %file.path.display(), "{error}");
            }
        }
        Ok(())
    }

    /// Whether the file that had the name before has not been read to its end yet.
    fn must_wait(&mut self, id: u64) -> bool {
        let Some(before) = self.catalog.files.get(&id).and_then(|file| file.after) else {
            return false;
        };
        if self.catalog.files.get(&before).is_some_and(|file| !file.at_end) {
            self.enqueue([before]);
            self.ready.push_back(id);
            return true;
        }
        if let Some(file) = self.catalog.files.get_mut(&id) {
            file.after = None;
        }
        false
    }

    fn replaced(&mut self, id: u64) {
        let Some(file) = self.catalog.files.get_mut(&id) else { return };
        file.restart();
        self.moved = true;
        tracing::warn!(
            source = %self.cx.name,
            path = %file.path.display(),
            "the file was truncated or written anew; reading it from its beginning"
        );
    }

    /// Reads of `bytes` bytes that are ahead. Says whether there may be more.
    fn read(&mut self, id: u64, bytes: u64) -> Result<Result<bool, Errno>, End> {
        self.look_at_sinks();
        if self.sinks.is_empty() {
            return Ok(Ok(false));
        }
        let longest = self.config.max_line_bytes.0;
        let mut want = bytes.min(CHUNK_BYTES).min(longest + 1);
        loop {
            let Some(file) = self.catalog.files.get_mut(&id) else { return Ok(Ok(false)) };
            let (sinks, until) = file.marks.wanting(file.position.offset, self.sinks);
            if let Some(until) = until.filter(|_| sinks.is_empty()) {
                return Ok(file.skip_to(until).map(|()| true));
            }
            // Always the same room, so that buffers fit for the next read.
            let Some(chunk) = self.chunk(want + ANCHOR_BYTES)? else { return Ok(Ok(true)) };
            let Some(file) = self.catalog.files.get_mut(&id) else { return Ok(Ok(false)) };
            let begun = Instant::now();
            let lines = file.read(chunk, want, until, longest);
            self.cx.telemetry.busy(begun.elapsed());
            let Some(file) = self.catalog.files.get_mut(&id) else { return Ok(Ok(false)) };
            match lines {
                Ok(Lines::Some(lines, end)) => {
                    let more = end.offset < file.size();
                    self.send(id, lines, end, sinks)?;
                    return Ok(Ok(more));
                }
                Ok(Lines::Longer) if want < bytes.min(longest + 1) => {
                    want = bytes.min(longest + 1);
                }
                Ok(Lines::Longer) => return Ok(Ok(false)),
                Ok(Lines::Skipped) => return Ok(Ok(true)),
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
        let (reserve, stop, abandoned) = (&self.reserve, &self.cx.stop, &mut self.abandoned);
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                chunk = reserve.chunk(bytes) => Ok(Some(chunk)),
                _ = abandoned.changed() => Err(End::Abandoned),
                () = stop.requested() => Ok(None),
            }
        })
    }

    fn send(
        &mut self,
        id: u64,
        lines: Bytes,
        end: Position,
        sinks: SinkSet,
    ) -> Result<(), End> {
        let Some(file) = self.catalog.files.get_mut(&id) else { return Ok(()) };
        let offset = end.offset - lines.len() as u64;
        let logs = LogBatch::from_lines(&lines, file.origin.clone(), offset, clock::now_ns());
        drop(lines);
        let mark = self.next_mark;
        self.next_mark += 1;
        if !sinks.is_empty() {
            file.marks.sent(mark, end, sinks);
            self.open.insert(mark, id);
        }
        let (Some(out), abandoned) = (&self.out, &mut self.abandoned) else { return Ok(()) };
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                sent = out.send_to(Batch::Logs(logs), mark, sinks) => sent.map_err(End::Fault),
                _ = abandoned.changed() => Err(End::Abandoned),
            }
        })
    }
}
