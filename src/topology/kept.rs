//! What a transform has to know after a restart: a file in the agent's directory.

use super::component::BuildContext;
use crate::host::state_file;
use std::io;
use std::path::PathBuf;
use tokio::task::spawn_blocking;

/// Far more than any transform keeps.
const LARGEST_BYTES: u64 = 64 << 20;

impl BuildContext {
    /// What the component of this name has kept, by this run or one before; `None` where that is
    /// nothing, or cannot be read.
    pub fn kept(&self) -> Option<Vec<u8>> {
        let path = self.kept_in()?;
        let about = path.metadata().ok()?;
        if !about.is_file() || about.len() > LARGEST_BYTES {
            return None;
        }
        std::fs::read(path).ok()
    }

    /// Keeps it. That it cannot be kept is said, and no reason to stop.
    pub(super) async fn keep(&self, bytes: Vec<u8>) {
        let Some(path) = self.kept_in() else { return };
        let done = spawn_blocking(move || state_file::replace(&path, &bytes).map(drop)).await;
        if let Err(error) = done.map_err(io::Error::other).flatten() {
            let component = &*self.name;
            tracing::warn!(component, %error, "its state cannot be kept for the next start");
        }
    }

    fn kept_in(&self) -> Option<PathBuf> {
        let directory = self.env.data_dir.join("transforms");
        self.env.keeps_state.then(|| directory.join(self.name.replace('/', "_")))
    }
}
