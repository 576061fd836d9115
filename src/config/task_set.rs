//! From an apply file to the desired state that the executor is given.

use super::discover::Found;
use super::files::ApplyFile;
use crate::event::fault::Diagnostic;
use crate::event::secret::Secrets;
use crate::event::task::{SharedTaskSet, TaskSet};
use crate::event::tree::Node;
use crate::expr::jinja::Engine;
use crate::expr::scope::Vars;
use crate::sinks::apply::parse::{check, parse_tasks};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of the hash that a revision shows: enough to tell apart all that one host will ever see.
const REVISION_BYTES: usize = 6;

/// What a desired state is called, and where what it refers to lies.
pub(super) struct Origin {
    pub(super) revision: String,
    pub(super) base: PathBuf,
}

impl Origin {
    /// Of a config that was found at `paths` and has these files.
    pub(super) fn of(paths: &[PathBuf], files: &[Found]) -> Self {
        Self { revision: revision(files), base: base_of(paths) }
    }
}

/// Where relative sources of tasks are looked for: the first path's directory.
fn base_of(paths: &[PathBuf]) -> PathBuf {
    match paths.first() {
        Some(path) if path.is_dir() => path.clone(),
        Some(path) => path.parent().map(Path::to_owned).unwrap_or_default(),
        None => PathBuf::new(),
    }
}

/// What a config is called where no commit names it: the beginning of a hash over its files.
fn revision(files: &[Found]) -> String {
    let mut hash = Sha256::new();
    for file in files {
        let text = file.node.span.as_ref().map_or("", |span| &span.file.text);
        // Lengths keep the boundaries from moving unseen.
        for part in [file.path.as_os_str().as_encoded_bytes(), text.as_bytes()] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
    }
    hash.finalize().iter().take(REVISION_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

/// The desired state of `file`, whose variables hide those of the `vars` files. The secrets are
/// attached on the way to the executor.
pub(super) fn task_set(
    file: ApplyFile,
    mut vars: Vars,
    origin: Origin,
    engine: &Engine,
    complaints: &mut Vec<Diagnostic>,
) -> SharedTaskSet {
    let own = file.vars.as_ref().and_then(Node::as_map).unwrap_or_default();
    vars.extend(own.iter().map(|(key, value)| (key.name.to_string(), value.clone())));
    let mut read = |list: Option<Node>| list.map(|list| parse_tasks(&list, complaints));
    let tasks = read(file.tasks).unwrap_or_default();
    let handlers = read(file.handlers).unwrap_or_default();
    let Origin { revision, base } = origin;
    let set = TaskSet { revision, base, vars, secrets: Secrets::default(), tasks, handlers };
    complaints.extend(check(&set, engine));
    Arc::new(set)
}
