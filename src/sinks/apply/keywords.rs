//! The keys of a task beside its module: conditions, loops, registers, notifications.

use super::params::truth;
use crate::event::fault::Diagnostic;
use crate::event::tree::{Key, Node, Value};
use crate::expr::jinja::Engine;
use crate::expr::scope::{RESERVED, Vars};
use crate::topology::settings::Period;
use indexmap::IndexMap;
use std::sync::Arc;
use std::time::Duration;

/// Keywords that are understood.
pub(super) const KNOWN: [&str; 24] = [
    "name",
    "when",
    "register",
    "loop",
    "with_items",
    "with_dict",
    "loop_control",
    "notify",
    "listen",
    "tags",
    "vars",
    "ignore_errors",
    "failed_when",
    "changed_when",
    "no_log",
    "check_mode",
    "environment",
    "args",
    "diff",
    "run_once",
    "delegate_to",
    "become",
    "any_errors_fatal",
    "every",
];

/// Keywords of Ansible that this version refuses, since to ignore them would do harm.
pub(super) const NOT_YET: [&str; 26] = [
    "block",
    "rescue",
    "always",
    "retries",
    "until",
    "delay",
    "async",
    "poll",
    "become_user",
    "become_method",
    "become_exe",
    "become_flags",
    "delegate_facts",
    "throttle",
    "timeout",
    "connection",
    "remote_user",
    "port",
    "module_defaults",
    "collections",
    "local_action",
    "action",
    "ignore_unreachable",
    "max_fail_percentage",
    "debugger",
    "first_available_file",
];

/// A task's keywords, typed. What may hold expressions stays a tree.
#[derive(Clone, Debug, Default)]
pub(super) struct Keywords {
    pub(super) when: Vec<Node>,
    pub(super) register: Option<String>,
    pub(super) items: Option<Items>,
    pub(super) control: Control,
    pub(super) notify: Vec<Node>,
    pub(super) listen: Vec<String>,
    pub(super) tags: Vec<String>,
    pub(super) vars: Option<Arc<Vars>>,
    pub(super) ignore_errors: Option<Node>,
    pub(super) failed_when: Option<Vec<Node>>,
    pub(super) changed_when: Option<Vec<Node>>,
    pub(super) no_log: bool,
    pub(super) check_mode: bool,
    pub(super) hide_diff: bool,
    pub(super) environment: Option<Node>,
    /// How often an action is done again in the agent; once a revision where nothing says so.
    pub(super) every: Option<Duration>,
}

/// What a loop runs over.
#[derive(Clone, Debug)]
pub(super) struct Items {
    pub(super) node: Node,
    pub(super) shape: Shape,
}

/// How the items come out of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `loop`: the list as it is.
    List,
    /// `with_items`: lists in the list are opened, one level deep.
    Flat,
    /// `with_dict`: a mapping's entries as `key` and `value`.
    Entries,
}

/// `loop_control`.
#[derive(Clone, Debug)]
pub(super) struct Control {
    pub(super) loop_var: String,
    pub(super) index_var: Option<String>,
    pub(super) label: Option<Node>,
}

impl Default for Control {
    fn default() -> Self {
        Self { loop_var: "item".into(), index_var: None, label: None }
    }
}

impl Keywords {
    /// Reads them, adding every complaint.
    pub(super) fn read(
        keywords: &IndexMap<String, Node>,
        engine: &Engine,
        complaints: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut reader = Reader { engine, complaints };
        let mut found = Self::default();
        for (name, node) in keywords {
            match name.as_str() {
                "when" => found.when = reader.conditions(node),
                "failed_when" => found.failed_when = Some(reader.conditions(node)),
                "changed_when" => found.changed_when = Some(reader.conditions(node)),
                "ignore_errors" => found.ignore_errors = reader.conditions(node).pop(),
                "register" => found.register = reader.variable(name, node),
                "loop" => found.items = reader.items(node, Shape::List),
                "with_items" => found.items = reader.items(node, Shape::Flat),
                "with_dict" => found.items = reader.items(node, Shape::Entries),
                "loop_control" => found.control = reader.control(node),
                "notify" => found.notify = reader.templates(node),
                "listen" => found.listen = reader.words(name, node),
                "tags" => found.tags = reader.words(name, node),
                "vars" => found.vars = reader.vars(node).map(Arc::new),
                "no_log" => found.no_log = reader.flag(name, node).unwrap_or(true),
                "check_mode" => found.check_mode = reader.flag(name, node).unwrap_or(true),
                "diff" => found.hide_diff = reader.flag(name, node) == Some(false),
                "environment" => found.environment = Some(reader.template(node)),
                "every" => found.every = reader.period(node),
                "run_once" | "any_errors_fatal" => drop(reader.flag(name, node)),
                "become" if reader.flag(name, node) == Some(true) => {
                    let why = "`become` is not supported yet";
                    reader.complain(why, node).hint =
                        Some("tasks run as the user that driftless runs as: leave it out".into());
                }
                "delegate_to" if !matches!(node.as_str(), Some("localhost" | "127.0.0.1")) => {
                    reader.complain("`delegate_to` can only be `localhost`", node);
                }
                _ => {}
            }
        }
        if keywords.keys().filter(|name| is_loop(name)).count() > 1 {
            let node = keywords.iter().rfind(|(name, _)| is_loop(name)).map(|(_, node)| node);
            reader.complain(
                "a task has one loop, and this is a second",
                node.unwrap_or(&Node::string("")),
            );
        }
        found
    }
}

fn is_loop(name: &str) -> bool {
    matches!(name, "loop" | "with_items" | "with_dict")
}

struct Reader<'a> {
    engine: &'a Engine,
    complaints: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn complain(&mut self, why: impl Into<String>, node: &Node) -> &mut Diagnostic {
        self.complaints.push(Diagnostic::new(why, node.span.clone()));
        let last = self.complaints.len() - 1;
        &mut self.complaints[last]
    }

    /// One condition or a list of them, all of which must hold.
    fn conditions(&mut self, node: &Node) -> Vec<Node> {
        let conditions = match &node.value {
            Value::List(items) => items.clone(),
            _ => vec![node.clone()],
        };
        for condition in &conditions {
            match condition.value {
                Value::List(_) | Value::Map(_) | Value::Null => {
                    let kind = condition.kind();
                    self.complain(
                        format!("a condition is an expression, and this is {kind}"),
                        condition,
                    );
                }
                _ => self.engine.check_condition(condition, self.complaints),
            }
        }
        conditions
    }

    fn template(&mut self, node: &Node) -> Node {
        self.engine.check(node, self.complaints);
        node.clone()
    }

    fn templates(&mut self, node: &Node) -> Vec<Node> {
        self.engine.check(node, self.complaints);
        match &node.value {
            Value::List(items) => items.clone(),
            Value::Null => Vec::new(),
            _ => vec![node.clone()],
        }
    }

    fn items(&mut self, node: &Node, shape: Shape) -> Option<Items> {
        self.engine.check(node, self.complaints);
        Some(Items { node: node.clone(), shape })
    }

    /// Words in a list, or in one text with commas between.
    fn words(&mut self, name: &str, node: &Node) -> Vec<String> {
        let nodes = match &node.value {
            Value::List(items) => items.iter().collect(),
            Value::Null => Vec::new(),
            _ => vec![node],
        };
        let mut words = Vec::new();
        for node in nodes {
            match node.scalar_text() {
                Some(text) => words.extend(text.split(',').map(|word| word.trim().to_owned())),
                None => {
                    self.complain(format!("`{name}` is a list of words"), node);
                }
            }
        }
        words
    }

    fn flag(&mut self, name: &str, node: &Node) -> Option<bool> {
        let found = truth(node);
        if found.is_none() {
            self.complain(format!("`{name}` is true or false, and this is {}", node.kind()), node);
        }
        found
    }

    fn period(&mut self, node: &Node) -> Option<Duration> {
        match node.scalar_text().unwrap_or_default().parse::<Period>() {
            Ok(period) => Some(period.0),
            Err(why) => {
                self.complain(why, node);
                None
            }
        }
    }

    fn variable(&mut self, what: &str, node: &Node) -> Option<String> {
        let name = node.as_str().unwrap_or_default();
        if let Err(why) = check_variable(name) {
            self.complain(format!("`{what}` names a variable, and {why}"), node);
            return None;
        }
        Some(name.to_owned())
    }

    fn vars(&mut self, node: &Node) -> Option<Vars> {
        let Some(entries) = node.as_map() else {
            if node.value != Value::Null {
                self.complain(format!("`vars` is a mapping, and this is {}", node.kind()), node);
            }
            return None;
        };
        read_vars(entries, self.complaints);
        self.engine.check(node, self.complaints);
        Some(entries.iter().map(|(key, node)| (key.name.to_string(), node.clone())).collect())
    }

    fn control(&mut self, node: &Node) -> Control {
        let mut control = Control::default();
        let Some(entries) = node.as_map() else {
            self.complain(
                format!("`loop_control` is a mapping, and this is {}", node.kind()),
                node,
            );
            return control;
        };
        for (key, node) in entries {
            match &*key.name {
                "loop_var" => {
                    control.loop_var = self.variable("loop_var", node).unwrap_or_default();
                }
                "index_var" => control.index_var = self.variable("index_var", node),
                "label" => control.label = Some(self.template(node)),
                name @ ("pause" | "extended" | "extended_allitems" | "break_when") => {
                    let why = format!("`{name}` of `loop_control` is not supported yet");
                    self.complain(why, &Node { span: key.span.clone(), ..node.clone() });
                }
                name => {
                    let why = format!("`loop_control` has no key `{name}`");
                    self.complain(why, &Node { span: key.span.clone(), ..node.clone() }).hint =
                        Some("it has `loop_var`, `index_var`, `label`".into());
                }
            }
        }
        control
    }
}

/// Complains about variables whose names cannot be used.
pub(super) fn read_vars(entries: &[(Key, Node)], complaints: &mut Vec<Diagnostic>) {
    for (key, _) in entries {
        if let Err(why) = check_variable(&key.name) {
            complaints.push(Diagnostic::new(why, key.span.clone()));
        }
    }
}

/// Whether a variable may be called that; the error says why not.
pub(super) fn check_variable(name: &str) -> Result<(), String> {
    let mut chars = name.chars();
    let begins_well = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if !begins_well || !chars.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(format!(
            "`{name}` is no name for a variable: letters, digits and `_` make one"
        ));
    }
    if RESERVED.contains(&name) {
        return Err(format!("the name `{name}` is taken"));
    }
    Ok(())
}
