//! Extended attributes of files: names with bytes that the file system keeps beside the content
//! (xattr(7)). Links are never followed here.

use rustix::fs::{
    XattrFlags, lgetxattr, lgetxattr_query, llistxattr, llistxattr_query, lremovexattr, lsetxattr,
};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::io;
use std::path::Path;

/// The list that says who may do what with a file, beyond its mode.
pub const ACL_ACCESS: &str = "system.posix_acl_access";

/// The list that new entries of a directory get.
pub const ACL_DEFAULT: &str = "system.posix_acl_default";

/// The rights that a program gets when it is run.
pub const CAPABILITY: &str = "security.capability";

/// What belongs to the bytes that it was given for, and goes with them.
pub const OF_CONTENT: [&str; 3] = [CAPABILITY, "security.ima", "security.evm"];

/// The names of all attributes of `path`; none where the file system has no such thing.
///
/// Errors: what the kernel says.
pub fn names(path: &Path) -> io::Result<Vec<CString>> {
    let list = match grown(|| llistxattr_query(path), |buffer| llistxattr(path, buffer)) {
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        list => list?,
    };
    let names = list.split_inclusive(|byte| *byte == 0);
    Ok(names.filter_map(|name| CStr::from_bytes_with_nul(name).ok()).map(CStr::to_owned).collect())
}

/// The value of one attribute; `None` where `path` has none of that name.
///
/// Errors: what the kernel says, `ENOTSUP` among it where the file system has no such attributes.
pub fn get(path: &Path, name: &CStr) -> io::Result<Option<Vec<u8>>> {
    match grown(|| lgetxattr_query(path, name), |buffer| lgetxattr(path, name, buffer)) {
        Err(Errno::NODATA) => Ok(None),
        value => Ok(Some(value?)),
    }
}

/// Sets one attribute.
///
/// Errors: what the kernel says.
pub fn set(path: &Path, name: &CStr, value: &[u8]) -> io::Result<()> {
    Ok(lsetxattr(path, name, value, XattrFlags::empty())?)
}

/// Takes one attribute away, where it is there.
///
/// Errors: what the kernel says.
pub fn remove(path: &Path, name: &CStr) -> io::Result<()> {
    match lremovexattr(path, name) {
        Err(Errno::NODATA) => Ok(()),
        done => Ok(done?),
    }
}

/// Calls `read` with a buffer of the size that `wanted` tells, until that is large enough.
fn grown(
    wanted: impl Fn() -> Result<usize, Errno>,
    read: impl Fn(&mut [u8]) -> Result<usize, Errno>,
) -> Result<Vec<u8>, Errno> {
    loop {
        let mut buffer = vec![0; wanted()?];
        match read(&mut buffer) {
            Ok(filled) => {
                buffer.truncate(filled);
                return Ok(buffer);
            }
            Err(Errno::RANGE) => {} // it grew in between
            Err(error) => return Err(error),
        }
    }
}
