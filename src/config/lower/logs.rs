//! Lowering of `logs` files: a source becomes a source and a chain of what it says about its
//! lines, an output becomes a sink that reads from the ends of the chains.

use super::{Form, Lowering, Role, list_of};
use crate::config::files::LogsFile;
use crate::event::fault::{Diagnostic, nearest};
use crate::event::tree::{Key, Node, Value};

/// What a log source may say about its lines, in the order in which it happens to them.
pub(in crate::config) const STEPS: [&str; 10] =
    ["parse", "keep", "drop", "sample", "dedupe", "throttle", "rename", "set", "remove", "redact"];

/// The one setting that a step's short form stands for: `parse: json` is `parse: {format: json}`.
pub(in crate::config) fn main_setting(step: &str) -> &str {
    match step {
        "parse" => "format",
        "redact" => "patterns",
        "sample" => "rate",
        "dedupe" => "window",
        "throttle" => "limit",
        "keep" | "drop" => step,
        _ => "fields",
    }
}

/// Whether the step can also have all settings of its transform.
pub(in crate::config) fn has_long_form(step: &str) -> bool {
    matches!(step, "parse" | "redact" | "sample" | "dedupe" | "throttle")
}

/// Short names of a log source's settings, and the names that the component has for them.
pub(in crate::config) const ALIASES: [(&str, &str); 1] = [("paths", "include")];

/// A source and the end of its chain.
struct Chain {
    key: Key,
    end: String,
}

/// An output, read but not yet wired.
struct Output {
    key: Key,
    inputs: Option<Node>,
    type_key: Key,
    settings: Node,
}

impl Output {
    /// The output of the same kind of file that takes its dead letters, by its short name; from
    /// here on it is written by its whole one.
    fn dead_letter(&mut self, names: &[std::sync::Arc<str>]) -> Option<String> {
        let Value::Map(entries) = &mut self.settings.value else { return None };
        let (_, node) = entries.iter_mut().find(|(key, _)| &*key.name == "dead_letter")?;
        let name = node.as_str().filter(|name| names.iter().any(|it| **it == **name))?.to_owned();
        node.value = Value::String(format!("logs.{name}").into());
        Some(name)
    }
}

impl Lowering {
    /// Lowers the `logs` files. Comes after all other files, since outputs may read from their
    /// components too.
    pub(in crate::config) fn logs(&mut self, file: LogsFile) {
        let mut chains = Vec::new();
        for (key, node) in self.entries(file.sources, "sources") {
            let end = self.log_source(&key, node);
            chains.push(Chain { key, end });
        }
        let mut outputs = Vec::new();
        for (key, mut node) in self.entries(file.outputs, "outputs") {
            let inputs = node.take("inputs").map(|(_, inputs)| inputs);
            let Some((type_key, settings)) = self.typed(&key, node) else { continue };
            outputs.push(Output { key, inputs, type_key, settings });
        }
        let names: Vec<_> = outputs.iter().map(|output| output.key.name.clone()).collect();
        let letters: Vec<String> =
            outputs.iter_mut().filter_map(|output| output.dead_letter(&names)).collect();
        for Output { key, inputs, type_key, settings } in outputs {
            let inputs = match inputs {
                Some(inputs) => Some(self.log_inputs(&key, inputs, &chains)),
                // What takes the dead letters of others takes nothing else, unless it says so.
                None if letters.iter().any(|name| **name == *key.name) => None,
                None => Some(all(&chains)),
            };
            self.add("logs", &key, Role::Sink, &type_key, settings, inputs);
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
        for (short, name) in ALIASES {
            self.rename(&mut node, short, name);
        }
        let steps = STEPS.map(|step| (step, node.take(step)));
        // A source that is switched off takes its chain with it.
        self.add("logs", key, Role::Source, &type_key, node, None);
        if let Some(source) = self.components.last_mut() {
            source.form = Form::LogSource;
        }
        let mut end = format!("logs.{}", key.name);
        for (step, written) in steps {
            let Some((step_key, value)) = written else { continue };
            let is_short = !(has_long_form(step) && value.as_map().is_some());
            let settings = if is_short { spelled_out(step, &step_key, value) } else { value };
            let type_name = if matches!(step, "keep" | "drop") { "filter" } else { step };
            let type_key = Key { name: type_name.into(), span: step_key.span.clone() };
            let name = Key { name: format!("{}.{step}", key.name).into(), span: step_key.span };
            let inputs = list_of([(end.as_str(), key.span.clone())]);
            self.add("logs", &name, Role::Transform, &type_key, settings, Some(inputs));
            if let Some(last) = self.components.last_mut().filter(|_| is_short) {
                last.form = Form::ShortStep(step);
            }
            end = format!("logs.{}", name.name);
        }
        end
    }

    fn rename(&mut self, node: &mut Node, short: &str, name: &str) {
        let Some((mut key, value)) = node.take(short) else { return };
        if let Some((other, _)) =
            node.as_map().and_then(|entries| entries.iter().find(|(key, _)| &*key.name == name))
        {
            let message = format!("`{short}` and `{name}` are two words for the same thing");
            let complaint = Diagnostic::new(message, key.span)
                .related(other.span.clone(), format!("`{name}` is here"));
            return self.complaints.push(complaint.hint("keep one of them"));
        }
        key.name = name.into();
        if let Value::Map(entries) = &mut node.value {
            entries.push((key, value));
        }
    }

    /// An output's `inputs` name sources of the same kind of file, and the ends of their chains
    /// are meant; else components of other files by their whole names.
    fn log_inputs(&mut self, output: &Key, mut inputs: Node, chains: &[Chain]) -> Node {
        if let Value::String(_) = inputs.value {
            inputs = Node { span: inputs.span.clone(), value: Value::List(vec![inputs]) };
        }
        let Value::List(items) = &mut inputs.value else { return inputs };
        for item in items {
            let Some(text) = item.as_str() else { continue };
            if let Some(chain) = chains.iter().find(|chain| *chain.key.name == *text) {
                item.value = Value::String(chain.end.as_str().into());
            } else if !self.knows(text) {
                let names = chains.iter().map(|chain| &*chain.key.name);
                let near = nearest(text, names);
                let message =
                    format!("`{}` reads from `{text}`, and there is no such source", output.name);
                let mut complaint = Diagnostic::new(message, item.span.clone());
                complaint.hint = near.map(|near| format!("did you mean `{near}`?"));
                self.complaints.push(complaint);
                // The rest is checked as if it were right.
                let meant = chains.iter().find(|chain| Some(&*chain.key.name) == near);
                return meant
                    .map_or_else(|| all(chains), |chain| list_of([(chain.end.as_str(), None)]));
            }
        }
        inputs
    }

    /// Whether there is a component of this name, or one that has an output of this name.
    fn knows(&self, text: &str) -> bool {
        self.components.iter().any(|written| {
            let rest = text.strip_prefix(&*written.name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }
}

fn all(chains: &[Chain]) -> Node {
    list_of(chains.iter().map(|chain| (chain.end.as_str(), chain.key.span.clone())))
}

/// The settings of the transform that a step stands for: `parse: nginx_combined` is short for
/// `parse: {format: nginx_combined}`, `set: {a: 1}` for `set: {fields: {a: 1}}`.
fn spelled_out(step: &str, key: &Key, value: Node) -> Node {
    let span = value.span.clone();
    let key = Key { name: main_setting(step).into(), span: key.span.clone() };
    Node { value: Value::Map(vec![(key, value)]), span }
}
