//! What was told last, in the data directory: `inventory/NAME`, replaced as a whole.

use crate::host::state_file;
use serde_json::Value;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
pub(super) struct Store {
    path: PathBuf,
}

impl Store {
    pub(super) fn new(data_dir: &Path, name: &str) -> Self {
        Self { path: data_dir.join("inventory").join(name.replace('/', "_")) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What was told; nothing at the first start, and where the file is damaged.
    pub(super) fn load(&self) -> io::Result<Option<Value>> {
        match fs::read(&self.path) {
            Ok(bytes) => {
                let told = serde_json::from_slice(&bytes).ok();
                if told.is_none() {
                    let path = self.path.display();
                    tracing::error!(%path, "damaged; all facts are told as at the first start");
                }
                Ok(told)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn save(&self, told: &Value) -> io::Result<()> {
        state_file::replace(&self.path, &serde_json::to_vec(told)?).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_known_again_and_damage_is_as_good_as_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path(), "facts/inventory");
        assert_eq!(store.load().unwrap(), None);
        let told = serde_json::json!({"os": {"id": "debian"}});
        store.save(&told).unwrap();
        assert_eq!(store.load().unwrap(), Some(told));
        fs::write(store.path(), "{\"os").unwrap();
        assert_eq!(store.load().unwrap(), None);
    }
}
