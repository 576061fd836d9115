//! What is worth a remark about a desired state although it is no mistake.

use super::args::normalize;
use super::keywords::Keywords;
use super::late::late;
use super::tasks::{self, Module};
use super::words::{Quotes, split};
use crate::event::fault::Diagnostic;
use crate::event::task::{Step, Task, TaskSet, each_task};
use crate::event::tree::{Node, Span};
use crate::expr::jinja::Engine;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Modules that decide all that a file holds, and the parameters that say what.
const OWNERS: [(&str, &[&str]); 4] = [
    ("assemble", &["src"]),
    ("copy", &["content", "src"]),
    ("get_url", &["url"]),
    ("template", &["src"]),
];

/// Words that mean something to a shell, and to a program nothing.
const SIGNS: [&str; 14] =
    ["|", "||", "&", "&&", ";", ">", ">>", "<", "<<", "2>", "2>>", "&>", "2>&1", "1>&2"];

/// All remarks about `set`, in the order of its tasks.
pub fn notes(set: &TaskSet) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if let Some(play) = set.plays.first()
        && set.plays.iter().all(|play| play.steps.is_empty() && play.handlers.is_empty())
    {
        let note = Diagnostic::new(
            "the apply file declares no task, so that nothing is done",
            play.span.clone(),
        );
        found.push(note.hint("tasks are listed below `tasks:`"));
    }
    for play in &set.plays {
        each_task(&play.steps, &mut |task| found.extend(signs_of_a_shell(task)));
        play.handlers.iter().for_each(|handler| found.extend(signs_of_a_shell(handler)));
        two_owners(&play.steps, &mut HashMap::new(), &mut found);
        found.extend(late(&play.steps));
    }
    found
}

/// A `command` that is written as if a shell ran it.
fn signs_of_a_shell(task: &Task) -> Option<Diagnostic> {
    let module = tasks::find(&task.module).filter(|module| module.name == "command")?;
    let (text, place) = text_of(module, task, "cmd")?;
    let words = split(&text, Quotes::Keep).ok()?;
    let is_sign = |word: &&String| {
        SIGNS.contains(&word.as_str()) || word.starts_with("2>") || word.ends_with(';')
    };
    let sign = words.iter().skip(1).find(is_sign)?;
    let why = format!("`command` has no shell, so that its program gets `{sign}` as it is");
    let hint = "`shell` knows `|`, `>` and `&&`; in quotes they are meant as they are";
    Some(Diagnostic::new(why, place).hint(hint))
}

/// The text of the parameter `name`, and where it is written.
pub(super) fn text_of(module: &Module, task: &Task, name: &str) -> Option<(String, Option<Span>)> {
    let args = normalize(module.name, &module.spec, &task.args).ok()?;
    let (_, node) = args
        .as_map()?
        .iter()
        .find(|(key, _)| module.spec.find(&key.name).is_some_and(|param| param.name == name))?;
    Some((node.scalar_text()?.to_owned(), node.span.clone().or_else(|| task.span.clone())))
}

/// The task that decides what a file holds, and what it says of it.
struct Owner {
    says: Vec<Option<String>>,
    conditions: Vec<Node>,
    place: Option<Span>,
}

/// Tasks that give one file different contents, so that each run changes it twice. What a `rescue`
/// does is meant to differ.
fn two_owners(steps: &[Step], known: &mut HashMap<PathBuf, Owner>, found: &mut Vec<Diagnostic>) {
    for step in steps {
        let task = match step {
            Step::Task(task) => task,
            Step::Block(block) => {
                two_owners(&block.tasks, known, found);
                two_owners(&block.always, known, found);
                continue;
            }
        };
        let Some((path, owner)) = owned(task) else { continue };
        match known.get(&path) {
            // Where conditions differ they may well exclude each other.
            Some(first) if first.says != owner.says && first.conditions == owner.conditions => {
                let path = path.display();
                let why = format!("two tasks say what {path} holds, so that each run changes it");
                let note = Diagnostic::new(why, owner.place);
                found.push(note.related(first.place.clone(), "this is the other one"));
            }
            Some(_) => {}
            None => drop(known.insert(path, owner)),
        }
    }
}

/// The file that a task decides about, as far as that is written out.
fn owned(task: &Task) -> Option<(PathBuf, Owner)> {
    let module = tasks::find(&task.module)?;
    let (_, parameters) = OWNERS.iter().find(|(name, _)| *name == module.name)?;
    let keywords = Keywords::read(&task.keywords, None, &mut Vec::new());
    let text = |name: &str| text_of(module, task, name);
    let leaves_it = text("force").is_some_and(|(text, _)| text != "true" && text != "yes");
    let is_rare = keywords.tags.iter().any(|tag| tag == "never");
    if keywords.items.is_some() || leaves_it || is_rare {
        return None;
    }
    let (written, place) = text("dest")?;
    let mut path = Path::new(&written).components().collect::<PathBuf>();
    if written.ends_with('/') {
        path.push(Path::new(&text("src")?.0).file_name()?);
    }
    if Engine::holds_expression(&Node::string(&path.to_string_lossy())) {
        return None;
    }
    let mut says = vec![Some(module.name.to_owned())];
    says.extend(parameters.iter().map(|name| text(name).map(|(text, _)| text)));
    Some((path, Owner { says, conditions: keywords.when, place }))
}
