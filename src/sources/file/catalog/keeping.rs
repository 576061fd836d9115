//! Keeping and letting go: pins, descriptors, files that are done.

use super::{Catalog, FORGET_AFTER_SECONDS, now_seconds};
use crate::event::ack::SinkSet;
use crate::sources::file::content::Content;
use crate::sources::file::metrics::Metrics;
use crate::sources::file::pins::{Pins, identity};
use crate::sources::file::tracked::{Leaving, Tracked};
use crate::topology::context::SinkNames;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a renamed file, which its writer may still have open, is read on after it last grew.
const RENAMED_QUIET: Duration = Duration::from_mins(5);

/// The same for a removed file, whose space is free only when it is closed.
const REMOVED_QUIET: Duration = Duration::from_secs(5);

/// How long a file that has lost its name may be quiet before an unfinished last line is taken
/// as it is.
const UNFINISHED_QUIET: Duration = Duration::from_millis(900);

/// At how many looks in a row, a second apart, a sink must be behind for a file that still has its
/// name to be pinned.
const BEHIND: u8 = 3;

/// What was let go of.
#[derive(Debug, Default)]
pub(in crate::sources::file) struct LetGo {
    /// Files with an unfinished last line that is to be taken now.
    pub(in crate::sources::file) unfinished: Vec<u64>,
    /// Whether any file was let go.
    pub(in crate::sources::file) some: bool,
    /// Files that were let go before all of them was read and delivered: why, and how many bytes
    /// that is.
    pub(in crate::sources::file) lost: Vec<(String, &'static str, u64)>,
}

impl Catalog {
    /// Closes files until there is room for one more. `but` stays open.
    pub(in crate::sources::file) fn make_room(&mut self, but: Option<u64>) {
        let mut looked_at = 0;
        while self.open.count() >= self.limits.max_open_files && looked_at < self.opened.len() {
            let Some(id) = self.opened.pop_front() else { break };
            let Some(file) = self.files.get_mut(&id).filter(|file| file.is_open()) else {
                continue;
            };
            if Some(id) == but || !file.can_close() {
                self.opened.push_back(id);
                looked_at += 1;
                continue;
            }
            file.close();
        }
    }

    /// A file is about to be read.
    pub(in crate::sources::file) fn opens(&mut self, id: u64) {
        if self.files.get(&id).is_some_and(|file| !file.is_open()) {
            self.make_room(Some(id));
            self.opened.push_back(id);
        }
        if let Some(file) = self.files.get_mut(&id) {
            file.used_at = Instant::now();
        }
    }

    /// How many files are open.
    pub(in crate::sources::file) fn open_files(&self) -> usize {
        self.open.count()
    }

    /// Closes files that were not written to for long.
    pub(in crate::sources::file) fn close_inactive(&mut self) {
        let limit = self.limits.close_inactive;
        let files = &mut self.files;
        self.opened.retain(|id| {
            let Some(file) = files.get_mut(id).filter(|file| file.is_open()) else { return false };
            if file.at_end && !file.queued && file.can_close() && file.used_at.elapsed() > limit {
                file.close();
            }
            file.is_open()
        });
    }

    /// Pins files that some sink does not have all of, and takes the pins of the others away.
    pub(in crate::sources::file) fn pin_and_unpin(&mut self, metrics: &Metrics) {
        let mut pinned_bytes = 0;
        for id in &self.busy {
            let Some(file) = self.files.get_mut(id) else { continue };
            let done = file.at_end && file.marks.is_quiet() && !file.held;
            file.behind = if done { 0 } else { file.behind.saturating_add(1) };
            if let Some(place) = file.pin.take_if(|_| done) {
                // What cannot be removed now is found, and found to be done, at the next start.
                fs::remove_file(place).ok();
            }
            if done {
                continue;
            }
            if file.leaving.is_some() || file.behind >= BEHIND {
                pin(&self.pins, file, &self.name);
            }
            if file.leaving.is_some() {
                pinned_bytes += file.about().map_or(0, |about| about.st_size.unsigned_abs());
            }
        }
        metrics.pinned.set(i64::try_from(pinned_bytes).unwrap_or(i64::MAX));
    }

    /// Goes on with files that are there only by their pins.
    pub(super) fn find_pinned(&mut self, sinks: (&SinkNames, SinkSet)) -> Vec<u64> {
        let mut fresh = Vec::new();
        for key in self.pins.all() {
            let Some(place) = self.pins.place(key) else { continue };
            let Some(id) = identity(&place) else { continue };
            match self.by_identity.get(&id).and_then(|id| self.files.get(id)) {
                Some(file) if file.key == key => {}
                // It is followed under another number, and pinned under that one if need be.
                Some(_) => {
                    fs::remove_file(&place).ok();
                }
                None => {
                    let taken_up = self.take_up(key, &place, sinks);
                    fresh.extend(taken_up.or_else(|| self.take_in(&place)));
                }
            }
        }
        fresh
    }

    /// Reads a pinned file of which nothing is known: the checkpoint was lost, or tells of other
    /// content. It may be all that is left of it.
    fn take_in(&mut self, place: &Path) -> Option<u64> {
        let key = self.new_key();
        let own = self.pins.place(key)?;
        fs::rename(place, &own).ok()?;
        self.make_room(None);
        let (content, id) = Content::open(&own, &self.open).ok()?;
        tracing::warn!(
            source = %self.name,
            path = %own.display(),
            "nothing is known of this file, which was kept for a sink; reading all of it"
        );
        let opened = (content, self.open.clone());
        let mut tracked = Tracked::new(key, own.clone(), id, opened, self.origin(&own));
        tracked.leaving = Some(Leaving::now());
        tracked.pin = Some(own);
        Some(self.insert(tracked))
    }

    /// Whether some file is to be pinned that is not yet. The checkpoint must tell of it first.
    pub(in crate::sources::file) fn wants_pins(&self) -> bool {
        self.busy.iter().filter_map(|id| self.files.get(id)).any(|file| {
            let done = file.at_end && file.marks.is_quiet() && !file.held;
            // One more look and it counts as behind.
            let due = file.leaving.is_some() || file.behind.saturating_add(1) >= BEHIND;
            !done && due && file.pin.is_none() && !file.unpinnable
        })
    }

    /// Lets go of files that are gone and quiet, and of the oldest where too much is kept.
    pub(in crate::sources::file) fn let_go(
        &mut self,
        (names, sinks): (&SinkNames, SinkSet),
    ) -> LetGo {
        let mut result = LetGo::default();
        let mut gone = Vec::new();
        let mut kept = Vec::new();
        let mut kept_bytes = 0;
        for id in &self.busy {
            let Some(file) = self.files.get_mut(id) else { continue };
            let Some(leaving) = file.leaving else { continue };
            if file.unreachable {
                gone.push(*id);
                result.lost.push(lost(file, "removed_before_read"));
                continue;
            }
            let done = file.at_end && file.marks.is_quiet();
            if !done {
                let bytes = file.about().map_or(0, |about| about.st_size.unsigned_abs());
                kept_bytes += bytes;
                kept.push((leaving.since, *id, bytes));
            }
            if !file.at_end || file.queued {
                continue;
            }
            let quiet = leaving.quiet_since.elapsed();
            if quiet > UNFINISHED_QUIET && !file.flush {
                file.flush = true;
                result.unfinished.push(*id);
                continue;
            }
            let enough = if file.is_removed() { REMOVED_QUIET } else { RENAMED_QUIET };
            if quiet > enough && done {
                gone.push(*id);
            }
        }
        kept.sort_unstable();
        for (_, id, bytes) in kept {
            if kept_bytes <= self.limits.pin_bytes {
                break;
            }
            if let Some(file) = self.files.get_mut(&id) {
                file.look_at_size();
                result.lost.push(lost(file, "pin_limit"));
                gone.push(id);
                kept_bytes -= bytes;
            }
        }
        result.some = !gone.is_empty();
        let now = now_seconds();
        for id in gone {
            let Some(file) = self.files.remove(&id) else { continue };
            self.by_identity.remove(&file.identity());
            self.busy.remove(&id);
            if let Some(place) = &file.pin {
                fs::remove_file(place).ok();
            }
            let entry = self.entry(&file, names, sinks, now);
            self.remember_gone(entry);
        }
        result
    }

    /// Forgets files that have been away for too long.
    pub(in crate::sources::file) fn forget(&mut self) {
        let now = now_seconds();
        let old: Vec<u64> = self
            .remembered
            .iter()
            .filter(|entry| entry.seen.saturating_add(FORGET_AFTER_SECONDS) <= now)
            .map(|entry| entry.key)
            .collect();
        for key in old {
            self.remembered.take(key);
            self.gone.push(key);
        }
    }

    /// Files that need no look before there is news of them.
    pub(in crate::sources::file) fn let_rest(&mut self) {
        let files = &self.files;
        self.busy.retain(|id| files.get(id).is_some_and(|file| !file.is_idle()));
    }

    /// Deletes files that all sinks have all of, once they were quiet for long enough.
    pub(in crate::sources::file) fn delete_done(&mut self) {
        let Some(grace) = self.limits.delete_when_done else { return };
        let mut refused = Vec::new();
        for file in self.files.values_mut() {
            let done = file.at_end
                && file.leaving.is_none()
                && !file.queued
                && !file.held
                && file.others.is_empty()
                && file.marks.is_quiet();
            if !done || !is_done(file, grace) {
                continue;
            }
            match fs::remove_file(&file.path) {
                Ok(()) => {
                    tracing::info!(
                        source = %self.name,
                        path = %file.path.display(),
                        "deleted: all sinks have all of it"
                    );
                }
                Err(error) => refused.push((file.path.clone(), error)),
            }
        }
        for (path, error) in refused {
            self.complain(&path, &format!("it is done and cannot be deleted: {error}"));
        }
    }
}

fn pin(pins: &Pins, file: &mut Tracked, source: &str) {
    if file.pin.is_some() || file.unpinnable {
        return;
    }
    let key = file.key;
    let pinned = match file.content() {
        Ok(content) => pins.pin(content.file(), key),
        Err(error) => Err(error.into()),
    };
    match pinned {
        Ok(place) => file.pin = Some(place),
        Err(error) => {
            let path = file.path.display();
            tracing::debug!(source, %path, "no hard link in the data directory: {error}");
            file.unpinnable = true;
        }
    }
}

/// Whether a file was read to its end, is the one of its name, and was quiet for so long.
fn is_done(file: &Tracked, grace: Duration) -> bool {
    let (Ok(about), Ok(named)) = (file.about(), rustix::fs::stat(&file.path)) else { return false };
    let whole = file.is_packed() || about.st_size.unsigned_abs() == file.position.offset;
    let age = now_seconds().saturating_sub(about.st_mtime.unsigned_abs());
    whole
        && file.position.offset == file.size()
        && (named.st_dev, named.st_ino) == file.identity()
        && age >= grace.as_secs()
}

fn lost(file: &Tracked, why: &'static str) -> (String, &'static str, u64) {
    (file.path.display().to_string(), why, file.unread())
}
