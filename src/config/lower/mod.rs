//! Lowering: `apply`, `facts` and `logs` files are short ways to write a topology, and become one
//! here. What comes out still knows the places in the file that it came from.

mod logs;

use super::files::{ApplyFile, FactsFile, TopologyFile};
use crate::event::fault::Diagnostic;
use crate::event::tree::{Key, Node, Span, Value};
pub(super) use logs::{ALIASES, STEPS, has_long_form, main_setting};
use std::fmt;
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

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Transform => "transform",
            Self::Sink => "sink",
        })
    }
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
    /// How the file that it comes from words its settings.
    pub form: Form,
}

/// The ways in which a component's settings can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As the component itself has them.
    Plain,
    /// As a source in a `logs` file: with steps, and with short names for some settings.
    LogSource,
    /// As a step of such a source in its short form: only the value of the main setting.
    ShortStep(&'static str),
}

/// Keys that may stand beside the one type of a short form, and mean the component.
const BESIDE: [&str; 3] = ["when", "enabled", "buffer"];

/// Keys that every component may have, whatever it is.
pub(super) const COMMON_KEYS: [&str; 2] = ["when", "enabled"];

/// Collects components and complaints.
#[derive(Debug)]
pub struct Lowering {
    /// The components so far.
    pub components: Vec<Written>,
    /// What is wrong so far.
    pub complaints: Vec<Diagnostic>,
    /// Whether every component that was written is among them.
    pub is_whole: bool,
}

impl Default for Lowering {
    fn default() -> Self {
        Self { components: Vec::new(), complaints: Vec::new(), is_whole: true }
    }
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
                let form = Form::Plain;
                self.components.push(Written { name, role, node, span: key.span, form });
            }
        }
    }

    /// The host is one source; every export is a sink.
    pub(super) fn facts(&mut self, file: FactsFile, span: Option<&Span>) {
        let host = Key { name: "host".into(), span: span.cloned() };
        let type_key = Key { name: "host_metrics".into(), span: span.cloned() };
        let settings = settings(
            [
                ("interval", file.interval),
                ("collect", file.collect),
                ("timeout", file.timeout),
                ("options", file.options),
            ],
            span,
        );
        self.add("facts", &host, Role::Source, &type_key, settings, None);
        self.sinks("facts", "export", file.export, "facts.host", span);
        let watched = Watched {
            checks: file.thresholds,
            rule_files: file.rule_files,
            labels: file.labels,
            alerts: file.alerts,
        };
        self.thresholds(watched, span);
    }

    /// Checks and rules are one transform behind the host, and every alert is a sink.
    fn thresholds(&mut self, watched: Watched, span: Option<&Span>) {
        let Watched { checks, rule_files, labels, alerts } = watched;
        let Some(first) = checks.as_ref().or(rule_files.as_ref()) else {
            for (what, is) in [("alerts", !alerts.is_empty()), ("labels", labels.is_some())] {
                if is {
                    let message =
                        format!("`{what}`: there are no `thresholds` or `rule_files` they are for");
                    self.complaints.push(Diagnostic::new(message, span.cloned()));
                }
            }
            return;
        };
        let place = first.span.clone();
        for (what, node) in [("thresholds", &checks), ("rule_files", &rule_files)] {
            match node.as_ref().map(|node| (&node.value, node)) {
                None => {}
                Some((Value::List(list), _)) if !list.is_empty() => {}
                Some((Value::List(_), node)) => {
                    let message = format!("`{what}` is empty, expected what to watch");
                    return self.left_out(message, node, span);
                }
                Some((_, node)) => {
                    let message = format!("`{what}`: found {}, expected a list", node.kind());
                    return self.left_out(message, node, span);
                }
            }
        }
        if alerts.is_empty() {
            let what = if checks.is_some() { "thresholds" } else { "rule_files" };
            let message = format!("`{what}`: no `alerts` say where the changes of states go");
            let hint = "add `alerts: [file: {path: /var/log/alerts.jsonl}]`";
            let place = place.clone().or(span.cloned());
            self.complaints.push(Diagnostic::new(message, place).hint(hint));
        }
        let type_key = Key { name: "threshold".into(), span: place.clone() };
        let key = Key { name: "thresholds".into(), span: place };
        let parts = [("checks", checks), ("rule_files", rule_files), ("labels", labels)];
        let from = Some(list_of([("facts.host", span.cloned())]));
        self.add("facts", &key, Role::Transform, &type_key, settings(parts, span), from);
        self.sinks("facts.alerts", "alerts", alerts, "facts.thresholds", span);
    }

    /// Complains of what stands in the place of a component.
    fn left_out(&mut self, message: String, found: &Node, span: Option<&Span>) {
        let place = found.span.clone().or(span.cloned());
        self.complaints.push(Diagnostic::new(message, place));
        self.is_whole = false;
    }

    /// The config directory is a source of desired states, the executor is their sink; the record
    /// of what it did comes back through a source of its own.
    pub(super) fn apply(&mut self, file: ApplyFile, span: Option<&Span>) {
        let key = |name: &str| Key { name: name.into(), span: span.cloned() };
        let inputs = |name: &str| Some(list_of([(name, span.cloned())]));
        let none = || settings([], span);
        self.add("apply", &key("config"), Role::Source, &key("config_dir"), none(), None);
        let from = inputs("apply.config");
        self.add("apply", &key("secrets"), Role::Transform, &key("secrets"), none(), from);
        let every = settings([("interval", file.interval), ("watch", file.watch)], span);
        let from = inputs("apply.secrets");
        self.add("apply", &key("host"), Role::Sink, &key("apply"), every, from);
        if !file.audit.is_empty() {
            self.add("apply", &key("audit"), Role::Source, &key("audit"), none(), None);
            // Sinks that write fields get those of the record; the line itself stays as it is on
            // the chain, so that a copy verifies too.
            let json = settings([("format", Some(Node::string("json")))], span);
            let from = inputs("apply.audit");
            self.add("apply.audit", &key("fields"), Role::Transform, &key("parse"), json, from);
            self.sinks("apply.audit", "audit", file.audit, "apply.audit.fields", span);
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
            let Some((mut type_key, mut settings)) = self.typed(&place, node) else { continue };
            if what == "alerts" && &*type_key.name == "http" {
                self.alerts_over_http(&mut type_key, &mut settings);
            }
            let before = seen.iter().filter(|name| **name == type_key.name).count();
            let name = match before {
                0 => type_key.name.to_string(),
                n => format!("{}{}", type_key.name, n + 1),
            };
            seen.push(Arc::clone(&type_key.name));
            let key = Key { name: name.into(), span: type_key.span.clone() };
            // It must hear again and again what stands.
            let standing = format!("{from}.standing");
            let is_told_all = what == "alerts" && &*type_key.name == "alertmanager";
            let from = if is_told_all { standing.as_str() } else { from };
            let inputs = list_of([(from, type_key.span.clone())]);
            self.add(prefix, &key, Role::Sink, &type_key, settings, Some(inputs));
        }
    }

    /// `http: {url: URL, format: alertmanager}` is the sink that speaks as that does.
    fn alerts_over_http(&mut self, type_key: &mut Key, settings: &mut Node) {
        let Some((key, format)) = settings.take("format") else { return };
        if format.as_str() == Some("alertmanager") {
            type_key.name = "alertmanager".into();
            return;
        }
        let found =
            format.as_str().map_or_else(|| format.kind().to_owned(), |it| format!("`{it}`"));
        let message = format!("`format`: found {found}, expected `alertmanager`");
        let place = format.span.or(key.span);
        let hint = "without `format`, each change of a state is sent as JSON";
        self.complaints.push(Diagnostic::new(message, place).hint(hint));
    }

    /// The one entry of `{type: {settings}}`; those of [`BESIDE`] may stand beside it.
    fn typed(&mut self, key: &Key, mut node: Node) -> Option<(Key, Node)> {
        let span = node.span.clone().or_else(|| key.span.clone());
        let beside: Vec<_> = BESIDE.iter().filter_map(|name| node.take(name)).collect();
        let (type_key, mut settings) = match node.value {
            Value::Map(mut entries) if entries.len() == 1 => entries.pop()?,
            Value::String(name) => (Key { name, span }, Node::new(Value::Null)),
            other => {
                self.complaints.push(not_one_sink(key, &other, span));
                self.is_whole = false;
                return None;
            }
        };
        if settings.value == Value::Null {
            settings.value = Value::Map(Vec::new());
        }
        if let Value::Map(entries) = &mut settings.value {
            entries.extend(beside);
        }
        Some((type_key, settings))
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
            // What reads from it is not to blame.
            settings.value = Value::Map(vec![("type".into(), type_node)]);
        }
        if settings.span.is_none() {
            settings.span.clone_from(&key.span);
        }
        let name = format!("{prefix}.{}", key.name).into();
        let (span, form) = (key.span.clone(), Form::Plain);
        self.components.push(Written { name, role, node: settings, span, form });
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
                self.is_whole = false;
                Vec::new()
            }
        }
    }
}

fn not_one_sink(key: &Key, found: &Value, span: Option<Span>) -> Diagnostic {
    let (found, hint) = match found {
        Value::Map(entries) => {
            let named = entries.iter().find(|(key, _)| &*key.name == "type");
            let named = named.and_then(|(_, node)| node.as_str()).unwrap_or("file");
            let hint = format!("its settings go below its type: `{named}: {{...}}`");
            (format!("a mapping with {} keys", entries.len()), hint)
        }
        other => {
            let hint = "write it as `file: {path: /var/log/out}`".to_owned();
            (Node::new(other.clone()).kind().to_owned(), hint)
        }
    };
    let message = format!("`{}`: found {found}, expected one type of sink", key.name);
    Diagnostic::new(message, span).hint(hint)
}

/// What `facts.yml` says of checks and rules.
struct Watched {
    checks: Option<Node>,
    rule_files: Option<Node>,
    labels: Option<Node>,
    alerts: Vec<Node>,
}

/// A mapping of those settings that are there.
fn settings<'a>(
    entries: impl IntoIterator<Item = (&'a str, Option<Node>)>,
    span: Option<&Span>,
) -> Node {
    let entries = entries.into_iter().filter_map(|(name, node)| Some((name.into(), node?)));
    Node { value: Value::Map(entries.collect()), span: span.cloned() }
}

fn list_of<'a>(items: impl IntoIterator<Item = (&'a str, Option<Span>)>) -> Node {
    let items =
        items.into_iter().map(|(text, span)| Node { value: Value::String(text.into()), span });
    Node::new(Value::List(items.collect()))
}
