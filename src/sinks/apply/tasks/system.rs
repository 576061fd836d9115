//! What tasks about the system share: text files that are edited line by line, and steps from one
//! state to another.

use super::{Failure, Outcome};
use crate::host::machine::Machine;
use crate::host::machine::mode::Mode;
use crate::host::machine::path::Follow;
use crate::host::machine::write::{Attributes, WriteOptions};
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

/// Words as arguments.
pub(super) fn argv(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
