//! What an expression comes to at a time.

use super::aggregate::aggregate;
use super::arithmetic::{number_with_number, vector_with_number};
use super::ast::{Binary, Expr, LOOKBACK, Operator, Selector, Subquery, millis};
use super::call::call;
use super::labels::Labels;
use super::matching::{join, sets};
use super::ring::{Ring, latest, window};
use super::value::{Element, Value};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// What an evaluation has to go by.
#[derive(Clone, Copy)]
pub(super) struct Moment<'r> {
    pub(super) ring: &'r Ring,
    /// Milliseconds since the epoch.
    pub(super) at_ms: i64,
    /// When the whole expression is evaluated, which is another time than `at_ms` in a subquery.
    pub(super) query_ms: i64,
}

/// A series in a window.
pub(super) type Windowed = (Labels, Vec<(i64, f64)>);

/// What an expression comes to at a time, in milliseconds since the epoch. Series come in the
/// order of their labels, but for `sort` and `topk`.
///
/// # Errors
/// Where series do not find each other as the expression says, or two become one.
pub fn evaluate(expr: &Expr, ring: &Ring, at_ms: i64) -> Result<Value, String> {
    Moment { ring, at_ms, query_ms: at_ms }.value(expr)
}

impl Moment<'_> {
    /// What an expression of a number or of series comes to.
    pub(super) fn value(self, expr: &Expr) -> Result<Value, String> {
        match expr {
            Expr::Number(number) => Ok(Value::Scalar(*number)),
            // Text and windows stand only where their functions look for them.
            Expr::Text(_) | Expr::Subquery(_) => Ok(Value::Vector(Vec::new())),
            Expr::Select(selector) => Ok(Value::Vector(self.select(selector))),
            Expr::Call(function, arguments) => call(self, *function, arguments),
            Expr::Negate(of) => Ok(match self.value(of)? {
                Value::Scalar(number) => Value::Scalar(-number),
                Value::Vector(elements) => Value::Vector(map(elements, |value| -value)?),
            }),
            Expr::Binary(binary) => self.binary(binary),
            Expr::Aggregate(of) => Ok(Value::Vector(aggregate(self, of)?)),
        }
    }

    /// What an expression of series comes to.
    pub(super) fn vector(self, expr: &Expr) -> Result<Vec<Element>, String> {
        Ok(match self.value(expr)? {
            Value::Vector(elements) => elements,
            Value::Scalar(value) => vec![Element { labels: Labels::default(), value }],
        })
    }

    /// What an expression of a number comes to.
    pub(super) fn number(self, expr: &Expr) -> Result<f64, String> {
        Ok(match self.value(expr)? {
            Value::Scalar(number) => number,
            Value::Vector(_) => f64::NAN,
        })
    }

    fn select(self, selector: &Selector) -> Vec<Element> {
        let latest = self.latest(selector);
        latest.into_iter().map(|(labels, (_, value))| Element { labels, value }).collect()
    }

    /// The values of a selector that count, with the time that they came at.
    pub(super) fn latest(self, selector: &Selector) -> Vec<(Labels, (i64, f64))> {
        let at_ms = selector.end.ms(self.at_ms, self.query_ms);
        let found = self.ring.find(selector);
        let latest = found.filter_map(|(labels, points)| {
            Some((labels.clone(), latest(points, at_ms, LOOKBACK)?))
        });
        let mut latest: Vec<_> = latest.collect();
        latest.sort_by(|(a, _), (b, _)| a.cmp(b));
        latest
    }

    /// The series of an expression with a window, when that ends, and how long it is; `None` for
    /// any other expression.
    pub(super) fn windowed(
        self,
        expr: &Expr,
    ) -> Result<Option<(Vec<Windowed>, i64, Duration)>, String> {
        match expr {
            Expr::Select(selector) => {
                let Some(length) = selector.window else { return Ok(None) };
                let end_ms = selector.end.ms(self.at_ms, self.query_ms);
                let found = self.ring.find(selector);
                let found =
                    found.map(|(labels, all)| (labels.clone(), window(all, end_ms, length)));
                Ok(Some((found.collect(), end_ms, length)))
            }
            Expr::Subquery(sub) => {
                let end_ms = sub.end.ms(self.at_ms, self.query_ms);
                Ok(Some((self.subquery(sub, end_ms)?, end_ms, sub.window)))
            }
            _ => Ok(None),
        }
    }

    fn subquery(self, sub: &Subquery, end_ms: i64) -> Result<Vec<Windowed>, String> {
        let step_ms = millis(sub.step).max(1);
        let begin_ms = end_ms.saturating_sub(millis(sub.window));
        let mut at_ms = begin_ms.div_euclid(step_ms).saturating_add(1).saturating_mul(step_ms);
        let mut series: BTreeMap<Labels, Vec<(i64, f64)>> = BTreeMap::new();
        while at_ms <= end_ms {
            for Element { labels, value } in (Self { at_ms, ..self }).vector(&sub.of)? {
                series.entry(labels).or_default().push((at_ms, value));
            }
            let Some(next_ms) = at_ms.checked_add(step_ms) else { break };
            at_ms = next_ms;
        }
        Ok(series.into_iter().collect())
    }

    fn binary(self, binary: &Binary) -> Result<Value, String> {
        let Binary { operator, gives_bool, matching, left, right } = binary;
        let (operator, gives_bool) = (*operator, *gives_bool);
        let elements = match (self.value(left)?, self.value(right)?) {
            (Value::Scalar(left), Value::Scalar(right)) => {
                return Ok(Value::Scalar(number_with_number(operator, left, right)));
            }
            (Value::Vector(left), Value::Vector(right)) if operator.is_of_sets() => {
                sets(operator, &matching.by, left, right)
            }
            (Value::Vector(left), Value::Vector(right)) => {
                join(operator, gives_bool, matching, left, right)?
            }
            (Value::Vector(left), Value::Scalar(right)) => {
                let with = |value| (value, right);
                vector_with_number(operator, gives_bool, left, with)
            }
            (Value::Scalar(left), Value::Vector(right)) => {
                let with = |value| (left, value);
                vector_with_number(operator, gives_bool, right, with)
            }
        };
        Ok(Value::Vector(distinct(elements)?))
    }
}

/// New values for series, which lose their names.
pub(super) fn map(
    elements: Vec<Element>,
    change: impl Fn(f64) -> f64,
) -> Result<Vec<Element>, String> {
    let changed = elements
        .into_iter()
        .map(|element| Element { labels: element.labels.nameless(), value: change(element.value) });
    distinct(changed.collect())
}

/// The same elements, if no two are of one series.
pub(super) fn distinct(elements: Vec<Element>) -> Result<Vec<Element>, String> {
    let mut seen = HashSet::new();
    match elements.iter().find(|element| !seen.insert(&element.labels)) {
        Some(twice) => Err(format!("several values for `{}`", twice.labels)),
        None => Ok(elements),
    }
}

/// Elements in the order of their labels.
pub(super) fn ordered(mut elements: Vec<Element>) -> Vec<Element> {
    elements.sort_by(|a, b| a.labels.cmp(&b.labels));
    elements
}

/// What arithmetic makes of two numbers; `None` for a comparison that does not hold.
pub(super) fn combine(operator: Operator, left: f64, right: f64) -> Option<f64> {
    let holds = |holds: bool| holds.then_some(left);
    match operator {
        Operator::Add => Some(left + right),
        Operator::Subtract => Some(left - right),
        Operator::Multiply => Some(left * right),
        Operator::Divide => Some(left / right),
        Operator::Modulo => Some(left % right),
        Operator::Power => Some(left.powf(right)),
        Operator::Atan2 => Some(left.atan2(right)),
        Operator::Equal => holds(left == right),
        Operator::Unequal => holds(left != right),
        Operator::Less => holds(left < right),
        Operator::LessOrEqual => holds(left <= right),
        Operator::Greater => holds(left > right),
        Operator::GreaterOrEqual => holds(left >= right),
        Operator::And | Operator::Or | Operator::Unless => None,
    }
}
