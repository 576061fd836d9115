//! What a component writes to: a fan-out over the edges that begin there.

use super::component::Fault;
use super::demand::Demand;
use super::edge::{EdgeSender, Envelope};
use super::telemetry::ComponentTelemetry;
use crate::event::Batch;
use crate::event::ack::{Ack, Outcome, Receipt, SinkSet};
use arc_swap::ArcSwap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// One edge that begins here, and the sinks behind it.
#[derive(Clone)]
pub(super) struct Branch {
    pub(super) sender: EdgeSender,
    pub(super) reach: SinkSet,
}

/// The edges that begin at one output. A reload swaps them while batches flow.
#[derive(Clone, Default)]
pub(super) struct Fanout(Arc<ArcSwap<Vec<Branch>>>);

impl Fanout {
    pub(super) fn set(&self, branches: Vec<Branch>) {
        self.0.store(Arc::new(branches));
    }

    /// Lets go of all branches, so that what lies behind them can end.
    pub(super) fn clear(&self) {
        self.set(Vec::new());
    }

    /// The sinks behind all branches.
    pub(super) fn reach(&self) -> SinkSet {
        self.0.load().iter().fold(SinkSet::NONE, |set, branch| set.union(branch.reach))
    }

    /// Gives each branch its share. A branch that waits holds back its siblings. `false` where
    /// a branch that the batch was meant for is gone; its share is then lost.
    pub(super) async fn send(&self, batch: Batch, ack: Ack, demand: Option<u64>) -> bool {
        let branches = self.0.load_full();
        let wanted: Vec<&Branch> = branches
            .iter()
            .filter(|branch| !branch.reach.intersection(ack.sinks()).is_empty())
            .collect();
        let mut arrived = true;
        let mut batch = Some(batch);
        for (at, branch) in wanted.iter().enumerate() {
            let copy = if at + 1 == wanted.len() { batch.take() } else { batch.clone() };
            let Some(copy) = copy else { break };
            let envelope = Envelope::new(copy, ack.share(branch.reach), demand);
            arrived &= branch.sender.send(envelope).await;
        }
        // What remains is the share of sinks that no branch leads to (any more).
        ack.settle(Outcome::Delivered);
        arrived
    }
}

/// A source's way into the topology.
pub struct Output {
    pub(super) fanout: Fanout,
    pub(super) receipts: mpsc::UnboundedSender<Receipt>,
    pub(super) telemetry: ComponentTelemetry,
}

impl Output {
    /// The sinks that a batch sent now would reach.
    pub fn sinks(&self) -> SinkSet {
        self.fanout.reach()
    }

    /// Sends a batch to every sink; its receipts will carry `mark`. Waits while an edge is full.
    ///
    /// # Errors
    /// Where nobody reads any more: the topology is being taken down.
    pub async fn send(&self, batch: Batch, mark: u64) -> Result<(), Fault> {
        self.send_to(batch, mark, SinkSet::ALL).await
    }

    /// As [`Self::send`], for those sinks only: the others have it already.
    ///
    /// # Errors
    /// As for [`Self::send`].
    pub async fn send_to(&self, batch: Batch, mark: u64, sinks: SinkSet) -> Result<(), Fault> {
        let sinks = sinks.intersection(self.sinks());
        self.pass(batch, Ack::new(mark, sinks, self.receipts.clone()), None).await
    }

    /// Says that nothing more will come from this source, now or in another run, so that
    /// everything below can finish while the source still waits for its receipts.
    pub fn finish(self) {
        self.fanout.clear();
    }

    /// Answers a demand: the batch reaches only the sink that asked.
    ///
    /// # Errors
    /// As for [`Self::send`].
    pub async fn answer(&self, batch: Batch, demand: &Demand) -> Result<(), Fault> {
        self.pass(batch, Ack::unobserved(SinkSet::one(demand.sink)), Some(demand.id)).await
    }

    async fn pass(&self, batch: Batch, ack: Ack, demand: Option<u64>) -> Result<(), Fault> {
        self.telemetry.sent(&batch);
        if self.fanout.send(batch, ack, demand).await {
            Ok(())
        } else {
            Err(Fault::passing("the component that reads from here has ended"))
        }
    }
}
