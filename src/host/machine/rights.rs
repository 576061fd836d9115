//! What this process may do with a path, and what a file system keeps about it beyond its mode.

use super::accounts::own_ids;
use super::fault::Fault;
use super::meta::Kind;
use super::path::Follow;
use super::seen::Depth;
use super::{Machine, look};
use crate::host::sys;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};
use std::path::Path;

/// What this process may do with something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Read it.
    pub read: bool,
    /// Write it.
    pub write: bool,
    /// Run it, or enter it.
    pub execute: bool,
}

impl Machine {
    /// What this process may do with what is at `path`.
    pub fn access(&self, path: &Path, follow: Follow) -> Result<Allowed, Fault> {
        let resolved = self.see(path, follow, Depth::Rights)?;
        let Some(found) = self.lstat_resolved(&resolved)? else { return Ok(Allowed::default()) };
        if look::lstat(&resolved)?.is_some_and(|host| host.inode == found.inode) {
            let flags = AtFlags::AT_EACCESS | AtFlags::AT_SYMLINK_NOFOLLOW;
            let may = |wanted| faccessat(AT_FDCWD, &resolved, wanted, flags).is_ok();
            return Ok(Allowed {
                read: may(AccessFlags::R_OK),
                write: may(AccessFlags::W_OK),
                execute: may(AccessFlags::X_OK),
            });
        }
        // Foretold only: the owner's bits, since what we make is ours.
        let root = own_ids().0 == 0;
        let may = |bit: u32| found.mode & bit != 0;
        Ok(Allowed {
            read: root || may(0o400),
            write: root || may(0o200),
            execute: may(if root { 0o111 } else { 0o100 })
                || (root && found.kind == Kind::Directory),
        })
    }

    /// The attributes of the file system (`lsattr`) that are set, by their letter and name.
    pub fn attributes(
        &self,
        path: &Path,
        follow: Follow,
    ) -> Result<Vec<(char, &'static str)>, Fault> {
        let resolved = self.see(path, follow, Depth::Content)?;
        let Ok(flags) = sys::flags(&resolved) else { return Ok(Vec::new()) };
        let all = [
            (flags.append_only, 'a', "append"),
            (flags.compressed, 'c', "compressed"),
            (flags.no_dump, 'd', "nodump"),
            (flags.encrypted, 'E', "encrypted"),
            (flags.immutable, 'i', "immutable"),
        ];
        Ok(all
            .into_iter()
            .filter(|(set, ..)| *set)
            .map(|(_, letter, name)| (letter, name))
            .collect())
    }
}
