//! What tasks about the system share: text files that are edited line by line, and steps from one
//! state to another.

use super::{Failure, Outcome};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::command::Command;
use crate::host::machine::mode::Mode;
use crate::host::machine::path::Follow;
use crate::host::machine::write::{Attributes, WriteOptions};
use crate::sinks::apply::params::Params;
use bytes::Bytes;
use std::path::Path;

/// The text of a file; `None` where there is none.
pub(super) fn read(machine: &Machine, path: &Path) -> Result<Option<String>, Failure> {
    if machine.stat(path, Follow::Yes)?.is_none() {
        return Ok(None);
    }
    let bytes = machine.read(path)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Failure::new(format!("{} is no UTF-8 text", path.display())))?;
    Ok(Some(text.to_owned()))
}

/// Makes sure that a file of the system holds `text`; a new one can be read by all. A link is
/// followed. Returns where the old file is kept, if `backup` asks for that.
pub(super) fn write(
    machine: &mut Machine,
    path: &Path,
    text: String,
    backup: bool,
) -> Result<Option<String>, Failure> {
    let is_new = machine.stat(path, Follow::Yes)?.is_none();
    let mode = is_new.then_some(Mode::Exact(0o644));
    let attributes = Attributes { mode, ..Attributes::default() };
    let options = WriteOptions { follow: true, backup, ..WriteOptions::default() };
    let written = machine.write_file(path, &Bytes::from(text), &attributes, &options)?;
    Ok(written.backup.map(|path| path.display().to_string()))
}

/// Adds the place of the old file, where one was kept.
pub(super) fn with_backup(outcome: Outcome, backup: Option<String>) -> Outcome {
    match backup {
        Some(backup) => outcome.with("backup_file", backup),
        None => outcome,
    }
}

/// The lines of a text, joined again; each has its end.
pub(super) fn join<S: AsRef<str>>(lines: &[S]) -> String {
    lines.iter().flat_map(|line| [line.as_ref(), "\n"]).collect()
}

/// A complaint where a parameter cannot name a file in a directory.
pub(super) fn check_file_name(params: &Params, name: &str) -> Option<Diagnostic> {
    let text = params.text(name).filter(|text| !text.contains("{{"))?;
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    if !text.is_empty() && !text.starts_with(['.', '-']) && text.bytes().all(is_letter) {
        return None;
    }
    let why = format!("`{name}` is `{text}`, and the name of a file is expected");
    let hint = "letters, digits, `-`, `_` and `.` make it up";
    Some(Diagnostic::new(why, params.place(name)).hint(hint))
}

/// Complaints about parameters that a state needs and that are not given; `usual` is the state where
/// none is given. One that an expression makes is looked at when it is known.
pub(super) fn needs(
    module: &str,
    params: &Params,
    usual: &str,
    states: &[&str],
    names: &[&str],
) -> Vec<Diagnostic> {
    let state = match params.text("state") {
        Some(state) => state,
        None if params.has("state") => return Vec::new(),
        None => usual,
    };
    let missing = names.iter().filter(|name| states.contains(&state) && !params.has(name));
    let complaint = |name| {
        let why = format!("`{module}` with `state: {state}` needs `{name}`");
        Diagnostic::new(why, params.place("state"))
    };
    missing.map(complaint).collect()
}

/// What the last line `NAME=value` of a file says.
pub(super) fn value<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let of_line = |line: &'t str| line.trim().strip_prefix(name)?.strip_prefix('=');
    text.lines().filter_map(of_line).next_back().map(str::trim)
}

/// A command whose words are looked at, so that they are English whatever language the host and
/// `environment`, the task's own, ask for. Text is UTF-8 still.
pub(super) fn in_english(argv: Vec<String>, environment: &[(String, String)]) -> Command {
    let english = [("LC_ALL", "C.UTF-8"), ("LANGUAGE", "C")];
    let english = english.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let environment = environment.iter().cloned().chain(english).collect();
    Command { argv, environment, ..Command::default() }
}

/// Words as arguments.
pub(super) fn argv(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Parameters of a task, as they are when it runs.
#[cfg(test)]
pub(super) fn params(module: &super::Module, given: &[(&str, &str)]) -> Params {
    use crate::event::tree::{Key, Node, Value};
    use crate::sinks::apply::params::Stage;
    let entry = |(name, text): &(&str, &str)| {
        (Key { name: (*name).into(), span: None }, Node::string(text))
    };
    let args = Node::new(Value::Map(given.iter().map(entry).collect()));
    Params::read(module.name, &module.spec, &args, Stage::Rendered).unwrap()
}
