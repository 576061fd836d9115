//! Keeps this process's memory out of core dumps and other processes' reach.

use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, setrlimit};

/// From here on no crash writes this process's memory to a disk, and no other process of the same
/// user may read it. For a process that holds secrets; what it starts is not concerned, since a
/// new program begins anew.
///
/// # Errors
/// The kernel's, where it refuses either.
pub fn forbid() -> std::io::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    set_dumpable(false)?;
    Ok(())
}
