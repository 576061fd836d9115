//! Where in the journal the sinks are: a cursor in the data directory.

use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The checkpoint: `checkpoints/NAME` in the data directory, replaced as a whole.
#[derive(Clone, Debug)]
pub(super) struct Store {
    path: PathBuf,
}

#[derive(Deserialize, Serialize)]
struct Known {
    cursor: String,
}

impl Store {
    pub(super) fn new(data_dir: &Path, name: &str) -> Self {
        Self { path: data_dir.join("checkpoints").join(name.replace('/', "_")) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The cursor of the last entry that every sink has; `None` at the first start, and where the
    /// file is damaged.
    pub(super) fn load(&self) -> io::Result<Option<String>> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let cursor = read(&bytes);
        if cursor.is_none() {
            let path = self.path.display();
            tracing::error!(%path, "damaged checkpoint; the journal is read as at the first start");
        }
        Ok(cursor)
    }

    pub(super) fn save(&self, cursor: &str) -> io::Result<()> {
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(directory)?;
        let beside = self.path.with_added_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(&Known { cursor: cursor.to_owned() })?)?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        File::open(directory)?.sync_all()
    }
}

/// The cursor that the bytes of a checkpoint hold.
pub(super) fn read(bytes: &[u8]) -> Option<String> {
    let known = serde_json::from_slice::<Known>(bytes).ok()?;
    Some(known.cursor).filter(|cursor| is_cursor(cursor))
}

/// Whether journalctl would take it for one: `s=...;i=...`.
pub(super) fn is_cursor(text: &str) -> bool {
    let is_part = |part: &str| part.len() > 2 && part.as_bytes()[1] == b'=';
    text.is_ascii() && !text.contains(char::is_whitespace) && text.split(';').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_kept_and_a_damaged_one_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path(), "logs.journal");
        assert_eq!(store.load().unwrap(), None);
        let cursor = "s=0639c7;i=1f;b=8a;m=2c;t=5f;x=9";
        store.save(cursor).unwrap();
        assert_eq!(store.load().unwrap().as_deref(), Some(cursor));
        for damaged in ["", "{", "{\"cursor\":\"\"}", "{\"cursor\":\"--boot\"}"] {
            fs::write(store.path(), damaged).unwrap();
            assert_eq!(store.load().unwrap(), None, "{damaged}");
        }
    }
}
