//! The running topology: start, reload by difference, ordered drain.
//!
//! Starting is a reload from nothing. A unit whose members are the same as before keeps running;
//! the fan-outs above it are swapped while batches flow. A unit that changed starts once the one
//! it replaces has drained, so that order holds and a listener's port is free. Shutdown and the
//! natural end are the same path: sources return, their edges close, and everything below ends
//! because its input does.

use super::component::{BuildContext, Fault};
use super::context::{Environment, Stop, StopSender};
use super::demand::{Demand, DemandPort, Demands};
use super::edge::{EdgeLimits, EdgeSender, Input, WeakEdgeSender, edge};
use super::graph::{Component, Graph};
use super::output::{Branch, Fanout};
use super::runners::{Member, run_chain, run_sink, run_source};
use super::units::{Unit, Units};
use crate::event::fault::Diagnostic;
use crate::event::tree::Node;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

/// How long a replaced or removed unit may drain before it is cut off. What it had in hand is
/// then read again by its source.
const REPLACE_DEADLINE: Duration = Duration::from_secs(30);

/// Demands that may wait for one source.
const WAITING_DEMANDS: usize = 16;

/// A topology that runs.
pub struct Topology {
    env: Arc<Environment>,
    running: HashMap<Arc<str>, Running>,
    /// Units that a reload took out and that still drain.
    leaving: Vec<JoinHandle<()>>,
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

struct Running {
    /// The members' names and specs.
    identity: Vec<(Arc<str>, Arc<str>, Node)>,
    fanouts: Vec<(Arc<str>, Fanout)>,
    entry: Entry,
    task: JoinHandle<()>,
}

/// How batches get into a unit.
enum Entry {
    Source { stop: StopSender, demands: Option<mpsc::Sender<Demand>> },
    Chain(WeakEdgeSender),
    Sink(WeakEdgeSender, Arc<DemandPort>),
}

/// What a reload needs of each unit while it rewires: holding the senders keeps edges open.
struct Planned {
    running: Running,
    sender: Option<EdgeSender>,
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

    /// Goes over to `graph`, touching only what differs.
    ///
    /// # Errors
    /// As for [`Self::start`]; the running topology is then left as it is.
    pub fn reload(&mut self, graph: &Graph) -> Result<Changes, Vec<Diagnostic>> {
        let wiring = graph.wire()?;
        let units = Units::of(graph, &wiring, &self.env.sinks);
        self.try_build(graph)?;
        let mut changes = Changes::default();
        let mut planned: HashMap<Arc<str>, Planned> = HashMap::new();
        for (first, unit) in &units.units {
            let identity = identity(graph, unit);
            let old = self.running.remove(first);
            let plan = match old.map(|old| kept(old, &identity, unit)) {
                Some(Ok(kept)) => {
                    changes.kept += 1;
                    kept
                }
                other => {
                    let old = other.and_then(Result::err);
                    changes.started += 1;
                    changes.stopped += usize::from(old.is_some());
                    self.launch(graph, unit, identity, old.map(Running::leave))
                }
            };
            planned.insert(Arc::clone(first), plan);
        }
        self.leaving.retain(|task| !task.is_finished());
        for (_, old) in self.running.drain() {
            changes.stopped += 1;
            self.leaving.push(old.leave());
        }
        connect(&units, &planned);
        self.running = planned.into_iter().map(|(name, plan)| (name, plan.running)).collect();
        Ok(changes)
    }

    /// Waits until every source has come to its own end and everything has drained.
    pub async fn finished(&mut self) {
        for running in self.running.values_mut() {
            // A unit's task never fails: its runner catches panics and nobody aborts it yet.
            (&mut running.task).await.ok();
        }
    }

    /// Tells the sources to stop, waits until everything has drained, and cuts off what has not
    /// by the deadline. Returns whether everything drained.
    pub async fn stop(mut self, deadline: Duration) -> bool {
        let deadline = Instant::now() + deadline;
        let tasks: Vec<JoinHandle<()>> =
            self.running.drain().map(|(_, running)| running.leave()).chain(self.leaving).collect();
        let mut drained = true;
        for mut task in tasks {
            if timeout_at(deadline, &mut task).await.is_err() {
                drained = false;
                task.abort();
            }
        }
        drained
    }

    /// Builds every component once and lets it go, so that a config that cannot be built is
    /// refused before anything is touched.
    fn try_build(&self, graph: &Graph) -> Result<(), Vec<Diagnostic>> {
        let mut complaints = Vec::new();
        for (name, node) in &graph.nodes {
            let build = self.build_context(name);
            let built: Result<(), Fault> = match &node.component {
                Component::Source(config) => config.build(&build).map(drop),
                Component::Transform(config) => config.build(&build).map(drop),
                Component::Sink(config) => config.build(&build).map(drop),
            };
            if let Err(fault) = built {
                let message = format!("`{name}`: {}", fault.message);
                complaints.push(Diagnostic::new(message, node.span.clone()));
            }
        }
        if complaints.is_empty() { Ok(()) } else { Err(complaints) }
    }

    fn build_context(&self, name: &Arc<str>) -> BuildContext {
        BuildContext { name: Arc::clone(name), env: Arc::clone(&self.env) }
    }

    /// Starts a unit as soon as the one that it replaces has ended.
    fn launch(
        &self,
        graph: &Graph,
        unit: &Unit,
        identity: Vec<(Arc<str>, Arc<str>, Node)>,
        before: Option<JoinHandle<()>>,
    ) -> Planned {
        let first = &unit.members[0];
        let build = self.build_context(first);
        let fanouts: Vec<(Arc<str>, Fanout)> =
            unit.outputs.iter().map(|output| (Arc::clone(output), Fanout::default())).collect();
        let (entry, sender, task) = match &graph.nodes[first].component {
            Component::Source(config) => {
                let (stop_sender, stop) = Stop::new();
                let (demand_sender, demands) = mpsc::channel(WAITING_DEMANDS);
                let fanout = fanouts.first().map(|(_, fanout)| fanout.clone()).unwrap_or_default();
                let demand_sender = config.answers_demand().then_some(demand_sender);
                let run =
                    run_source(Arc::clone(config), build, fanout, stop, Demands::new(demands));
                let entry = Entry::Source { stop: stop_sender, demands: demand_sender };
                (entry, None, tokio::spawn(after(before, run)))
            }
            Component::Transform(_) => {
                let members = self.members(graph, unit);
                let (sender, input) = self.edge_to(first);
                let run = run_chain(members, input, fanouts.clone());
                let entry = Entry::Chain(sender.downgrade());
                (entry, Some(sender), tokio::spawn(after(before, run)))
            }
            Component::Sink(config) => {
                let (sender, input) = self.edge_to(first);
                // `wire` has counted the sinks, but only those of one graph.
                let id = self.env.sinks.intern(first).unwrap_or_default();
                let demand = Arc::new(DemandPort::new(id));
                let run = run_sink(Arc::clone(config), build, input, Arc::clone(&demand));
                let entry = Entry::Sink(sender.downgrade(), demand);
                (entry, Some(sender), tokio::spawn(after(before, run)))
            }
        };
        Planned { running: Running { identity, fanouts, entry, task }, sender }
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

    fn edge_to(&self, reader: &str) -> (EdgeSender, Input) {
        edge(EdgeLimits::default(), self.env.telemetry.edge(reader))
    }
}

/// What a unit is: names, types and configs of its members.
fn identity(graph: &Graph, unit: &Unit) -> Vec<(Arc<str>, Arc<str>, Node)> {
    let of = |name: &Arc<str>| {
        let node = &graph.nodes[name];
        (Arc::clone(name), Arc::clone(&node.type_name), node.spec.clone())
    };
    unit.members.iter().map(of).collect()
}

/// The old unit as part of the new topology, where it is the same and still runs.
fn kept(
    mut old: Running,
    identity: &[(Arc<str>, Arc<str>, Node)],
    unit: &Unit,
) -> Result<Planned, Running> {
    let sender = match &old.entry {
        Entry::Source { .. } => None,
        Entry::Chain(sender) | Entry::Sink(sender, _) => match sender.upgrade() {
            Some(sender) => Some(sender),
            None => return Err(old),
        },
    };
    let same_outputs = unit.outputs.iter().eq(old.fanouts.iter().map(|(output, _)| output));
    if old.identity != identity || !same_outputs || old.task.is_finished() {
        return Err(old);
    }
    old.identity = identity.to_vec();
    Ok(Planned { running: old, sender })
}

/// Points every fan-out at its readers, and every pulled sink at the sources above it.
fn connect(units: &Units, planned: &HashMap<Arc<str>, Planned>) {
    let mut above: HashMap<&Arc<str>, HashSet<&Arc<str>>> = HashMap::new();
    for (first, unit) in &units.units {
        let plan = &planned[first];
        let mut sources: HashSet<&Arc<str>> = above.remove(first).unwrap_or_default();
        if matches!(plan.running.entry, Entry::Source { .. }) {
            sources.insert(first);
        }
        for (port, (_, fanout)) in units.ports(unit).zip(&plan.running.fanouts) {
            let readers = units.readers(&port);
            let branch = |reader: &Arc<str>| {
                let sender = planned[reader].sender.clone()?;
                Some(Branch { sender, reach: units.reach(reader) })
            };
            fanout.set(readers.iter().filter_map(branch).collect());
            for reader in readers {
                let Some((reader, _)) = units.units.get_key_value(reader) else { continue };
                above.entry(reader).or_default().extend(&sources);
            }
        }
        if let Entry::Sink(_, demand) = &plan.running.entry {
            let demands = |source: &&Arc<str>| match &planned[*source].running.entry {
                Entry::Source { demands, .. } => demands.clone(),
                Entry::Chain(_) | Entry::Sink(..) => None,
            };
            demand.connect(sources.iter().filter_map(demands).collect());
        }
    }
}

impl Running {
    /// Tells the unit to end, and gives its task to whoever waits for that. Chains and sinks end
    /// because nobody writes to them any more.
    fn leave(self) -> JoinHandle<()> {
        if let Entry::Source { stop, .. } = self.entry {
            stop.stop();
        }
        self.task
    }
}

/// Runs `next` once `before` has ended, or has been cut off for taking too long.
async fn after(before: Option<JoinHandle<()>>, next: impl Future<Output = ()>) {
    if let Some(mut before) = before
        && timeout(REPLACE_DEADLINE, &mut before).await.is_err()
    {
        before.abort();
    }
    next.await;
}
