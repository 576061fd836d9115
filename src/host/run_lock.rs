//! The lock that lets one run at a time change this host.

use crate::host::lock_file::LockFile;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Names another directory for the lock than the usual one.
const DIRECTORY_VARIABLE: &str = "DRIFTLESS_RUN_DIR";

/// Held while a run goes on. The kernel lets go of it when the process ends, however that is.
#[derive(Debug)]
pub struct RunLock {
    _lock: LockFile,
}

/// Where the lock of this host is: `/run/driftless` as root, else the data directory, unless the
/// variable `DRIFTLESS_RUN_DIR` names another directory.
pub fn place(data_dir: &Path) -> PathBuf {
    let named = std::env::var_os(DIRECTORY_VARIABLE).filter(|name| !name.is_empty());
    let directory = match named {
        Some(named) => named.into(),
        None if nix::unistd::geteuid().is_root() => PathBuf::from("/run/driftless"),
        None => data_dir.to_owned(),
    };
    directory.join("apply.lock")
}

impl RunLock {
    /// Takes the lock at `path`; waits while another run holds it. `waits` hears of the holder,
    /// where it can be told who that is.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn take(path: &Path, waits: impl FnOnce(&str)) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let lock = match LockFile::take(path)? {
            Ok(lock) => lock,
            Err(held) => {
                waits(held.holder().unwrap_or("unknown"));
                held.wait()?
            }
        };
        Ok(Self { _lock: lock })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_second_run_waits_and_hears_who_holds_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/apply.lock");
        let first = RunLock::take(&path, |_| panic!("nobody holds it")).unwrap();
        let (heard, hears) = mpsc::channel();
        let second = std::thread::spawn(move || {
            RunLock::take(&path, |holder| heard.send(holder.to_owned()).unwrap())
        });
        assert_eq!(hears.recv().unwrap(), std::process::id().to_string());
        drop(first);
        second.join().unwrap().unwrap();
    }
}
