//! From a written component to a node of the graph: constants filled in, type looked up, settings
//! read.

use super::lower::{Role, Written};
use crate::event::fault::{Diagnostic, nearest};
use crate::event::tree::{Node, Span, Value};
use crate::expr::jinja::{Engine, is_template};
use crate::expr::scope::Scope;
use crate::topology::graph::{Component, GraphNode};
use crate::{sinks, sources, transforms};
use std::sync::Arc;

/// Settings whose text is expanded per record (time codes, fields): a secret has no place there.
const PATH_LIKE: [&str; 3] = ["path", "prefix", "key"];

/// What all components are read with.
pub(super) struct Reader<'a> {
    pub(super) engine: &'a Engine,
    /// `facts`, `vars`, `secrets`, `host`.
    pub(super) scope: &'a Scope,
    /// Stands in every transform's spec, since expressions read variables.
    pub(super) vars: &'a Node,
}

impl Reader<'_> {
    /// The component's node; `None` where it is switched off.
    pub(super) fn read(&self, written: &Written) -> Result<Option<GraphNode>, Vec<Diagnostic>> {
        let mut node = written.node.clone();
        let mut complaints = Vec::new();
        if let Some(false) = self.is_on(&mut node, &mut complaints) {
            return Ok(None);
        }
        let inputs = take_inputs(&mut node, written, &mut complaints);
        let type_name = take_type(&mut node, written, &mut complaints);
        self.render(&mut node, written.role, None, &mut complaints);
        let Some((type_name, type_span)) = type_name else { return Err(complaints) };
        let names = match written.role {
            Role::Source => sources::NAMES,
            Role::Transform => transforms::NAMES,
            Role::Sink => sinks::NAMES,
        };
        let component = match written.role {
            Role::Source => sources::read(&type_name, &node).map(|r| r.map(Component::Source)),
            Role::Transform => {
                transforms::read(&type_name, &node).map(|r| r.map(Component::Transform))
            }
            Role::Sink => sinks::read(&type_name, &node).map(|r| r.map(Component::Sink)),
        };
        let span = written.span.clone().or(node.span.clone());
        match component {
            None => {
                complaints.push(unknown_type(written.role, &type_name, type_span, names));
                Err(complaints)
            }
            Some(Err(more)) => {
                complaints.extend(more);
                Err(complaints)
            }
            Some(Ok(_)) if !complaints.is_empty() => Err(complaints),
            Some(Ok(component)) => {
                let spec = match written.role {
                    Role::Transform => Node::new(Value::Map(vec![
                        ("settings".into(), node),
                        ("vars".into(), self.vars.clone()),
                    ])),
                    Role::Source | Role::Sink => node,
                };
                Ok(Some(GraphNode { component, type_name, inputs, spec, span }))
            }
        }
    }

    /// `enabled: false` and a `when` that does not hold switch a component off.
    fn is_on(&self, node: &mut Node, complaints: &mut Vec<Diagnostic>) -> Option<bool> {
        let enabled = node.take("enabled").map(|(_, enabled)| match enabled.value {
            Value::Bool { value, .. } => value,
            _ => {
                let message =
                    format!("`enabled`: found {}, expected true or false", enabled.kind());
                complaints.push(Diagnostic::new(message, enabled.span));
                true
            }
        });
        let when = node.take("when").map(|(_, condition)| {
            self.engine.holds(&condition, self.scope).unwrap_or_else(|complaint| {
                complaints.push(complaint.diagnostic());
                true
            })
        });
        Some(enabled.unwrap_or(true) && when.unwrap_or(true))
    }

    /// Fills in what is known when the config is loaded: facts, variables, secrets, the host's
    /// name. Text that reads a record's fields is left as it is; the component renders it.
    fn render(
        &self,
        node: &mut Node,
        role: Role,
        key: Option<&str>,
        complaints: &mut Vec<Diagnostic>,
    ) {
        match &mut node.value {
            Value::List(items) => {
                items.iter_mut().for_each(|item| self.render(item, role, key, complaints));
            }
            Value::Map(entries) => {
                for (key, node) in entries {
                    self.render(node, role, Some(&key.name), complaints);
                }
            }
            Value::String(text) if is_template(text) => {
                let names = match self.engine.names_in(text) {
                    Ok(names) => names,
                    Err(problem) => {
                        return complaints.push(problem.at(node.span.as_ref()).diagnostic());
                    }
                };
                let path_like = key.is_some_and(|key| PATH_LIKE.contains(&key));
                if names.iter().any(|name| name == "secrets")
                    && (path_like || role == Role::Transform)
                {
                    complaints.push(misplaced_secret(key, role, node.span.clone()));
                } else if role != Role::Transform && self.knows_all(&names, path_like) {
                    self.fill_in(node, path_like, complaints);
                }
            }
            _ => {}
        }
    }

    fn knows_all(&self, names: &[String], path_like: bool) -> bool {
        names.iter().all(|name| match name.as_str() {
            "facts" | "vars" | "secrets" | "host" => true,
            // In a path a bare name is a record's field.
            name => !path_like && name != "source" && !self.scope.lookup(name).is_undefined(),
        })
    }

    fn fill_in(&self, node: &mut Node, path_like: bool, complaints: &mut Vec<Diagnostic>) {
        let percent_signs = |node: &Node| {
            node.scalar_text().map_or(0, |text| text.bytes().filter(|byte| *byte == b'%').count())
        };
        match self.engine.render_node(node, self.scope) {
            Ok(filled) if path_like && percent_signs(&filled) > percent_signs(node) => {
                let message = "a value with a `%` would be read as a time code here";
                complaints.push(Diagnostic::new(message, node.span.clone()));
            }
            Ok(filled) => node.value = filled.value,
            Err(problem) => complaints.push(problem.at(node.span.as_ref()).diagnostic()),
        }
    }
}

fn misplaced_secret(key: Option<&str>, role: Role, span: Option<Span>) -> Diagnostic {
    let message = match role {
        Role::Transform => "a secret would be written into records here".to_owned(),
        Role::Source | Role::Sink => {
            format!("a secret in `{}` would show in file names", key.unwrap_or_default())
        }
    };
    Diagnostic::new(message, span).hint("secrets belong into addresses, credentials and tasks")
}

fn take_type(
    node: &mut Node,
    written: &Written,
    complaints: &mut Vec<Diagnostic>,
) -> Option<(Arc<str>, Option<Span>)> {
    let Some((_, found)) = node.take("type") else {
        let place = node.span.clone().or_else(|| written.span.clone());
        let message = match node.as_map() {
            Some(_) => format!("`{}` has no `type`", written.name),
            None => format!("`{}`: found {}, expected settings", written.name, node.kind()),
        };
        complaints.push(Diagnostic::new(message, place).hint("say what it is: `type: file`"));
        return None;
    };
    match found.as_str() {
        Some(name) => Some((name.into(), found.span)),
        None => {
            let message = format!("`type`: found {}, expected a name", found.kind());
            complaints.push(Diagnostic::new(message, found.span));
            None
        }
    }
}

fn take_inputs(
    node: &mut Node,
    written: &Written,
    complaints: &mut Vec<Diagnostic>,
) -> Vec<(Arc<str>, Option<Span>)> {
    let Some((key, found)) = node.take("inputs") else { return Vec::new() };
    if written.role == Role::Source {
        let message =
            format!("the source `{}` has `inputs`, and sources read from nothing", written.name);
        complaints.push(Diagnostic::new(message, key.span));
        return Vec::new();
    }
    let items = match &found.value {
        Value::List(items) => items.as_slice(),
        Value::String(_) => std::slice::from_ref(&found),
        _ => {
            let message = format!("`inputs`: found {}, expected a list of names", found.kind());
            complaints.push(Diagnostic::new(message, found.span.clone()));
            &[]
        }
    };
    let mut inputs = Vec::new();
    for item in items {
        match item.scalar_text() {
            Some(name) => inputs.push((name.into(), item.span.clone())),
            None => {
                let message = format!("`inputs`: found {}, expected a name", item.kind());
                complaints.push(Diagnostic::new(message, item.span.clone()));
            }
        }
    }
    inputs
}

fn unknown_type(role: Role, found: &str, span: Option<Span>, names: &[&str]) -> Diagnostic {
    let role = match role {
        Role::Source => "source",
        Role::Transform => "transform",
        Role::Sink => "sink",
    };
    let known = names.join(", ");
    let hint = match nearest(found, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {known}"),
    };
    Diagnostic::new(format!("there is no {role} of type `{found}`"), span).hint(hint)
}
