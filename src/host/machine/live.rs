//! Does effects on the host. Everything has been compared and checked before.

use super::change::{Access, Before, Change, Effect, Time};
use super::fault::Fault;
use crate::host::{sys, xattr};
use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{FchownatFlags, Gid, Uid, fchownat};
use std::collections::hash_map::DefaultHasher;
use std::ffi::CString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::hash::{Hash as _, Hasher as _};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// How a file that cannot be renamed over (something is mounted on it) is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Not at all.
    Atomic,
    /// In place: a reader may see half of it.
    InPlaceIfMounted,
}

/// Does one effect.
pub(super) fn perform(change: &Change, manner: Manner) -> Result<(), Fault> {
    let path = change.path.as_path();
    match &change.effect {
        Effect::Write { before, content, access } => {
            let fault = |error| Fault::kernel("write", path, error);
            if manner == Manner::InPlaceIfMounted && is_mount_point(path) {
                return write_in_place(path, content, *access).map_err(fault);
            }
            let keep = matches!(before, Before::File { .. });
            replace(path, |temporary| write_new(temporary, content, *access, keep.then_some(path)))
                .map_err(fault)
        }
        Effect::Mkdir { access } => {
            mkdir(path, *access).map_err(|e| Fault::kernel("make the directory", path, e))
        }
        Effect::Mode { after, .. } => fs::set_permissions(path, Permissions::from_mode(*after))
            .map_err(|e| Fault::kernel("set the mode of", path, e)),
        Effect::Owner { after, .. } => chown(path, after.uid, after.gid)
            .map_err(|e| Fault::kernel("set the owner of", path, e)),
        Effect::Times { accessed, modified } => {
            let (accessed, modified) = (time_spec(*accessed), time_spec(*modified));
            utimensat(AT_FDCWD, path, &accessed, &modified, UtimensatFlags::NoFollowSymlink)
                .map_err(|e| Fault::kernel("set the times of", path, e))
        }
        Effect::Attribute { name, after, .. } => set_attribute(path, name, after.as_deref())
            .map_err(|e| Fault::kernel(&format!("set the attribute `{name}` of"), path, e)),
        Effect::Acl { list, after, .. } => {
            // The kernel makes a mode of a list that says no more than one.
            let bytes = (!after.is_empty()).then(|| after.encode());
            set_attribute(path, list.attribute(), bytes.as_deref())
                .map_err(|e| Fault::kernel("set the access control list of", path, e))
        }
        Effect::Symlink { target, .. } => {
            replace(path, |temporary| std::os::unix::fs::symlink(target, temporary))
                .map_err(|e| Fault::kernel("make the link", path, e))
        }
        Effect::Hardlink { target, .. } => {
            replace(path, |temporary| fs::hard_link(target, temporary))
                .map_err(|e| Fault::kernel("make the hard link", path, e))
        }
        Effect::Remove { before } => {
            let done = match before {
                Before::Directory(_) => fs::remove_dir(path),
                _ => fs::remove_file(path),
            };
            done.and_then(|()| sync_parent(path)).map_err(|e| Fault::kernel("remove", path, e))
        }
        Effect::Run { .. } => Ok(()), // the caller runs it, since it wants the output
    }
}

/// Lets `make` make something under a temporary name beside `path`, then renames it to `path`.
fn replace(path: &Path, make: impl Fn(&Path) -> io::Result<()>) -> io::Result<()> {
    let temporary = temporary_name(path);
    // What a run that was killed has left there goes, so that nothing piles up.
    clear(&temporary)?;
    if let Err(error) = make(&temporary).and_then(|()| fs::rename(&temporary, path)) {
        // The first error is the one to tell.
        drop(clear(&temporary));
        return Err(error);
    }
    // Renaming one name of a file onto another of the same file does nothing at all.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    sync_parent(path)
}

/// A short name, so that a file name of the greatest length can be replaced too; always the same
/// for the same path, so that what is left over is found again. The host's lock lets one run at a
/// time use it.
fn temporary_name(path: &Path) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    path.file_name().hash(&mut hasher);
    path.with_file_name(format!(".driftless-{:x}", hasher.finish()))
}

/// Removes what may be at a temporary name.
fn clear(temporary: &Path) -> io::Result<()> {
    let done = match fs::symlink_metadata(temporary) {
        Ok(found) if found.is_dir() => fs::remove_dir(temporary),
        Ok(_) => fs::remove_file(temporary),
        Err(error) => Err(error),
    };
    match done {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes a file that nobody else can read until it has its owner; the mode comes last.
fn write_new(path: &Path, content: &[u8], access: Access, old: Option<&Path>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    chown(path, access.uid, access.gid)?;
    if let Some(old) = old {
        keep_attributes(old, path)?;
    }
    file.set_permissions(Permissions::from_mode(access.mode))?;
    file.sync_all()
}

/// Gives `path` the extended attributes of `old`, and none that `old` has not.
fn keep_attributes(old: &Path, path: &Path) -> io::Result<()> {
    let names = xattr::names(old)?;
    for name in xattr::names(path)? {
        // The list that the directory has for new entries is not for this one.
        if name.to_bytes() == xattr::ACL_ACCESS.as_bytes() && !names.contains(&name) {
            xattr::remove(path, &name)?;
        }
    }
    for name in names {
        // Rights and signatures belong to the bytes that they were given for.
        if xattr::OF_CONTENT.iter().any(|of_content| name.to_bytes() == of_content.as_bytes()) {
            continue;
        }
        if let Some(value) = xattr::get(old, &name)? {
            xattr::set(path, &name, &value)?;
        }
    }
    Ok(())
}

fn write_in_place(path: &Path, content: &[u8], access: Access) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).truncate(true).open(path)?;
    file.write_all(content)?;
    chown(path, access.uid, access.gid)?;
    file.set_permissions(Permissions::from_mode(access.mode))?;
    file.sync_all()
}

fn set_attribute(path: &Path, name: &str, value: Option<&[u8]>) -> io::Result<()> {
    let name = CString::new(name)?;
    match value {
        Some(value) => xattr::set(path, &name, value),
        None => xattr::remove(path, &name),
    }
}

/// Under a temporary name first, since a run that is killed must not leave a directory that has not
/// yet its owner and permissions.
fn mkdir(path: &Path, access: Access) -> io::Result<()> {
    replace(path, |temporary| {
        DirBuilder::new().mode(0o700).create(temporary)?;
        chown(temporary, access.uid, access.gid)?;
        fs::set_permissions(temporary, Permissions::from_mode(access.mode))
    })
}

fn chown(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    Ok(fchownat(AT_FDCWD, path, uid, gid, FchownatFlags::AT_SYMLINK_NOFOLLOW)?)
}

fn time_spec(time: Time) -> TimeSpec {
    match time {
        Time::Preserve => TimeSpec::UTIME_OMIT,
        Time::Now => TimeSpec::UTIME_NOW,
        Time::At(stamp) => TimeSpec::new(stamp.seconds, stamp.nanoseconds),
    }
}

fn is_mount_point(path: &Path) -> bool {
    sys::flags(path).is_ok_and(|flags| flags.mount_point)
}

/// Makes a new name, or the lack of one, survive a power cut.
fn sync_parent(path: &Path) -> io::Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    match File::open(parent).and_then(|parent| parent.sync_all()) {
        // Some file systems cannot sync directories, and need not.
        Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => Ok(()),
        // A directory that may be written but not read: the name is made, and that is what counts.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        done => done,
    }
}
