//! The only way to look at or change the managed host.
//!
//! A machine has two backs. The *live* one does what it is told. The *overlay* (dry run) records
//! it, and later looks see the recorded effects, so that what a dry run shows is what apply will
//! do. Everything is compared before it is written: what is as it should be is left alone, and an
//! effect is only ever what really happened. Each effect is a [`change::Change`] in the journal.
//!
//! Synchronous: meant for a thread of its own.

mod account_files;
mod accounts;
mod as_user;
#[cfg(test)]
mod both_backs;
mod carry;
pub mod change;
pub mod command;
pub mod diff;
mod draft;
mod extended;
pub mod fault;
mod firm;
mod foretell;
mod http;
mod live;
mod look;
pub mod meta;
pub mod mode;
mod network;
mod overlay;
pub mod packages;
mod passwords;
pub mod path;
mod properties;
mod remove;
pub mod rights;
pub mod seen;
mod space;
pub mod state;
pub mod temporary;
mod undo;
pub mod wait;
pub mod write;

use crate::event::secret::Masker;
use crate::host::accounts::entries::User;
use crate::host::sandbox::Sandbox;
use crate::host::xattr;
use accounts::Names;
use bytes::Bytes;
use change::{Access, Before, Change, Effect, Extras};
use fault::Fault;
use meta::{Kind, Meta, Stamp};
use overlay::Overlay;
use path::{Follow, Walk};
use seen::{Depth, Seen};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wait::Limit;

/// For so long directories are taken to stay where they are.
const STEADY: Duration = Duration::from_millis(20);

/// Files up to this are kept in the journal with their bytes, larger ones without.
const KEPT_BYTES: u64 = 16 << 20;

/// The host, or the host as it would be. See the module.
pub struct Machine {
    back: Back,
    journal: Vec<Change>,
    seen: RefCell<Seen>,
    /// Where directories are, until something changes or a moment has passed.
    directories: RefCell<HashMap<PathBuf, Walk>>,
    /// When the first of them was found.
    directories_since: Cell<Option<Instant>>,
    /// What was there when it was last looked, for so long: a task asks the same again and again.
    last_look: RefCell<Option<(PathBuf, Option<Meta>)>>,
    /// Who is called what, until something changes.
    names: RefCell<Names>,
    umask: u32,
    masker: Masker,
    /// What relative paths are below.
    base: Option<PathBuf>,
    /// Whom programs run as, where that is not this process's user.
    user: Option<User>,
    on_change: Option<OnChange>,
    /// What keeps a dry run from writing; it binds the thread.
    sandbox: Option<Sandbox>,
    /// Whether commands run in a dry run too.
    runs_commands: bool,
    /// Whether commands were foretold, so that the host may hold by then what it does not now.
    has_unknown_effects: bool,
    /// How long programs and waits may take.
    limit: Option<Limit>,
}

/// Called before an effect on the host; an error keeps it from happening.
pub type OnChange = Box<dyn FnOnce() -> Result<(), Fault> + Send>;

#[derive(Clone)]
enum Back {
    Live,
    Overlay(Overlay),
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let back = if self.is_dry_run() { "overlay" } else { "live" };
        f.debug_struct("Machine").field("back", &back).field("journal", &self.journal).finish()
    }
}

impl Machine {
    fn with(back: Back, umask: u32) -> Self {
        Self {
            back,
            journal: Vec::new(),
            seen: RefCell::default(),
            directories: RefCell::default(),
            directories_since: Cell::default(),
            last_look: RefCell::default(),
            names: RefCell::default(),
            umask,
            masker: Masker::default(),
            base: None,
            user: None,
            on_change: None,
            sandbox: None,
            runs_commands: false,
            has_unknown_effects: false,
            limit: None,
        }
    }

    /// The host itself.
    pub fn live() -> Self {
        Self::with(Back::Live, umask())
    }

    /// A dry run over the host as it is now.
    pub fn overlay() -> Self {
        Self::with(Back::Overlay(Overlay::default()), umask())
    }

    /// The same, with the calling thread shut in for good: neither a bug nor a command can change
    /// the host, as far as the kernel can see to that.
    pub fn shut_in() -> Self {
        Self { sandbox: Some(Sandbox::enter()), ..Self::overlay() }
    }

    /// From now on refuses commands with a secret among their arguments, where every user of the
    /// host could read it.
    pub fn refuse_secrets(&mut self, masker: Masker) {
        self.masker = masker;
    }

    /// Has `hook` called once, before the next effect on the host. A dry run has none.
    pub fn before_next_change(&mut self, hook: Option<OnChange>) {
        self.on_change = hook;
    }

    /// Something is about to be done to the host.
    fn announce(&mut self) -> Result<(), Fault> {
        match self.on_change.take_if(|_| matches!(self.back, Back::Live)) {
            Some(hook) => hook(),
            None => Ok(()),
        }
    }

    /// A dry run that starts from what this machine knows, for a task that must only look.
    pub fn fork(&self) -> Self {
        let back = match &self.back {
            Back::Live => Back::Overlay(Overlay::default()),
            Back::Overlay(overlay) => Back::Overlay(overlay.clone()),
        };
        Self {
            masker: self.masker.clone(),
            base: self.base.clone(),
            sandbox: self.sandbox.clone(),
            has_unknown_effects: self.has_unknown_effects,
            limit: self.limit,
            ..Self::with(back, self.umask)
        }
    }

    /// Takes over what `other`, which this one is a fork of, has foretold since it had `from`
    /// effects. That costs what those few do, where another fork would copy all of them.
    pub fn follow(&mut self, other: &Self, from: usize) -> Result<(), Fault> {
        self.forget_looks();
        self.has_unknown_effects = other.has_unknown_effects;
        if let Back::Overlay(overlay) = &mut self.back {
            for change in other.journal.get(from..).unwrap_or_default() {
                overlay.record(change)?;
            }
        }
        Ok(())
    }

    /// Whether effects are only recorded. For reports; tasks must not ask.
    pub fn is_dry_run(&self) -> bool {
        matches!(self.back, Back::Overlay(_))
    }

    /// All effects so far, oldest first.
    pub fn journal(&self) -> &[Change] {
        &self.journal
    }

    /// What time it is.
    pub fn now(&self) -> Stamp {
        Stamp::now()
    }

    /// What is at `path`; `None` where nothing is.
    pub fn stat(&self, path: &Path, follow: Follow) -> Result<Option<Meta>, Fault> {
        let resolved = self.see(path, follow, Depth::Rights)?;
        self.lstat_resolved(&resolved)
    }

    /// The bytes of the file at `path`, links followed.
    pub fn read(&self, path: &Path) -> Result<Bytes, Fault> {
        let resolved = self.see(path, Follow::Yes, Depth::Content)?;
        match self.lstat_resolved(&resolved)? {
            None => Err(self.absence(format!("there is no file {}", path.display()))),
            // Opening a pipe would wait for a writer that may never come.
            Some(Meta { kind: Kind::File, size_bytes, .. }) => {
                self.read_resolved(&resolved, size_bytes)
            }
            Some(found) => {
                let kind = found.kind.described();
                Err(Fault::new(format!("{} is {kind}, and a file is expected", path.display())))
            }
        }
    }

    /// The content of the file at `path`, links followed, piece by piece: for files that may be
    /// too large to hold.
    pub fn reader(&self, path: &Path) -> Result<Box<dyn std::io::Read>, Fault> {
        let resolved = self.see(path, Follow::Yes, Depth::Content)?;
        match (&self.back, self.lstat_resolved(&resolved)?) {
            (Back::Live, Some(Meta { kind: Kind::File, .. })) => look::open(&resolved),
            (Back::Overlay(overlay), Some(Meta { kind: Kind::File, .. })) => {
                overlay.open(&resolved)
            }
            _ => self.read(path).map(|bytes| Box::new(std::io::Cursor::new(bytes)) as _),
        }
    }

    /// The names in the directory `path`, sorted.
    pub fn list(&self, path: &Path) -> Result<Vec<OsString>, Fault> {
        let resolved = self.see(path, Follow::Yes, Depth::Content)?;
        match self.lstat_resolved(&resolved)? {
            None => {
                return Err(self.absence(format!("there is no directory {}", path.display())));
            }
            Some(found) if found.kind != Kind::Directory => {
                let (path, kind) = (path.display(), found.kind.described());
                return Err(Fault::new(format!("{path} is {kind}, and a directory is expected")));
            }
            Some(_) => {}
        }
        let mut names = match &self.back {
            Back::Live => look::list(&resolved)?,
            Back::Overlay(overlay) => overlay.list(&resolved)?,
        };
        names.sort();
        Ok(names)
    }

    /// Where the link `path` leads, as written.
    pub fn read_link(&self, path: &Path) -> Result<PathBuf, Fault> {
        let resolved = self.see(path, Follow::No, Depth::Rights)?;
        self.read_link_resolved(&resolved)
    }

    fn lstat_resolved(&self, path: &Path) -> Result<Option<Meta>, Fault> {
        let mut last = self.last_look.borrow_mut();
        if let Some((_, found)) = last.as_ref().filter(|(known, _)| known == path) {
            return Ok(found.clone());
        }
        let found = match &self.back {
            Back::Live => look::lstat(path)?,
            Back::Overlay(overlay) => overlay.lstat(path)?,
        };
        *last = Some((path.to_owned(), found.clone()));
        Ok(found)
    }

    fn read_resolved(&self, path: &Path, size_bytes: u64) -> Result<Bytes, Fault> {
        match &self.back {
            Back::Live => look::read(path, size_bytes),
            Back::Overlay(overlay) => overlay.read(path),
        }
    }

    fn read_link_resolved(&self, path: &Path) -> Result<PathBuf, Fault> {
        match &self.back {
            Back::Live => look::read_link(path),
            Back::Overlay(overlay) => overlay.read_link(path),
        }
    }

    /// What the journal keeps of `found` at `path`.
    fn before(&self, path: &Path, found: Option<&Meta>) -> Result<Before, Fault> {
        let Some(found) = found else { return Ok(Before::Nothing) };
        let access = found.access();
        Ok(match found.kind {
            Kind::File => {
                let kept = found.size_bytes <= KEPT_BYTES;
                let content =
                    if kept { self.read_resolved(path, found.size_bytes).ok() } else { None };
                let attributes = match &self.back {
                    Back::Live => xattr::all(path).unwrap_or_default(),
                    Back::Overlay(_) => Vec::new(),
                };
                let extras = Extras { modified: Some(found.modified), attributes };
                Before::File { content, size_bytes: found.size_bytes, access, extras }
            }
            Kind::Link => Before::Link(self.read_link_resolved(path)?),
            Kind::Directory => Before::Directory(access),
            Kind::Fifo | Kind::Socket | Kind::Device => Before::Special(access),
        })
    }

    /// What was looked up may be different from now on: for who knows of a change that this machine
    /// has not made.
    pub fn forget_looks(&mut self) {
        self.look_anew();
        self.directories.get_mut().clear();
        self.directories_since.take();
        *self.names.get_mut() = Names::default();
    }

    /// Things may be different from now on: time has passed, or another task begins. Directories are
    /// taken to stay where they are for a moment, since tasks in a row are about the same ones; what
    /// is read or written goes by the way that was found, or fails where a link is in it now.
    pub fn look_anew(&self) {
        self.last_look.take();
        if self.directories_since.get().is_some_and(|since| since.elapsed() > STEADY) {
            self.directories.borrow_mut().clear();
            self.directories_since.take();
        }
    }

    /// Does or records one effect that is known to be needed. Both backs first ask whether it can
    /// succeed, so that a dry run fails where apply would, in the same words.
    fn perform(
        &mut self,
        path: PathBuf,
        effect: Effect,
        manner: live::Manner,
    ) -> Result<(), Fault> {
        let change = Change { path, effect };
        self.foretell(&change, manner)?;
        self.announce()?;
        self.forget_looks();
        match &mut self.back {
            Back::Live => live::perform(&change, manner)?,
            Back::Overlay(overlay) => overlay.record(&change)?,
        }
        self.journal.push(change);
        Ok(())
    }
}

impl Meta {
    /// Who may do what with it.
    pub fn access(&self) -> Access {
        Access { mode: self.mode, uid: self.uid, gid: self.gid }
    }
}

/// The umask of this process. Asking the kernel by the usual call would set it.
fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    line.and_then(|digits| u32::from_str_radix(digits.trim(), 8).ok()).unwrap_or(0o022)
}
