//! What a transform has to know after a restart: files in the agent's directory.

use super::component::BuildContext;
use crate::host::state_file;
use std::io;
use std::path::{Path, PathBuf};
use tokio::task::spawn_blocking;

/// Far more than any transform keeps.
const LARGEST_BYTES: u64 = 64 << 20;

/// Below the agent's directory, one file a transform.
const STATES: &str = "transforms";

impl BuildContext {
    /// What the component of this name has kept, by this run or one before; `None` where that is
    /// nothing, or cannot be read.
    pub fn kept(&self) -> Option<Vec<u8>> {
        self.read_state(STATES)
    }

    /// Keeps it. That it cannot be kept is said, and no reason to stop.
    pub(super) async fn keep(&self, bytes: Vec<u8>) {
        self.keep_in(STATES, bytes).await;
    }

    /// What lies under this component's name in a folder of the agent's directory.
    pub(super) fn read_state(&self, folder: &str) -> Option<Vec<u8>> {
        let path = self.kept_in(folder)?;
        let about = path.metadata().ok()?;
        if !about.is_file() || about.len() > LARGEST_BYTES {
            return None;
        }
        std::fs::read(path).ok()
    }

    /// Puts it there; nothing to keep is no file.
    pub(super) async fn keep_in(&self, folder: &str, bytes: Vec<u8>) {
        let Some(path) = self.kept_in(folder) else { return };
        let done = spawn_blocking(move || put(&path, &bytes)).await;
        if let Err(error) = done.map_err(io::Error::other).flatten() {
            let component = &*self.name;
            tracing::warn!(component, %error, "its state cannot be kept for the next start");
        }
    }

    fn kept_in(&self, folder: &str) -> Option<PathBuf> {
        let directory = self.env.data_dir.join(folder);
        self.env.keeps_state.then(|| directory.join(self.name.replace('/', "_")))
    }
}

fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if !bytes.is_empty() {
        return state_file::replace(path, bytes).map(drop);
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
