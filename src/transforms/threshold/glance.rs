//! How the values of checks are at a moment, for who asks without an agent that watches them.

use super::intake::fill;
use super::{Check, Config};
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
pub struct Finding<'c> {
    /// The check.
    pub check: &'c Check,
    /// The labels of the series.
    pub labels: Labels,
    /// Its value.
    pub value: Option<f64>,
    /// How that is.
    pub standing: Standing,
    /// Why nothing is known, where it is not.
    pub reason: String,
}

/// Values gathered for a look at checks.
pub struct Glance<'c> {
    checks: &'c [Check],
    labels: &'c IndexMap<String, String>,
    ring: Ring,
    first_ms: Option<i64>,
}

impl<'c> Glance<'c> {
    /// Room for what these checks look at.
    pub fn new(config: &'c Config) -> Self {
        let expressions = config.checks.iter().map(|check| &check.expr.parsed);
        let ring = Ring::new(expressions, config.memory.as_usize());
        let (checks, labels) = (&config.checks, &config.labels);
        Self { checks, labels, ring, first_ms: None }
    }

    /// Adds what the host's metrics are at a time, in milliseconds since the epoch.
    pub fn take(&mut self, metrics: &MetricBatch, at_ms: i64) {
        self.first_ms.get_or_insert(at_ms);
        fill(&mut self.ring, metrics, self.labels, at_ms);
    }

    /// What the checks whose names `wanted` holds for come to, those that are worst first.
    pub fn findings(&self, at_ms: i64, wanted: impl Fn(&str) -> bool) -> Vec<Finding<'c>> {
        let gathered_ms = self.first_ms.map_or(0, |first_ms| at_ms - first_ms);
        let checks = self.checks.iter().filter(|check| wanted(&check.name));
        let mut found: Vec<Finding<'c>> =
            checks.flat_map(|check| self.of(check, at_ms, gathered_ms)).collect();
        found.sort_by_key(|finding| std::cmp::Reverse(finding.standing));
        found
    }

    fn of(&self, check: &'c Check, at_ms: i64, gathered_ms: i64) -> Vec<Finding<'c>> {
        let unknown = |reason: String| {
            let (labels, standing) = (Labels::default(), Standing::Unknown);
            vec![Finding { check, labels, value: None, standing, reason }]
        };
        let window_ms = check.expr.parsed.longest_window_ms();
        if window_ms > gathered_ms {
            let window = Duration::from_millis(window_ms.unsigned_abs());
            return unknown(format!("it looks back {} seconds", window.as_secs()));
        }
        let elements = match evaluate(&check.expr.parsed, &self.ring, at_ms) {
            Ok(Value::Vector(elements)) => elements,
            Ok(Value::Scalar(value)) => vec![Element { labels: Labels::default(), value }],
            Err(reason) => return unknown(reason),
        };
        if elements.is_empty() {
            return unknown("there is no such series".to_owned());
        }
        let finding = |Element { labels, value }: Element| {
            let is_bad = |level: &Option<super::check::Level>| {
                level.as_ref().is_some_and(|level| level.is_bad(value))
            };
            let standing = if value.is_nan() {
                Standing::Unknown
            } else if is_bad(&check.critical) {
                Standing::Critical
            } else if is_bad(&check.warning) {
                Standing::Warning
            } else {
                Standing::Ok
            };
            let reason = if value.is_nan() { "it is no number" } else { "" }.to_owned();
            Finding { check, labels, value: Some(value), standing, reason }
        };
        elements.into_iter().map(finding).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::metric::{Family, MetricKind};
    use std::sync::Arc;

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
        let batch = MetricBatch { families: Arc::new(vec![family]) };
        let mut glance = Glance::new(&config);
        glance.take(&batch, 1_000);
        let told: Vec<_> = glance
            .findings(1_000, |_| true)
            .iter()
            .map(|it| (it.check.name.clone(), it.standing, it.value))
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
}
