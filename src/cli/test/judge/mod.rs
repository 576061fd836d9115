//! Holds what came out against what was expected.

mod wanted;

use super::prepared::Subject;
use crate::cli::found::{Arrived, Found};
use crate::config::test_file::{Expected, conditions_of, time_ns};
use crate::event::time::write_rfc3339;
use crate::event::tree::{Node, Span};
use crate::expr::condition::Verdict;
use crate::topology::graph::{Component, Port};
use crate::topology::trial::{Cause, Names, Step};
use serde_json::Value;
use wanted::Wanted;

/// More records than this are not shown one by one.
const MOST_SHOWN: usize = 10;

/// What became of a test.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) failures: Vec<Failure>,
}

/// An expectation that was not met.
#[derive(Debug)]
pub(super) struct Failure {
    /// Where in the file it stands.
    pub(super) place: Option<Span>,
    /// Where in the pipeline it was to hold.
    pub(super) at: String,
    pub(super) message: String,
    pub(super) lines: Vec<Line>,
    /// Whether it is about how many records there are.
    is_of_number: bool,
    /// All records that came out there.
    pub(super) found: Vec<Value>,
}

/// A line of an explanation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// As expected.
    Same(String),
    /// Expected, and not found.
    Missing(String),
    /// Found, and not expected.
    Extra(String),
    /// Words about it.
    Note(String),
}

impl Outcome {
    /// A test that could not be run to its end.
    pub(super) fn broken(messages: impl Iterator<Item = String>) -> Self {
        let failures = messages.map(|message| Failure {
            place: None,
            at: String::new(),
            message,
            lines: Vec::new(),
            is_of_number: false,
            found: Vec::new(),
        });
        Self { failures: failures.collect() }
    }

    pub(super) fn is_ok(&self) -> bool {
        self.failures.is_empty()
    }
}

/// Looks at each expectation.
pub(super) fn judge(expect: &[(Port, Expected)], steps: &[Step], subject: &Subject) -> Outcome {
    let mut outcome = Outcome::default();
    for (port, expected) in expect {
        let node = subject.graph.nodes.get(&port.node);
        let is_sink = node.is_some_and(|node| matches!(node.component, Component::Sink(_)));
        let arrived = Arrived::at(port, steps, is_sink);
        let mut judging = Judging { expected, arrived: &arrived, failures: Vec::new() };
        judging.all(subject);
        // Where records are missing or too many, it matters where they went.
        if let Some(failure) = judging.failures.iter_mut().find(|failure| failure.is_of_number) {
            failure.lines.extend(way(port, steps, subject));
        }
        outcome.failures.append(&mut judging.failures);
    }
    outcome
}

/// What one expectation is held against.
struct Judging<'j> {
    expected: &'j Expected,
    arrived: &'j Arrived,
    failures: Vec<Failure>,
}

impl Judging<'_> {
    fn all(&mut self, subject: &Subject) {
        let Expected { records, contains, count, none, .. } = self.expected;
        let found = &self.arrived.records;
        if let Some(records) = records {
            self.exactly(&records.iter().map(Wanted::of).collect::<Vec<_>>());
        }
        for node in contains {
            self.contains(node);
        }
        if let Some(count) = count.filter(|count| *count != found.len()) {
            self.miscounted(
                None,
                format!("expected {}, found {}", many(count), found.len()),
                listed(found),
            );
        }
        match none {
            Some(true) if !found.is_empty() => {
                let message = format!("expected no record, found {}", found.len());
                self.miscounted(None, message, listed(found));
            }
            Some(false) if found.is_empty() => {
                self.miscounted(None, "expected a record, found none".to_owned(), Vec::new());
            }
            _ => {}
        }
        self.times();
        self.conditions(subject);
    }

    fn fail(&mut self, place: Option<Span>, message: String, lines: Vec<Line>) {
        let place = place.or_else(|| self.expected.at.span.clone());
        let records = self.arrived.records.iter();
        let found = records.map(|found| Value::Object(found.fields.clone())).collect();
        let at = self.expected.at.value.clone();
        let is_of_number = false;
        self.failures.push(Failure { place, at, message, lines, is_of_number, found });
    }

    /// The number of records is wrong.
    fn miscounted(&mut self, place: Option<Span>, message: String, lines: Vec<Line>) {
        self.fail(place, message, lines);
        if let Some(failure) = self.failures.last_mut() {
            failure.is_of_number = true;
        }
    }

    /// Compares lists: what is the same at both ends is passed over, the rest goes in pairs.
    fn exactly(&mut self, wanted: &[Wanted]) {
        let found = &self.arrived.records;
        let fits = |pair: &(&Wanted, &Found)| pair.0.is(pair.1);
        let begin = wanted.iter().zip(found).take_while(fits).count();
        if begin == wanted.len() && begin == found.len() {
            return;
        }
        let (wanted, more) = (&wanted[begin..], &found[begin..]);
        let end = wanted.iter().rev().zip(more.iter().rev()).take_while(fits).count();
        let (wanted, more) = (&wanted[..wanted.len() - end], &more[..more.len() - end]);
        let mut lines = Vec::new();
        for at in 0..wanted.len().max(more.len()).min(MOST_SHOWN) {
            let number = begin + at + 1;
            match (wanted.get(at), more.get(at)) {
                (Some(wanted), Some(found)) if !wanted.is(found) => {
                    lines.push(Line::Note(format!("record {number}:")));
                    lines.extend(wanted.difference(found, true));
                }
                (Some(wanted), None) => {
                    lines.push(Line::Note(format!("record {number} is missing:")));
                    lines.push(Line::Missing(wanted.shown()));
                }
                (None, Some(found)) => {
                    lines.push(Line::Note(format!("record {number} is one too many:")));
                    lines.push(Line::Extra(found.shown()));
                }
                _ => {}
            }
        }
        let total = begin + wanted.len() + end;
        if total == found.len() {
            return self.fail(None, "other records than expected".to_owned(), lines);
        }
        let message = format!("expected {}, found {}", many(total), found.len());
        self.miscounted(None, message, lines);
    }

    fn contains(&mut self, node: &Node) {
        let (wanted, found) = (Wanted::of(node), &self.arrived.records);
        if found.iter().any(|found| wanted.is_part_of(found)) {
            return;
        }
        let nearest = found.iter().max_by_key(|found| wanted.likeness(found));
        let mut lines = Vec::new();
        match nearest {
            Some(nearest) => {
                if found.len() > 1 {
                    lines.push(Line::Note("the most like it:".to_owned()));
                }
                lines.extend(wanted.difference(nearest, false));
            }
            None => lines.push(Line::Missing(wanted.shown())),
        }
        let message = match found.len() {
            0 => {
                let message = "expected a record, found none".to_owned();
                return self.miscounted(node.span.clone(), message, lines);
            }
            1 => "the record is another one".to_owned(),
            count => format!("none of {count} records is the expected one"),
        };
        self.fail(node.span.clone(), message, lines);
    }

    fn times(&mut self) {
        let Some(times) = &self.expected.times else { return };
        let shown = |time_ns: i64| {
            let mut text = Vec::new();
            write_rfc3339(&mut text, time_ns);
            String::from_utf8_lossy(&text).into_owned()
        };
        // What is no time was reported when the file was read.
        let wanted: Vec<i64> = times.iter().filter_map(|time| time_ns(time).ok()).collect();
        let found: Vec<i64> = self.arrived.records.iter().map(|found| found.time_ns).collect();
        if wanted == found {
            return;
        }
        let mut lines = Vec::new();
        for at in 0..wanted.len().max(found.len()).min(MOST_SHOWN) {
            match (wanted.get(at), found.get(at)) {
                (Some(wanted), Some(found)) if wanted == found => {
                    lines.push(Line::Same(shown(*found)));
                }
                (wanted, found) => {
                    lines.extend(wanted.map(|time| Line::Missing(shown(*time))));
                    lines.extend(found.map(|time| Line::Extra(shown(*time))));
                }
            }
        }
        self.fail(None, "the records have other times".to_owned(), lines);
    }

    fn conditions(&mut self, subject: &Subject) {
        let constants = subject.env.constants.load();
        let Expected { each, any, .. } = self.expected;
        for (name, node) in [("each", each), ("any", any)] {
            let Some(node) = node else { continue };
            for (condition, place) in conditions_of(name, node).flatten() {
                let bound = match condition.bind(&constants) {
                    Ok(bound) => bound,
                    Err(unfit) => {
                        self.fail(place, unfit.to_string(), Vec::new());
                        continue;
                    }
                };
                let batches = self.arrived.batches.iter();
                let verdicts: Vec<Verdict> = batches.flat_map(|batch| bound.judge(batch)).collect();
                self.condition(name, &condition.to_string(), place, &verdicts);
            }
        }
    }

    fn condition(&mut self, name: &str, text: &str, place: Option<Span>, verdicts: &[Verdict]) {
        let found = &self.arrived.records;
        if found.is_empty() {
            let message = format!("expected a record with `{text}`, found none");
            return self.miscounted(place, message, Vec::new());
        }
        let holds = |verdict: &Verdict| *verdict == Verdict::Holds;
        if name == "any" {
            if !verdicts.iter().any(holds) {
                let message = format!("`{text}` holds for no record");
                self.fail(place, message, listed(found));
            }
            return;
        }
        let Some(at) = verdicts.iter().position(|verdict| !holds(verdict)) else { return };
        let what = match verdicts[at] {
            Verdict::Unclear => "makes no sense for",
            Verdict::Holds | Verdict::Fails => "does not hold for",
        };
        let message = format!("`{text}` {what} record {}", at + 1);
        let lines = found.get(at).map(|found| Line::Extra(found.shown()));
        self.fail(place, message, lines.into_iter().collect());
    }
}

fn many(count: usize) -> String {
    if count == 1 { "1 record".to_owned() } else { format!("{count} records") }
}

fn listed(found: &[Found]) -> Vec<Line> {
    let mut lines: Vec<Line> =
        found.iter().take(MOST_SHOWN).map(|found| Line::Extra(found.shown())).collect();
    if found.len() > MOST_SHOWN {
        lines.push(Line::Note(format!("and {} more", found.len() - MOST_SHOWN)));
    }
    lines
}

/// How many records went through each component on the way to a place.
fn way(port: &Port, steps: &[Step], subject: &Subject) -> Vec<Line> {
    let mut lines = vec![Line::Note("on the way there:".to_owned())];
    for name in Names::of(&subject.graph).above(&port.node) {
        let (mut taken, mut given, mut errors) = (0, 0, 0);
        let mut dropped: Vec<String> = Vec::new();
        for step in steps.iter().filter(|step| step.node == name) {
            if let Cause::Batch(batch) = &step.cause {
                taken += batch.len();
            }
            given += step.emitted.iter().map(|(_, batch)| batch.len()).sum::<usize>();
            errors += step.errors;
            dropped.extend(step.dropped.iter().map(|(why, n)| format!(", {n} dropped ({why})")));
        }
        let node = subject.graph.nodes.get(&name);
        let line = match node.map(|node| &node.component) {
            Some(Component::Transform(_)) => {
                let errors =
                    if errors == 0 { String::new() } else { format!(", {errors} with errors") };
                format!("  {name}: {taken} in, {given} out{errors}{}", dropped.concat())
            }
            Some(Component::Source(_)) => format!("  {name}: {given} out"),
            _ => format!("  {name}: {taken} in"),
        };
        lines.push(Line::Note(line));
    }
    lines
}
