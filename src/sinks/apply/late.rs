//! Remarks about tasks that need what only a later one makes: on a host that has it not, the first run
//! fails.

use super::notes::text_of;
use super::tasks::{self, Module};
use crate::event::fault::Diagnostic;
use crate::event::task::{Step, Task, each_task};
use crate::event::tree::{Node, Span};
use crate::expr::jinja::Engine;
use std::path::{Path, PathBuf};

/// What a task makes or needs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Thing {
    User(String),
    Group(String),
    Directory(PathBuf),
}

impl Thing {
    fn described(&self) -> String {
        match self {
            Self::User(name) => format!("the user `{name}`"),
            Self::Group(name) => format!("the group `{name}`"),
            Self::Directory(path) => format!("the directory {}", path.display()),
        }
    }

    /// Whether it is there once `made` was made: a directory's parents are made with it.
    fn comes_with(&self, made: &Self) -> bool {
        match (self, made) {
            (Self::Directory(path), Self::Directory(made)) => made.starts_with(path),
            (thing, made) => thing == made,
        }
    }
}

/// Modules that write a file whose directory must be there, and the parameter that names it.
const WRITERS: [(&str, &str); 9] = [
    ("assemble", "dest"),
    ("blockinfile", "path"),
    ("copy", "dest"),
    ("cron", "cron_file"),
    ("get_url", "dest"),
    ("ini_file", "path"),
    ("lineinfile", "path"),
    ("template", "dest"),
    ("unarchive", "dest"),
];

/// Remarks about the tasks of a play, in their order.
pub(super) fn late(steps: &[Step]) -> Vec<Diagnostic> {
    let mut made: Vec<(usize, Thing, Option<Span>)> = Vec::new();
    let mut needed: Vec<(usize, Thing, Option<Span>)> = Vec::new();
    let mut at = 0;
    each_task(steps, &mut |task| {
        at += 1;
        let Some(module) = tasks::find(&task.module) else { return };
        let text = |name: &str| literal(module, task, name);
        made.extend(makes(module, &text).into_iter().map(|(thing, place)| (at, thing, place)));
        needed.extend(needs(module, &text).into_iter().map(|(thing, place)| (at, thing, place)));
    });
    let remark = |(at, thing, place): (usize, Thing, Option<Span>)| {
        let is_made = made.iter().any(|(made_at, it, _)| *made_at <= at && thing.comes_with(it));
        let (_, _, later) = made.iter().find(|(_, it, _)| *it == thing).filter(|_| !is_made)?;
        let why = format!("{} is made by a later task only", thing.described());
        let note = Diagnostic::new(why, place).related(later.clone(), "this one makes it");
        Some(note.hint("where the host has it not yet, the first run fails"))
    };
    needed.into_iter().filter_map(remark).collect()
}

type Text<'t> = dyn Fn(&str) -> Option<(String, Option<Span>)> + 't;

/// A parameter as it is written, where that is no expression.
fn literal(module: &Module, task: &Task, name: &str) -> Option<(String, Option<Span>)> {
    text_of(module, task, name).filter(|(text, _)| !Engine::holds_expression(&Node::string(text)))
}

fn is_absent(text: &Text<'_>) -> bool {
    text("state").is_some_and(|(state, _)| state == "absent")
}

fn makes(module: &Module, text: &Text<'_>) -> Vec<(Thing, Option<Span>)> {
    if is_absent(text) {
        return Vec::new();
    }
    let name = || text("name");
    match module.name {
        "user" => {
            // A user has a group of the same name, unless there is another one for it.
            let group = name().filter(|_| text("group").is_none());
            let group = group.map(|(name, place)| (Thing::Group(name), place));
            name()
                .map(|(name, place)| (Thing::User(name), place))
                .into_iter()
                .chain(group)
                .collect()
        }
        "group" => name().map(|(name, place)| (Thing::Group(name), place)).into_iter().collect(),
        "file" if text("state").is_some_and(|(state, _)| state == "directory") => {
            directory(text("path")).into_iter().collect()
        }
        "mount" if text("state").is_some_and(|(state, _)| state == "mounted") => {
            directory(text("path")).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn directory(text: Option<(String, Option<Span>)>) -> Option<(Thing, Option<Span>)> {
    let (path, place) = text?;
    let path: PathBuf = Path::new(&path).components().collect();
    Some((Thing::Directory(path), place))
}

fn needs(module: &Module, text: &Text<'_>) -> Vec<(Thing, Option<Span>)> {
    if is_absent(text) {
        return Vec::new();
    }
    let user = |name: &str| text(name).map(|(name, place)| (Thing::User(name), place));
    let group = |name: &str| text(name).map(|(name, place)| (Thing::Group(name), place));
    let mut found = Vec::new();
    match module.name {
        "user" => found.extend(group("group")),
        "authorized_key" | "cron" => found.extend(user("user")),
        "group" => {}
        _ => {
            let has_accounts = module.spec.find("owner").is_some();
            found.extend(user("owner").filter(|_| has_accounts));
            found.extend(group("group").filter(|_| has_accounts));
        }
    }
    if let Some((_, parameter)) = WRITERS.iter().find(|(name, _)| *name == module.name)
        && let Some((written, place)) = text(parameter)
    {
        let path = Path::new(&written);
        let is_whole = written.ends_with('/') || module.name == "unarchive";
        let parent = if is_whole { Some(path) } else { path.parent() };
        let parent = parent.filter(|parent| parent.is_absolute());
        let parent = parent.map(|parent| parent.components().collect());
        found.extend(parent.map(|parent| (Thing::Directory(parent), place)));
    }
    found
}
