//! Places: where in which file a write goes, and how to tell afterwards what became of it.
//!
//! What the journal knows of the bytes are sums over samples: the last eight bytes of each sector.
//! Whoever wrote between them, or left a sector out, has moved or zeroed some of them; and a write
//! of a mebibyte costs no more than reading two thousand words that are in the cache.

use super::open::Opening;
use super::whole::length;
use crate::topology::once::{Extents, Journal, Left};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirEntryExt, FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A disk writes whole sectors.
const SECTOR: u64 = 512;

/// A kernel that is told to end a process takes whole pages of what it writes.
const PAGE: u64 = 4096;

/// What is written into the journal beside the records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    pub(super) path: String,
    pub(super) device: u64,
    pub(super) inode: u64,
    /// How long the file was.
    pub(super) before: u64,
    /// How long it is to be.
    pub(super) after: u64,
}

/// What there is of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Whole,
    /// Its beginning, and nothing else.
    Part,
    Nothing,
    /// Something else, or nobody can tell.
    Other,
}

/// A request's way into the journal.
#[derive(Clone, Copy, Default)]
pub(super) struct Told<'r> {
    pub(super) journal: Option<(&'r Journal, &'r Extents)>,
    pub(super) records: u64,
}

impl Told<'_> {
    /// Tells the journal that these bytes are about to be written. Gives the entry's number.
    pub(super) fn begin(&self, path: &str, file: (u64, u64), before: u64, parts: &[&[u8]]) -> u64 {
        let Some((journal, extents)) = self.journal.filter(|(_, extents)| !extents.is_empty())
        else {
            return 0;
        };
        let (device, inode) = file;
        let after = before + length(parts);
        let place = Place { path: path.to_owned(), device, inode, before, after };
        let Ok(mut note) = serde_json::to_vec(&place) else { return 0 };
        note.push(b'\n');
        sums(before, parts).iter().for_each(|sum| note.extend_from_slice(&sum.to_le_bytes()));
        journal.begin(&note, extents, self.records)
    }

    /// All of it is written.
    pub(super) fn done(&self, id: u64) {
        if let Some((journal, _)) = self.journal {
            journal.done(id);
        }
    }

    /// Nothing of it is left.
    pub(super) fn void(&self, id: u64) {
        if let Some((journal, _)) = self.journal {
            journal.void(id);
        }
    }
}

/// Finds out what became of the writes that an earlier process had begun. What it wrote only in
/// part is cut off, if that is all that has been written since.
pub(super) fn settle(journal: &Journal, opening: &Opening) {
    for left in journal.open() {
        let found = match parse(&left.note) {
            Some((place, sums)) => look(&place, &sums, opening),
            None => Ok(Found::Other),
        };
        match found {
            Ok(Found::Whole) => journal.done(left.id),
            Ok(Found::Nothing | Found::Part) => journal.void(left.id),
            Ok(Found::Other) => give_up(
                journal,
                &left,
                "it holds other bytes; if another program writes to it too, `lock: true` keeps \
                 the two apart",
            ),
            Err(error) => give_up(journal, &left, &error.to_string()),
        }
    }
}

fn give_up(journal: &Journal, left: &Left, why: &str) {
    let path = parse(&left.note).map(|(place, _)| place.path).unwrap_or_default();
    let records = left.records;
    tracing::warn!(
        path,
        records,
        "a crash has left it unclear what of these records the file has; they may stand there \
         twice: {why}"
    );
    journal.unsure(left.id);
}

fn parse(note: &[u8]) -> Option<(Place, Vec<u32>)> {
    let end = memchr::memchr(b'\n', note)?;
    let place = serde_json::from_slice(&note[..end]).ok()?;
    let sums = note[end + 1..].as_chunks::<4>().0;
    Some((place, sums.iter().map(|sum| u32::from_le_bytes(*sum)).collect()))
}

fn look(place: &Place, sums: &[u32], opening: &Opening) -> io::Result<Found> {
    let path = find(place)?;
    let file = File::open(&path)?;
    let length = file.metadata()?.len();
    let found = compare(place, sums, &file, length)?;
    if found != Found::Part {
        return Ok(found);
    }
    let (file, _) = opening.open(&path)?;
    let about = file.metadata()?;
    if (about.dev(), about.ino(), about.len()) != (place.device, place.inode, length) {
        return Ok(Found::Other);
    }
    file.set_len(place.before)?;
    let (path, bytes) = (path.display(), length - place.before);
    tracing::info!(%path, bytes, "cut off what a crash had left unfinished; it is written again");
    Ok(Found::Part)
}

/// The file, which may have been rotated since.
fn find(place: &Place) -> io::Result<PathBuf> {
    let own = PathBuf::from(&place.path);
    let is_it = |path: &Path| {
        let about = fs::symlink_metadata(path).and_then(|about| match about.is_symlink() {
            true => fs::metadata(path),
            false => Ok(about),
        });
        about.is_ok_and(|about| (about.dev(), about.ino()) == (place.device, place.inode))
    };
    if is_it(&own) {
        return Ok(own);
    }
    let dir = own.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = fs::read_dir(dir)?.flatten().filter(|entry| entry.ino() == place.inode);
    let found = entries.map(|entry| entry.path()).find(|path| is_it(path));
    found.ok_or_else(|| io::Error::other("the file is gone"))
}

fn compare(place: &Place, expected: &[u32], file: &File, length: u64) -> io::Result<Found> {
    if length <= place.before {
        return Ok(Found::Nothing);
    }
    let end = length.min(place.after);
    if end < place.after && !end.is_multiple_of(PAGE) {
        return Ok(Found::Other);
    }
    let mut bytes = vec![0; usize::try_from(end - place.before).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, place.before)?;
    let seen = sums(place.before, &[&bytes]);
    Ok(match end == place.after {
        true if seen == expected => Found::Whole,
        false if expected.starts_with(&seen) => Found::Part,
        _ => Found::Other,
    })
}

/// For bytes that stand at `before` in a file: the sum of their samples up to the end of each page,
/// and up to their own end.
fn sums(before: u64, parts: &[&[u8]]) -> Vec<u32> {
    let mut sums = Vec::with_capacity(length(parts) as usize / PAGE as usize + 2);
    let (mut at, mut sum, mut tail) = (before, 0u64, Tail::default());
    for part in parts {
        let mut part = *part;
        while !part.is_empty() {
            let sector = (at / SECTOR + 1) * SECTOR;
            let (now, rest) = part.split_at(part.len().min((sector - at) as usize));
            at += now.len() as u64;
            part = rest;
            tail.push(now);
            if at == sector {
                sum = mix(sum, tail.take());
            }
            if at.is_multiple_of(PAGE) {
                sums.push((sum >> 32) as u32);
            }
        }
    }
    if at > before && !at.is_multiple_of(PAGE) {
        if !at.is_multiple_of(SECTOR) {
            sum = mix(sum, tail.take());
        }
        sums.push((sum >> 32) as u32);
    }
    sums
}

fn mix(sum: u64, sample: u64) -> u64 {
    (sum.rotate_left(5) ^ sample).wrapping_mul(0x517c_c1b7_2722_0a95)
}

/// The last eight bytes of a sector, or as many as there are, however they came.
#[derive(Default)]
struct Tail {
    bytes: [u8; 8],
    count: usize,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last_chunk() {
            (self.bytes, self.count) = (*last, 8);
            return;
        }
        for byte in bytes {
            if self.count == 8 {
                self.bytes.rotate_left(1);
                self.count = 7;
            }
            self.bytes[self.count] = *byte;
            self.count += 1;
        }
    }

    fn take(&mut self) -> u64 {
        let Self { bytes, .. } = std::mem::take(self);
        u64::from_le_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    /// What is found where `there` stands from the place of `bytes` on.
    fn found(before: &[u8], bytes: &[u8], there: &[u8]) -> Found {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(before).unwrap();
        file.write_all(there).unwrap();
        let place = Place {
            path: String::new(),
            device: 0,
            inode: 0,
            before: before.len() as u64,
            after: (before.len() + bytes.len()) as u64,
        };
        let length = (before.len() + there.len()) as u64;
        compare(&place, &sums(place.before, &split(bytes)), &file, length).unwrap()
    }

    /// The same bytes in parts of many sizes.
    fn split(bytes: &[u8]) -> Vec<&[u8]> {
        let (mut parts, mut rest) = (Vec::new(), bytes);
        for size in [3, 0, 700, 5, 2000, 1].into_iter().cycle() {
            let (part, more) = rest.split_at(rest.len().min(size));
            parts.push(part);
            rest = more;
            if rest.is_empty() {
                return parts;
            }
        }
        parts
    }

    fn text(length: usize, seed: u32) -> Vec<u8> {
        let mut state = seed | 1;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            b'a' + (state >> 24) as u8 % 26
        };
        (0..length).map(next).collect()
    }

    proptest! {
        #[test]
        fn a_write_is_known_by_what_is_there_of_it(
            before in 0usize..5000,
            length in 1usize..20_000,
            cut in 0usize..20_000,
            seed: u32,
        ) {
            let (old, bytes) = (text(before, seed), text(length, !seed));
            prop_assert_eq!(found(&old, &bytes, &bytes), Found::Whole);
            prop_assert_eq!(found(&old, &bytes, &[&bytes[..], b"more\n"].concat()), Found::Whole);
            prop_assert_eq!(found(&old, &bytes, b""), Found::Nothing);
            let cut = cut % length;
            let expected = match before + cut {
                _ if cut == 0 => Found::Nothing,
                end if end % 4096 == 0 => Found::Part,
                _ => Found::Other,
            };
            prop_assert_eq!(found(&old, &bytes, &bytes[..cut]), expected);
            // Somebody else's line, with or without a part of ours before it.
            let foreign = [&bytes[..cut], b"somebody else's\n", &bytes[cut..]].concat();
            prop_assert_eq!(found(&old, &bytes, &foreign), Found::Other);
            let page = (before / 4096 + 1) * 4096 - before;
            if page < length {
                // A page that never reached the disk.
                let mut holed = bytes.clone();
                holed[..page].fill(0);
                prop_assert_eq!(found(&old, &bytes, &holed), Found::Other);
            }
        }
    }
}
