//! Chains that nobody has written so.

use super::chain::Chain;
use super::reader::Reader;
use super::verify::verify;
use super::{CURRENT, HEAD, NOTHING_BEFORE, hash};
use std::fs;
use std::path::Path;

/// Whatever lies there, it is judged, read to its end, and where it can be gone on with, the new
/// record is found behind all others.
///
/// What follows a NUL is the file that says how far the chain went.
pub(crate) fn chain(input: &[u8], dir: &Path) {
    let mut parts = input.splitn(2, |byte| *byte == 0);
    let written = fs::write(dir.join(CURRENT), parts.next().unwrap_or_default());
    if written.is_err() || parts.next().is_some_and(|head| fs::write(dir.join(HEAD), head).is_err())
    {
        return;
    }
    let told = verify(dir).map_err(|broken| broken.to_string());
    assert!(told.is_ok() || told.is_err_and(|why| why.contains("chain")), "it names the file");
    let before = last(dir);
    let Ok(mut chain) = Chain::open(dir) else { return };
    if chain.append(&serde_json::Map::new()).is_ok() {
        assert!(last(dir) >= before, "{before}");
    }
}

/// The number of the last record that is read.
fn last(dir: &Path) -> u64 {
    let mut reader = Reader::new(dir, 0);
    while let Ok(Some(lines)) = reader.next(64, u64::MAX) {
        assert!(!lines.bytes.is_empty() && lines.last == reader.given(), "{lines:?}");
    }
    reader.given()
}

/// Good input.
pub(crate) fn chains() -> Vec<Vec<u8>> {
    let mut chain = String::new();
    let mut before = NOTHING_BEFORE.to_owned();
    for seq in 1..4 {
        let line = format!("{{\"seq\":{seq},\"prev\":\"{before}\",\"task\":\"x\"}}");
        before = hash(line.as_bytes());
        chain = chain + &line + "\n";
    }
    let head = format!("{chain}\0{{\"seq\":3,\"hash\":\"{before}\"}}");
    vec![chain.into_bytes(), head.into_bytes()]
}
