//! Appending: all of it or nothing, and safe when it says so.

use crate::topology::component::Fault;
use indexmap::IndexMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Files that are kept open; the one that was used least recently is closed first.
const MOST_OPEN: usize = 64;

/// What is promised of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Safety {
    /// Permissions of a new file.
    pub(super) mode: u32,
    /// Whether the disk must have it.
    pub(super) sync: bool,
}

/// Appends to files by path.
#[derive(Debug)]
pub(super) struct Appender {
    safety: Safety,
    /// What a file begins with.
    header: Vec<u8>,
    /// The last used last.
    open: IndexMap<String, Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    identity: (u64, u64),
}

impl Appender {
    pub(super) fn new(safety: Safety, header: Vec<u8>) -> Self {
        Self { safety, header, open: IndexMap::new() }
    }

    /// Appends all of `body` or nothing. A file is kept open only while nothing goes wrong.
    pub(super) fn append(&mut self, path: &str, body: &[u8]) -> Result<(), Fault> {
        let fault = |error: io::Error| Fault::passing(format!("append to {path}: {error}"));
        let open = match self.open.shift_remove(path).filter(|open| open.is_at(path)) {
            Some(open) => open,
            None => self.make(path).map_err(fault)?,
        };
        self.write(&open, body).map_err(fault)?;
        if self.open.len() >= MOST_OPEN {
            self.open.shift_remove_index(0);
        }
        self.open.insert(path.to_owned(), open);
        Ok(())
    }

    fn write(&self, open: &Open, body: &[u8]) -> io::Result<()> {
        let before = open.file.metadata()?.len();
        let header = if before == 0 { &*self.header } else { &[] };
        let mut file = &open.file;
        let written = file
            .write_all(header)
            .and_then(|()| file.write_all(body))
            .and_then(|()| if self.safety.sync { file.sync_data() } else { Ok(()) });
        if written.is_err() {
            take_back(file, before, header.len() + body.len());
        }
        written
    }

    fn make(&self, path: &str) -> io::Result<Open> {
        let path = Path::new(path);
        let open = || {
            OpenOptions::new()
                .append(true)
                .create(true)
                .mode(self.safety.mode)
                // Whatever stands there, opening it must not wait.
                .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY)
                .open(path)
        };
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let file = match (open(), dir) {
            (Err(error), Some(dir)) if error.kind() == io::ErrorKind::NotFound => {
                DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
                open()?
            }
            (opened, _) => opened?,
        };
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        if self.safety.sync && about.len() == 0 {
            // The name must be as safe as what is written under it.
            File::open(dir.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(Open { file, identity: (about.dev(), about.ino()) })
    }
}

impl Open {
    /// Whether the path still leads to this file.
    fn is_at(&self, path: &str) -> bool {
        fs::metadata(path).is_ok_and(|about| (about.dev(), about.ino()) == self.identity)
    }
}

/// Takes a partial write back, unless somebody else has written behind it.
fn take_back(file: &File, before: u64, most: usize) {
    let Ok(now) = file.metadata().map(|about| about.len()) else { return };
    if now > before && now - before <= most as u64 {
        // Where this fails too, lines stand there twice after the next attempt: better than none.
        file.set_len(before).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_write_is_taken_back_and_what_others_wrote_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "old\nhal").unwrap();
        let file = OpenOptions::new().append(true).open(&path).unwrap();
        take_back(&file, 4, 5);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old\n");
        fs::write(&path, "old\nsomebody else's line\n").unwrap();
        take_back(&file, 4, 5);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old\nsomebody else's line\n");
    }

    #[test]
    fn the_number_of_open_files_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let mut appender = Appender::new(Safety { mode: 0o600, sync: false }, Vec::new());
        for round in 0..2 {
            for number in 0..MOST_OPEN + 10 {
                let path = dir.path().join(number.to_string());
                appender.append(path.to_str().unwrap(), b"x").unwrap();
                assert!(appender.open.len() <= MOST_OPEN);
                assert_eq!(fs::metadata(path).unwrap().len(), round + 1);
            }
        }
    }
}
