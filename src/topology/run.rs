//! The running topology: start, reload by difference, ordered drain.
//!
//! Starting is a reload from nothing. A unit whose members are the same as before keeps running;
//! the fan-outs above it are swapped while batches flow. A unit that changed starts once those
//! that it replaces have drained, so that order holds and a listener's port is free. Shutdown and
//! the natural end are the same path: sources return, their edges close, and everything below
//! ends because its input does.

use super::buffer::{self, Buffer, BufferSettings, Reach};
use super::component::BuildContext;
use super::context::{Environment, Stop, StopSender};
use super::demand::{Demand, DemandPort, Demands};
use super::edge::{EdgeSender, Input, WeakEdgeSender, edge};
use super::graph::{Component, Graph, Port};
use super::job::{Job, Leaving};
use super::once::{clear_ways, ways};
use super::output::Fanout;
use super::rewire::{connect, live_sinks, try_build};
use super::runners::{run_sink, run_source};
use super::units::{Unit, Units};
use crate::event::fault::Diagnostic;
use crate::event::tree::Node;
use crate::topology::chain::{Member, run_chain};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// How long a replaced or removed unit may drain before it is cut off. What it had in hand is
/// then read again by its source.
const REPLACE_DEADLINE: Duration = Duration::from_secs(30);

/// Demands that may wait for one source.
const WAITING_DEMANDS: usize = 16;

/// A topology that runs.
pub struct Topology {
    env: Arc<Environment>,
    running: HashMap<Arc<str>, Running>,
    /// Units that reloads took out and that still drain.
    leaving: Vec<Leaving>,
}

/// What a reload did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Units that went on untouched.
    pub kept: usize,
    /// Units that were started, new or changed.
    pub started: usize,
    /// Units that were stopped, removed or changed.
    pub stopped: usize,
}

/// A unit is not the one that the new graph asks for.
struct Differs;

/// The members' names, types, configs and buffers.
type Identity = Vec<(Arc<str>, Arc<str>, Node, BufferSettings)>;

pub(super) struct Running {
    identity: Identity,
    inputs: Vec<Port>,
    pub(super) fanouts: Vec<(Arc<str>, Fanout)>,
    pub(super) entry: Entry,
    /// The sinks behind it, for its buffer, and what stops that.
    pub(super) reach: Reach,
    buffer: Option<StopSender>,
    job: Job,
}

/// How batches get into a unit.
pub(super) enum Entry {
    Source { stop: StopSender, demands: Option<mpsc::Sender<Demand>> },
    Chain(WeakEdgeSender),
    Sink(WeakEdgeSender, Arc<DemandPort>),
}

/// What a reload needs of each unit while it rewires: holding the senders keeps edges open.
pub(super) struct Planned {
    pub(super) running: Running,
    pub(super) sender: Option<EdgeSender>,
}

impl Topology {
    /// Starts every component of the graph.
    ///
    /// # Errors
    /// What is wrong with the graph, or what a component says when it is built.
    pub fn start(graph: &Graph, env: Arc<Environment>) -> Result<Self, Vec<Diagnostic>> {
        let mut topology = Self { env, running: HashMap::new(), leaving: Vec::new() };
        topology.reload(graph)?;
        Ok(topology)
    }

    /// Builds every component of the graph once and lets it go: what [`Self::start`] would say.
    ///
    /// # Errors
    /// What is wrong with the graph, or what a component says when it is built.
    pub fn check(graph: &Graph, env: &Arc<Environment>) -> Result<(), Vec<Diagnostic>> {
        graph.wire()?;
        try_build(graph, graph.nodes.keys(), env)
    }

    /// What is worth knowing about a graph that is right.
    pub fn notes(graph: &Graph) -> Vec<Diagnostic> {
        let Ok(wiring) = graph.wire() else { return Vec::new() };
        ways(graph, &wiring).iter().filter_map(|way| way.note(graph)).collect()
    }

    /// Goes over to `graph`, touching only what differs.
    ///
    /// # Errors
    /// As for [`Self::start`]; the running topology is then left as it is.
    pub fn reload(&mut self, graph: &Graph) -> Result<Changes, Vec<Diagnostic>> {
        let wiring = graph.wire()?;
        self.forget_the_gone();
        let live = live_sinks(graph, &self.env.sinks, |name| self.has_member(name))?;
        let units = Units::of(graph, &wiring, &self.env.sinks);
        let changed = units.units.iter().filter(|(_, unit)| !self.is_running(graph, unit));
        let members = changed.flat_map(|(_, unit)| &unit.members);
        try_build(graph, members, &self.env)?;
        buffer::check(graph, &self.env)?;
        buffer::report(graph, &self.env);

        let mut changes = Changes::default();
        let mut planned: HashMap<Arc<str>, Planned> = HashMap::new();
        for (first, unit) in &units.units {
            let Some(mut running) = self.running.remove(first) else { continue };
            if let Ok(sender) = running.keep(&identity(graph, unit), unit) {
                changes.kept += 1;
                planned.insert(Arc::clone(first), Planned { running, sender });
            } else {
                self.running.insert(Arc::clone(first), running);
            }
        }
        let deadline = Instant::now() + REPLACE_DEADLINE;
        for (_, old) in self.running.drain() {
            changes.stopped += 1;
            let members = old.identity.iter().map(|(name, ..)| Arc::clone(name)).collect();
            self.leaving.push(Leaving::new(members, old.leave(), deadline));
        }
        // Nothing may flow before the ways are laid.
        let (ways_laid, gate) = watch::channel(());
        for (first, unit) in &units.units {
            if !planned.contains_key(first) {
                changes.started += 1;
                planned.insert(Arc::clone(first), self.launch(graph, unit, gate.clone()));
            }
        }
        connect(&units, &planned, live);
        self.env.deliveries.lead(clear_ways(graph, &wiring));
        drop(ways_laid);
        self.running = planned.into_iter().map(|(name, plan)| (name, plan.running)).collect();
        Ok(changes)
    }

    /// Waits until every source has come to its own end and everything has drained. May be
    /// given up and called again.
    pub async fn finished(&mut self) {
        for running in self.running.values() {
            running.job.ended().await;
        }
        for leaving in &self.leaving {
            leaving.gone.ended().await;
        }
    }

    /// Tells the sources to stop, waits until everything has drained, and cuts off what has not
    /// by the deadline. Returns whether everything drained.
    pub async fn stop(mut self, deadline: Duration) -> bool {
        let deadline = Instant::now() + deadline;
        let running = self.running.drain().map(|(_, running)| running.leave());
        let leaving = self.leaving.into_iter().map(|leaving| leaving.job);
        Job::all_ended_by(deadline, &running.chain(leaving).collect::<Vec<_>>()).await
    }

    /// Drops what has drained since the last reload, and the counters of what was removed.
    fn forget_the_gone(&mut self) {
        let (gone, leaving) =
            std::mem::take(&mut self.leaving).into_iter().partition(|old| old.gone.has_ended());
        self.leaving = leaving;
        let gone: Vec<Leaving> = gone;
        for name in gone.iter().flat_map(|old| &old.members) {
            if !self.has_member(name) {
                self.env.telemetry.forget(name);
            }
        }
    }

    /// Whether a component of this name runs or still drains.
    fn has_member(&self, name: &str) -> bool {
        let running = self.running.values().flat_map(|unit| &unit.identity);
        let leaving = self.leaving.iter().flat_map(|unit| &unit.members);
        running.map(|(member, ..)| member).chain(leaving).any(|member| **member == *name)
    }

    fn is_running(&self, graph: &Graph, unit: &Unit) -> bool {
        self.running.get(&unit.members[0]).is_some_and(|old| old.is(&identity(graph, unit), unit))
    }

    fn build_context(&self, name: &Arc<str>) -> BuildContext {
        BuildContext { name: Arc::clone(name), env: Arc::clone(&self.env) }
    }

    /// Starts a unit as soon as the gate opens and those before it that have a member of it, under
    /// the same name, are gone.
    fn launch(&self, graph: &Graph, unit: &Unit, mut gate: watch::Receiver<()>) -> Planned {
        let first = &unit.members[0];
        let before: Vec<Job> = self
            .leaving
            .iter()
            .filter(|old| old.members.iter().any(|name| unit.members.contains(name)))
            .map(|old| old.gone.clone())
            .collect();
        let start = async move {
            // Opening it is letting it go.
            gate.changed().await.ok();
            for old in before {
                old.ended().await;
            }
        };
        let build = self.build_context(first);
        let fanouts: Vec<(Arc<str>, Fanout)> =
            unit.outputs.iter().map(|output| (Arc::clone(output), Fanout::default())).collect();
        let reach = Reach::default();
        let settings = &graph.nodes[first].buffer.settings;
        let mut stop_buffer = None;
        // Puts the buffer that the config asks for between the edge and the component's task.
        let mut behind =
            |input: Input| match Buffer::before(first, settings, &self.env, &reach, input) {
                Ok((buffer, input, stop)) => {
                    stop_buffer = Some(stop);
                    (Some(buffer), input)
                }
                Err(input) => (None, input),
            };
        let (entry, sender, job) = match &graph.nodes[first].component {
            Component::Source(config) => {
                let (stop_sender, stop) = Stop::new();
                let (demand_sender, demands) = mpsc::channel(WAITING_DEMANDS);
                let fanout = fanouts.first().map(|(_, fanout)| fanout.clone()).unwrap_or_default();
                let demand_sender = config.answers_demand().then_some(demand_sender);
                let run =
                    run_source(Arc::clone(config), build, fanout, stop, Demands::new(demands));
                let entry = Entry::Source { stop: stop_sender, demands: demand_sender };
                (entry, None, Job::spawn(async move { (start.await, run.await).1 }))
            }
            Component::Transform(_) => {
                let (sender, input) = self.edge_to(first, settings);
                let (buffer, input) = behind(input);
                let run = run_chain(self.members(graph, unit), input, fanouts.clone());
                let entry = Entry::Chain(sender.downgrade());
                (entry, Some(sender), Job::spawn(buffered(start, buffer, run)))
            }
            Component::Sink(config) => {
                let (sender, input) = self.edge_to(first, settings);
                let (buffer, input) = behind(input);
                // `live_sinks` has given each sink its number.
                let id = self.env.sinks.intern(first).unwrap_or_default();
                let demand = Arc::new(DemandPort::new(id));
                let letters = fanouts.first().map(|(_, fanout)| fanout.clone());
                let input = input.at_sink();
                let run = run_sink(Arc::clone(config), build, input, Arc::clone(&demand), letters);
                let entry = Entry::Sink(sender.downgrade(), demand);
                (entry, Some(sender), Job::spawn(buffered(start, buffer, run)))
            }
        };
        let (identity, inputs) = (identity(graph, unit), unit.inputs.clone());
        let buffer = stop_buffer;
        Planned {
            running: Running { identity, inputs, fanouts, entry, reach, buffer, job },
            sender,
        }
    }

    fn members(&self, graph: &Graph, unit: &Unit) -> Vec<Member> {
        unit.members
            .iter()
            .filter_map(|name| match &graph.nodes[name].component {
                Component::Transform(config) => {
                    Some(Member { config: Arc::clone(config), build: self.build_context(name) })
                }
                Component::Source(_) | Component::Sink(_) => None,
            })
            .collect()
    }

    fn edge_to(&self, reader: &str, buffer: &BufferSettings) -> (EdgeSender, Input) {
        edge(buffer.edge_limits(), self.env.telemetry.edge(reader))
    }
}

/// Runs a component's task, with its buffer beside it, once it may start.
async fn buffered(
    start: impl Future<Output = ()>,
    buffer: Option<Buffer>,
    run: impl Future<Output = ()>,
) {
    start.await;
    match buffer {
        Some(buffer) => buffer.beside(run).await,
        None => run.await,
    }
}

fn identity(graph: &Graph, unit: &Unit) -> Identity {
    let of = |name: &Arc<str>| {
        let node = &graph.nodes[name];
        let (spec, buffer) = (node.spec.clone(), node.buffer.settings.clone());
        (Arc::clone(name), Arc::clone(&node.type_name), spec, buffer)
    };
    unit.members.iter().map(of).collect()
}

impl Running {
    /// Whether it is this unit, and can go on as it. Inputs may have come or gone, but not both:
    /// then the same records might come by another way and overtake those that are still on the
    /// old one, so the unit has to drain first.
    fn is(&self, identity: &Identity, unit: &Unit) -> bool {
        let old_in_new = self.inputs.iter().all(|port| unit.inputs.contains(port));
        let new_in_old = unit.inputs.iter().all(|port| self.inputs.contains(port));
        self.identity == *identity
            && unit.outputs.iter().eq(self.fanouts.iter().map(|(output, _)| output))
            && (old_in_new || new_in_old)
    }

    /// Makes it this unit of the new topology, where it is the same and can still be written to,
    /// and gives the way in, where it has one. A source that has come to its own end stays ended.
    fn keep(&mut self, identity: &Identity, unit: &Unit) -> Result<Option<EdgeSender>, Differs> {
        let sender = match &self.entry {
            Entry::Source { .. } => None,
            Entry::Chain(sender) | Entry::Sink(sender, _) => Some(sender.upgrade().ok_or(Differs)?),
        };
        if !self.is(identity, unit) {
            return Err(Differs);
        }
        self.inputs.clone_from(&unit.inputs);
        Ok(sender)
    }

    /// Tells the unit to end, and gives its task to whoever waits for that. Chains and sinks end
    /// because nobody writes to them any more.
    fn leave(self) -> Job {
        if let Entry::Source { stop, .. } = self.entry {
            stop.stop();
        }
        if let Some(stop) = self.buffer {
            stop.stop();
        }
        self.job
    }
}
