//! Reads plays: those of playbooks, and the one that an apply file of our own is.

use super::inherit::inherit;
use super::{Around, Parser};
use crate::event::fault::{Diagnostic, nearest};
use crate::event::task::{Home, Named, Play, Step, Task};
use crate::event::tree::{Key, Node, Value};
use crate::expr::collection;
use crate::expr::jinja::Engine;
use crate::sinks::apply::keywords::BLOCK;
use crate::sinks::apply::params::truth;
use crate::sinks::apply::tasks;
use std::path::Path;
use std::sync::Arc;

/// What a play is made of.
const PARTS: [&str; 11] = [
    "name",
    "hosts",
    "vars",
    "vars_files",
    "vars_prompt",
    "roles",
    "pre_tasks",
    "tasks",
    "post_tasks",
    "handlers",
    "force_handlers",
];

/// What Ansible's plays say of connections and of many hosts, which has no meaning on one.
const WITHOUT_EFFECT: [&str; 10] = [
    "gather_facts",
    "gather_subset",
    "gather_timeout",
    "fact_path",
    "serial",
    "strategy",
    "order",
    "max_fail_percentage",
    "validate_argspec",
    "user",
];

impl Parser {
    /// The plays of a file: a list of plays or tasks, or the mapping of one play (with `plays`,
    /// more of them).
    pub(super) fn plays(&mut self, file: &Node) -> Vec<Play> {
        let mut plays = Vec::new();
        match &file.value {
            Value::List(items) => self.listed(items, file, &mut plays),
            _ => {
                let mut own = file.clone();
                let more = own.take("plays");
                if more.is_none() || own.as_map().is_some_and(|entries| !entries.is_empty()) {
                    plays.extend(self.play(&own));
                }
                if let Some((_, list)) = more {
                    let items = self.entries("plays", &list);
                    self.listed(&items, &list, &mut plays);
                }
            }
        }
        plays
    }

    /// Tasks that stand between plays are a play of their own.
    fn listed(&mut self, items: &[Node], list: &Node, plays: &mut Vec<Play>) {
        for chunk in items.chunk_by(|a, b| !is_play(a) && !is_play(b)) {
            let Some(first) = chunk.first() else { continue };
            if let Some((_, name)) = imported_playbook(first) {
                self.imported_plays(first, name, plays);
            } else if is_play(first) {
                plays.extend(self.play(first));
            } else {
                let tasks = Node { value: Value::List(chunk.to_vec()), span: list.span.clone() };
                let own = Value::Map(vec![("tasks".into(), tasks)]);
                plays.extend(self.play(&Node { value: own, span: list.span.clone() }));
            }
        }
    }

    /// The plays of another playbook. The variables, tags and conditions of the import are said of
    /// all of them.
    fn imported_plays(&mut self, item: &Node, name: &Node, plays: &mut Vec<Play>) {
        let mut keywords = Named::new();
        let mut vars = Named::new();
        for (key, value) in item.as_map().unwrap_or_default() {
            match &*key.name {
                "name" => {}
                "vars" => vars = self.mapping("`vars`", value),
                "tags" | "when" => drop(keywords.insert(key.name.to_string(), value.clone())),
                _ if is_import(key) => {}
                _ => {
                    let why = format!("`import_playbook` has no key `{}`", key.name);
                    let complaint = Diagnostic::new(why, key.span.clone());
                    self.push(complaint.hint("it has `name`, `vars`, `tags`, `when`"));
                }
            }
        }
        let before = plays.len();
        let scope = self.scope.with_vars(Arc::new(vars.clone()));
        let outside = std::mem::replace(&mut self.scope, scope);
        let all = inherit(&self.outer, keywords);
        let outer = std::mem::replace(&mut self.outer, all);
        self.import_playbook(name, plays);
        (self.scope, self.outer) = (outside, outer);
        // As in Ansible, they count for more than those of the plays themselves.
        plays[before..].iter_mut().for_each(|play| play.vars.extend(vars.clone()));
    }

    fn import_playbook(&mut self, node: &Node, plays: &mut Vec<Play>) {
        let Some(name) = self.known_name("import_playbook", node, &Home::default()) else { return };
        let here = Home { directory: self.here.clone(), ..Home::default() };
        let path = match self.find_tasks(&name, &here, node.span.as_ref()) {
            Ok(path) => path,
            Err(complaint) => {
                self.push(*complaint);
                return;
            }
        };
        if self.open.contains(&path) {
            self.complain("this playbook imports itself", node);
            return;
        }
        let Some(content) = self.content(&path) else { return };
        let directory = path.parent().map(Path::to_owned).unwrap_or_default();
        let outer = std::mem::replace(&mut self.here, directory);
        self.open.push(path);
        plays.extend(self.plays(&content));
        self.open.pop();
        self.here = outer;
    }

    /// One play. What was foreseen of its includes is checked with it.
    fn play(&mut self, node: &Node) -> Option<Play> {
        let Some(entries) = node.as_map() else {
            self.complain(format!("a play is a mapping, and this is {}", node.kind()), node);
            return None;
        };
        self.given.clear();
        let mut play = Play { span: node.span.clone(), ..Play::default() };
        let mut own = Named::new();
        for (key, value) in entries {
            match &*key.name {
                name if PARTS.contains(&name) || WITHOUT_EFFECT.contains(&name) => {}
                "when" | "notify" | "rollback" => {
                    self.push(unknown(key));
                }
                name if BLOCK.contains(&name) => {
                    own.insert(name.to_owned(), value.clone());
                }
                _ => {
                    self.push(unknown(key));
                }
            }
        }
        play.hosts = node.get("hosts").cloned();
        let shown = node.get("name").or(play.hosts.as_ref()).and_then(Node::scalar_text);
        play.name = shown.unwrap_or_default().to_owned();
        if let Some(force) = node.get("force_handlers") {
            play.force_handlers = truth(force).unwrap_or_else(|| {
                self.complain("`force_handlers` is true or false", force);
                false
            });
        }
        if let Some(vars) = node.get("vars") {
            play.vars = self.mapping("`vars`", vars);
        }
        self.vars_prompt(node.get("vars_prompt"), &mut play);
        let here = self.here.clone();
        let home = Arc::new(Home { directory: here.clone(), play: here, ..Home::default() });
        self.vars_files(node.get("vars_files"), &home, &mut play);

        let outside = self.scope.clone();
        self.scope = self.scope.with_vars(Arc::new(play.vars.clone()));
        let around = Around { home, keywords: Arc::new(inherit(&self.outer, own)) };
        let before = self.imported.len();
        let section = |parser: &mut Self, name: &str| {
            node.get(name).map(|list| parser.steps(list, &around)).unwrap_or_default()
        };
        let pre_tasks = section(self, "pre_tasks");
        let (mut of_roles, mut handlers) = (Vec::new(), Vec::new());
        let listed = node.get("roles").map(|list| self.entries("roles", list)).unwrap_or_default();
        for entry in listed {
            if let Some(loaded) = self.role_entry(&entry, &around) {
                play.role_names.push(loaded.role.name.clone());
                play.dependency_names.extend(loaded.others.iter().map(|role| role.name.clone()));
                play.roles.extend(loaded.others);
                play.roles.push(loaded.role);
                of_roles.extend(loaded.steps);
                handlers.extend(loaded.handlers);
            }
        }
        let (tasks, post_tasks) = (section(self, "tasks"), section(self, "post_tasks"));
        let own_handlers = node.get("handlers").map(|list| self.handlers(list, &around));
        self.scope = outside;
        play.roles.extend(self.imported.drain(before..));
        handlers.append(&mut self.imported_handlers);
        handlers.extend(own_handlers.unwrap_or_default());
        play.handlers = handlers;
        let flushes = [!pre_tasks.is_empty(), !post_tasks.is_empty()];
        play.steps = pre_tasks;
        play.steps.extend(flushes[0].then(flush));
        play.steps.extend(of_roles.into_iter().chain(tasks));
        play.steps.extend(flushes[1].then(flush));
        play.steps.extend(post_tasks);
        Some(play)
    }

    /// Nobody is there to be asked: the default counts.
    fn vars_prompt(&mut self, list: Option<&Node>, play: &mut Play) {
        let Some(list) = list else { return };
        for prompt in self.entries("vars_prompt", list) {
            let name = prompt.get("name").and_then(Node::scalar_text).map(str::to_owned);
            match (name, prompt.get("default")) {
                (Some(name), Some(default)) => {
                    play.vars.entry(name).or_insert_with(|| default.clone());
                }
                (Some(name), None) if self.scope.lookup(&name).is_undefined() => {
                    let why = format!("nobody can be asked for `{name}`");
                    let hint = "give it a `default`, or set it in a vars file";
                    self.complain(why, &prompt).hint = Some(hint.into());
                }
                (Some(_), None) => {}
                (None, _) => {
                    self.complain("this prompt has no `name`", &prompt);
                }
            }
        }
    }

    fn vars_files(&mut self, list: Option<&Node>, home: &Home, play: &mut Play) {
        let list = match list {
            Some(list) if list.as_str().is_some() => vec![list.clone()],
            Some(list) => self.entries("vars_files", list),
            None => return,
        };
        let mut is_later = false;
        for entry in list {
            // A later file hides the variables of an earlier one.
            is_later |= Engine::holds_expression(&entry);
            if is_later {
                play.vars_files.push(entry);
                continue;
            }
            let names = entry.as_list().unwrap_or(std::slice::from_ref(&entry));
            let found = names.iter().find_map(|name| {
                self.find_vars(name.scalar_text()?, home, name.span.as_ref()).ok()
            });
            match (found, names) {
                (Some(path), _) => {
                    if let Some(node) = self.content(&path) {
                        play.vars.extend(self.mapping("variables", &node));
                    }
                }
                (None, [name]) => {
                    let text = name.scalar_text().unwrap_or_default();
                    if let Err(complaint) = self.find_vars(text, home, name.span.as_ref()) {
                        self.push(*complaint);
                    }
                }
                (None, _) => {
                    self.complain("none of these files of variables is there", &entry);
                }
            }
        }
    }
}

fn is_play(item: &Node) -> bool {
    item.get("hosts").is_some() || imported_playbook(item).is_some()
}

fn imported_playbook(item: &Node) -> Option<&(Key, Node)> {
    item.as_map()?.iter().find(|(key, _)| is_import(key))
}

fn is_import(key: &Key) -> bool {
    collection::short(&key.name) == "import_playbook"
}

/// Runs the handlers that were notified up to here.
fn flush() -> Step {
    let action = (tasks::META_ACTION.into(), Node::string("flush_handlers"));
    let args = Node::new(Value::Map(vec![action]));
    Step::Task(Task { name: "meta".into(), module: "meta".into(), args, ..Task::default() })
}

fn unknown(key: &Key) -> Diagnostic {
    let complaint = Diagnostic::new(format!("a play has no key `{}`", key.name), key.span.clone());
    match nearest(&key.name, PARTS.into_iter().chain(BLOCK).chain(WITHOUT_EFFECT)) {
        Some(near) if near != &*key.name => complaint.hint(format!("did you mean `{near}`?")),
        _ => complaint.hint("tasks go below `tasks:`"),
    }
}
