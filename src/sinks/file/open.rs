//! Opening: whose a new file is, and which existing ones are taken.

use nix::unistd::{Gid, Group, Uid, User};
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

/// How files are opened and made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    /// Permissions of a new file.
    pub(super) mode: u32,
    /// Permissions of a new directory.
    pub(super) directory_mode: u32,
    /// Owner of a new file.
    pub(super) owner: Option<u32>,
    /// Group of a new file.
    pub(super) group: Option<u32>,
    /// Whether nobody else who asks may write to it meanwhile.
    pub(super) lock: bool,
    /// Whether the last component of a path may be a symbolic link.
    pub(super) follow: bool,
}

impl Opening {
    /// Opens the file at `path` for appending, and makes it and its directory where they are
    /// missing; says whether it made it.
    pub(super) fn open(&self, path: &Path) -> io::Result<(File, bool)> {
        // Somebody else may make or remove it in between, but not for ever.
        for _ in 0..8 {
            match self.options().open(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                opened => return self.checked(opened?).map(|file| (file, false)),
            }
            if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
                DirBuilder::new().recursive(true).mode(self.directory_mode).create(dir)?;
            }
            match self.options().create_new(true).mode(self.mode).open(path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => {
                    let file = made?;
                    // What was asked for counts, not what the process's umask leaves of it.
                    file.set_permissions(Permissions::from_mode(self.mode))?;
                    if self.owner.is_some() || self.group.is_some() {
                        fchown(&file, self.owner, self.group)?;
                    }
                    return self.checked(file).map(|file| (file, true));
                }
            }
        }
        Err(io::Error::other("somebody makes and removes it again and again"))
    }

    /// What stands at `path` now.
    pub(super) fn look(&self, path: &str) -> io::Result<Metadata> {
        if self.follow { fs::metadata(path) } else { fs::symlink_metadata(path) }
    }

    fn options(&self) -> OpenOptions {
        // Whatever stands there, opening it must not wait.
        let flags = nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY;
        let no_follow = if self.follow { 0 } else { nix::libc::O_NOFOLLOW };
        let mut options = OpenOptions::new();
        options.read(true).append(true).custom_flags(flags | no_follow);
        options
    }

    fn checked(&self, file: File) -> io::Result<File> {
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        if self.lock {
            file.try_lock().map_err(|error| match error {
                TryLockError::WouldBlock => io::Error::other("another process has locked it"),
                TryLockError::Error(error) => error,
            })?;
        }
        Ok(file)
    }
}

/// Permissions written in octal.
pub(super) fn mode(name: &str, text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
    mode.ok_or_else(|| format!("`{name}` is `{text}`, expected one such as \"0640\""))
}

/// The number of a user, given by name or number.
pub(super) fn owner(text: &str) -> Result<u32, String> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let found = User::from_name(text).ok().flatten().map(|user| user.uid);
    found.map(Uid::as_raw).ok_or_else(|| format!("`owner`: there is no user `{text}`"))
}

/// The number of a group, given by name or number.
pub(super) fn group(text: &str) -> Result<u32, String> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let found = Group::from_name(text).ok().flatten().map(|group| group.gid);
    found.map(Gid::as_raw).ok_or_else(|| format!("`group`: there is no group `{text}`"))
}
