//! What is at a path: kind, mode, owner, times.

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

/// What kind of thing a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A block or character device.
    Device,
}

impl Kind {
    /// What a user calls it, with its article.
    pub fn described(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Directory => "a directory",
            Self::Link => "a symbolic link",
            Self::Fifo => "a named pipe",
            Self::Socket => "a socket",
            Self::Device => "a device",
        }
    }
}

/// A point in time as the kernel keeps it: seconds and nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// Seconds since the epoch.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanoseconds: i64,
}

/// Which inode: device and number. Those of files that a dry run made have device 0.
pub type Inode = (u64, u64);

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// What kind of thing.
    pub kind: Kind,
    /// Permission bits with set-id and sticky bits: up to `0o7777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes in it.
    pub size_bytes: u64,
    /// Last read.
    pub accessed: Stamp,
    /// Last written.
    pub modified: Stamp,
    /// Its inode last changed: content, names or permissions.
    pub changed: Stamp,
    /// Which inode, so that hard links can be told.
    pub inode: Inode,
    /// How many names it has.
    pub links: u64,
    /// Space on the disk, in blocks of 512 bytes.
    pub blocks: u64,
    /// What the file system likes to read at a time, in bytes.
    pub block_bytes: u64,
    /// Which device it stands for, where it is one.
    pub device: u64,
    /// Whether it is a device of characters, not of blocks.
    pub is_char_device: bool,
}

impl From<&Metadata> for Meta {
    fn from(found: &Metadata) -> Self {
        let kind = match found.file_type() {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_dir() => Kind::Directory,
            kind if kind.is_symlink() => Kind::Link,
            kind if kind.is_fifo() => Kind::Fifo,
            kind if kind.is_socket() => Kind::Socket,
            _ => Kind::Device,
        };
        Self {
            kind,
            mode: found.mode() & 0o7777,
            uid: found.uid(),
            gid: found.gid(),
            size_bytes: found.size(),
            accessed: Stamp { seconds: found.atime(), nanoseconds: found.atime_nsec() },
            modified: Stamp { seconds: found.mtime(), nanoseconds: found.mtime_nsec() },
            changed: Stamp { seconds: found.ctime(), nanoseconds: found.ctime_nsec() },
            inode: (found.dev(), found.ino()),
            links: found.nlink(),
            blocks: found.blocks(),
            block_bytes: found.blksize(),
            device: found.rdev(),
            is_char_device: found.file_type().is_char_device(),
        }
    }
}

impl Stamp {
    /// Seconds since the epoch with their fraction, as Python tells times.
    pub fn as_seconds(self) -> f64 {
        self.seconds as f64 + self.nanoseconds as f64 / 1e9
    }

    /// The host's clock.
    pub(super) fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let since = since.unwrap_or_default();
        Self {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: i64::from(since.subsec_nanos()),
        }
    }
}
