//! The keys of a task beside its module: conditions, loops, registers, notifications.

mod read;

use super::params::truth;
use crate::event::fault::Diagnostic;
use crate::event::tree::Node;
use crate::expr::jinja::{Engine, is_template};
use crate::expr::scope::Vars;
use indexmap::IndexMap;
use read::Reader;
use std::sync::Arc;
use std::time::Duration;

pub(super) use read::read_vars;

/// Keywords of a task that are understood, beside `with_` and the name of a look-up.
pub(super) const KNOWN: [&str; 46] = [
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
    "timeout",
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
pub(super) const BLOCK: [&str; 28] = [
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
    "timeout",
    "connection",
    "remote_user",
    "port",
    "collections",
    "debugger",
];

/// Keywords of Ansible that this version refuses, since to ignore them would do harm.
pub(super) const NOT_YET: [&str; 1] = ["first_available_file"];

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
    /// Seconds that the task may take.
    pub(super) timeout: Option<Node>,
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
    /// Reads them, adding every complaint. Expressions are checked where there is an engine for
    /// that: once is enough, before a run.
    pub(super) fn read(
        keywords: &IndexMap<String, Node>,
        engine: Option<&Engine>,
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
                "timeout" => found.timeout = Some(reader.number(name, node)),
                "every" => found.every = reader.period(node),
                "run_once" | "any_errors_fatal" | "ignore_unreachable" => {
                    reader.switch(name, node);
                }
                "delegate_to" => found.delegate_to = reader.delegate(node),
                "connection" => reader.connection(node),
                "async" if truth(node) != Some(false) => {
                    let waits = keywords.get("poll").and_then(Node::scalar_text) != Some("0");
                    if !waits {
                        let why =
                            "`poll: 0` leaves a task to itself, and nobody would know how it ends";
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
