//! New content before it takes effect, as a file that programs can look at.

use super::fault::Fault;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A file that other programs can read as long as this lives.
pub(super) struct Draft {
    /// Where it is.
    pub(super) path: String,
    held: Held,
}

enum Held {
    /// It has no name, and is gone with its last reader.
    InMemory {
        _file: File,
    },
    Within,
}

impl Draft {
    /// One that is nowhere but in memory.
    pub(super) fn in_memory(content: &[u8]) -> Result<Self, Fault> {
        let file = memfd_create(c"driftless-draft", MFdFlags::MFD_CLOEXEC);
        let mut file = File::from(file.map_err(|error| not_held(&error.into()))?);
        file.write_all(content).map_err(|error| not_held(&error))?;
        let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        Ok(Self { path, held: Held::InMemory { _file: file } })
    }

    /// One that is its owner's alone, as some programs will have it.
    pub(super) fn within(directory: &Path, content: &[u8]) -> Result<Self, Fault> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("driftless-draft-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = directory.join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let draft = Self { path: path.display().to_string(), held: Held::Within };
        let written = file.and_then(|mut file| file.write_all(content));
        written.map_err(|error| not_held(&error))?;
        Ok(draft)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if matches!(self.held, Held::Within) {
            // What is left here is gone with the dry run.
            std::fs::remove_file(&self.path).ok();
        }
    }
}

fn not_held(error: &std::io::Error) -> Fault {
    Fault::new(format!("cannot hold the new content: {error}"))
}
