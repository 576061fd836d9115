//! Running a program over a batch.

use super::Verdict;
use super::compare::{Mismatch, contains, equal, order, truth};
use super::filter::filter;
use super::ir::{Comparison, Operand, Program, Test};
use super::scan::Anchor;
use crate::event::log::{FieldRef, KeyId, LogBatch, RecordRef};
use crate::event::lookup::member;
use crate::expr::record::{Made, Names};
use minijinja::value::Value;
use minijinja::{ErrorKind, Expression};
use std::cmp::Ordering;
use std::sync::Arc;

/// What the program says about each live record, in order.
pub(super) fn judge(program: &Program, names: &Arc<Names>, batch: &LogBatch) -> Vec<Verdict> {
    let library = program.library.iter();
    let run = Run {
        keys: program.fields.iter().map(|name| batch.keys().find(name)).collect(),
        library: library
            .map(|asked| {
                let compiled = names.environment().compile_expression(&asked.text).ok()?;
                Some((compiled, &asked.fields[..]))
            })
            .collect(),
        // Only the library needs records that hold on to their batch.
        held: (!program.library.is_empty()).then(|| Arc::new(batch.clone())),
        names,
    };
    let verdict = |record: RecordRef<'_>| match run.holds(&program.test, &record) {
        Ok(true) => Verdict::Holds,
        Ok(false) => Verdict::Fails,
        Err(Mismatch) => Verdict::Unclear,
    };
    batch.records().map(verdict).collect()
}

/// A program with what it needs for one batch.
struct Run<'r> {
    /// By slot: the number that the batch has given to the field's name.
    keys: Vec<Option<KeyId>>,
    /// By number: the compiled question, and the fields that it reads.
    library: Vec<Option<(Expression<'r, 'r>, &'r [String])>>,
    held: Option<Arc<LogBatch>>,
    names: &'r Arc<Names>,
}

/// An operand's value.
pub(super) enum Found<'v> {
    Nothing,
    There(FieldRef<'v>),
    Made(Made),
}

impl Found<'_> {
    fn value(&self) -> Option<FieldRef<'_>> {
        match self {
            Self::Nothing => None,
            Self::There(value) => Some(*value),
            Self::Made(made) => Some(made.as_ref()),
        }
    }
}

impl Run<'_> {
    fn holds(&self, test: &Test, record: &RecordRef<'_>) -> Result<bool, Mismatch> {
        match test {
            Test::Known(known) => Ok(*known),
            Test::Not(test) => Ok(!self.holds(test, record)?),
            Test::All(tests) => {
                for test in tests {
                    if !self.holds(test, record)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Test::Any(tests) => {
                for test in tests {
                    if self.holds(test, record)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Test::Compare(comparison, left, right) => {
                let (left, right) = (self.find(left, record)?, self.find(right, record)?);
                match (left.value(), right.value()) {
                    (Some(left), Some(right)) => compares(*comparison, left, right),
                    _ => Ok(false),
                }
            }
            Test::In(needle, hay) => {
                let (needle, hay) = (self.find(needle, record)?, self.find(hay, record)?);
                match (needle.value(), hay.value()) {
                    (Some(needle), Some(hay)) => contains(hay, needle),
                    _ => Ok(false),
                }
            }
            Test::OneOf(operand, list) => {
                let found = self.find(operand, record)?;
                let value = found.value();
                Ok(value.is_some_and(|value| list.iter().any(|item| equal(value, item.as_ref()))))
            }
            Test::Part(operand, finder) => match self.find(operand, record)?.value() {
                Some(FieldRef::Text(text)) => Ok(finder.find(text).is_some()),
                Some(value) => contains(value, FieldRef::Text(finder.needle())),
                None => Ok(false),
            },
            Test::Matches(operand, pattern) => match self.find(operand, record)?.value() {
                Some(value) if value.is_null() => Ok(false),
                Some(value) => Ok(pattern.regex.is_match(&value.as_text().ok_or(Mismatch)?)),
                None => Ok(false),
            },
            Test::Looks(operand, pattern, anchor) => match self.find(operand, record)?.value() {
                Some(value) if value.is_null() => Ok(false),
                Some(value) => {
                    let text = value.as_text().ok_or(Mismatch)?;
                    let text = String::from_utf8_lossy(&text);
                    pattern.matches(&text, *anchor == Anchor::Start).map_err(|_| Mismatch)
                }
                None => Ok(false),
            },
            Test::Begins(operand, part) => {
                at_an_end(&self.find(operand, record)?, |text| text.starts_with(part.as_bytes()))
            }
            Test::Ends(operand, part) => {
                at_an_end(&self.find(operand, record)?, |text| text.ends_with(part.as_bytes()))
            }
            Test::Defined(operand) => Ok(self.find(operand, record)?.value().is_some()),
            Test::Null(operand) => {
                Ok(self.find(operand, record)?.value().is_some_and(|value| value.is_null()))
            }
            Test::True(operand) => Ok(self.find(operand, record)?.value().is_some_and(truth)),
        }
    }

    fn find<'v>(
        &self,
        operand: &'v Operand,
        record: &RecordRef<'v>,
    ) -> Result<Found<'v>, Mismatch> {
        let value = match operand {
            Operand::Field { name, slot, otherwise } => {
                let field = if record.is_unparsed() {
                    record.get(name)
                } else {
                    self.keys.get(*slot).copied().flatten().and_then(|key| record.get_key(key))
                };
                field.or_else(|| otherwise.as_ref().map(Made::as_ref))
            }
            Operand::Within(base, names) => {
                let Found::There(value) = self.find(base, record)? else {
                    return Ok(Found::Nothing);
                };
                names.iter().try_fold(value, |value, name| match value {
                    FieldRef::Json(raw) => member(raw, name).map(FieldRef::Json),
                    // Text and numbers have nothing within.
                    _ => None,
                })
            }
            Operand::Filtered(kind, base, number) => {
                let made = self.find(base, record)?.value().and_then(|value| filter(*kind, value));
                return match made {
                    Some(found) => Ok(found),
                    None => self.ask(*number, record),
                };
            }
            Operand::Source => Some(FieldRef::Text(record.batch().origin.source.as_bytes())),
            Operand::Constant(made) => made.as_ref().map(Made::as_ref),
            Operand::Library(number) => return self.ask(*number, record),
        };
        Ok(value.map_or(Found::Nothing, Found::There))
    }

    /// The library's answer. That something is missing is one.
    fn ask<'v>(&self, number: usize, record: &RecordRef<'_>) -> Result<Found<'v>, Mismatch> {
        let expression = self.library.get(number).and_then(Option::as_ref);
        let (Some((expression, fields)), Some(held)) = (expression, &self.held) else {
            return Err(Mismatch);
        };
        let value: Result<Value, _> = expression.eval(self.names.with(record.held_by(held)));
        match value {
            Ok(value) => Ok(Made::of(&value).map_or(Found::Nothing, Found::Made)),
            Err(error)
                if error.kind() == ErrorKind::UndefinedError
                    || fields.iter().any(|name| record.get(name).is_none()) =>
            {
                Ok(Found::Nothing)
            }
            Err(_) => Err(Mismatch),
        }
    }
}

/// Whether a text is so at one of its ends. What is missing or null is not.
fn at_an_end(found: &Found<'_>, holds: impl FnOnce(&[u8]) -> bool) -> Result<bool, Mismatch> {
    match found.value() {
        None => Ok(false),
        Some(value) if value.is_null() => Ok(false),
        Some(value) => Ok(holds(&value.as_text().ok_or(Mismatch)?)),
    }
}

fn compares(
    comparison: Comparison,
    left: FieldRef<'_>,
    right: FieldRef<'_>,
) -> Result<bool, Mismatch> {
    let fits: fn(Ordering) -> bool = match comparison {
        Comparison::Equal => return Ok(equal(left, right)),
        Comparison::Unequal => return Ok(!equal(left, right)),
        Comparison::Less => Ordering::is_lt,
        Comparison::LessOrEqual => Ordering::is_le,
        Comparison::Greater => Ordering::is_gt,
        Comparison::GreaterOrEqual => Ordering::is_ge,
    };
    Ok(order(left, right)?.is_some_and(fits))
}
