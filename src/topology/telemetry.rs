//! The engine's own metrics: what each component and each edge does.

use super::buffer::BufferMetrics;
use super::full::{Full, Fullness, Place};
use super::health::{Health, State};
use super::ledger::Ledger;
use super::standings::Standings;
use super::tap::{Point, Side, Taps};
use crate::event::Batch;
use crate::event::ledger::Book;
use crate::event::metric::{Family, MetricKind, Sample, SampleValue, Text};
use prometheus::core::Collector;
use prometheus::proto::MetricType;
use prometheus::{Counter, CounterVec};
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// All metrics of the agent itself. Clones share them.
#[derive(Clone, Debug)]
pub struct Telemetry {
    registry: Registry,
    metrics: Arc<Metrics>,
    ledger: Ledger,
    health: Health,
    standings: Standings,
    fullness: Fullness,
    taps: Taps,
    own: Arc<Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>>,
}

#[derive(Debug)]
struct Metrics {
    events_in: IntCounterVec,
    bytes_in: IntCounterVec,
    events_out: IntCounterVec,
    bytes_out: IntCounterVec,
    errors: IntCounterVec,
    dropped: IntCounterVec,
    dead_letters: IntCounterVec,
    restarts: IntCounterVec,
    retries: IntCounterVec,
    failing: IntGaugeVec,
    busy: CounterVec,
    buffer_batches: IntGaugeVec,
    buffer_bytes: IntGaugeVec,
}

/// One component's counters, looked up once.
#[derive(Clone, Debug)]
pub struct ComponentTelemetry {
    name: Arc<str>,
    metrics: Arc<Metrics>,
    health: Health,
    tap: Arc<Point>,
    events_in: IntCounter,
    bytes_in: IntCounter,
    events_out: IntCounter,
    bytes_out: IntCounter,
    errors: IntCounter,
    restarts: IntCounter,
    retries: IntCounter,
    busy: Counter,
}

/// Whether a sink's last attempt failed, and why.
#[derive(Clone, Debug)]
pub(super) struct Failing {
    gauge: IntGauge,
    name: Arc<str>,
    health: Health,
}

/// One edge's gauges.
#[derive(Clone, Debug)]
pub struct EdgeTelemetry {
    reader: Arc<str>,
    dropped: IntCounterVec,
    batches: IntGauge,
    bytes: IntGauge,
    full: Full,
}

impl Telemetry {
    /// Counters at zero.
    ///
    /// # Errors
    /// Where a metric's name is not a valid one, which a test rules out.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let vec = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(vec.clone()))?;
            Ok::<_, prometheus::Error>(vec)
        };
        let gauge = |name: &str, help: &str| {
            let vec = IntGaugeVec::new(Opts::new(name, help), &["component"])?;
            registry.register(Box::new(vec.clone()))?;
            Ok::<_, prometheus::Error>(vec)
        };
        let one = &["component"];
        let busy = CounterVec::new(
            Opts::new(
                "driftless_component_busy_seconds_total",
                "Time that the component spent working, waiting left out.",
            ),
            one,
        )?;
        registry.register(Box::new(busy.clone()))?;
        let metrics = Metrics {
            events_in: counter(
                "driftless_component_received_events_total",
                "Records, samples and task sets that the component took.",
                one,
            )?,
            bytes_in: counter(
                "driftless_component_received_bytes_total",
                "Bytes of the batches that the component took.",
                one,
            )?,
            events_out: counter(
                "driftless_component_sent_events_total",
                "Records, samples and task sets that the component passed on.",
                one,
            )?,
            bytes_out: counter(
                "driftless_component_sent_bytes_total",
                "Bytes that the component passed on.",
                one,
            )?,
            errors: counter(
                "driftless_component_errors_total",
                "Errors in the component, single records included.",
                one,
            )?,
            dropped: counter(
                "driftless_component_dropped_events_total",
                "Records given up for good, by reason.",
                &["component", "reason"],
            )?,
            dead_letters: counter(
                "driftless_component_dead_letters_total",
                "Records that the component rejected for good and gave to another sink.",
                one,
            )?,
            restarts: counter(
                "driftless_component_restarts_total",
                "Restarts of the component after an error or a panic.",
                one,
            )?,
            retries: counter(
                "driftless_component_retries_total",
                "Requests that were tried again.",
                one,
            )?,
            failing: gauge(
                "driftless_sink_failing",
                "Whether the sink's last attempt failed, so that what it holds waits and is tried \
                 again: 1, else 0. Why stands in the log.",
            )?,
            busy,
            buffer_batches: gauge(
                "driftless_buffer_batches",
                "Batches that wait in front of the component.",
            )?,
            buffer_bytes: gauge(
                "driftless_buffer_bytes",
                "Bytes that wait in front of the component.",
            )?,
        };
        let ledger = Ledger::new()?;
        registry.register(Box::new(ledger.clone()))?;
        Ok(Self {
            registry,
            metrics: Arc::new(metrics),
            ledger,
            health: Health::default(),
            standings: Standings::default(),
            fullness: Fullness::default(),
            taps: Taps::default(),
            own: Arc::default(),
        })
    }

    /// The counters of one component.
    pub fn component(&self, name: &Arc<str>) -> ComponentTelemetry {
        let metrics = &self.metrics;
        let label: &[&str] = &[name];
        ComponentTelemetry {
            name: Arc::clone(name),
            metrics: Arc::clone(metrics),
            health: self.health.clone(),
            tap: self.taps.point(name),
            events_in: metrics.events_in.with_label_values(label),
            bytes_in: metrics.bytes_in.with_label_values(label),
            events_out: metrics.events_out.with_label_values(label),
            bytes_out: metrics.bytes_out.with_label_values(label),
            errors: metrics.errors.with_label_values(label),
            restarts: metrics.restarts.with_label_values(label),
            retries: metrics.retries.with_label_values(label),
            busy: metrics.busy.with_label_values(label),
        }
    }

    /// The account of what becomes of the records that a source, or the buffer in front of a
    /// component, gives.
    pub(super) fn account(&self, name: &Arc<str>) -> Arc<dyn Book> {
        self.ledger.account(name)
    }

    /// The gauges of the edge in front of one component.
    pub fn edge(&self, reader: &str) -> EdgeTelemetry {
        EdgeTelemetry {
            reader: reader.into(),
            dropped: self.metrics.dropped.clone(),
            batches: self.metrics.buffer_batches.with_label_values(&[reader]),
            bytes: self.metrics.buffer_bytes.with_label_values(&[reader]),
            full: self.fullness.buffer(reader, Place::Memory),
        }
    }

    /// Lets go of the series of a component that a reload has removed, so that names that come
    /// and go do not pile up.
    pub(super) fn forget(&self, component: &str) {
        let metrics = &self.metrics;
        let of_one = [
            &metrics.events_in,
            &metrics.bytes_in,
            &metrics.events_out,
            &metrics.bytes_out,
            &metrics.errors,
            &metrics.restarts,
            &metrics.retries,
        ];
        // A series that was never made is as good as gone.
        for metric in of_one {
            metric.remove_label_values(&[component]).ok();
        }
        metrics.busy.remove_label_values(&[component]).ok();
        metrics.failing.remove_label_values(&[component]).ok();
        metrics.buffer_batches.remove_label_values(&[component]).ok();
        metrics.buffer_bytes.remove_label_values(&[component]).ok();
        self.ledger.forget(component);
        self.health.forget(component);
        self.fullness.forget(component);
        self.taps.forget(component);
        if let Some(buffers) = self.known::<BufferMetrics>() {
            buffers.forget(component);
        }
        for family in metrics.dropped.collect() {
            for metric in family.get_metric() {
                let value = |name| metric.get_label().iter().find(|l| l.name() == name);
                if let (Some(owner), Some(reason)) = (value("component"), value("reason"))
                    && owner.value() == component
                {
                    metrics.dropped.remove_label_values(&[component, reason.value()]).ok();
                }
            }
        }
    }

    /// Metrics that [`Self::own`] has made.
    fn known<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let all = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&TypeId::of::<T>()).map(Arc::clone)?.downcast().ok()
    }

    /// A component's own metrics, which `make` makes and registers the first time; each further
    /// run of the component goes on with the same ones.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn own<T: Any + Send + Sync>(
        &self,
        make: impl FnOnce(&Self) -> Result<T, prometheus::Error>,
    ) -> Result<Arc<T>, prometheus::Error> {
        let mut all = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.get(&TypeId::of::<T>()).map(Arc::clone);
        if let Some(known) = known.and_then(|known| known.downcast().ok()) {
            return Ok(known);
        }
        let made = Arc::new(make(self)?);
        all.insert(TypeId::of::<T>(), Arc::clone(&made) as Arc<dyn Any + Send + Sync>);
        Ok(made)
    }

    /// Adds a component's own metric, so that it rides along with the others.
    ///
    /// # Errors
    /// Where the name is taken or not a valid one.
    pub fn register(&self, metric: Box<dyn Collector>) -> Result<(), prometheus::Error> {
        self.registry.register(metric)
    }

    /// Where somebody can look at what passes the components.
    pub fn taps(&self) -> &Taps {
        &self.taps
    }

    /// What troubles the components.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Which buffers are full.
    pub(super) fn fullness(&self) -> &Fullness {
        &self.fullness
    }

    /// How checks of metrics stand.
    pub fn standings(&self) -> &Standings {
        &self.standings
    }

    /// All metrics as they stand now, sorted by name.
    pub fn families(&self) -> Vec<Family> {
        self.registry.gather().iter().map(family).collect()
    }
}

fn family(from: &prometheus::proto::MetricFamily) -> Family {
    let kind = match from.get_field_type() {
        MetricType::COUNTER => MetricKind::Counter,
        MetricType::GAUGE => MetricKind::Gauge,
        MetricType::HISTOGRAM => MetricKind::Histogram,
        MetricType::SUMMARY => MetricKind::Summary,
        MetricType::UNTYPED => MetricKind::Untyped,
    };
    let mut family = Family::new(Text::shared(from.name()), kind, Text::shared(from.help()));
    for metric in from.get_metric() {
        let labels = metric
            .get_label()
            .iter()
            .map(|label| (Text::shared(label.name()), Text::shared(label.value())))
            .collect();
        let value = match kind {
            MetricKind::Counter => SampleValue::Number(metric.get_counter().get_value()),
            MetricKind::Gauge => SampleValue::Number(metric.get_gauge().get_value()),
            MetricKind::Histogram => {
                let histogram = metric.get_histogram();
                SampleValue::Histogram {
                    buckets: histogram
                        .get_bucket()
                        .iter()
                        .filter(|bucket| bucket.upper_bound().is_finite())
                        .map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()))
                        .collect(),
                    sum: histogram.get_sample_sum(),
                    count: histogram.get_sample_count(),
                }
            }
            // The agent registers neither.
            MetricKind::Summary | MetricKind::Untyped => continue,
        };
        family.samples.push(Sample { labels, value, timestamp_ms: None });
    }
    family
}

impl ComponentTelemetry {
    /// The component's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The component took a batch.
    pub fn received(&self, batch: &Batch) {
        self.events_in.inc_by(batch.len() as u64);
        self.bytes_in.inc_by(batch.bytes() as u64);
        self.tap.pass(Side::Input, batch);
    }

    /// The component passed a batch on.
    pub fn sent(&self, batch: &Batch) {
        self.delivered(batch.len() as u64, batch.bytes() as u64);
        self.tap.pass(Side::Output, batch);
    }

    /// The component passed on so many events in so many bytes.
    pub fn delivered(&self, events: u64, bytes: u64) {
        self.events_out.inc_by(events);
        self.bytes_out.inc_by(bytes);
    }

    /// Something went wrong, so many times.
    pub fn errors(&self, count: u64) {
        self.errors.inc_by(count);
    }

    /// Records were given up for good.
    pub fn dropped(&self, reason: &str, records: u64) {
        self.metrics.dropped.with_label_values(&[&*self.name, reason]).inc_by(records);
    }

    /// Records were given to the sink for dead letters.
    pub fn dead_lettered(&self, records: u64) {
        self.metrics.dead_letters.with_label_values(&[&*self.name]).inc_by(records);
    }

    /// The component was started again after a failure.
    pub fn restarted(&self) {
        self.restarts.inc();
    }

    /// A request is tried again.
    pub fn retried(&self) {
        self.retries.inc();
    }

    /// What became of the last attempt of the component, which is a sink.
    pub(super) fn failing(&self) -> Failing {
        let gauge = self.metrics.failing.with_label_values(&[&*self.name]);
        Failing { gauge, name: Arc::clone(&self.name), health: self.health.clone() }
    }

    /// The component begins to work.
    pub(super) fn at_work(&self) {
        self.health.clear(&self.name, State::Restarting);
        self.health.clear(&self.name, State::Ended);
    }

    /// The component does not work, for the reason given.
    pub(super) fn not_at_work(&self, state: State, reason: &str) {
        self.health.set(&self.name, state, reason);
    }

    /// The component worked for so long.
    pub fn busy(&self, time: Duration) {
        self.busy.inc_by(time.as_secs_f64());
    }
}

impl Failing {
    /// The last attempt came to this.
    pub(super) fn note(&self, attempt: Result<(), &str>) {
        match attempt {
            Ok(()) if self.gauge.get() == 0 => {}
            Ok(()) => {
                self.gauge.set(0);
                self.health.clear(&self.name, State::Failing);
            }
            Err(reason) => {
                self.gauge.set(1);
                self.health.set(&self.name, State::Failing, reason);
            }
        }
    }
}

impl EdgeTelemetry {
    /// The same for an edge behind a buffer on disk: that it is full is no news.
    pub(super) fn behind_a_buffer(self) -> Self {
        Self { full: Full::default(), ..self }
    }

    /// A batch found no room.
    pub(super) fn is_full(&self) {
        self.full.begin();
    }
    /// Records found the edge full and were dropped.
    pub(super) fn dropped(&self, records: u64) {
        self.dropped.with_label_values(&[&*self.reader, "buffer_full"]).inc_by(records);
    }

    pub(super) fn enters(&self, bytes: u32) {
        self.batches.inc();
        self.bytes.add(i64::from(bytes));
    }

    pub(super) fn leaves(&self, bytes: u32) {
        self.full.end();
        self.batches.dec();
        self.bytes.sub(i64::from(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_a_valid_name_and_is_given_out() {
        let telemetry = Telemetry::new().unwrap();
        let name: Arc<str> = "logs.app".into();
        telemetry.component(&name).dropped("too long", 3);
        let families = telemetry.families();
        let dropped = families
            .iter()
            .find(|family| family.name == "driftless_component_dropped_events_total")
            .unwrap();
        assert_eq!(dropped.kind, MetricKind::Counter);
        assert_eq!(dropped.samples[0].value, SampleValue::Number(3.0));
        assert_eq!(dropped.samples[0].labels[1], ("reason".into(), "too long".into()));
    }
}
