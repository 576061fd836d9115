//! Lowering: `apply`, `facts` and `logs` files are short ways to write a topology, and become one
//! here. What comes out still knows the places in the file that it came from.

use super::schema::{ApplyFile, FactsFile, LogsFile, TopologyFile};
use crate::event::fault::Diagnostic;
use crate::event::tree::{Key, Node, Span, Value};
use crate::topology::settings::Period;
use std::sync::Arc;

/// What a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Brings batches in.
    Source,
    /// Looks at them.
    Transform,
    /// Takes them to a place.
    Sink,
}

/// A component as a topology file would spell it out.
#[derive(Clone, Debug)]
pub struct Written {
    /// Its name in the graph: `logs.nginx`.
    pub name: Arc<str>,
    /// What it is.
    pub role: Role,
    /// Its settings, with `type` and `inputs`.
    pub node: Node,
    /// Where its name stands.
    pub span: Option<Span>,
}

/// Collects components and complaints.
#[derive(Debug, Default)]
pub struct Lowering {
    /// The components so far.
    pub components: Vec<Written>,
    /// What is wrong so far.
    pub complaints: Vec<Diagnostic>,
}

impl Lowering {
    /// A topology file is what it is.
    pub(super) fn topology(&mut self, file: TopologyFile) {
        let parts = [
            (Role::Source, "sources", file.sources),
            (Role::Transform, "transforms", file.transforms),
            (Role::Sink, "sinks", file.sinks),
        ];
        for (role, what, node) in parts {
            for (key, node) in self.entries(node, what) {
                let name = Arc::clone(&key.name);
                self.components.push(Written { name, role, node, span: key.span });
            }
        }
    }

    /// Every source becomes a source and a chain of what it says about its lines; every output
    /// becomes a sink that reads from the ends of the chains.
    pub(super) fn logs(&mut self, file: LogsFile) {
        let mut ends: Vec<(Key, String)> = Vec::new();
        for (key, node) in self.entries(file.sources, "sources") {
            let end = self.log_source(&key, node);
            ends.push((key, end));
        }
        for (key, mut node) in self.entries(file.outputs, "outputs") {
            let inputs = match node.take("inputs") {
                Some((_, inputs)) => self.log_inputs(inputs, &ends),
                None => list_of(ends.iter().map(|(key, end)| (end.as_str(), key.span.clone()))),
            };
            if let Some((type_key, settings)) = self.typed(&key, node) {
                self.add("logs", &key, Role::Sink, &type_key, settings, Some(inputs));
            }
        }
    }

    fn log_source(&mut self, key: &Key, mut node: Node) -> String {
        let type_key = match node.take("type") {
            Some((place, name)) => Key {
                name: name.scalar_text().unwrap_or_default().into(),
                span: name.span.or(place.span),
            },
            None => Key { name: "file".into(), span: key.span.clone() },
        };
        if let Some((mut paths_key, paths)) = node.take("paths") {
            paths_key.name = "include".into();
            if let Value::Map(entries) = &mut node.value {
                entries.push((paths_key, paths));
            }
        }
        let steps = STEPS.map(|step| (step, node.take(step)));
        self.add("logs", key, Role::Source, &type_key, node, None);
        let mut end = format!("logs.{}", key.name);
        for (step, written) in steps {
            let Some((step_key, value)) = written else { continue };
            let settings = step_settings(step, step_key.clone(), value);
            let type_name = if matches!(step, "keep" | "drop") { "filter" } else { step };
            let type_key = Key { name: type_name.into(), span: step_key.span.clone() };
            let name = Key { name: format!("{}.{step}", key.name).into(), span: step_key.span };
            let inputs = list_of([(end.as_str(), key.span.clone())]);
            self.add("logs", &name, Role::Transform, &type_key, settings, Some(inputs));
            end = format!("logs.{}", name.name);
        }
        end
    }

    /// An output's `inputs` name sources of the same file; the ends of their chains are meant.
    fn log_inputs(&mut self, mut inputs: Node, ends: &[(Key, String)]) -> Node {
        if let Value::List(items) = &mut inputs.value {
            for item in items {
                let known = ends.iter().find(|(key, _)| item.as_str() == Some(&*key.name));
                if let Some((_, end)) = known {
                    item.value = Value::String(end.as_str().into());
                }
            }
        }
        inputs
    }

    /// The host is one source; every export is a sink.
    pub(super) fn facts(&mut self, file: FactsFile, span: Option<&Span>) {
        let host = Key { name: "host".into(), span: span.cloned() };
        let type_key = Key { name: "host_metrics".into(), span: span.cloned() };
        let mut settings = Vec::new();
        if let Some(interval) = file.interval {
            settings.push(("interval".into(), Node::string(&interval.to_string())));
        }
        if let Some(collect) = file.collect {
            settings.push(("collect".into(), list_of(collect.iter().map(|c| (c.as_str(), None)))));
        }
        let settings = Node { value: Value::Map(settings), span: span.cloned() };
        self.add("facts", &host, Role::Source, &type_key, settings, None);
        self.sinks("facts", "export", file.export, "facts.host", span);
    }

    /// The config directory is a source of desired states, the executor is their sink; the record
    /// of what it did comes back through a source of its own.
    pub(super) fn apply(&mut self, file: ApplyFile, span: Option<&Span>) {
        let key = |name: &str| Key { name: name.into(), span: span.cloned() };
        let empty = || Node { value: Value::Map(Vec::new()), span: span.cloned() };
        let inputs = |name: &str| Some(list_of([(name, span.cloned())]));
        self.add("apply", &key("config"), Role::Source, &key("config_dir"), empty(), None);
        let from = inputs("apply.config");
        self.add("apply", &key("secrets"), Role::Transform, &key("secrets"), empty(), from);
        let mut settings = empty();
        if let (Some(Period(interval)), Value::Map(entries)) = (file.interval, &mut settings.value)
        {
            entries.push(("interval".into(), Node::string(&Period(interval).to_string())));
        }
        let from = inputs("apply.secrets");
        self.add("apply", &key("host"), Role::Sink, &key("apply"), settings, from);
        if !file.audit.is_empty() {
            self.add("apply", &key("audit"), Role::Source, &key("audit"), empty(), None);
            self.sinks("apply.audit", "audit", file.audit, "apply.audit", span);
        }
    }

    /// A list of `type: {settings}` as sinks that read from `from`. They are named after their
    /// type, and numbered from the second of a type on.
    fn sinks(
        &mut self,
        prefix: &str,
        what: &str,
        list: Vec<Node>,
        from: &str,
        span: Option<&Span>,
    ) {
        let mut seen: Vec<Arc<str>> = Vec::new();
        for node in list {
            let place = Key { name: what.into(), span: node.span.clone().or(span.cloned()) };
            let Some((type_key, settings)) = self.typed(&place, node) else { continue };
            let before = seen.iter().filter(|name| **name == type_key.name).count();
            let name = match before {
                0 => type_key.name.to_string(),
                n => format!("{}{}", type_key.name, n + 1),
            };
            seen.push(Arc::clone(&type_key.name));
            let key = Key { name: name.into(), span: type_key.span.clone() };
            let inputs = list_of([(from, type_key.span.clone())]);
            self.add(prefix, &key, Role::Sink, &type_key, settings, Some(inputs));
        }
    }

    /// The one entry of `{type: {settings}}`.
    fn typed(&mut self, key: &Key, node: Node) -> Option<(Key, Node)> {
        let span = node.span.clone().or_else(|| key.span.clone());
        match node.value {
            Value::Map(mut entries) if entries.len() == 1 => {
                entries.pop().map(|(key, mut node)| {
                    if node.value == Value::Null {
                        node.value = Value::Map(Vec::new());
                    }
                    (key, node)
                })
            }
            Value::String(name) => Some((Key { name, span }, Node::new(Value::Map(Vec::new())))),
            other => {
                let found = match &other {
                    Value::Map(entries) => format!("a mapping with {} entries", entries.len()),
                    _ => Node::new(other).kind().to_owned(),
                };
                let message = format!("`{}`: found {found}, expected one sink", key.name);
                self.complaints.push(
                    Diagnostic::new(message, span).hint("write it as `file: {path: /var/log/out}`"),
                );
                None
            }
        }
    }

    fn add(
        &mut self,
        prefix: &str,
        key: &Key,
        role: Role,
        type_key: &Key,
        mut settings: Node,
        inputs: Option<Node>,
    ) {
        let type_node =
            Node { value: Value::String(Arc::clone(&type_key.name)), span: type_key.span.clone() };
        if let Value::Map(entries) = &mut settings.value {
            entries.insert(0, ("type".into(), type_node));
            entries.extend(inputs.map(|inputs| ("inputs".into(), inputs)));
        } else {
            let message =
                format!("`{}`: found {}, expected its settings", key.name, settings.kind());
            let place = settings.span.clone().or_else(|| key.span.clone());
            self.complaints.push(Diagnostic::new(message, place));
            return;
        }
        if settings.span.is_none() {
            settings.span.clone_from(&key.span);
        }
        let name = format!("{prefix}.{}", key.name).into();
        self.components.push(Written { name, role, node: settings, span: key.span.clone() });
    }

    fn entries(&mut self, node: Option<Node>, what: &str) -> Vec<(Key, Node)> {
        let Some(node) = node else { return Vec::new() };
        let kind = node.kind();
        match node.value {
            Value::Map(entries) => entries,
            Value::Null => Vec::new(),
            _ => {
                let message = format!("`{what}`: found {kind}, expected names with their settings");
                self.complaints.push(Diagnostic::new(message, node.span));
                Vec::new()
            }
        }
    }
}

/// What a log source may say about its lines, in the order in which it happens to them.
const STEPS: [&str; 6] = ["parse", "keep", "drop", "rename", "set", "remove"];

/// The settings of the transform that a step stands for. `parse: nginx_combined` is short for
/// `parse: {format: nginx_combined}`, `set: {a: 1}` for `set: {fields: {a: 1}}`.
fn step_settings(step: &str, key: Key, value: Node) -> Node {
    let span = value.span.clone();
    if step == "parse" && matches!(value.value, Value::Map(_)) {
        return value;
    }
    let name = match step {
        "parse" => "format",
        "keep" | "drop" => step,
        _ => "fields",
    };
    Node { value: Value::Map(vec![(Key { name: name.into(), ..key }, value)]), span }
}

fn list_of<'a>(items: impl IntoIterator<Item = (&'a str, Option<Span>)>) -> Node {
    let items =
        items.into_iter().map(|(text, span)| Node { value: Value::String(text.into()), span });
    Node::new(Value::List(items.collect()))
}
