//! What an expression may ask of the managed host, for look-ups such as `file` and tests such as
//! `is directory`. Whoever runs tasks supplies it; elsewhere there is none.

use super::call::wrong;
use super::scope::Scope;
use minijinja::{Error, State};
use std::fmt;
use std::path::{Path, PathBuf};

/// The host, for looking only.
pub trait Host: fmt::Debug + Send + Sync {
    /// The bytes of a file.
    fn read(&self, path: &Path) -> Result<Vec<u8>, String>;

    /// What is at `path`; where `follow`, what a link there leads to.
    fn look(&self, path: &Path, follow: bool) -> Result<Option<Seen>, String>;

    /// The names in a directory, sorted.
    fn list(&self, path: &Path) -> Result<Vec<String>, String>;

    /// The path without any links in it.
    fn real_path(&self, path: &Path) -> Result<PathBuf, String>;

    /// What a command of the shell writes to standard output, where it ends well. It is taken to
    /// change nothing.
    fn run(&self, command: &str) -> Result<Vec<u8>, Unanswered>;

    /// Notes that `path` should hold `content`, readable by its owner only. It is written when
    /// the expression has its value; looks see it at once.
    fn keep(&self, path: &Path, content: &str) -> Result<(), String>;

    /// Seconds since the epoch.
    fn now(&self) -> f64;

    /// The directory of the tasks, out of which templates do not lead.
    fn base(&self) -> &Path;

    /// Where relative paths, `files/` and `templates/` are looked for, in this order: a task of a
    /// role has those of the role before [`Self::base`].
    fn places(&self) -> Vec<PathBuf> {
        vec![self.base().to_owned()]
    }
}

/// Why a command gives no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// What it said, or what kept it from running.
    pub why: String,
    /// Whether it is only that it may not write in a dry run.
    pub is_denial: bool,
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// A file, a directory, a link, or something else.
    pub kind: Kind,
    /// Number of the file system that it is on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
}

/// Kinds of things that paths lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A socket, a pipe, a device.
    Other,
}

/// The host, or the complaint of `what` that there is none.
pub(super) fn of(state: &State<'_, '_>, what: &str) -> Result<std::sync::Arc<dyn Host>, Error> {
    in_scope(Scope::of(state).as_ref(), what)
}

/// The same for the host of `scope`.
pub(super) fn in_scope(
    scope: Option<&Scope>,
    what: &str,
) -> Result<std::sync::Arc<dyn Host>, Error> {
    scope.and_then(Scope::host).ok_or_else(|| {
        wrong(format!("`{what}` looks at the host, which only tasks can: use it in a task"))
    })
}

/// A path as an expression has it, relative ones below the host's base.
pub(super) fn path(host: &dyn Host, text: &str) -> PathBuf {
    host.base().join(&*super::filters::path::expand_user(text))
}
