//! The ledger's metrics: for each source, and each buffer on disk, what became of the records
//! that it gave. At every scrape
//! `read = delivered + buffered + merged + filtered + replayed + dropped + in flight`.

use crate::event::ledger::{Book, Tally};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};
use std::sync::{Arc, PoisonError, RwLock};

/// All accounts. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    read: IntCounterVec,
    in_flight: IntGaugeVec,
    outcomes: IntCounterVec,
    /// Entries are made by many at a time; nobody makes one while all are looked at, so that the
    /// sum is right whenever somebody looks.
    entries: Arc<RwLock<()>>,
}

/// The account of one source.
struct Account {
    name: Arc<str>,
    ledger: Ledger,
    read: IntCounter,
    in_flight: IntGauge,
    delivered: IntCounter,
    buffered: IntCounter,
    merged: IntCounter,
    filtered: IntCounter,
    replayed: IntCounter,
}

impl Ledger {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let read = "Records that the source gave, those that it read again included.";
        let read = Opts::new("driftless_ledger_read_records_total", read);
        let in_flight = "Records of the source of which it is not known yet what becomes of them.";
        let in_flight = Opts::new("driftless_ledger_in_flight_records", in_flight);
        let outcomes = "What became of the source's records, each counted once, with its worst \
            outcome over all sinks: delivered, buffered (on disk; the buffer's own account says \
            what follows), merged, filtered, replayed (lost on the way, and read again) or \
            dropped, with the reason.";
        let outcomes = Opts::new("driftless_ledger_records_total", outcomes);
        Ok(Self {
            read: IntCounterVec::new(read, &["component"])?,
            in_flight: IntGaugeVec::new(in_flight, &["component"])?,
            outcomes: IntCounterVec::new(outcomes, &["component", "outcome", "reason"])?,
            entries: Arc::default(),
        })
    }

    /// The account of a source, or of the buffer in front of a component.
    pub(super) fn account(&self, name: &Arc<str>) -> Arc<dyn Book> {
        let outcome = |outcome: &str| self.outcomes.with_label_values(&[&**name, outcome, ""]);
        Arc::new(Account {
            name: Arc::clone(name),
            ledger: self.clone(),
            read: self.read.with_label_values(&[name]),
            in_flight: self.in_flight.with_label_values(&[name]),
            delivered: outcome("delivered"),
            buffered: outcome("buffered"),
            merged: outcome("merged"),
            filtered: outcome("filtered"),
            replayed: outcome("replayed"),
        })
    }

    /// Closes the account of a component that is gone.
    pub(super) fn forget(&self, component: &str) {
        // A series that was never made is as good as gone.
        self.read.remove_label_values(&[component]).ok();
        self.in_flight.remove_label_values(&[component]).ok();
        for metric in self.outcomes.collect().iter().flat_map(MetricFamily::get_metric) {
            let value = |name| {
                let label = metric.get_label().iter().find(|label| label.name() == name);
                label.map_or("", |label| label.value())
            };
            if value("component") == component {
                let labels = [component, value("outcome"), value("reason")];
                self.outcomes.remove_label_values(&labels).ok();
            }
        }
    }
}

impl Book for Account {
    fn opened(&self, records: u64) {
        let _entry = self.ledger.entries.read().unwrap_or_else(PoisonError::into_inner);
        self.read.inc_by(records);
        self.in_flight.add(i64::try_from(records).unwrap_or(i64::MAX));
    }

    fn closed(&self, tally: &Tally) {
        let _entry = self.ledger.entries.read().unwrap_or_else(PoisonError::into_inner);
        self.in_flight.sub(i64::try_from(tally.records).unwrap_or(i64::MAX));
        self.delivered.inc_by(tally.delivered);
        self.buffered.inc_by(tally.buffered);
        self.merged.inc_by(tally.merged);
        self.filtered.inc_by(tally.filtered);
        self.replayed.inc_by(tally.replayed);
        for (reason, records) in &tally.dropped {
            let labels = [&*self.name, "dropped", &**reason];
            self.ledger.outcomes.with_label_values(&labels).inc_by(*records);
        }
    }
}

impl Collector for Ledger {
    fn desc(&self) -> Vec<&Desc> {
        [self.read.desc(), self.in_flight.desc(), self.outcomes.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _all = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        [self.read.collect(), self.in_flight.collect(), self.outcomes.collect()].concat()
    }
}
