//! An open file's content: its bytes, or what is compressed in them.

use super::position;
use super::unpack::{Guess, Packing, Unpacker};
use rustix::fs::{Mode, OFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many files of a source are open.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenFiles(Arc<AtomicUsize>);

impl OpenFiles {
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A file that is open.
pub(super) struct Content {
    file: Arc<File>,
    packing: Option<Guess>,
    unpacker: Option<Unpacker>,
    open: OpenFiles,
}

impl Drop for Content {
    fn drop(&mut self) {
        self.open.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Which file: device and inode.
pub(super) type Identity = (u64, u64);

impl Content {
    /// Opens a regular file without waiting, whatever stands at its name by now.
    pub(super) fn open(path: &Path, open: &OpenFiles) -> Result<(Self, Identity), Errno> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        let about =
            file.metadata().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        if !about.is_file() {
            return Err(Errno::NOENT);
        }
        open.0.fetch_add(1, Ordering::Relaxed);
        let content =
            Self { file: Arc::new(file), packing: None, unpacker: None, open: open.clone() };
        Ok((content, (about.dev(), about.ino())))
    }

    /// The file itself.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn about(&self) -> Result<Stat, Errno> {
        rustix::fs::fstat(&*self.file)
    }

    /// Looks whether the file is compressed, unless that is known. A file of which too little is
    /// there says [`Guess::Short`].
    pub(super) fn packing(&mut self) -> Result<Guess, Errno> {
        if let Some(known) = self.packing {
            return Ok(known);
        }
        let mut begin = Vec::with_capacity(4);
        position::fill(&*self.file, &mut begin, 0, 4)?;
        let guess = Packing::guess(&begin);
        if guess != Guess::Short {
            self.packing = Some(guess);
        }
        if let Guess::Packed(packing) = guess {
            self.unpacker = Some(Unpacker::new(Arc::clone(&self.file), packing));
        }
        Ok(guess)
    }

    /// Looks anew, since the file has other content.
    pub(super) fn forget_packing(&mut self) {
        self.packing = None;
        self.unpacker = None;
    }

    /// What is known of a compressed file.
    pub(super) fn unpacker(&mut self) -> Option<&mut Unpacker> {
        self.unpacker.as_mut()
    }

    /// Whether closing it would throw away work.
    pub(super) fn is_busy(&self) -> bool {
        self.unpacker.as_ref().is_some_and(Unpacker::is_busy)
    }

    /// Reads `bytes` bytes at `offset` into `data`, which must be empty and have the room; fewer
    /// only at the end.
    pub(super) fn fill(
        &mut self,
        data: &mut Vec<u8>,
        offset: u64,
        bytes: u64,
    ) -> Result<(), Errno> {
        self.packing()?;
        match &mut self.unpacker {
            Some(unpacker) => unpacker.fill(data, offset, bytes),
            None => position::fill(&*self.file, data, offset, bytes),
        }
    }

    /// The bytes at a place; fewer only at the end.
    pub(super) fn read_at(&mut self, offset: u64, bytes: u64) -> Result<Vec<u8>, Errno> {
        let mut data = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0).max(1));
        self.fill(&mut data, offset, bytes)?;
        Ok(data)
    }
}
