//! `copy`: a file, or a tree of files, with given content.

use super::{Failure, Module, Outcome, Task, TaskContext, facts, file_attributes};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::meta::Kind as FileKind;
use crate::host::machine::mode::Mode;
use crate::host::machine::path::Follow;
use crate::host::machine::write::{Attributes, WriteOptions};
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use bytes::Bytes;
use std::path::{Path, PathBuf};

pub(super) static MODULE: Module = Module {
    name: "copy",
    summary: "Makes sure that a file has this content, or that a tree of files is there.",
    acts_unless: None,
    spec: Spec {
        not_yet: &[file_attributes::NOT_YET],
        exclusive: &[&["content", "src"]],
        one_of: &[&["content", "src"]],
        shared: &[file_attributes::PARAMS],
        ..Spec::new(&[
            Param::new("src", Kind::Path).says(
                "A file or directory of the config, or of the host with `remote_src`. Of a \
                 directory whose name ends with `/` only what is in it.",
            ),
            Param::new("content", Kind::Content).says("What the file holds, in place of `src`."),
            Param::new("dest", Kind::Path)
                .required()
                .says("The file, or the directory that it goes into."),
            file_attributes::BACKUP,
            Param::new("force", Kind::Bool)
                .or(&["thirsty"])
                .says("Replace a file that is different; true where not given."),
            file_attributes::VALIDATE,
            Param::new("checksum", Kind::Text).says("The SHA-1 sum that `src` must have."),
            Param::new("decrypt", Kind::Bool)
                .says("Accepted, and without effect: there is no vault."),
            Param::new("directory_mode", Kind::Mode)
                .says("The permissions of directories that are made."),
            Param::new("remote_src", Kind::Bool).says("`src` is on the host."),
            Param::new("follow", Kind::Bool)
                .says("Where `dest` is a link, write what it leads to."),
            Param::new("local_follow", Kind::Bool)
                .says("Copy what links in `src` lead to, not the links; true where not given."),
        ])
    },
    check,
    build: |params| Box::new(Copy { params }),
};

struct Copy {
    params: Params,
}

fn check(params: &Params) -> Vec<Diagnostic> {
    let complain = |why: &str| vec![Diagnostic::new(why, params.span.clone())];
    match (params.text("content"), params.text("dest"), params.text("validate")) {
        (Some(_), Some(dest), _) if dest.ends_with('/') => {
            complain("with `content`, `dest` is the file itself and cannot end with `/`")
        }
        (_, _, Some(validate)) if !validate.contains("%s") => {
            complain("`validate` must hold `%s`, the file to look at")
        }
        _ => Vec::new(),
    }
}

impl Task for Copy {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let attributes = file_attributes::read(params, machine)?;
        let dest = params.path("dest").unwrap_or_default();
        let Some(src) = params.text("src") else {
            let content = Bytes::from(params.text("content").unwrap_or_default().to_owned());
            if is_directory(machine, &dest)? {
                let why = format!("{} is a directory, and `content` makes a file", dest.display());
                return Err(Failure::new(why));
            }
            return write(params, machine, cx, &dest, (&content, &attributes));
        };
        let source = if params.flag("remote_src", false) {
            PathBuf::from(src)
        } else {
            find_source(src, "files", machine, cx)?
        };
        if is_directory(machine, &source)? {
            return self.copy_tree(machine, src, &source, &dest, &attributes);
        }
        let content = machine.read(&source)?;
        if let Some(wanted) = params.text("checksum") {
            let found = facts::sum_of(&content, "sha1");
            if !found.eq_ignore_ascii_case(wanted) {
                let (source, why) = (source.display(), "is expected");
                let why = format!("the SHA-1 of {source} is {found}, and {wanted} {why}");
                return Err(Failure::new(why));
            }
        }
        let mut attributes = attributes;
        preserve(&mut attributes, &source, machine)?;
        write(params, machine, cx, &source, (&content, &attributes))
    }
}

impl Copy {
    /// Copies a directory: with a `/` at the end of `src` what is in it, else the directory.
    fn copy_tree(
        &self,
        machine: &mut Machine,
        src: &str,
        source: &Path,
        dest: &Path,
        attributes: &Attributes,
    ) -> Result<Outcome, Failure> {
        let root = match source.file_name() {
            Some(name) if !src.ends_with('/') => dest.join(name),
            _ => dest.to_owned(),
        };
        let directory =
            Attributes { mode: self.params.mode("directory_mode"), ..attributes.clone() };
        // What is copied from the host itself, to where nothing is, keeps its permissions.
        let is_new = machine.stat(&root, Follow::Yes)?.is_none();
        let keeps = is_new && self.params.flag("remote_src", false);
        let like = |attributes: &Attributes, mode| match attributes.mode {
            None if keeps => Attributes { mode: Some(Mode::Exact(mode)), ..attributes.clone() },
            _ => attributes.clone(),
        };
        if keeps && let Some(found) = machine.stat(source, Follow::Yes)? {
            if let Some(parent) = root.parent()
                && machine.stat(parent, Follow::Yes)?.is_none()
            {
                make_directories(machine, parent, &directory)?;
            }
            machine.mkdir(&root, &like(&directory, found.mode))?;
        } else {
            make_directories(machine, &root, &directory)?;
        }
        let follow_links = self.params.flag("local_follow", true);
        // With each directory those that it is in, so that no link leads round in a circle.
        let above = machine.stat(source, Follow::Yes)?.map(|found| found.inode);
        let mut ahead = vec![(source.to_owned(), root.clone(), Vec::from_iter(above))];
        while let Some((from, to, above)) = ahead.pop() {
            for name in machine.list(&from)? {
                let (from, to) = (from.join(&name), to.join(&name));
                let Some(mut found) = machine.stat(&from, Follow::No)? else { continue };
                // A link that leads nowhere, or back to where it is in, stays a link.
                if found.kind == FileKind::Link
                    && follow_links
                    && let Ok(Some(target)) = machine.stat(&from, Follow::Yes)
                    && !above.contains(&target.inode)
                {
                    found = target;
                }
                match found.kind {
                    FileKind::Directory => {
                        machine.mkdir(&to, &like(&directory, found.mode))?;
                        let above = [&above[..], &[found.inode]].concat();
                        ahead.push((from, to, above));
                    }
                    FileKind::Link => {
                        let target = machine.read_link(&from)?;
                        machine.symlink(&to, &target)?;
                    }
                    _ => {
                        let content = machine.read(&from)?;
                        let mut attributes = like(attributes, found.mode);
                        preserve(&mut attributes, &from, machine)?;
                        self.write_one(machine, &to, &content, &attributes)?;
                    }
                }
            }
        }
        let outcome = Outcome::default().with("src", source.display().to_string());
        Ok(outcome.with("dest", dest.display().to_string()))
    }

    fn write_one(
        &self,
        machine: &mut Machine,
        to: &Path,
        content: &Bytes,
        attributes: &Attributes,
    ) -> Result<(), Failure> {
        if self.params.flag("force", true) || machine.stat(to, Follow::No)?.is_none() {
            machine.write_file(to, content, attributes, &options(&self.params)?)?;
        }
        Ok(())
    }
}

/// Writes `content` to `dest`, or under the source's name into `dest` where that is a directory;
/// shared with `template`.
pub(super) fn write(
    params: &Params,
    machine: &mut Machine,
    cx: &TaskContext<'_>,
    source: &Path,
    (content, attributes): (&Bytes, &Attributes),
) -> Result<Outcome, Failure> {
    let written = params.text("dest").unwrap_or_default();
    let mut dest = PathBuf::from(written);
    let into = written.ends_with('/') || is_directory(machine, &dest)?;
    if into && params.text("src").is_some() {
        make_directories(
            machine,
            &dest,
            &Attributes { mode: params.mode("directory_mode"), ..Attributes::default() },
        )?;
        let name = source.file_name().unwrap_or_default().to_string_lossy();
        dest.push(name.as_ref());
    }
    let follow = if params.flag("follow", false) { Follow::Yes } else { Follow::No };
    let mut outcome = Outcome::default();
    let keep = !params.flag("force", true) && machine.stat(&dest, follow)?.is_some();
    if keep {
        outcome.message = Some(format!("{} exists, and is left as it is", dest.display()));
    } else {
        let done = machine.write_file(&dest, content, attributes, &options(params)?)?;
        if let Some(backup) = done.backup {
            outcome = outcome.with("backup_file", backup.display().to_string());
        }
    }
    if !cx.is_read {
        return Ok(outcome);
    }
    if params.text("src").is_some() {
        outcome = outcome.with("src", source.display().to_string());
    }
    let outcome = outcome
        .with("dest", dest.display().to_string())
        .with("checksum", facts::sum_of(content, "sha1"))
        .with("md5sum", facts::sum_of(content, "md5"));
    file_attributes::returned(outcome, machine, &dest, follow)
}

fn options(params: &Params) -> Result<WriteOptions, Failure> {
    let follow = if params.flag("follow", false) { Follow::Yes } else { Follow::No };
    super::edit::options(params, follow)
}

/// `mode: preserve` is the mode of the source.
pub(super) fn preserve(
    attributes: &mut Attributes,
    source: &Path,
    machine: &Machine,
) -> Result<(), Failure> {
    if attributes.mode == Some(Mode::Preserve) {
        let found = machine.stat(source, Follow::Yes)?;
        attributes.mode = found.map(|found| Mode::Exact(found.mode));
    }
    Ok(())
}

/// A source file of the config: absolute, or in its own folder, or beside the tasks; of a role in
/// the role's directory first.
pub(super) fn find_source(
    src: &str,
    folder: &str,
    machine: &Machine,
    cx: &TaskContext<'_>,
) -> Result<PathBuf, Failure> {
    let mut looked: Vec<String> = Vec::new();
    for place in cx.search {
        for candidate in [place.join(folder).join(src), place.join(src)] {
            if machine.stat(&candidate, Follow::Yes)?.is_some() {
                return Ok(candidate);
            }
            let candidate = candidate.display().to_string();
            if !looked.contains(&candidate) {
                looked.push(candidate);
            }
        }
    }
    let why = match &looked[..] {
        [one] => format!("there is no {one}"),
        [first, second] => format!("there is neither {first} nor {second}"),
        _ => format!("there is no `{src}`; looked for {}", looked.join(", ")),
    };
    Err(Failure::new(why))
}

fn is_directory(machine: &Machine, path: &Path) -> Result<bool, Failure> {
    let found = machine.stat(path, Follow::Yes)?;
    Ok(found.is_some_and(|found| found.kind == FileKind::Directory))
}

/// Makes a directory and those above it that are missing, all with the same permissions.
pub(super) fn make_directories(
    machine: &mut Machine,
    path: &Path,
    attributes: &Attributes,
) -> Result<(), Failure> {
    let mut missing = Vec::new();
    for ancestor in path.ancestors() {
        if machine.stat(ancestor, Follow::Yes)?.is_some() {
            break;
        }
        missing.push(ancestor);
    }
    if missing.is_empty() {
        machine.mkdir(path, attributes)?; // complains where it is no directory
    }
    for path in missing.into_iter().rev() {
        machine.mkdir(path, attributes)?;
    }
    Ok(())
}
