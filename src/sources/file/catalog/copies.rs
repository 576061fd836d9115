//! Copies of files that are known: compressed after rotation, or by `copytruncate`.

use super::{Catalog, resume};
use crate::event::ack::SinkSet;
use crate::sources::file::checkpoint::Entry;
use crate::sources::file::content::Content;
use crate::sources::file::position::{FINGERPRINT_BYTES, Position};
use crate::sources::file::tracked::Tracked;
use crate::topology::context::SinkNames;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What a file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sources::file) enum Kinship {
    /// A file of its own.
    Own,
    /// A copy; what was read of the original is not read again.
    Copy,
    /// A copy of a file of which something is still on its way to the sinks.
    NotYet,
}

impl Catalog {
    /// Finds out whether a new file is a copy of one that is known.
    pub(in crate::sources::file) fn recognise(
        &mut self,
        id: u64,
        (names, sinks): (&SinkNames, SinkSet),
    ) -> Kinship {
        let Some(mut file) = self.files.remove(&id) else { return Kinship::Own };
        let kinship = self.kinship(&mut file, (names, sinks));
        file.unrecognised = kinship == Kinship::NotYet;
        self.tell_apart(&mut file);
        self.files.insert(id, file);
        kinship
    }

    fn kinship(&mut self, copy: &mut Tracked, (names, sinks): (&SinkNames, SinkSet)) -> Kinship {
        let (live, gone) = self.originals(copy);
        let packed = copy.is_packed();
        let size = copy.size();
        let Ok(content) = copy.content() else { return Kinship::Own };
        for original in live.iter().filter_map(|id| self.files.get(id)) {
            let (fingerprint, position) = (original.fingerprint(), original.position);
            let begins_alike = position.offset > 0
                && (packed || fingerprint.bytes == FINGERPRINT_BYTES)
                && fingerprint.holds(content);
            // The original may have been read beyond what was copied.
            let is_part = !packed && position.offset > size;
            if !begins_alike || !(is_part || position.holds(content)) {
                continue;
            }
            if !original.at_end || !original.marks.is_quiet() {
                return Kinship::NotYet;
            }
            // Both are there, and may go on in different ways.
            let mut entry = Entry { content: 0, ..self.entry(original, names, sinks, 0) };
            if is_part {
                let Ok(end) = Position::at(content, size) else { return Kinship::Own };
                entry.sinks.iter_mut().for_each(|(_, position)| *position = end);
            }
            return go_on(copy, entry, (names, sinks));
        }
        let is_original = |entry: &&Entry, content: &mut Content| {
            (packed || entry.fingerprint.bytes == FINGERPRINT_BYTES)
                && entry.sinks.iter().any(|(_, position)| position.offset > 0)
                && entry.fingerprint.holds(content)
                && entry.sinks.iter().all(|(_, position)| position.holds(content))
        };
        let mut candidates = gone.iter().filter_map(|key| self.remembered.get(*key));
        let found = candidates.find(|entry| is_original(entry, content)).map(|entry| entry.key);
        match found.and_then(|key| self.remembered.take(key)) {
            Some(entry) => {
                self.gone.push(entry.key);
                go_on(copy, entry, (names, sinks))
            }
            None => Kinship::Own,
        }
    }

    /// The files whose names say that `copy` may be one of them: those that are there, and those
    /// that are remembered.
    fn originals(&self, copy: &Tracked) -> (Vec<u64>, Vec<u64>) {
        let Some(name) = copy.path.file_name().map(OsStr::as_encoded_bytes) else {
            return (Vec::new(), Vec::new());
        };
        if !copy.is_packed() {
            let paths: Vec<PathBuf> =
                shorter(name).map(|name| copy.path.with_file_name(name)).collect();
            return (
                paths.iter().filter_map(|path| self.at(path)).collect(),
                paths.iter().flat_map(|path| self.remembered.at(path)).collect(),
            );
        }
        let own = stem(name);
        let is_kin =
            |path: &Path| path.file_name().is_some_and(|name| stem(name.as_encoded_bytes()) == own);
        let live = self.files.iter().filter(|(_, file)| is_kin(&file.path)).map(|(id, _)| *id);
        let gone = self.remembered.iter().filter(|entry| is_kin(&entry.path));
        (live.collect(), gone.map(|entry| entry.key).collect())
    }

    /// Whether some file waits to be known as a copy of this one.
    pub(in crate::sources::file) fn is_being_copied(&self, id: u64) -> bool {
        let Some(original) = self.files.get(&id) else { return false };
        self.files.values().any(|file| {
            file.unrecognised
                && file.identity() != original.identity()
                && file.path.file_name().is_some_and(|name| {
                    shorter(name.as_encoded_bytes())
                        .any(|name| file.path.with_file_name(name) == original.path)
                })
        })
    }

    /// Keeps what is known of a file's content, which is about to be forgotten.
    pub(in crate::sources::file) fn keep_ghost(
        &mut self,
        id: u64,
        (names, sinks): (&SinkNames, SinkSet),
    ) {
        let key = self.new_key();
        let Some(file) = self.files.get(&id) else { return };
        let entry = Entry { key, ..self.entry(file, names, sinks, super::now_seconds()) };
        self.remember_gone(entry);
    }
}

/// Reads a copy from where the original was read to.
fn go_on(copy: &mut Tracked, entry: Entry, sinks: (&SinkNames, SinkSet)) -> Kinship {
    let entry = Entry { key: copy.key, ..entry };
    if resume(copy, entry, sinks).is_err() {
        return Kinship::Own;
    }
    copy.moved = true;
    Kinship::Copy
}

/// The names that a copy of this name may have been made of: it is theirs and something more
/// with a number.
fn shorter(name: &[u8]) -> impl Iterator<Item = &OsStr> {
    let marks = memchr::memchr3_iter(b'.', b'-', b'_', name).filter(|at| *at > 0);
    marks
        .filter(|at| name[*at..].iter().any(u8::is_ascii_digit))
        .map(|at| OsStr::from_bytes(&name[..at]))
}

/// A name without the end that says how it is compressed, and without what rotation adds.
fn stem(name: &[u8]) -> Vec<u8> {
    let ends = [&b".gz"[..], b".zst", b".zstd"];
    let name = ends.iter().find_map(|end| name.strip_suffix(*end)).unwrap_or(name);
    let mut stem: Vec<u8> = Vec::with_capacity(name.len());
    for byte in name.iter().filter(|byte| !byte.is_ascii_digit()) {
        let is_mark = |byte: &u8| b"._-".contains(byte);
        match stem.last() {
            // Of several marks the last one stays: `app-20240501.log` is `app.log`.
            Some(last) if is_mark(last) && is_mark(byte) => {
                stem.pop();
                stem.push(*byte);
            }
            _ => stem.push(*byte),
        }
    }
    while stem.last().is_some_and(|byte| b"._-".contains(byte)) {
        stem.pop();
    }
    stem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_changes_numbers_and_adds_ends() {
        let own = stem(b"app.log");
        for copy in ["app.log.1.gz", "app.log.2.zst", "app.log-20240501.gz", "app-20240501.log.gz"]
        {
            assert_eq!(stem(copy.as_bytes()), own, "{copy}");
        }
        assert_eq!(stem(b"app.log.1"), own);
        assert_ne!(stem(b"apple.log.1.gz"), own);
        let shorter = |name: &'static str| -> Vec<_> { shorter(name.as_bytes()).collect() };
        assert_eq!(shorter("app.log.1"), ["app", "app.log"]);
        assert_eq!(shorter("app.log-20240501"), ["app", "app.log"]);
        assert_eq!(shorter("pod-2.log"), ["pod"]);
        assert!(shorter("app.log").is_empty());
    }
}
