//! The checkpoint: which part of which file each sink has safe, kept across restarts.
//!
//! One file per source, `checkpoints/NAME` in the data directory. It is a journal: each line
//! stands for one file and carries its own checksum; a later line of the same number replaces an
//! earlier one. So what is written is what has changed, however many files there are, and damage
//! costs the lines it hit and no others. When much of it is out of date it is written anew as a
//! whole: beside it, fsynced, renamed.

use super::position::{Fingerprint, Position, checksum};
use crate::host::state_file;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The first line; another version would have another number.
const HEADER: &str = "driftless checkpoint 2";

/// The first line of what was written as a whole each time. Its lines have no numbers.
const OLD_HEADER: &str = "driftless checkpoint 1";

/// A journal that has grown by this and to four times its size is written anew.
const COMPACT_BYTES: u64 = 256 << 10;

/// No source ever comes to this number.
const HIGHEST_KEY: u64 = u64::MAX >> 1;

/// What is known of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// Its number, which no other file of the source gets. Numbers begin at 1.
    #[serde(default)]
    pub(super) key: u64,
    /// What tells its content from all other; 0 where older versions have saved none.
    #[serde(default)]
    pub(super) content: u64,
    /// Where it was last seen.
    #[serde(with = "raw_path")]
    pub(super) path: PathBuf,
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) fingerprint: Fingerprint,
    /// Whether the file was renamed away from what the patterns match, and is read to its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) rotated: bool,
    /// Seconds since the epoch when it was last seen.
    pub(super) seen: u64,
    /// By sink name: how much of the file the sink has safe.
    pub(super) sinks: Vec<(String, Position)>,
}

impl Entry {
    /// How far sinks are: content, name of the sink, offset.
    pub(super) fn marks(&self) -> impl Iterator<Item = (u64, &str, u64)> {
        self.sinks.iter().map(|(sink, position)| (self.content, &**sink, position.offset))
    }
}

/// What a checkpoint file said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Loaded {
    pub(super) entries: Vec<Entry>,
    /// Whether there was a checkpoint at all.
    pub(super) existed: bool,
    /// Lines that could not be read.
    pub(super) damaged: usize,
}

/// A line that is no entry.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Gone {
    /// The number of a file of which nothing is known any more.
    gone: u64,
}

enum Line {
    Entry(Entry),
    Gone(u64),
}

/// Where the checkpoint of a source is kept.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    keeps_state: bool,
    /// Open to be appended to, once it has been written as a whole.
    journal: Option<File>,
    /// Its size then, and now.
    sizes: (u64, u64),
}

impl Store {
    /// For the source with this name. One that keeps no state reads and writes nothing.
    pub(super) fn new(data_dir: &Path, name: &str, keeps_state: bool) -> Self {
        let path = data_dir.join("checkpoints").join(name.replace('/', "_"));
        Self { path, keeps_state, journal: None, sizes: (0, 0) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads what can be read of it. An error is one of the disk, not of the content.
    pub(super) fn load(&self) -> io::Result<Loaded> {
        if !self.keeps_state {
            return Ok(Loaded::default());
        }
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Loaded::default()),
            Err(error) => return Err(error),
        };
        Ok(read(&bytes))
    }

    /// Writes down what has changed. Returns `false` where all of it has to be written instead,
    /// by [`Self::replace`].
    pub(super) fn append<'e>(
        &mut self,
        changed: impl Iterator<Item = &'e Entry>,
        gone: &[u64],
    ) -> io::Result<bool> {
        if !self.keeps_state {
            return Ok(true);
        }
        let (whole, now) = self.sizes;
        let Some(journal) = self.journal.as_mut().filter(|_| now < whole * 4 + COMPACT_BYTES)
        else {
            return Ok(false);
        };
        let mut text = String::new();
        for entry in changed {
            push(&mut text, entry)?;
        }
        for key in gone {
            push(&mut text, &Gone { gone: *key })?;
        }
        if text.is_empty() {
            return Ok(true);
        }
        let done = journal.write_all(text.as_bytes()).and_then(|()| journal.sync_data());
        if done.is_err() {
            // Whatever stands at its end now, nothing may be added to it.
            self.journal = None;
        }
        self.sizes.1 += text.len() as u64;
        done.map(|()| true)
    }

    /// Replaces it. After a crash there is the old or the new one.
    pub(super) fn replace<'e>(
        &mut self,
        entries: impl Iterator<Item = &'e Entry>,
    ) -> io::Result<()> {
        if !self.keeps_state {
            return Ok(());
        }
        let text = written(entries)?;
        self.journal = Some(state_file::replace(&self.path, text.as_bytes())?);
        self.sizes = (text.len() as u64, text.len() as u64);
        Ok(())
    }
}

/// What the bytes of a checkpoint say, as far as they can be read.
pub(super) fn read(bytes: &[u8]) -> Loaded {
    let mut loaded = Loaded { existed: true, ..Loaded::default() };
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let header = lines.next();
    if header != Some(HEADER.as_bytes()) && header != Some(OLD_HEADER.as_bytes()) {
        loaded.damaged += 1;
    }
    let mut entries = BTreeMap::new();
    // Entries of the old form, which get their numbers when the others are known.
    let mut unnumbered = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        match parse(line) {
            Some(Line::Entry(entry)) if entry.key == 0 => unnumbered.push(entry),
            // There would be no numbers left behind it.
            Some(Line::Entry(entry)) if entry.key > HIGHEST_KEY => loaded.damaged += 1,
            Some(Line::Entry(entry)) => {
                entries.insert(entry.key, entry);
            }
            Some(Line::Gone(key)) => {
                entries.remove(&key);
            }
            None => loaded.damaged += 1,
        }
    }
    let next = entries.keys().next_back().map_or(1, |last| last + 1);
    loaded.entries = entries.into_values().collect();
    let unnumbered_entries = unnumbered.len();
    let numbered = unnumbered.into_iter().zip(next..=HIGHEST_KEY);
    let before = loaded.entries.len();
    loaded.entries.extend(numbered.map(|(entry, key)| Entry { key, ..entry }));
    // Those for which there are no numbers left.
    loaded.damaged += before + unnumbered_entries - loaded.entries.len();
    loaded
}

/// A whole checkpoint.
pub(super) fn written<'e>(entries: impl Iterator<Item = &'e Entry>) -> io::Result<String> {
    let mut text = format!("{HEADER}\n");
    for entry in entries {
        push(&mut text, entry)?;
    }
    Ok(text)
}

/// The first line as it is, all others with their checksums.
#[cfg(any(test, fuzzing))]
pub(super) fn sealed(text: &[u8]) -> Vec<u8> {
    let mut lines = text.split(|byte| *byte == b'\n');
    let mut sealed = lines.next().unwrap_or_default().to_vec();
    for line in lines.filter(|line| !line.is_empty()) {
        sealed.extend_from_slice(format!("\n{:08x} ", checksum(line)).as_bytes());
        sealed.extend_from_slice(line);
    }
    sealed
}

fn push(text: &mut String, line: &impl Serialize) -> io::Result<()> {
    let json = serde_json::to_string(line)?;
    // Writing to a string cannot go wrong.
    writeln!(text, "{:08x} {json}", checksum(json.as_bytes())).ok();
    Ok(())
}

fn parse(line: &[u8]) -> Option<Line> {
    let (sum, json) = line.split_at_checked(8)?;
    let json = json.strip_prefix(b" ")?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    if checksum(json) != sum {
        return None;
    }
    let gone = || serde_json::from_slice::<Gone>(json).ok().map(|gone| Line::Gone(gone.gone));
    serde_json::from_slice(json).ok().map(Line::Entry).or_else(gone)
}

/// Paths are bytes: text where they are UTF-8, else a list of numbers.
mod raw_path {
    use super::{OsStrExt, OsStringExt, Path, PathBuf};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::ffi::OsString;

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Raw {
        Text(String),
        Bytes(Vec<u8>),
    }

    pub(super) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        match path.to_str() {
            Some(text) => text.serialize(to),
            None => path.as_os_str().as_bytes().serialize(to),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        Ok(match Raw::deserialize(from)? {
            Raw::Text(text) => PathBuf::from(text),
            Raw::Bytes(bytes) => PathBuf::from(OsString::from_vec(bytes)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example(key: u64, name: &[u8], offset: u64) -> Entry {
        Entry {
            key,
            content: 9,
            path: PathBuf::from(std::ffi::OsString::from_vec(name.to_vec())),
            device: 1,
            inode: 2,
            fingerprint: Fingerprint { bytes: 3, sum: 4 },
            rotated: false,
            seen: 5,
            sinks: vec![("out".to_owned(), Position { offset, anchor: 7 })],
        }
    }

    #[test]
    fn what_was_saved_is_loaded_whatever_the_path_is_made_of() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::new(dir.path(), "logs.app", true);
        assert_eq!(store.load().unwrap(), Loaded::default());
        let entries = [example(1, b"/var/log/a", 1), example(2, b"/var/log/\xff\n", 2)];
        assert!(!store.append(entries.iter(), &[]).unwrap());
        store.replace(entries.iter()).unwrap();
        let loaded = store.load().unwrap();
        assert_eq!(loaded, Loaded { entries: entries.into(), existed: true, damaged: 0 });
    }

    #[test]
    fn a_later_line_replaces_an_earlier_one_until_all_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::new(dir.path(), "app", true);
        store.replace([example(1, b"/a", 0), example(2, b"/b", 0)].iter()).unwrap();
        let mut offset = 0;
        while store.append([example(2, b"/b", offset + 1)].iter(), &[1]).unwrap() {
            offset += 1;
        }
        assert_eq!(store.load().unwrap().entries, [example(2, b"/b", offset)]);
        assert!(offset > 1000);
        store.replace([example(2, b"/b", offset)].iter()).unwrap();
        assert!(fs::metadata(store.path()).unwrap().len() < 1000);
        assert_eq!(store.load().unwrap().entries, [example(2, b"/b", offset)]);
    }

    #[test]
    fn the_old_form_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path(), "app", true);
        let mut text = format!("{OLD_HEADER}\n");
        let mut line = serde_json::to_value(example(0, b"/a", 9)).unwrap();
        line.as_object_mut().unwrap().remove("key");
        push(&mut text, &line).unwrap();
        fs::create_dir_all(store.path().parent().unwrap()).unwrap();
        fs::write(store.path(), text).unwrap();
        let loaded = store.load().unwrap();
        assert_eq!((loaded.entries, loaded.damaged), (vec![example(1, b"/a", 9)], 0));
    }

    #[test]
    fn damage_costs_the_lines_it_hit_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::new(dir.path(), "app", true);
        let entries = [example(1, b"/a", 1), example(2, b"/b", 2), example(3, b"/c", 3)];
        store.replace(entries[..2].iter()).unwrap();
        assert!(store.append(entries[2..].iter(), &[]).unwrap());
        let whole = fs::read(store.path()).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(store.path(), &bytes).unwrap();
            let loaded = store.load().unwrap();
            assert!(loaded.damaged >= 1, "byte {at}");
            assert!(!loaded.entries.is_empty(), "byte {at}");
            assert!(loaded.entries.iter().all(|entry| entries.contains(entry)), "byte {at}");
            fs::write(store.path(), &whole[..at]).unwrap();
            let loaded = store.load().unwrap();
            assert!(entries.starts_with(&loaded.entries), "cut at {at}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::new(dir.path(), "app", true);
            fs::create_dir_all(store.path().parent().unwrap()).unwrap();
            fs::write(store.path(), bytes).unwrap();
            let loaded = store.load().unwrap();
            prop_assert!(loaded.existed && loaded.entries.is_empty());
        }
    }
}
