//! Prometheus's rules, computed on the host as Prometheus computes them: alerts pend, fire and
//! resolve, and what rules record can be used by those behind them.

mod alert;
mod config;
#[cfg(test)]
mod tests;

use super::event::Event;
use super::keep::KeptAlert;
use crate::expr::promql::{Element, Expr, Labels, Ring, Value, evaluate};
pub(super) use alert::AlertRule;
use config::Kind;
pub use config::{Group, Rule, Text};
use std::collections::HashSet;

/// All rules, with what is known of them.
#[derive(Default)]
pub(super) struct Rules {
    groups: Vec<Running>,
}

struct Running {
    interval_ms: Option<i64>,
    limit: usize,
    run_ms: Option<i64>,
    rules: Vec<RunningRule>,
}

enum RunningRule {
    Record(Recording),
    Alert(AlertRule),
}

struct Recording {
    name: String,
    expr: Expr,
    labels: Vec<(String, String)>,
    /// The series that it gave last.
    present: HashSet<Labels>,
    is_broken: bool,
}

/// When rules are computed.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    /// In milliseconds since the epoch.
    pub(super) at_ms: i64,
    /// When the first metrics of this run came.
    pub(super) first_ms: i64,
}

/// What comes of it.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) events: Vec<Event>,
    pub(super) errors: u64,
}

impl Rules {
    /// Rules of which nothing is known yet.
    pub(super) fn new(groups: &[Group]) -> Result<Self, String> {
        let running = |group: &Group| {
            group.validate()?;
            let rules = group.rules.iter().map(|rule| RunningRule::new(group, rule));
            Ok(Running {
                interval_ms: group.interval.map(|interval| millis(interval.0)),
                limit: group.limit,
                run_ms: None,
                rules: rules.collect::<Result<_, String>>()?,
            })
        };
        Ok(Self { groups: groups.iter().map(running).collect::<Result<_, String>>()? })
    }

    /// Computes the rules whose time has come.
    pub(super) fn run(&mut self, ring: &mut Ring, now: Moment) -> Outcome {
        let mut outcome = Outcome::default();
        for group in &mut self.groups {
            // Metrics come about when they should, not exactly then.
            let is_early = |before: i64| {
                group.interval_ms.is_some_and(|every| now.at_ms - before < every - every / 10)
            };
            if group.run_ms.is_some_and(is_early) {
                continue;
            }
            group.run_ms = Some(now.at_ms);
            for rule in &mut group.rules {
                rule.run(ring, now, group.limit, &mut outcome);
            }
        }
        outcome
    }

    /// Every alert that fires, and those that have ended a while ago.
    pub(super) fn standing(&mut self, at_ms: i64) -> Vec<Event> {
        self.alerts_mut().flat_map(|rule| rule.standing(at_ms)).collect()
    }

    /// The alerts that are pending or fire, for the next start.
    pub(super) fn kept(&self) -> Vec<KeptAlert> {
        self.alerts().flat_map(AlertRule::kept).collect()
    }

    /// The rules that alert.
    pub(super) fn alerts(&self) -> impl Iterator<Item = &AlertRule> {
        let rules = self.groups.iter().flat_map(|group| &group.rules);
        rules.filter_map(|rule| match rule {
            RunningRule::Alert(alert) => Some(alert),
            RunningRule::Record(_) => None,
        })
    }

    /// Whether an alert pends.
    pub(super) fn are_pending(&self) -> bool {
        self.alerts().any(AlertRule::is_pending)
    }

    /// Whether what is to be kept of alerts is another than when this was last asked.
    pub(super) fn take_changed(&mut self) -> bool {
        let changed = |is_any: bool, rule: &mut AlertRule| is_any | rule.take_changed();
        self.alerts_mut().fold(false, changed)
    }

    /// Takes up what the run before has kept, which ended so many milliseconds ago.
    pub(super) fn restore(&mut self, kept: &[KeptAlert], away_ms: i64) {
        self.alerts_mut().for_each(|rule| rule.restore(kept, away_ms));
    }

    fn alerts_mut(&mut self) -> impl Iterator<Item = &mut AlertRule> {
        let rules = self.groups.iter_mut().flat_map(|group| &mut group.rules);
        rules.filter_map(|rule| match rule {
            RunningRule::Alert(alert) => Some(alert),
            RunningRule::Record(_) => None,
        })
    }
}

impl RunningRule {
    fn new(group: &Group, rule: &Rule) -> Result<Self, String> {
        Ok(match rule.kind()? {
            Kind::Alert(name) => Self::Alert(AlertRule::new(name, group, rule)),
            Kind::Record(name) => {
                let own = rule.labels.iter().map(|(name, text)| (name, &text.text));
                let pair = |(name, value): (&String, &String)| (name.clone(), value.clone());
                Self::Record(Recording {
                    name: name.to_owned(),
                    expr: rule.expr.parsed.clone(),
                    labels: group.labels.iter().chain(own).map(pair).collect(),
                    present: HashSet::new(),
                    is_broken: false,
                })
            }
        })
    }

    fn run(&mut self, ring: &mut Ring, now: Moment, limit: usize, outcome: &mut Outcome) {
        let done = match self {
            Self::Record(rule) => rule.run(ring, now, limit),
            Self::Alert(rule) => rule.run(ring, now, limit, outcome),
        };
        let (name, is_broken) = match self {
            Self::Record(rule) => (&rule.name, &mut rule.is_broken),
            Self::Alert(rule) => (&rule.name, &mut rule.is_broken),
        };
        match done {
            Ok(()) => *is_broken = false,
            Err(reason) => {
                outcome.errors += 1;
                if !std::mem::replace(is_broken, true) {
                    let rule = name.as_str();
                    tracing::error!(rule, reason, "the rule cannot be computed");
                }
            }
        }
    }
}

impl Recording {
    fn run(&mut self, ring: &mut Ring, now: Moment, limit: usize) -> Result<(), String> {
        let elements = elements(&self.expr, ring, now.at_ms, limit)?;
        let mut present = HashSet::new();
        let mut recorded = Vec::new();
        for Element { mut labels, value } in elements {
            labels.set("__name__", &self.name);
            self.labels.iter().for_each(|(name, value)| labels.set(name, value));
            if !present.insert(labels.clone()) {
                return Err(format!("several values for `{labels}`"));
            }
            recorded.push((labels, value));
        }
        for (labels, value) in recorded {
            ring.push(labels, now.at_ms, value);
        }
        for gone in self.present.difference(&present) {
            ring.end(gone, now.at_ms);
        }
        self.present = present;
        Ok(())
    }
}

/// What an expression comes to, if it is no more than may be.
fn elements(expr: &Expr, ring: &Ring, at_ms: i64, limit: usize) -> Result<Vec<Element>, String> {
    let elements = match evaluate(expr, ring, at_ms)? {
        Value::Vector(elements) => elements,
        Value::Scalar(value) => vec![Element { labels: Labels::default(), value }],
    };
    match elements.len() {
        found if limit > 0 && found > limit => {
            Err(format!("it gives {found} series, and `limit` is {limit}"))
        }
        _ => Ok(elements),
    }
}

fn millis(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
