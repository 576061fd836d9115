//! From all written components to one graph, with every complaint about any of them.

use super::component::Reader;
use super::lower::Written;
use super::switched_off;
use crate::event::fault::Diagnostic;
use crate::topology::graph::Graph;
use std::collections::HashSet;
use std::sync::Arc;

/// Reads the components and checks how they fit together. Those of `off` do not count here, so
/// that only their places in the graph are checked. Where the shape of the graph is not known
/// (`is_whole` is false: a file could not be read, say), the places are not checked at all.
pub(super) fn assemble(
    components: &[Written],
    off: HashSet<Arc<str>>,
    reader: &Reader<'_>,
    mut is_whole: bool,
    complaints: &mut Vec<Diagnostic>,
) -> Graph {
    let mut graph = Graph::default();
    for (at, written) in components.iter().enumerate() {
        if let Some(first) = components[..at].iter().find(|other| other.name == written.name) {
            complaints.push(defined_twice(written, first));
            is_whole = false;
            continue;
        }
        let read = reader.read(written, &outputs_read(&written.name, components));
        is_whole &= read.knows_inputs;
        if !off.contains(&written.name) {
            complaints.extend(read.complaints);
        }
        graph.nodes.insert(Arc::clone(&written.name), read.node);
    }
    if is_whole {
        match graph.wire() {
            Err(more) => complaints.extend(more),
            Ok(_) => switched_off::remove(&mut graph, off, complaints),
        }
    }
    graph
}

fn defined_twice(written: &Written, first: &Written) -> Diagnostic {
    let message = format!("`{}` is defined twice", written.name);
    Diagnostic::new(message, written.span.clone())
        .related(first.span.clone(), "the first definition")
        .hint("each component needs a name of its own")
}

/// The named outputs of `name` that other components read from.
fn outputs_read(name: &str, components: &[Written]) -> Vec<Arc<str>> {
    let inputs = components.iter().filter_map(|written| written.node.get("inputs"));
    let texts = inputs.flat_map(|inputs| match inputs.as_list() {
        Some(items) => items.iter().filter_map(|item| item.as_str()).collect(),
        None => inputs.as_str().into_iter().collect::<Vec<_>>(),
    });
    texts.filter_map(|text| Some(text.strip_prefix(name)?.strip_prefix('.')?.into())).collect()
}
