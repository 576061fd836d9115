//! What a check asks for.

use crate::expr::promql::{Expr, parse};
use crate::topology::settings::Period;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use std::time::Duration;

/// A check: an expression, and which of its values are bad.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Its name, in records and errors.
    pub name: String,
    /// What is looked at, in `PromQL`. Every series that comes of it has a state of its own.
    #[schemars(with = "String")]
    pub expr: Expression,
    /// When it is worth a look.
    #[serde(default)]
    pub warning: Option<Level>,
    /// When it is worth getting up for.
    #[serde(default)]
    pub critical: Option<Level>,
    /// What to make of silence.
    #[serde(default)]
    pub no_data: NoData,
    /// When a state that changes all the time is held.
    #[serde(default)]
    pub flap: Option<Flap>,
    /// Labels that its records have beside those of the series.
    #[serde(default)]
    pub labels: IndexMap<String, String>,
}

/// Which values are bad, and when they are good again.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Level {
    /// Values above this are bad.
    #[serde(default)]
    pub above: Option<f64>,
    /// Values below this are bad.
    #[serde(default)]
    pub below: Option<f64>,
    /// With `above`: good again only below this. Without it: as soon as the value is not bad.
    #[serde(default)]
    pub clear_below: Option<f64>,
    /// With `below`: good again only above this. Without it: as soon as the value is not bad.
    #[serde(default)]
    pub clear_above: Option<f64>,
    /// For how long the value must be bad before the level is reached.
    #[serde(default = "at_once", rename = "for")]
    pub bad_for: Period,
    /// For how long the value must be good before the level is left.
    #[serde(default = "at_once")]
    pub clear_for: Period,
}

/// What to make of silence: the series is gone, or no metrics come. It never resolves anything.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NoData {
    /// After how long without a value.
    pub after: Period,
    /// What the state is then: `unknown` unless this says otherwise.
    pub state: Silence,
}

/// The state of a series that has no value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Silence {
    /// `unknown`.
    #[default]
    Unknown,
    /// `critical`: for what must always be there.
    Critical,
    /// As it was.
    Keep,
}

/// When a state that changes all the time is held.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flap {
    /// So many changes…
    pub changes: usize,
    /// …in so long a time: then the state is held, and said to be flapping, until there are fewer.
    pub within: Period,
}

/// A `PromQL` expression with its text.
#[derive(Clone, Debug)]
pub struct Expression {
    /// As it is written.
    pub text: String,
    /// As it was read.
    pub parsed: Expr,
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parsed = parse(&text).map_err(de::Error::custom)?;
        Ok(Self { text, parsed })
    }
}

fn at_once() -> Period {
    Period(Duration::ZERO)
}

impl Default for NoData {
    fn default() -> Self {
        Self { after: Period(Duration::from_secs(300)), state: Silence::default() }
    }
}

impl NoData {
    /// After how many milliseconds without a value.
    pub(super) fn after_ms(&self) -> i64 {
        i64::try_from(self.after.0.as_millis()).unwrap_or(i64::MAX)
    }
}

impl Check {
    /// Labels that its records have beside those of the series.
    pub(super) fn labels(&self) -> Vec<(String, String)> {
        self.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// What is wrong with it, where something is.
    pub(super) fn validate(&self) -> Result<(), String> {
        if self.warning.is_none() && self.critical.is_none() {
            return Err("neither `warning` nor `critical` says which values are bad".into());
        }
        for (name, level) in [("warning", &self.warning), ("critical", &self.critical)] {
            if let Some(level) = level {
                level.validate().map_err(|reason| format!("`{name}`: {reason}"))?;
            }
        }
        if let (Some(warning), Some(critical)) = (&self.warning, &self.critical) {
            let low = matches!((warning.below, critical.below), (Some(w), Some(c)) if c > w);
            let high = matches!((warning.above, critical.above), (Some(w), Some(c)) if c < w);
            if low || high {
                return Err("`critical` is reached before `warning`".into());
            }
        }
        match &self.flap {
            Some(flap) if flap.changes < 2 => {
                Err(format!("`flap.changes` is {}, expected 2 or more", flap.changes))
            }
            Some(flap) if flap.within.0.is_zero() => {
                Err("`flap.within` is 0s, expected a time such as `30m`".into())
            }
            _ => Ok(()),
        }
    }
}

impl Level {
    fn validate(&self) -> Result<(), String> {
        if self.above.is_none() && self.below.is_none() {
            return Err("neither `above` nor `below` says which values are bad".into());
        }
        let pairs = [
            ("clear_below", self.clear_below, "above", self.above),
            ("clear_above", self.clear_above, "below", self.below.map(|below| -below)),
        ];
        for (clear_name, clear, name, bound) in pairs {
            let Some(clear) = clear else { continue };
            let Some(bound) = bound else {
                return Err(format!("`{clear_name}` is there without `{name}`"));
            };
            // The other way round, values would be good and bad at once.
            let clear = if name == "below" { -clear } else { clear };
            if clear > bound {
                return Err(format!("`{clear_name}` lies on the bad side of `{name}`"));
            }
        }
        match (self.above, self.below) {
            (Some(above), Some(below)) if below > above => {
                Err("no value is good: `below` is larger than `above`".into())
            }
            _ => Ok(()),
        }
    }

    /// Whether a value is bad.
    pub(super) fn is_bad(&self, value: f64) -> bool {
        self.above.is_some_and(|above| value > above)
            || self.below.is_some_and(|below| value < below)
    }

    /// Whether a value is so good that the level is left.
    pub(super) fn is_clear(&self, value: f64) -> bool {
        !self.is_bad(value)
            && self.clear_below.is_none_or(|bound| value < bound)
            && self.clear_above.is_none_or(|bound| value > bound)
    }

    /// The bound that a value is beyond, or else the one that is there.
    pub(super) fn bound(&self, value: f64) -> f64 {
        let above = self.above.filter(|above| value > *above || self.below.is_none());
        above.or(self.below).unwrap_or(f64::NAN)
    }
}
