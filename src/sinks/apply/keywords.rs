//! The keys of a task beside its module: conditions, loops, registers, notifications.

use super::params::truth;
use crate::event::fault::Diagnostic;
use crate::event::tree::{Key, Node, Value};
use crate::expr::jinja::{Engine, is_template};
use crate::expr::scope::{RESERVED, Vars};
use crate::topology::settings::Period;
use indexmap::IndexMap;
use std::sync::Arc;
use std::time::Duration;

/// Keywords of a task that are understood, beside `with_` and the name of a look-up.
pub(super) const KNOWN: [&str; 45] = [
    "name",
    "when",
    "register",
    "loop",
    "loop_control",
    "until",
    "retries",
    "delay",
    "notify",
    "listen",
    "tags",
    "vars",
    "ignore_errors",
    "failed_when",
    "changed_when",
    "no_log",
    "check_mode",
    "diff",
    "environment",
    "args",
    "module_defaults",
    "become",
    "become_user",
    "become_method",
    "become_flags",
    "become_exe",
    "delegate_to",
    "delegate_facts",
    "run_once",
    "any_errors_fatal",
    "ignore_unreachable",
    "max_fail_percentage",
    "throttle",
    "connection",
    "remote_user",
    "port",
    "collections",
    "debugger",
    "async",
    "poll",
    "every",
    "action",
    "local_action",
    "with_items",
    "with_dict",
];

/// Those that can also be said of a block, an import, a role or a play, and so of all tasks in it.
pub(super) const BLOCK: [&str; 27] = [
    "when",
    "notify",
    "tags",
    "vars",
    "ignore_errors",
    "no_log",
    "check_mode",
    "diff",
    "environment",
    "module_defaults",
    "become",
    "become_user",
    "become_method",
    "become_flags",
    "become_exe",
    "delegate_to",
    "delegate_facts",
    "run_once",
    "any_errors_fatal",
    "ignore_unreachable",
    "max_fail_percentage",
    "throttle",
    "connection",
    "remote_user",
    "port",
    "collections",
    "debugger",
];

/// Keywords of Ansible that this version refuses, since to ignore them would do harm.
pub(super) const NOT_YET: [&str; 2] = ["timeout", "first_available_file"];

/// A task's keywords, typed. What may hold expressions stays a tree.
#[derive(Clone, Debug, Default)]
pub(super) struct Keywords {
    pub(super) when: Vec<Node>,
    pub(super) register: Option<String>,
    pub(super) items: Option<Items>,
    pub(super) control: Control,
    pub(super) retry: Option<Retry>,
    pub(super) notify: Vec<Node>,
    pub(super) tags: Vec<String>,
    pub(super) vars: Option<Arc<Vars>>,
    pub(super) failed_when: Option<Vec<Node>>,
    pub(super) changed_when: Option<Vec<Node>>,
    // True or false, or an expression that is.
    pub(super) ignore_errors: Option<Node>,
    pub(super) no_log: Option<Node>,
    pub(super) check_mode: Option<Node>,
    pub(super) diff: Option<Node>,
    pub(super) becomes: Option<Node>,
    /// The user to become, `root` where none is named.
    pub(super) user: Option<Node>,
    pub(super) delegate_to: Option<Node>,
    pub(super) environment: Option<Node>,
    /// How often an action is done again in the agent; once a revision where nothing says so.
    pub(super) every: Option<Duration>,
}

/// How often a task is tried.
#[derive(Clone, Debug, Default)]
pub(super) struct Retry {
    /// What must hold for it to count as done; else that it has not failed.
    pub(super) until: Option<Vec<Node>>,
    /// How often it is tried again.
    pub(super) retries: Option<Node>,
    /// Seconds between two attempts.
    pub(super) delay: Option<Node>,
}

/// What a loop runs over.
#[derive(Clone, Debug)]
pub(super) struct Items {
    pub(super) node: Node,
    /// The look-up that makes items of the value: `items` for `with_items`. `loop` has none.
    pub(super) lookup: Option<String>,
}

/// `loop_control`.
#[derive(Clone, Debug)]
pub(super) struct Control {
    pub(super) loop_var: String,
    pub(super) index_var: Option<String>,
    pub(super) label: Option<Node>,
    /// Seconds between two items.
    pub(super) pause: Option<Node>,
    /// Whether `ansible_loop` tells about all items.
    pub(super) extended: bool,
    pub(super) extended_allitems: bool,
    /// What ends the loop after an item.
    pub(super) break_when: Option<Vec<Node>>,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            loop_var: "item".into(),
            index_var: None,
            label: None,
            pause: None,
            extended: false,
            extended_allitems: true,
            break_when: None,
        }
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
                "until" => found.retry().until = Some(reader.conditions(node)),
                "retries" => found.retry().retries = Some(reader.number(name, node)),
                "delay" => found.retry().delay = Some(reader.number(name, node)),
                "ignore_errors" => found.ignore_errors = reader.switch(name, node),
                "no_log" => found.no_log = reader.switch(name, node),
                "check_mode" => found.check_mode = reader.switch(name, node),
                "diff" => found.diff = reader.switch(name, node),
                "become" => found.becomes = reader.switch(name, node),
                "become_user" => found.user = Some(reader.template(node)),
                "register" => found.register = reader.variable(name, node),
                "loop" => found.items = reader.items(node, None),
                "loop_control" => found.control = reader.control(node),
                "notify" => found.notify = reader.templates(node),
                "listen" => drop(reader.words(name, node)),
                "tags" => found.tags = reader.words(name, node),
                "vars" => found.vars = reader.vars(node).map(Arc::new),
                "environment" => found.environment = Some(reader.template(node)),
                "every" => found.every = reader.period(node),
                "run_once" | "any_errors_fatal" | "ignore_unreachable" => {
                    reader.switch(name, node);
                }
                "delegate_to" => found.delegate_to = reader.delegate(node),
                "connection" => reader.connection(node),
                "async" if truth(node) != Some(false) => {
                    let waits = keywords.get("poll").and_then(Node::scalar_text) != Some("0");
                    if !waits {
                        let why = "`poll: 0` leaves a task to itself, and nobody would know how it ends";
                        reader.complain(why, node).hint =
                            Some("leave `async` out, or start it with `systemd-run`".into());
                    }
                }
                _ => {
                    if let Some(lookup) = name.strip_prefix("with_") {
                        found.items = reader.items(node, Some(lookup.to_owned()));
                    }
                }
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

    fn retry(&mut self) -> &mut Retry {
        self.retry.get_or_insert_default()
    }

    /// The user other than root that the task is to run as, as far as that is written out.
    pub(super) fn other_user(&self) -> Option<&str> {
        let user = self.user.as_ref()?.scalar_text()?;
        let is_on = self.becomes.as_ref().is_some_and(|node| truth(node) != Some(false));
        (is_on && user != "root" && !is_template(user)).then_some(user)
    }
}

pub(super) fn is_loop(name: &str) -> bool {
    name == "loop" || name.starts_with("with_")
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
            // As in Ansible, an empty `when:` says nothing.
            Value::Null => Vec::new(),
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

    fn items(&mut self, node: &Node, lookup: Option<String>) -> Option<Items> {
        self.engine.check(node, self.complaints);
        Some(Items { node: node.clone(), lookup })
    }

    /// True or false, or an expression that will be.
    fn switch(&mut self, name: &str, node: &Node) -> Option<Node> {
        self.engine.check(node, self.complaints);
        if !Engine::holds_expression(node) {
            self.flag(name, node)?;
        }
        Some(node.clone())
    }

    /// A number, or an expression that will be one.
    fn number(&mut self, name: &str, node: &Node) -> Node {
        self.engine.check(node, self.complaints);
        let is_number = |text: &str| text.trim().parse::<f64>().is_ok_and(|number| number >= 0.0);
        if !Engine::holds_expression(node) && !node.scalar_text().is_some_and(is_number) {
            self.complain(format!("`{name}` is a number, and this is {}", node.kind()), node);
        }
        node.clone()
    }

    fn delegate(&mut self, node: &Node) -> Option<Node> {
        self.engine.check(node, self.complaints);
        let is_here = matches!(node.as_str(), Some("localhost" | "127.0.0.1" | "::1"));
        if !is_here && !Engine::holds_expression(node) {
            self.complain("`delegate_to` can only be `localhost`", node).hint =
                Some("each host applies to itself alone".into());
        }
        Some(node.clone())
    }

    fn connection(&mut self, node: &Node) {
        let name = node.scalar_text().unwrap_or_default();
        if !matches!(name, "local" | "ssh" | "smart" | "paramiko" | "ansible.builtin.local") {
            let why = format!("there is no connection `{name}`: each host applies to itself");
            self.complain(why, node);
        }
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
                "pause" => control.pause = Some(self.number("pause", node)),
                "extended" => control.extended = self.flag("extended", node).unwrap_or(false),
                "extended_allitems" => {
                    control.extended_allitems = self.flag("extended_allitems", node).unwrap_or(true);
                }
                "break_when" => control.break_when = Some(self.conditions(node)),
                name => {
                    let why = format!("`loop_control` has no key `{name}`");
                    self.complain(why, &Node { span: key.span.clone(), ..node.clone() }).hint =
                        Some("it has `loop_var`, `index_var`, `label`, `pause`, `extended`".into());
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
