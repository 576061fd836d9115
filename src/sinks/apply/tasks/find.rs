//! `find`: files by name, age, size, type and content.

use super::edit::subject;
use super::pattern::{Over, Pattern};
use super::{Failure, Module, Outcome, Task, TaskContext, facts, values};
use crate::event::fault::Diagnostic;
use crate::event::tree::Node;
use crate::host::machine::Machine;
use crate::host::machine::meta::{Kind as FileKind, Meta};
use crate::host::machine::mode::Mode;
use crate::host::machine::path::Follow;
use crate::sinks::apply::expand::expand_path;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use globset::{GlobBuilder, GlobMatcher};
use minijinja::Value;
use std::path::{Path, PathBuf};

pub(super) static MODULE: Module = Module {
    name: "find",
    summary: "Returns the files below some directories that match by name, age, size or content.",
    acts_unless: None,
    spec: Spec {
        not_yet: &[&["encoding"]],
        ..Spec::new(&[
            Param::new("paths", Kind::Any)
                .or(&["name", "path"])
                .required()
                .says("The directories to look in."),
            Param::new("patterns", Kind::Any)
                .or(&["pattern"])
                .says("Patterns for names; all where not given."),
            Param::new("excludes", Kind::Any)
                .or(&["exclude"])
                .says("Patterns for names that are left out."),
            Param::new("use_regex", Kind::Bool).says("The patterns are regular expressions."),
            Param::new("contains", Kind::Text)
                .says("A regular expression for a line of the content."),
            Param::new("read_whole_file", Kind::Bool)
                .says("Match `contains` with the content as a whole."),
            Param::new("file_type", Kind::OneOf(&["any", "directory", "file", "link"]))
                .says("What is looked for; `file` where not given."),
            Param::new("age", Kind::Any)
                .says("Older than this: `2d`, or with `-` before it younger."),
            Param::new("age_stamp", Kind::OneOf(&["atime", "ctime", "mtime"]))
                .says("By which time; `mtime` where not given."),
            Param::new("size", Kind::Any)
                .says("At least this many bytes: `10m`, or with `-` before it at most."),
            Param::new("recurse", Kind::Bool).says("Look in directories below, too."),
            Param::new("depth", Kind::Int).says("How deep."),
            Param::new("hidden", Kind::Bool).says("Names that begin with a dot, too."),
            Param::new("follow", Kind::Bool).says("Go through links to directories."),
            Param::new("mode", Kind::Mode).says("Only what has these permissions."),
            Param::new("exact_mode", Kind::Bool)
                .says("Exactly these, not at least these; true where not given."),
            Param::new("get_checksum", Kind::Bool).says("Return the sums of files."),
            Param::new("checksum_algorithm", facts::ALGORITHMS)
                .or(&["checksum", "checksum_algo"])
                .says("How they are summed up; `sha1` where not given."),
            Param::new("limit", Kind::Int).says("Stop when this many are found."),
        ])
    },
    check,
    build: |params| Box::new(Find { params }),
};

struct Find {
    params: Params,
}

const AGES: &[(char, i64)] = &[('s', 1), ('m', 60), ('h', 3600), ('d', 86400), ('w', 604_800)];
const SIZES: &[(char, i64)] =
    &[('b', 1), ('k', 1 << 10), ('m', 1 << 20), ('g', 1 << 30), ('t', 1 << 40)];

fn check(params: &Params) -> Vec<Diagnostic> {
    if params.any("paths").is_some_and(holds_expression) {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for (name, units, example) in [("age", AGES, "-2d"), ("size", SIZES, "10m")] {
        let Some(node) = params.any(name).filter(|node| !holds_expression(node)) else { continue };
        let text = node.scalar_text().unwrap_or_default();
        if values::with_unit(text, units).is_none() {
            let why = format!("`{name}` takes a number with a unit, and this is `{text}`");
            let complaint = Diagnostic::new(why, node.span.clone());
            complaints.push(complaint.hint(format!("like `{example}`")));
        }
    }
    complaints
}

fn holds_expression(node: &Node) -> bool {
    let holds = |node: &Node| node.scalar_text().is_some_and(|text| text.contains("{{"));
    holds(node) || node.as_list().is_some_and(|items| items.iter().any(holds))
}

/// A pattern for names.
enum Name {
    Glob(GlobMatcher),
    Regex(Pattern),
}

impl Name {
    fn matches(&self, name: &str) -> Result<bool, Failure> {
        match self {
            Self::Glob(glob) => Ok(glob.is_match(name)),
            Self::Regex(regex) => regex.matches_start(name),
        }
    }
}

/// What a file must be like.
struct Filter<'a> {
    params: &'a Params,
    wanted: Vec<Name>,
    unwanted: Vec<Name>,
    contains: Option<Pattern>,
    age: Option<i64>,
    size: Option<i64>,
    now: f64,
}

impl Task for Find {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let filter = Filter::new(params, machine)?;
        let limit = params.int("limit").and_then(|limit| usize::try_from(limit).ok());
        let (mut files, mut examined, mut skipped) = (Vec::new(), 0_usize, Vec::new());
        for root in values::list(params, "paths") {
            let path = PathBuf::from(expand_path(&root));
            let is_directory = machine
                .stat(&path, Follow::Yes)?
                .is_some_and(|found| found.kind == FileKind::Directory);
            if !is_directory {
                skipped.push((root.clone(), Value::from(format!("'{root}' is not a directory"))));
                continue;
            }
            self.walk(&path, machine, &filter, limit, &mut files, &mut examined)?;
        }
        let message = match skipped.is_empty() {
            true => "All paths examined",
            false => "Not all paths examined, check warnings for details",
        };
        Ok(Outcome::default()
            .with("matched", files.len())
            .with("files", files)
            .with("examined", examined)
            .with("skipped_paths", Value::from_pairs(skipped))
            .with("msg", message))
    }
}

impl Find {
    fn walk(
        &self,
        root: &Path,
        machine: &Machine,
        filter: &Filter<'_>,
        limit: Option<usize>,
        files: &mut Vec<Value>,
        examined: &mut usize,
    ) -> Result<(), Failure> {
        let recurse = self.params.flag("recurse", false);
        let follow = self.params.flag("follow", false);
        let depth = self.params.int("depth").filter(|depth| *depth > 0).unwrap_or(i64::MAX);
        let mut ahead = vec![(root.to_owned(), 1_i64)];
        while let Some((directory, level)) = ahead.pop() {
            let mut below = Vec::new();
            let names = machine.list(&directory)?;
            if level > depth {
                // As in Ansible, one level more is looked at, and nothing of it is taken.
                *examined += names.len();
                continue;
            }
            for name in names {
                if limit.is_some_and(|limit| files.len() >= limit) {
                    return Ok(());
                }
                let path = directory.join(&name);
                let Some(found) = machine.stat(&path, Follow::No)? else { continue };
                *examined += 1;
                let leads_on = match found.kind {
                    FileKind::Directory => true,
                    FileKind::Link if follow => machine
                        .stat(&path, Follow::Yes)?
                        .is_some_and(|found| found.kind == FileKind::Directory),
                    _ => false,
                };
                if recurse && leads_on && level <= depth {
                    below.push((path.clone(), level + 1));
                }
                if let Some(told) = filter.take(&path, &name.to_string_lossy(), &found, machine)? {
                    files.push(told);
                }
            }
            ahead.extend(below.into_iter().rev());
            if ahead.len() > 1_000_000 {
                return Err(Failure::new(format!("{} leads round in a circle", root.display())));
            }
        }
        Ok(())
    }
}

impl<'a> Filter<'a> {
    fn new(params: &'a Params, machine: &Machine) -> Result<Self, Failure> {
        let use_regex = params.flag("use_regex", false);
        let names = |name: &str| -> Result<Vec<Name>, Failure> {
            let compile = |text: &String| match use_regex {
                true => Pattern::new(text, Over::Line).map(Name::Regex).map_err(Failure::new),
                false => {
                    let glob = GlobBuilder::new(text).backslash_escape(false).build();
                    let glob = glob.map_err(|error| Failure::new(error.to_string()))?;
                    Ok(Name::Glob(glob.compile_matcher()))
                }
            };
            values::list(params, name).iter().map(compile).collect()
        };
        let unit = |name: &str, units| -> Result<Option<i64>, Failure> {
            let Some(text) = params.any(name).and_then(Node::scalar_text) else { return Ok(None) };
            let wrong = || Failure::new(format!("`{name}` is `{text}`, which is no {name}"));
            values::with_unit(text, units).map(Some).ok_or_else(wrong)
        };
        let over = if params.flag("read_whole_file", false) { Over::Whole } else { Over::Line };
        let contains = params.text("contains").map(|text| Pattern::new(text, over)).transpose();
        Ok(Self {
            params,
            wanted: names("patterns")?,
            unwanted: names("excludes")?,
            contains: contains.map_err(Failure::new)?,
            age: unit("age", AGES)?,
            size: unit("size", SIZES)?,
            now: machine.now().as_seconds(),
        })
    }

    /// What is told of a file, where it is one that is looked for.
    fn take(
        &self,
        path: &Path,
        name: &str,
        found: &Meta,
        machine: &Machine,
    ) -> Result<Option<Value>, Failure> {
        let params = self.params;
        if name.starts_with('.') && !params.flag("hidden", false) {
            return Ok(None);
        }
        let is_file = found.kind == FileKind::File;
        let fits = match params.text("file_type").unwrap_or("file") {
            "any" => true,
            "directory" => found.kind == FileKind::Directory,
            "link" => found.kind == FileKind::Link,
            _ => is_file,
        };
        if !fits || !self.fits_name(name)? || !self.fits_age(found) || !self.fits_mode(found) {
            return Ok(None);
        }
        if is_file && !(self.fits_size(found) && self.fits_content(path, machine)?) {
            return Ok(None);
        }
        let mut told = vec![("path", Value::from(path.display().to_string()))];
        told.extend(facts::of_inode(found, machine));
        if is_file && params.flag("get_checksum", false) {
            let algorithm = params.text("checksum_algorithm").unwrap_or("sha1");
            told.push(("checksum", facts::sum(machine, path, algorithm)?.into()));
        }
        Ok(Some(Value::from_pairs(told)))
    }

    fn fits_name(&self, name: &str) -> Result<bool, Failure> {
        let any = |patterns: &[Name]| -> Result<bool, Failure> {
            for pattern in patterns {
                if pattern.matches(name)? {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        Ok((self.wanted.is_empty() || any(&self.wanted)?) && !any(&self.unwanted)?)
    }

    fn fits_age(&self, found: &Meta) -> bool {
        let Some(age) = self.age else { return true };
        let stamp = match self.params.text("age_stamp") {
            Some("atime") => found.accessed,
            Some("ctime") => found.changed,
            _ => found.modified,
        };
        let passed = self.now - stamp.as_seconds();
        if age >= 0 { passed >= age as f64 } else { passed <= -age as f64 }
    }

    fn fits_size(&self, found: &Meta) -> bool {
        let Some(size) = self.size else { return true };
        let wanted = size.unsigned_abs();
        if size >= 0 { found.size_bytes >= wanted } else { found.size_bytes <= wanted }
    }

    fn fits_mode(&self, found: &Meta) -> bool {
        let Some(mode) = self.params.mode("mode") else { return true };
        let bits = match &mode {
            Mode::Symbolic(_) => mode.resolve(0, found.kind, 0),
            _ => mode.resolve(found.mode, found.kind, 0),
        };
        match self.params.flag("exact_mode", true) {
            true => found.mode == bits,
            false => found.mode & bits == bits,
        }
    }

    fn fits_content(&self, path: &Path, machine: &Machine) -> Result<bool, Failure> {
        let Some(pattern) = &self.contains else { return Ok(true) };
        let content = machine.read(path)?;
        let text = String::from_utf8_lossy(&content);
        if self.params.flag("read_whole_file", false) {
            return pattern.is_match(&text);
        }
        for line in text.split_inclusive('\n') {
            if pattern.matches_start(&subject(line))? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
