//! How a journal is kept on the disk: appended to, and written anew without what nobody needs.

use super::{Content, Entry, Journal, Safe, State};
use crate::host::{clock, state_file};
use crate::topology::once::codec;
use std::collections::HashSet;
use std::fs;
use std::io::{self, Write};
use std::sync::Arc;

/// A journal that has grown by this and to twice its size is written anew.
const COMPACT_BYTES: u64 = 256 << 10;

/// More than this is not kept: the oldest entries go, and what they tell of may come twice.
const MOST_BYTES: u64 = 16 << 20;

impl Journal {
    /// Adds `bytes`, or writes all anew, what `bytes` say included. Says whether it is there.
    pub(super) fn write(&self, state: &mut State, bytes: &[u8]) -> bool {
        let (whole, now) = state.sizes;
        if state.file.is_none() || now > whole * 2 + COMPACT_BYTES {
            return self.rewrite(state);
        }
        let written = self.append(state, bytes);
        self.note_outcome(state, written)
    }

    pub(super) fn append(&self, state: &mut State, bytes: &[u8]) -> io::Result<()> {
        let Some(mut file) = state.file.as_ref() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        file.write_all(bytes)?;
        if self.safe == Safe::Disk {
            file.sync_data()?;
        }
        state.sizes.1 += bytes.len() as u64;
        Ok(())
    }

    /// Writes all anew that is still needed: beside it, then in its place.
    pub(super) fn rewrite(&self, state: &mut State) -> bool {
        self.forget(state);
        let written = self.write_anew(state);
        self.note_outcome(state, written)
    }

    fn write_anew(&self, state: &mut State) -> io::Result<()> {
        let mut bytes = codec::HEADER.to_vec();
        let mut since: Option<&str> = None;
        for entry in state.entries.values() {
            if since != Some(&entry.since) {
                codec::push_start(&entry.since, &mut bytes);
                since = Some(&entry.since);
            }
            bytes.extend_from_slice(&entry.frame);
            if entry.is_done {
                codec::push_done(entry.begin.id, &mut bytes);
            }
        }
        if since != Some(&state.since) {
            codec::push_start(&state.since, &mut bytes);
        }
        let file = match self.safe {
            Safe::Disk => state_file::replace(&self.path, &bytes)?,
            Safe::Kernel => state_file::replace_in_passing(&self.path, &bytes)?,
        };
        state.file = Some(file);
        state.sizes = (bytes.len() as u64, bytes.len() as u64);
        Ok(())
    }

    /// Drops the entries that all their sources' checkpoints are past.
    fn forget(&self, state: &mut State) {
        let mark = |content: &Content| self.deliveries().mark(&self.sink, content);
        self.tell_of_missing(state);
        state.entries.retain(|_, entry| self.may_come(entry));
        let size = |entry: &Entry| entry.frame.len() as u64;
        let mut bytes: u64 = state.entries.values().map(size).sum();
        let mut lost = 0;
        while bytes > MOST_BYTES
            && let Some((_, oldest)) = state.entries.pop_first()
        {
            bytes -= size(&oldest);
            lost += 1;
        }
        if lost > 0 {
            self.complain("is too large", &"its oldest entries are forgotten");
        }
        let State { entries, left, delivered, .. } = state;
        left.retain(|id| entries.contains_key(id));
        let mut needed = HashSet::new();
        needed.extend(entries.values().flat_map(|it| &it.begin.contents).map(|(it, _)| it));
        for (source, contents) in delivered.iter_mut() {
            contents.retain(|number, spans| {
                let content = (Arc::clone(source), *number);
                spans.forget_before(mark(&content));
                needed.contains(&content)
            });
        }
        delivered.retain(|_, contents| !contents.is_empty());
        self.deliveries().watch_only(&self.sink, |content| needed.contains(content));
    }

    /// Whether a source may still bring something of the entry.
    fn may_come(&self, entry: &Entry) -> bool {
        let mark = |content: &Content| self.deliveries().mark(&self.sink, content);
        entry.begin.contents.iter().any(|(content, spans)| mark(content) < spans.end())
    }

    /// Says, and counts, of which entries that an earlier process has left nothing will come again:
    /// nobody knows whether they are at their place. Gives them.
    pub(super) fn tell_of_missing(&self, state: &mut State) -> Vec<u64> {
        let gone = |id: &u64| state.entries.get(id).is_some_and(|entry| !self.may_come(entry));
        let (gone, left): (Vec<u64>, Vec<u64>) = state.left.iter().partition(|id| gone(id));
        state.left = left;
        for id in &gone {
            let Some(Entry { begin, .. }) = state.entries.remove(id) else { continue };
            codec::push_void(*id, &mut state.waiting);
            let (component, records) = (&*self.sink, begin.records);
            let note = String::from_utf8_lossy(&begin.note);
            tracing::error!(
                component, records, %note,
                "what was on its way when the last run ended does not come again, since its file \
                 is gone or its lines are left out now; it may be missing at its place"
            );
            self.count("missing", 1);
            self.env.telemetry.component(&self.sink).errors(1);
        }
        gone
    }

    /// Says once that the journal cannot be written, until it can.
    pub(super) fn note_outcome(&self, state: &mut State, written: io::Result<()>) -> bool {
        let Err(error) = written else {
            state.failed = false;
            return true;
        };
        // Whatever stands at its end now, nothing may be added to it.
        state.file = None;
        if !std::mem::replace(&mut state.failed, true) {
            self.complain("cannot be written", &error);
        }
        false
    }
}

/// The machine's start: another one each time. Where nobody knows it, each process has its own.
pub(super) fn boot() -> String {
    match fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        Ok(boot) if !boot.trim().is_empty() => boot.trim().to_owned(),
        _ => format!("process {} at {}", std::process::id(), clock::now_ns()),
    }
}
