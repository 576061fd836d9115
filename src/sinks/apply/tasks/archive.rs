//! `archive`: files and trees, packed into one file.

use super::edit::{check as check_edit, options};
use super::paths::{is_pattern, matching};
use super::unpack::{Body, Entry, read, read_packed};
use super::{Failure, Module, Outcome, Task, TaskContext, file_attributes, pack, values};
use crate::host::machine::Machine;
use crate::host::machine::meta::Kind as FileKind;
use crate::host::machine::path::Follow;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use bytes::Bytes;
use globset::{Glob, GlobSet, GlobSetBuilder};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(super) static MODULE: Module = Module {
    name: "archive",
    summary: "Makes sure that files and trees are packed into an archive as they are now.",
    acts_unless: None,
    spec: Spec {
        not_yet: &[file_attributes::NOT_YET],
        shared: &[file_attributes::PARAMS],
        ..Spec::new(&[
            Param::new("path", Kind::Any)
                .required()
                .says("What is packed: a path or pattern (`*`, `?`, `[…]`), or a list of them."),
            Param::new("dest", Kind::Path).says(
                "The archive. Only one file on its own needs none: it becomes `PATH.FORMAT`.",
            ),
            Param::new("format", Kind::OneOf(pack::FORMATS))
                .says("How it is packed; `gz` where not given."),
            Param::new("exclude_path", Kind::Any)
                .says("Paths and patterns that are taken out of what `path` stands for."),
            Param::new("exclusion_patterns", Kind::Any).says(
                "Patterns for names in the archive that are left out; `*` goes over `/` too.",
            ),
            Param::new("force_archive", Kind::Bool)
                .says("Make an archive of one file too, instead of just packing its content."),
            Param::new("remove", Kind::Bool).says("Remove what was packed."),
        ])
    },
    check: |params| check_edit(params, &[]),
    build: |params| Box::new(Archive { params }),
};

struct Archive {
    params: Params,
}

impl Task for Archive {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let job = Job::new(&self.params, machine)?;
        let mut missing = Vec::new();
        let mut targets = Vec::new();
        for path in &job.paths {
            match machine.stat(path, Follow::No)? {
                None => missing.push(path.clone()),
                Some(_) => targets.push(path.clone()),
            }
        }
        let mut archived = Vec::new();
        let found = machine.stat(&job.dest, Follow::Yes)?;
        let state = if targets.is_empty() {
            // What was packed may have been removed since.
            match found {
                None => "absent",
                Some(_) if job.is_archive => "archive",
                Some(_) => "compress",
            }
        } else if job.is_archive {
            let entries = job.entries(machine, &targets, &mut archived)?;
            job.write_archive(machine, &entries)?;
            if missing.is_empty() { "archive" } else { "incomplete" }
        } else {
            job.write_compressed(machine, &targets[0])?;
            archived.clone_from(&targets);
            "compress"
        };
        if self.params.flag("remove", false) {
            for path in targets {
                machine.remove(&path)?;
            }
        }
        let dest = job.dest.clone();
        if machine.stat(&dest, Follow::Yes)?.is_some() {
            let attributes = file_attributes::read(&self.params, machine)?;
            machine.set_attributes(&dest, Follow::Yes, &attributes)?;
        }
        let shown = |paths: &[PathBuf]| -> Vec<String> {
            paths.iter().map(|path| path.display().to_string()).collect()
        };
        let outcome = Outcome::default()
            .with("archived", shown(&archived))
            .with("missing", shown(&missing))
            .with("expanded_paths", shown(&job.expanded))
            .with("expanded_exclude_paths", shown(&job.excluded))
            .with("arcroot", job.root.as_str())
            .with("dest", dest.display().to_string())
            .with("dest_state", state);
        let outcome = file_attributes::returned(outcome, machine, &dest, Follow::Yes)?;
        Ok(outcome.with("state", state))
    }
}

struct Job<'a> {
    params: &'a Params,
    format: &'a str,
    dest: PathBuf,
    /// What `path` stands for.
    expanded: Vec<PathBuf>,
    excluded: Vec<PathBuf>,
    /// What is packed, sorted.
    paths: Vec<PathBuf>,
    /// What names in the archive leave out, with its `/`.
    root: String,
    /// An archive, and not just the content of one file.
    is_archive: bool,
    left_out: GlobSet,
}

impl<'a> Job<'a> {
    fn new(params: &'a Params, machine: &Machine) -> Result<Self, Failure> {
        let written = values::list(params, "path");
        let expanded = expand(&written, machine)?;
        let excluded = expand(&values::list(params, "exclude_path"), machine)?;
        let paths: BTreeSet<PathBuf> =
            expanded.iter().filter(|path| !excluded.contains(path)).cloned().collect();
        let paths: Vec<PathBuf> = paths.into_iter().collect();
        let Some(first) = paths.first() else {
            return Err(Failure::new(format!("there is nothing at {}", written.join(", "))));
        };
        let is_tree = machine
            .stat(first, Follow::Yes)?
            .is_some_and(|found| found.kind == FileKind::Directory);
        let is_archive = params.flag("force_archive", false)
            || written.iter().any(|path| is_pattern(path))
            || is_tree
            || paths.len() > 1;
        let format = params.text("format").unwrap_or("gz");
        let dest = match params.path("dest") {
            Some(dest) => dest,
            None if is_archive => {
                return Err(Failure::new("an archive of several files or of a tree needs `dest`"));
            }
            None => PathBuf::from(format!("{}.{format}", first.display())),
        };
        if params.flag("remove", false)
            && let Some(tree) = paths.iter().find(|path| dest.starts_with(path))
        {
            let (dest, tree) = (dest.display(), tree.display());
            return Err(Failure::new(format!("{dest} would be removed together with {tree}")));
        }
        let mut left_out = GlobSetBuilder::new();
        for pattern in values::list(params, "exclusion_patterns") {
            let glob = Glob::new(&pattern);
            left_out.add(glob.map_err(|error| {
                Failure::new(format!("`exclusion_patterns`: `{pattern}` is no pattern: {error}"))
            })?);
        }
        let left_out = left_out
            .build()
            .map_err(|error| Failure::new(format!("`exclusion_patterns`: {error}")))?;
        let root = root(&paths);
        Ok(Self { params, format, dest, expanded, excluded, paths, root, is_archive, left_out })
    }

    /// What goes into the archive, in the order of the paths; `archived` gets those of the host.
    fn entries(
        &self,
        machine: &Machine,
        targets: &[PathBuf],
        archived: &mut Vec<PathBuf>,
    ) -> Result<Vec<Entry>, Failure> {
        let dest = machine.resolve(&self.dest, Follow::Yes)?;
        let mut entries = Vec::new();
        let mut ahead: Vec<PathBuf> = Vec::new();
        let push = |directory: &Path, ahead: &mut Vec<PathBuf>| -> Result<(), Failure> {
            let names = machine.list(directory)?;
            ahead.extend(names.iter().rev().map(|name| directory.join(name)));
            Ok(())
        };
        for target in targets {
            let is_tree = machine
                .stat(target, Follow::Yes)?
                .is_some_and(|found| found.kind == FileKind::Directory);
            if is_tree {
                push(target, &mut ahead)?;
            } else {
                ahead.push(target.clone());
            }
            while let Some(path) = ahead.pop() {
                let is_directory = machine
                    .stat(&path, Follow::No)?
                    .is_some_and(|found| found.kind == FileKind::Directory);
                if is_directory {
                    push(&path, &mut ahead)?;
                }
                // The archive is not packed into itself.
                if machine.resolve(&path, Follow::No)? == dest {
                    continue;
                }
                if let Some(entry) = self.entry(machine, &path)? {
                    entries.push(entry);
                    archived.push(path);
                }
            }
        }
        Ok(entries)
    }

    fn entry(&self, machine: &Machine, path: &Path) -> Result<Option<Entry>, Failure> {
        let shown = path.to_string_lossy();
        let name = PathBuf::from(shown.strip_prefix(&self.root).unwrap_or(&shown));
        if self.left_out.is_match(&name) {
            return Ok(None);
        }
        let Some(found) = machine.stat(path, Follow::No)? else { return Ok(None) };
        let body = match found.kind {
            FileKind::File => Body::File(machine.read(path)?),
            FileKind::Directory => Body::Directory,
            FileKind::Link => Body::Link(machine.read_link(path)?),
            kind => {
                let failure = Failure::new(format!("{shown} is {}", kind.described()));
                let hint = "an archive takes files, directories and links; leave it out with \
                            `exclusion_patterns`";
                return Err(Failure { hint: Some(hint.into()), ..failure });
            }
        };
        Ok(Some(Entry {
            path: name,
            body,
            mode: Some(found.mode),
            owner: Some((machine.user_name(found.uid), found.uid)),
            group: Some((machine.group_name(found.gid), found.gid)),
            modified: Some(found.modified.seconds),
        }))
    }

    /// Writes the archive, unless there is one with the same entries.
    fn write_archive(&self, machine: &mut Machine, entries: &[Entry]) -> Result<(), Failure> {
        if let Some(old) = self.old(machine)?
            && let Ok((old, _)) = read(&old)
            && same(&old, entries, self.format == "zip")
        {
            return Ok(());
        }
        self.write(machine, pack::archive(entries, self.format)?)
    }

    /// Writes one file's packed content, unless it is there.
    fn write_compressed(&self, machine: &mut Machine, path: &Path) -> Result<(), Failure> {
        if matches!(self.format, "zip" | "tar") {
            let entries: Vec<Entry> = self.entry(machine, path)?.into_iter().collect();
            return self.write_archive(machine, &entries);
        }
        let content = machine.read(path)?;
        if let Some(old) = self.old(machine)?
            && read_packed(&old).is_ok_and(|old| old == content)
        {
            return Ok(());
        }
        self.write(machine, pack::compressed(&content, self.format)?)
    }

    /// The archive that is there, where it is packed as this one would be.
    fn old(&self, machine: &Machine) -> Result<Option<Bytes>, Failure> {
        let found = machine.stat(&self.dest, Follow::Yes)?;
        if found.is_none_or(|found| found.kind != FileKind::File) {
            return Ok(None);
        }
        let old = machine.read(&self.dest)?;
        let begins: &[u8] = match self.format {
            "bz2" => b"BZh",
            "xz" => b"\xfd7zXZ\0",
            "zip" => b"PK",
            "zst" => b"\x28\xb5\x2f\xfd",
            "gz" => b"\x1f\x8b",
            _ => b"",
        };
        Ok(old.starts_with(begins).then_some(old))
    }

    fn write(&self, machine: &mut Machine, content: Vec<u8>) -> Result<(), Failure> {
        let attributes = file_attributes::read(self.params, machine)?;
        let options = options(self.params, Follow::Yes)?;
        machine.write_file(&self.dest, &Bytes::from(content), &attributes, &options)?;
        Ok(())
    }
}

/// Whether two archives hold the same. A zip has neither owners nor exact times.
fn same(old: &[Entry], new: &[Entry], is_zip: bool) -> bool {
    let sorted = |entries: &'_ [Entry]| -> Vec<usize> {
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_by(|a, b| entries[*a].path.cmp(&entries[*b].path));
        order
    };
    let id = |owner: &Option<(String, u32)>| owner.as_ref().map(|(_, id)| *id);
    let equal = |old: &Entry, new: &Entry| {
        let is_link = matches!(new.body, Body::Link(_));
        let as_kept = (id(&old.owner), id(&old.group), old.modified)
            == (id(&new.owner), id(&new.group), new.modified);
        old.path == new.path
            && old.body == new.body
            && (is_link || old.mode == new.mode)
            && (is_zip || as_kept)
    };
    old.len() == new.len()
        && sorted(old).iter().zip(sorted(new)).all(|(a, b)| equal(&old[*a], &new[b]))
}

/// What the paths and patterns stand for. A path that is not there stays.
fn expand(written: &[String], machine: &Machine) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for path in written {
        if is_pattern(path) {
            found.extend(matching(Path::new(path), machine)?);
        } else {
            found.push(PathBuf::from(path));
        }
    }
    Ok(found)
}

/// The directory that all paths are in, with a `/` at its end.
fn root(paths: &[PathBuf]) -> String {
    let mut parents = paths.iter().map(|path| path.parent().unwrap_or(Path::new("/")));
    let mut common = parents.next().unwrap_or(Path::new("/")).to_owned();
    for parent in parents {
        while !parent.starts_with(&common) {
            common.pop();
        }
    }
    let common = common.display().to_string();
    if common.ends_with('/') { common } else { common + "/" }
}
