//! Calls into the C library that no safe wrapper covers: the only unsafe code of Driftless.
#![allow(unsafe_code)]

use std::ffi::CStr;

use nix::libc;

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
