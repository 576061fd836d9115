//! What tasks ask for: files, directories, links, permissions. Each compares first.

use super::accounts::own_ids;
use super::change::{Access, Before, Effect, Stamps, Time};
use super::command::{Command, Output};
use super::draft::Draft;
use super::fault::Fault;
use super::live::Manner;
use super::meta::{Kind, Meta};
use super::mode::Mode;
use super::path::Follow;
use super::seen::Depth;
use super::{Back, Machine};
use crate::host::sandbox::Sandbox;
use bytes::Bytes;
use std::path::{Path, PathBuf};

/// Permissions that something should have; what is `None` stays, or is the usual for new things.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits.
    pub mode: Option<Mode>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
}

/// How a file is written.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Where a link is at the path, write what it leads to; else the link is replaced by a file.
    pub follow: bool,
    /// A command that must succeed with the new content; `%s` in it is the file to look at.
    pub validate: Option<Vec<String>>,
    /// Where the file cannot be renamed over since something is mounted on it: write in place.
    pub unsafe_writes: bool,
    /// Keep the old file beside the new one.
    pub backup: bool,
}

/// What came of a write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The file with the old content, where one was asked for and needed.
    pub backup: Option<PathBuf>,
}

impl Machine {
    /// Makes sure that the file `path` holds `content` with these permissions.
    ///
    /// Errors: a directory or something that is no file is there, `validate` objects, and
    /// whatever stands in the way of writing.
    pub fn write_file(
        &mut self,
        path: &Path,
        content: &Bytes,
        attributes: &Attributes,
        options: &WriteOptions,
    ) -> Result<Written, Fault> {
        let follow = if options.follow { Follow::Yes } else { Follow::No };
        let resolved = self.see(path, follow, Depth::Content)?;
        let found = self.lstat_resolved(&resolved)?;
        match found.as_ref().map(|found| found.kind) {
            None | Some(Kind::File | Kind::Link) => {}
            Some(kind) => {
                let (path, kind) = (path.display(), kind.described());
                return Err(Fault::new(format!("{path} is {kind}, and a file is expected")));
            }
        }
        let file = found.as_ref().filter(|found| found.kind == Kind::File);
        if let Some(file) = file
            && file.size_bytes == content.len() as u64
            && self.read_resolved(&resolved, file.size_bytes)? == content
        {
            self.set_attributes(&resolved, Follow::No, attributes)?;
            return Ok(Written::default());
        }
        let access = match file {
            Some(file) => attributes.over(file.access(), Kind::File, self.umask),
            None => self.birth(&resolved, Kind::File, attributes)?,
        };
        let manner = if options.unsafe_writes { Manner::InPlaceIfMounted } else { Manner::Atomic };
        let before = self.before(&resolved, found.as_ref())?;
        let effect = Effect::Write { before, content: content.clone(), access, restored: None };
        let verdict = match &options.validate {
            Some(validate) => self.validate(validate, content),
            None => Ok(()),
        };
        // Where the verdict is unknown, later tasks do best to count on the new content.
        let unknown = match verdict {
            Err(fault) if fault.is_denial => Some(fault),
            verdict => verdict.map(|()| None)?,
        };
        let backup = match file {
            Some(file) if options.backup => Some(self.back_up(&resolved, file)?),
            _ => None,
        };
        self.perform(resolved, effect, manner)?;
        unknown.map_or(Ok(Written { backup }), Err)
    }

    /// Copies a file to a dated name beside it.
    fn back_up(&mut self, path: &Path, found: &Meta) -> Result<PathBuf, Fault> {
        let content = self.read_resolved(path, found.size_bytes)?;
        let seconds = self.now().seconds;
        let date = chrono::DateTime::from_timestamp(seconds, 0).unwrap_or_default();
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}.{}~", std::process::id(), date.format("%Y-%m-%d@%H:%M:%S")));
        let backup = PathBuf::from(name);
        let (before, access, restored) = (Before::Nothing, found.access(), None);
        let effect = Effect::Write { before, content, access, restored };
        self.perform(backup.clone(), effect, Manner::Atomic)?;
        Ok(backup)
    }

    fn validate(&self, argv: &[String], content: &Bytes) -> Result<(), Fault> {
        let shown = argv.join(" ");
        if !argv.iter().any(|word| word.contains("%s")) {
            return Err(Fault::new(format!("`validate` must hold `%s`, and is `{shown}`")));
        }
        let output = self.guard_content(argv, content)?;
        if output.is_success() {
            return Ok(());
        }
        let said = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
        let said = String::from_utf8_lossy(said);
        let how = output.how_it_ended();
        let said = said.trim();
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        let why = format!("`{shown}` objects to the new content ({how}){said}");
        if self.is_dry_run() && !self.journal.is_empty() {
            // It may be that it misses what is foretold: it has looked at the host as it is.
            let why = format!("{why}; it does not see what tasks before it would change");
            return Err(Fault::denied(why));
        }
        Err(Fault::new(why))
    }

    /// Runs a command that looks at new content before it takes effect; `%s` in it is a file with
    /// that content. It lives in memory only, so that a dry run leaves no trace; within one nobody
    /// else sees it.
    ///
    /// Errors: those of [`Machine::guard`].
    pub fn guard_content(&self, argv: &[String], content: &Bytes) -> Result<Output, Fault> {
        let scratch = self.sandbox.as_ref().and_then(Sandbox::scratch);
        let draft = match scratch {
            // What the walls of a dry run let a guard read.
            Some(scratch) => Draft::within(scratch, content)?,
            None => Draft::in_memory(content)?,
        };
        let argv = argv.iter().map(|word| word.replace("%s", &draft.path)).collect();
        self.guard(&Command { argv, ..Command::default() })
    }

    /// Makes sure that `path` is a directory; its parent must be one. `attributes` count for a
    /// new directory only.
    pub fn mkdir(&mut self, path: &Path, attributes: &Attributes) -> Result<(), Fault> {
        let resolved = self.see(path, Follow::Yes, Depth::Rights)?;
        match self.lstat_resolved(&resolved)? {
            Some(found) if found.kind == Kind::Directory => Ok(()),
            Some(found) => {
                let (path, kind) = (path.display(), found.kind.described());
                Err(Fault::new(format!("{path} is {kind}, and a directory is expected")))
            }
            None => {
                let access = self.birth(&resolved, Kind::Directory, attributes)?;
                self.perform(resolved, Effect::Mkdir { access }, Manner::Atomic)
            }
        }
    }

    /// Gives what is at `path` the name `to`, with all that is in it. On another file system that is a
    /// copy, after which what is at `path` goes.
    ///
    /// Errors: nothing is at `path`, or something at `to`; something is mounted in what would be copied,
    /// or there is no room for it.
    pub fn rename(&mut self, path: &Path, to: &Path) -> Result<(), Fault> {
        let from = self.see(path, Follow::No, Depth::Rights)?;
        let to = self.see(to, Follow::No, Depth::Rights)?;
        if self.lstat_resolved(&from)?.is_none() {
            return Err(self.absence(format!("there is nothing at {}", path.display())));
        }
        if self.lstat_resolved(&to)?.is_some() {
            return Err(Fault::new(format!("there is something at {}", to.display())));
        }
        if to.starts_with(&from) {
            let (from, to) = (from.display(), to.display());
            return Err(Fault::new(format!("{to} is within {from}")));
        }
        self.perform(from, Effect::Rename { to }, Manner::Atomic)
    }

    /// Makes sure that `path` is a symbolic link to `target`, as written. A file or another link
    /// there is replaced.
    pub fn symlink(&mut self, path: &Path, target: &Path) -> Result<(), Fault> {
        let resolved = self.see(path, Follow::No, Depth::Rights)?;
        let found = self.lstat_resolved(&resolved)?;
        let before = self.before(&resolved, found.as_ref())?;
        match &before {
            Before::Link(now) if now == target => return Ok(()),
            Before::Directory(_) => {
                return Err(Fault::new(format!("{} is a directory", path.display())));
            }
            _ => {}
        }
        let effect = Effect::Symlink { before, target: target.to_owned() };
        self.perform(resolved, effect, Manner::Atomic)
    }

    /// Makes sure that `path` is a further name of the file `source`.
    pub fn hard_link(&mut self, path: &Path, source: &Path) -> Result<(), Fault> {
        let target = self.see(source, Follow::Yes, Depth::Content)?;
        let Some(origin) = self.lstat_resolved(&target)? else {
            return Err(self.absence(format!("there is no file {}", source.display())));
        };
        if origin.kind == Kind::Directory {
            let source = source.display();
            return Err(Fault::new(format!(
                "{source} is a directory, and those have no hard links"
            )));
        }
        let resolved = self.see(path, Follow::No, Depth::Content)?;
        let found = self.lstat_resolved(&resolved)?;
        match &found {
            Some(found) if found.inode == origin.inode => return Ok(()),
            Some(found) if found.kind == Kind::Directory => {
                return Err(Fault::new(format!("{} is a directory", path.display())));
            }
            _ => {}
        }
        let before = self.before(&resolved, found.as_ref())?;
        self.perform(resolved, Effect::Hardlink { before, target }, Manner::Atomic)
    }

    /// Makes sure that what is at `path` has these permissions. A link itself has no mode.
    pub fn set_attributes(
        &mut self,
        path: &Path,
        follow: Follow,
        attributes: &Attributes,
    ) -> Result<(), Fault> {
        let resolved = self.see(path, follow, Depth::Rights)?;
        let Some(found) = self.lstat_resolved(&resolved)? else {
            return Err(self.absence(format!("there is nothing at {}", path.display())));
        };
        let before = found.access();
        let mut after = before;
        after.uid = attributes.uid.unwrap_or(before.uid);
        after.gid = attributes.gid.unwrap_or(before.gid);
        if after != before {
            if found.kind == Kind::File {
                let set_gid = if before.mode & 0o010 != 0 { 0o2000 } else { 0 };
                after.mode &= !(0o4000 | set_gid); // the kernel does so when a file changes hands
            }
            self.perform(resolved.clone(), Effect::Owner { before, after }, Manner::Atomic)?;
        }
        if found.kind == Kind::Link {
            return Ok(());
        }
        let wanted = attributes.over(Access { mode: before.mode, ..after }, found.kind, self.umask);
        let keeps_mode = attributes.mode.is_none();
        if wanted.mode != after.mode && !keeps_mode {
            let effect = Effect::Mode { before: after.mode, after: wanted.mode };
            self.perform(resolved, effect, Manner::Atomic)?;
        }
        Ok(())
    }

    /// Sets the times of what is at `path`. A time that is already right is left alone.
    pub fn set_times(
        &mut self,
        path: &Path,
        follow: Follow,
        accessed: Time,
        modified: Time,
    ) -> Result<(), Fault> {
        let leaves_them = (accessed, modified) == (Time::Preserve, Time::Preserve);
        let depth = if leaves_them { Depth::Rights } else { Depth::Content };
        let resolved = self.see(path, follow, depth)?;
        let Some(found) = self.lstat_resolved(&resolved)? else {
            return Err(self.absence(format!("there is nothing at {}", path.display())));
        };
        let needed = |time, now| if time == Time::At(now) { Time::Preserve } else { time };
        let accessed = needed(accessed, found.accessed);
        let modified = needed(modified, found.modified);
        if (accessed, modified) == (Time::Preserve, Time::Preserve) {
            return Ok(());
        }
        let before = Stamps { accessed: found.accessed, modified: found.modified };
        let effect = Effect::Times { before, accessed, modified };
        self.perform(resolved, effect, Manner::Atomic)
    }

    /// The permissions of something new at `path`: ours and the umask's, or of a set-gid parent.
    fn birth(&self, path: &Path, kind: Kind, attributes: &Attributes) -> Result<Access, Fault> {
        let (uid, gid) = own_ids();
        let bits = if kind == Kind::Directory { 0o777 } else { 0o666 };
        let mut access = Access { mode: bits & !self.umask, uid, gid };
        let parent = path.parent().map(|parent| self.lstat_resolved(parent)).transpose()?.flatten();
        if let Some(parent) = parent.filter(|parent| parent.mode & 0o2000 != 0) {
            access.gid = parent.gid;
            if kind == Kind::Directory {
                access.mode |= 0o2000;
            }
        }
        Ok(attributes.over(access, kind, self.umask))
    }

    /// What `work` changes is left out of sight of this machine: it sees a fork. The journal of
    /// the fork is what `work` would have done.
    pub fn without_effect<R>(&mut self, work: impl FnOnce(&mut Self) -> R) -> (R, Self) {
        let mut fork = self.fork();
        let result = work(&mut fork);
        self.note_seen(fork.take_seen());
        debug_assert!(matches!(fork.back, Back::Overlay(_)), "a fork has no effect");
        (result, fork)
    }
}

impl Attributes {
    /// These over what is there.
    fn over(&self, now: Access, kind: Kind, umask: u32) -> Access {
        Access {
            mode: self.mode.as_ref().map_or(now.mode, |mode| mode.resolve(now.mode, kind, umask)),
            uid: self.uid.unwrap_or(now.uid),
            gid: self.gid.unwrap_or(now.gid),
        }
    }
}
