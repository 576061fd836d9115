//! Units: what runs as one task. A source is one, a sink is one, and so is a chain of transforms
//! in which each has the next as its only reader: no channel lies between them.

use super::context::SinkNames;
use super::graph::{Component, Graph, Port, Wiring};
use crate::event::ack::SinkSet;
use indexmap::IndexMap;
use std::collections::HashMap;
use std::sync::Arc;

/// One task of the running topology.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    /// The components in it, in order: several only where they are transforms.
    pub(super) members: Vec<Arc<str>>,
    /// Where its edges begin.
    pub(super) inputs: Vec<Port>,
    /// The outputs of its last member that somebody reads.
    pub(super) outputs: Vec<Arc<str>>,
}

/// The units of a graph, and what lies behind each of their outputs.
#[derive(Clone, Debug)]
pub(super) struct Units {
    /// By the name of the first member, in an order in which readers come after what they read.
    pub(super) units: IndexMap<Arc<str>, Unit>,
    readers: HashMap<Port, Vec<Arc<str>>>,
    reach: HashMap<Arc<str>, SinkSet>,
}

impl Units {
    pub(super) fn of(graph: &Graph, wiring: &Wiring, sinks: &SinkNames) -> Self {
        let mut direct: HashMap<&Port, Vec<&Arc<str>>> = HashMap::new();
        for (reader, ports) in &wiring.inputs {
            for port in ports {
                direct.entry(port).or_default().push(reader);
            }
        }
        let mut units: IndexMap<Arc<str>, Unit> = IndexMap::new();
        let mut unit_of: HashMap<Arc<str>, Arc<str>> = HashMap::new();
        for name in &wiring.order {
            let inputs = &wiring.inputs[name];
            let is_transform = matches!(graph.nodes[name].component, Component::Transform(_));
            if let (true, [port]) = (is_transform, inputs.as_slice())
                && let Component::Transform(_) = graph.nodes[&port.node].component
                && port.output.is_empty()
                && direct
                    .iter()
                    .filter(|(from, _)| from.node == port.node)
                    .all(|(from, readers)| *from == port && readers.len() == 1)
                // A buffer has to have an edge to be on.
                && graph.nodes[name].buffer.settings.is_default()
                && let Some(unit) = units.get_mut(&unit_of[&port.node])
            {
                unit.members.push(Arc::clone(name));
                let first = Arc::clone(&unit.members[0]);
                unit_of.insert(Arc::clone(name), first);
                continue;
            }
            unit_of.insert(Arc::clone(name), Arc::clone(name));
            let unit = Unit {
                members: vec![Arc::clone(name)],
                inputs: inputs.clone(),
                outputs: Vec::new(),
            };
            units.insert(Arc::clone(name), unit);
        }
        let mut readers: HashMap<Port, Vec<Arc<str>>> = HashMap::new();
        for (first, unit) in &units {
            for port in &unit.inputs {
                readers.entry(port.clone()).or_default().push(Arc::clone(first));
            }
        }
        for unit in units.values_mut() {
            let last = unit.members.last();
            unit.outputs = readers
                .keys()
                .filter(|port| Some(&port.node) == last)
                .map(|port| Arc::clone(&port.output))
                .collect();
            unit.outputs.sort();
        }
        let mut all = Self { units, readers, reach: HashMap::new() };
        all.measure_reach(graph, sinks);
        all
    }

    /// The units that read from this output.
    pub(super) fn readers(&self, port: &Port) -> &[Arc<str>] {
        self.readers.get(port).map_or(&[], Vec::as_slice)
    }

    /// The sinks that a batch given to this unit can reach.
    pub(super) fn reach(&self, unit: &Arc<str>) -> SinkSet {
        self.reach.get(unit).copied().unwrap_or_default()
    }

    /// The ports that this unit gives on.
    pub(super) fn ports<'u>(&self, unit: &'u Unit) -> impl Iterator<Item = Port> + use<'u> {
        let last = unit.members.last();
        last.into_iter().flat_map(|node| {
            unit.outputs
                .iter()
                .map(|output| Port { node: Arc::clone(node), output: Arc::clone(output) })
        })
    }

    fn measure_reach(&mut self, graph: &Graph, sinks: &SinkNames) {
        // Readers come later in the order, so walking backwards finds theirs known already.
        for (first, unit) in self.units.iter().rev() {
            let reach = match graph.nodes[first].component {
                Component::Sink(_) => sinks.intern(first).map_or(SinkSet::NONE, SinkSet::one),
                Component::Source(_) | Component::Transform(_) => self
                    .ports(unit)
                    .flat_map(|port| self.readers(&port).to_vec())
                    .fold(SinkSet::NONE, |set, reader| set.union(self.reach(&reader))),
            };
            self.reach.insert(Arc::clone(first), reach);
        }
    }
}
