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
    /// The one before, by its commit.
    pub(super) previous: Option<String>,
}

/// A revision that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Taken {
    pub(super) commit: String,
    pub(super) author: String,
    pub(super) subject: String,
    /// Whose signature it has, where one was asked for.
    pub(super) signer: Option<String>,
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
        self.active.as_ref().filter(|taken| {
            let name = &taken.commit;
            let is_name = name.len() == 40 && name.bytes().all(|it| it.is_ascii_hexdigit());
            is_name && (settings.verify.is_none() || taken.signer.is_some())
        })
    }
}
