//! What a restart must not forget: how every series of a check stands, and which alerts there are.

use super::rules::Rules;
use super::series::Series;
use super::{Threshold, Watched};
use crate::expr::promql::Labels;
use serde::{Deserialize, Serialize};

/// After so long an absence what takes its time begins anew: nobody knows how it was in between.
const AWAY_MS: i64 = 300_000;
/// While something takes its time the file says how late it is, in steps of so long.
const STEP_MS: i64 = 60_000;

/// What is kept.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// When it was written, or a moment before; in milliseconds since the epoch.
    at_ms: Option<i64>,
    checks: Vec<KeptCheck>,
    alerts: Vec<KeptAlert>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptCheck {
    name: String,
    /// With another expression its series are others.
    expr: String,
    was_heard: bool,
    series: Vec<(Labels, Series)>,
}

/// An alert of a rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct KeptAlert {
    pub(super) group: String,
    pub(super) rule: String,
    pub(super) expr: String,
    pub(super) labels: Labels,
    pub(super) active_ms: i64,
    pub(super) fired_ms: Option<i64>,
    pub(super) annotations: Vec<(String, String)>,
}

impl Threshold {
    /// When what is kept says that it was: nothing where nothing is on its way, so that it stays the
    /// same for as long as nothing changes.
    pub(super) fn kept_at_ms(&self) -> Option<i64> {
        let mut series = self.checks.iter().flat_map(|watched| watched.series.values());
        let turns = series.any(Series::is_turning) || self.rules.are_pending();
        let now_ms = self.now_ms();
        turns.then(|| now_ms - now_ms.rem_euclid(STEP_MS))
    }

    /// What the next start has to know.
    pub(super) fn standings(&self, at_ms: Option<i64>) -> Option<Vec<u8>> {
        let checks: Vec<KeptCheck> = self.checks.iter().map(kept_check).collect();
        let alerts = self.rules.kept();
        // Nothing in it cannot be written.
        serde_json::to_vec(&Kept { at_ms, checks, alerts }).ok()
    }

    /// Takes up what a run before has kept. What cannot be read is as if it were not there.
    pub(super) fn restore(&mut self, bytes: &[u8]) {
        let Ok(kept) = serde_json::from_slice::<Kept>(bytes) else {
            let component = &*self.source;
            tracing::warn!(
                component,
                "what was kept of the states cannot be read; they begin anew"
            );
            return;
        };
        let away_ms = kept.at_ms.map_or(i64::MAX, |at_ms| (self.begun_ms - at_ms).max(0));
        for known in kept.checks {
            let is_it = |watched: &&mut Watched| {
                watched.check.name == known.name && watched.check.expr.text == known.expr
            };
            let Some(watched) = self.checks.iter_mut().find(is_it) else { continue };
            watched.was_heard = known.was_heard;
            watched.series = known.series.into_iter().collect();
            if away_ms > AWAY_MS {
                watched.series.values_mut().for_each(Series::was_away);
            }
        }
        Rules::restore(&mut self.rules, &kept.alerts, away_ms);
    }
}

fn kept_check(watched: &Watched) -> KeptCheck {
    let series = watched.series.iter();
    KeptCheck {
        name: watched.check.name.clone(),
        expr: watched.check.expr.text.clone(),
        was_heard: watched.was_heard,
        series: series.map(|(labels, series)| (labels.clone(), series.clone())).collect(),
    }
}
