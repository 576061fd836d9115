//! A running topology with one file source, and sinks that do as they are told.

use async_trait::async_trait;
use driftless::event::metric::SampleValue;
use driftless::event::tree::{Node, Value};
use driftless::event::{Batch, Kinds};
use driftless::sources::file;
use driftless::topology::component::{BuildContext, BuiltSink, Deliver, Encode, Fault, SinkConfig};
use driftless::topology::context::{Environment, SinkNames};
use driftless::topology::delivery::Delivery;
use driftless::topology::graph::{Component, Graph, GraphNode};
use driftless::topology::memory::Memory;
use driftless::topology::request::{Answer, Request, Requests};
use driftless::topology::run::Topology;
use driftless::topology::settings::{BatchSettings, ByteSize, Period, RetrySettings};
use driftless::topology::telemetry::Telemetry;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// A sink that keeps what it gets, or is away for as long as a test wants.
#[derive(Clone, Debug, Default)]
pub(crate) struct Collector {
    lines: Arc<Mutex<Vec<String>>>,
    records: Arc<Mutex<Vec<(u64, String)>>>,
    away: Arc<AtomicBool>,
    attempts: Arc<AtomicUsize>,
}

impl Collector {
    /// All lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// All records so far; one may be several lines.
    pub(crate) fn records(&self) -> Vec<String> {
        self.records.lock().unwrap().iter().map(|(_, text)| text.clone()).collect()
    }

    /// Where each record begins in its file.
    pub(crate) fn offsets(&self) -> Vec<u64> {
        self.records.lock().unwrap().iter().map(|(offset, _)| *offset).collect()
    }

    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// Waits until somebody has tried to send it something.
    pub(crate) async fn wait_for_attempt(&self) {
        wait_until(|| self.attempts.load(Ordering::SeqCst) > 0).await;
    }

    /// Waits until there are so many lines.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<String> {
        wait_until(|| self.lines.lock().unwrap().len() >= count).await;
        self.lines()
    }
}

/// Waits for a condition.
pub(crate) async fn wait_until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < DEADLINE, "this should have happened by now");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[async_trait]
impl Deliver for Collector {
    async fn deliver(&self, request: &Request) -> Result<Answer, Fault> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        if self.away.load(Ordering::SeqCst) {
            return Err(Fault::passing("away"));
        }
        let text = String::from_utf8(request.body.clone()).unwrap();
        self.lines.lock().unwrap().extend(text.lines().map(str::to_owned));
        Ok(Answer::default())
    }
}

impl Encode for Collector {
    fn encode(&mut self, batch: &Batch, requests: &mut Requests) -> Result<(), Fault> {
        let Batch::Logs(logs) = batch else { return Err(Fault::fatal("logs only")) };
        let part = requests.to("");
        for record in logs.records() {
            // Encoded once, whatever becomes of the request.
            let text = String::from_utf8_lossy(record.message()).into_owned();
            self.records.lock().unwrap().push((record.offset(), text));
            part.body.extend_from_slice(record.raw());
            part.body.push(b'\n');
            part.records += 1;
        }
        Ok(())
    }
}

impl SinkConfig for Collector {
    fn takes(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, _: &BuildContext) -> Result<BuiltSink, Fault> {
        let millis = |n| Period(Duration::from_millis(n));
        let batch = BatchSettings { bytes: ByteSize(64 << 10), records: u64::MAX, age: millis(0) };
        let retry = RetrySettings { initial: millis(5), max: millis(20), attempts: None };
        let (encoder, sender) = (Box::new(self.clone()), Arc::new(self.clone()));
        let delivery = Delivery { batch, retry, ..Delivery::default() };
        Ok(BuiltSink::Requests { encoder, sender, delivery })
    }
}

/// A folder with logs and a data directory, and what runs over them.
pub(crate) struct Bench {
    dir: tempfile::TempDir,
    pub(crate) config: serde_json::Value,
    telemetry: Mutex<Telemetry>,
}

/// What a run that has ended counted.
pub(crate) struct Ended(Telemetry);

impl Ended {
    pub(crate) fn errors(&self) -> f64 {
        number(&self.0, "driftless_component_errors_total", "app")
    }
}

/// The metric's sample that has this label's value.
fn number(telemetry: &Telemetry, name: &str, label: &str) -> f64 {
    let families = telemetry.families();
    let samples = families.iter().filter(|family| family.name == name).flat_map(|f| &f.samples);
    let of_label =
        samples.filter(|sample| sample.labels.iter().any(|(_, value)| **value == *label));
    of_label.map(|sample| if let SampleValue::Number(n) = sample.value { n } else { 0.0 }).sum()
}

impl Bench {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("logs")).unwrap();
        let config = serde_json::json!({ "include": [dir.path().join("logs/*.log")] });
        Self { dir, config, telemetry: Mutex::new(Telemetry::new().unwrap()) }
    }

    /// A number that the latest run has counted.
    pub(crate) fn number(&self, name: &str, label: &str) -> f64 {
        number(&self.telemetry.lock().unwrap(), name, label)
    }

    /// Where the file with this number is pinned.
    pub(crate) fn pin(&self, key: u64) -> PathBuf {
        self.dir.path().join("data/pins/app").join(key.to_string())
    }

    /// How many files are pinned.
    pub(crate) fn pins(&self) -> usize {
        fs::read_dir(self.dir.path().join("data/pins/app")).map_or(0, Iterator::count)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("logs").join(name)
    }

    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.dir.path().join("data/checkpoints/app")
    }

    pub(crate) fn append(&self, name: &str, text: &str) {
        append(&self.path(name), text);
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    pub(crate) fn start(&self, sinks: &[(&str, &Collector)]) -> Topology {
        self.run(sinks, false)
    }

    /// Reads what is there and waits for the end.
    pub(crate) async fn once(&self, sinks: &[(&str, &Collector)]) -> Ended {
        self.run(sinks, true).finished().await;
        Ended(self.telemetry.lock().unwrap().clone())
    }

    fn run(&self, sinks: &[(&str, &Collector)], once: bool) -> Topology {
        let config: file::Config = serde_json::from_value(self.config.clone()).unwrap();
        let mut graph = Graph::default();
        graph.nodes.insert("app".into(), node(Component::Source(Arc::new(config)), &[]));
        for (name, sink) in sinks {
            let sink = Component::Sink(Arc::new((*sink).clone()));
            graph.nodes.insert((*name).into(), node(sink, &["app"]));
        }
        let telemetry = Telemetry::new().unwrap();
        *self.telemetry.lock().unwrap() = telemetry.clone();
        let env = Environment {
            host: "web1".into(),
            data_dir: self.dir.path().join("data"),
            keeps_state: true,
            memory: Memory::new(32 << 20),
            telemetry,
            sinks: SinkNames::default(),
            secrets: Default::default(),
            masker: Default::default(),
            constants: Default::default(),
            tasks: tokio::sync::watch::channel(None).1,
            deliveries: Default::default(),
            runs: Default::default(),
            once,
        };
        Topology::start(&graph, Arc::new(env)).unwrap()
    }
}

fn node(component: Component, inputs: &[&str]) -> GraphNode {
    GraphNode {
        component,
        type_name: "test".into(),
        inputs: inputs.iter().map(|input| ((*input).into(), None)).collect(),
        buffer: Default::default(),
        spec: Node::new(Value::Null),
        span: None,
    }
}

/// Appends to a file, made if need be.
pub(crate) fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Lets what is on its way finish.
pub(crate) async fn stop(topology: Topology) {
    assert!(topology.stop(DEADLINE).await, "not everything drained");
}

/// Numbered lines.
pub(crate) fn lines(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("line {number}")).collect()
}

/// The same as a file's text.
pub(crate) fn text(range: std::ops::Range<usize>) -> String {
    lines(range).iter().map(|line| format!("{line}\n")).collect()
}
