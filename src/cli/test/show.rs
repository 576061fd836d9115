//! The results, for people and for machines.

use super::judge::{Failure, Line, Outcome};
use super::prepared::Prepared;
use crate::cli::report::{Colour, printable};
use crate::event::tree::Span;
use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

/// One test: a line, and why it failed.
pub(super) fn one(test: &Prepared, outcome: &Outcome, colour: Colour) -> String {
    let (green, red) = (AnsiColor::Green.on_default(), AnsiColor::Red.on_default().bold());
    let name = printable(&test.name);
    if outcome.is_ok() {
        return format!("{} {name}\n", colour.paint(green, "ok  "));
    }
    let place = place(test.name.span.as_ref());
    let mut text = format!("{} {name}{place}\n", colour.paint(red, "FAIL"));
    for failure in &outcome.failures {
        text.push_str(&explained(failure, colour));
    }
    text
}

fn explained(failure: &Failure, colour: Colour) -> String {
    let message = printable(&failure.message);
    let mut text = match failure.at.as_str() {
        "" => format!("     {message}\n"),
        at => format!("     `{}`: {message}{}\n", printable(at), place(failure.place.as_ref())),
    };
    let (green, red) = (AnsiColor::Green.on_default(), AnsiColor::Red.on_default());
    for line in &failure.lines {
        let (style, mark, line) = match line {
            Line::Same(line) => (Style::new(), "  ", line),
            Line::Missing(line) => (red, "- ", line),
            Line::Extra(line) => (green, "+ ", line),
            Line::Note(line) => (Style::new(), "", line),
        };
        let line = colour.paint(style, &format!("{mark}{}", printable(line)));
        text.push_str(&format!("       {line}\n"));
    }
    text
}

fn place(span: Option<&Span>) -> String {
    span.map(|span| format!(" ({span})")).unwrap_or_default()
}

/// How many there were, and how many are right.
pub(super) fn recap(results: &[(&Prepared, Outcome)]) -> String {
    let failed = results.iter().filter(|(_, outcome)| !outcome.is_ok()).count();
    let all = results.len();
    let tests = if all == 1 { "test" } else { "tests" };
    match failed {
        0 => format!("{all} {tests}: all as expected\n"),
        failed => format!("{all} {tests}: {failed} failed (- expected, + found)\n"),
    }
}

/// The same as one JSON object.
pub(super) fn json(results: &[(&Prepared, Outcome)]) -> String {
    let tests = results.iter().map(|(test, outcome)| {
        let failures: Vec<Value> = outcome.failures.iter().map(failure).collect();
        let mut shown = json!({"name": test.name.value, "passed": outcome.is_ok()});
        add_place(&mut shown, test.name.span.as_ref());
        shown["failures"] = failures.into();
        shown
    });
    let tests: Vec<Value> = tests.collect();
    let failed = results.iter().filter(|(_, outcome)| !outcome.is_ok()).count();
    let all = json!({"passed": results.len() - failed, "failed": failed, "tests": tests});
    format!("{all:#}\n")
}

fn failure(failure: &Failure) -> Value {
    let lines = failure.lines.iter().map(|line| match line {
        Line::Same(line) => format!("  {line}"),
        Line::Missing(line) => format!("- {line}"),
        Line::Extra(line) => format!("+ {line}"),
        Line::Note(line) => line.clone(),
    });
    let lines: Vec<String> = lines.collect();
    let mut shown = json!({"message": failure.message});
    if !failure.at.is_empty() {
        shown["at"] = failure.at.as_str().into();
    }
    add_place(&mut shown, failure.place.as_ref());
    shown["difference"] = lines.into();
    shown["found"] = failure.found.clone().into();
    shown
}

fn add_place(shown: &mut Value, span: Option<&Span>) {
    if let Some(span) = span {
        let (line, column) = span.line_column();
        shown["file"] = span.file.path.display().to_string().into();
        shown["line"] = line.into();
        shown["column"] = column.into();
    }
}
