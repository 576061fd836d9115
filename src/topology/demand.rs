//! Demand: how a sink that is pulled (a scrape) asks the sources above it for a fresh poll.

use crate::event::ack::SinkId;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;

/// One request for a fresh poll. The answer is one batch, sent with
/// [`super::output::Output::answer`], that reaches only the sink that asked.
#[derive(Clone, Debug)]
pub struct Demand {
    /// Which demand the answer belongs to.
    pub id: u64,
    /// Who asks.
    pub sink: SinkId,
    /// After this nobody waits any more.
    pub deadline: Instant,
    /// The collectors to run.
    pub wanted: Wanted,
}

/// Which of the configured collectors to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// These; empty for all.
    pub only: Vec<String>,
    /// Not these.
    pub except: Vec<String>,
}

impl Wanted {
    /// Whether the collector `name` is to run.
    pub fn includes(&self, name: &str) -> bool {
        let is = |known: &String| known == name;
        (self.only.is_empty() || self.only.iter().any(is)) && !self.except.iter().any(is)
    }
}

/// The demands that reach one source. Clones read from the same queue, so that the next run of a
/// source that failed goes on with it.
#[derive(Clone, Debug)]
pub struct Demands(Arc<Mutex<mpsc::Receiver<Demand>>>);

impl Demands {
    pub(super) fn new(queue: mpsc::Receiver<Demand>) -> Self {
        Self(Arc::new(Mutex::new(queue)))
    }

    /// The next demand. Waits for ever where nobody can ask any more.
    pub async fn next(&self) -> Demand {
        match self.0.lock().await.recv().await {
            Some(demand) => demand,
            None => std::future::pending().await,
        }
    }
}

/// A sink's line to the sources above it that answer demands.
#[derive(Debug)]
pub struct DemandPort {
    sink: SinkId,
    next: AtomicU64,
    /// Swapped when a reload changes what is above the sink.
    sources: ArcSwap<Vec<mpsc::Sender<Demand>>>,
}

impl DemandPort {
    /// A port for `sink`, not connected yet.
    pub fn new(sink: SinkId) -> Self {
        Self { sink, next: AtomicU64::new(1), sources: ArcSwap::default() }
    }

    /// Connects the port to these sources and to no others.
    pub(super) fn connect(&self, sources: Vec<mpsc::Sender<Demand>>) {
        self.sources.store(Arc::new(sources));
    }

    /// Asks all sources. Returns the demand's id and how many answers to expect: one batch with
    /// that id in its envelope from each source that could be asked.
    pub fn ask(&self, deadline: Instant, wanted: &Wanted) -> (u64, usize) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let demand = Demand { id, sink: self.sink, deadline, wanted: wanted.clone() };
        let asked = self
            .sources
            .load()
            .iter()
            // A source whose queue is full is stuck; waiting for it would not help.
            .filter(|source| source.try_send(demand.clone()).is_ok())
            .count();
        (id, asked)
    }
}
