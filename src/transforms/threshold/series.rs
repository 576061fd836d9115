//! The state of one series of a check, and what changes it.

use super::check::{Check, Flap, Level, Silence};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

/// After so long a silence a series is forgotten: a disk that was taken out for good. Nothing is
/// said then.
const FORGET_AFTER_MS: i64 = 86_400_000;

/// For so long after its end a bad state is told of among those that stand.
pub(super) const SAID_FOR_MS: i64 = 900_000;

/// How a series is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Pending,
    Ok,
    Warning,
    Critical,
    Unknown,
}

impl State {
    /// Whether it is worth telling that it stands.
    fn is_bad(self) -> bool {
        matches!(self, Self::Warning | Self::Critical | Self::Unknown)
    }

    /// As records have it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }
}

/// A change of state that is said.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    pub(super) from: State,
    pub(super) to: State,
    /// The value; none where silence is the reason.
    pub(super) value: Option<f64>,
    /// The bound of the level that was reached or left.
    pub(super) threshold: Option<f64>,
    /// When the state before began, in milliseconds since the epoch.
    pub(super) since_ms: i64,
    /// Whether the state is held from now on, because it changes all the time.
    pub(super) is_flapping: bool,
}

/// A bad state that stands or has ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Standing {
    pub(super) state: State,
    /// When it began, in milliseconds since the epoch.
    pub(super) since_ms: i64,
    /// When it ended, if it did.
    pub(super) ended_ms: Option<i64>,
    /// The value that came last, where one did.
    pub(super) value: Option<f64>,
}

/// A series of a check. Kept over a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Series {
    /// What was said.
    state: State,
    since_ms: i64,
    warning: Reached,
    critical: Reached,
    /// Since when there is no value.
    silent_since_ms: Option<i64>,
    /// What the state would be if nothing held it.
    wanted: State,
    /// When that has changed, the oldest first.
    changes: VecDeque<i64>,
    is_flapping: bool,
    /// Whether it stands for a check that never had a series.
    stands_in: bool,
    /// Bad states that have ended, each the last of its kind.
    ended: Vec<Standing>,
    /// The value that came last.
    #[serde(skip)]
    last: Option<f64>,
}

/// Whether a level is reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Reached {
    is: bool,
    /// Since when the value asks for the opposite.
    turning_since_ms: Option<i64>,
}

impl Reached {
    /// Takes a value into account; says whether the level is reached.
    fn see(&mut self, level: Option<&Level>, value: f64, at_ms: i64) -> bool {
        let Some(level) = level else { return false };
        let (turns, wait) = match self.is {
            true => (level.is_clear(value), level.clear_for),
            false => (level.is_bad(value), level.bad_for),
        };
        if !turns {
            self.turning_since_ms = None;
        } else if at_ms - *self.turning_since_ms.get_or_insert(at_ms) >= millis(wait.0) {
            self.is = !self.is;
            self.turning_since_ms = None;
        }
        self.is
    }
}

impl Series {
    /// A series that nothing is known of yet.
    pub(super) fn new(at_ms: i64) -> Self {
        Self {
            state: State::Pending,
            since_ms: at_ms,
            warning: Reached::default(),
            critical: Reached::default(),
            silent_since_ms: None,
            wanted: State::Pending,
            changes: VecDeque::new(),
            is_flapping: false,
            stands_in: false,
            ended: Vec::new(),
            last: None,
        }
    }

    /// What stands for a check that never had a series.
    pub(super) fn stand_in(at_ms: i64) -> Self {
        Self { stands_in: true, ..Self::new(at_ms) }
    }

    /// Takes a value into account.
    pub(super) fn value(&mut self, check: &Check, value: f64, at_ms: i64) -> Option<Change> {
        self.silent_since_ms = None;
        self.stands_in = false;
        self.last = Some(value).filter(|value| value.is_finite());
        let critical = self.critical.see(check.critical.as_ref(), value, at_ms);
        let warning = self.warning.see(check.warning.as_ref(), value, at_ms);
        let wanted = match (critical, warning) {
            (true, _) => State::Critical,
            (false, true) => State::Warning,
            (false, false) => State::Ok,
        };
        let left = [wanted, self.state].into_iter().find_map(|state| match state {
            State::Critical => check.critical.as_ref(),
            State::Warning => check.warning.as_ref(),
            _ => None,
        });
        let threshold = left.map(|level| level.bound(value));
        self.go(wanted, Some(value), threshold, check.flap.as_ref(), at_ms)
    }

    /// Takes into account that there is no value. The newest that came for the check, if it is
    /// older, says since when.
    pub(super) fn silence(
        &mut self,
        check: &Check,
        at_ms: i64,
        newest_ms: Option<i64>,
    ) -> Option<Change> {
        // Time without a value is neither good nor bad.
        self.warning.turning_since_ms = None;
        self.critical.turning_since_ms = None;
        let since_ms = newest_ms.map_or(at_ms, |newest| newest.min(at_ms));
        let since_ms = *self.silent_since_ms.get_or_insert(since_ms);
        if at_ms - since_ms < check.no_data.after_ms() {
            return None;
        }
        let wanted = match check.no_data.state {
            Silence::Unknown => State::Unknown,
            Silence::Critical => State::Critical,
            Silence::Keep => return None,
        };
        self.go(wanted, None, None, check.flap.as_ref(), at_ms)
    }

    /// Whether it stands for a check that never had a series.
    pub(super) fn stands_in(&self) -> bool {
        self.stands_in
    }

    /// The check that it stands for has series now.
    pub(super) fn give_way(&mut self, at_ms: i64) -> Option<Change> {
        self.go(State::Ok, None, None, None, at_ms)
    }

    /// Whether what is kept of it is the same as what was kept of `before`.
    pub(super) fn is_kept_as(&self, mut before: Self) -> bool {
        before.last = self.last;
        *self == before
    }

    /// Whether one of its bad states ended so long ago that nobody has to hear of it any more.
    pub(super) fn has_old_news(&self, at_ms: i64) -> bool {
        let is_old = |ended_ms: i64| at_ms - ended_ms >= SAID_FOR_MS;
        self.ended.iter().any(|it| it.ended_ms.is_none_or(is_old))
    }

    /// The bad state that it is in, and those that have ended a while ago.
    pub(super) fn standing(&mut self, at_ms: i64) -> Vec<Standing> {
        self.ended.retain(|it| it.ended_ms.is_some_and(|ended_ms| at_ms - ended_ms < SAID_FOR_MS));
        let mut standing = self.ended.clone();
        if self.state.is_bad() {
            let (state, since_ms, value) = (self.state, self.since_ms, self.last);
            standing.push(Standing { state, since_ms, ended_ms: None, value });
        }
        standing
    }

    /// Its state, since when, and the value that came last.
    pub(super) fn now(&self) -> (State, i64, Option<f64>) {
        (self.state, self.since_ms, self.last)
    }

    /// Whether it is on its way to another state, which needs its time.
    pub(super) fn is_turning(&self) -> bool {
        let turns = |reached: &Reached| reached.turning_since_ms.is_some();
        turns(&self.warning) || turns(&self.critical)
    }

    /// Begins anew to count what needs its time: nobody knows how it was in between.
    pub(super) fn was_away(&mut self) {
        self.warning.turning_since_ms = None;
        self.critical.turning_since_ms = None;
    }

    /// Whether it has been silent for so long that it is not worth knowing.
    pub(super) fn is_forgotten(&self, at_ms: i64) -> bool {
        let is_long_gone = |since| at_ms - since >= FORGET_AFTER_MS;
        !self.stands_in && self.silent_since_ms.is_some_and(is_long_gone)
    }

    fn go(
        &mut self,
        wanted: State,
        value: Option<f64>,
        threshold: Option<f64>,
        flap: Option<&Flap>,
        at_ms: i64,
    ) -> Option<Change> {
        let is_news = wanted != self.wanted;
        let begins_to_be_known = self.wanted == State::Pending;
        self.wanted = wanted;
        let was_flapping = self.is_flapping;
        if let Some(flap) = flap {
            if is_news && !begins_to_be_known {
                self.changes.push_back(at_ms);
            }
            let from_ms = at_ms - millis(flap.within.0);
            while self.changes.front().is_some_and(|change| *change <= from_ms) {
                self.changes.pop_front();
            }
            self.is_flapping = self.changes.len() >= flap.changes;
        }
        let is_held = was_flapping && self.is_flapping;
        let is_said = wanted != self.state || was_flapping != self.is_flapping;
        if is_held || !is_said {
            return None;
        }
        let (from, since_ms) = (self.state, self.since_ms);
        if wanted != from {
            self.ended.retain(|it| it.state != from && it.state != wanted);
            if from.is_bad() {
                let (ended_ms, value) = (Some(at_ms), self.last);
                self.ended.push(Standing { state: from, since_ms, ended_ms, value });
            }
            self.state = wanted;
            self.since_ms = at_ms;
        }
        if from == State::Pending && wanted == State::Ok {
            return None;
        }
        let is_flapping = self.is_flapping;
        Some(Change { from, to: wanted, value, threshold, since_ms, is_flapping })
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
