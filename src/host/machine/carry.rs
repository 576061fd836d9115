//! Carries a tree to another file system, where it cannot be renamed to: a copy comes first.

use super::Machine;
use super::change::Time;
use super::fault::Fault;
use super::firm::{self, Held};
use super::live::{chown, sync_parent, temporary_name, time_spec};
use super::meta::Stamp;
use super::path::Follow;
use crate::host::xattr;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{Mode, SFlag, UtimensatFlags, mknod, utimensat};
use rustix::fs::{OFlags, syncfs};
use std::collections::HashMap;
use std::fs::{self, DirBuilder, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _,
    PermissionsExt as _, symlink,
};
use std::path::{Path, PathBuf};

/// Moves what is at `from`, with all that is in it, to `to`, where nothing is; both are resolved.
/// Owners, modes, times, extended attributes, access control lists and hard links stay as they are.
///
/// Until all of it is there and on the disk, it is whole at `from`, and nothing is at `to`. Whoever
/// ends this in between leaves one of both whole, and perhaps the other too.
pub(super) fn carry(from: &Path, to: &Path) -> io::Result<()> {
    let copied = temporary_name(to);
    // What a run that was killed has left there goes.
    clear(&copied)?;
    let made = copy(from, &copied).and_then(|()| {
        let parent = firm::open(copied.parent().unwrap_or(to), OFlags::RDONLY | OFlags::DIRECTORY)?;
        syncfs(&parent)?;
        fs::rename(held(&copied)?.path(), held(to)?.path())?;
        sync_parent(to)
    });
    if let Err(error) = made {
        // The first error is the one to tell.
        drop(clear(&copied));
        return Err(error);
    }
    // Its name goes at once, so that nobody takes the half that is left for the whole.
    let aside = temporary_name(from);
    clear(&aside)?;
    fs::rename(held(from)?.path(), held(&aside)?.path())?;
    clear(&aside)?;
    sync_parent(from)
}

impl Machine {
    /// Removes what a run has left of `path` that was killed while it moved that to another file
    /// system, and had all of it there already. A dry run does nothing.
    ///
    /// Errors: what the kernel says.
    pub fn clear_remains(&self, path: &Path) -> Result<(), Fault> {
        if self.is_dry_run() {
            return Ok(());
        }
        let aside = temporary_name(&self.resolve(path, Follow::No)?);
        clear(&aside).map_err(|error| Fault::kernel("remove", &aside, error))
    }
}

fn held(path: &Path) -> io::Result<Held> {
    Held::new(path).map_err(io::Error::other)
}

/// Removes what may be at a temporary name, with all that is in it; links are not followed.
fn clear(path: &Path) -> io::Result<()> {
    let place = held(path)?;
    let gone = match fs::symlink_metadata(place.path()) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(place.path()),
        Ok(_) => fs::remove_file(place.path()),
        Err(error) => Err(error),
    };
    match gone {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What is left to do in a tree; a stack of its own, since trees are deeper than threads' stacks.
enum Left {
    Enter(PathBuf, PathBuf),
    /// A directory gets what it has last: its times change with each entry.
    Leave(PathBuf, PathBuf),
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    // Where the first name of a file with several is.
    let mut first_names: HashMap<(u64, u64), PathBuf> = HashMap::new();
    let mut left = vec![Left::Enter(from.to_owned(), to.to_owned())];
    while let Some(next) = left.pop() {
        let (from, to) = match next {
            Left::Enter(from, to) => (from, to),
            Left::Leave(from, to) => {
                let (source, target) = (held(&from)?, held(&to)?);
                let found = fs::symlink_metadata(source.path())?;
                settle(source.path(), target.path(), &found)?;
                continue;
            }
        };
        let (source, target) = (held(&from)?, held(&to)?);
        let found = fs::symlink_metadata(source.path())?;
        if found.is_dir() {
            DirBuilder::new().mode(0o700).create(target.path())?;
            let directory = firm::hold(&from)?;
            let names = fs::read_dir(directory.path())?
                .map(|entry| Ok(entry?.file_name()))
                .collect::<io::Result<Vec<_>>>()?;
            left.push(Left::Leave(from.clone(), to.clone()));
            left.extend(names.iter().map(|name| Left::Enter(from.join(name), to.join(name))));
            continue;
        }
        if found.nlink() > 1 {
            if let Some(first) = first_names.get(&(found.dev(), found.ino())) {
                fs::hard_link(held(first)?.path(), target.path())?;
                continue;
            }
            first_names.insert((found.dev(), found.ino()), to.clone());
        }
        make(source.path(), target.path(), &found)?;
        settle(source.path(), target.path(), &found)?;
    }
    Ok(())
}

/// Makes what is no directory, with its content, for nobody else to look at yet.
fn make(source: &Path, target: &Path, found: &Metadata) -> io::Result<()> {
    let kind = found.file_type();
    if kind.is_symlink() {
        return symlink(fs::read_link(source)?, target);
    }
    if kind.is_file() {
        // Should it be a pipe or a link by now, that is no file to wait for or to follow.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let mut content = OpenOptions::new().read(true).custom_flags(flags).open(source)?;
        let mut copy = OpenOptions::new().write(true).create_new(true).mode(0o600).open(target)?;
        return io::copy(&mut content, &mut copy).map(drop);
    }
    let special = match kind {
        kind if kind.is_fifo() => SFlag::S_IFIFO,
        kind if kind.is_socket() => SFlag::S_IFSOCK,
        kind if kind.is_block_device() => SFlag::S_IFBLK,
        _ => SFlag::S_IFCHR,
    };
    Ok(mknod(target, special, Mode::S_IRUSR | Mode::S_IWUSR, found.rdev())?)
}

/// Gives the copy all that the original has beside its content: what the system clears with another
/// comes after that.
fn settle(source: &Path, target: &Path, found: &Metadata) -> io::Result<()> {
    chown(target, found.uid(), found.gid())?;
    let attributes = xattr::all(source)?;
    for name in xattr::names(target)? {
        // Lists that its directory has for what is new.
        let is_list = [xattr::ACL_ACCESS, xattr::ACL_DEFAULT].iter().any(|it| {
            name.to_bytes() == it.as_bytes() && !attributes.iter().any(|(own, _)| *own == name)
        });
        if is_list {
            xattr::remove(target, &name)?;
        }
    }
    attributes.iter().try_for_each(|(name, value)| xattr::set(target, name, value))?;
    if !found.is_symlink() {
        fs::set_permissions(target, Permissions::from_mode(found.mode() & 0o7777))?;
    }
    let stamp = |seconds, nanoseconds| time_spec(Time::At(Stamp { seconds, nanoseconds }));
    let accessed = stamp(found.atime(), found.atime_nsec());
    let modified = stamp(found.mtime(), found.mtime_nsec());
    utimensat(AT_FDCWD, target, &accessed, &modified, UtimensatFlags::NoFollowSymlink)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::acl::{Acl, Who};
    use nix::unistd::mkfifo;
    use std::fs::File;

    /// What is told of each entry below `root`, itself included: all that must not change.
    fn told(root: &Path) -> Vec<String> {
        let mut all = Vec::new();
        let mut ahead = vec![root.to_owned()];
        while let Some(path) = ahead.pop() {
            let found = fs::symlink_metadata(&path).unwrap();
            let content = match found.file_type() {
                kind if kind.is_symlink() => fs::read_link(&path).unwrap().display().to_string(),
                kind if kind.is_file() => fs::read_to_string(&path).unwrap(),
                _ => String::new(),
            };
            if found.is_dir() {
                ahead.extend(fs::read_dir(&path).unwrap().map(|it| it.unwrap().path()));
            }
            let name = path.strip_prefix(root).unwrap().to_owned();
            let owner = (found.uid(), found.gid(), found.mode());
            let times = (found.mtime(), found.mtime_nsec());
            let links = if found.is_dir() { 0 } else { found.nlink() };
            let attributes = xattr::all(&path).unwrap();
            all.push(format!("{name:?} {owner:?} {times:?} {links} {content:?} {attributes:?}"));
        }
        all.sort();
        all
    }

    #[test]
    fn a_tree_that_is_carried_keeps_all_that_it_has() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let (from, to) = (root.join("from"), root.join("to"));
        fs::create_dir_all(from.join("private/deep")).unwrap();
        fs::write(from.join("private/deep/file"), "text").unwrap();
        fs::hard_link(from.join("private/deep/file"), from.join("twin")).unwrap();
        symlink("../outside", from.join("link")).unwrap();
        mkfifo(&from.join("pipe"), Mode::S_IRWXU).unwrap();
        fs::write(from.join("run"), "#!/bin/sh").unwrap();
        fs::set_permissions(from.join("run"), Permissions::from_mode(0o4751)).unwrap();
        let (private, list) = (from.join("private"), |bits| {
            let mut acl = Acl::of_mode(0o750);
            acl.set(Who::User(7), bits);
            acl.open_mask();
            acl.encode()
        });
        // Not every file system has them.
        xattr::set(&from.join("run"), c"user.note", b"mine").ok();
        xattr::set(&private, c"system.posix_acl_access", &list(5)).ok();
        // What the new place has for new entries is not for these.
        xattr::set(&root, c"system.posix_acl_default", &list(7)).ok();
        fs::set_permissions(&private, Permissions::from_mode(0o1770)).unwrap();
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::new(86_400, 5);
        for path in [&private, &from.join("run"), &from] {
            File::open(path).unwrap().set_modified(long_ago).unwrap();
        }
        let before = told(&from);
        carry(&from, &to).unwrap();
        assert_eq!(told(&to), before);
        let names = fs::read_dir(&root).unwrap().map(|it| it.unwrap().file_name());
        assert_eq!(names.collect::<Vec<_>>(), ["to"]);
    }

    #[test]
    fn what_cannot_be_copied_whole_stays_whole_where_it_is() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let from = root.join("from");
        fs::create_dir(&from).unwrap();
        fs::write(from.join("file"), "text").unwrap();
        let before = told(&from);
        // There is no directory that the copy could go to.
        let error = carry(&from, &root.join("none/to")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Other, "{error}");
        assert_eq!(told(&from), before);
        assert_eq!(fs::read_dir(&root).unwrap().count(), 1);
    }
}
