//! A rule that alerts.

use super::super::event::{Event, Kind};
use super::super::keep::KeptAlert;
use super::super::series::SAID_FOR_MS;
use super::config::{Group, Rule, Text};
use super::{Moment, Outcome, elements, millis};
use crate::expr::go_template::Scope;
use crate::expr::promql::{Element, Expr, Labels, Ring, parse};
use std::collections::{BTreeMap, HashSet};

/// What a run before has kept of an alert that pended is of no use after so long an absence.
const FORGOTTEN_AFTER_MS: i64 = 3_600_000;

/// What the `query` of a template gives.
type Ask<'a> = &'a dyn Fn(&str) -> Result<Vec<Element>, String>;

fn ask(text: &str, ring: &Ring, at_ms: i64) -> Result<Vec<Element>, String> {
    let expr = parse(text).map_err(|problem| problem.to_string())?;
    elements(&expr, ring, at_ms, 0)
}

/// A rule with its alerts.
pub(in super::super) struct AlertRule {
    pub(in super::super) name: String,
    group: String,
    text: String,
    expr: Expr,
    pending_for_ms: i64,
    keep_firing_for_ms: i64,
    group_labels: Vec<(String, String)>,
    labels: Vec<(String, Text)>,
    annotations: Vec<(String, Text)>,
    alerts: BTreeMap<Labels, Alert>,
    /// Alerts that have ended: with when, in milliseconds since the epoch.
    ended: Vec<(Labels, Alert, i64)>,
    pub(in super::super) is_broken: bool,
    /// Whether what is to be kept of its alerts is another than when that was last asked for.
    is_changed: bool,
}

/// An alert.
#[derive(Clone, Debug)]
struct Alert {
    /// Since when its series is there.
    active_ms: i64,
    /// Since when it fires, if it does.
    fired_ms: Option<i64>,
    /// Since when its series is gone and it is kept firing.
    gone_ms: Option<i64>,
    value: f64,
    annotations: Vec<(String, String)>,
    /// Whether it is of the run before, and its series was not seen since.
    is_restored: bool,
}

impl AlertRule {
    pub(super) fn new(name: &str, group: &Group, rule: &Rule) -> Self {
        let texts = |map: &indexmap::IndexMap<String, Text>| {
            map.iter().map(|(name, text)| (name.clone(), text.clone())).collect()
        };
        let pair = |(name, value): (&String, &String)| (name.clone(), value.clone());
        Self {
            name: name.to_owned(),
            group: group.name.clone(),
            text: rule.expr.text.clone(),
            expr: rule.expr.parsed.clone(),
            pending_for_ms: millis(rule.pending_for.0),
            keep_firing_for_ms: millis(rule.keep_firing_for.0),
            group_labels: group.labels.iter().map(pair).collect(),
            labels: texts(&rule.labels),
            annotations: texts(&rule.annotations),
            alerts: BTreeMap::new(),
            ended: Vec::new(),
            is_broken: false,
            is_changed: false,
        }
    }

    /// Computes the rule and brings its alerts to the state that follows.
    pub(super) fn run(
        &mut self,
        ring: &mut Ring,
        now: Moment,
        limit: usize,
        outcome: &mut Outcome,
    ) -> Result<(), String> {
        let elements = elements(&self.expr, ring, now.at_ms, limit)?;
        let asked: &Ring = ring;
        let ask: Ask<'_> = &|text| ask(text, asked, now.at_ms);
        let mut present = HashSet::new();
        let mut found = Vec::new();
        for element in &elements {
            let labels = self.labels_of(element, ask);
            if !present.insert(labels.clone()) {
                return Err(format!("several alerts have the labels {labels}"));
            }
            let annotations = rendered(&self.annotations, element, ask);
            found.push((labels, element.value, annotations.collect::<Vec<_>>()));
        }
        let known = self.alerts.len();
        for (labels, value, annotations) in found {
            let alert = self.alerts.entry(labels).or_insert_with(|| Alert::new(now.at_ms));
            self.is_changed |= alert.annotations != annotations;
            (alert.value, alert.annotations) = (value, annotations);
            (alert.gone_ms, alert.is_restored) = (None, false);
        }
        self.is_changed |= self.alerts.len() != known;
        let window_ms = self.window_ms();
        // Until its windows are full again, nothing is known of an alert of the run before.
        let is_blind = now.at_ms - now.first_ms <= window_ms;
        let (pending_for_ms, keep_ms) = (self.pending_for_ms, self.keep_firing_for_ms);
        let mut events = Vec::new();
        let mut ended = Vec::new();
        for (labels, alert) in &mut self.alerts {
            if present.contains(labels) {
                if alert.fired_ms.is_none() && now.at_ms - alert.active_ms >= pending_for_ms {
                    alert.fired_ms = Some(now.at_ms);
                    events.push((labels.clone(), alert.clone(), ["ok", "firing"], alert.active_ms));
                }
                continue;
            }
            if is_blind && alert.is_restored {
                continue;
            }
            let gone_ms = *alert.gone_ms.get_or_insert(now.at_ms);
            if let Some(fired_ms) = alert.fired_ms {
                if now.at_ms - gone_ms < keep_ms {
                    continue;
                }
                events.push((labels.clone(), alert.clone(), ["firing", "ok"], fired_ms));
            }
            ended.push(labels.clone());
        }
        self.is_changed |= !events.is_empty() || !ended.is_empty();
        for (labels, alert, change, since_ms) in events {
            outcome.events.push(self.event(labels, &alert, Told::Change(change, since_ms)));
        }
        for labels in ended {
            let Some(alert) = self.alerts.remove(&labels) else { continue };
            for state in [Alert::PENDING, Alert::FIRING] {
                ring.end(&series("ALERTS", &labels, Some(state)), now.at_ms);
            }
            ring.end(&series("ALERTS_FOR_STATE", &labels, None), now.at_ms);
            if alert.fired_ms.is_some() {
                self.ended.push((labels, alert, now.at_ms));
            }
        }
        self.record(ring, now.at_ms);
        Ok(())
    }

    /// The series by which rules see alerts.
    fn record(&self, ring: &mut Ring, at_ms: i64) {
        let is_read = ring.wants("ALERTS") || ring.wants("ALERTS_FOR_STATE");
        for (labels, alert) in self.alerts.iter().filter(|_| is_read) {
            if alert.fired_ms == Some(at_ms) {
                ring.end(&series("ALERTS", labels, Some(Alert::PENDING)), at_ms);
            }
            ring.push(series("ALERTS", labels, Some(alert.state())), at_ms, 1.0);
            let since = alert.active_ms.div_euclid(1000) as f64;
            ring.push(series("ALERTS_FOR_STATE", labels, None), at_ms, since);
        }
    }

    fn labels_of(&self, element: &Element, ask: Ask<'_>) -> Labels {
        let mut labels = element.labels.nameless();
        self.group_labels.iter().for_each(|(name, value)| labels.set(name, value));
        rendered(&self.labels, element, ask).for_each(|(name, value)| labels.set(&name, &value));
        labels.set("alertname", &self.name);
        labels
    }

    /// How far it looks back, in milliseconds.
    pub(in super::super) fn window_ms(&self) -> i64 {
        self.expr.longest_window_ms()
    }

    /// The alerts whose series are there, whatever `for` says, with their values.
    pub(in super::super) fn active(&self) -> impl Iterator<Item = (&Labels, f64)> {
        let alerts = self.alerts.iter().filter(|(_, alert)| alert.gone_ms.is_none());
        alerts.map(|(labels, alert)| (labels, alert.value))
    }

    /// Every alert: its labels, its state, since when it has that, in milliseconds since the epoch,
    /// and its value.
    pub(in super::super) fn now(&self) -> impl Iterator<Item = (&Labels, &'static str, i64, f64)> {
        self.alerts.iter().map(|(labels, alert)| {
            (labels, alert.state(), alert.fired_ms.unwrap_or(alert.active_ms), alert.value)
        })
    }

    pub(super) fn is_pending(&self) -> bool {
        self.alerts.values().any(|alert| alert.fired_ms.is_none())
    }

    /// Whether what is to be kept of its alerts is another than when this was last asked.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }

    /// Every alert that fires, and those that have ended a while ago.
    pub(super) fn standing(&mut self, at_ms: i64) -> Vec<Event> {
        let alerts = &self.alerts;
        let fires =
            |labels: &Labels| alerts.get(labels).is_some_and(|alert| alert.fired_ms.is_some());
        self.ended.retain(|(labels, _, ended)| at_ms - ended < SAID_FOR_MS && !fires(labels));
        let ended = self.ended.iter().map(|(labels, alert, ended_ms)| {
            self.event(labels.clone(), alert, Told::Standing(Some(*ended_ms)))
        });
        let firing = self.alerts.iter().filter(|(_, alert)| alert.fired_ms.is_some());
        let firing =
            firing.map(|(labels, alert)| self.event(labels.clone(), alert, Told::Standing(None)));
        ended.chain(firing).collect()
    }

    fn event(&self, series: Labels, alert: &Alert, told: Told) -> Event {
        let annotation = |wanted: &str| {
            let found = alert.annotations.iter().find(|(name, _)| name == wanted);
            found.map(|(_, text)| text.clone())
        };
        let word = match told {
            Told::Change([_, to], _) => to,
            Told::Standing(None) => Alert::FIRING,
            Told::Standing(Some(_)) => "ok",
        };
        let plain = || format!("{} {series} is {word}: {}", self.name, alert.value);
        let message = ["summary", "description", "message"].into_iter().find_map(annotation);
        let message = match message {
            Some(message) if word == "ok" => format!("resolved: {message}"),
            Some(message) => message,
            None => plain(),
        };
        let (kind, since_ms) = match told {
            Told::Change([from, to], since_ms) => {
                (Kind::Transition { from, to, is_flapping: false }, since_ms)
            }
            Told::Standing(ended_ms) => {
                let fired_ms = alert.fired_ms.unwrap_or(alert.active_ms);
                (Kind::Standing { state: Alert::FIRING, ended_ms }, fired_ms)
            }
        };
        Event {
            kind,
            check: self.name.clone(),
            series,
            value: Some(alert.value),
            threshold: None,
            since_ms,
            labels: Vec::new(),
            annotations: alert.annotations.clone(),
            message,
        }
    }

    /// What has to be known of its alerts after a restart.
    pub(super) fn kept(&self) -> impl Iterator<Item = KeptAlert> {
        self.alerts.iter().map(|(labels, alert)| KeptAlert {
            group: self.group.clone(),
            rule: self.name.clone(),
            expr: self.text.clone(),
            labels: labels.clone(),
            active_ms: alert.active_ms,
            fired_ms: alert.fired_ms,
            annotations: alert.annotations.clone(),
        })
    }

    /// Takes up what was kept of this very rule by a run that ended so many milliseconds ago.
    pub(super) fn restore(&mut self, kept: &[KeptAlert], away_ms: i64) {
        let is_of = |it: &&KeptAlert| {
            (&it.group, &it.rule, &it.expr) == (&self.group, &self.name, &self.text)
        };
        for kept in kept.iter().filter(is_of) {
            if kept.fired_ms.is_none() && away_ms > FORGOTTEN_AFTER_MS {
                continue;
            }
            // Nobody knows how it was in between: that time does not count.
            let away_ms = if kept.fired_ms.is_none() { away_ms } else { 0 };
            let alert = Alert {
                active_ms: kept.active_ms.saturating_add(away_ms),
                fired_ms: kept.fired_ms,
                annotations: kept.annotations.clone(),
                is_restored: true,
                ..Alert::new(0)
            };
            self.alerts.insert(kept.labels.clone(), alert);
        }
    }
}

/// What is said of an alert.
#[derive(Clone, Copy)]
enum Told {
    /// A change, and since when the state before stood.
    Change([&'static str; 2], i64),
    /// How it stands, and when it ended if it did.
    Standing(Option<i64>),
}

impl Alert {
    const PENDING: &'static str = "pending";
    const FIRING: &'static str = "firing";

    fn new(at_ms: i64) -> Self {
        Self {
            active_ms: at_ms,
            fired_ms: None,
            gone_ms: None,
            value: f64::NAN,
            annotations: Vec::new(),
            is_restored: false,
        }
    }

    fn state(&self) -> &'static str {
        if self.fired_ms.is_some() { Self::FIRING } else { Self::PENDING }
    }
}

fn series(name: &str, labels: &Labels, state: Option<&str>) -> Labels {
    let state = state.map(|state| ("alertstate", state));
    Labels::of(name, labels.iter().chain(state))
}

/// Texts with what is there in the place of `{{ }}`. What cannot be made is said in its place, as
/// Prometheus does.
fn rendered<'t>(
    texts: &'t [(String, Text)],
    element: &'t Element,
    ask: Ask<'t>,
) -> impl Iterator<Item = (String, String)> + 't {
    let scope = Scope { labels: &element.labels, value: element.value, ask };
    texts.iter().map(move |(name, text)| {
        let made = text.template.render(scope);
        let told = |reason: String| format!("<error expanding template: {reason}>");
        (name.clone(), made.unwrap_or_else(told))
    })
}
