//! Looks at the host itself, as it is on the disk.

use super::fault::Fault;
use super::meta::Meta;
use crate::host::xattr;
use bytes::Bytes;
use nix::errno::Errno;
use std::ffi::{CString, OsString};
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

/// The names of the extended attributes of `path`, links not followed.
pub(super) fn attribute_names(path: &Path) -> Result<Vec<String>, Fault> {
    let names = xattr::names(path).map_err(|e| Fault::kernel("list the attributes of", path, e))?;
    Ok(names.iter().map(|name| name.to_string_lossy().into_owned()).collect())
}

/// One extended attribute of `path`, links not followed; `None` where it has none of that name, and
/// where its file system has none at all.
pub(super) fn attribute(path: &Path, name: &str) -> Result<Option<Bytes>, Fault> {
    let fault = |error| Fault::kernel(&format!("read the attribute `{name}` of"), path, error);
    let c_name = CString::new(name).map_err(|error| fault(error.into()))?;
    match xattr::get(path, &c_name) {
        Err(error) if error.raw_os_error() == Some(Errno::ENOTSUP as i32) => Ok(None),
        value => Ok(value.map_err(fault)?.map(Bytes::from)),
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
