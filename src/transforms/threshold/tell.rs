//! Tells how all checks and rules stand, for those who ask the agent.

use super::rules::AlertRule;
use super::{Threshold, Watched};
use crate::expr::promql::Labels;
use crate::topology::standings::{MOST_SERIES, Standing};

impl Threshold {
    /// Tells it, where somebody may ask.
    pub(super) fn tell(&self) {
        let Some(place) = &self.place else { return };
        let checks = self.checks.iter().flat_map(of_check);
        let all = checks.chain(self.rules.alerts().flat_map(of_rule)).take(MOST_SERIES);
        let component = &*self.source;
        place.tell(all.map(|it| Standing { component: component.to_owned(), ..it }).collect());
    }
}

fn of_check(watched: &Watched) -> Vec<Standing> {
    let check = &watched.check.name;
    if watched.series.is_empty() {
        return vec![none(check, "pending")];
    }
    let standing = |(labels, series): (&Labels, &super::Series)| {
        let (state, since_ms, value) = series.now();
        let since_seconds = Some(seconds(since_ms));
        Standing { series: labels.clone(), since_seconds, value, ..none(check, state.name()) }
    };
    watched.series.iter().map(standing).collect()
}

fn of_rule(rule: &AlertRule) -> Vec<Standing> {
    let standing = |(labels, state, since_ms, value): (&Labels, &str, i64, f64)| Standing {
        series: labels.without(&["alertname".into()]),
        since_seconds: Some(seconds(since_ms)),
        value: Some(value).filter(|value| value.is_finite()),
        ..none(&rule.name, state)
    };
    let alerts: Vec<Standing> = rule.now().map(standing).collect();
    if alerts.is_empty() { vec![none(&rule.name, "ok")] } else { alerts }
}

/// A check or rule in this state, without a series.
fn none(check: &str, state: &str) -> Standing {
    Standing { check: check.to_owned(), state: state.to_owned(), ..Standing::default() }
}

fn seconds(since_epoch_ms: i64) -> f64 {
    since_epoch_ms as f64 / 1000.0
}
