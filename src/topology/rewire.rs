//! The steps of a reload: numbers for the sinks, a trial build, and the ways between units.

use super::component::{BuildContext, Fault};
use super::context::{Environment, SinkNames};
use super::graph::{Component, Graph, GraphNode};
use super::output::Branch;
use super::run::{Entry, Planned};
use super::supervise::panic_text;
use super::units::Units;
use crate::event::ack::{SinkId, SinkSet};
use crate::event::fault::Diagnostic;
use crate::event::tree::{Node, Span, Value};
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Gives every sink of the graph its number. `in_use` tells which others still run or drain.
pub(super) fn live_sinks(
    graph: &Graph,
    names: &SinkNames,
    in_use: impl Fn(&str) -> bool,
) -> Result<SinkSet, Vec<Diagnostic>> {
    let mut live = SinkSet::NONE;
    for (name, _) in graph.nodes.iter().filter(|(_, node)| node.role() == "sink") {
        let number = names.intern(name).or_else(|| {
            names.reuse(|known| graph.nodes.contains_key(known) || in_use(known));
            names.intern(name)
        });
        let Some(number) = number else {
            let message = format!(
                "too many sinks: `{name}` would be one more than {} besides those that a reload \
                 has removed and that still drain",
                SinkId::LIMIT
            );
            return Err(vec![Diagnostic::new(message, graph.nodes[name].span.clone())]);
        };
        live = live.union(SinkSet::one(number));
    }
    Ok(live)
}

/// Builds components once and lets them go, so that a config that cannot be built is refused
/// before anything is touched.
pub(super) fn try_build<'n>(
    graph: &Graph,
    names: impl Iterator<Item = &'n Arc<str>>,
    env: &Arc<Environment>,
) -> Result<(), Vec<Diagnostic>> {
    let mut complaints = Vec::new();
    for name in names {
        let node = &graph.nodes[name];
        let build = BuildContext { name: Arc::clone(name), env: Arc::clone(env) };
        let build_it = || match &node.component {
            Component::Source(config) => config.build(&build).map(drop),
            Component::Transform(config) => config.build(&build).map(drop),
            Component::Sink(config) => config.build(&build).map(drop),
        };
        let built = catch_unwind(AssertUnwindSafe(build_it)).unwrap_or_else(|panic| {
            Err(Fault::fatal(format!("a bug in this component: {}", panic_text(&*panic))))
        });
        if let Err(fault) = built {
            let message = format!("`{name}`: {}", fault.message);
            complaints.push(Diagnostic::new(message, place(node, &fault.message)));
        }
    }
    if complaints.is_empty() { Ok(()) } else { Err(complaints) }
}

/// The setting that a complaint quotes, by its name or by its text; else the component.
pub(super) fn place(node: &GraphNode, message: &str) -> Option<Span> {
    let settings = node.spec.get("settings").unwrap_or(&node.spec);
    let quoted = || message.split('`').skip(1).step_by(2);
    let named = quoted().find_map(|word| settings.get(word));
    let setting = named.or_else(|| quoted().find_map(|text| holding(settings, text)));
    setting.and_then(|setting| setting.span.clone()).or_else(|| node.span.clone())
}

/// The scalar below `node` that holds `text`.
fn holding<'n>(node: &'n Node, text: &str) -> Option<&'n Node> {
    match &node.value {
        Value::List(items) => items.iter().find_map(|item| holding(item, text)),
        Value::Map(entries) => entries.iter().find_map(|(_, node)| holding(node, text)),
        _ => node.scalar_text().is_some_and(|it| it.contains(text)).then_some(node),
    }
}

/// Points every fan-out at its readers, and every pulled sink at the sources above it.
pub(super) fn connect(units: &Units, planned: &HashMap<Arc<str>, Planned>, live: SinkSet) {
    let mut above: HashMap<&Arc<str>, HashSet<&Arc<str>>> = HashMap::new();
    for (first, unit) in &units.units {
        let entry = &planned[first].running.entry;
        let mut sources: HashSet<&Arc<str>> = above.remove(first).unwrap_or_default();
        if let Entry::Source { .. } = entry {
            sources.insert(first);
        }
        for reader in units.ports(unit).flat_map(|port| units.readers(&port)) {
            let Some((reader, _)) = units.units.get_key_value(reader) else { continue };
            above.entry(reader).or_default().extend(&sources);
        }
        if let Entry::Sink(_, demand) = entry {
            let demands = |source: &&Arc<str>| match &planned[*source].running.entry {
                Entry::Source { demands, .. } => demands.clone(),
                Entry::Chain(_) | Entry::Sink(..) => None,
            };
            demand.connect(sources.iter().filter_map(demands).collect());
        }
    }
    // From below upwards: when a source begins to send to a new sink, all the way there is laid.
    for (first, unit) in units.units.iter().rev() {
        planned[first].running.reach.set(units.reach(first));
        for (port, (_, fanout)) in units.ports(unit).zip(&planned[first].running.fanouts) {
            let branch = |reader: &Arc<str>| {
                let sender = planned[reader].sender.clone()?;
                Some(Branch { sender, reach: units.reach(reader) })
            };
            fanout.set(units.readers(&port).iter().filter_map(branch).collect(), live);
        }
    }
}
