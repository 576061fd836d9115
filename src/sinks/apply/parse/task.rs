//! Reads tasks and blocks.

use super::inherit::inherit;
use super::{Around, Parser};
use crate::event::fault::{Diagnostic, nearest};
use crate::event::task::{Block, Named, Step, Task};
use crate::event::tree::{Key, Node, Value};
use crate::expr::collection;
use crate::sinks::apply::args::normalize;
use crate::sinks::apply::keywords::{BLOCK, KNOWN, NOT_YET};
use crate::sinks::apply::params::truth;
use crate::sinks::apply::tasks::{self, Module};
use std::sync::Arc;

/// Keywords that only a block has.
const OF_BLOCKS: [&str; 4] = ["block", "rescue", "always", "rollback"];

/// A module as a task names it, with what is written after it.
struct Action<'a> {
    key: &'a Key,
    module: &'static Module,
    args: Node,
}

impl Parser {
    /// Reads a list of steps. Those with a complaint are left out of the result.
    pub(super) fn steps(&mut self, list: &Node, around: &Around) -> Vec<Step> {
        let mut steps = Vec::new();
        match &list.value {
            Value::Null => {}
            Value::List(items) => {
                items.iter().for_each(|item| self.step(item, around, &mut steps));
            }
            _ => {
                let why = format!("this is a list of tasks, and {} stands here", list.kind());
                self.complain(why, list).hint = Some("begin each task with `- `".into());
            }
        }
        steps
    }

    fn step(&mut self, node: &Node, around: &Around, into: &mut Vec<Step>) {
        let Some(entries) = node.as_map() else {
            self.complain(format!("a task is a mapping, and this is {}", node.kind()), node);
            return;
        };
        let is_block = entries.iter().any(|(key, _)| OF_BLOCKS.contains(&&*key.name));
        if is_block {
            into.extend(self.block(node, entries, around).map(Step::Block));
            return;
        }
        let Some(task) = self.task(node, entries, around) else { return };
        match task.module.as_str() {
            "import_tasks" => self.import_tasks(&task, around, into),
            "import_role" => self.import_role(&task, around, into),
            _ => {
                self.foresee(&task);
                into.push(Step::Task(task));
            }
        }
    }

    fn block(&mut self, node: &Node, entries: &[(Key, Node)], around: &Around) -> Option<Block> {
        let before = self.complaints.len();
        let mut own = Named::new();
        let mut block = Block { span: node.span.clone(), ..Block::default() };
        let mut parts = Vec::new();
        for (key, value) in entries {
            let name = &*key.name;
            match name {
                "block" | "rescue" | "always" => parts.push((name, value)),
                "name" => block.name = value.scalar_text().unwrap_or_default().to_owned(),
                "rollback" => match truth(value) {
                    Some(rollback) => block.rollback = rollback,
                    None => {
                        let why =
                            format!("`rollback` is true or false, and this is {}", value.kind());
                        self.complain(why, value);
                    }
                },
                _ if BLOCK.contains(&name) => {
                    own.insert(name.to_owned(), value.clone());
                }
                _ => {
                    let complaint = not_of_blocks(key);
                    self.push(complaint);
                }
            }
        }
        if !parts.iter().any(|(name, _)| *name == "block") {
            let complaint = Diagnostic::new("this has no `block`", node.span.clone());
            self.push(
                complaint.hint("the tasks that `rescue` and `always` are about go below `block:`"),
            );
        }
        let inside = Around {
            home: Arc::clone(&around.home),
            keywords: Arc::new(inherit(&around.keywords, own)),
        };
        for (name, list) in parts {
            let steps = self.steps(list, &inside);
            match name {
                "block" => block.tasks = steps,
                "rescue" => block.rescue = steps,
                _ => block.always = steps,
            }
        }
        (self.complaints.len() == before).then_some(block)
    }

    fn task(&mut self, node: &Node, entries: &[(Key, Node)], around: &Around) -> Option<Task> {
        let before = self.complaints.len();
        let mut action: Option<Action<'_>> = None;
        let mut own = Named::new();
        for (key, value) in entries {
            let name = &*key.name;
            let found = if matches!(name, "action" | "local_action") {
                self.spelt_out(key, value)
            } else if KNOWN.contains(&name) || name.starts_with("with_") {
                own.insert(name.to_owned(), value.clone());
                continue;
            } else if NOT_YET.contains(&name) {
                self.push(Diagnostic::new(
                    format!("`{name}` is not supported yet"),
                    key.span.clone(),
                ));
                continue;
            } else if let Some(module) = tasks::find(name) {
                Some(Action { key, module, args: value.clone() })
            } else {
                self.push(unknown(key));
                continue;
            };
            match (&action, found) {
                (Some(first), Some(_)) => {
                    let why = format!(
                        "a task does one thing, and this does `{}` and `{name}`",
                        first.key.name
                    );
                    let complaint = Diagnostic::new(why, key.span.clone());
                    self.push(complaint.hint("make two tasks of it"));
                }
                (None, found) => action = found,
                (Some(_), None) => {}
            }
        }
        let Some(Action { module, args, .. }) = action else {
            if self.complaints.len() == before {
                let complaint = Diagnostic::new("this task has no module", node.span.clone());
                self.push(complaint.hint("add what it should do, such as `file:` or `copy:`"));
            }
            return None;
        };
        let args = match normalize(module.name, &module.spec, &args) {
            Ok(args) => self.with_args(args.into_owned(), own.shift_remove("args")),
            Err(complaint) => {
                self.push(*complaint);
                return None;
            }
        };
        if let Some(every) = own.get("every")
            && !module.acts(&args)
        {
            let why = format!(
                "`every` is for what acts without looking first, and `{}` looks",
                module.name
            );
            let complaint = Diagnostic::new(why, every.span.clone());
            self.push(complaint.hint("leave it out: the task is checked at every `interval`"));
        }
        let name = own.shift_remove("name");
        let name = name.as_ref().and_then(Node::scalar_text).unwrap_or(module.name).to_owned();
        let mut keywords = inherit(&around.keywords, own);
        let defaults = keywords.shift_remove("module_defaults");
        let args = self.with_defaults(module, args, defaults.as_ref());
        let task = Task {
            name,
            module: module.name.to_owned(),
            args,
            keywords,
            around: Arc::clone(&around.keywords),
            home: Arc::clone(&around.home),
            span: node.span.clone(),
        };
        (self.complaints.len() == before).then_some(task)
    }

    /// `action: copy src=a dest=b`, or the same as a mapping with `module`.
    fn spelt_out<'a>(&mut self, key: &'a Key, value: &Node) -> Option<Action<'a>> {
        let mut args = value.clone();
        let name = match (args.take("module"), args.as_str()) {
            (Some((_, name)), _) => name.as_str().unwrap_or_default().to_owned(),
            (None, Some(text)) => {
                let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
                let (name, rest) = (name.to_owned(), rest.to_owned());
                args.value = Value::String(rest.into());
                name
            }
            (None, None) => String::new(),
        };
        if let Some(module) = tasks::find(&name) {
            return Some(Action { key, module, args });
        }
        let named = Key { name: name.as_str().into(), span: value.span.clone() };
        let complaint = match name.as_str() {
            "" => Diagnostic::new(format!("`{}` names no module", key.name), value.span.clone())
                .hint("write `action: MODULE key=value`, or the module itself as the key"),
            _ => unknown(&named),
        };
        self.push(complaint);
        None
    }

    /// The parameters with those of the keyword `args` added.
    fn with_args(&mut self, mut args: Node, more: Option<Node>) -> Node {
        let Some(more) = more else { return args };
        match (&mut args.value, more.value) {
            (Value::Map(entries), Value::Map(more)) => {
                entries.retain(|(key, _)| !more.iter().any(|(other, _)| other == key));
                entries.extend(more);
            }
            (_, Value::Null) => {}
            _ => {
                self.push(Diagnostic::new("`args` is a mapping of parameters", more.span));
            }
        }
        args
    }

    /// The parameters with those that `module_defaults` has for the module, and then with those that
    /// it has for modules which do the work; own ones win.
    fn with_defaults(&mut self, module: &Module, args: Node, defaults: Option<&Node>) -> Node {
        let Some(defaults) = defaults else { return args };
        let args = self.with_defaults_of(module.name, module, args, defaults);
        module
            .hands_on_to()
            .iter()
            .fold(args, |args, name| self.with_defaults_of(name, module, args, defaults))
    }

    /// Those for the module `name`, as far as `module` has them too. Of the defaults only the
    /// innermost that name the module count, so that `{}` takes back others.
    fn with_defaults_of(
        &mut self,
        name: &str,
        module: &Module,
        mut args: Node,
        defaults: &Node,
    ) -> Node {
        let is_own = name == module.name;
        for map in defaults.as_list().unwrap_or(std::slice::from_ref(defaults)).iter().rev() {
            let Some(modules) = map.as_map() else {
                if map.value != Value::Null {
                    let why = format!("`module_defaults` is a mapping, and this is {}", map.kind());
                    self.complain(why, map);
                }
                continue;
            };
            for (key, more) in modules {
                if collection::short(&key.name) != name {
                    continue;
                }
                let (Value::Map(entries), Some(more)) = (&mut args.value, more.as_map()) else {
                    continue;
                };
                for (key, node) in more {
                    let canonical = |key: &Key| module.spec.find(&key.name).map(|param| param.name);
                    let own = |(other, _): &(Key, Node)| {
                        other == key
                            || (canonical(key).is_some() && canonical(other) == canonical(key))
                    };
                    let is_known = is_own || canonical(key).is_some();
                    if is_known && !entries.iter().any(own) {
                        entries.push((key.clone(), node.clone()));
                    }
                }
                return args;
            }
        }
        args
    }
}

fn not_of_blocks(key: &Key) -> Diagnostic {
    let name = &*key.name;
    if tasks::find(name).is_some() {
        let why = format!("a block has no module of its own, and here is `{name}`");
        return Diagnostic::new(why, key.span.clone()).hint("make it a task of the block");
    }
    let complaint = Diagnostic::new(format!("a block has no keyword `{name}`"), key.span.clone());
    if KNOWN.contains(&name) || name.starts_with("with_") {
        return complaint.hint("say it of its tasks, or put them in a file for `include_tasks`");
    }
    match nearest(name, BLOCK.into_iter().chain(OF_BLOCKS)) {
        Some(near) => complaint.hint(format!("did you mean `{near}`?")),
        None => {
            complaint.hint("it has `block`, `rescue`, `always`, `rollback`, `when`, `tags`, `vars`")
        }
    }
}

fn unknown(key: &Key) -> Diagnostic {
    let name = collection::short(&key.name);
    if tasks::NOT_YET.contains(&name) {
        return Diagnostic::new(
            format!("the module `{name}` is not supported yet"),
            key.span.clone(),
        );
    }
    let complaint =
        Diagnostic::new(format!("there is no module or keyword `{name}`"), key.span.clone());
    let modules = tasks::MODULES.iter().map(|module| module.name);
    match nearest(name, modules.clone().chain(KNOWN).chain(OF_BLOCKS)) {
        Some(near) => complaint.hint(format!("did you mean `{near}`?")),
        None => {
            let modules: Vec<_> = modules.collect();
            complaint.hint(format!("modules are `{}`", modules.join("`, `")))
        }
    }
}
