//! The writing end of the chain.

use super::{CURRENT, HEAD, Head, NOTHING_BEFORE, hash, number, set_aside};
use crate::host::state_file;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A file that has grown past this is set aside.
const LARGEST_BYTES: u64 = 64 << 20;
/// So many files that were set aside are kept.
const KEPT: usize = 7;

/// The chain, open for further records.
#[derive(Debug)]
pub struct Chain {
    directory: PathBuf,
    file: File,
    bytes: u64,
    largest_bytes: u64,
    seq: u64,
    last_hash: String,
}

impl Chain {
    /// Opens the chain in `directory`, made if need be, where it ended. A last line that a crash
    /// cut off is taken away; the first new record then says so.
    ///
    /// # Errors
    /// Those of the disk, and a last line that is no record: nothing can be chained to it.
    pub fn open(directory: &Path) -> io::Result<Self> {
        Self::open_with_limit(directory, LARGEST_BYTES)
    }

    fn open_with_limit(directory: &Path, largest_bytes: u64) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let path = directory.join(CURRENT);
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(&path)?;
        let end = End::of(&mut file)?;
        if end.torn_bytes > 0 {
            file.set_len(end.bytes)?;
        }
        file.seek(SeekFrom::End(0))?;
        let before = match end.line {
            Some(line) => Some((path, line)),
            // Set aside a moment ago, or a chain that begins.
            None => match set_aside(directory)?.pop() {
                Some((_, path)) => {
                    let end = End::of(&mut File::open(&path)?)?;
                    end.line.map(|line| (path, line))
                }
                None => None,
            },
        };
        let (seq, last_hash) = match before {
            Some((path, line)) => {
                let seq = number(&line).ok_or_else(|| {
                    let path = path.display();
                    io::Error::other(format!(
                        "the last line of {path} is no record of the audit trail, so that none \
                         can follow it; `driftless audit verify` says more"
                    ))
                })?;
                (seq, hash(&line))
            }
            None => (0, NOTHING_BEFORE.to_owned()),
        };
        let directory = directory.to_owned();
        let bytes = end.bytes;
        let mut chain = Self { directory, file, bytes, largest_bytes, seq, last_hash };
        if end.torn_bytes > 0 {
            tracing::warn!(
                bytes = end.torn_bytes,
                after = seq,
                "the audit trail ended in half a record; it was taken away"
            );
            let note = format!("half a record of {} bytes was taken away here", end.torn_bytes);
            chain.append(&BTreeMap::from([("repaired", note)]))?;
        }
        if let Some(head) = Head::read(&chain.directory).filter(|head| head.seq > chain.seq) {
            tracing::error!(
                ends_at = seq,
                went_to = head.seq,
                "records are missing from the end of the audit trail"
            );
        }
        Ok(chain)
    }

    /// Adds a record, a mapping; its number and the hash of the one before it
    /// are put in front.
    ///
    /// # Errors
    /// Those of the disk. What was written of the record is taken away again.
    pub fn append(&mut self, record: &impl Serialize) -> io::Result<()> {
        if self.bytes >= self.largest_bytes {
            self.set_aside()?;
        }
        let used_up = || io::Error::other("the record before has the last number that there is");
        let seq = self.seq.checked_add(1).ok_or_else(used_up)?;
        let mut line = format!("{{\"seq\":{seq},\"prev\":\"{}\"", self.last_hash).into_bytes();
        let front = line.len();
        serde_json::to_writer(&mut line, record)?;
        // The record's own brace becomes a comma, where something follows.
        match &mut line[front..] {
            [_, b'}'] => drop(line.remove(front)),
            [brace, ..] => *brace = b',',
            [] => {}
        }
        let own_hash = hash(&line);
        line.push(b'\n');
        if let Err(error) = self.file.write_all(&line) {
            // Where this fails too, the next opening mends it.
            self.file.set_len(self.bytes).ok();
            self.file.seek(SeekFrom::Start(self.bytes)).ok();
            return Err(error);
        }
        self.bytes += line.len() as u64;
        self.seq = seq;
        self.last_hash = own_hash;
        Ok(())
    }

    /// Returns when all records are safe on the disk.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// The same, and writes down how far the chain goes: a run is over.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn finish(self) -> io::Result<()> {
        self.sync()?;
        let head = Head { seq: self.seq, hash: self.last_hash };
        let place = self.directory.join(HEAD);
        state_file::replace(&place, &serde_json::to_vec(&head)?).map(drop)
    }

    fn set_aside(&mut self) -> io::Result<()> {
        self.sync()?;
        let current = self.directory.join(CURRENT);
        let aside = self.directory.join(format!("chain-{:012}.jsonl", self.seq));
        fs::rename(&current, aside)?;
        self.file = File::options().write(true).create_new(true).mode(0o600).open(&current)?;
        self.bytes = 0;
        File::open(&self.directory)?.sync_all()?;
        let mut old = set_aside(&self.directory)?;
        old.truncate(old.len().saturating_sub(KEPT));
        for (last, path) in old {
            tracing::warn!(path = %path.display(), last, "the oldest part of the audit trail goes");
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

/// How a file of the chain ends.
struct End {
    /// The last whole line, without its line end.
    line: Option<Vec<u8>>,
    /// The length of all whole lines.
    bytes: u64,
    /// What follows them: half a line.
    torn_bytes: u64,
}

impl End {
    /// Reads backwards, so that a long file costs no more than a short one.
    fn of(file: &mut File) -> io::Result<Self> {
        // A record is shorter than this, but for those with a long diff.
        let mut step_bytes: u64 = 4 << 10;
        let length = file.seek(SeekFrom::End(0))?;
        let mut begin = length;
        let mut tail = Vec::new();
        loop {
            let last = tail.iter().rposition(|byte| *byte == b'\n');
            let before = last.and_then(|last| tail[..last].iter().rposition(|byte| *byte == b'\n'));
            if before.is_some() || begin == 0 {
                let whole = last.map_or(0, |last| last + 1);
                let line = last.map(|last| tail[before.map_or(0, |at| at + 1)..last].to_vec());
                let torn_bytes = (tail.len() - whole) as u64;
                return Ok(Self { line, bytes: length - torn_bytes, torn_bytes });
            }
            let from = begin.saturating_sub(step_bytes);
            step_bytes *= 2;
            let mut more = vec![0; usize::try_from(begin - from).unwrap_or_default()];
            file.seek(SeekFrom::Start(from))?;
            file.read_exact(&mut more)?;
            more.append(&mut tail);
            (tail, begin) = (more, from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader::Reader;
    use super::super::verify::verify;
    use super::*;
    use serde_json::{Map, Value};

    fn record(n: u64) -> Map<String, Value> {
        Map::from_iter([("task".to_owned(), format!("task {n}").into())])
    }

    fn write(directory: &Path, numbers: std::ops::Range<u64>, limit: u64) {
        let mut chain = Chain::open_with_limit(directory, limit).unwrap();
        numbers.for_each(|n| chain.append(&record(n)).unwrap());
        chain.finish().unwrap();
    }

    #[test]
    fn a_chain_goes_on_after_a_restart_and_over_files_that_were_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        for run in 0..5 {
            write(dir.path(), run * 3..run * 3 + 3, 300);
        }
        let parts = set_aside(dir.path()).unwrap();
        assert!((2..=KEPT).contains(&parts.len()), "{parts:?}");
        let verified = verify(dir.path()).unwrap();
        assert_eq!((verified.first, verified.records), (1, 15));
        let mut reader = Reader::new(dir.path(), 7);
        let (mut records, mut last) = (0, 7);
        while let Some(lines) = reader.next(400, u64::MAX).unwrap() {
            records += lines.bytes.split_inclusive(|byte| *byte == b'\n').count();
            assert!(lines.last > last);
            last = lines.last;
        }
        assert_eq!((records, last), (8, 15));
    }

    #[test]
    fn only_the_newest_parts_are_kept_and_what_is_left_still_holds_together() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 0..40, 100);
        assert_eq!(set_aside(dir.path()).unwrap().len(), KEPT);
        let verified = verify(dir.path()).unwrap();
        assert!(verified.first > 1);
        assert_eq!(verified.first + verified.records - 1, 40);
    }

    #[test]
    fn a_torn_last_line_is_taken_away_and_the_chain_says_so() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 0..3, LARGEST_BYTES);
        let path = dir.path().join(CURRENT);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [&whole[..], b"{\"seq\":4,\"pr"].concat()).unwrap();
        write(dir.path(), 3..4, LARGEST_BYTES);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 5);
        assert!(text.lines().nth(3).unwrap().contains("half a record of 12 bytes"), "{text}");
        assert_eq!(verify(dir.path()).unwrap().records, 5);
    }

    #[test]
    fn whatever_is_done_to_a_record_is_found_at_its_number() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 0..6, LARGEST_BYTES);
        let path = dir.path().join(CURRENT);
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for at in 0..lines.len() {
            let mut changed: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            changed[at] = changed[at].replace("task ", "tusk ");
            fs::write(&path, changed.join("\n") + "\n").unwrap();
            assert_eq!(verify(dir.path()).unwrap_err().seq, at as u64 + 1);

            let mut removed = lines.clone();
            removed.remove(at);
            fs::write(&path, removed.join("\n") + "\n").unwrap();
            // A chain may begin anywhere, since old parts go.
            match verify(dir.path()) {
                Ok(verified) => assert_eq!((at, verified.first), (0, 2)),
                Err(broken) => assert_eq!(broken.seq, at as u64 + 1),
            }
        }
        let mut swapped = lines.clone();
        swapped.swap(2, 3);
        fs::write(&path, swapped.join("\n") + "\n").unwrap();
        assert_eq!(verify(dir.path()).unwrap_err().seq, 3);
    }
}
