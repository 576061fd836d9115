//! How full a file system is.

use super::Machine;
use super::fault::Fault;
use nix::sys::statvfs::statvfs;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// How full a file system is, as statvfs(3) tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// All of it, in bytes.
    pub size_bytes: u64,
    /// What users other than root may still use, in bytes.
    pub available_bytes: u64,
    /// What it is best read by, in bytes.
    pub block_bytes: u64,
    /// All of it, in fragments.
    pub blocks: u64,
    /// What users other than root may still use, in fragments.
    pub blocks_available: u64,
    /// How many files it has room for.
    pub inodes: u64,
    /// How many more users other than root may make.
    pub inodes_available: u64,
}

impl Machine {
    /// How full the file system at `path` is; `None` where the kernel does not tell.
    ///
    /// Errors: it does not tell within `limit`, since a server does not answer.
    pub fn space(&self, path: &Path, limit: Duration) -> Result<Option<Space>, Fault> {
        let (answer, answered) = mpsc::channel();
        let asked = path.to_owned();
        // On a thread of its own: what hangs in the kernel cannot be called off.
        std::thread::spawn(move || answer.send(statvfs(&asked)).ok());
        match answered.recv_timeout(limit) {
            Ok(Ok(told)) => Ok(Some(Space {
                size_bytes: told.blocks().saturating_mul(told.fragment_size()),
                available_bytes: told.blocks_available().saturating_mul(told.fragment_size()),
                block_bytes: told.block_size(),
                blocks: told.blocks(),
                blocks_available: told.blocks_available(),
                inodes: told.files(),
                inodes_available: told.files_available(),
            })),
            Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                let (path, seconds) = (path.display(), limit.as_secs_f64());
                let why = format!("{path} does not tell within {seconds} s how full it is");
                Err(Fault::new(why).hint("its server may be gone"))
            }
        }
    }
}
