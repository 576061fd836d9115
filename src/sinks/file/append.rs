//! Appending: all of it or nothing, and safe when it says so.

use super::member::{Packer, whole_bytes};
use super::place::Told;
use super::rotate::Rotate;
use super::whole::{Writing, length, write_all};
use super::{Sync, open::Opening};
use crate::event::encode::compress::Compression;
use crate::topology::component::Fault;
use indexmap::IndexMap;
use nix::errno::Errno;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// What is promised of all files.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) opening: Opening,
    pub(super) sync: Sync,
    pub(super) compression: Compression,
    pub(super) rotate: Option<Rotate>,
    /// Files that are kept open; the one that was used least recently is closed first.
    pub(super) most_open: usize,
    /// An open file that nothing is written to is closed after this long.
    pub(super) idle: Duration,
    /// What a file begins with.
    pub(super) header: Vec<u8>,
}

/// Appends to files by path.
#[derive(Debug)]
pub(super) struct Appender {
    policy: Policy,
    packer: Packer,
    /// The last used last.
    open: IndexMap<String, Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    identity: (u64, u64),
    /// When the file was made, since the epoch.
    made_at: Duration,
    used_at: Instant,
    /// Since when there is something that the disk may not have.
    unsynced_since: Option<Instant>,
    /// Whether a line of somebody else, or of a crash, stands there without its end.
    is_torn: bool,
}

impl Appender {
    pub(super) fn new(policy: Policy) -> Self {
        Self { packer: Packer::new(policy.compression), policy, open: IndexMap::new() }
    }

    /// Appends all the parts of `body` or nothing, and tells the journal before. A file is kept
    /// open only while nothing goes wrong. `now` is the time since the epoch.
    pub(super) fn append(
        &mut self,
        path: &str,
        body: &[&[u8]],
        now: Duration,
        told: Told<'_>,
    ) -> Result<(), Fault> {
        let open = self.open.shift_remove(path);
        let written = self.append_to(open, path, body, (now, told));
        let open = written
            .map_err(|error| Fault::passing(format!("append to {path}: {}", explained(&error))))?;
        while self.open.len() >= self.policy.most_open {
            self.close(0);
        }
        self.open.insert(path.to_owned(), open);
        Ok(())
    }

    fn append_to(
        &mut self,
        open: Option<Open>,
        path: &str,
        body: &[&[u8]],
        (now, told): (Duration, Told<'_>),
    ) -> io::Result<Open> {
        let mut open = match open.filter(|open| open.is_at(path, &self.policy.opening)) {
            Some(open) => open,
            None => self.policy.make(path, now)?,
        };
        match self.write(&mut open, path, body, (now, told)) {
            // A server that was set up anew has forgotten the handle, but not the file.
            Err(error) if error.raw_os_error() == Some(Errno::ESTALE as i32) => {
                open = self.policy.make(path, now)?;
                self.write(&mut open, path, body, (now, told))?;
            }
            written => written?,
        }
        Ok(open)
    }

    /// Writes to the file that is open, or where it is time for that to a new one in its place.
    fn write(
        &mut self,
        open: &mut Open,
        path: &str,
        body: &[&[u8]],
        (now, told): (Duration, Told<'_>),
    ) -> io::Result<()> {
        let Self { policy, packer, .. } = self;
        let mut before = open.file.metadata()?.len();
        let mut all = policy.with_beginning(before == 0, open.is_torn, body);
        let mut packed = packer.pack(&all)?;
        if let Some(rotate) = &policy.rotate {
            let bytes = packed.map_or_else(|| length(&all), |member| member.len() as u64);
            if rotate.is_due(before, now.saturating_sub(open.made_at), bytes) {
                if open.unsynced_since.is_some() {
                    open.file.sync_data()?;
                }
                rotate.put_aside(path)?;
                *open = policy.make(path, now)?;
                before = open.file.metadata()?.len();
                all = policy.with_beginning(before == 0, open.is_torn, body);
                packed = packer.pack(&all)?;
            }
        }
        let parts = packed.as_ref().map_or(&all[..], std::slice::from_ref);
        let entry = told.begin(path, open.identity, before, parts);
        let writing = Writing::begin(&open.file, before, parts, (told, entry));
        write_all(&open.file, parts)?;
        if policy.sync == Sync::Always {
            open.file.sync_data()?;
        }
        writing.keep();
        open.is_torn = false;
        open.used_at = Instant::now();
        if matches!(policy.sync, Sync::Interval(_)) {
            open.unsynced_since.get_or_insert(open.used_at);
        }
        Ok(())
    }

    /// Does what is due, and says when there is something to do again; `None` for never.
    pub(super) fn tend(&mut self, now: Instant) -> Option<Instant> {
        if let Sync::Interval(interval) = self.policy.sync {
            for (path, open) in &mut self.open {
                if open.unsynced_since.is_some_and(|since| now >= since + interval.0) {
                    open.sync(path);
                }
            }
        }
        while let Some((_, oldest)) = self.open.get_index(0)
            && now >= oldest.used_at + self.policy.idle
        {
            self.close(0);
        }
        let syncs = self.open.values().filter_map(|open| match self.policy.sync {
            Sync::Interval(interval) => Some(open.unsynced_since? + interval.0),
            Sync::Always | Sync::Never => None,
        });
        let idle = self.open.values().map(|open| open.used_at + self.policy.idle);
        syncs.chain(idle).min()
    }

    #[cfg(test)]
    pub(super) fn open_files(&self) -> usize {
        self.open.len()
    }

    fn close(&mut self, at: usize) {
        if let Some((path, mut open)) = self.open.shift_remove_index(at)
            && open.unsynced_since.is_some()
        {
            open.sync(&path);
        }
    }
}

impl Policy {
    /// What goes into the file for `body`, before anything is compressed.
    fn with_beginning<'a>(
        &'a self,
        is_new: bool,
        is_torn: bool,
        body: &[&'a [u8]],
    ) -> Vec<&'a [u8]> {
        let before: &[u8] = match (is_new, is_torn) {
            (true, _) => &self.header,
            (false, true) => b"\n",
            (false, false) => b"",
        };
        [&[before], body].concat()
    }

    fn make(&self, path: &str, now: Duration) -> io::Result<Open> {
        let (file, is_new) = self.opening.open(Path::new(path))?;
        let about = file.metadata()?;
        let mut is_torn = false;
        if is_new {
            if self.sync == Sync::Always {
                // The name must be as safe as what is written under it.
                let dir = Path::new(path).parent().filter(|dir| !dir.as_os_str().is_empty());
                File::open(dir.unwrap_or(Path::new(".")))?.sync_all()?;
            }
        } else if !self.compression.is_none() {
            cut_to_whole(&file, path, self.compression)?;
        } else if about.len() > 0 {
            let mut last = [b'\n'];
            file.read_exact_at(&mut last, about.len() - 1)?;
            is_torn = last != [b'\n'];
        }
        let age = about.created().or_else(|_| about.modified())?.elapsed().unwrap_or_default();
        let made_at = if is_new { now } else { now.saturating_sub(age) };
        let identity = (about.dev(), about.ino());
        let used_at = Instant::now();
        Ok(Open { file, identity, made_at, used_at, unsynced_since: None, is_torn })
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        while !self.open.is_empty() {
            self.close(0);
        }
    }
}

impl Open {
    /// Whether the path still leads to this file.
    fn is_at(&self, path: &str, opening: &Opening) -> bool {
        opening.look(path).is_ok_and(|about| (about.dev(), about.ino()) == self.identity)
    }

    fn sync(&mut self, path: &str) {
        self.unsynced_since = None;
        if let Err(error) = self.file.sync_data() {
            tracing::error!(path, %error, "the disk may not have the last lines of this file");
        }
    }
}

/// What a person should do about an error, where that is not plain.
fn explained(error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ELOOP) => {
            format!(
                "{error}: it is a symbolic link, which is followed with `follow_symlinks: true` only"
            )
        }
        _ => error.to_string(),
    }
}

/// Cuts off a member that a crash left unfinished, so that what is written next can be read.
fn cut_to_whole(file: &File, path: &str, compression: Compression) -> io::Result<()> {
    let (whole, all) = (whole_bytes(compression.algorithm, file)?, file.metadata()?.len());
    if whole < all {
        let bytes = all - whole;
        tracing::warn!(path, bytes, "cut off what a crash had left unfinished");
        file.set_len(whole)?;
    }
    Ok(())
}
