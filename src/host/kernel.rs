//! What this kernel can do of what the program builds on.

use crate::host::sys;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use std::fs;
use std::path::Path;

/// What there is of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// Whether a path can be opened without following links (Linux 5.6): tasks that run as root go
    /// by it where another user owns a directory.
    pub openat2: bool,
    /// The version of Landlock (Linux 5.13), which keeps a dry run from writing.
    pub landlock: Option<u32>,
    /// Whether system calls can be filtered, which keeps it from what Landlock leaves open.
    pub seccomp: bool,
}

/// Asks the kernel. It changes nothing.
pub fn features() -> Features {
    let (flags, resolve) = (OFlags::PATH | OFlags::CLOEXEC, ResolveFlags::NO_SYMLINKS);
    Features {
        openat2: openat2(CWD, Path::new("/"), flags, Mode::empty(), resolve).is_ok(),
        landlock: sys::landlock_version(),
        seccomp: Path::new("/proc/sys/kernel/seccomp/actions_avail").exists(),
    }
}

/// A limit of inotify for each user: `max_user_watches` or `max_user_instances`. `None` where the
/// kernel does not say.
pub fn inotify_limit(name: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?;
    text.trim().parse().ok()
}
