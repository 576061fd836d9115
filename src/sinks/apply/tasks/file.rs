//! `file`: what is at a path: a directory, a link, nothing, or a file with given permissions.

use super::copy::make_directories;
use super::{Failure, Module, Outcome, Task, TaskContext, file_attributes};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::change::Time;
use crate::host::machine::meta::{Kind as FileKind, Meta, Stamp};
use crate::host::machine::path::Follow;
use crate::host::machine::write::{Attributes, WriteOptions};
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use bytes::Bytes;
use std::path::{Path, PathBuf};

pub(super) static MODULE: Module = Module {
    name: "file",
    summary: "Makes sure that a path is a directory, a link or absent, or has these permissions.",
    acts_unless: None,
    spec: Spec {
        not_yet: &[file_attributes::NOT_YET, file_attributes::CONTENT_NOT_YET],
        shared: &[file_attributes::PARAMS],
        ..Spec::new(&[
            Param::new("path", Kind::Path).or(&["dest", "name"]).required().says("The path."),
            Param::new(
                "state",
                Kind::OneOf(&["absent", "directory", "file", "hard", "link", "touch"]),
            )
            .says(
                "What is there. `file` (only permissions), or what is there already, where \
                 not given; `directory` is made with its parents; `touch` makes an empty file \
                 or sets its times; `absent` removes, directories with all that is in them.",
            ),
            Param::new("src", Kind::Path).says("What a link leads to."),
            Param::new("recurse", Kind::Bool).says(
                "Give all that is below a directory these permissions; links are left alone.",
            ),
            Param::new("force", Kind::Bool)
                .says("Replace what is in the way of a link, and make links that lead nowhere."),
            Param::new("follow", Kind::Bool)
                .says("Where `path` is a link, what it leads to; true where not given."),
            Param::new("modification_time", Kind::Text)
                .says("When it was last written: `now`, `preserve`, or a time."),
            Param::new("access_time", Kind::Text)
                .says("When it was last read: `now`, `preserve`, or a time."),
            Param::new("modification_time_format", Kind::Text)
                .says("How `modification_time` is written; `%Y%m%d%H%M.%S` where not given."),
            Param::new("access_time_format", Kind::Text)
                .says("How `access_time` is written; `%Y%m%d%H%M.%S` where not given."),
        ])
    },
    check,
    build: |params| Box::new(File { params }),
};

struct File {
    params: Params,
}

fn check(params: &Params) -> Vec<Diagnostic> {
    let state = params.text("state");
    let complain = |why: &str| vec![Diagnostic::new(why, params.span.clone())];
    if params.flag("recurse", false) && state.is_some_and(|state| state != "directory") {
        return complain("`recurse` goes with `state: directory`");
    }
    if params.has("src") && state.is_some_and(|state| !matches!(state, "link" | "hard")) {
        return complain("`src` goes with `state: link` or `state: hard`");
    }
    if state == Some("hard") && !params.has("src") {
        return complain("`state: hard` needs `src`");
    }
    Vec::new()
}

impl Task for File {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let path = self.params.path("path").unwrap_or_default();
        let attributes = file_attributes::read(&self.params, machine)?;
        let follow = if self.params.flag("follow", true) { Follow::Yes } else { Follow::No };
        let found = machine.stat(&path, Follow::No)?;
        let usual = match &found {
            Some(found) => file_attributes::state(found),
            None if self.params.flag("recurse", false) => "directory",
            None => "file",
        };
        let outcome = Outcome::default().with("path", path.display().to_string());
        let outcome = outcome.with("dest", path.display().to_string());
        let job = Job { params: &self.params, path: &path, attributes, follow };
        match self.params.text("state").unwrap_or(usual) {
            "absent" => {
                machine.remove(&path)?;
                return Ok(outcome.with("state", "absent"));
            }
            "directory" => job.directory(machine)?,
            "link" => {
                let src = job.link(machine, found.as_ref())?;
                let outcome = outcome.with("src", src.display().to_string());
                return file_attributes::returned(outcome, machine, &path, Follow::No);
            }
            "hard" => job.hard_link(machine, found.as_ref())?,
            "touch" => job.touch(machine)?,
            _ => job.file(machine)?,
        }
        if !cx.is_read {
            return Ok(outcome);
        }
        file_attributes::returned(outcome, machine, &path, follow)
    }
}

struct Job<'a> {
    params: &'a Params,
    path: &'a Path,
    attributes: Attributes,
    follow: Follow,
}

impl Job<'_> {
    /// Permissions and times of what is there; it must be a file.
    fn file(&self, machine: &mut Machine) -> Result<(), Failure> {
        let path = self.path.display();
        match machine.stat(self.path, self.follow)? {
            None => {
                let failure = Failure::from(machine.absence(format!("there is no file {path}")));
                let hint = "`state: touch` makes an empty one, `copy` one with content";
                return Err(Failure { hint: Some(hint.into()), ..failure });
            }
            Some(found) if found.kind == FileKind::Directory => {
                return Err(Failure::new(format!("{path} is a directory, and a file is expected")));
            }
            Some(_) => {}
        }
        machine.set_attributes(self.path, self.follow, &self.attributes)?;
        self.set_times(machine, self.path, Time::Preserve)
    }

    fn directory(&self, machine: &mut Machine) -> Result<(), Failure> {
        let found = machine.stat(self.path, Follow::No)?;
        let is_link = found.is_some_and(|found| found.kind == FileKind::Link);
        if is_link && (self.follow == Follow::No || machine.stat(self.path, Follow::Yes)?.is_none())
        {
            let target = machine.read_link(self.path)?;
            let (path, target) = (self.path.display(), target.display());
            return Err(Failure::new(format!(
                "{path} is a link to {target}, and a directory is expected"
            )));
        }
        make_directories(machine, self.path, &self.attributes)?;
        machine.set_attributes(self.path, Follow::Yes, &self.attributes)?;
        self.set_times(machine, self.path, Time::Preserve)?;
        if self.params.flag("recurse", false) {
            self.recurse(machine)?;
        }
        Ok(())
    }

    /// Sets permissions of all that is below. Links are left alone: what they lead to may be
    /// anywhere.
    fn recurse(&self, machine: &mut Machine) -> Result<(), Failure> {
        let mut ahead = vec![self.path.to_owned()];
        while let Some(directory) = ahead.pop() {
            for name in machine.list(&directory)? {
                let path = directory.join(name);
                let Some(found) = machine.stat(&path, Follow::No)? else { continue };
                machine.set_attributes(&path, Follow::No, &self.attributes)?;
                if found.kind == FileKind::Directory {
                    ahead.push(path);
                }
            }
        }
        Ok(())
    }

    /// Returns what the link leads to.
    fn link(&self, machine: &mut Machine, found: Option<&Meta>) -> Result<PathBuf, Failure> {
        let path = self.path.display();
        let is_link = found.is_some_and(|found| found.kind == FileKind::Link);
        let src = match self.params.path("src") {
            Some(src) => src,
            None if is_link => machine.read_link(self.path)?,
            None => return Err(Failure::new("a new link needs `src`, what it leads to")),
        };
        let force = self.params.flag("force", false);
        // A relative target counts from where the link is; from inside a directory that is
        // still in its place.
        let is_directory = found.is_some_and(|found| found.kind == FileKind::Directory);
        let from = if is_directory { Some(self.path) } else { self.path.parent() };
        let target = from.unwrap_or(Path::new("/")).join(&src);
        let target_is_there = machine.stat(&target, Follow::Yes)?.is_some();
        if !force && !target_is_there && self.params.has("src") {
            let failure = Failure::new(format!("{} does not exist", target.display()));
            let hint = "`force: true` makes a link that leads nowhere";
            return Err(Failure { hint: Some(hint.into()), ..failure });
        }
        match found {
            Some(found) if !is_link && !force => {
                let kind = found.kind.described();
                let failure = Failure::new(format!("{path} is {kind}, and a link is expected"));
                let hint = "`force: true` replaces it";
                return Err(Failure { hint: Some(hint.into()), ..failure });
            }
            Some(_) if is_directory => {
                if !machine.list(self.path)?.is_empty() {
                    let why =
                        format!("the directory {path} is not empty, and is not replaced by a link");
                    return Err(Failure::new(why));
                }
                machine.remove(self.path)?;
            }
            _ => {}
        }
        machine.symlink(self.path, &src)?;
        // What it leads to is known without following it, which may be in a directory of somebody else.
        let target = self.path.parent().unwrap_or(Path::new("/")).join(&src);
        let at = if self.follow == Follow::No { self.path } else { &target };
        if machine.stat(at, self.follow)?.is_some() {
            machine.set_attributes(at, self.follow, &self.attributes)?;
            self.set_times(machine, at, Time::Preserve)?;
        }
        Ok(src)
    }

    fn hard_link(&self, machine: &mut Machine, found: Option<&Meta>) -> Result<(), Failure> {
        let src = self.params.path("src").unwrap_or_default();
        let Some(source) = machine.stat(&src, Follow::Yes)? else {
            return Err(Failure::new(format!("{} does not exist", src.display())));
        };
        // A symbolic link is replaced in any case, as with Ansible: nothing is lost with it.
        let differs = found.filter(|it| it.inode != source.inode && it.kind != FileKind::Link);
        if let Some(other) = differs
            && !self.params.flag("force", false)
        {
            let (path, kind) = (self.path.display(), other.kind.described());
            let failure = Failure::new(format!("{path} is {kind} of its own"));
            let hint = "`force: true` replaces it";
            return Err(Failure { hint: Some(hint.into()), ..failure });
        }
        machine.hard_link(self.path, &src)?;
        machine.set_attributes(self.path, Follow::No, &self.attributes)?;
        self.set_times(machine, self.path, Time::Preserve)
    }

    fn touch(&self, machine: &mut Machine) -> Result<(), Failure> {
        if machine.stat(self.path, self.follow)?.is_none() {
            let options =
                WriteOptions { follow: self.follow == Follow::Yes, ..WriteOptions::default() };
            machine.write_file(self.path, &Bytes::new(), &self.attributes, &options)?;
            return self.set_times(machine, self.path, Time::Preserve);
        }
        machine.set_attributes(self.path, self.follow, &self.attributes)?;
        self.set_times(machine, self.path, Time::Now)
    }

    fn set_times(&self, machine: &mut Machine, path: &Path, usual: Time) -> Result<(), Failure> {
        let time = |name: &str| -> Result<Time, Failure> {
            let format = self.params.text(&format!("{name}_format")).unwrap_or("%Y%m%d%H%M.%S");
            match self.params.text(name) {
                None => Ok(usual),
                Some("preserve") => Ok(Time::Preserve),
                Some("now") => Ok(Time::Now),
                Some(text) => {
                    let parsed =
                        chrono::NaiveDateTime::parse_from_str(text, format).map_err(|_| {
                            Failure::new(format!(
                                "`{name}` is `{text}`, and `{format}` is expected"
                            ))
                        })?;
                    // As Ansible does, the host's own time zone is meant.
                    let local = parsed.and_local_timezone(chrono::Local).earliest();
                    let seconds =
                        local.map_or(parsed.and_utc().timestamp(), |time| time.timestamp());
                    Ok(Time::At(Stamp { seconds, nanoseconds: 0 }))
                }
            }
        };
        let (accessed, modified) = (time("access_time")?, time("modification_time")?);
        Ok(machine.set_times(path, self.follow, accessed, modified)?)
    }
}
