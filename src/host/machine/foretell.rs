//! Finds out before an effect whether it can succeed, so that a dry run tells what apply would
//! run into and apply stops before it has done half of something.

use super::accounts::own_ids;
use super::change::{Access, Change, Effect};
use super::fault::Fault;
use super::live::Manner;
use super::meta::Kind;
use super::state::{NO_ATTRIBUTES, attributes_of};
use super::{Machine, look};
use crate::host::sys;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, faccessat, getgroups};
use std::path::Path;

impl Machine {
    /// Complains about what would make `change` fail.
    pub(super) fn foretell(&self, change: &Change, manner: Manner) -> Result<(), Fault> {
        let path = change.path.as_path();
        match &change.effect {
            Effect::Write { content, access, .. } => {
                self.check_entry(path, manner)?;
                check_gift(path, *access, None)?;
                check_space(path, content.len() as u64)
            }
            Effect::Mkdir { access } => {
                self.check_entry(path, Manner::Atomic)?;
                check_gift(path, *access, None)
            }
            Effect::Symlink { .. } | Effect::Hardlink { .. } | Effect::Remove { .. } => {
                self.check_entry(path, Manner::Atomic)
            }
            Effect::Rename { to } => {
                self.check_entry(path, Manner::Atomic)?;
                self.check_entry(to, Manner::Atomic)?;
                self.check_way(path, to)
            }
            Effect::Mode { .. } | Effect::Times { .. } | Effect::Acl { .. } => {
                check_writable(path)?;
                self.check_flags(path, path)?;
                self.check_ownership(path)
            }
            Effect::Attribute { name, .. } => {
                check_writable(path)?;
                self.check_flags(path, path)?;
                self.check_attribute(path, name)
            }
            Effect::Owner { before, after } => {
                check_writable(path)?;
                self.check_flags(path, path)?;
                check_gift(path, *after, Some(*before))
            }
            Effect::Setting { .. } => self.check_setting(path),
            Effect::Property { .. } | Effect::State(_) | Effect::Run { .. } => Ok(()),
        }
    }

    /// Whether the name `path` can be made, replaced or removed.
    fn check_entry(&self, path: &Path, manner: Manner) -> Result<(), Fault> {
        let Some(parent) = path.parent() else {
            return Err(Fault::new("`/` itself cannot be made, replaced or removed"));
        };
        let directory = match self.lstat_resolved(parent)? {
            None => {
                let why = format!("the directory {} does not exist", parent.display());
                return Err(self
                    .absence(why)
                    .hint("make it first, with `file: {path: …, state: directory}`"));
            }
            Some(found) if found.kind != Kind::Directory => {
                let (parent, kind) = (parent.display(), found.kind.described());
                return Err(Fault::new(format!("{parent} is {kind}, and a directory is expected")));
            }
            Some(found) => found,
        };
        check_writable(parent)?;
        if path.file_name().is_some_and(|name| name.len() > 255) {
            return Err(Fault::new(format!(
                "the last part of {} is over 255 bytes",
                path.display()
            )));
        }
        self.check_flags(path, path)?;
        self.check_flags(parent, path)?;
        if self.is_mount_point(path) && manner == Manner::Atomic {
            return Err(Fault::new(format!(
                "something is mounted on {}, so that it cannot be replaced or removed",
                path.display()
            ))
            .hint("`unsafe_writes: true` writes into it, not atomically"));
        }
        let allowed = AccessFlags::W_OK | AccessFlags::X_OK;
        // A dry run may have put a directory where the host still has a file, say.
        let is_on_host = look::lstat(parent)?.is_some_and(|found| found.inode == directory.inode);
        if is_on_host && faccessat(AT_FDCWD, parent, allowed, AtFlags::AT_EACCESS).is_err() {
            return Err(Fault::new(format!(
                "there is no permission to write in {}",
                parent.display()
            ))
            .hint("run as root, or as the directory's owner"));
        }
        Ok(())
    }

    /// Whether an attribute of `holder` forbids to change `path`, or would.
    fn check_flags(&self, holder: &Path, path: &Path) -> Result<(), Fault> {
        let (immutable, append_only) = match self.foretold_state(&attributes_of(holder)) {
            Some(letters) if letters == NO_ATTRIBUTES => (false, false),
            Some(letters) => (letters.contains('i'), letters.contains('a')),
            None => match sys::flags(holder) {
                Ok(flags) => (flags.immutable, flags.append_only),
                Err(_) => return Ok(()),
            },
        };
        let what = match (immutable, append_only) {
            (true, _) => "immutable",
            (_, true) if holder == path => "append-only",
            _ => return Ok(()),
        };
        let letter = if immutable { 'i' } else { 'a' };
        Err(Fault::new(format!("{} is {what}", holder.display()))
            .hint(format!("`chattr -{letter}` takes that away")))
    }

    /// Whether this process may set a setting of the kernel.
    fn check_setting(&self, path: &Path) -> Result<(), Fault> {
        check_writable(path)?;
        match self.lstat_resolved(path)? {
            Some(found) if found.mode & 0o222 == 0 => {
                Err(Fault::new(format!("{} can only be read", path.display())))
            }
            _ if faccessat(AT_FDCWD, path, AccessFlags::W_OK, AtFlags::AT_EACCESS).is_err() => {
                let why = format!("there is no permission to write {}", path.display());
                Err(Fault::new(why).hint("run as root"))
            }
            _ => Ok(()),
        }
    }

    /// Between file systems all of it is copied: nothing may be mounted in it, and there must be room.
    fn check_way(&self, path: &Path, to: &Path) -> Result<(), Fault> {
        let device = |path: &Path| look::lstat(on_host(path)).map(|it| it.map(|it| it.inode.0));
        // What a dry run has made itself is where its directory is.
        if device(path.parent().unwrap_or(path))? == device(to.parent().unwrap_or(to))? {
            return Ok(());
        }
        let mut all = Vec::new();
        self.collect(path, &mut all)?;
        let mut bytes = 0_u64;
        for path in all {
            let found = self.lstat_resolved(&path)?.filter(|found| found.kind == Kind::File);
            bytes = bytes.saturating_add(found.map_or(0, |found| found.size_bytes));
        }
        check_space(to, bytes)
    }

    /// Only the owner and root may set mode and times.
    fn check_ownership(&self, path: &Path) -> Result<(), Fault> {
        let (me, _) = own_ids();
        match self.lstat_resolved(path)? {
            Some(found) if me != 0 && found.uid != me => {
                let owner = self.user_name(found.uid);
                Err(Fault::new(format!("{} belongs to the user {owner}", path.display()))
                    .hint("run as root, or as its owner"))
            }
            _ => Ok(()),
        }
    }

    /// Whether this process may set the extended attribute `name`.
    fn check_attribute(&self, path: &Path, name: &str) -> Result<(), Fault> {
        if !name.starts_with("user.") {
            if own_ids().0 != 0 {
                let why = format!("only root may set the attribute `{name}` of {}", path.display());
                return Err(Fault::new(why).hint("run as root"));
            }
            return Ok(());
        }
        match self.lstat_resolved(path)?.map(|found| found.kind) {
            Some(Kind::File | Kind::Directory) | None => Ok(()),
            Some(kind) => {
                let (path, kind) = (path.display(), kind.described());
                let why = format!("{path} is {kind}, and has no attributes of the kind `user.`");
                Err(Fault::new(why))
            }
        }
    }
}

/// What of `path` is really on the host: itself, else the nearest parent that is.
pub(super) fn on_host(path: &Path) -> &Path {
    let mut ancestors = path.ancestors();
    ancestors.find(|path| matches!(look::lstat(path), Ok(Some(_)))).unwrap_or(Path::new("/"))
}

fn check_writable(path: &Path) -> Result<(), Fault> {
    let there = on_host(path);
    match statvfs(there) {
        Ok(found) if found.flags().contains(FsFlags::ST_RDONLY) => {
            Err(Fault::new(format!("{} is on a read-only file system", path.display())))
        }
        _ => Ok(()),
    }
}

fn check_space(path: &Path, bytes: u64) -> Result<(), Fault> {
    let there = on_host(path.parent().unwrap_or(path));
    let Ok(found) = statvfs(there) else { return Ok(()) };
    let blocks = if own_ids().0 == 0 { found.blocks_free() } else { found.blocks_available() };
    // File systems without a limit report no blocks at all.
    if found.blocks() > 0 && bytes > blocks.saturating_mul(found.fragment_size()) {
        return Err(Fault::new(format!(
            "there is no space for {bytes} bytes at {}",
            path.display()
        )));
    }
    Ok(())
}

/// Only root may give files away; others may hand them to their own groups.
fn check_gift(path: &Path, access: Access, now: Option<Access>) -> Result<(), Fault> {
    let (me, my_group) = own_ids();
    if me == 0 {
        return Ok(());
    }
    let same_group = access.gid == my_group || now.is_some_and(|now| now.gid == access.gid);
    let mine =
        |gid| getgroups().is_ok_and(|groups| groups.iter().any(|group| group.as_raw() == gid));
    if access.uid != me || !(same_group || mine(access.gid)) {
        return Err(Fault::new(format!("only root may set owner and group of {}", path.display()))
            .hint("run as root, or leave `owner` and `group` out"));
    }
    Ok(())
}
