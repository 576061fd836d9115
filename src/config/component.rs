//! From a written component to a node of the graph: constants filled in, type looked up, settings
//! read.

use super::lower::{COMMON_KEYS, Role, Written};
use super::render::Filling;
use super::rule_files;
use super::unread::stand_in;
use super::wording::{misspells_inputs, reworded};
use crate::event::de::from_node;
use crate::event::fault::{Diagnostic, nearest};
use crate::event::tree::{Node, Span, Value};
use crate::expr::jinja::Engine;
use crate::expr::scope::Scope;
use crate::topology::buffer::BufferSettings;
use crate::topology::graph::{Component, GraphNode, NodeBuffer};
use crate::{sinks, sources, transforms};
use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

/// What all components are read with.
pub(super) struct Reader<'a> {
    pub(super) engine: &'a Engine,
    /// `facts`, `vars`, `secrets`, `host`.
    pub(super) scope: &'a Scope,
    /// The same with `***` for every secret. What is wrong with a component is said by a reading
    /// that never saw them, so that no part of one can be in a message.
    pub(super) blind_scope: &'a Scope,
    /// `secrets`, and the variables that hold one.
    pub(super) secret_names: &'a HashSet<String>,
    /// Whether some secret could not be found: what comes of that is no second error.
    pub(super) lacks_secrets: bool,
    /// Stands in every transform's spec, since expressions read variables.
    pub(super) vars: &'a Node,
}

/// What became of a written component.
pub(super) struct Read {
    /// Its node; a stand-in where there are complaints.
    pub(super) node: GraphNode,
    /// Whether its inputs could be read.
    pub(super) knows_inputs: bool,
    pub(super) complaints: Vec<Diagnostic>,
}

impl Reader<'_> {
    /// Reads a component, of which others read the named outputs `outputs`.
    pub(super) fn read(&self, written: &Written, outputs: &[Arc<str>]) -> Read {
        let read = self.read_in(self.scope, written, outputs);
        if read.complaints.is_empty() {
            return read;
        }
        let mut blind = self.read_in(self.blind_scope, written, outputs);
        if blind.complaints.is_empty() {
            let message =
                format!("`{}`: a secret's value cannot be used as it is here", written.name);
            blind.complaints.push(Diagnostic::new(message, written.span.clone()));
            blind.node.component = stand_in(written.role, outputs.to_vec());
        }
        if self.lacks_secrets {
            let mentions = |span: &Span| {
                span.file.text.get(span.start..span.end).is_some_and(|it| it.contains("secrets"))
            };
            blind.complaints.retain(|it| !it.span.as_ref().is_some_and(mentions));
        }
        blind
    }

    fn read_in(&self, scope: &Scope, written: &Written, outputs: &[Arc<str>]) -> Read {
        let mut node = written.node.clone();
        let role = written.role;
        let mut complaints = Vec::new();
        for key in COMMON_KEYS {
            node.take(key);
        }
        let inputs = take_inputs(&mut node, written, &mut complaints);
        let knows_inputs = complaints.is_empty();
        let buffer = take_buffer(&mut node, written, &mut complaints);
        let type_name = take_type(&mut node, written, &mut complaints);
        let mut filling = Filling { reader: self, scope, role, complaints };
        filling.fill(&mut node, type_name.as_ref().map(|(name, _)| &**name));
        let mut complaints = filling.complaints;
        let span = written.span.clone().or(node.span.clone());
        let tables = match &type_name {
            Some((name, _)) if role == Role::Transform && &**name == "lookup" => {
                place_table(&mut node)
            }
            _ => None,
        };
        if role == Role::Transform && type_name.as_ref().is_some_and(|(it, _)| &**it == "threshold")
        {
            rule_files::take_in(&mut node, &mut complaints);
        }
        let component = match &type_name {
            None => None,
            Some((type_name, place)) => match component(role, type_name, &node) {
                Ok(component) => Some(component),
                Err(None) => {
                    complaints.push(unknown_type(role, type_name, place.clone()));
                    None
                }
                Err(Some(more)) => {
                    complaints.extend(reworded(more, written, type_name));
                    None
                }
            },
        };
        let knows_inputs = knows_inputs && !misspells_inputs(&complaints);
        // A text that could not be filled in is not what the component should judge.
        let mut places: HashSet<Option<(usize, usize)>> = HashSet::new();
        complaints.retain(|it| {
            let place = it.span.as_ref().map(|span| (span.start, span.end));
            place.is_none() || places.insert(place)
        });
        let component = match component {
            Some(component) if complaints.is_empty() => component,
            _ => stand_in(role, outputs.to_vec()),
        };
        let spec = match role {
            Role::Transform => Node::new(Value::Map(vec![
                ("settings".into(), node),
                ("vars".into(), self.vars.clone()),
                ("table".into(), Node::string(&tables.unwrap_or_default())),
            ])),
            Role::Source | Role::Sink => node,
        };
        let type_name = type_name.map_or_else(|| "".into(), |(name, _)| name);
        let node = GraphNode { component, type_name, inputs, buffer, spec, span };
        Read { node, knows_inputs, complaints }
    }
}

/// Reads the settings; `Err(None)` where there is no such type.
fn component(
    role: Role,
    type_name: &str,
    node: &Node,
) -> Result<Component, Option<Vec<Diagnostic>>> {
    match role {
        Role::Source => sources::read(type_name, node).map(|r| r.map(Component::Source)),
        Role::Transform => transforms::read(type_name, node).map(|r| r.map(Component::Transform)),
        Role::Sink => sinks::read(type_name, node).map(|r| r.map(Component::Sink)),
    }
    .ok_or(None)?
    .map_err(Some)
}

/// A table's path counts from the file that names it. Gives what tells one state of the table from
/// the next, so that a reload takes a new one.
fn place_table(node: &mut Node) -> Option<String> {
    let Value::Map(entries) = &mut node.value else { return None };
    let (_, file) = entries.iter_mut().find(|(key, _)| &*key.name == "file")?;
    let place = file.span.as_ref().and_then(|span| span.file.path.parent());
    let path = Path::new(file.as_str()?);
    let path = place.map_or_else(|| path.to_owned(), |place| place.join(path));
    file.value = Value::String(path.to_string_lossy().into());
    let about = path.metadata().ok()?;
    Some(format!("{} {} {} {}", about.ino(), about.size(), about.mtime(), about.mtime_nsec()))
}

fn take_type(
    node: &mut Node,
    written: &Written,
    complaints: &mut Vec<Diagnostic>,
) -> Option<(Arc<str>, Option<Span>)> {
    let Some((_, found)) = node.take("type") else {
        let place = written.span.clone().or_else(|| node.span.clone());
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
            complaints.push(Diagnostic::new(message, found.span.clone().or(key.span)));
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

fn take_buffer(node: &mut Node, written: &Written, complaints: &mut Vec<Diagnostic>) -> NodeBuffer {
    let Some((key, found)) = node.take("buffer") else { return NodeBuffer::default() };
    let span = found.span.clone().or_else(|| key.span.clone());
    if written.role == Role::Source {
        let message = format!(
            "the source `{}` has a `buffer`, and nothing waits in front of a source",
            written.name
        );
        let hint = "give it to what reads from the source";
        complaints.push(Diagnostic::new(message, key.span).hint(hint));
        return NodeBuffer::default();
    }
    match from_node::<BufferSettings>(&found, "`buffer`") {
        Ok(settings) => {
            if let Err(message) = settings.check() {
                complaints.push(Diagnostic::new(message, span.clone()));
            }
            NodeBuffer { settings, span }
        }
        Err(more) => {
            complaints.extend(more);
            NodeBuffer::default()
        }
    }
}

fn unknown_type(role: Role, found: &str, span: Option<Span>) -> Diagnostic {
    let names = match role {
        Role::Source => sources::NAMES,
        Role::Transform => transforms::NAMES,
        Role::Sink => sinks::NAMES,
    };
    let hint = match nearest(found, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", names.join(", ")),
    };
    Diagnostic::new(format!("there is no {role} of type `{found}`"), span).hint(hint)
}
