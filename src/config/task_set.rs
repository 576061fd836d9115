//! From an apply file to the desired state that the executor is given.

use super::discover::Found;
use super::files::ApplyFile;
use super::read::{Dialect, Format, read_file, read_source, read_text};
use crate::event::fault::Diagnostic;
use crate::event::hex::hex;
use crate::event::task::{Library, Named, TaskSet};
use crate::event::tree::Node;
use crate::expr::scope::Scope;
use crate::sinks::apply::parse;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Bytes of the hash that a revision shows: enough to tell apart all that one host will ever see.
const REVISION_BYTES: usize = 6;

/// What a desired state belongs to.
pub(super) struct Origin {
    base: PathBuf,
    commit: Option<String>,
    hash: Sha256,
}

impl Origin {
    /// Of a config that was found at `paths` and has these files.
    pub(super) fn of(paths: &[PathBuf], files: &[Found]) -> Self {
        let mut hash = Sha256::new();
        for file in files {
            add(&mut hash, &file.path, &file.node);
        }
        Self { base: base_of(paths), commit: None, hash }
    }

    /// Has one more file belong to it.
    pub(super) fn add(&mut self, file: &Found) {
        add(&mut self.hash, &file.path, &file.node);
    }

    /// The same, named by a commit.
    pub(super) fn with_commit(self, commit: Option<String>) -> Self {
        Self { commit, ..self }
    }

    /// What a config is called: as its commit is, and where there is none the beginning of a hash
    /// over its files and those that its tasks come from.
    fn revision(mut self, library: &Library) -> String {
        if let Some(commit) = self.commit {
            return commit;
        }
        for (path, node) in library.files() {
            add(&mut self.hash, path, node);
        }
        hex(&self.hash.finalize()[..REVISION_BYTES])
    }
}

fn add(hash: &mut Sha256, path: &Path, node: &Node) {
    let text = node.span.as_ref().map_or("", |span| &span.file.text);
    // Lengths keep the boundaries from moving unseen.
    for part in [path.as_os_str().as_encoded_bytes(), text.as_bytes()] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
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

/// Whom a desired state is for.
pub(super) struct Target<'a> {
    pub(super) host: &'a str,
    pub(super) groups: &'a [String],
}

/// The desired state of `file`. Its variables hide those of the host and of groups, which hide
/// `vars`. The secrets are attached on the way to the executor.
pub(super) fn task_set(
    file: &ApplyFile,
    mut vars: Named,
    origin: Origin,
    target: &Target<'_>,
    scope: &Scope,
    complaints: &mut Vec<Diagnostic>,
) -> TaskSet {
    let mut library = Library::new(read_any);
    let groups = || target.groups.iter().map(String::as_str);
    for group in ["all"].into_iter().chain(groups()) {
        vars.extend(vars_of(&origin.base.join("group_vars"), group, &mut library, complaints));
    }
    vars.extend(vars_of(&origin.base.join("host_vars"), target.host, &mut library, complaints));
    let scope = scope.with_vars(std::sync::Arc::new(vars.clone()));
    let base = origin.base.clone();
    let groups = target.groups.to_vec();
    let set = TaskSet { base, vars, groups, library, ..TaskSet::default() };
    let (set, more) = parse::read(&file.play(), set, &scope);
    complaints.extend(more);
    TaskSet { revision: origin.revision(&set.library), ..set }
}

/// The variables in the file or the folder `name` of `directory`.
fn vars_of(
    directory: &Path,
    name: &str,
    library: &mut Library,
    complaints: &mut Vec<Diagnostic>,
) -> Named {
    let mut paths = Vec::new();
    if !name.contains('/') {
        let endings = ["", ".yml", ".yaml", ".json"];
        paths.extend(endings.map(|ending| directory.join(format!("{name}{ending}"))));
        paths.retain(|path| path.is_file());
        let inner = directory.join(name).read_dir().into_iter().flatten().flatten();
        let mut inner: Vec<_> = inner.map(|entry| entry.path()).collect();
        inner.retain(|path| path.is_file());
        inner.sort();
        paths.extend(inner);
    }
    let mut vars = Named::new();
    for path in paths {
        match library.keep(&path) {
            Ok(node) => vars.extend(super::scope::variables(&node, complaints)),
            Err(more) => complaints.extend(more),
        }
    }
    vars
}

/// Reads a file of tasks or variables. One without an ending that says otherwise is YAML.
fn read_any(path: &Path) -> Result<Node, Vec<Diagnostic>> {
    if Format::of(path).is_some() {
        return read_file(path, Dialect::Yaml11);
    }
    let file = read_source(path).map_err(|fault| vec![*fault])?;
    read_text(&file, Format::Yaml, Dialect::Yaml11)
}
