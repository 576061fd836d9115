//! How the values of checks are at a moment, for who asks without an agent that watches them.

use super::intake::fill;
use super::rules::{AlertRule, Moment, Rules};
use super::{Check, Config, Level};
use crate::event::metric::MetricBatch;
use crate::expr::promql::{Element, Labels, Ring, Value, evaluate};
use indexmap::IndexMap;
use std::time::Duration;

/// How a series of a check is now. What takes time (`for`, `clear_for`, `flap`) does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// No level is reached.
    Ok,
    /// Nothing is known.
    Unknown,
    /// The level `warning` is reached.
    Warning,
    /// The level `critical` is reached.
    Critical,
}

/// What was found of one series.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The check's or alert's name.
    pub name: String,
    /// Where a value is well, for `warning` and `critical`; a rule does not say.
    pub levels: [Option<Level>; 2],
    /// The labels of the series.
    pub labels: Labels,
    /// Its value.
    pub value: Option<f64>,
    /// How that is.
    pub standing: Standing,
    /// Why nothing is known, where it is not.
    pub reason: String,
}

/// Values gathered for a look at checks and at rules that alert.
pub struct Glance<'c> {
    checks: &'c [Check],
    labels: &'c IndexMap<String, String>,
    rules: Rules,
    ring: Ring,
    first_ms: Option<i64>,
}

impl<'c> Glance<'c> {
    /// Room for what these checks and rules look at.
    ///
    /// # Errors
    /// What makes no sense among the rules.
    pub fn new(config: &'c Config) -> Result<Self, String> {
        let ring = config.ring();
        let (checks, labels) = (&config.checks, &config.labels);
        let rules = Rules::new(&config.groups)?;
        Ok(Self { checks, labels, rules, ring, first_ms: None })
    }

    /// Adds what the host's metrics are at a time, in milliseconds since the epoch, and what rules
    /// make of them.
    pub fn take(&mut self, metrics: &MetricBatch, at_ms: i64) {
        let first_ms = *self.first_ms.get_or_insert(at_ms);
        fill(&mut self.ring, metrics, self.labels, at_ms);
        self.rules.run(&mut self.ring, Moment { at_ms, first_ms });
    }

    /// What the checks and alerts whose names `wanted` holds for come to, those that are worst
    /// first.
    pub fn findings(&self, at_ms: i64, wanted: impl Fn(&str) -> bool) -> Vec<Finding> {
        let gathered_ms = self.first_ms.map_or(0, |first_ms| at_ms - first_ms);
        let checks = self.checks.iter().filter(|check| wanted(&check.name));
        let alerts = self.rules.alerts().filter(|rule| wanted(&rule.name));
        let mut found: Vec<Finding> = checks
            .flat_map(|check| self.of(check, at_ms, gathered_ms))
            .chain(alerts.flat_map(|rule| of_rule(rule, gathered_ms)))
            .collect();
        found.sort_by_key(|finding| std::cmp::Reverse(finding.standing));
        found
    }

    fn of(&self, check: &Check, at_ms: i64, gathered_ms: i64) -> Vec<Finding> {
        let finding = |labels, value: Option<f64>, standing, reason: String| Finding {
            name: check.name.clone(),
            levels: [check.warning.clone(), check.critical.clone()],
            labels,
            value,
            standing,
            reason,
        };
        let unknown = |reason| vec![finding(Labels::default(), None, Standing::Unknown, reason)];
        if let Some(reason) = looks_back(check.expr.parsed.longest_window_ms(), gathered_ms) {
            return unknown(reason);
        }
        let elements = match evaluate(&check.expr.parsed, &self.ring, at_ms) {
            Ok(Value::Vector(elements)) => elements,
            Ok(Value::Scalar(value)) => vec![Element { labels: Labels::default(), value }],
            Err(reason) => return unknown(reason),
        };
        if elements.is_empty() {
            return unknown("there is no such series".to_owned());
        }
        let judged = |Element { labels, value }: Element| {
            let is_bad =
                |level: &Option<Level>| level.as_ref().is_some_and(|level| level.is_bad(value));
            let standing = if value.is_nan() {
                Standing::Unknown
            } else if is_bad(&check.critical) {
                Standing::Critical
            } else if is_bad(&check.warning) {
                Standing::Warning
            } else {
                Standing::Ok
            };
            let reason = if value.is_nan() { "it is no number" } else { "" };
            finding(labels, Some(value), standing, reason.to_owned())
        };
        elements.into_iter().map(judged).collect()
    }
}

/// Why an expression says nothing yet, where it looks back further than values were gathered.
fn looks_back(window_ms: i64, gathered_ms: i64) -> Option<String> {
    let window = Duration::from_millis(window_ms.unsigned_abs());
    (window_ms > gathered_ms).then(|| format!("it looks back {} seconds", window.as_secs()))
}

/// Each alert of a rule, or that there is none.
fn of_rule(rule: &AlertRule, gathered_ms: i64) -> Vec<Finding> {
    let finding = |labels, value, standing, reason: &str| Finding {
        name: rule.name.clone(),
        levels: [None, None],
        labels,
        value,
        standing,
        reason: reason.to_owned(),
    };
    let nothing = |standing, reason: &str| vec![finding(Labels::default(), None, standing, reason)];
    if rule.is_broken {
        return nothing(Standing::Unknown, "it cannot be computed");
    }
    let alert = |(labels, value): (&Labels, f64)| {
        finding(labels.without(&["alertname".into()]), Some(value), severity(labels), "")
    };
    let alerts: Vec<Finding> = rule.active().map(alert).collect();
    if !alerts.is_empty() {
        return alerts;
    }
    match looks_back(rule.window_ms(), gathered_ms) {
        Some(reason) => nothing(Standing::Unknown, &reason),
        None => nothing(Standing::Ok, "nothing of the kind"),
    }
}

/// How bad an alert is, by the label that most rules have.
fn severity(labels: &Labels) -> Standing {
    match labels.get("severity") {
        "critical" | "page" | "error" | "emergency" => Standing::Critical,
        "none" | "info" => Standing::Ok,
        _ => Standing::Warning,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::metric::{Family, MetricKind};

    #[test]
    fn each_series_is_told_with_how_it_is_now_and_the_worst_comes_first() {
        let config: Config = serde_yaml::from_str(
            "checks: [{name: a, expr: x, warning: {above: 1, for: 1h}, critical: {above: 5}}, \
             {name: b, expr: 'rate(x[5m])', warning: {above: 1}}, \
             {name: c, expr: none, warning: {above: 1}}]",
        )
        .unwrap();
        let mut family = Family::new("x", MetricKind::Gauge, "");
        for (device, value) in [("a", 0.0), ("b", 2.0), ("c", 9.0)] {
            family.push([("device".into(), device.into())], value);
        }
        let batch = MetricBatch::new(vec![family]);
        let mut glance = Glance::new(&config).unwrap();
        glance.take(&batch, 1_000);
        let told: Vec<_> = glance
            .findings(1_000, |_| true)
            .iter()
            .map(|it| (it.name.clone(), it.standing, it.value))
            .collect();
        use Standing::{Critical, Ok, Unknown, Warning};
        let expected = [
            ("a".to_owned(), Critical, Some(9.0)),
            ("a".to_owned(), Warning, Some(2.0)),
            ("b".to_owned(), Unknown, None),
            ("c".to_owned(), Unknown, None),
            ("a".to_owned(), Ok, Some(0.0)),
        ];
        assert_eq!(told, expected);
        assert_eq!(glance.findings(1_000, |name| name == "c").len(), 1);
    }
    #[test]
    fn an_alert_counts_as_its_severity_says_whatever_for_says() {
        let rules = "groups: [{name: g, rules: [{record: y, expr: x * 10}, \
             {alert: High, expr: y > 10, for: 1h, labels: {severity: critical}}, \
             {alert: Odd, expr: x > 1}, {alert: Watchdog, expr: vector(1), labels: {severity: none}}, \
             {alert: Fast, expr: 'rate(x[5m]) > 1'}, {alert: None, expr: x > 100}]}]";
        let config: Config = serde_yaml::from_str(rules).unwrap();
        let mut glance = Glance::new(&config).unwrap();
        let batch = MetricBatch::new(vec![Family::single("x", MetricKind::Gauge, "", 2.0)]);
        glance.take(&batch, 1_000);
        let found = glance.findings(1_000, |_| true);
        let told: Vec<_> = found.iter().map(|it| (&*it.name, it.standing, it.value)).collect();
        let expected = [
            ("High", Standing::Critical, Some(20.0)),
            ("Odd", Standing::Warning, Some(2.0)),
            ("Fast", Standing::Unknown, None),
            ("Watchdog", Standing::Ok, Some(1.0)),
            ("None", Standing::Ok, None),
        ];
        assert_eq!(told, expected);
    }
}
