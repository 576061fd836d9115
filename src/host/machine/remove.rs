//! Takes away files and whole trees.

use super::change::{Before, Effect};
use super::fault::Fault;
use super::live::Manner;
use super::meta::Kind;
use super::path::Follow;
use super::seen::Depth;
use super::{Back, Machine, look};
use crate::host::sys;
use std::path::{Path, PathBuf};

/// What is not removed as a whole, right below `/`: no host can do without it.
const STAYS: [&str; 18] = [
    "bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "proc", "root", "run",
    "sbin", "srv", "sys", "tmp", "usr", "var",
];

impl Machine {
    /// Makes sure that nothing is at `path`: a directory goes with all that is in it, a link goes
    /// alone. Never crosses into another file system or follows a link.
    ///
    /// Errors: `/`, and what every host has right below it; something is mounted inside (nothing is
    /// removed then).
    pub fn remove(&mut self, path: &Path) -> Result<(), Fault> {
        let resolved = self.see(path, Follow::No, Depth::Rights)?;
        if resolved.parent().is_none() {
            return Err(Fault::new("`/` is not removed"));
        }
        if STAYS.iter().any(|name| resolved == Path::new("/").join(name)) {
            let why = format!("`{}` is not removed: no host can do without it", resolved.display());
            return Err(Fault::new(why).hint("name what in it is to go"));
        }
        let mut doomed = Vec::new();
        self.collect(&resolved, &mut doomed)?;
        for path in doomed {
            let found = self.lstat_resolved(&path)?;
            let before = self.before(&path, found.as_ref())?;
            if before != Before::Nothing {
                self.perform(path, Effect::Remove { before }, Manner::Atomic)?;
            }
        }
        Ok(())
    }

    /// Makes sure that no directory is at `path`, links followed. One that holds something stays.
    ///
    /// Errors: it holds something, something is mounted on it, or it is no directory.
    pub fn remove_directory(&mut self, path: &Path) -> Result<(), Fault> {
        let resolved = self.see(path, Follow::Yes, Depth::Content)?;
        let Some(found) = self.lstat_resolved(&resolved)? else { return Ok(()) };
        if found.kind != Kind::Directory {
            let (path, kind) = (path.display(), found.kind.described());
            return Err(Fault::new(format!("{path} is {kind}, and a directory is expected")));
        }
        // What a mount hides, which a dry run would take away, nobody can see yet.
        let is_hidden = sys::flags(&resolved).is_ok_and(|flags| flags.mount_point);
        if !is_hidden && !self.list(&resolved)?.is_empty() {
            let why = format!("the directory {} holds something, and stays", path.display());
            return Err(Fault::new(why));
        }
        let before = self.before(&resolved, Some(&found))?;
        self.perform(resolved, Effect::Remove { before }, Manner::Atomic)
    }

    /// All that is at and below `path`, children before their directory.
    pub(super) fn collect(&self, path: &Path, into: &mut Vec<PathBuf>) -> Result<(), Fault> {
        // A stack of its own: trees are deeper than threads' stacks.
        let mut ahead = vec![(path.to_owned(), Visit::Enter)];
        while let Some((path, visit)) = ahead.pop() {
            if visit == Visit::Leave {
                into.push(path);
                continue;
            }
            let Some(found) = self.lstat_resolved(&path)? else { continue };
            if self.is_mount_point(&path) {
                return Err(Fault::new(format!("something is mounted on {}", path.display()))
                    .hint("unmount it first; nothing was done"));
            }
            ahead.push((path.clone(), Visit::Leave));
            if found.kind == Kind::Directory {
                let mut names = match &self.back {
                    Back::Live => look::list(&path)?,
                    Back::Overlay(overlay) => overlay.list(&path)?,
                };
                names.sort();
                ahead.extend(names.iter().rev().map(|name| (path.join(name), Visit::Enter)));
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    Enter,
    Leave,
}
