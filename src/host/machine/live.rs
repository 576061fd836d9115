//! Does effects on the host. Everything has been compared and checked before.

use super::carry::carry;
use super::change::{Access, Before, Change, Effect, Extras, Time};
use super::fault::Fault;
use super::firm::{self, Held};
use crate::host::{sys, xattr};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
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
        // The caller runs what it takes, since it wants the output.
        Effect::Run { .. } | Effect::State(_) | Effect::Property { .. } => return Ok(()),
        // Its directory is the kernel's: nothing there is replaced or synced.
        Effect::Setting { after, .. } => {
            return set(path, after).map_err(|e| Fault::kernel("set", path, e));
        }
        _ => {}
    }
    let held = Held::new(path)?;
    let place = held.path();
    match &change.effect {
        Effect::Write { before, content, access, restored } => {
            let fault = |error: io::Error| Fault::kernel("write", path, error);
            if manner == Manner::InPlaceIfMounted && is_mount_point(place) {
                return write_in_place(place, content, *access).map_err(fault);
            }
            let old = matches!(before, Before::File { .. }).then_some(place);
            let kept = match (restored, old) {
                (Some(extras), _) => Some(extras.clone()),
                (None, Some(old)) => Some(of_replaced(xattr::all(old).map_err(fault)?)),
                (None, None) => None,
            };
            replace(place, |temporary| write_new(temporary, content, *access, kept.as_ref()))
                .map_err(fault)
        }
        Effect::Mkdir { access } => {
            mkdir(place, *access).map_err(|e| Fault::kernel("make the directory", path, e))
        }
        Effect::Mode { after, .. } => firm::hold(path)
            .and_then(|held| fs::set_permissions(held.path(), Permissions::from_mode(*after)))
            .map_err(|e| Fault::kernel("set the mode of", path, e)),
        Effect::Owner { after, .. } => chown(place, after.uid, after.gid)
            .map_err(|e| Fault::kernel("set the owner of", path, e)),
        Effect::Times { accessed, modified, .. } => {
            let (accessed, modified) = (time_spec(*accessed), time_spec(*modified));
            utimensat(AT_FDCWD, place, &accessed, &modified, UtimensatFlags::NoFollowSymlink)
                .map_err(|e| Fault::kernel("set the times of", path, e))
        }
        Effect::Attribute { name, after, .. } => set_attribute(place, name, after.as_deref())
            .map_err(|e| Fault::kernel(&format!("set the attribute `{name}` of"), path, e)),
        Effect::Acl { list, after, .. } => {
            // The kernel makes a mode of a list that says no more than one.
            let bytes = (!after.is_empty()).then(|| after.encode());
            set_attribute(place, list.attribute(), bytes.as_deref())
                .map_err(|e| Fault::kernel("set the access control list of", path, e))
        }
        Effect::Symlink { target, .. } => {
            replace(place, |temporary| std::os::unix::fs::symlink(target, temporary))
                .map_err(|e| Fault::kernel("make the link", path, e))
        }
        Effect::Hardlink { target, .. } => {
            let target = Held::new(target)?;
            replace(place, |temporary| fs::hard_link(target.path(), temporary))
                .map_err(|e| Fault::kernel("make the hard link", path, e))
        }
        Effect::Rename { to } => {
            let target = Held::new(to)?;
            let done = match fs::rename(place, target.path()) {
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => carry(path, to),
                done => {
                    done.and_then(|()| sync_parent(target.path())).and_then(|()| sync_parent(place))
                }
            };
            done.map_err(|e| Fault::kernel("move", path, e))
        }
        Effect::Remove { before } => {
            let done = match before {
                Before::Directory(_) => fs::remove_dir(place),
                _ => fs::remove_file(place),
            };
            done.and_then(|()| sync_parent(place)).map_err(|e| Fault::kernel("remove", path, e))
        }
        Effect::Setting { .. }
        | Effect::State(_)
        | Effect::Property { .. }
        | Effect::Run { .. } => Ok(()),
    }
}

/// Sets a setting of the kernel, which takes what a single call writes.
fn set(path: &Path, value: &[u8]) -> io::Result<()> {
    let mut line = value.to_vec();
    line.push(b'\n');
    OpenOptions::new().write(true).truncate(true).open(path)?.write_all(&line)
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
pub(super) fn temporary_name(path: &Path) -> PathBuf {
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

/// What new content takes over of the file that it replaces. Rights and signatures belong to the
/// bytes that they were given for.
fn of_replaced(mut attributes: Vec<(CString, Vec<u8>)>) -> Extras {
    let stays =
        |name: &CString| xattr::OF_CONTENT.iter().all(|it| name.to_bytes() != it.as_bytes());
    attributes.retain(|(name, _)| stays(name));
    Extras { modified: None, attributes }
}

/// Writes a file that nobody else can read until it has its owner; the mode comes last.
fn write_new(
    path: &Path,
    content: &[u8],
    access: Access,
    extras: Option<&Extras>,
) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    chown(path, access.uid, access.gid)?;
    if let Some(extras) = extras {
        set_attributes(path, &extras.attributes)?;
    }
    file.set_permissions(Permissions::from_mode(access.mode))?;
    if let Some(modified) = extras.and_then(|extras| extras.modified) {
        let (accessed, modified) = (TimeSpec::UTIME_OMIT, time_spec(Time::At(modified)));
        utimensat(AT_FDCWD, path, &accessed, &modified, UtimensatFlags::NoFollowSymlink)?;
    }
    file.sync_all()
}

/// Gives a new file these extended attributes, and no access control list beside.
fn set_attributes(path: &Path, attributes: &[(CString, Vec<u8>)]) -> io::Result<()> {
    // The list that the directory has for new entries is not for this one.
    let inherited = CString::new(xattr::ACL_ACCESS)?;
    if !attributes.iter().any(|(name, _)| *name == inherited)
        && xattr::names(path)?.contains(&inherited)
    {
        xattr::remove(path, &inherited)?;
    }
    attributes.iter().try_for_each(|(name, value)| xattr::set(path, name, value))
}

fn write_in_place(path: &Path, content: &[u8], access: Access) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let options = options.write(true).truncate(true).custom_flags(OFlag::O_NOFOLLOW.bits());
    let mut file = options.open(path)?;
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

pub(super) fn chown(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    Ok(fchownat(AT_FDCWD, path, uid, gid, FchownatFlags::AT_SYMLINK_NOFOLLOW)?)
}

pub(super) fn time_spec(time: Time) -> TimeSpec {
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
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    match File::open(parent).and_then(|parent| parent.sync_all()) {
        // Some file systems cannot sync directories, and need not.
        Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => Ok(()),
        // A directory that may be written but not read: the name is made, and that is what counts.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        done => done,
    }
}
