//! Conditions on log records: `keep`, `drop`, routes.
//!
//! An expression is read once. Comparisons, `in`, patterns and their combinations run natively;
//! what else may stand in them (filters, arithmetic, calls) is computed by the library, operand
//! by operand, so that a condition means the same whichever way it takes.

mod compare;
mod eval;
mod filter;
mod ir;
mod lower;
mod scan;
#[cfg(test)]
mod tests;

use super::record::Names;
use crate::event::log::LogBatch;
use ir::{Comparison, Operand, Program, Test};
use scan::Search;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value as Json};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A condition as a config has it: a Jinja expression without braces.
///
/// A record's fields are names (`status >= 500 and path is match('/api')`), and any field is also
/// `record['x']`; an unparsed line is `message`. `facts`, `vars`, `host` and `source` are what
/// they are elsewhere. Where a field is missing, what compares it is false; a comparison that
/// makes no sense (text with a number) keeps the record, and is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition(Arc<str>);

/// Why a text is no condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// Where, in characters from 1.
    pub column: usize,
    /// What was found and what was expected.
    pub reason: String,
}

impl Unfit {
    fn at(text: &str, byte: usize, reason: String) -> Self {
        let before = text.get(..byte.min(text.len())).unwrap_or(text);
        Self { column: before.chars().count() + 1, reason }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {} of the expression: {}", self.column, self.reason)
    }
}

impl std::error::Error for Unfit {}

impl FromStr for Condition {
    type Err = Unfit;

    fn from_str(text: &str) -> Result<Self, Unfit> {
        let braced = text.trim().strip_prefix("{{").and_then(|text| text.strip_suffix("}}"));
        if let Some(inner) = braced {
            let reason = format!("found braces, expected the expression alone: `{}`", inner.trim());
            return Err(Unfit::at(text, 0, reason));
        }
        lower::lower(text, &Names::new(&Map::new()))?;
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl de::Visitor<'_> for Text {
            type Value = Condition;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an expression such as `status >= 500`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Condition, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Condition, E> {
                Ok(Condition(if value { "true".into() } else { "false".into() }))
            }
        }

        deserializer.deserialize_any(Text)
    }
}

impl JsonSchema for Condition {
    fn schema_name() -> Cow<'static, str> {
        "Condition".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["string", "boolean"],
            "description": "A Jinja expression over a record's fields: `status >= 500`.",
        })
    }
}

/// What a condition says about a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It does not.
    Fails,
    /// It makes no sense for this record.
    Unclear,
}

/// Which records a filter leaves in a batch. Unclear ones always stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sense {
    /// Those for which the condition holds.
    Keep,
    /// Those for which it does not.
    Drop,
}

impl Condition {
    /// Makes the condition ready to run. `constants` has `facts`, `vars` and `host`.
    ///
    /// # Errors
    /// As [`Condition::from_str`]; with other constants there may be other errors.
    pub fn bind(&self, constants: &Map<String, Json>) -> Result<Bound, Unfit> {
        let names = Names::new(constants);
        let program = lower::lower(&self.0, &names)?;
        Ok(Bound { program, names })
    }
}

/// A condition with its constants filled in.
#[derive(Debug)]
pub struct Bound {
    program: Program,
    names: Arc<Names>,
}

impl Bound {
    /// Leaves the records in the batch that `sense` asks for, and says how many were unclear.
    pub fn filter(&self, batch: &mut LogBatch, sense: Sense) -> u64 {
        if let Some((search, hits)) = self.search(batch) {
            scan::filter(batch, &search, hits == (sense == Sense::Keep));
            return 0;
        }
        let out = match sense {
            Sense::Keep => Verdict::Fails,
            Sense::Drop => Verdict::Holds,
        };
        if sense == Sense::Keep
            && let Some(search) = self.needed(batch)
        {
            // Lines without a hit are out whatever else is asked; only the others are cut.
            scan::filter(batch, &search, true);
        }
        let verdicts = self.judge(batch);
        let unclear = verdicts.iter().filter(|verdict| **verdict == Verdict::Unclear).count();
        if verdicts.contains(&out) {
            let mut verdicts = verdicts.into_iter();
            batch.retain_spans(|_, _| verdicts.next() != Some(out));
        }
        unclear as u64
    }

    /// What the condition says about each record, in order.
    pub fn judge(&self, batch: &LogBatch) -> Vec<Verdict> {
        eval::judge(&self.program, &self.names, batch)
    }

    /// The search that answers for all lines at once, where there is one, and whether lines with
    /// a hit are those for which the condition holds.
    fn search(&self, batch: &LogBatch) -> Option<(Search<'_>, bool)> {
        if !batch.is_plain() {
            return None;
        }
        match &self.program.test {
            Test::Not(test) => Some((search_of(test)?, false)),
            test => Some((search_of(test)?, true)),
        }
    }

    /// A search without a hit of which no line can be one for which the condition holds.
    fn needed(&self, batch: &LogBatch) -> Option<Search<'_>> {
        if !batch.is_plain() {
            return None;
        }
        let mut tests = Vec::new();
        conjuncts(&self.program.test, &mut tests);
        for test in tests {
            if let Some(search) = search_of(test) {
                return Some(search);
            }
            if !is_clear(test) {
                // It may be unclear, which keeps a record that the search would leave out.
                return None;
            }
        }
        None
    }
}

/// The tests that all have to hold, in order.
fn conjuncts<'t>(test: &'t Test, all: &mut Vec<&'t Test>) {
    match test {
        Test::All(tests) => tests.iter().for_each(|test| conjuncts(test, all)),
        test => all.push(test),
    }
}

fn is_line(operand: &Operand) -> bool {
    matches!(operand, Operand::Field { name, .. } if name == "message")
}

/// Whether the test holds or does not for any plain line, and never makes no sense.
fn is_clear(test: &Test) -> bool {
    match test {
        Test::Known(_) => true,
        Test::Not(test) => is_clear(test),
        Test::All(tests) | Test::Any(tests) => tests.iter().all(is_clear),
        Test::Part(operand, _)
        | Test::Matches(operand, _)
        | Test::Begins(operand, _)
        | Test::Ends(operand, _) => is_line(operand),
        Test::Compare(Comparison::Equal | Comparison::Unequal, left, right) => {
            is_simple(left) && is_simple(right)
        }
        Test::OneOf(operand, _)
        | Test::Defined(operand)
        | Test::Null(operand)
        | Test::True(operand) => is_simple(operand),
        Test::Compare(..) | Test::In(..) | Test::Looks(..) => false,
    }
}

/// Whether finding the operand's value cannot go wrong.
fn is_simple(operand: &Operand) -> bool {
    match operand {
        Operand::Field { .. } | Operand::Source | Operand::Constant(_) => true,
        Operand::Within(base, _) => is_simple(base),
        Operand::Filtered(..) | Operand::Library(_) => false,
    }
}

/// The search over a whole chunk that answers a test for each of its lines.
fn search_of(test: &Test) -> Option<Search<'_>> {
    match test {
        Test::Matches(operand, pattern) if is_line(operand) => {
            Some(Search::Pattern { many: pattern.many.as_ref()?, one: &pattern.regex })
        }
        Test::Part(operand, finder) if is_line(operand) => {
            let needle = finder.needle();
            let is_within_a_line = !needle.is_empty() && !needle.contains(&b'\n');
            is_within_a_line.then_some(Search::Part(finder))
        }
        _ => None,
    }
}
