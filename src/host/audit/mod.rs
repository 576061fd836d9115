//! The record of what was done to this host: a file of JSON lines, each of which holds the hash
//! of the line before it, so that a record that is removed, changed or moved shows.
//!
//! `audit/chain.jsonl` in the data directory grows up to a limit and is then set aside as
//! `chain-LAST.jsonl`, named after its last record; the next file goes on from its hash.
//! `audit/head.json` says how far the chain went when a run ended, so that records missing from
//! its end show too. Whoever writes holds the lock of runs ([`super::run_lock`]).

pub mod chain;
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
pub mod reader;
pub mod verify;

use crate::event::hex::hex;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// What stands for the hash of the line before the first one.
const NOTHING_BEFORE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The name of the file that grows.
const CURRENT: &str = "chain.jsonl";
/// The name of the file that says how far the chain went.
const HEAD: &str = "head.json";

/// Where the chain is in this data directory.
pub fn directory(data_dir: &Path) -> PathBuf {
    data_dir.join("audit")
}

/// The hash of a line, without its line end, as the next one holds it.
fn hash(line: &[u8]) -> String {
    hex(&Sha256::digest(line))
}

/// The record's number, which stands first in its line.
fn number(line: &[u8]) -> Option<u64> {
    let digits = line.strip_prefix(b"{\"seq\":")?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

/// How far the chain went when a run ended.
#[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Head {
    seq: u64,
    hash: String,
}

impl Head {
    fn read(directory: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(directory.join(HEAD)).ok()?).ok()
    }
}

/// The files that were set aside, oldest first, each with the number of its last record.
fn set_aside(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let last = name.strip_prefix("chain-").and_then(|name| name.strip_suffix(".jsonl"));
        if let Some(last) = last.and_then(|digits| digits.parse().ok()) {
            found.push((last, path));
        }
    }
    found.sort();
    Ok(found)
}
