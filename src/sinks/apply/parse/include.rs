//! Tasks from other files: imports, which are read at once, and includes, which are read when a run
//! comes to them and looked into beforehand as far as their names are known.

use super::inherit::inherit;
use super::role::RoleFiles;
use super::{Around, Parser};
use crate::event::fault::Diagnostic;
use crate::event::task::{Home, Named, Role, Step, Task};
use crate::event::tree::Node;
use crate::expr::jinja::Engine;
use crate::sinks::apply::keywords::is_loop;
use crate::sinks::apply::tasks::Include;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Keywords of an import that make no sense for the tasks in it.
const NOT_OF_IMPORTS: [&str; 3] = ["register", "until", "loop_control"];

/// What an include brought.
pub(in crate::sinks::apply) struct Brought {
    pub(in crate::sinks::apply) steps: Vec<Step>,
    pub(in crate::sinks::apply) handlers: Vec<Task>,
    /// The roles whose variables the rest of the play sees too.
    pub(in crate::sinks::apply) roles: Vec<Arc<Role>>,
}

impl Parser {
    pub(super) fn import_tasks(&mut self, task: &Task, around: &Around, into: &mut Vec<Step>) {
        let Some(inside) = self.inside_import(task, around) else { return };
        let Some(file) = task.args.get("file") else {
            self.complain("`import_tasks` needs the name of a file", &task_node(task));
            return;
        };
        let Some(name) = self.known_name("import_tasks", file, &task.home) else { return };
        match self.find_tasks(&name, &task.home, file.span.as_ref()) {
            Ok(path) => into.extend(self.steps_of(&path, file, &inside)),
            Err(complaint) => {
                self.push(*complaint);
            }
        }
    }

    pub(super) fn import_role(&mut self, task: &Task, around: &Around, into: &mut Vec<Step>) {
        let Some(inside) = self.inside_import(task, around) else { return };
        let Some(node) = task.args.get("name").or_else(|| task.args.get("role")) else {
            self.complain("`import_role` needs the name of a role", &task_node(task));
            return;
        };
        let Some(name) = self.known_name("import_role", node, &task.home) else { return };
        let files = RoleFiles::of(&task.args);
        let inside = within_role(&inside);
        if let Some(loaded) = self.role(&name, node.span.as_ref(), &files, &inside) {
            self.imported.push(loaded.role);
            self.imported.extend(loaded.others);
            self.imported_handlers.extend(loaded.handlers);
            into.extend(loaded.steps);
        }
    }

    /// What holds for the tasks of an import: its own keywords too.
    fn inside_import(&mut self, task: &Task, around: &Around) -> Option<Around> {
        let odd =
            |(name, _): &(&String, &Node)| NOT_OF_IMPORTS.contains(&name.as_str()) || is_loop(name);
        if let Some((name, node)) = task.keywords.iter().find(odd) {
            let why = format!("`{name}` cannot stand at `{}`", task.module);
            let hint = format!("`{}` can have it", task.module.replace("import", "include"));
            self.complain(why, node).hint = Some(hint);
            return None;
        }
        let mut keywords = task.keywords.clone();
        let outer = around.keywords.get("vars");
        let more = self.own_vars(keywords.get("vars"), outer);
        match outer {
            Some(outer) => keywords.insert("vars".into(), outer.clone()),
            None => keywords.shift_remove("vars"),
        };
        if let Some(defaults) = around.keywords.get("module_defaults") {
            keywords.insert("module_defaults".into(), defaults.clone());
        }
        Some(Around { home: with_params(&task.home, more), keywords: Arc::new(keywords) })
    }

    /// The variables that an include or import has beside those of the blocks around it.
    fn own_vars(&mut self, all: Option<&Node>, outer: Option<&Node>) -> Named {
        let Some(all) = all else { return Named::new() };
        let mut own = self.mapping("`vars`", all);
        own.retain(|name, node| outer.and_then(|outer| outer.get(name)) != Some(node));
        own
    }

    /// The tasks in the file at `path`, which is named at `place`.
    fn steps_of(&mut self, path: &Path, place: &Node, around: &Around) -> Vec<Step> {
        if self.open.iter().any(|open| open == path) {
            let circle: Vec<_> = self.open.iter().map(|path| path.display().to_string()).collect();
            let why =
                format!("this file imports itself: {} → {}", circle.join(" → "), path.display());
            self.complain(why, place);
            return Vec::new();
        }
        let Some(list) = self.content(path) else { return Vec::new() };
        if list.as_map().is_some_and(<[_]>::is_empty) {
            return Vec::new();
        }
        let directory = path.parent().map(Path::to_owned).unwrap_or_default();
        let home = Arc::new(Home { directory, ..Home::clone(&around.home) });
        self.open.push(path.to_owned());
        let steps = self.steps(&list, &Around { home, keywords: Arc::clone(&around.keywords) });
        self.open.pop();
        steps
    }

    /// Looks into what a task will include, so that what is wrong there is said before a run.
    pub(super) fn foresee(&mut self, task: &Task) {
        if !self.remembers {
            return;
        }
        let around = Around { home: Arc::clone(&task.home), keywords: Arc::clone(&task.around) };
        match task.module.as_str() {
            "include_tasks" => {
                let Some(file) = task.args.get("file") else { return };
                let Some(name) = self.plain_name(file) else { return };
                match self.find_tasks(&name, &task.home, file.span.as_ref()) {
                    Ok(path) => {
                        if self.foreseen.seen.insert(seen_from(&path, &task.home)) {
                            let steps = self.apart(|parser| parser.steps_of(&path, file, &around));
                            self.foreseen.steps.extend(steps);
                        }
                    }
                    Err(complaint) => {
                        self.push(*complaint);
                    }
                }
            }
            "include_role" => {
                let node = task.args.get("name").or_else(|| task.args.get("role"));
                let Some(node) = node else { return };
                let files = RoleFiles::of(&task.args);
                let (Some(name), false) = (self.plain_name(node), files.is_unknown()) else {
                    self.foreseen.has_unknown = true;
                    return;
                };
                if !self.foreseen.seen.insert(PathBuf::from(format!("{name}\0{files:?}"))) {
                    return;
                }
                let place = node.span.as_ref();
                let around = within_role(&around);
                let loaded = self.apart(|parser| parser.role(&name, place, &files, &around));
                if let Some(loaded) = loaded {
                    self.foreseen.steps.extend(loaded.steps);
                    self.foreseen.handlers.extend(loaded.handlers);
                }
            }
            "include_vars" => {
                let Some(file) = task.args.get("file") else { return };
                if Engine::holds_expression(file) || task.keywords.contains_key("ignore_errors") {
                    return;
                }
                let Some(name) = file.as_str() else { return };
                match self.find_vars(name, &task.home, file.span.as_ref()) {
                    Ok(path) => drop(self.content(&path)),
                    Err(complaint) => {
                        self.push(*complaint);
                    }
                }
            }
            _ => {}
        }
    }

    /// Reads something that is no part of the play before a run comes to it.
    fn apart<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let open = std::mem::take(&mut self.open);
        let (roles, handlers) = (self.imported.len(), self.imported_handlers.len());
        let found = read(self);
        self.open = open;
        self.imported.truncate(roles);
        self.imported_handlers.truncate(handlers);
        found
    }

    fn plain_name(&mut self, node: &Node) -> Option<String> {
        if Engine::holds_expression(node) {
            self.foreseen.has_unknown = true;
            return None;
        }
        node.scalar_text().map(|text| text.trim().to_owned())
    }

    /// Reads what `include` names, for the task that includes it. Its `vars` are parameters of what
    /// comes.
    pub(in crate::sinks::apply) fn bring(
        mut self,
        include: &Include,
        task: &Task,
    ) -> Result<Brought, Vec<Diagnostic>> {
        let own = self.own_vars(task.keywords.get("vars"), task.around.get("vars"));
        let apply = include.apply().map(|apply| self.mapping("`apply`", apply)).unwrap_or_default();
        let keywords = Arc::new(inherit(&task.around, apply));
        let around = Around { home: with_params(&task.home, own), keywords };
        let place = task_node(task);
        let mut brought = Brought { steps: Vec::new(), handlers: Vec::new(), roles: Vec::new() };
        match include {
            Include::Tasks { file, .. } => {
                let path = self
                    .find_tasks(file, &task.home, task.span.as_ref())
                    .map_err(|complaint| vec![*complaint])?;
                brought.steps = self.steps_of(&path, &place, &around);
            }
            Include::Role { name, files, public, .. } => {
                let around = within_role(&around);
                if let Some(loaded) = self.role(name, task.span.as_ref(), files, &around) {
                    brought.steps = loaded.steps;
                    brought.handlers = loaded.handlers;
                    if *public {
                        brought.roles = loaded.others;
                        brought.roles.push(loaded.role);
                    }
                }
            }
        }
        brought.roles.append(&mut self.imported);
        brought.handlers.append(&mut self.imported_handlers);
        let mut complaints = std::mem::take(&mut self.complaints);
        self.check_brought(&brought, &mut complaints);
        if complaints.is_empty() { Ok(brought) } else { Err(complaints) }
    }
}

/// The same for a role that is imported or included there: the role around it is its parent.
fn within_role(around: &Around) -> Around {
    let Some(role) = &around.home.role else { return around.clone() };
    let mut home = Home::clone(&around.home);
    home.parents.insert(0, Arc::clone(role));
    Around { home: Arc::new(home), keywords: Arc::clone(&around.keywords) }
}

/// The same home with more parameters.
fn with_params(home: &Arc<Home>, more: Named) -> Arc<Home> {
    if more.is_empty() {
        return Arc::clone(home);
    }
    let mut home = Home::clone(home);
    home.params.extend(more);
    Arc::new(home)
}

fn seen_from(path: &Path, home: &Home) -> PathBuf {
    home.role.as_ref().map(|role| role.path.clone()).unwrap_or_default().join("\0").join(path)
}

/// A node where the task stands, to complain about it.
fn task_node(task: &Task) -> Node {
    Node { span: task.span.clone(), ..Node::default() }
}
