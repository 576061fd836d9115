//! `chattr`: attributes of a file that the file system keeps, such as that nobody may change it.

use super::{Failure, Module, Outcome, Task, TaskContext, system};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::command::Command;
use crate::host::machine::path::Follow;
use crate::host::machine::state::{NO_ATTRIBUTES, Transition, attributes_of};
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use std::path::Path;

pub(super) static MODULE: Module = Module {
    name: "chattr",
    summary: "Makes sure that a file or directory has attributes such as `i`, immutable, or not.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("path", Kind::Path)
            .required()
            .says("The file or directory; links are followed."),
        Param::new("attributes", Kind::Text).or(&["attr"]).required().says(
            "Letters as chattr(1) knows them: `+i` adds, `-i` takes away, `=i` has these alone (of \
             those that can be set).",
        ),
    ]),
    check,
    build: |params| Box::new(Chattr { params }),
};

/// The attributes that can be set.
const LETTERS: &str = "aACcdDijmPsStTuxF";

fn check(params: &Params) -> Vec<Diagnostic> {
    let text = params.text("attributes").filter(|text| !text.contains("{{"));
    let Some(text) = text.filter(|text| parse(text).is_none()) else { return Vec::new() };
    let why = format!("`{text}` is not `+`, `-` or `=` with letters of `{LETTERS}`");
    vec![Diagnostic::new(why, params.place("attributes"))]
}

/// What is to be done with which letters.
fn parse(text: &str) -> Option<(char, &str)> {
    let sign = text.chars().next().filter(|sign| "+-=".contains(*sign))?;
    let letters = &text[1..];
    let is_known = !letters.is_empty() && letters.chars().all(|letter| LETTERS.contains(letter));
    is_known.then_some((sign, letters))
}

struct Chattr {
    params: Params,
}

impl Task for Chattr {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let path = self.params.path("path").unwrap_or_default();
        let path = machine.resolve(&path, Follow::Yes)?;
        let text = self.params.text("attributes").unwrap_or_default();
        let Some((sign, letters)) = parse(text) else { return Ok(Outcome::default()) };
        let now = attributes(machine, &path)?;
        let mut adds = String::new();
        let mut takes = String::new();
        for letter in LETTERS.chars() {
            let (is_set, is_named) = (now.contains(letter), letters.contains(letter));
            match sign {
                '+' | '=' if is_named && !is_set => adds.push(letter),
                '-' if is_named && is_set => takes.push(letter),
                '=' if !is_named && is_set => takes.push(letter),
                _ => {}
            }
        }
        let after: String = LETTERS
            .chars()
            .filter(|letter| {
                adds.contains(*letter) || now.contains(*letter) && !takes.contains(*letter)
            })
            .collect();
        let outcome = Outcome::default().with("attributes", after.as_str());
        if adds.is_empty() && takes.is_empty() {
            return Ok(outcome);
        }
        machine.transition(&Transition {
            of: attributes_of(&path),
            before: shown(&now),
            after: shown(&after),
            argv: chattr(&adds, &takes, &path),
            back: Some(chattr(&takes, &adds, &path)),
        })?;
        Ok(outcome)
    }
}

fn shown(letters: &str) -> String {
    if letters.is_empty() { NO_ATTRIBUTES.to_owned() } else { letters.to_owned() }
}

fn chattr(adds: &str, takes: &str, path: &Path) -> Vec<String> {
    let mut argv = system::argv(&["chattr"]);
    for (sign, letters) in [('+', adds), ('-', takes)] {
        if !letters.is_empty() {
            argv.push(format!("{sign}{letters}"));
        }
    }
    argv.push("--".into());
    argv.push(path.display().to_string());
    argv
}

/// The letters that a path has, of those that can be set.
fn attributes(machine: &Machine, path: &Path) -> Result<String, Failure> {
    let shown = path.display();
    if machine.stat(path, Follow::No)?.is_none() {
        return Err(Failure::new(format!("there is nothing at {shown}")));
    }
    if let Some(foretold) = machine.foretold_state(&attributes_of(path)) {
        return Ok(if foretold == NO_ATTRIBUTES { String::new() } else { foretold });
    }
    if machine.foretells_below(path) {
        // What an earlier task would make is like any new file.
        return Ok(String::new());
    }
    let argv = system::argv(&["lsattr", "-d", "--", &shown.to_string()]);
    let output = machine.query(&Command { argv, ..Command::default() })?;
    if !output.is_success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Failure::new(format!("the attributes of {shown} cannot be told: {said}")));
    }
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let letters = said.split_whitespace().next().unwrap_or_default();
    Ok(LETTERS.chars().filter(|letter| letters.contains(*letter)).collect())
}
