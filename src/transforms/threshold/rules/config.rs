//! Rules as Prometheus's rule files have them.

use crate::expr::go_template::{HOLE, Template};
use crate::expr::promql::{Expr, parse};
use crate::topology::settings::Period;
use crate::transforms::threshold::check::Expression;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use std::time::Duration;

/// A group of Prometheus rules, computed one after the other.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name, in errors.
    pub name: String,
    /// How often its rules are computed; unless said otherwise, whenever metrics come.
    #[serde(default)]
    pub interval: Option<Period>,
    /// A rule that gives more alerts or series than this gives none, and is an error; 0 for as
    /// many as there are.
    #[serde(default)]
    pub limit: usize,
    /// Labels of all that comes of its rules.
    #[serde(default)]
    pub labels: IndexMap<String, String>,
    /// The rules, in order.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

/// A rule: either `alert` or `record` says which kind.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The alert's name: every series that the expression gives is one.
    #[serde(default)]
    pub alert: Option<String>,
    /// The name under which what the expression gives can be used by rules and checks.
    #[serde(default)]
    pub record: Option<String>,
    /// What is computed, in `PromQL`.
    #[schemars(with = "String")]
    pub expr: Expression,
    /// For how long a series must be there before the alert fires.
    #[serde(default = "at_once", rename = "for")]
    pub pending_for: Period,
    /// For how long an alert fires on when its series is gone.
    #[serde(default = "at_once")]
    pub keep_firing_for: Period,
    /// Labels of what comes of it. Those of alerts may have Prometheus's `{{ }}` in them.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, String>")]
    pub labels: IndexMap<String, Text>,
    /// What is told of an alert, with Prometheus's `{{ $labels.x }}` and `{{ $value }}`.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, String>")]
    pub annotations: IndexMap<String, Text>,
}

/// A text with `{{ }}` in it.
#[derive(Clone, Debug)]
pub struct Text {
    /// As it is written.
    pub text: String,
    /// As it was read.
    pub template: Template,
    /// What it asks of the host's metrics.
    pub queries: Vec<Expr>,
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let template = Template::new(&text).map_err(de::Error::custom)?;
        let queries = template.queries().map_err(de::Error::custom)?;
        let queries = queries.iter().map(|query| read_query(query)).collect::<Result<_, _>>();
        Ok(Self { text, template, queries: queries.map_err(de::Error::custom)? })
    }
}

/// A query of a template, of which not all is known yet.
fn read_query(text: &str) -> Result<Expr, String> {
    let expr = parse(text)
        .map_err(|problem| format!("`query`: {}", problem.to_string().replace(HOLE, "…")))?;
    let is_named = |name: Option<&str>| name.is_some_and(|name| !name.contains(HOLE));
    match expr.looks().iter().all(|look| is_named(look.selector.name())) {
        true => Ok(expr),
        false => {
            Err("`query`: the name of a metric must stand in the text, so that it is known of \
                      which series values are needed"
                .to_owned())
        }
    }
}

fn at_once() -> Period {
    Period(Duration::ZERO)
}

/// What a rule is.
pub(super) enum Kind<'r> {
    Alert(&'r str),
    Record(&'r str),
}

impl Group {
    /// What is wrong with it, where something is.
    pub(in super::super) fn validate(&self) -> Result<(), String> {
        for rule in &self.rules {
            rule.kind().map_err(|reason| format!("`{}`: {reason}", self.name))?;
        }
        Ok(())
    }
}

impl Rule {
    /// What it is.
    pub(super) fn kind(&self) -> Result<Kind<'_>, String> {
        let expr = &self.expr.text;
        let is_plain = self.pending_for.0.is_zero()
            && self.keep_firing_for.0.is_zero()
            && self.annotations.is_empty();
        match (&self.alert, &self.record) {
            (Some(name), None) if !name.is_empty() => Ok(Kind::Alert(name)),
            (None, Some(name)) if !is_metric(name) => {
                Err(format!("`record: {name}` is no name that a metric can have"))
            }
            (None, Some(name)) if is_plain => Ok(Kind::Record(name)),
            (None, Some(name)) => {
                Err(format!("`record: {name}` takes no `for`, `keep_firing_for` or `annotations`"))
            }
            (Some(alert), Some(record)) => {
                Err(format!("a rule is either `alert: {alert}` or `record: {record}`"))
            }
            _ => Err(format!("the rule with `{expr}` has neither `alert` nor `record`")),
        }
    }
}

fn is_metric(name: &str) -> bool {
    let part = |letter: char| letter.is_ascii_alphanumeric() || "_:".contains(letter);
    name.chars().all(part) && name.starts_with(|first: char| !first.is_ascii_digit())
}
