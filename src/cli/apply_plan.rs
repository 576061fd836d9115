//! Saved plans: what a dry run foretold, to be applied only where the same would be done now.

use super::apply::Args;
use crate::event::hex::hex;
use crate::host::machine::change::Change;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

const KEY_BYTES: usize = 32;

/// What a plan file holds. Of what would be written it holds keyed hashes alone, so that nobody
/// can find out a secret by guessing.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saved {
    /// The version of the program that made it.
    driftless: String,
    host: String,
    revision: String,
    config: PathBuf,
    tags: Vec<String>,
    skip_tags: Vec<String>,
    start_at: Option<String>,
    extra_vars: Vec<String>,
    changes: Vec<Foretold>,
}

/// One effect.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Foretold {
    what: String,
    path: String,
    /// Of all of it, with what was there before.
    hash: String,
}

/// What a plan is for.
pub(super) struct Target<'a> {
    pub(super) host: &'a str,
    pub(super) revision: &'a str,
    pub(super) data_dir: &'a Path,
}

impl Saved {
    /// The plan for what `args` ask for, where a dry run gave these changes.
    pub(super) fn new(
        args: &Args,
        config: PathBuf,
        target: &Target<'_>,
        journal: &[Change],
    ) -> io::Result<Self> {
        Ok(Self {
            driftless: env!("CARGO_PKG_VERSION").into(),
            host: target.host.into(),
            revision: target.revision.into(),
            config: std::path::absolute(config)?,
            tags: args.tags.clone(),
            skip_tags: args.skip_tags.clone(),
            start_at: args.start_at.clone(),
            extra_vars: args.extra_vars.clone(),
            changes: foretold(journal, &key(target.data_dir)?),
        })
    }

    /// Reads the plan that `args` name, if they name one.
    pub(super) fn named(args: &Args) -> Result<Option<Self>, String> {
        let Some(path) = args.path.as_ref().filter(|path| is_plan(path)) else { return Ok(None) };
        let name = path.display();
        let text = fs::read(path).map_err(|error| format!("`{name}` cannot be read: {error}"))?;
        let saved = serde_json::from_slice(&text);
        saved.map(Some).map_err(|error| format!("`{name}` is no saved plan: {error}"))
    }

    /// What was asked for when the plan was made.
    pub(super) fn arguments(&self, args: &Args) -> Args {
        Args {
            path: Some(self.config.clone()),
            tags: self.tags.clone(),
            skip_tags: self.skip_tags.clone(),
            start_at: self.start_at.clone(),
            extra_vars: self.extra_vars.clone(),
            ..args.clone()
        }
    }

    /// Writes it for its owner alone.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let mut options = File::options();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()
    }

    /// Why it does not hold any more, where a dry run now gives these changes.
    pub(super) fn check(&self, target: &Target<'_>, journal: &[Change]) -> Result<(), String> {
        for (what, planned, now) in [
            ("version", self.driftless.as_str(), env!("CARGO_PKG_VERSION")),
            ("host", &self.host, target.host),
            ("revision of the config", &self.revision, target.revision),
        ] {
            if planned != now {
                return Err(format!("the plan is for the {what} `{planned}`, and this is `{now}`"));
            }
        }
        let key = key(target.data_dir).map_err(|error| format!("the key of plans: {error}"))?;
        let now = foretold(journal, &key);
        let told = |change: Option<&Foretold>| match change {
            Some(change) => format!("`{}` of {}", change.what, change.path),
            None => "nothing more".into(),
        };
        let most = now.len().max(self.changes.len());
        match (0..most).find(|at| self.changes.get(*at) != now.get(*at)) {
            None => Ok(()),
            Some(at) => match (self.changes.get(at), now.get(at)) {
                (Some(planned), Some(now)) if planned.path == now.path => Err(format!(
                    "something has moved since the plan was made: {} is not what it was",
                    now.path
                )),
                (planned, now) => Err(format!(
                    "something has moved since the plan was made: {} was planned here, and now it would be {}",
                    told(planned),
                    told(now)
                )),
            },
        }
    }
}

/// Whether `path` is the name of a saved plan.
fn is_plan(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "plan")
}

fn foretold(journal: &[Change], key: &[u8]) -> Vec<Foretold> {
    let one = |change: &Change| {
        let mut hash = Sha256::new();
        hash.update(key);
        hash.update(format!("{change:?}"));
        let hash = hex(&hash.finalize()[..16]);
        let path = change.path.display().to_string();
        Foretold { what: change.effect.word().into(), path, hash }
    };
    journal.iter().map(one).collect()
}

/// The key of this host's plans, made when it is first needed.
fn key(data_dir: &Path) -> io::Result<Vec<u8>> {
    let path = data_dir.join("apply/plan.key");
    match fs::read(&path) {
        Ok(key) if key.len() == KEY_BYTES => return Ok(key),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut key = vec![0; KEY_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    fs::create_dir_all(data_dir.join("apply"))?;
    let mut options = File::options();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    file.write_all(&key)?;
    file.sync_all()?;
    Ok(key)
}
