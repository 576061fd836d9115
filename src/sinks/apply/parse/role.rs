//! Reads roles: their variables, what they depend on, their tasks and handlers.

use super::inherit::inherit;
use super::{Around, LoadedRole, Parser};
use crate::event::task::{Home, Named, Role, Step, Task};
use crate::event::tree::{Key, Node, Span, Value};
use crate::expr::jinja::Engine;
use crate::sinks::apply::keywords::BLOCK;
use crate::sinks::apply::params::truth;
use std::path::Path;
use std::sync::Arc;

/// Keys of a role's entry that say how it is read.
const OF_ENTRIES: [&str; 7] = [
    "role",
    "name",
    "tasks_from",
    "vars_from",
    "defaults_from",
    "handlers_from",
    "allow_duplicates",
];

/// Which files of a role are read, where they are not called `main`.
#[derive(Clone, Debug, Default)]
pub struct RoleFiles {
    tasks: Option<String>,
    vars: Option<String>,
    defaults: Option<String>,
    handlers: Option<String>,
}

impl RoleFiles {
    /// Those that the parameters name.
    pub(in crate::sinks::apply) fn of(args: &Node) -> Self {
        let name = |name: &str| args.get(name).and_then(Node::scalar_text).map(str::to_owned);
        Self {
            tasks: name("tasks_from"),
            vars: name("vars_from"),
            defaults: name("defaults_from"),
            handlers: name("handlers_from"),
        }
    }

    /// Whether one of the names holds an expression.
    pub(super) fn is_unknown(&self) -> bool {
        let names = [&self.tasks, &self.vars, &self.defaults, &self.handlers];
        let is_unknown = |name: &String| Engine::holds_expression(&Node::string(name));
        names.into_iter().flatten().any(is_unknown)
    }
}

impl Parser {
    /// The role called `name`, with those that it depends on. The parameters are those of
    /// `around`.
    pub(super) fn role(
        &mut self,
        name: &str,
        place: Option<&Span>,
        files: &RoleFiles,
        around: &Around,
    ) -> Option<LoadedRole> {
        let at = Node { span: place.cloned(), ..Node::default() };
        let path = match self.find_role(name, &around.home, place) {
            Ok(path) => path,
            Err(complaint) => {
                self.push(*complaint);
                return None;
            }
        };
        let file = files.tasks.as_deref().unwrap_or("main");
        let opened = path.join("tasks").join(file);
        if self.open.contains(&opened) {
            let circle: Vec<_> = self.open.iter().map(|path| path.display().to_string()).collect();
            let why =
                format!("this role needs itself: {} → {}", circle.join(" → "), opened.display());
            self.complain(why, &at);
            return None;
        }
        self.open.push(opened);
        let shown = path.file_name().map_or(name.into(), |name| name.to_string_lossy());
        let mut role = Role { name: shown.into_owned(), path: path.clone(), ..Role::default() };
        // While its own files are read, a name is looked for in its directory too.
        let bare =
            Arc::new(Home { role: Some(Arc::new(role.clone())), ..Home::clone(&around.home) });
        let mut loaded = LoadedRole {
            role: Arc::default(),
            others: Vec::new(),
            steps: Vec::new(),
            handlers: Vec::new(),
        };
        let dependencies = Around { home: bare, keywords: Arc::clone(&around.keywords) };
        self.dependencies(&path, &dependencies, &mut loaded);
        for other in &loaded.others {
            role.defaults.extend(other.defaults.clone());
            role.vars.extend(other.vars.clone());
        }
        for (folder, name, vars) in [
            ("defaults", &files.defaults, &mut role.defaults),
            ("vars", &files.vars, &mut role.vars),
        ] {
            let folder = path.join(folder);
            let found = self.vars_of_role(&folder, name.as_deref().unwrap_or("main"));
            if found.is_empty()
                && let Some(name) = name
                && self.of_role(&folder, name).is_none()
            {
                self.complain(format!("there is no {}", folder.join(name).display()), &at);
            }
            vars.extend(found);
        }
        loaded.role = Arc::new(role);
        let inside = |folder: &str| Around {
            home: Arc::new(Home {
                directory: path.join(folder),
                role: Some(Arc::clone(&loaded.role)),
                ..Home::clone(&around.home)
            }),
            keywords: Arc::clone(&around.keywords),
        };
        let (of_tasks, of_handlers) = (inside("tasks"), inside("handlers"));
        loaded.steps.extend(self.validation(&path, files, &of_tasks).map(Step::Task));
        if let Some(list) = self.part(&path.join("tasks"), files.tasks.as_deref(), &at) {
            loaded.steps.extend(self.steps(&list, &of_tasks));
        }
        if let Some(list) = self.part(&path.join("handlers"), files.handlers.as_deref(), &at) {
            loaded.handlers.extend(self.handlers(&list, &of_handlers));
        }
        self.open.pop();
        Some(loaded)
    }

    /// The task that holds the role's parameters against what its `argument_specs` say of the file
    /// of tasks that is read. It runs whatever tags are asked for.
    fn validation(&mut self, path: &Path, files: &RoleFiles, around: &Around) -> Option<Task> {
        let meta = path.join("meta");
        let specs = match self.of_role(&meta, "argument_specs") {
            Some(file) => self.content(&file)?,
            None => self.of_role(&meta, "main").and_then(|file| self.content(&file))?,
        };
        let entry = files.tasks.as_deref().unwrap_or("main");
        let entry = entry.strip_suffix(".yml").or(entry.strip_suffix(".yaml")).unwrap_or(entry);
        let spec = specs.get("argument_specs")?.get(entry)?;
        let options = spec.get("options").cloned();
        let about = spec.get("short_description").and_then(Node::scalar_text);
        let about = about.map_or_else(String::new, |about| format!(" - {about}"));
        let context = [
            ("type", "role"),
            ("name", around.home.role.as_ref().map_or("", |role| role.name.as_str())),
            ("argument_spec_name", entry),
        ];
        let context = context.map(|(name, text)| (Key::from(name), Node::string(text)));
        let empty = || Node::new(Value::Map(Vec::new()));
        let args = vec![
            (Key::from("argument_spec"), options.unwrap_or_else(empty)),
            (Key::from("validate_args_context"), Node::new(Value::Map(context.into()))),
        ];
        let always = Named::from([("tags".to_owned(), Node::string("always"))]);
        Some(Task {
            name: format!("Validating arguments against arg spec '{entry}'{about}"),
            module: "validate_argument_spec".into(),
            args: Node::new(Value::Map(args)),
            keywords: inherit(&around.keywords, always),
            around: Arc::clone(&around.keywords),
            home: Arc::clone(&around.home),
            span: spec.span.clone(),
        })
    }

    /// The list in one of a role's files; only one that is asked for by name must be there.
    fn part(&mut self, folder: &Path, name: Option<&str>, at: &Node) -> Option<Node> {
        match self.of_role(folder, name.unwrap_or("main")) {
            Some(path) => {
                let list = self.content(&path)?;
                (!list.as_map().is_some_and(<[_]>::is_empty)).then_some(list)
            }
            None => {
                if let Some(name) = name {
                    self.complain(format!("there is no {}", folder.join(name).display()), at);
                }
                None
            }
        }
    }

    fn dependencies(&mut self, path: &Path, around: &Around, loaded: &mut LoadedRole) {
        let Some(file) = self.of_role(&path.join("meta"), "main") else { return };
        let Some(meta) = self.content(&file) else { return };
        let Some(list) = meta.get("dependencies") else { return };
        for entry in self.entries("dependencies", list) {
            if let Some(other) = self.role_entry(&entry, around) {
                loaded.others.extend(other.others);
                loaded.others.push(other.role);
                loaded.steps.extend(other.steps);
                loaded.handlers.extend(other.handlers);
            }
        }
    }

    /// One role of a list: a name, or a mapping with keywords and parameters. One that was read
    /// with the same before brings its variables alone.
    pub(super) fn role_entry(&mut self, entry: &Node, around: &Around) -> Option<LoadedRole> {
        let named = entry.get("role").or_else(|| entry.get("name"));
        let node = named.or_else(|| entry.as_str().map(|_| entry));
        let Some(node) = node else {
            let why =
                format!("a role is a name or a mapping with `role`, and this is {}", entry.kind());
            self.complain(why, entry);
            return None;
        };
        let name = self.known_name("role", node, &around.home)?;
        let (mut own, mut params) = (Named::new(), around.home.params.clone());
        for (key, value) in entry.as_map().unwrap_or_default() {
            match &*key.name {
                name if OF_ENTRIES.contains(&name) => {}
                "vars" => params.extend(self.mapping("`vars`", value)),
                name if BLOCK.contains(&name) => {
                    own.insert(name.to_owned(), value.clone());
                }
                name => {
                    params.insert(name.to_owned(), value.clone());
                }
            }
        }
        let inside = Around {
            home: Arc::new(Home { params, ..Home::clone(&around.home) }),
            keywords: Arc::new(inherit(&around.keywords, own)),
        };
        let mut loaded = self.role(&name, node.span.as_ref(), &RoleFiles::of(entry), &inside)?;
        let given =
            (loaded.role.path.clone(), inside.home.params.clone(), Arc::clone(&inside.keywords));
        if self.given.contains(&given) && !self.may_repeat(entry, &loaded.role.path) {
            (loaded.steps, loaded.handlers) = (Vec::new(), Vec::new());
        }
        self.given.push(given);
        Some(loaded)
    }

    fn may_repeat(&mut self, entry: &Node, path: &Path) -> bool {
        let said = entry.get("allow_duplicates").and_then(truth);
        let said = said.or_else(|| {
            let file = self.of_role(&path.join("meta"), "main")?;
            self.content(&file)?.get("allow_duplicates").and_then(truth)
        });
        said.unwrap_or(false)
    }

    /// The items of a list that may be missing.
    pub(super) fn entries(&mut self, what: &str, list: &Node) -> Vec<Node> {
        match &list.value {
            Value::List(items) => items.clone(),
            Value::Null => Vec::new(),
            _ => {
                self.complain(format!("`{what}` is a list, and this is {}", list.kind()), list);
                Vec::new()
            }
        }
    }

    /// Reads a list of handlers, which are single tasks.
    pub(super) fn handlers(&mut self, list: &Node, around: &Around) -> Vec<Task> {
        let mut handlers = Vec::new();
        for step in self.steps(list, around) {
            match step {
                Step::Task(task) => handlers.push(task),
                Step::Block(block) => {
                    let at = Node { span: block.span, ..Node::default() };
                    let hint = "make several handlers that listen to one topic";
                    self.complain("a block cannot be a handler", &at).hint = Some(hint.into());
                }
            }
        }
        handlers
    }
}
