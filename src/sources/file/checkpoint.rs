//! The checkpoint: which part of which file each sink has safe, kept across restarts.
//!
//! One file per source, `checkpoints/NAME` in the data directory, replaced as a whole: written
//! beside it, fsynced, renamed. Each line stands for one file and carries its own checksum, so
//! that damage costs the files whose lines it hit and no others.

use super::position::{Fingerprint, Position, checksum};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The first line; another version would have another number.
const HEADER: &str = "driftless checkpoint 1";

/// What is known of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
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

/// What a checkpoint file said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Loaded {
    pub(super) entries: Vec<Entry>,
    /// Whether there was a checkpoint at all.
    pub(super) existed: bool,
    /// Lines that could not be read.
    pub(super) damaged: usize,
}

/// Where the checkpoint of a source is kept.
#[derive(Clone, Debug)]
pub(super) struct Store {
    path: PathBuf,
    keeps_state: bool,
}

impl Store {
    /// For the source with this name. One that keeps no state reads and writes nothing.
    pub(super) fn new(data_dir: &Path, name: &str, keeps_state: bool) -> Self {
        Self { path: data_dir.join("checkpoints").join(name.replace('/', "_")), keeps_state }
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
        let mut loaded = Loaded { existed: true, ..Loaded::default() };
        let mut lines = bytes.split(|byte| *byte == b'\n');
        if lines.next() != Some(HEADER.as_bytes()) {
            loaded.damaged += 1;
        }
        for line in lines.filter(|line| !line.is_empty()) {
            match entry(line) {
                Some(entry) => loaded.entries.push(entry),
                None => loaded.damaged += 1,
            }
        }
        Ok(loaded)
    }

    /// Replaces it. After a crash there is the old or the new one.
    pub(super) fn save<'e>(&self, entries: impl Iterator<Item = &'e Entry>) -> io::Result<()> {
        if !self.keeps_state {
            return Ok(());
        }
        let mut text = format!("{HEADER}\n");
        for entry in entries {
            let json = serde_json::to_string(entry)?;
            // Writing to a string cannot go wrong.
            writeln!(text, "{:08x} {json}", checksum(json.as_bytes())).ok();
        }
        let dir = self.path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(dir)?;
        let beside = self.path.with_added_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        File::open(dir)?.sync_all()
    }
}

fn entry(line: &[u8]) -> Option<Entry> {
    let (sum, json) = line.split_at_checked(8)?;
    let json = json.strip_prefix(b" ")?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    if checksum(json) != sum {
        return None;
    }
    serde_json::from_slice(json).ok()
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

    fn example(name: &[u8], offset: u64) -> Entry {
        Entry {
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
        let store = Store::new(dir.path(), "logs.app", true);
        assert_eq!(store.load().unwrap(), Loaded::default());
        let entries = [example(b"/var/log/a", 1), example(b"/var/log/\xff\n", 2)];
        store.save(entries.iter()).unwrap();
        store.save(entries.iter()).unwrap();
        let loaded = store.load().unwrap();
        assert_eq!(loaded, Loaded { entries: entries.into(), existed: true, damaged: 0 });
    }

    #[test]
    fn damage_costs_the_lines_it_hit_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path(), "app", true);
        let entries = [example(b"/a", 1), example(b"/b", 2), example(b"/c", 3)];
        store.save(entries.iter()).unwrap();
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
}
