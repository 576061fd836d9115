//! The ways from sources to sinks, and what on them lets records come twice.

use crate::event::Kinds;
use crate::event::fault::Diagnostic;
use crate::topology::graph::{Component, DEAD_LETTER, Graph, Wiring};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The ways from one source to one sink that delivers once where that is possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The sink.
    pub sink: Arc<str>,
    /// The source.
    pub source: Arc<str>,
    /// Why records may come twice all the same.
    pub obstacle: Option<Obstacle>,
}

/// Why records may come twice after a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The source cannot tell its records again under the same numbers.
    Source,
    /// This transform remembers something, and may make other records of the same lines.
    Remembers(Arc<str>),
    /// The buffer on disk in front of this component tells them again by itself.
    Buffer(Arc<str>),
    /// More than one way leads there.
    Ways,
}

/// All ways to sinks that deliver once where that is possible.
pub fn ways(graph: &Graph, wiring: &Wiring) -> Vec<Way> {
    let mut all = Vec::new();
    for (sink, node) in &graph.nodes {
        let Component::Sink(config) = &node.component else { continue };
        if !config.delivers_once() {
            continue;
        }
        let mut found = Vec::new();
        let mut passed = Vec::new();
        Walk { graph, wiring, found: &mut found }.up(sink, &mut passed);
        for (source, obstacle) in found {
            all.push(Way { sink: Arc::clone(sink), source, obstacle });
        }
    }
    all
}

/// For each sink the sources of which each record comes to it once and can be told again.
pub(in crate::topology) fn clear_ways(
    graph: &Graph,
    wiring: &Wiring,
) -> HashMap<Arc<str>, HashSet<Arc<str>>> {
    let mut clear: HashMap<Arc<str>, HashSet<Arc<str>>> = HashMap::new();
    for way in ways(graph, wiring).into_iter().filter(|way| way.obstacle.is_none()) {
        clear.entry(way.sink).or_default().insert(way.source);
    }
    clear
}

struct Walk<'g> {
    graph: &'g Graph,
    wiring: &'g Wiring,
    found: &'g mut Vec<(Arc<str>, Option<Obstacle>)>,
}

impl Walk<'_> {
    /// Follows all inputs of `name` up to the sources; `passed` are the components below.
    fn up(&mut self, name: &Arc<str>, passed: &mut Vec<Arc<str>>) {
        let Some(node) = self.graph.nodes.get(name) else { return };
        if let Component::Source(config) = &node.component {
            // Metrics are a picture of the moment, and counted by nobody.
            if !config.gives().contains(Kinds::LOGS) {
                return;
            }
            let obstacle =
                if config.reads_again() { self.obstacle(passed) } else { Some(Obstacle::Source) };
            match self.found.iter_mut().find(|(source, _)| source == name) {
                Some((_, known)) => *known = Some(known.take().unwrap_or(Obstacle::Ways)),
                None => self.found.push((Arc::clone(name), obstacle)),
            }
            return;
        }
        passed.push(Arc::clone(name));
        for port in self.wiring.inputs.get(name).into_iter().flatten() {
            // Dead letters have no place in any file.
            if port.output.as_ref() != DEAD_LETTER || !self.is_sink(&port.node) {
                self.up(&port.node, passed);
            }
        }
        passed.pop();
    }

    fn is_sink(&self, name: &str) -> bool {
        let node = self.graph.nodes.get(name);
        node.is_some_and(|node| matches!(node.component, Component::Sink(_)))
    }

    /// The first thing on a way that stands against it.
    fn obstacle(&self, passed: &[Arc<str>]) -> Option<Obstacle> {
        passed.iter().rev().find_map(|name| {
            let node = self.graph.nodes.get(name)?;
            if node.buffer.settings.is_disk() {
                return Some(Obstacle::Buffer(Arc::clone(name)));
            }
            match &node.component {
                Component::Transform(config) if config.remembers() => {
                    Some(Obstacle::Remembers(Arc::clone(name)))
                }
                _ => None,
            }
        })
    }
}

impl Way {
    /// What to tell a person about it, if anything.
    pub fn note(&self, graph: &Graph) -> Option<Diagnostic> {
        let Self { sink, source, .. } = self;
        let (at, why) = match self.obstacle.as_ref()? {
            Obstacle::Source => {
                let kind = graph.nodes.get(source).map_or("", |node| &node.type_name);
                (source, format!("a source of type `{kind}` cannot give the same records again"))
            }
            Obstacle::Remembers(name) => (name, format!("`{name}` remembers other records")),
            Obstacle::Buffer(name) => {
                (name, format!("the buffer of `{name}` on disk keeps marks of its own"))
            }
            Obstacle::Ways => (sink, "more than one way leads there".to_owned()),
        };
        let message = format!(
            "after a crash `{sink}` may not have each record of `{source}` exactly once: {why}"
        );
        let span = |name: &Arc<str>| graph.nodes.get(name).and_then(|node| node.span.clone());
        let note = Diagnostic::new(message, span(sink));
        Some(if at == sink {
            note
        } else {
            note.related(span(at), format!("`{at}` is defined here"))
        })
    }
}
