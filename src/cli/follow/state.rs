//! What the agent remembers of the repository that it follows.

use crate::host::state_file;
use crate::net::git::settings::Settings;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::Path;

const FILE: &str = "state.json";

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// What was followed: address and branch, tag or commit.
    pub(super) followed: String,
    /// The revision that is active.
    pub(super) active: Option<Taken>,
    /// The one before, to which a start falls back.
    #[serde(default)]
    pub(super) earlier: Option<Taken>,
    /// The newest revision, where it was not taken.
    #[serde(default)]
    pub(super) refused: Option<Refused>,
    /// The newest revision, where this host's turn has not come.
    #[serde(default)]
    pub(super) waiting: Option<Waiting>,
}

/// A revision that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Taken {
    pub(super) commit: String,
    pub(super) author: String,
    pub(super) subject: String,
    /// Whose signature it has, where one was asked for.
    pub(super) signer: Option<String>,
    /// The tag that led to it, by the name of its object.
    #[serde(default)]
    pub(super) tag: Option<String>,
}

/// A revision that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refused {
    pub(super) commit: String,
    /// In one word, and in a person's; secrets are masked in it.
    pub(super) reason: String,
    pub(super) message: String,
    /// What it was held against. Under other rules, or by another version of the program, it is
    /// tried again.
    pub(super) under: String,
}

/// A revision that waits for this host's turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) commit: String,
    /// When this host has first seen it, in seconds since the epoch.
    pub(super) seen_seconds: u64,
    /// How long after that its turn comes; never where there is nothing.
    pub(super) after_seconds: Option<u64>,
}

impl State {
    /// What is kept in `dir`; nothing where nothing is.
    pub(super) fn load(dir: &Path) -> io::Result<Self> {
        match fs::read(dir.join(FILE)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn save(&self, dir: &Path) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(self)?;
        state_file::replace(&dir.join(FILE), &bytes).map(drop)
    }

    /// The active revision, unless it was taken before signatures were asked for.
    pub(super) fn usable(&self, settings: &Settings) -> Option<&Taken> {
        let taken = self.active.as_ref().filter(|taken| taken.is_named());
        taken.filter(|taken| settings.verify.is_none() || taken.signer.is_some())
    }
}

impl Taken {
    /// Whether its name is that of a commit, and so of no other place on the disk.
    pub(super) fn is_named(&self) -> bool {
        self.commit.len() == 40 && self.commit.bytes().all(|it| it.is_ascii_hexdigit())
    }
}

impl Waiting {
    /// Whether the host's turn has come, at this time since the epoch.
    pub(super) fn is_over(&self, now_seconds: u64) -> bool {
        let due = self.after_seconds.map(|after| self.seen_seconds.saturating_add(after));
        due.is_some_and(|due| due <= now_seconds)
    }
}
