//! From the `tasks` and `handlers` of a file to tasks, and the check of a whole task set before
//! anything runs. Every complaint at once, each with its place.

use super::args::normalize;
use super::keywords::{KNOWN, Keywords, NOT_YET, read_vars};
use super::params::{Params, Stage};
use super::tasks::{self, Module};
use crate::event::fault::{Diagnostic, nearest};
use crate::event::task::{Task, TaskSet};
use crate::event::tree::{Key, Node, Value};
use crate::expr::jinja::Engine;
use indexmap::IndexMap;

/// Reads a list of tasks. Tasks with a complaint are left out of the result.
pub fn parse_tasks(list: &Node, complaints: &mut Vec<Diagnostic>) -> Vec<Task> {
    match &list.value {
        Value::Null => Vec::new(),
        Value::List(items) => {
            items.iter().filter_map(|item| parse_task(item, complaints)).collect()
        }
        _ => {
            let why = format!("this is a list of tasks, and {} stands here", list.kind());
            complaints
                .push(Diagnostic::new(why, list.span.clone()).hint("begin each task with `- `"));
            Vec::new()
        }
    }
}

fn parse_task(node: &Node, complaints: &mut Vec<Diagnostic>) -> Option<Task> {
    let Some(entries) = node.as_map() else {
        let why = format!("a task is a mapping, and this is {}", node.kind());
        complaints.push(Diagnostic::new(why, node.span.clone()));
        return None;
    };
    let before = complaints.len();
    let mut module: Option<(&Key, &Node, &'static Module)> = None;
    let mut keywords = IndexMap::new();
    for (key, value) in entries {
        let name = &*key.name;
        if KNOWN.contains(&name) {
            keywords.insert(name.to_owned(), value.clone());
        } else if NOT_YET.contains(&name) || name.starts_with("with_") {
            let why = format!("`{name}` is not supported yet");
            complaints.push(Diagnostic::new(why, key.span.clone()));
        } else if let Some(found) = tasks::find(name) {
            match &module {
                Some((first, _, _)) => {
                    let why = format!(
                        "a task does one thing, and this does `{}` and `{name}`",
                        first.name
                    );
                    complaints
                        .push(Diagnostic::new(why, key.span.clone()).hint("make two tasks of it"));
                }
                None => module = Some((key, value, found)),
            }
        } else {
            complaints.push(unknown(key));
        }
    }
    let Some((_, args, module)) = module else {
        if complaints.len() == before {
            let complaint = Diagnostic::new("this task has no module", node.span.clone());
            complaints.push(complaint.hint("add what it should do, such as `file:` or `copy:`"));
        }
        return None;
    };
    let args = match normalize(module.name, &module.spec, args) {
        Ok(args) => merged(args, keywords.shift_remove("args"), complaints),
        Err(complaint) => {
            complaints.push(*complaint);
            return None;
        }
    };
    if let Some(every) = keywords.get("every")
        && !module.acts(&args)
    {
        let why = format!("`every` is for what acts without looking first, and `{}` looks", module.name);
        let complaint = Diagnostic::new(why, every.span.clone());
        complaints.push(complaint.hint("leave it out: the task is checked at every `interval`"));
    }
    let name = keywords.shift_remove("name");
    let name = name.as_ref().and_then(Node::scalar_text).unwrap_or(module.name).to_owned();
    let span = node.span.clone();
    let task = Task { name, module: module.name.to_owned(), args, keywords, span };
    (complaints.len() == before).then_some(task)
}

/// The parameters with those of the keyword `args` added.
fn merged(mut args: Node, more: Option<Node>, complaints: &mut Vec<Diagnostic>) -> Node {
    let Some(more) = more else { return args };
    match (&mut args.value, more.value) {
        (Value::Map(entries), Value::Map(more)) => {
            entries.retain(|(key, _)| !more.iter().any(|(other, _)| other == key));
            entries.extend(more);
        }
        (_, Value::Null) => {}
        _ => complaints.push(Diagnostic::new("`args` is a mapping of parameters", more.span)),
    }
    args
}

fn unknown(key: &Key) -> Diagnostic {
    let name = tasks::without_prefix(&key.name);
    if tasks::NOT_YET.contains(&name) {
        return Diagnostic::new(
            format!("the module `{name}` is not supported yet"),
            key.span.clone(),
        );
    }
    let complaint =
        Diagnostic::new(format!("there is no module or keyword `{name}`"), key.span.clone());
    let modules = tasks::MODULES.iter().map(|module| module.name);
    match nearest(name, modules.clone().chain(KNOWN)) {
        Some(near) => complaint.hint(format!("did you mean `{near}`?")),
        None => {
            let modules: Vec<_> = modules.collect();
            complaint.hint(format!("modules are `{}`", modules.join("`, `")))
        }
    }
}

/// Every complaint about `set` that can be made without running it.
pub fn check(set: &TaskSet, engine: &Engine) -> Vec<Diagnostic> {
    let mut complaints = Vec::new();
    let vars: Vec<_> =
        set.vars.iter().map(|(name, node)| (Key::from(name.as_str()), node.clone())).collect();
    for (key, node) in vars {
        let key = Key { span: node.span.clone(), ..key };
        read_vars(&[(key, node.clone())], &mut complaints);
        engine.check(&node, &mut complaints);
    }
    let read =
        |task: &Task, complaints: &mut Vec<_>| Keywords::read(&task.keywords, engine, complaints);
    let mut heard: Vec<String> = Vec::new();
    for handler in &set.handlers {
        heard.extend(read(handler, &mut Vec::new()).listen);
        heard.push(handler.name.clone());
    }
    for task in set.tasks.iter().chain(&set.handlers) {
        let keywords = read(task, &mut complaints);
        check_args(task, engine, &mut complaints);
        for node in &keywords.notify {
            let Some(name) = node.as_str().filter(|_| !Engine::holds_expression(node)) else {
                continue;
            };
            if !heard.iter().any(|handler| handler == name) {
                let complaint =
                    Diagnostic::new(format!("there is no handler `{name}`"), node.span.clone());
                let near = nearest(name, heard.iter().map(String::as_str));
                complaints.push(match near {
                    Some(near) => complaint.hint(format!("did you mean `{near}`?")),
                    None => complaint.hint("handlers are listed under `handlers:`"),
                });
            }
        }
    }
    complaints
}

fn check_args(task: &Task, engine: &Engine, complaints: &mut Vec<Diagnostic>) {
    let Some(module) = tasks::find(&task.module) else {
        let why = format!("there is no module `{}`", task.module);
        complaints.push(Diagnostic::new(why, task.span.clone()));
        return;
    };
    let args = match normalize(module.name, &module.spec, &task.args) {
        Ok(args) => args,
        Err(complaint) => {
            complaints.push(*complaint);
            return;
        }
    };
    let (args, conditions) = super::args::set_conditions_aside(&module.spec, &args);
    for (_, node) in &conditions {
        match node.as_list() {
            Some(list) => list.iter().for_each(|node| engine.check_condition(node, complaints)),
            None => engine.check_condition(node, complaints),
        }
    }
    engine.check(&args, complaints);
    let mut all = args;
    if let Value::Map(entries) = &mut all.value {
        entries.extend(conditions);
    }
    // With the task's own place, a missing parameter is shown where the task begins.
    all.span = all.span.or_else(|| task.span.clone());
    match Params::read(module.name, &module.spec, &all, Stage::Written) {
        Ok(params) => complaints.extend((module.check)(&params)),
        Err(more) => complaints.extend(more),
    }
}
