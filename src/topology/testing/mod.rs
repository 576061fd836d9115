//! Small components for the engine's tests: a source of numbers that can be read again, a
//! transform and a sink whose behaviour a test gives as a closure.

mod batches;
mod numbers;
mod store;
mod through;

pub(super) use batches::Batches;
pub(super) use numbers::{Feed, Numbers};
pub(super) use store::{Keep, Store};
pub(super) use through::Through;

use super::context::{Environment, SinkNames};
use super::graph::{Component, Graph, GraphNode};
use super::memory::Memory;
use super::run::Topology;
use super::telemetry::Telemetry;
use crate::event::Batch;
use crate::event::log::{LogBatch, Origin};
use crate::event::metric::{Sample, SampleValue};
use crate::event::tree::Node;
use arc_swap::ArcSwap;
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// What all components of a test share.
pub(super) fn environment() -> Arc<Environment> {
    environment_in(Path::new("/nonexistent"))
}

/// As [`environment`], with this data directory.
pub(crate) fn environment_in(data_dir: &Path) -> Arc<Environment> {
    Arc::new(Environment {
        host: "here".into(),
        data_dir: data_dir.to_owned(),
        keeps_state: true,
        memory: Memory::new(1 << 20),
        telemetry: Telemetry::new().unwrap(),
        sinks: SinkNames::default(),
        secrets: ArcSwap::default(),
        masker: Default::default(),
        constants: ArcSwap::default(),
        tasks: watch::channel(None).1,
        deliveries: Default::default(),
        runs: Default::default(),
        once: false,
    })
}

/// A batch of one record, the number.
pub(super) fn number(n: u64) -> Batch {
    let line = Bytes::from(format!("{n}\n"));
    Batch::Logs(LogBatch::from_lines(&line, Arc::new(Origin::default()), n, 0))
}

/// The numbers in a batch.
pub(super) fn numbers(batch: &Batch) -> Vec<u64> {
    let Batch::Logs(logs) = batch else { panic!("expected logs") };
    logs.records().map(|r| std::str::from_utf8(r.raw()).unwrap().parse().unwrap()).collect()
}

/// Waits for a condition, an hour at the most on the paused clock, ten seconds on a real one.
pub(super) async fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    let deadline = Instant::now() + Duration::from_secs(3600);
    while !condition() {
        let in_time = Instant::now() < deadline && begun.elapsed() < Duration::from_secs(10);
        assert!(in_time, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Runs a topology to its natural end.
pub(super) async fn run_to_end(graph: &Graph, env: &Arc<Environment>) {
    let mut topology = Topology::start(graph, Arc::clone(env)).unwrap();
    let end = tokio::time::timeout(Duration::from_secs(36_000), topology.finished()).await;
    end.expect("the topology ends");
    assert!(topology.stop(Duration::from_secs(1)).await);
}

/// The value of one of the engine's own metrics, summed over what `labels` leaves open.
pub(super) fn metric(env: &Environment, name: &str, labels: &[(&str, &str)]) -> f64 {
    let families = env.telemetry.families();
    let samples = families.iter().filter(|f| f.name == name).flat_map(|f| &f.samples);
    let fits = |sample: &&Sample| {
        labels.iter().all(|(k, v)| sample.labels.iter().any(|(name, is)| name == k && is == v))
    };
    let number = |sample: &Sample| match sample.value {
        SampleValue::Number(number) => number,
        _ => panic!("expected a number"),
    };
    samples.filter(fits).map(number).sum()
}

/// Adds a component to a graph. Equal revisions make the same component.
pub(super) fn add(graph: &mut Graph, name: &str, inputs: &[&str], rev: &str, what: Component) {
    let node = GraphNode {
        component: what,
        type_name: "test".into(),
        buffer: Default::default(),
        inputs: inputs.iter().map(|input| (Arc::from(*input), None)).collect(),
        spec: Node::string(rev),
        span: None,
    };
    graph.nodes.insert(name.into(), node);
}

pub(super) fn source(numbers: &Arc<Numbers>) -> Component {
    Component::Source(Arc::new(Feed(Arc::clone(numbers))))
}

pub(super) fn transform(config: Through) -> Component {
    Component::Transform(Arc::new(config))
}

pub(super) fn sink(store: &Arc<Store>) -> Component {
    Component::Sink(Arc::new(Keep(Arc::clone(store))))
}
