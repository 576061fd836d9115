//! Calls into the C library that no safe wrapper covers: the only unsafe code of Driftless.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::libc;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Abbreviation and seconds east of UTC of the local time zone at `epoch_seconds`.
pub(super) fn local_zone(epoch_seconds: u64) -> (String, i64) {
    let utc = ("UTC".to_owned(), 0);
    let Ok(time) = libc::time_t::try_from(epoch_seconds) else { return utc };
    // SAFETY: `tm` is plain data for which all zeros is a value, and `localtime_r` writes only to
    // it. It returns null where the year does not fit, which is checked.
    let (filled, tm) = unsafe {
        let mut tm: libc::tm = std::mem::zeroed();
        (!libc::localtime_r(&raw const time, &raw mut tm).is_null(), tm)
    };
    if !filled || tm.tm_zone.is_null() {
        return utc;
    }
    // SAFETY: the C library keeps the names of zones as terminated strings until the zone is set
    // anew, which nothing in this process does.
    let name = unsafe { CStr::from_ptr(tm.tm_zone) };
    (name.to_string_lossy().into_owned(), tm.tm_gmtoff)
}

/// What a file system says of a path beyond its mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    /// `chattr +i`: nobody may change, rename or remove it.
    pub(super) immutable: bool,
    /// `chattr +a`: it may only grow.
    pub(super) append_only: bool,
    /// Something is mounted on it.
    pub(super) mount_point: bool,
    /// `chattr +c`: the file system compresses it.
    pub(super) compressed: bool,
    /// `chattr +d`: left out of dumps.
    pub(super) no_dump: bool,
    /// The file system encrypts it.
    pub(super) encrypted: bool,
}

fn c_path(path: &Path) -> Result<CString, Errno> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}

/// The flags of `path` itself, links not followed.
pub(super) fn flags(path: &Path) -> Result<Flags, Errno> {
    let path = c_path(path)?;
    // SAFETY: `statx` is plain data for which all zeros is a value; the call writes only to it,
    // and `path` is a terminated string that outlives the call.
    let (done, found) = unsafe {
        let mut found: libc::statx = std::mem::zeroed();
        let done = libc::statx(
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::AT_SYMLINK_NOFOLLOW,
            0,
            &raw mut found,
        );
        (done, found)
    };
    Errno::result(done)?;
    let has = |bit: i32| found.stx_attributes & u64::from(bit.unsigned_abs()) != 0;
    Ok(Flags {
        immutable: has(libc::STATX_ATTR_IMMUTABLE),
        append_only: has(libc::STATX_ATTR_APPEND),
        mount_point: has(libc::STATX_ATTR_MOUNT_ROOT),
        compressed: has(libc::STATX_ATTR_COMPRESSED),
        no_dump: has(libc::STATX_ATTR_NODUMP),
        encrypted: has(libc::STATX_ATTR_ENCRYPTED),
    })
}

/// Bytes that were written to a socket and that the other side does not have yet.
pub(super) fn output_queue(socket: BorrowedFd<'_>) -> Result<u64, Errno> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the kernel writes one int to `bytes`, which outlives the call, and the descriptor
    // stays open for as long as it is borrowed.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    Errno::result(done).map(|_| u64::try_from(bytes).unwrap_or(0))
}

/// The kernel's clock discipline as it is now, and its word on whether the clock is right
/// (`TIME_ERROR` where it is not). Nothing is set.
pub(super) fn clock_discipline() -> Result<(libc::timex, i32), Errno> {
    // SAFETY: `timex` is plain data for which all zeros is a value; with no modes set, the call
    // only writes to it.
    let (state, told) = unsafe {
        let mut told: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut told), told)
    };
    Errno::result(state).map(|state| (told, state))
}
