//! `include_vars`: variables from files, for the rest of the run.

use super::{Failure, Module, Outcome, Task, TaskContext, no_check};
use crate::event::task::Named;
use crate::event::tree::{Key, Node, Value as Tree};
use crate::expr::value::{from_node, to_node};
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use crate::sinks::apply::parse::Parser;
use minijinja::Value;
use std::path::{Path, PathBuf};

pub(super) static MODULE: Module = Module {
    name: "include_vars",
    summary: "Reads variables from a file, or from all files of a directory.",
    acts_unless: None,
    spec: Spec {
        free_form: Some("file"),
        exclusive: &[&["file", "dir"]],
        one_of: &[&["file", "dir"]],
        ..Spec::new(&[
            Param::new("file", Kind::Text).or(&["_raw_params"]).says("The file."),
            Param::new("dir", Kind::Text).says("A directory, all of whose files are read."),
            Param::new("name", Kind::Text)
                .says("The variable that holds them; else they are variables themselves."),
            Param::new("depth", Kind::Int).says("How deep in `dir`."),
            Param::new("files_matching", Kind::Text)
                .says("Only files whose names this regular expression matches."),
            Param::new("ignore_files", Kind::Texts)
                .says("Regular expressions for names that are left out."),
            Param::new("extensions", Kind::Texts)
                .says("Endings of the files that are read; `json`, `yaml`, `yml` where not given."),
            Param::new("ignore_unknown_extensions", Kind::Bool)
                .says("Leave out files with other endings instead of failing."),
            Param::new("hash_behaviour", Kind::OneOf(&["replace", "merge"]))
                .says("Whether a mapping replaces one of the same name, or is merged into it."),
        ])
    },
    check: no_check,
    build: |params| Box::new(IncludeVars { params }),
};

struct IncludeVars {
    params: Params,
}

impl Task for IncludeVars {
    fn converge(&self, _: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let parser = Parser::new(cx.set, cx.scope.clone());
        let paths = match self.params.text("file") {
            Some(name) => {
                let found = parser.find_vars(name.trim(), cx.home, self.params.span.as_ref());
                vec![found.map_err(|complaint| Failure::from(*complaint))?]
            }
            None => self.listed(&parser, cx)?,
        };
        let mut vars = Named::new();
        for path in &paths {
            let node = cx.set.library.read(path).map_err(Failure::first)?;
            let Some(entries) = node.as_map() else {
                let (path, kind) = (path.display(), node.kind());
                let why = format!("{path} holds {kind}, and a file of variables holds a mapping");
                return Err(Failure::new(why));
            };
            for (key, node) in entries {
                let merges = self.params.text("hash_behaviour") == Some("merge");
                // What is known already is merged with, too.
                let known = merges.then(|| {
                    let known = || cx.scope.lookup(&key.name);
                    vars.get(&*key.name).cloned().or_else(|| Some(to_node(&known())))
                });
                let value = match known.flatten() {
                    Some(mut known) => {
                        merge(&mut known, node);
                        known
                    }
                    None => node.clone(),
                };
                vars.insert(key.name.to_string(), value);
            }
        }
        if let Some(name) = self.params.text("name") {
            let entries = vars.iter().map(|(name, node)| (Key::from(name.as_str()), node.clone()));
            let inner = Node::new(Tree::Map(entries.collect()));
            vars = Named::from([(name.to_owned(), inner)]);
        }
        let facts =
            Value::from_pairs(vars.iter().map(|(name, node)| (name.clone(), from_node(node))));
        let files: Value = paths.iter().map(|path| path.display().to_string()).collect();
        let outcome = Outcome { vars, ..Outcome::default() };
        Ok(outcome.with("ansible_facts", facts).with("ansible_included_var_files", files))
    }
}

impl IncludeVars {
    /// The files of `dir`, in the order of their names.
    fn listed(&self, parser: &Parser, cx: &TaskContext<'_>) -> Result<Vec<PathBuf>, Failure> {
        let name = self.params.text("dir").unwrap_or_default();
        let places =
            cx.search.iter().flat_map(|place| [place.join("vars").join(name), place.join(name)]);
        let directory = places.into_iter().find(|path| path.is_dir());
        let directory = directory.filter(|path| parser.is_inside(path)).ok_or_else(|| {
            Failure::new(format!("there is no directory `{name}` in the config directory"))
        })?;
        let matching = self.params.text("files_matching").map(regex::Regex::new).transpose();
        let matching = matching.map_err(|_| Failure::new("`files_matching` is no regex"))?;
        let default = ["yaml", "yml", "json"].map(str::to_owned);
        let extensions = self.params.texts("extensions").unwrap_or(&default);
        let ignored = self.params.texts("ignore_files").unwrap_or_default();
        let depth = self.params.int("depth").and_then(|depth| usize::try_from(depth).ok());
        let mut found = Vec::new();
        files_below(&directory, depth.filter(|depth| *depth > 0).unwrap_or(usize::MAX), &mut found);
        found.sort();
        let mut wanted = Vec::new();
        for path in found.into_iter().filter(|path| parser.is_inside(path)) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
            if ignored.contains(&name) || matching.as_ref().is_some_and(|it| !it.is_match(&name)) {
                continue;
            }
            if extensions.contains(&extension) {
                wanted.push(path);
            } else if !self.params.flag("ignore_unknown_extensions", false) {
                let why =
                    format!("{} has none of the endings {}", path.display(), extensions.join(", "));
                let hint = "`ignore_unknown_extensions: true` passes over such files";
                return Err(Failure { hint: Some(hint.into()), ..Failure::new(why) });
            }
        }
        Ok(wanted)
    }
}

fn files_below(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = directory.read_dir() else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_file() {
            found.push(path);
        } else if depth > 1 && path.is_dir() && !leads_back(&path) {
            files_below(&path, depth - 1, found);
        }
    }
}

/// Whether a link leads to a directory that it is in.
fn leads_back(path: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    let above = path.parent().and_then(real);
    real(path).zip(above).is_none_or(|(real, above)| above.starts_with(real))
}

/// Adds the entries of a mapping to another, all the way down.
fn merge(into: &mut Node, from: &Node) {
    match (&mut into.value, &from.value) {
        (Tree::Map(known), Tree::Map(more)) => {
            for (key, node) in more {
                match known.iter_mut().find(|(other, _)| other == key) {
                    Some((_, known)) => merge(known, node),
                    None => known.push((key.clone(), node.clone())),
                }
            }
        }
        _ => *into = from.clone(),
    }
}
