//! The names by which people speak of the places in a graph.

use crate::event::fault::nearest;
use crate::topology::graph::{Component, Graph, Port};
use std::sync::Arc;

/// What the components of `logs` files have before their names.
const LOGS: &str = "logs.";

/// Finds places of a graph by name.
pub struct Names<'g>(&'g Graph);

/// Why a name means nothing here.
#[derive(Debug, PartialEq, Eq)]
pub struct Unknown {
    /// What is wrong.
    pub message: String,
    /// What might be meant.
    pub hint: Option<String>,
}

impl<'g> Names<'g> {
    /// The names of this graph.
    pub fn of(graph: &'g Graph) -> Self {
        Self(graph)
    }

    /// The component that records can go into.
    ///
    /// # Errors
    /// Where there is none of that name.
    pub fn input(&self, text: &str) -> Result<Arc<str>, Unknown> {
        let name = self.component(text).ok_or_else(|| self.unknown(text))?;
        if let Component::Sink(_) = self.0.nodes[&name].component {
            let message = format!("`{text}` is a sink, and nothing goes on from there");
            let hint = Some("name a source or a transform".to_owned());
            return Err(Unknown { message, hint });
        }
        Ok(name)
    }

    /// The output that records come out of, or the sink that gets them. The short name of a
    /// `logs` file's source stands for the end of what happens to its lines, as it does in an
    /// output's `inputs`.
    ///
    /// # Errors
    /// Where there is none of that name.
    pub fn output(&self, text: &str) -> Result<Port, Unknown> {
        if let Some(node) = self.component(text) {
            let node = if *node == *text { node } else { self.end_of_chain(node) };
            let (default, named) = self.0.nodes[&node].outputs();
            if !default && !named.is_empty() {
                let message = format!("`{text}` has only named outputs");
                return Err(Unknown { message, hint: Some(listed(&node, &named)) });
            }
            return Ok(Port { node, output: "".into() });
        }
        let parts = text.rsplit_once('.');
        let found = parts.and_then(|(name, output)| Some((self.component(name)?, output)));
        let Some((node, output)) = found else { return Err(self.unknown(text)) };
        let (_, named) = self.0.nodes[&node].outputs();
        if named.iter().any(|known| **known == *output) {
            return Ok(Port { node, output: output.into() });
        }
        let message = format!("`{node}` has no output `{output}`");
        let hint = if named.is_empty() { None } else { Some(listed(&node, &named)) };
        Err(Unknown { message, hint })
    }

    /// The sources whose records can come to a component; itself, if it is one.
    pub fn sources_above(&self, name: &str) -> Vec<Arc<str>> {
        let above = self.above(name);
        let is_source = |name: &Arc<str>| {
            self.0.nodes.get(name).is_some_and(|it| matches!(it.component, Component::Source(_)))
        };
        above.into_iter().filter(is_source).collect()
    }

    /// The components that lie before one, and it, in the order of the graph.
    pub fn above(&self, name: &str) -> Vec<Arc<str>> {
        let mut found: Vec<&str> = vec![name];
        let mut at = 0;
        while let Some(name) = found.get(at) {
            at += 1;
            let Some(node) = self.0.nodes.get(*name) else { continue };
            for (input, _) in &node.inputs {
                let name = match self.0.nodes.get_key_value(input) {
                    Some((name, _)) => Some(&**name),
                    None => input.rsplit_once('.').map(|(name, _)| name),
                };
                found.extend(name.filter(|name| !found.contains(name)));
            }
        }
        let all = self.0.nodes.keys();
        all.filter(|name| found.contains(&&***name)).cloned().collect()
    }

    fn component(&self, text: &str) -> Option<Arc<str>> {
        let long = format!("{LOGS}{text}");
        let found = [text, &long].into_iter().find_map(|name| self.0.nodes.get_key_value(name));
        found.map(|(name, _)| Arc::clone(name))
    }

    fn end_of_chain(&self, source: Arc<str>) -> Arc<str> {
        let step = |name: &&Arc<str>| {
            let rest = name.strip_prefix(&*source).and_then(|rest| rest.strip_prefix('.'));
            rest.is_some_and(|step| !step.contains('.'))
        };
        let is_source = matches!(self.0.nodes[&source].component, Component::Source(_));
        let last = self.0.nodes.keys().rfind(step).filter(|_| is_source);
        last.cloned().unwrap_or(source)
    }

    fn unknown(&self, text: &str) -> Unknown {
        let names = self.0.nodes.keys().flat_map(|name| [Some(&**name), name.strip_prefix(LOGS)]);
        let names: Vec<&str> = names.flatten().collect();
        let hint = match nearest(text, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`driftless graph` shows all names".to_owned(),
        };
        let message = format!("there is no component `{text}` in the config");
        Unknown { message, hint: Some(hint) }
    }
}

fn listed(node: &str, outputs: &[Arc<str>]) -> String {
    let names: Vec<String> = outputs.iter().map(|output| format!("`{node}.{output}`")).collect();
    format!("its outputs are {}", names.join(", "))
}
