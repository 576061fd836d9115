//! What was seen of a record on its way, in a form that can be shown.

use crate::cli::found::{Found, of_batch};
use crate::config::load::Config;
use crate::event::Batch;
use crate::event::tree::Node;
use crate::expr::condition::{Condition, Verdict};
use crate::expr::value::{from_node, to_json};
use crate::topology::component::{BuildContext, Glimpse};
use crate::topology::context::Environment;
use crate::topology::graph::{Component, GraphNode};
use crate::topology::trial::{Cause, Step, Trial};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// What a config does to a record.
pub(super) struct Explanation {
    pub(super) path: String,
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) source: String,
    pub(super) notes: Vec<String>,
    pub(super) record: Vec<Found>,
    pub(super) stages: Vec<Stage>,
}

/// What one component did.
pub(super) struct Stage {
    pub(super) name: String,
    pub(super) type_name: String,
    /// Where in the config it stands.
    pub(super) place: Option<String>,
    /// Where it has the record from: a component, or one of its outputs.
    pub(super) from: Option<String>,
    /// Whether it did it only because nothing more came.
    pub(super) at_the_end: bool,
    /// Whether other records matter to it.
    pub(super) remembers: bool,
    pub(super) taken: Vec<Found>,
    pub(super) doing: Doing,
}

pub(super) enum Doing {
    /// A transform.
    Transform {
        /// What it gave on, by output.
        given: Vec<(String, Vec<Found>)>,
        errors: u64,
        dropped: Vec<(&'static str, u64)>,
        /// What left the record out: conditions and whether they hold, else the settings.
        why: Vec<String>,
    },
    /// A sink, with the places and bytes.
    Sink { parts: Result<Vec<(String, Vec<u8>)>, String> },
}

impl Explanation {
    pub(super) fn new(
        config: &Config,
        env: &Arc<Environment>,
        source: &Arc<str>,
        path: &Path,
        glimpse: &Glimpse,
        trial: &mut Trial,
        at_once: usize,
    ) -> Self {
        let steps = trial.steps().to_vec();
        let mut stages = Vec::new();
        for (at, step) in steps.iter().enumerate() {
            let Some(node) = config.graph.nodes.get(&step.node) else { continue };
            if let Component::Source(_) = node.component {
                continue;
            }
            let remembers = trial.remembers(&step.node);
            stages.push(Stage::new(step, node, env, at >= at_once, remembers));
        }
        Self {
            path: path.display().to_string(),
            begin: glimpse.begin,
            end: glimpse.end,
            source: source.to_string(),
            notes: glimpse.notes.clone(),
            record: of_batch(&Batch::Logs(glimpse.record.clone())),
            stages,
        }
    }

    /// The sinks that would get something of it, each once.
    pub(super) fn sinks(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for stage in self.stages.iter().filter(|it| matches!(it.doing, Doing::Sink { .. })) {
            if !names.contains(&stage.name.as_str()) {
                names.push(&stage.name);
            }
        }
        names
    }
}

impl Stage {
    fn new(
        step: &Step,
        node: &GraphNode,
        env: &Arc<Environment>,
        at_the_end: bool,
        remembers: bool,
    ) -> Self {
        let batch = match &step.cause {
            Cause::Batch(batch) => Some(batch),
            Cause::Time | Cause::End => None,
        };
        let doing = match &node.component {
            Component::Sink(sink) => {
                let cx = BuildContext { name: Arc::clone(&step.node), env: Arc::clone(env) };
                let parts = batch.map_or(Ok(Vec::new()), |batch| sink.preview(&cx, batch));
                Doing::Sink { parts: parts.map_err(|fault| fault.message) }
            }
            Component::Transform(_) | Component::Source(_) => {
                let given: Vec<(String, Vec<Found>)> = step
                    .emitted
                    .iter()
                    .map(|(output, batch)| (output.to_string(), of_batch(batch)))
                    .collect();
                let why = match batch {
                    Some(batch) if given.is_empty() => why(node, batch, env),
                    _ => Vec::new(),
                };
                let (errors, dropped) = (step.errors, step.dropped.clone());
                Doing::Transform { given, errors, dropped, why }
            }
        };
        let from = step.from.as_ref().map(|port| match &*port.output {
            "" => port.node.to_string(),
            output => format!("{}.{output}", port.node),
        });
        Self {
            name: step.node.to_string(),
            type_name: node.type_name.to_string(),
            place: node.span.as_ref().map(ToString::to_string),
            from,
            at_the_end,
            remembers,
            taken: batch.map(of_batch).unwrap_or_default(),
            doing,
        }
    }
}

/// Which settings may have left a record out: conditions, with what they say of it; else all of
/// them.
fn why(node: &GraphNode, batch: &Batch, env: &Environment) -> Vec<String> {
    let settings = node.spec.get("settings").unwrap_or(&node.spec);
    let constants = env.constants.load();
    let said = |name: &'static str| {
        let text = settings.get(name).and_then(Node::scalar_text)?;
        let Batch::Logs(logs) = batch else { return None };
        let bound = text.parse::<Condition>().ok()?.bind(&constants).ok()?;
        let what = match bound.judge(logs).first()? {
            Verdict::Holds => "holds",
            Verdict::Fails => "does not hold",
            Verdict::Unclear => "makes no sense for it",
        };
        Some(format!("`{name}: {text}` {what}"))
    };
    let conditions: Vec<String> = ["keep", "drop"].into_iter().filter_map(said).collect();
    if !conditions.is_empty() {
        return conditions;
    }
    match to_json(&from_node(settings)) {
        Value::Object(settings) if settings.is_empty() => Vec::new(),
        settings => vec![format!("its settings are {settings}")],
    }
}
