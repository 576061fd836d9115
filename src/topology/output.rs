//! What a component writes to: a fan-out over the edges that begin there.

use super::component::Fault;
use super::demand::Demand;
use super::edge::{EdgeSender, Envelope};
use super::telemetry::ComponentTelemetry;
use crate::event::Batch;
use crate::event::ack::{Ack, Outcome, Receipt, SinkSet};
use crate::event::ledger::{Book, Sheet};
use arc_swap::ArcSwap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// One edge that begins here, and the sinks behind it.
#[derive(Clone)]
pub(super) struct Branch {
    pub(super) sender: EdgeSender,
    pub(super) reach: SinkSet,
}

/// The ways on from one output, as they are between two reloads.
#[derive(Default)]
pub(super) struct Route {
    branches: Vec<Branch>,
    /// The sinks behind all branches.
    pub(super) reach: SinkSet,
    /// All sinks of the topology, also those that cannot be reached from here.
    pub(super) live: SinkSet,
}

/// The edges that begin at one output. A reload swaps them while batches flow.
#[derive(Clone, Default)]
pub(super) struct Fanout(Arc<Swapped>);

#[derive(Default)]
struct Swapped {
    route: ArcSwap<Route>,
    closed: Mutex<bool>,
}

impl Fanout {
    /// Leads to these branches from now on, unless whoever writes here has ended.
    pub(super) fn set(&self, branches: Vec<Branch>, live: SinkSet) {
        let closed = self.0.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if !*closed {
            let reach = branches.iter().fold(SinkSet::NONE, |set, branch| set.union(branch.reach));
            self.0.route.store(Arc::new(Route { branches, reach, live }));
        }
    }

    /// Lets go of all branches for good, so that what lies behind them can end. A reload that
    /// comes at the same moment must not open them again: nobody would close them.
    pub(super) fn close(&self) {
        let mut closed = self.0.closed.lock().unwrap_or_else(PoisonError::into_inner);
        *closed = true;
        self.0.route.store(Arc::default());
    }

    /// The ways on as they are now.
    pub(super) fn route(&self) -> Arc<Route> {
        self.0.route.load_full()
    }
}

/// Closes fan-outs when the component that writes to them is gone, in whatever way.
pub(super) struct CloseOnEnd(pub(super) Vec<Fanout>);

impl Drop for CloseOnEnd {
    fn drop(&mut self) {
        self.0.iter().for_each(Fanout::close);
    }
}

impl Route {
    /// Gives each branch its share. A branch that waits holds back its siblings. `false` where
    /// the batch was meant for branches and all of them are gone.
    pub(super) async fn send(&self, batch: Batch, ack: Ack, demand: Option<u64>) -> bool {
        let wanted: Vec<&Branch> = self
            .branches
            .iter()
            .filter(|branch| !branch.reach.intersection(ack.sinks()).is_empty())
            .collect();
        if wanted.len() > 1 {
            ack.split();
        }
        let mut arrived = wanted.is_empty();
        let mut batch = Some(batch);
        for (at, branch) in wanted.iter().enumerate() {
            let copy = if at + 1 == wanted.len() { batch.take() } else { batch.clone() };
            let Some(copy) = copy else { break };
            let envelope = Envelope::new(copy, ack.share(branch.reach), demand);
            arrived |= branch.sender.send(envelope).await;
        }
        ack.settle(Outcome::Delivered);
        arrived
    }
}

impl Route {
    /// Gives the batch to every branch, whatever sinks `ack` speaks for. Where there is none, or
    /// nobody reads there any more, it is lost, and so read again by its source.
    pub(super) async fn send_all(&self, batch: Batch, ack: Ack) {
        if self.branches.len() > 1 {
            ack.split();
        }
        for branch in &self.branches {
            let envelope = Envelope::new(batch.clone(), ack.share(ack.sinks()), None);
            branch.sender.send(envelope).await;
        }
        if !self.branches.is_empty() {
            ack.settle(Outcome::Delivered);
        }
    }
}

/// Marks as lost what `ack` owes to sinks that are there, but that no way leads to any more: a
/// reload has moved them while the batch was on its way, and they get it when it is read again.
/// Sinks that were removed want it no more.
pub(super) fn give_up_on_moved_sinks(ack: &Ack, reach: SinkSet, live: SinkSet) {
    let moved = ack.sinks().without(reach).intersection(live);
    if !moved.is_empty() {
        drop(ack.share(moved));
    }
}

/// A source's way into the topology.
pub struct Output {
    pub(super) fanout: Fanout,
    pub(super) receipts: mpsc::UnboundedSender<Receipt>,
    pub(super) telemetry: ComponentTelemetry,
    /// Where the ledger has what becomes of its records.
    pub(super) account: Arc<dyn Book>,
}

impl Output {
    /// The sinks that a batch sent now would reach.
    pub fn sinks(&self) -> SinkSet {
        self.fanout.route().reach
    }

    /// Sends a batch to every sink; its receipts will carry `mark`. Waits while an edge is full.
    ///
    /// # Errors
    /// Where nobody reads any more: the topology is being taken down.
    pub async fn send(&self, batch: Batch, mark: u64) -> Result<(), Fault> {
        let route = self.fanout.route();
        let ack = self.ack(&batch, mark, route.reach);
        self.pass(&route, batch, ack, None).await
    }

    /// As [`Self::send`], for those sinks only: the others have it already. Each of them is
    /// heard of in a receipt, also one that a reload has taken away meanwhile.
    ///
    /// # Errors
    /// As for [`Self::send`].
    pub async fn send_to(&self, batch: Batch, mark: u64, sinks: SinkSet) -> Result<(), Fault> {
        if sinks == SinkSet::ALL {
            return self.send(batch, mark).await;
        }
        let ack = self.ack(&batch, mark, sinks);
        self.pass(&self.fanout.route(), batch, ack, None).await
    }

    /// Says that nothing more will come from this source, now or in another run, so that
    /// everything below can finish while the source still waits for its receipts.
    pub fn finish(self) {
        self.fanout.close();
    }

    /// Answers a demand: the batch reaches only the sink that asked.
    ///
    /// # Errors
    /// As for [`Self::send`].
    pub async fn answer(&self, batch: Batch, demand: &Demand) -> Result<(), Fault> {
        let ack = Ack::unobserved(SinkSet::one(demand.sink));
        self.pass(&self.fanout.route(), batch, ack, Some(demand.id)).await
    }

    fn ack(&self, batch: &Batch, mark: u64, sinks: SinkSet) -> Ack {
        let sheet = Sheet::of(batch, &self.account);
        Ack::booked(mark, sinks, self.receipts.clone(), sheet)
    }

    async fn pass(
        &self,
        route: &Arc<Route>,
        batch: Batch,
        ack: Ack,
        demand: Option<u64>,
    ) -> Result<(), Fault> {
        self.telemetry.sent(&batch);
        give_up_on_moved_sinks(&ack, route.reach, route.live);
        let arrived = route.send(batch, ack, demand).await;
        // Where a reload has swapped the ways meanwhile, the receipts say all that there is to say.
        if arrived || !Arc::ptr_eq(route, &self.fanout.route()) {
            Ok(())
        } else {
            Err(Fault::passing("the component that reads from here has ended"))
        }
    }
}
