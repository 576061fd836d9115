//! `threshold`: says when a metric is where it should not be.

mod check;
mod event;
mod glance;
mod intake;
mod keep;
mod rules;
mod series;
mod tell;
#[cfg(test)]
mod tests;

use crate::event::metric::MetricBatch;
use crate::event::{Batch, Kinds};
use crate::expr::go_template::HOLE;
use crate::expr::promql::{Element, Labels, Ring, Value, evaluate};
use crate::topology::component::{
    BuildContext, Fault, Outputs, Remember, Transform, TransformConfig,
};
use crate::topology::settings::{ByteSize, Period};
use crate::topology::standings::Place;
pub use check::{Check, Level};
use event::Event;
pub use glance::{Finding, Glance, Standing};
use indexmap::IndexMap;
use intake::fill;
pub use rules::{Group, Rule, Text};
use rules::{Moment, Rules};
use schemars::JsonSchema;
use serde::Deserialize;
use series::Series;
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Says when a metric is where it should not be: takes metrics, and gives a log record for every
/// change of a check's state, into any sink.
///
/// ```yaml
/// watch:
///   type: threshold
///   inputs: [facts.host]
///   checks:
///     - name: root disk
///       expr: 100 * node_filesystem_avail_bytes{mountpoint="/"} / node_filesystem_size_bytes
///       warning:  {below: 15, clear_above: 20, for: 5m}
///       critical: {below: 5, clear_above: 8}
///     - name: load
///       expr: node_load5 / scalar(count(count by (cpu) (node_cpu_seconds_total)))
///       warning: {above: 2, clear_below: 1.5, for: 10m, clear_for: 5m}
///       no_data: {after: 3m, state: unknown}
///       flap: {changes: 6, within: 30m}
///       labels: {team: infra}
///   rule_files: [rules/*.yml]
///   labels: {job: node}
/// ```
///
/// Each series of a check has a state of its own: `ok`, `warning`, `critical` or `unknown`. It is
/// `pending`, and nothing is said, until the metrics that came since the start fill the longest
/// window of the expression. A series that is `ok` then is no news. `driftless status` shows how all
/// stand.
///
/// A record has `check`, `series`, `from`, `to`, `value`, `threshold`, `since` (when the state
/// before began), `labels` (those of the series and those of the check) and a `message`. How every
/// series stands is kept in the agent's `data_dir`, so that a restart tells nothing twice, and what
/// `for` waits for goes on; after five minutes without an agent that begins anew.
///
/// Rules are Prometheus's own: `rule_files` are read as they are, and an alert pends, fires and
/// resolves when it would there. A record of one has `from` and `to` as `ok` and `firing`, and
/// `annotations`. Windows begin empty at a start; until they are full again, no alert of before
/// is resolved. What a template asks by `query` must name its metrics in the text, or in that of a
/// `printf`.
///
/// A second output, `NAME.standing`, says once a minute what is bad, and for 15 minutes what no
/// longer is: for the sink [`alertmanager`](../sinks/alertmanager.md), which must hear that again
/// and again.
///
/// Expressions are `PromQL`, with Prometheus 3's answers. Native histograms and some functions are
/// not there; using one is an error when the config is read.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What is watched.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// Files of Prometheus rules, or patterns of such; relative to the config file.
    #[serde(default)]
    pub rule_files: Vec<PathBuf>,
    /// Groups of rules as such a file has them.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// Labels that every series has that does not have its own, such as the `job` and `instance`
    /// that rules look for. With `up`, which is 1 whenever metrics come, they are what a server
    /// would add.
    #[serde(default)]
    pub labels: IndexMap<String, String>,
    /// How often what is bad is said again on the output `standing`.
    #[serde(default = "resend")]
    pub resend: Period,
    /// Checks are made whenever metrics come, and after so long without any.
    #[serde(default = "interval")]
    pub interval: Period,
    /// Bytes for the values of the past that windows look at. Series that come when they are used
    /// up are left out, and counted among the errors.
    #[serde(default = "memory")]
    pub memory: ByteSize,
}

fn interval() -> Period {
    Period(Duration::from_secs(30))
}

fn resend() -> Period {
    Period(Duration::from_secs(60))
}

fn memory() -> ByteSize {
    ByteSize(16 << 20)
}

impl Config {
    /// Room for what checks, rules and the templates of rules look at.
    fn ring(&self) -> Ring {
        let rules = self.groups.iter().flat_map(|group| &group.rules);
        let checks = self.checks.iter().map(|check| &check.expr.parsed);
        let expressions = checks.chain(rules.clone().map(|rule| &rule.expr.parsed));
        let mut ring = Ring::new(expressions, self.memory.as_usize());
        let texts = rules.flat_map(|rule| rule.labels.values().chain(rule.annotations.values()));
        texts.flat_map(|text| &text.queries).for_each(|query| ring.want(query, HOLE));
        ring
    }
}

impl TransformConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::METRICS
    }

    fn gives(&self, _: Kinds) -> Kinds {
        Kinds::LOGS
    }

    fn outputs(&self) -> Vec<Arc<str>> {
        vec![STANDING.into()]
    }

    fn remembers(&self) -> bool {
        true
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Transform>, Fault> {
        let mut threshold = Threshold::new(self, cx.now_ms()).map_err(Fault::fatal)?;
        threshold.source.clone_from(&cx.name);
        threshold.host.clone_from(&cx.env.host);
        threshold.place = Some(cx.env.telemetry.standings().place());
        if let Some(bytes) = cx.kept() {
            threshold.restore(&bytes);
        }
        Ok(Box::new(threshold))
    }
}

/// The output that says again and again what is bad.
const STANDING: &str = "standing";

struct Threshold {
    checks: Vec<Watched>,
    rules: Rules,
    ring: Ring,
    labels: IndexMap<String, String>,
    resend: Duration,
    /// When it was last said what is bad, counted as `now`.
    said: Option<Duration>,
    standing: Arc<str>,
    /// When what was given to keep last says that it was, if anything was given.
    kept_at: Option<Option<i64>>,
    interval: Duration,
    /// When the run began, in milliseconds since the epoch.
    begun_ms: i64,
    now: Duration,
    /// When the checks were last made, counted as `now`.
    checked: Duration,
    /// When the first metrics came, in milliseconds since the epoch.
    first_ms: Option<i64>,
    /// When metrics came last.
    last_ms: i64,
    source: Arc<str>,
    host: Arc<str>,
    /// Where it is told how all stand.
    place: Option<Place>,
}

/// A check with what is known of its series.
struct Watched {
    check: Check,
    series: BTreeMap<Labels, Series>,
    /// Whether it ever had a series.
    was_heard: bool,
    /// Whether it has been said that the expression cannot be computed.
    is_broken: bool,
    /// Whether what is to be kept of it is another than when that was last asked for.
    is_changed: bool,
}

impl Threshold {
    fn new(config: &Config, begun_ms: i64) -> Result<Self, String> {
        if config.checks.is_empty() && config.groups.iter().all(|group| group.rules.is_empty()) {
            return Err("neither `checks` nor `rule_files` say what to watch".into());
        }
        if config.interval.0.is_zero() {
            return Err("`interval` is 0s, expected a time such as `30s`".into());
        }
        let mut names = HashSet::new();
        for check in &config.checks {
            check.validate().map_err(|reason| format!("`{}`: {reason}", check.name))?;
            if !names.insert(check.name.as_str()) {
                return Err(format!("`{}` is there twice", check.name));
            }
        }
        let ring = config.ring();
        let watched = |check: &Check| Watched {
            check: check.clone(),
            series: BTreeMap::new(),
            was_heard: false,
            is_broken: false,
            is_changed: false,
        };
        Ok(Self {
            checks: config.checks.iter().map(watched).collect(),
            rules: Rules::new(&config.groups)?,
            ring,
            labels: config.labels.clone(),
            resend: config.resend.0,
            said: None,
            standing: STANDING.into(),
            kept_at: None,
            interval: config.interval.0,
            begun_ms,
            now: Duration::ZERO,
            checked: Duration::ZERO,
            first_ms: None,
            last_ms: begun_ms,
            source: "".into(),
            host: "".into(),
            place: None,
        })
    }

    fn now_ms(&self) -> i64 {
        self.begun_ms.saturating_add(i64::try_from(self.now.as_millis()).unwrap_or(i64::MAX))
    }

    fn take(&mut self, metrics: &MetricBatch) {
        let at_ms = self.now_ms();
        self.first_ms.get_or_insert(at_ms);
        self.last_ms = at_ms;
        fill(&mut self.ring, metrics, &self.labels, at_ms);
    }

    fn check(&mut self, out: &mut Outputs) {
        self.checked = self.now;
        let at_ms = self.now_ms();
        let (first_ms, silent_ms) = (self.first_ms.unwrap_or(self.begun_ms), at_ms - self.last_ms);
        // What rules record is there for checks.
        let found = self.rules.run(&mut self.ring, Moment { at_ms, first_ms });
        out.count_errors(found.errors);
        let mut events = found.events;
        for watched in &mut self.checks {
            let mut elements = match evaluate(&watched.check.expr.parsed, &self.ring, at_ms) {
                Ok(Value::Vector(elements)) => elements,
                Ok(Value::Scalar(value)) => vec![Element { labels: Labels::default(), value }],
                Err(reason) => {
                    out.count_errors(1);
                    if !std::mem::replace(&mut watched.is_broken, true) {
                        let check = watched.check.name.as_str();
                        tracing::error!(check, reason, "the check cannot be made");
                    }
                    Vec::new()
                }
            };
            let window_ms = watched.check.expr.parsed.longest_window_ms();
            let is_pending = at_ms - first_ms < window_ms;
            if silent_ms >= watched.check.no_data.after_ms() {
                // A value counts for a while after it came, but not for so long.
                elements.clear();
            }
            let newest_ms = self.ring.newest_ms(&watched.check.expr.parsed);
            watched.judge(elements, at_ms, newest_ms, is_pending, &mut events);
        }
        self.tell();
        events.sort_by(|a, b| (&a.check, &a.series).cmp(&(&b.check, &b.series)));
        let is_time = self.said.is_none_or(|said| self.now >= said + self.resend);
        if is_time || !events.is_empty() {
            self.said = Some(self.now);
            self.say_what_stands(at_ms, out);
        }
        if let Some(batch) = event::records(&events, at_ms, &self.source, &self.host) {
            out.emit(Batch::Logs(batch));
        }
    }

    fn say_what_stands(&mut self, at_ms: i64, out: &mut Outputs) {
        let mut standing = self.rules.standing(at_ms);
        for Watched { check, series, is_changed, .. } in &mut self.checks {
            for (labels, series) in series {
                *is_changed |= series.has_old_news(at_ms);
                let all = series.standing(at_ms);
                standing.extend(all.iter().map(|it| Event::standing(check, labels.clone(), it)));
            }
        }
        if let Some(batch) = event::records(&standing, at_ms, &self.source, &self.host) {
            out.emit_to(&self.standing, Batch::Logs(batch));
        }
    }
}

impl Watched {
    /// Brings every series to the state that its value asks for.
    fn judge(
        &mut self,
        elements: Vec<Element>,
        at_ms: i64,
        newest_ms: Option<i64>,
        is_pending: bool,
        events: &mut Vec<Event>,
    ) {
        // What is no number says nothing, and must not look like a good value.
        let elements: Vec<Element> =
            elements.into_iter().filter(|element| !element.value.is_nan()).collect();
        let mut missing: HashSet<Labels> = self.series.keys().cloned().collect();
        let (known, was_heard) = (self.series.len(), self.was_heard);
        self.was_heard |= !elements.is_empty();
        if !self.was_heard && self.series.is_empty() && !is_pending {
            // Nothing was ever there; that too is silence.
            self.series.insert(Labels::default(), Series::stand_in(at_ms));
            missing.insert(Labels::default());
        }
        for Element { labels, value } in elements {
            missing.remove(&labels);
            if is_pending {
                continue;
            }
            let series = self.series.entry(labels.clone()).or_insert_with(|| Series::new(at_ms));
            let before = series.clone();
            let change = series.value(&self.check, value, at_ms);
            self.is_changed |= !series.is_kept_as(before);
            events.extend(change.map(|change| Event::change(&self.check, labels, &change)));
        }
        let is_heard = missing.len() < self.series.len();
        for labels in missing {
            let Some(series) = self.series.get_mut(&labels) else { continue };
            let before = series.clone();
            let gives_way = is_heard && series.stands_in();
            let change = if gives_way {
                series.give_way(at_ms)
            } else {
                series.silence(&self.check, at_ms, newest_ms)
            };
            self.is_changed |= !series.is_kept_as(before);
            if gives_way || series.is_forgotten(at_ms) {
                self.series.remove(&labels);
                self.is_changed = true;
            }
            events.extend(change.map(|change| Event::change(&self.check, labels, &change)));
        }
        self.is_changed |= self.series.len() != known || self.was_heard != was_heard;
    }
}

impl Transform for Threshold {
    fn transform(&mut self, batch: Batch, out: &mut Outputs) -> Result<(), Fault> {
        let Batch::Metrics(metrics) = batch else { return Ok(()) };
        self.take(&metrics);
        out.count_errors(self.ring.take_refused());
        self.check(out);
        Ok(())
    }

    fn memory(&mut self) -> Option<&mut dyn Remember> {
        Some(self)
    }
}

impl Remember for Threshold {
    fn tick(&mut self, now: Duration, out: &mut Outputs) -> Result<(), Fault> {
        self.now = now;
        if self.due().is_some_and(|due| due <= now) {
            self.check(out);
        }
        Ok(())
    }

    fn due(&self) -> Option<Duration> {
        Some(self.checked + self.interval)
    }

    fn flush(&mut self, _: &mut Outputs) -> Result<(), Fault> {
        Ok(())
    }

    fn to_keep(&mut self) -> Option<Vec<u8>> {
        let at_ms = self.kept_at_ms();
        let mut is_changed = self.rules.take_changed();
        for watched in &mut self.checks {
            is_changed |= std::mem::take(&mut watched.is_changed);
        }
        if !is_changed && self.kept_at == Some(at_ms) {
            return None;
        }
        self.kept_at = Some(at_ms);
        self.standings(at_ms)
    }

    // What a record is made of is remembered, but no record waits.
    fn held_since(&self) -> Option<u64> {
        None
    }
}
