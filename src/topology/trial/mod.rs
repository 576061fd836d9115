//! A trial: the transforms of a graph, run by hand. No source reads and no sink sends; time
//! passes when it is told to. For whoever wants to see what a pipeline does to given records.

mod names;

pub use names::{Names, Unknown};

use super::component::{BuildContext, Fault, Outputs, Transform};
use super::context::Environment;
use super::graph::{Component, Graph, Port};
use super::rewire::place;
use crate::event::fault::Diagnostic;
use crate::event::{Batch, Kinds};
use indexmap::IndexMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The running trial.
pub struct Trial {
    nodes: IndexMap<Arc<str>, Stage>,
    /// The transforms, each after what it reads from.
    order: Vec<Arc<str>>,
    readers: HashMap<Port, Vec<Arc<str>>>,
    now: Duration,
    steps: Vec<Step>,
}

/// A component in a trial.
enum Stage {
    Source,
    Transform { transform: Box<dyn Transform>, takes: Kinds, batches: u64 },
    Sink { takes: Kinds },
}

/// Why a component did something.
#[derive(Clone, Debug)]
pub enum Cause {
    /// It was given this.
    Batch(Batch),
    /// Time has passed.
    Time,
    /// Nothing more comes.
    End,
}

/// One thing that one component did.
#[derive(Clone, Debug)]
pub struct Step {
    /// The component.
    pub node: Arc<str>,
    /// Why.
    pub cause: Cause,
    /// The output that gave it what it was given; `None` where it came from outside.
    pub from: Option<Port>,
    /// What it gave on, by the name of the output. A source gives on what it is given; a sink
    /// gives nothing.
    pub emitted: Vec<(Arc<str>, Batch)>,
    /// Records that it had trouble with, and passed on all the same.
    pub errors: u64,
    /// Records that it gave up, by reason.
    pub dropped: Vec<(&'static str, u64)>,
}

impl Trial {
    /// Builds the transforms of a graph.
    ///
    /// # Errors
    /// Where the graph does not hold together, or a transform cannot be built.
    pub fn new(graph: &Graph, env: &Arc<Environment>) -> Result<Self, Vec<Diagnostic>> {
        let wiring = graph.wire()?;
        let mut complaints = Vec::new();
        let mut nodes = IndexMap::new();
        for (name, node) in &graph.nodes {
            let stage = match &node.component {
                Component::Source(_) => Stage::Source,
                Component::Sink(sink) => Stage::Sink { takes: sink.takes() },
                Component::Transform(config) => {
                    let build = BuildContext { name: Arc::clone(name), env: Arc::clone(env) };
                    match config.build(&build) {
                        Ok(transform) => {
                            Stage::Transform { transform, takes: config.takes(), batches: 0 }
                        }
                        Err(fault) => {
                            let message = format!("`{name}`: {fault}");
                            complaints.push(Diagnostic::new(message, place(node, &fault.message)));
                            continue;
                        }
                    }
                }
            };
            nodes.insert(Arc::clone(name), stage);
        }
        if !complaints.is_empty() {
            return Err(complaints);
        }
        let mut readers: HashMap<Port, Vec<Arc<str>>> = HashMap::new();
        for (reader, ports) in &wiring.inputs {
            for port in ports {
                readers.entry(port.clone()).or_default().push(Arc::clone(reader));
            }
        }
        let is_transform =
            |name: &Arc<str>| matches!(nodes.get(name), Some(Stage::Transform { .. }));
        let order = wiring.order.into_iter().filter(is_transform).collect();
        Ok(Self { nodes, order, readers, now: Duration::ZERO, steps: Vec::new() })
    }

    /// Everything that was done so far, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// How much time has passed.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Whether what a transform does depends on other records too.
    pub fn remembers(&mut self, name: &str) -> bool {
        match self.nodes.get_mut(name) {
            Some(Stage::Transform { transform, .. }) => transform.memory().is_some(),
            _ => false,
        }
    }

    /// Gives a component a batch: a source as if it had read it, others as if it had come to them.
    ///
    /// # Errors
    /// Where there is no such component, it takes no such batch, or a transform fails.
    pub fn give(&mut self, to: &str, batch: Batch) -> Result<(), Fault> {
        let Some((name, _)) = self.nodes.get_key_value(to) else {
            return Err(Fault::fatal(format!("there is no component `{to}`")));
        };
        self.take(&Arc::clone(name), batch, None)
    }

    /// Lets time pass. What falls due on the way is done at its time.
    ///
    /// # Errors
    /// Where a transform fails.
    pub fn wait(&mut self, time: Duration) -> Result<(), Fault> {
        let until = self.now.saturating_add(time);
        let mut before = None;
        while let Some(due) = self.due().filter(|due| *due <= until) {
            // One that stays due and does nothing would hold the time back for ever.
            let state = Some((due, self.steps.len()));
            if before == state {
                break;
            }
            before = state;
            self.now = self.now.max(due);
            self.ask_all(&Cause::Time)?;
        }
        self.now = until;
        Ok(())
    }

    /// Ends all input, so that everything that is held comes out.
    ///
    /// # Errors
    /// Where a transform fails.
    pub fn finish(&mut self) -> Result<(), Fault> {
        self.ask_all(&Cause::End)
    }

    fn due(&mut self) -> Option<Duration> {
        let due = self.nodes.values_mut().filter_map(|stage| match stage {
            Stage::Transform { transform, .. } => transform.memory()?.due(),
            Stage::Source | Stage::Sink { .. } => None,
        });
        due.min()
    }

    fn ask_all(&mut self, cause: &Cause) -> Result<(), Fault> {
        for at in 0..self.order.len() {
            let (name, now) = (Arc::clone(&self.order[at]), self.now);
            let Some(Stage::Transform { transform, batches, .. }) = self.nodes.get_mut(&name)
            else {
                continue;
            };
            let Some(memory) = transform.memory() else { continue };
            let mut out = Outputs::of(batches.saturating_sub(1));
            let asked = match cause {
                Cause::End => memory.flush(&mut out),
                Cause::Time | Cause::Batch(_) => memory.tick(now, &mut out),
            };
            asked.map_err(|fault| of(&name, &fault))?;
            self.give_on(&name, cause.clone(), None, out)?;
        }
        Ok(())
    }

    fn take(&mut self, name: &Arc<str>, batch: Batch, from: Option<&Port>) -> Result<(), Fault> {
        let kind = Kinds::from(batch.kind());
        let refuses = |takes: Kinds| {
            let message = format!("`{name}` takes {takes}, and these are {kind}");
            if takes.contains(kind) { Ok(()) } else { Err(Fault::fatal(message)) }
        };
        let mut out = Outputs::default();
        match self.nodes.get_mut(name) {
            None => return Ok(()),
            Some(Stage::Source) => out.emit(batch.clone()),
            Some(Stage::Sink { takes }) => refuses(*takes)?,
            Some(Stage::Transform { transform, takes, batches }) => {
                refuses(*takes)?;
                out = Outputs::of(*batches);
                *batches += 1;
                if let Some(memory) = transform.memory() {
                    memory.tick(self.now, &mut out).map_err(|fault| of(name, &fault))?;
                }
                transform.transform(batch.clone(), &mut out).map_err(|fault| of(name, &fault))?;
            }
        }
        self.give_on(name, Cause::Batch(batch), from, out)
    }

    /// Notes what a component did, and gives what it emitted to its readers.
    fn give_on(
        &mut self,
        node: &Arc<str>,
        cause: Cause,
        from: Option<&Port>,
        mut out: Outputs,
    ) -> Result<(), Fault> {
        let (emitted, errors) = out.take();
        let dropped = out.take_dropped();
        if emitted.is_empty()
            && errors == 0
            && dropped.is_empty()
            && !matches!(cause, Cause::Batch(_))
        {
            return Ok(());
        }
        let step = Step {
            node: Arc::clone(node),
            cause,
            from: from.cloned(),
            emitted: emitted.clone(),
            errors,
            dropped,
        };
        self.steps.push(step);
        for (output, batch) in emitted {
            let port = Port { node: Arc::clone(node), output };
            for reader in self.readers.get(&port).cloned().unwrap_or_default() {
                self.take(&reader, batch.clone(), Some(&port))?;
            }
        }
        Ok(())
    }
}

fn of(name: &str, fault: &Fault) -> Fault {
    Fault { message: format!("`{name}`: {fault}"), ..fault.clone() }
}
