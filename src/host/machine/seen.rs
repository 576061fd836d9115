//! What was looked at, and how closely: what a task depends on.

use super::Machine;
use super::change::Effect;
use super::fault::Fault;
use super::path::Follow;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

/// How closely something was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// Whether it is there, of which kind, whose, and who may do what with it.
    Rights,
    /// All there is to it; of a directory, the names in it.
    Content,
}

/// Paths that were looked at, as named and as resolved.
pub type Seen = BTreeMap<PathBuf, Depth>;

/// Counts `path` among what was looked at so closely.
pub fn note(seen: &mut Seen, path: &Path, depth: Depth) {
    match seen.get_mut(path) {
        Some(known) => *known = depth.max(*known),
        None => drop(seen.insert(path.to_owned(), depth)),
    }
}

impl Machine {
    /// What was looked at since the last call: what the tasks in between depend on.
    pub fn take_seen(&mut self) -> Seen {
        self.look_anew();
        self.seen.take()
    }

    /// Counts `more` among what was looked at.
    pub fn note_seen(&self, more: Seen) {
        let mut seen = self.seen.borrow_mut();
        if seen.is_empty() {
            *seen = more;
        } else {
            more.iter().for_each(|(path, depth)| note(&mut seen, path, *depth));
        }
    }

    /// Whether somebody else has changed by now what was made or removed by the effects from number
    /// `from` on.
    pub fn is_overtaken(&self, from: usize) -> bool {
        let effects = self.journal().get(from..).unwrap_or_default();
        let latest: HashMap<&Path, &Effect> = effects
            .iter()
            .filter(|change| makes_or_removes(&change.effect))
            .map(|change| (change.path.as_path(), &change.effect))
            .collect();
        latest.into_iter().any(|(path, effect)| match effect {
            Effect::Write { content, .. } => fs::read(path).ok().as_deref() != Some(&content[..]),
            Effect::Symlink { target, .. } => fs::read_link(path).ok().as_ref() != Some(target),
            Effect::Mkdir { .. } => !path.is_dir(),
            _ => path.symlink_metadata().is_ok(),
        })
    }

    /// Resolves a path that is looked at, and remembers it.
    pub(super) fn see(&self, path: &Path, follow: Follow, depth: Depth) -> Result<PathBuf, Fault> {
        let path = &*self.absolute(path)?;
        let resolved = self.resolve(path, follow)?;
        let mut seen = self.seen.borrow_mut();
        if resolved != path {
            // On the way there it is a link, which is read.
            note(&mut seen, path, Depth::Rights);
        }
        note(&mut seen, &resolved, depth);
        Ok(resolved)
    }
}

fn makes_or_removes(effect: &Effect) -> bool {
    use Effect::{Mkdir, Remove, Rename, Symlink, Write};
    matches!(effect, Write { .. } | Symlink { .. } | Mkdir { .. } | Remove { .. } | Rename { .. })
}
