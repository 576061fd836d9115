//! Checks that nobody has changed the chain.

use super::{CURRENT, Head, NOTHING_BEFORE, hash, set_aside};
use serde::Deserialize;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

/// A chain without a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The number of the first record that is there; more than 1 where older parts are gone.
    pub first: u64,
    /// How many there are.
    pub records: u64,
}

/// Where a chain is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The first record that is not as it was written.
    pub seq: u64,
    /// In which file.
    pub path: PathBuf,
    /// On which line, from 1.
    pub line: usize,
    /// What was found there.
    pub message: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, line, seq) = (self.path.display(), self.line, self.seq);
        write!(f, "{path}:{line}: record {seq} {}", self.message)
    }
}

#[derive(Deserialize)]
struct Link {
    seq: u64,
    prev: String,
}

/// The record before, as far as it was read.
struct Last {
    seq: u64,
    hash: String,
    path: PathBuf,
    line: usize,
}

/// Checks the chain in a directory, all its parts together, or the one file `path`.
///
/// # Errors
/// The first record that is not as it was written.
pub fn verify(path: &Path) -> Result<Verified, Broken> {
    let mut walk = Walk { first: None, records: 0, last: None, head: None };
    if !path.is_dir() {
        walk.file(path)?;
        return walk.end();
    }
    walk.head = Head::read(path);
    let unreadable = |error: io::Error| Broken {
        seq: 1,
        path: path.to_owned(),
        line: 0,
        message: format!("cannot be read: {error}"),
    };
    for (_, part) in set_aside(path).map_err(unreadable)? {
        walk.file(&part)?;
    }
    walk.file(&path.join(CURRENT))?;
    walk.end()
}

struct Walk {
    first: Option<u64>,
    records: u64,
    last: Option<Last>,
    head: Option<Head>,
}

impl Walk {
    fn file(&mut self, path: &Path) -> Result<(), Broken> {
        let expected = self.last.as_ref().map_or(1, |last| last.seq.saturating_add(1));
        let broken = |line: usize, message: String| Broken {
            seq: expected,
            path: path.to_owned(),
            line,
            message,
        };
        let file = File::open(path).map_err(|e| broken(0, format!("cannot be read: {e}")))?;
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        for at in 1.. {
            line.clear();
            let read = reader.read_until(b'\n', &mut line);
            if read.map_err(|e| broken(at, format!("cannot be read: {e}")))? == 0 {
                break;
            }
            let whole = line.strip_suffix(b"\n");
            self.record(path, at, whole)?;
        }
        Ok(())
    }

    /// Holds one line against the one before it; `None` where it has no end.
    fn record(&mut self, path: &Path, at: usize, line: Option<&[u8]>) -> Result<(), Broken> {
        let expected = self.last.as_ref().map_or(1, |last| last.seq.saturating_add(1));
        let broken = |message: &str| Broken {
            seq: expected,
            path: path.to_owned(),
            line: at,
            message: message.to_owned(),
        };
        let Some(line) = line else { return Err(broken("is cut off before its end")) };
        let link: Link =
            serde_json::from_slice(line).map_err(|_| broken("is no record of the audit trail"))?;
        match &self.last {
            Some(last) if last.seq.checked_add(1) != Some(link.seq) => {
                let message = format!("is missing: record {} stands in its place", link.seq);
                return Err(broken(&message));
            }
            Some(last) if link.prev != last.hash => {
                return Err(Broken {
                    seq: last.seq,
                    path: last.path.clone(),
                    line: last.line,
                    message: "is not as it was written: the next one holds another hash".into(),
                });
            }
            None if link.seq == 1 && link.prev != NOTHING_BEFORE => {
                return Err(broken("is not as it was written"));
            }
            _ => {}
        }
        let own_hash = hash(line);
        if let Some(head) = &self.head
            && head.seq == link.seq
            && head.hash != own_hash
        {
            return Err(Broken {
                seq: link.seq,
                ..broken("is not as it was written: `head.json` holds another hash")
            });
        }
        self.first.get_or_insert(link.seq);
        self.records += 1;
        self.last = Some(Last { seq: link.seq, hash: own_hash, path: path.to_owned(), line: at });
        Ok(())
    }

    fn end(self) -> Result<Verified, Broken> {
        let went_to = self.head.map_or(0, |head| head.seq);
        let (seq, path, line) = match self.last {
            Some(last) => (last.seq, last.path, last.line),
            None => (0, PathBuf::from(CURRENT), 0),
        };
        if seq < went_to {
            let message = format!("is missing, and all up to record {went_to}");
            return Err(Broken { seq: seq + 1, path, line: line + 1, message });
        }
        Ok(Verified { first: self.first.unwrap_or(1), records: self.records })
    }
}
