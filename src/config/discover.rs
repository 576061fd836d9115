//! Finds the files of a config: in a directory by name, or one file by itself.

use super::owned::{FOLDERS, Owned, Owner, owned};
use super::read::{Dialect, Format, read_file};
use crate::event::fault::{Diagnostic, nearest};
use crate::event::tree::Node;
use std::fs;
use std::path::{Path, PathBuf};

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum)]
pub enum FileKind {
    /// Settings of the agent itself.
    Agent,
    /// Desired state.
    Apply,
    /// Metrics and inventory.
    Facts,
    /// The hosts that share the config.
    Fleet,
    /// Log pipelines.
    Logs,
    /// The whole language.
    Topology,
    /// Variables.
    Vars,
    /// Tests of pipelines, in the folder `tests`. No part of the config: whoever loads it leaves
    /// them alone.
    Tests,
}

impl FileKind {
    /// All kinds, in the order in which they are described.
    pub const ALL: [Self; 8] = [
        Self::Agent,
        Self::Apply,
        Self::Facts,
        Self::Fleet,
        Self::Logs,
        Self::Topology,
        Self::Vars,
        Self::Tests,
    ];

    /// The kinds that make a config.
    pub fn of_config() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|kind| *kind != Self::Tests)
    }

    /// The file's or folder's name without extension.
    pub fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Apply => "apply",
            Self::Facts => "facts",
            Self::Fleet => "fleet",
            Self::Logs => "logs",
            Self::Topology => "topology",
            Self::Vars => "vars",
            Self::Tests => "tests",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        Self::of_config().find(|kind| kind.name() == name)
    }

    fn dialect(self) -> Dialect {
        match self {
            Self::Apply | Self::Vars => Dialect::Yaml11,
            Self::Agent | Self::Facts | Self::Fleet | Self::Logs | Self::Topology | Self::Tests => {
                Dialect::Yaml12
            }
        }
    }

    /// The kind of file that has these keys at its top, for a file that is named as it likes.
    fn of_content(node: &Node) -> Option<Self> {
        let has = |keys: &[&str]| keys.iter().any(|key| node.get(key).is_some());
        if node.as_list().is_some() || has(&["tasks", "handlers", "roles", "plays"]) {
            Some(Self::Apply)
        } else if has(&["outputs"]) {
            Some(Self::Logs)
        } else if has(&["collect", "export"]) {
            Some(Self::Facts)
        } else if has(&["sinks", "transforms"]) {
            Some(Self::Topology)
        } else if has(&["rollout"]) {
            Some(Self::Fleet)
        } else if has(&["data_dir", "memory_limit", "git"]) {
            Some(Self::Agent)
        } else {
            None
        }
    }
}

/// A file that was found and read.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it is for.
    pub kind: FileKind,
    /// Where it is.
    pub path: PathBuf,
    /// What it says.
    pub node: Node,
}

/// Everything that a path led to.
#[derive(Debug, Default)]
pub struct Files {
    /// The files in name order, those of a folder after the file of the same name.
    pub found: Vec<Found>,
    /// Variables of groups and hosts, unread.
    pub owned: Vec<Owned>,
    /// What could not be read.
    pub complaints: Vec<Diagnostic>,
    /// Files of the kind that was not wanted, unread.
    pub left_out: Vec<PathBuf>,
}

/// Finds and reads all files of the config at `path`.
pub fn discover(path: &Path) -> Files {
    discover_but(path, None)
}

/// The same, without the files of one kind.
pub fn discover_but(path: &Path, unwanted: Option<FileKind>) -> Files {
    let mut files = Files::default();
    if path.is_dir() {
        for (kind, file) in list(path, &mut files.owned, &mut files.complaints) {
            if Some(kind) == unwanted {
                files.left_out.push(file);
            } else {
                files.read(kind, &file);
            }
        }
        if files.found.is_empty() && files.complaints.is_empty() {
            let message = format!("`{}` holds no config file", path.display());
            let names: Vec<_> =
                FileKind::of_config().map(|kind| format!("{}.yml", kind.name())).collect();
            let hint = format!("a config has one or more of {}", names.join(", "));
            files.complaints.push(Diagnostic::new(message, None).hint(hint));
        }
    } else {
        files.read_single(path);
    }
    files
}

impl Files {
    fn read(&mut self, kind: FileKind, path: &Path) {
        match read_file(path, kind.dialect()) {
            Ok(node) => self.found.push(Found { kind, path: path.to_owned(), node }),
            Err(complaints) => self.complaints.extend(complaints),
        }
    }

    /// A single file is what its name says, else what its content looks like.
    fn read_single(&mut self, path: &Path) {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if let Some(kind) = FileKind::of_name(stem) {
            return self.read(kind, path);
        }
        let node = match read_file(path, Dialect::Yaml12) {
            Ok(node) => node,
            Err(complaints) => return self.complaints.extend(complaints),
        };
        match FileKind::of_content(&node) {
            Some(kind) if kind.dialect() == Dialect::Yaml12 => {
                self.found.push(Found { kind, path: path.to_owned(), node });
            }
            Some(kind) => self.read(kind, path),
            None => self.complaints.push(
                Diagnostic::new(
                    format!("`{}`: neither name nor content says what it is for", path.display()),
                    node.span,
                )
                .hint("name it agent, apply, facts, fleet, logs, topology or vars"),
            ),
        }
    }
}

/// The config files below `dir`: those with a known name, and those in a folder of that name.
fn list(
    dir: &Path,
    owned: &mut Vec<Owned>,
    complaints: &mut Vec<Diagnostic>,
) -> Vec<(FileKind, PathBuf)> {
    let mut files = Vec::new();
    for path in entries(dir, complaints) {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let whole = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if let Some(kind) = FileKind::of_name(whole) {
                let inner = entries(&path, complaints);
                if kind == FileKind::Vars {
                    let of_all = in_folders(&inner, owned, complaints);
                    files.extend(of_all.into_iter().map(|file| (kind, file)));
                }
                let inner = inner.into_iter();
                files.extend(inner.filter(|file| is_config(file)).map(|file| (kind, file)));
            }
        } else if Format::of(&path).is_some() {
            match FileKind::of_name(stem) {
                Some(kind) => files.push((kind, path)),
                None => complaints.extend(misspelt(&path, stem)),
            }
        }
    }
    // A file before the folder of its name, whatever `.` sorts as; otherwise by name.
    files.sort_by(|(a_kind, a), (b_kind, b)| {
        let depth = |path: &Path| path.components().count();
        (a_kind, depth(a), a).cmp(&(b_kind, depth(b), b))
    });
    files
}

/// What is in the folders of `vars`: `all`, which is given, `groups` and `hosts`.
fn in_folders(
    inner: &[PathBuf],
    found: &mut Vec<Owned>,
    complaints: &mut Vec<Diagnostic>,
) -> Vec<PathBuf> {
    let mut of_all = Vec::new();
    for folder in inner.iter().filter(|path| path.is_dir()) {
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let owner: fn(String) -> Owner = match name {
            "all" => {
                of_all.extend(entries(folder, complaints).into_iter().filter(|it| is_config(it)));
                continue;
            }
            "groups" => Owner::Group,
            "hosts" => Owner::Host,
            _ => {
                if let Some(near) = one_letter_off(name, FOLDERS) {
                    let message =
                        format!("`{}` is not the name of a folder of variables", folder.display());
                    let hint = format!("did you mean `{near}`?");
                    complaints.push(Diagnostic::new(message, None).hint(hint));
                }
                continue;
            }
        };
        let listed = entries(folder, complaints);
        found.extend(owned(listed, owner, &mut |path| entries(path, complaints)));
    }
    of_all
}

/// `log.yml` would be left out in silence, and nobody would notice. A name that is further from
/// ours than one letter is somebody else's.
fn misspelt(path: &Path, stem: &str) -> Option<Diagnostic> {
    let near = one_letter_off(stem, FileKind::of_config().map(FileKind::name))?;
    let message = format!("`{}` is not the name of a config file", path.display());
    Some(Diagnostic::new(message, None).hint(format!("did you mean `{near}`?")))
}

fn one_letter_off<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    nearest(name, known).filter(|near| strsim::damerau_levenshtein(name, near) == 1)
}

pub(super) fn is_config(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && Format::of(path).is_some() && !path.is_dir()
}

fn entries(dir: &Path, complaints: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    // `./logs.yml` is `logs.yml` to whoever reads the complaint.
    let shown = |path: PathBuf| path.strip_prefix(".").map(Path::to_owned).unwrap_or(path);
    let listed = fs::read_dir(dir).and_then(|entries| {
        entries.map(|entry| Ok(shown(entry?.path()))).collect::<Result<Vec<_>, _>>()
    });
    match listed {
        Ok(mut paths) => {
            paths.sort();
            paths
        }
        Err(error) => {
            let message = format!("`{}` cannot be listed: {error}", dir.display());
            complaints.push(Diagnostic::new(message, None));
            Vec::new()
        }
    }
}
