//! Reads keywords of a task, each as what it must be.

use super::{Control, Items};
use crate::event::fault::{Diagnostic, nearest};
use crate::event::tree::{Key, Node, Value};
use crate::expr::jinja::Engine;
use crate::expr::lookups;
use crate::expr::scope::{RESERVED, Vars};
use crate::sinks::apply::params::truth;
use crate::topology::settings::Period;
use std::time::Duration;

/// Reads one keyword after the other.
pub(super) struct Reader<'a> {
    pub(super) engine: Option<&'a Engine>,
    pub(super) complaints: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    pub(super) fn complain(&mut self, why: impl Into<String>, node: &Node) -> &mut Diagnostic {
        self.complaints.push(Diagnostic::new(why, node.span.clone()));
        let last = self.complaints.len() - 1;
        &mut self.complaints[last]
    }

    fn check(&mut self, node: &Node) {
        if let Some(engine) = self.engine {
            engine.check(node, self.complaints);
        }
    }

    /// One condition or a list of them, all of which must hold.
    pub(super) fn conditions(&mut self, node: &Node) -> Vec<Node> {
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
                _ => {
                    if let Some(engine) = self.engine {
                        engine.check_condition(condition, self.complaints);
                    }
                }
            }
        }
        conditions
    }

    pub(super) fn template(&mut self, node: &Node) -> Node {
        self.check(node);
        node.clone()
    }

    pub(super) fn templates(&mut self, node: &Node) -> Vec<Node> {
        self.check(node);
        match &node.value {
            Value::List(items) => items.clone(),
            Value::Null => Vec::new(),
            _ => vec![node.clone()],
        }
    }

    pub(super) fn items(&mut self, node: &Node, lookup: Option<String>) -> Option<Items> {
        self.check(node);
        if let Some(name) = lookup.as_deref().filter(|name| !lookups::is_known(name)) {
            let names = lookups::entries().flat_map(|(_, entries)| entries);
            let near = nearest(name, names.flat_map(|entry| entry.names).copied());
            let hint = match near {
                Some(near) => format!("did you mean `with_{near}`?"),
                None => "`driftless docs lookups` tells which there are".into(),
            };
            let why = format!("there is no loop `with_{name}`: no look-up is called `{name}`");
            self.complain(why, node).hint = Some(hint);
        }
        Some(Items { node: node.clone(), lookup })
    }

    /// True or false, or an expression that will be.
    pub(super) fn switch(&mut self, name: &str, node: &Node) -> Option<Node> {
        self.check(node);
        if !Engine::holds_expression(node) {
            self.flag(name, node)?;
        }
        Some(node.clone())
    }

    /// A number, or an expression that will be one.
    pub(super) fn number(&mut self, name: &str, node: &Node) -> Node {
        self.check(node);
        let is_number = |text: &str| text.trim().parse::<f64>().is_ok_and(|number| number >= 0.0);
        if !Engine::holds_expression(node) && !node.scalar_text().is_some_and(is_number) {
            let found = match node.scalar_text() {
                Some(text) => format!("`{text}`"),
                None => node.kind().to_owned(),
            };
            self.complain(format!("`{name}` is a number from 0 on, and this is {found}"), node);
        }
        node.clone()
    }

    pub(super) fn delegate(&mut self, node: &Node) -> Option<Node> {
        self.check(node);
        let is_here = matches!(node.as_str(), Some("localhost" | "127.0.0.1" | "::1"));
        if !is_here && !Engine::holds_expression(node) {
            self.complain("`delegate_to` can only be `localhost`", node).hint =
                Some("each host applies to itself alone".into());
        }
        Some(node.clone())
    }

    pub(super) fn connection(&mut self, node: &Node) {
        let name = node.scalar_text().unwrap_or_default();
        if !matches!(name, "local" | "ssh" | "smart" | "paramiko" | "ansible.builtin.local") {
            let why = format!("there is no connection `{name}`: each host applies to itself");
            self.complain(why, node);
        }
    }

    /// Words in a list, or in one text with commas between.
    pub(super) fn words(&mut self, name: &str, node: &Node) -> Vec<String> {
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

    pub(super) fn period(&mut self, node: &Node) -> Option<Duration> {
        match node.scalar_text().unwrap_or_default().parse::<Period>() {
            Ok(period) => Some(period.0),
            Err(why) => {
                self.complain(why, node);
                None
            }
        }
    }

    pub(super) fn variable(&mut self, what: &str, node: &Node) -> Option<String> {
        let name = node.as_str().unwrap_or_default();
        if let Err(why) = check_variable(name) {
            self.complain(format!("`{what}` names a variable, and {why}"), node);
            return None;
        }
        Some(name.to_owned())
    }

    pub(super) fn vars(&mut self, node: &Node) -> Option<Vars> {
        let Some(entries) = node.as_map() else {
            if node.value != Value::Null {
                self.complain(format!("`vars` is a mapping, and this is {}", node.kind()), node);
            }
            return None;
        };
        read_vars(entries, self.complaints);
        self.check(node);
        Some(entries.iter().map(|(key, node)| (key.name.to_string(), node.clone())).collect())
    }

    pub(super) fn control(&mut self, node: &Node) -> Control {
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
                    control.loop_var = match Engine::holds_expression(node) {
                        // Its value is looked at once it is known.
                        true => self.template(node).as_str().unwrap_or_default().to_owned(),
                        false => self.variable("loop_var", node).unwrap_or_default(),
                    };
                }
                "index_var" => control.index_var = self.variable("index_var", node),
                "label" => control.label = Some(self.template(node)),
                "pause" => control.pause = Some(self.number("pause", node)),
                "extended" => control.extended = self.flag("extended", node).unwrap_or(false),
                "extended_allitems" => {
                    control.extended_allitems =
                        self.flag("extended_allitems", node).unwrap_or(true);
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
pub(in crate::sinks::apply) fn read_vars(
    entries: &[(Key, Node)],
    complaints: &mut Vec<Diagnostic>,
) {
    for (key, _) in entries {
        if let Err(why) = check_variable(&key.name) {
            complaints.push(Diagnostic::new(why, key.span.clone()));
        }
    }
}

/// Words of expressions themselves, which Ansible takes for no variable either.
const KEYWORDS: [&str; 12] =
    ["True", "False", "None", "true", "false", "none", "and", "or", "not", "in", "is", "if"];

/// Whether a variable may be called that; the error says why not.
fn check_variable(name: &str) -> Result<(), String> {
    let mut chars = name.chars();
    let begins_well = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if !begins_well || !chars.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(format!(
            "`{name}` is no name for a variable: letters, digits and `_` make one"
        ));
    }
    if RESERVED.contains(&name) || KEYWORDS.contains(&name) {
        return Err(format!("the name `{name}` is taken"));
    }
    Ok(())
}
