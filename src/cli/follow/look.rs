//! One look at the repository: fetch, check, lay out.

use super::state::Waiting;
use crate::host::clock;
use crate::net::git::settings::{Rewind, Settings};
use crate::net::git::{About, Failure, Reason, Store, Tip, fingerprint, remove};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Where the files of a commit are.
pub(super) fn place(dir: &Path, commit: &str) -> PathBuf {
    dir.join("revisions").join(commit)
}

/// What a look needs to know.
pub(in crate::cli) struct Look {
    pub(super) settings: Settings,
    pub(super) dir: PathBuf,
    /// The commit that is active, if it is one of what is followed: the history must contain it.
    pub(super) active: Option<String>,
    /// The commit that was refused.
    pub(super) refused: Option<String>,
    /// The commit that waits for this host's turn.
    pub(super) waiting: Option<Waiting>,
}

/// What a look has shown.
pub(in crate::cli) enum Looked {
    /// That the active commit is the newest.
    Active,
    /// That the newest is the one that was refused.
    Refused,
    /// That the newest is the one that waits.
    Waiting,
    /// A commit that is as it should be, and whose files are laid out. Whether its config is right
    /// is not known yet.
    New(Candidate),
    /// What stands in the way, and of which commit.
    Failed(Option<String>, Failure),
}

/// A commit that may become active.
pub(in crate::cli) struct Candidate {
    pub(in crate::cli) commit: String,
    /// The tag that led to it.
    pub(super) tag: Option<String>,
    /// What was followed to it.
    pub(super) followed: String,
    pub(super) about: About,
    pub(super) signer: Option<String>,
    /// Submodules.
    pub(super) left_out: Vec<String>,
}

impl Look {
    /// Does it. May take as long as the settings allow.
    pub(in crate::cli) fn run(&self) -> Looked {
        let deadline = Instant::now() + self.settings.timeout.0;
        let store = self.dir.join("store");
        let mut looked = Store::open(&store).map_or_else(
            |failure| Looked::Failed(None, failure),
            |store| self.with(&store, deadline),
        );
        // All that a damaged store held can be had again.
        if let Looked::Failed(_, Failure { reason: Reason::Store, .. }) = &looked
            && let Ok(store) = Store::remake(&store)
        {
            looked = self.with(&store, deadline);
        }
        looked
    }

    fn with(&self, store: &Store, deadline: Instant) -> Looked {
        // Without keys nothing new can be taken, and it is not the fault of any commit.
        if let Some(Err(failure)) = self.settings.verify.as_ref().map(fingerprint) {
            return Looked::Failed(None, failure);
        }
        let tip = match store.fetch(&self.settings, deadline) {
            Ok(tip) => tip,
            Err(failure) => return Looked::Failed(None, failure),
        };
        let commit = tip.name();
        let is_active = self.active.as_ref() == Some(&commit) && place(&self.dir, &commit).is_dir();
        if is_active {
            return Looked::Active;
        }
        if self.refused.as_ref() == Some(&commit) {
            return Looked::Refused;
        }
        let now_seconds = clock::now().as_secs();
        let waiting = self.waiting.as_ref().filter(|waiting| waiting.commit == commit);
        if waiting.is_some_and(|waiting| !waiting.is_over(now_seconds)) {
            return Looked::Waiting;
        }
        match self.candidate(store, tip, deadline) {
            Ok(candidate) => Looked::New(candidate),
            Err(failure) => Looked::Failed(Some(commit), failure),
        }
    }

    fn candidate(&self, store: &Store, tip: Tip, deadline: Instant) -> Result<Candidate, Failure> {
        let signer = store.signer(tip, &self.settings, deadline)?;
        if self.settings.rewind == Rewind::Refuse
            && let Some(earlier) = &self.active
            && !self.follows_on(store, tip, earlier, deadline)?
        {
            let message = format!(
                "its history does not contain the active commit {}, as after a forced push; \
                 `rewind: allow` would take it",
                &earlier[..12]
            );
            return Err(Failure::new(Reason::Rewound, message));
        }
        let commit = tip.name();
        let left_out = self.lay_out(store, tip, &place(&self.dir, &commit))?;
        if let Some(path) = &self.settings.path
            && !place(&self.dir, &commit).join(path).is_dir()
        {
            let message = format!("it has no directory `{}`", path.display());
            return Err(Failure::new(Reason::Content, message));
        }
        let followed = self.settings.followed();
        let (about, tag) = (store.about(tip)?, tip.tag());
        Ok(Candidate { about, commit, tag, followed, signer, left_out })
    }

    fn follows_on(
        &self,
        store: &Store,
        tip: Tip,
        earlier: &str,
        deadline: Instant,
    ) -> Result<bool, Failure> {
        if store.contains(tip, earlier)? {
            return Ok(true);
        }
        // It may be in the part of the history that is not here.
        if !store.is_shallow() {
            return Ok(false);
        }
        store.deepen(&self.settings, deadline)?;
        store.contains(tip, earlier)
    }

    /// Lays the files out beside, and gives them their name once they are all on the disk.
    fn lay_out(&self, store: &Store, tip: Tip, path: &Path) -> Result<Vec<String>, Failure> {
        let disk =
            |error: io::Error| Failure::new(Reason::Disk, format!("`{}`: {error}", path.display()));
        if path.is_dir() {
            return Ok(Vec::new());
        }
        let all = self.dir.join("revisions");
        let beside = path.with_added_extension("new");
        fs::create_dir_all(&all).map_err(disk)?;
        remove(&beside).map_err(disk)?;
        let laid_out = store.lay_out(tip, &beside).and_then(|left_out| {
            fs::rename(&beside, path).map_err(disk)?;
            File::open(&all).and_then(|all| all.sync_all()).map_err(disk)?;
            Ok(left_out)
        });
        if laid_out.is_err() {
            // It takes room, and is of no use.
            remove(&beside).ok();
        }
        laid_out
    }
}

/// Removes the files of all commits but these.
pub(super) fn prune(dir: &Path, needed: &[Option<&String>]) -> io::Result<()> {
    let entries = match fs::read_dir(dir.join("revisions")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let is_needed = needed.iter().flatten().any(|commit| name.to_str() == Some(commit));
        if !is_needed {
            remove(&entry.path())?;
        }
    }
    Ok(())
}
