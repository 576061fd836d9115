//! `unarchive`: what is in an archive, unpacked.

use super::command::not_needed;
use super::copy::{find_source, make_directories};
use super::unpack::{Body, Entry, read};
use super::{Failure, Module, Outcome, Task, TaskContext, file_attributes, values, web};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::change::Time;
use crate::host::machine::meta::{Kind as FileKind, Stamp};
use crate::host::machine::mode::Mode;
use crate::host::machine::path::Follow;
use crate::host::machine::write::{Attributes, WriteOptions};
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use bytes::Bytes;
use globset::{Glob, GlobMatcher};
use minijinja::Value;
use std::path::{Path, PathBuf};

pub(super) static MODULE: Module = Module {
    name: "unarchive",
    summary: "Makes sure that all that is in an archive is in a directory.",
    acts_unless: None,
    spec: Spec {
        not_yet: &[file_attributes::NOT_YET, &["decrypt"]],
        exclusive: &[&["include", "exclude"]],
        shared: &[file_attributes::PARAMS],
        ..Spec::new(&[
            Param::new("src", Kind::Text)
                .required()
                .says("The archive: of the config, or with `remote_src` of the host or a URL."),
            Param::new("dest", Kind::Path).required().says("The directory, which must be there."),
            Param::new("remote_src", Kind::Bool).says("`src` is on the host, or a URL."),
            Param::new("copy", Kind::Bool).says("The opposite of `remote_src`."),
            Param::new("creates", Kind::Path)
                .says("A path; where something is there, nothing is unpacked."),
            Param::new("include", Kind::Any).says("Only these names or patterns."),
            Param::new("exclude", Kind::Any).says("All but these names or patterns."),
            Param::new("extra_opts", Kind::Any)
                .says("Only `--strip-components=N`: take N directories off the names."),
            Param::new("keep_newer", Kind::Bool)
                .says("Leave files alone that are newer than those of the archive."),
            Param::new("list_files", Kind::Bool).says("Return the names."),
            Param::new("io_buffer_size", Kind::Int).says("Accepted, and without effect."),
            Param::new("validate_certs", Kind::Bool).says(
                "For a URL: believe only servers that can prove who they are; true where not \
                 given.",
            ),
        ])
    },
    check,
    build: |params| Box::new(Unarchive { params }),
};

struct Unarchive {
    params: Params,
}

fn check(params: &Params) -> Vec<Diagnostic> {
    match stripped(params) {
        Ok(_) => Vec::new(),
        Err(why) => vec![Diagnostic::new(why, params.span.clone())],
    }
}

/// How many leading directories `extra_opts` take off the names.
fn stripped(params: &Params) -> Result<usize, String> {
    let mut count = 0;
    for option in values::list(params, "extra_opts") {
        let number = option
            .strip_prefix("--strip-components=")
            .or_else(|| option.strip_prefix("--strip="))
            .and_then(|number| number.parse().ok());
        match number {
            Some(number) => count = number,
            None if option.contains("{{") => {}
            None => {
                return Err(format!(
                    "`extra_opts` has `{option}`, and only `--strip-components=N` is known"
                ));
            }
        }
    }
    Ok(count)
}

impl Task for Unarchive {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let src = params.text("src").unwrap_or_default();
        if let Some(reason) = not_needed(params, machine)? {
            let outcome = Outcome { message: Some(reason.clone()), ..Outcome::default() };
            return Ok(outcome.with("msg", reason).with("src", src));
        }
        let dest = params.path("dest").unwrap_or_default();
        let found = machine.stat(&dest, Follow::Yes)?;
        if found.is_none_or(|found| found.kind != FileKind::Directory) {
            let failure = Failure::new(format!("there is no directory {}", dest.display()));
            let hint = "make it first, with `file: {path: …, state: directory}`";
            return Err(Failure { hint: Some(hint.into()), ..failure });
        }
        let (content, source) = self.archive(src, machine, cx)?;
        let (entries, handler) = read(&content)?;
        let job = Job::new(params, machine, &dest)?;
        let mut names = Vec::new();
        for entry in &entries {
            if let Some(below) = job.wanted(&entry.path) {
                job.place(machine, entry, &below)?;
                let end = if matches!(entry.body, Body::Directory) { "/" } else { "" };
                names.push(Value::from(format!("{}{end}", below.display())));
            }
        }
        let mut outcome = Outcome::default()
            .with("src", source)
            .with("dest", dest.display().to_string())
            .with("handler", handler);
        if params.flag("list_files", false) {
            outcome = outcome.with("files", names);
        }
        file_attributes::returned(outcome, machine, &dest, Follow::Yes)
    }
}

impl Unarchive {
    /// The archive's bytes, and where they are from.
    fn archive(
        &self,
        src: &str,
        machine: &Machine,
        cx: &TaskContext<'_>,
    ) -> Result<(Bytes, String), Failure> {
        let params = &self.params;
        let remote = params.flag("remote_src", false) || !params.flag("copy", true);
        if src.contains("://") {
            let request = web::request(params, 60.0)?;
            let request = crate::net::fetch::Request { url: src.to_owned(), ..request };
            let answer = machine.fetch(&request)?;
            if answer.status != 200 {
                let place = src.split('?').next().unwrap_or(src);
                return Err(Failure::new(format!("{place}: the server answers {}", answer.status)));
            }
            return Ok((answer.body, src.to_owned()));
        }
        let path =
            if remote { PathBuf::from(src) } else { find_source(src, "files", machine, cx)? };
        Ok((machine.read(&path)?, path.display().to_string()))
    }
}

struct Job<'a> {
    dest: &'a Path,
    strip: usize,
    include: Vec<GlobMatcher>,
    exclude: Vec<GlobMatcher>,
    keep_newer: bool,
    asked: Attributes,
}

impl<'a> Job<'a> {
    fn new(params: &Params, machine: &Machine, dest: &'a Path) -> Result<Self, Failure> {
        let globs = |name| -> Result<Vec<GlobMatcher>, Failure> {
            let compile = |text: &String| {
                let glob = Glob::new(text.trim_end_matches('/'));
                glob.map(|glob| glob.compile_matcher())
                    .map_err(|error| Failure::new(format!("`{name}`: {error}")))
            };
            values::list(params, name).iter().map(compile).collect()
        };
        Ok(Self {
            dest,
            strip: stripped(params).map_err(Failure::new)?,
            include: globs("include")?,
            exclude: globs("exclude")?,
            keep_newer: params.flag("keep_newer", false),
            asked: file_attributes::read(params, machine)?,
        })
    }

    /// Where an entry goes below the destination; none where it is not wanted.
    fn wanted(&self, path: &Path) -> Option<PathBuf> {
        let parts: Vec<_> = path.iter().collect();
        let suffix = |from: usize| parts[from..].iter().collect::<PathBuf>();
        let is_below = |glob: &GlobMatcher| path.ancestors().any(|path| glob.is_match(path));
        if !self.include.is_empty() && !self.include.iter().any(is_below) {
            return None;
        }
        let mut suffixes = (0..parts.len()).map(suffix);
        if suffixes.any(|path| {
            self.exclude.iter().any(|glob| path.ancestors().any(|path| glob.is_match(path)))
        }) {
            return None;
        }
        (parts.len() > self.strip).then(|| suffix(self.strip))
    }

    /// Permissions of an entry: what the task asks for, else what the archive has. Only root can
    /// give files to others.
    fn attributes(&self, machine: &Machine, entry: &Entry, kind: FileKind) -> Attributes {
        let root = machine.is_root();
        let mode = match (&self.asked.mode, entry.mode) {
            (Some(mode @ Mode::Symbolic(_)), Some(bits)) => {
                Some(Mode::Exact(mode.resolve(bits, kind, 0o022)))
            }
            (Some(mode), _) => Some(mode.clone()),
            (None, Some(bits)) => Some(Mode::Exact(if root { bits } else { bits & 0o755 })),
            (None, None) => None,
        };
        let owner = entry.owner.as_ref().filter(|_| root);
        let group = entry.group.as_ref().filter(|_| root);
        Attributes {
            mode,
            uid: self
                .asked
                .uid
                .or_else(|| owner.map(|(name, id)| named(name, machine.user_id(name).ok(), *id))),
            gid: self
                .asked
                .gid
                .or_else(|| group.map(|(name, id)| named(name, machine.group_id(name).ok(), *id))),
        }
    }

    fn place(&self, machine: &mut Machine, entry: &Entry, below: &Path) -> Result<(), Failure> {
        let path = self.dest.join(below);
        if let Some(parent) = path.parent() {
            make_directories(machine, parent, &Attributes::default())?;
        }
        let found = machine.stat(&path, Follow::No)?;
        match &entry.body {
            Body::Directory => {
                let attributes = self.attributes(machine, entry, FileKind::Directory);
                make_directories(machine, &path, &attributes)?;
                machine.set_attributes(&path, Follow::Yes, &attributes)?;
            }
            Body::Link(target) => machine.symlink(&path, target)?,
            Body::HardLink(target) => {
                let target: PathBuf = target.iter().skip(self.strip).collect();
                machine.hard_link(&path, &self.dest.join(target))?;
            }
            Body::File(content) => {
                // An archive tells whole seconds.
                let newer = |found: &crate::host::machine::meta::Meta| {
                    let at = (found.modified.seconds, found.modified.nanoseconds);
                    entry.modified.is_some_and(|time| at > (time, 0))
                };
                if self.keep_newer && found.as_ref().is_some_and(newer) {
                    return Ok(());
                }
                let attributes = self.attributes(machine, entry, FileKind::File);
                machine.write_file(&path, content, &attributes, &WriteOptions::default())?;
                if let Some(seconds) = entry.modified {
                    let is_so = machine
                        .stat(&path, Follow::No)?
                        .is_some_and(|found| found.modified.seconds == seconds);
                    if !is_so {
                        let time = Time::At(Stamp { seconds, nanoseconds: 0 });
                        machine.set_times(&path, Follow::No, Time::Preserve, time)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The host's own number for a name; where it does not know the name, the archive's.
fn named(name: &str, known: Option<u32>, id: u32) -> u32 {
    if name.is_empty() { id } else { known.unwrap_or(id) }
}
