//! What tasks for package managers other than apt have in common: words for states, and telling what
//! became of packages by what is installed before and after.

use super::{Failure, Outcome};
use crate::host::machine::Machine;
use crate::host::machine::command::{Command, Output, Ran};
use crate::host::machine::packages::package_property;
use crate::host::machine::path::Follow;
use crate::sinks::apply::params::Params;
use minijinja::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The property that is which versions are installed.
pub(super) const VERSION: &str = "version";

/// The states that all of them know, two of them by an old name too.
pub(super) const STATES: &[&str] = &["absent", "installed", "latest", "present", "removed"];

/// What becomes of packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Present,
    Absent,
    Latest,
}

impl State {
    pub(super) fn of(params: &Params) -> Self {
        match params.text("state") {
            Some("absent" | "removed") => Self::Absent,
            Some("latest") => Self::Latest,
            _ => Self::Present,
        }
    }
}

/// The packages of a host, by name, with their versions: some may be there in more than one.
pub(super) type Installed = BTreeMap<String, BTreeSet<String>>;

/// A package manager.
pub(super) trait Manager {
    /// Where it writes down what is installed.
    fn database(&self) -> PathBuf;

    /// What is installed.
    fn installed(&self, machine: &Machine) -> Result<Installed, Failure>;

    /// Whether what is asked for as `name` is there.
    fn has(&self, machine: &Machine, installed: &Installed, name: &str) -> Result<bool, Failure>;

    /// What a package of it is called in a plan.
    fn called(&self, name: &str) -> String {
        package_property(name)
    }

    /// Whether it did its work, by how it ended.
    fn is_done(&self, output: &Output) -> bool {
        output.is_success()
    }

    /// How it is started for these words.
    fn command(&self, words: &[&str], names: &[String]) -> Command;
}

/// The names that a parameter holds; one text may be several, with commas between.
pub(super) fn names(params: &Params, name: &str) -> Vec<String> {
    let all = params.texts(name).unwrap_or_default().iter();
    let words = all.flat_map(|text| text.split(',')).map(str::trim).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// The options for those parameters that are true.
pub(super) fn options(params: &Params, of: &[(&str, &str)]) -> Vec<String> {
    let given = of.iter().filter(|(name, _)| params.flag(name, false));
    given.map(|(_, option)| (*option).to_owned()).collect()
}

/// Has a manager do something that may change packages; what is `named` is known to change.
pub(super) fn transact(
    manager: &dyn Manager,
    machine: &mut Machine,
    command: &Command,
    named: &[String],
    state: State,
) -> Result<Outcome, Failure> {
    let database = manager.database();
    let before = manager.installed(machine)?;
    let output = match machine.attempt(command)? {
        Ran::Done(output) => output,
        Ran::Unknown => {
            for name in named {
                let is = (state != State::Absent).then(|| "what it will choose".to_owned());
                let was = version(&before, name);
                machine.note_property(&database, &manager.called(name), VERSION, [was, is])?;
            }
            // What comes or goes with them only the manager knows.
            return Ok(Outcome { unknown: true, ..Outcome::default() });
        }
    };
    let after = manager.installed(machine)?;
    let all: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let is_other = |name: &&&String| before.get(**name) != after.get(**name);
    let changed: Vec<&String> = all.iter().filter(is_other).copied().collect();
    for name in &changed {
        let sides = [version(&before, name), version(&after, name)];
        machine.note_property(&database, &manager.called(name), VERSION, sides)?;
    }
    if !manager.is_done(&output) {
        return Err(complaint(command, &output));
    }
    for name in named.iter().filter(|_| state == State::Absent) {
        if manager.has(machine, &after, name)? {
            let why = format!("`{name}` is still there: {}", last_line(&output));
            return Err(Failure::new(why));
        }
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let packages: Value = changed.iter().map(|name| Value::from(name.as_str())).collect();
    Ok(Outcome::default()
        .with("packages", packages)
        .with("rc", output.code())
        .with("stdout", text(&output.stdout))
        .with("stderr", text(&output.stderr)))
}

/// Those that a state asks something of: what is missing, or what must go.
pub(super) fn to_change(
    manager: &dyn Manager,
    machine: &Machine,
    names: &[String],
    state: State,
) -> Result<Vec<String>, Failure> {
    let installed = manager.installed(machine)?;
    let mut wanted = Vec::new();
    for name in names {
        let foretold = machine.foretold_property(&manager.called(name), VERSION);
        let is_there = match foretold {
            Some(version) => version.is_some(),
            None => manager.has(machine, &installed, name)?,
        };
        if is_there == (state == State::Absent) {
            wanted.push(name.clone());
        }
    }
    Ok(wanted)
}

/// Has a manager fetch its lists of packages, which is no change of packages.
pub(super) fn refresh(machine: &mut Machine, command: &Command) -> Result<(), Failure> {
    match machine.refresh(command)? {
        Some(output) if !output.is_success() => Err(complaint(command, &output)),
        _ => Ok(()),
    }
}

/// The text of a file that a manager writes, if it is there.
pub(super) fn text(machine: &Machine, path: &Path) -> Result<Option<String>, Failure> {
    if machine.stat(path, Follow::Yes)?.is_none() {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&machine.read(path)?).into_owned()))
}

fn version(installed: &Installed, name: &str) -> Option<String> {
    let versions: Vec<&str> = installed.get(name)?.iter().map(String::as_str).collect();
    Some(versions.join(", "))
}

/// What a manager says to what it does not do.
pub(super) fn complaint(command: &Command, output: &Output) -> Failure {
    let program = command.argv.first().map_or("", String::as_str);
    let why = format!("{program}: {}: {}", output.how_it_ended(), last_line(output));
    Failure::new(why).of_program(output)
}

fn last_line(output: &Output) -> String {
    let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    let lines = said.iter().rev().flat_map(|text| text.lines().rev());
    let mut lines = lines.filter(|line| !line.trim().is_empty());
    lines.next().unwrap_or("no word why").trim().to_owned()
}
