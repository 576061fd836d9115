//! Components that are switched off on this host, by `enabled` or `when`.

use super::lower::Written;
use crate::event::fault::Diagnostic;
use crate::event::tree::Value;
use crate::expr::jinja::Engine;
use crate::expr::scope::Scope;
use crate::topology::graph::{DEAD_LETTER, Graph};
use std::collections::HashSet;
use std::sync::Arc;

/// Whether the component is switched on.
pub(super) fn is_on(
    written: &Written,
    engine: &Engine,
    scope: &Scope,
    complaints: &mut Vec<Diagnostic>,
) -> bool {
    let enabled = written.node.get("enabled").is_none_or(|enabled| match enabled.value {
        Value::Bool { value, .. } => value,
        _ => {
            let message = format!("`enabled`: found {}, expected true or false", enabled.kind());
            complaints.push(Diagnostic::new(message, enabled.span.clone()));
            true
        }
    });
    let when = written.node.get("when").is_none_or(|condition| {
        engine.holds(condition, scope).unwrap_or_else(|problem| {
            complaints.push(problem.diagnostic());
            true
        })
    });
    enabled && when
}

/// Removes the components `off`. A component that read from nothing else goes too, and so does one
/// that nothing else read from: a fleet's config names outputs that only some hosts have. A sink
/// that was to take the dead letters of one that stays must stay too.
pub(super) fn remove(
    graph: &mut Graph,
    mut off: HashSet<Arc<str>>,
    complaints: &mut Vec<Diagnostic>,
) {
    while !off.is_empty() {
        let read_before = all_read(graph);
        let letters_before = all_letters(graph);
        for name in &off {
            graph.nodes.shift_remove(name);
        }
        let mut next = HashSet::new();
        for (name, node) in &mut graph.nodes {
            let before = node.inputs.len();
            node.inputs.retain(|(input, _)| !off.iter().any(|name| leads_to(input, name)));
            if node.inputs.is_empty() && before > 0 {
                next.insert(Arc::clone(name));
            }
        }
        let read_now = all_read(graph);
        let names = graph.nodes.keys();
        let unread = names.filter(|name| {
            read_before.iter().any(|input| leads_to(input, name))
                && !read_now.iter().any(|input| leads_to(input, name))
        });
        next.extend(unread.cloned());
        let letters_now = all_letters(graph);
        let unused = letters_before.into_iter().filter(|name| !letters_now.contains(name));
        let has_no_inputs =
            |name: &Arc<str>| graph.nodes.get(name).is_some_and(|node| node.inputs.is_empty());
        next.extend(unused.filter(has_no_inputs));
        off = next;
    }
    for (name, node) in &graph.nodes {
        let Some(to) = node.dead_letter().filter(|to| !graph.nodes.contains_key(*to)) else {
            continue;
        };
        let span = node.spec.get(DEAD_LETTER).and_then(|written| written.span.clone());
        let message =
            format!("`{name}` gives its dead letters to `{to}`, which is switched off here");
        let complaint = Diagnostic::new(message, span.or_else(|| node.span.clone()));
        complaints.push(complaint.hint("let both have the same condition"));
    }
}

/// The sinks that take dead letters.
fn all_letters(graph: &Graph) -> HashSet<Arc<str>> {
    graph.nodes.values().filter_map(|node| node.dead_letter()).map(Arc::from).collect()
}

fn all_read(graph: &Graph) -> HashSet<Arc<str>> {
    graph.nodes.values().flat_map(|node| &node.inputs).map(|(input, _)| Arc::clone(input)).collect()
}

/// Whether an input is the component `name`, or an output of it.
fn leads_to(input: &str, name: &str) -> bool {
    input == name || input.rsplit_once('.').is_some_and(|(node, _)| node == name)
}
