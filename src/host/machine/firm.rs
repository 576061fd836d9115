//! Opens what a path named when it was resolved, and nothing that was put in its place since.
//!
//! A resolved path holds no link. Whoever owns a directory on the way can put one there between
//! the look and the act, and so lead root to a file of his choice. `openat2` refuses such a link;
//! where the kernel does not have it, the path is taken as it is.

use super::fault::Fault;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

/// Opens `path`, which has been resolved. A link in it, or at its end, is refused.
pub(super) fn open(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        // Containers that do not know the call say that it is forbidden.
        Err(Errno::NOSYS | Errno::PERM) => Ok(openat(CWD, path, flags, Mode::empty())?),
        Err(Errno::LOOP) => {
            Err(io::Error::other("a link was put in its way while it was looked at"))
        }
        opened => Ok(opened?),
    }
}

/// A name in a directory that is held open, so that it stays that directory's.
pub(super) struct Held {
    /// Keeps `path` what it is.
    _directory: Option<OwnedFd>,
    path: PathBuf,
}

impl Held {
    /// Holds the directory of `path`, which has been resolved.
    pub(super) fn new(path: &Path) -> Result<Self, Fault> {
        let named = path.parent().zip(path.file_name());
        let Some((parent, name)) = named.filter(|_| Path::new("/proc/self/fd").exists()) else {
            return Ok(Self { _directory: None, path: path.to_owned() });
        };
        let directory = open(parent, OFlags::PATH | OFlags::DIRECTORY)
            .map_err(|error| Fault::kernel("enter", parent, error))?;
        let path = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
        Ok(Self { _directory: Some(directory), path })
    }

    /// Where the name is reached.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Holds what is at `path` itself, which is no link: to set its mode, say.
pub(super) fn hold(path: &Path) -> io::Result<Held> {
    let file = open(path, OFlags::PATH)?;
    let through = Path::new("/proc/self/fd").join(file.as_raw_fd().to_string());
    let path = if through.exists() { through } else { path.to_owned() };
    Ok(Held { _directory: Some(file), path })
}

#[cfg(test)]
mod tests {
    use crate::host::machine::Machine;
    use crate::host::machine::mode::Mode;
    use crate::host::machine::path::Follow;
    use crate::host::machine::write::{Attributes, WriteOptions};
    use bytes::Bytes;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    /// Swaps the directory `at` for a link to `trap` and back, again and again.
    fn swap(at: &Path, aside: &Path, trap: &Path, is_over: &AtomicBool) {
        while !is_over.load(Ordering::Relaxed) {
            fs::rename(at, aside).unwrap();
            symlink(trap, at).unwrap();
            fs::remove_file(at).unwrap();
            fs::rename(aside, at).unwrap();
        }
    }

    #[test]
    fn a_directory_that_somebody_swaps_for_a_link_leads_nowhere_else() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let [yard, trap] = ["yard", "trap"].map(|name| root.join(name));
        let inner = yard.join("inner");
        fs::create_dir_all(&inner).unwrap();
        fs::create_dir(&trap).unwrap();
        fs::write(trap.join("secret"), "secret").unwrap();
        let bait = fs::metadata(trap.join("secret")).unwrap();
        // The directory is not ours, so that no link in it is to be followed.
        let stranger = nix::unistd::Uid::from_raw(12_345);
        if nix::unistd::chown(&yard, Some(stranger), None).is_err() {
            return; // only root can give it away
        }
        let is_over = AtomicBool::new(false);
        let (mut done, mut refused) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| swap(&inner, &yard.join("aside"), &trap, &is_over));
            let deadline = Instant::now() + Duration::from_secs(20);
            while (done < 20 || refused < 20) && Instant::now() < deadline {
                let mut machine = Machine::live();
                let target = inner.join("secret");
                let attributes =
                    Attributes { mode: Some(Mode::Exact(0o666)), ..Attributes::default() };
                let number = done.to_string();
                let content = Bytes::from(number);
                let options = WriteOptions::default();
                match machine.write_file(&target, &content, &attributes, &options) {
                    Ok(_) => done += 1,
                    Err(_) => refused += 1,
                }
                if let Ok(read) = machine.read(&target) {
                    assert_ne!(read, "secret");
                }
                machine.set_attributes(&target, Follow::No, &attributes).ok();
            }
            is_over.store(true, Ordering::Relaxed);
        });
        assert!(refused > 0 && done > 0, "{done} done, {refused} refused");
        assert_eq!(fs::read_dir(&trap).unwrap().count(), 1);
        assert_eq!(fs::read(trap.join("secret")).unwrap(), b"secret");
        let now = fs::metadata(trap.join("secret")).unwrap();
        use std::os::unix::fs::MetadataExt as _;
        assert_eq!((now.ino(), now.mode()), (bait.ino(), bait.mode()));
    }
}
