//! Where in the journal the sinks are: a cursor for each, in the data directory.

use crate::host::state_file;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The checkpoint: `checkpoints/NAME` in the data directory, replaced as a whole.
#[derive(Clone, Debug)]
pub(super) struct Store {
    path: PathBuf,
}

/// How far one sink is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Known {
    pub(super) sink: String,
    /// The last entry that it has, if it has any.
    pub(super) cursor: Option<String>,
}

impl Store {
    pub(super) fn new(data_dir: &Path, name: &str) -> Self {
        Self { path: data_dir.join("checkpoints").join(name.replace('/', "_")) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How far each sink is, the one that is furthest behind first; nothing at the first start,
    /// and where the file is damaged.
    pub(super) fn load(&self) -> io::Result<Vec<Known>> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let known = read(&bytes);
        if known.is_empty() {
            let path = self.path.display();
            tracing::error!(%path, "damaged checkpoint; the journal is read as at the first start");
            return Ok(Vec::new());
        }
        Ok(known)
    }

    /// Keeps how far each sink is, in the same order.
    pub(super) fn save(&self, known: &[Known]) -> io::Result<()> {
        state_file::replace(&self.path, &serde_json::to_vec(known)?).map(drop)
    }
}

/// How far each sink is, as the bytes of a checkpoint say; nothing where they make no sense.
pub(super) fn read(bytes: &[u8]) -> Vec<Known> {
    let known: Vec<Known> = serde_json::from_slice(bytes).unwrap_or_default();
    let is_sound = |known: &Known| known.cursor.iter().all(|cursor| is_cursor(cursor));
    if known.iter().all(is_sound) { known } else { Vec::new() }
}

/// Whether journalctl would take it for one: `s=...;i=...`.
pub(super) fn is_cursor(text: &str) -> bool {
    let is_part = |part: &str| part.len() > 2 && part.as_bytes()[1] == b'=';
    text.is_ascii() && !text.contains(char::is_whitespace) && text.split(';').all(is_part)
}

/// Whether an entry surely comes after another one that may be there no more. The journal counts
/// its entries; where two counts are not the same one, the times decide.
pub(super) fn is_past(entry: &str, mark: &str) -> bool {
    let part = |cursor: &str, name: &str| -> Option<String> {
        cursor.split(';').find_map(|part| part.strip_prefix(name)).map(str::to_owned)
    };
    let number = |cursor: &str, name: &str| {
        part(cursor, name).and_then(|text| u64::from_str_radix(&text, 16).ok())
    };
    let name = if part(entry, "s=") == part(mark, "s=") { "i=" } else { "t=" };
    match (number(entry, name), number(mark, name)) {
        (Some(entry), Some(mark)) => entry > mark,
        // Rather twice than not at all.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_kept_and_damaged_ones_are_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path(), "logs.journal");
        assert_eq!(store.load().unwrap(), []);
        let known = |sink: &str, cursor: Option<&str>| Known {
            sink: sink.into(),
            cursor: cursor.map(str::to_owned),
        };
        let all = [known("away", None), known("slow", Some("s=0639c7;i=1f;b=8a;m=2c;t=5f;x=9"))];
        store.save(&all).unwrap();
        assert_eq!(store.load().unwrap(), all);
        let bad = r#"[{"sink":"a","cursor":"--boot"}]"#;
        for damaged in ["", "{", "[]", r#"[{"sink":"a","cursor":""}]"#, bad] {
            fs::write(store.path(), damaged).unwrap();
            assert_eq!(store.load().unwrap(), [], "{damaged}");
        }
    }

    #[test]
    fn entries_are_ordered_by_their_count_else_by_their_time() {
        assert!(is_past("s=a;i=10;t=1", "s=a;i=f;t=9") && !is_past("s=a;i=f;t=9", "s=a;i=f;t=9"));
        assert!(is_past("s=a;i=1;t=10", "s=b;i=9;t=f") && !is_past("s=a;i=9;t=f", "s=b;i=1;t=f"));
        assert!(is_past("s=a", "s=a"), "what cannot be told is not skipped");
    }
}
