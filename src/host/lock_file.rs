//! A file that one process at a time holds, and that says which one. Its mode is 0600: whoever can
//! open it can hold it.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Held until it is dropped. The kernel lets go of it when the process ends, however that is.
#[derive(Debug)]
pub struct LockFile {
    _file: File,
}

/// Another process has it.
#[derive(Debug)]
pub struct Held {
    file: File,
    holder: Option<String>,
}

impl LockFile {
    /// Takes the lock at `path`, in a directory that is there, or tells who has it.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn take(path: &Path) -> io::Result<Result<Self, Held>> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Ok(Self::signed(file))),
            Err(fs::TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder)?;
                let holder = Some(holder.trim().to_owned()).filter(|holder| !holder.is_empty());
                Ok(Err(Held { file, holder }))
            }
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// Writes down whose it is. That is for people only: on a full disk it is held all the same.
    fn signed(mut file: File) -> Self {
        let emptied = file.set_len(0).and_then(|()| file.rewind());
        emptied.and_then(|()| write!(file, "{}", std::process::id())).ok();
        Self { _file: file }
    }
}

impl Held {
    /// The process that has it, where it has written its number down already.
    pub fn holder(&self) -> Option<&str> {
        self.holder.as_deref()
    }

    /// Waits until it can be had.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn wait(self) -> io::Result<LockFile> {
        self.file.lock()?;
        Ok(LockFile::signed(self.file))
    }
}
