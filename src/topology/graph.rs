//! The graph: which components there are and who reads from whom, checked before anything runs.

use super::buffer::{BufferSettings, WhenFull};
use super::component::{SinkConfig, SourceConfig, TransformConfig};
use crate::event::Kinds;
use crate::event::ack::SinkId;
use crate::event::fault::{Diagnostic, nearest};
use crate::event::tree::{Node, Span};
use indexmap::IndexMap;
use std::sync::Arc;

/// A component's config, by what it is.
#[derive(Clone, Debug)]
pub enum Component {
    /// Brings batches in.
    Source(Arc<dyn SourceConfig>),
    /// Looks at them on the way.
    Transform(Arc<dyn TransformConfig>),
    /// Takes them to a place.
    Sink(Arc<dyn SinkConfig>),
}

/// One component of the graph.
#[derive(Clone, Debug)]
pub struct GraphNode {
    /// Its config.
    pub component: Component,
    /// Its `type:`.
    pub type_name: Arc<str>,
    /// Names of the components it reads from, or of their outputs (`route.errors`).
    pub inputs: Vec<(Arc<str>, Option<Span>)>,
    /// What waits in front of it.
    pub buffer: NodeBuffer,
    /// Its config as written. Two nodes with equal specs are the same component, and a reload
    /// leaves it running.
    pub spec: Node,
    /// Where it is defined.
    pub span: Option<Span>,
}

/// A component's `buffer`.
#[derive(Clone, Debug, Default)]
pub struct NodeBuffer {
    /// What it says.
    pub settings: BufferSettings,
    /// Where it stands.
    pub span: Option<Span>,
}

/// The components by name, in the order written.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// The components.
    pub nodes: IndexMap<Arc<str>, GraphNode>,
}

/// Where an edge begins: a component and one of its outputs (empty for the default one).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Port {
    /// The component's name.
    pub node: Arc<str>,
    /// The output's name.
    pub output: Arc<str>,
}

/// The output of a sink for what it rejects for good.
pub const DEAD_LETTER: &str = "dead_letter";

/// A graph whose edges are resolved and whose kinds fit.
#[derive(Clone, Debug)]
pub struct Wiring {
    /// For each component, where its edges begin.
    pub inputs: IndexMap<Arc<str>, Vec<Port>>,
    /// The components in an order in which everything comes after its inputs.
    pub order: Vec<Arc<str>>,
}

impl GraphNode {
    /// Whether it has an output without a name, and the names of the others.
    pub(super) fn outputs(&self) -> (bool, Vec<Arc<str>>) {
        match &self.component {
            Component::Source(_) => (true, Vec::new()),
            Component::Transform(transform) => {
                (transform.has_default_output(), transform.outputs())
            }
            Component::Sink(_) => (false, Vec::new()),
        }
    }

    /// The sink that takes the records that this one rejects for good.
    pub fn dead_letter(&self) -> Option<&str> {
        match &self.component {
            Component::Sink(sink) => sink.dead_letter(),
            Component::Source(_) | Component::Transform(_) => None,
        }
    }

    /// `source`, `transform` or `sink`.
    pub fn role(&self) -> &'static str {
        match self.component {
            Component::Source(_) => "source",
            Component::Transform(_) => "transform",
            Component::Sink(_) => "sink",
        }
    }
}

impl Graph {
    /// Resolves every input and checks that the graph makes sense.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn wire(&self) -> Result<Wiring, Vec<Diagnostic>> {
        let mut complaints = Vec::new();
        let mut inputs: IndexMap<Arc<str>, Vec<Port>> = IndexMap::new();
        for (name, node) in &self.nodes {
            let ports = self.ports_of(name, node, &mut complaints);
            inputs.insert(Arc::clone(name), ports);
        }
        self.lead_dead_letters(&mut inputs, &mut complaints);
        self.check_ends(&inputs, &mut complaints);
        let order = self.order(&inputs, &mut complaints);
        if complaints.is_empty() {
            self.check_kinds(&inputs, &order, &mut complaints);
        }
        if complaints.is_empty() { Ok(Wiring { inputs, order }) } else { Err(complaints) }
    }

    fn ports_of(
        &self,
        name: &Arc<str>,
        node: &GraphNode,
        complaints: &mut Vec<Diagnostic>,
    ) -> Vec<Port> {
        let mut ports = Vec::new();
        for (text, span) in &node.inputs {
            match self.port(name, text) {
                Ok(port) if ports.contains(&port) => complaints.push(Diagnostic::new(
                    format!("`{name}` reads from `{text}` twice"),
                    span.clone(),
                )),
                Ok(port) => ports.push(port),
                Err((message, hint)) => {
                    let mut complaint = Diagnostic::new(message, span.clone());
                    complaint.hint = hint;
                    complaints.push(complaint);
                }
            }
        }
        let is_fed =
            matches!(node.component, Component::Source(_)) || self.takes_dead_letters(name);
        if node.inputs.is_empty() && !is_fed {
            let role = node.role();
            let message = format!("the {role} `{name}` reads from nothing");
            complaints.push(
                Diagnostic::new(message, node.span.clone())
                    .hint("name the components it reads from: `inputs: [NAME]`"),
            );
        }
        ports
    }

    fn takes_dead_letters(&self, name: &str) -> bool {
        self.nodes.values().any(|node| node.dead_letter() == Some(name))
    }

    /// Adds the edges from sinks to those that take their dead letters.
    fn lead_dead_letters(
        &self,
        inputs: &mut IndexMap<Arc<str>, Vec<Port>>,
        complaints: &mut Vec<Diagnostic>,
    ) {
        for (name, node) in &self.nodes {
            let Some(to) = node.dead_letter() else { continue };
            let span = node.spec.get(DEAD_LETTER).and_then(|written| written.span.clone());
            let complain =
                |message: String| Diagnostic::new(message, span.or_else(|| node.span.clone()));
            let sinks = self.nodes.iter().filter(|(other, node)| {
                *other != name && matches!(node.component, Component::Sink(_))
            });
            match self.nodes.get(to).map(|node| &node.component) {
                None => {
                    // What a short form declares is written there without its prefix.
                    let names: Vec<&str> = sinks.map(|(name, _)| &**name).collect();
                    let short = names.iter().filter_map(|name| Some(name.rsplit_once('.')?.1));
                    let near = nearest(to, names.iter().copied().chain(short));
                    let message = format!(
                        "`{name}` gives its dead letters to `{to}`, and there is no such sink"
                    );
                    let mut complaint = complain(message);
                    complaint.hint = near.map(|near| format!("did you mean `{near}`?"));
                    complaints.push(complaint);
                }
                Some(Component::Source(_) | Component::Transform(_)) => {
                    let message =
                        format!("`{name}` gives its dead letters to `{to}`, which is no sink");
                    complaints.push(complain(message));
                }
                Some(Component::Sink(_)) if *to == **name => {
                    let message = format!("`{name}` gives its dead letters to itself");
                    complaints.push(
                        complain(message).hint("name another sink, such as one of type `file`"),
                    );
                }
                Some(Component::Sink(sink)) if !sink.takes().contains(Kinds::LOGS) => {
                    let message = format!(
                        "`{name}` gives its dead letters to `{to}`, which takes {} and no logs",
                        sink.takes()
                    );
                    complaints.push(complain(message));
                }
                Some(Component::Sink(_)) => {
                    let port = Port { node: Arc::clone(name), output: DEAD_LETTER.into() };
                    if let Some(ports) = inputs.get_mut(to) {
                        ports.push(port);
                    }
                }
            }
        }
    }

    fn port(&self, reader: &str, text: &str) -> Result<Port, (String, Option<String>)> {
        let (node, output) = match self.nodes.get_key_value(text) {
            Some((node, _)) => (node, ""),
            None => text
                .rsplit_once('.')
                .and_then(|(node, output)| Some((self.nodes.get_key_value(node)?.0, output)))
                .ok_or_else(|| self.unknown(reader, text))?,
        };
        let found = &self.nodes[node];
        let (default, named) = found.outputs();
        if let Component::Sink(_) = found.component {
            let message =
                format!("`{reader}` reads from `{node}`, which is a sink and gives nothing");
            return Err((message, None));
        }
        let exists = if output.is_empty() { default } else { named.iter().any(|o| **o == *output) };
        if exists {
            return Ok(Port { node: Arc::clone(node), output: output.into() });
        }
        let names: Vec<String> = named.iter().map(|output| format!("`{node}.{output}`")).collect();
        let message = if output.is_empty() {
            format!("`{reader}` reads from `{node}`, which has only named outputs")
        } else {
            format!("`{reader}` reads from `{text}`, and `{node}` has no output `{output}`")
        };
        let hint = (!names.is_empty()).then(|| format!("its outputs are {}", names.join(", ")));
        Err((message, hint))
    }

    fn unknown(&self, reader: &str, text: &str) -> (String, Option<String>) {
        (
            format!("`{reader}` reads from `{text}`, and there is no such component"),
            self.near(reader, text).map(|near| format!("did you mean `{near}`?")),
        )
    }

    /// The component that a reader of an unknown one most likely means.
    fn near(&self, reader: &str, text: &str) -> Option<&str> {
        let names = self.nodes.iter().filter(|(name, node)| {
            ***name != *reader && !matches!(node.component, Component::Sink(_))
        });
        nearest(text, names.map(|(name, _)| &**name))
    }

    /// Whether a wrong input most likely means the component `name`.
    fn is_meant(&self, name: &Arc<str>, reader: &str, text: &str) -> bool {
        if self.nodes.contains_key(text) {
            return text == &**name && self.port(reader, text).is_err();
        }
        match text.rsplit_once('.').filter(|(node, _)| self.nodes.contains_key(*node)) {
            Some((node, _)) => *node == **name,
            None => self.near(reader, text) == Some(&**name),
        }
    }

    /// Every source and transform needs a reader, and there is a limit to the sinks.
    fn check_ends(&self, inputs: &IndexMap<Arc<str>, Vec<Port>>, complaints: &mut Vec<Diagnostic>) {
        let sinks = self.nodes.values().filter(|node| node.role() == "sink").count();
        if sinks > SinkId::LIMIT {
            let message = format!("found {sinks} sinks, expected {} at the most", SinkId::LIMIT);
            complaints.push(Diagnostic::new(message, None));
        }
        for (name, node) in &self.nodes {
            let read = inputs.values().flatten().any(|port| port.node == *name)
                || self.nodes.iter().any(|(reader, node)| {
                    // A reader that misspells the name or the output is already told about that.
                    node.inputs.iter().any(|(text, _)| self.is_meant(name, reader, text))
                });
            if !read && !matches!(node.component, Component::Sink(_)) {
                let message = format!("nothing reads from the {} `{name}`", node.role());
                complaints.push(
                    Diagnostic::new(message, node.span.clone())
                        .hint("give it to a sink, or leave it out"),
                );
            }
        }
    }

    /// Kahn's algorithm: takes away what has no open inputs until nothing is left, or a cycle.
    fn order(
        &self,
        inputs: &IndexMap<Arc<str>, Vec<Port>>,
        complaints: &mut Vec<Diagnostic>,
    ) -> Vec<Arc<str>> {
        let mut order: Vec<Arc<str>> = Vec::new();
        let mut rest: Vec<&Arc<str>> = inputs.keys().collect();
        while !rest.is_empty() {
            let before = rest.len();
            rest.retain(|name| {
                let ready = inputs[*name].iter().all(|port| order.contains(&port.node));
                if ready {
                    order.push(Arc::clone(name));
                }
                !ready
            });
            if rest.len() == before {
                self.report_cycle(&rest, inputs, complaints);
                break;
            }
        }
        order
    }

    fn report_cycle(
        &self,
        rest: &[&Arc<str>],
        inputs: &IndexMap<Arc<str>, Vec<Port>>,
        complaints: &mut Vec<Diagnostic>,
    ) {
        // Following open inputs upwards must come around, since every one of the rest has one.
        let mut path: Vec<&Arc<str>> = Vec::new();
        let mut at = rest[0];
        while !path.contains(&at) {
            path.push(at);
            let open = inputs[at].iter().find(|port| rest.contains(&&port.node));
            let Some(port) = open else { return };
            at = &port.node;
        }
        let from = path.iter().position(|name| *name == at).unwrap_or(0);
        let mut cycle: Vec<String> = path[from..].iter().map(|name| format!("`{name}`")).collect();
        cycle.reverse();
        cycle.push(cycle[0].clone());
        let message =
            format!("these components read from each other in a circle: {}", cycle.join(" → "));
        complaints.push(Diagnostic::new(message, self.nodes[at].span.clone()));
    }

    /// A desired state is always the newest, and whole: nothing may keep or drop it.
    fn check_buffer(
        &self,
        name: &str,
        node: &GraphNode,
        arriving: Kinds,
        complaints: &mut Vec<Diagnostic>,
    ) {
        let NodeBuffer { settings, span } = &node.buffer;
        let plain = !settings.is_disk() && settings.when_full == WhenFull::Block;
        if arriving.contains(Kinds::TASKS) && !plain {
            let what = if settings.is_disk() { "kept on disk" } else { "dropped" };
            let message = format!("`{name}` reads tasks, and a desired state cannot be {what}");
            let place = span.clone().or_else(|| node.span.clone());
            complaints.push(Diagnostic::new(message, place).hint("leave its `buffer` out"));
        }
    }

    fn check_kinds(
        &self,
        inputs: &IndexMap<Arc<str>, Vec<Port>>,
        order: &[Arc<str>],
        complaints: &mut Vec<Diagnostic>,
    ) {
        let mut gives: IndexMap<&Arc<str>, Kinds> = IndexMap::new();
        for name in order {
            let node = &self.nodes[name];
            let mut arriving = Kinds::NONE;
            let takes = match &node.component {
                Component::Source(source) => {
                    gives.insert(name, source.gives());
                    continue;
                }
                Component::Transform(transform) => transform.takes(),
                Component::Sink(sink) => sink.takes(),
            };
            for (port, (text, span)) in inputs[name].iter().zip(&node.inputs) {
                let kinds = gives.get(&port.node).copied().unwrap_or_default();
                arriving = arriving.union(kinds);
                if !takes.contains(kinds) {
                    let message = format!(
                        "`{name}` reads {kinds} from `{text}`, and a {} of type `{}` takes {takes}",
                        node.role(),
                        node.type_name
                    );
                    let upstream = &self.nodes[&port.node];
                    complaints.push(
                        Diagnostic::new(message, span.clone()).related(
                            upstream.span.clone(),
                            format!("`{}` gives {kinds}", port.node),
                        ),
                    );
                }
            }
            self.check_buffer(name, node, arriving, complaints);
            if let Component::Transform(transform) = &node.component {
                gives.insert(name, transform.gives(arriving));
            }
        }
    }
}
