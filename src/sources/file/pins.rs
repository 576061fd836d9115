//! Pins: hard links in the data directory that keep a file readable after its name is gone, until
//! all sinks have it, and over a restart.

use super::content::Identity;
use rustix::fs::{AtFlags, CWD};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where the pins of a source are.
#[derive(Debug)]
pub(super) struct Pins {
    /// `None` where nothing is kept over a restart.
    dir: Option<PathBuf>,
}

impl Pins {
    /// For the source with this name.
    pub(super) fn new(data_dir: &Path, name: &str, keeps_state: bool) -> Self {
        Self { dir: keeps_state.then(|| data_dir.join("pins").join(name.replace('/', "_"))) }
    }

    /// Where the file with this number is pinned, if it is.
    pub(super) fn place(&self, key: u64) -> Option<PathBuf> {
        self.dir.as_ref().map(|dir| dir.join(key.to_string()))
    }

    /// Pins an open file. An error is the kernel's: another file system, a file that is not
    /// ours to link (`fs.protected_hardlinks`), or one that has no name at all any more.
    pub(super) fn pin(&self, file: &File, key: u64) -> io::Result<PathBuf> {
        let (Some(dir), Some(place)) = (&self.dir, self.place(key)) else {
            return Err(Errno::OPNOTSUPP.into());
        };
        let open = format!("/proc/self/fd/{}", file.as_raw_fd());
        let link = || rustix::fs::linkat(CWD, &*open, CWD, &place, AtFlags::SYMLINK_FOLLOW);
        match link() {
            Err(Errno::NOENT) if !dir.exists() => {
                fs::create_dir_all(dir)?;
                link()?;
            }
            // What is there may be all that is left of another file.
            Err(Errno::EXIST) if identity(&place) != of(&file.metadata()?) => {
                return Err(Errno::EXIST.into());
            }
            Err(Errno::EXIST) => {}
            other => other?,
        }
        Ok(place)
    }

    /// The numbers of all files that are pinned.
    pub(super) fn all(&self) -> Vec<u64> {
        let entries = self.dir.as_ref().and_then(|dir| fs::read_dir(dir).ok());
        let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
        entries.into_iter().flatten().flatten().filter_map(number).collect()
    }
}

/// Which file a path leads to.
pub(super) fn identity(place: &Path) -> Option<Identity> {
    of(&fs::metadata(place).ok()?)
}

fn of(about: &fs::Metadata) -> Option<Identity> {
    Some((about.dev(), about.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_file_can_be_read_after_its_name_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "text").unwrap();
        let pins = Pins::new(&dir.path().join("data"), "logs.app", true);
        assert_eq!(pins.all(), Vec::<u64>::new());
        let place = pins.pin(&File::open(&path).unwrap(), 7).unwrap();
        pins.pin(&File::open(&path).unwrap(), 7).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "another file").unwrap();
        assert!(pins.pin(&File::open(&path).unwrap(), 7).is_err());
        assert_eq!(fs::read_to_string(place).unwrap(), "text");
        assert_eq!(pins.all(), [7]);
        let none = Pins::new(dir.path(), "logs.app", false);
        assert!(none.pin(&File::open(pins.place(7).unwrap()).unwrap(), 1).is_err());
    }
}
