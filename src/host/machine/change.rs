//! Effects as data: what was done to the host, or what a dry run foretells.

use super::meta::Stamp;
use super::state::Step;
use crate::host::acl::Acl;
use crate::host::xattr;
use bytes::Bytes;
use std::ffi::CString;
use std::fmt;
use std::path::PathBuf;

/// One effect on the host, with what was before. Shown as a diff, recorded, undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it was done to, links in parent directories resolved. A command's is its program.
    pub path: PathBuf,
    /// What was done.
    pub effect: Effect,
}

/// Who may do what with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Permission bits, up to `0o7777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What was at a path before a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// A file.
    File {
        /// Its bytes; `None` where they are too many to keep or cannot be read.
        content: Option<Bytes>,
        /// How many they are.
        size_bytes: u64,
        /// Its permissions.
        access: Access,
        /// What else is put back with it.
        extras: Extras,
    },
    /// A link to this.
    Link(PathBuf),
    /// A directory.
    Directory(Access),
    /// A pipe, socket or device.
    Special(Access),
}

/// What a file has beside its bytes and permissions.
///
/// Two changes are the same whatever they would put back: a dry run cannot foretell the times of
/// what it has made itself, and so does not compare or show them.
#[derive(Clone, Default, Eq)]
pub struct Extras {
    /// When it was last written; `None` where nobody looked.
    pub modified: Option<Stamp>,
    /// Its extended attributes, ACL and label included.
    pub attributes: Vec<(CString, Vec<u8>)>,
}

impl PartialEq for Extras {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Extras {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Extras")
    }
}

/// The times that a file had, compared and shown as little as [`Extras`] are.
#[derive(Clone, Copy, Eq)]
pub struct Stamps {
    /// Last read.
    pub accessed: Stamp,
    /// Last written.
    pub modified: Stamp,
}

impl PartialEq for Stamps {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Stamps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stamps")
    }
}

/// A time that a file should get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// The one it has.
    Preserve,
    /// The time of the change.
    Now,
    /// This one.
    At(Stamp),
}

/// Which of its two access control lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// That of who may do what with it.
    Access,
    /// That which new entries of a directory get.
    Default,
}

impl List {
    /// The extended attribute that holds it.
    pub(super) fn attribute(self) -> &'static str {
        match self {
            Self::Access => xattr::ACL_ACCESS,
            Self::Default => xattr::ACL_DEFAULT,
        }
    }
}

/// What is done to a path, or run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The file is replaced, or made.
    Write {
        /// What was there.
        before: Before,
        /// The new bytes.
        content: Bytes,
        /// The new permissions.
        access: Access,
        /// What it has beside, where a file is put back as it was.
        restored: Option<Extras>,
    },
    /// A directory is made.
    Mkdir {
        /// Its permissions.
        access: Access,
    },
    /// The permission bits change.
    Mode {
        /// Bits before.
        before: u32,
        /// Bits after.
        after: u32,
    },
    /// Owner or group change.
    Owner {
        /// Permissions before.
        before: Access,
        /// Permissions after; the kernel drops set-id bits of files that change hands.
        after: Access,
    },
    /// Times are set.
    Times {
        /// Those before.
        before: Stamps,
        /// Last read.
        accessed: Time,
        /// Last written.
        modified: Time,
    },
    /// An extended attribute is set or taken away.
    Attribute {
        /// Its name, namespace included.
        name: String,
        /// Its value before.
        before: Option<Bytes>,
        /// Its value after.
        after: Option<Bytes>,
    },
    /// An access control list changes, and the mode with it.
    Acl {
        /// Which.
        list: List,
        /// Its entries before.
        before: Acl,
        /// Its entries after.
        after: Acl,
    },
    /// A symbolic link is made or replaces what was there.
    Symlink {
        /// What was there.
        before: Before,
        /// Where it leads, as written.
        target: PathBuf,
    },
    /// A further name for the file `target`.
    Hardlink {
        /// What was there.
        before: Before,
        /// The file's other name.
        target: PathBuf,
    },
    /// It gets another name, with all that is in it; nothing is there.
    Rename {
        /// The other name, links in parent directories resolved.
        to: PathBuf,
    },
    /// What is there is removed; directories must be empty by then.
    Remove {
        /// What was there.
        before: Before,
    },
    /// Something that is no file is different now: what a program did that was run for it.
    Property {
        /// What it is a property of, such as `package nginx`.
        of: String,
        /// Its name.
        name: &'static str,
        /// Its value before; `None` where it had none.
        before: Option<String>,
        /// Its value after.
        after: Option<String>,
    },
    /// A setting of the running kernel changes.
    Setting {
        /// Its value before.
        before: Bytes,
        /// Its value after.
        after: Bytes,
    },
    /// What is no file comes into another state; what brings that about is known.
    State(Box<Step>),
    /// A command runs; what it does is not known.
    Run {
        /// Program and arguments.
        argv: Vec<String>,
    },
}

impl Effect {
    /// One word for it, as the audit trail names it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Write { before: Before::File { .. }, .. } => "replace",
            Self::Write { .. } => "create",
            Self::Mkdir { .. } => "mkdir",
            Self::Mode { .. } => "mode",
            Self::Owner { .. } => "owner",
            Self::Times { .. } => "times",
            Self::Attribute { .. } => "attribute",
            Self::Acl { .. } => "acl",
            Self::Symlink { .. } => "symlink",
            Self::Hardlink { .. } => "hardlink",
            Self::Rename { .. } => "rename",
            Self::Remove { .. } => "remove",
            Self::Property { .. } => "property",
            Self::Setting { .. } => "setting",
            Self::State(_) => "state",
            Self::Run { .. } => "run",
        }
    }
}
