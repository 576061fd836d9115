//! Looks at the host itself, as it is on the disk.

use super::fault::Fault;
use super::meta::Meta;
use bytes::Bytes;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What is at `path`, links not followed; `None` where nothing is, or where a parent is no
/// directory.
pub(super) fn lstat(path: &Path) -> Result<Option<Meta>, Fault> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(Meta::from(&found))),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(Fault::kernel("look at", path, error)),
    }
}

/// The bytes of a file.
pub(super) fn read(path: &Path) -> Result<Bytes, Fault> {
    fs::read(path).map(Bytes::from).map_err(|error| Fault::kernel("read", path, error))
}

/// The bytes of a file, piece by piece.
pub(super) fn open(path: &Path) -> Result<Box<dyn io::Read>, Fault> {
    match fs::File::open(path) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(Fault::kernel("read", path, error)),
    }
}

/// Where a link leads, as written.
pub(super) fn read_link(path: &Path) -> Result<PathBuf, Fault> {
    fs::read_link(path).map_err(|error| Fault::kernel("read the link", path, error))
}

/// The names in a directory, in no order.
pub(super) fn list(path: &Path) -> Result<Vec<OsString>, Fault> {
    let names = || -> io::Result<Vec<OsString>> {
        fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect()
    };
    names().map_err(|error| Fault::kernel("list", path, error))
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
