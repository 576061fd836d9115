//! What all tasks that edit a text file share: how the file is read, written and told.

use super::copy::make_directories;
use super::pattern::{Over, Pattern};
use super::{Failure, Outcome, file_attributes};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::meta::Kind;
use crate::host::machine::path::Follow;
use crate::host::machine::write::{Attributes, WriteOptions};
use crate::sinks::apply::params::Params;
use crate::sinks::apply::words::{Quotes, split};
use bytes::Bytes;
use std::borrow::Cow;
use std::path::PathBuf;

/// How the bytes of a file and its text go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    /// UTF-8.
    Utf8,
    /// One character a byte, which keeps any bytes as they are.
    Bytes,
}

impl Codec {
    fn of(content: &[u8]) -> Self {
        if std::str::from_utf8(content).is_ok() { Self::Utf8 } else { Self::Bytes }
    }

    fn decode(self, content: &[u8]) -> String {
        match self {
            Self::Utf8 => String::from_utf8_lossy(content).into_owned(),
            Self::Bytes => content.iter().copied().map(char::from).collect(),
        }
    }

    fn encode(self, text: String) -> Vec<u8> {
        match self {
            Self::Utf8 => text.into_bytes(),
            Self::Bytes => text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect(),
        }
    }

    /// A parameter, spelled as the file's text is.
    pub(super) fn spell(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Utf8 => text.into(),
            Self::Bytes => self.decode(text.as_bytes()).into(),
        }
    }
}

/// A file that is edited.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    /// What it holds; nothing where it does not exist.
    pub(super) text: String,
    pub(super) exists: bool,
    pub(super) codec: Codec,
    /// What ends its lines.
    pub(super) line_end: &'static str,
}

/// What an edit makes of a text.
#[derive(Debug)]
pub(super) struct Edited {
    pub(super) text: String,
    /// What was done, in Ansible's words; empty where nothing was.
    pub(super) done: String,
}

impl File {
    /// Reads the file that the task's `path` names.
    pub(super) fn open(params: &Params, machine: &Machine) -> Result<Self, Stop> {
        let path = params.path("path").unwrap_or_default();
        let found = machine.stat(&path, Follow::Yes)?;
        if found.as_ref().is_some_and(|found| found.kind == Kind::Directory) {
            let why = format!("{} is a directory, and a file is expected", path.display());
            return Err(stop(256, why, None));
        }
        let content = match found {
            Some(_) => machine.read(&path)?,
            None => Bytes::new(),
        };
        let codec = Codec::of(&content);
        let text = codec.decode(&content);
        let first_end = text.find('\n');
        let line_end = match first_end {
            Some(at) if text[..at].ends_with('\r') => "\r\n",
            _ => "\n",
        };
        Ok(Self { path, text, exists: found.is_some(), codec, line_end })
    }

    /// Complains where the file does not exist.
    pub(super) fn must_exist(&self, machine: &Machine, hint: Option<&str>) -> Result<(), Stop> {
        if self.exists {
            return Ok(());
        }
        let fault = machine.absence(format!("there is no file {}", self.path.display()));
        if fault.is_denial {
            return Err(fault.into());
        }
        Err(stop(257, format!("there is no file {}", self.path.display()), hint))
    }

    /// Edits the text and writes it, with the permissions that the parameters ask for. What would
    /// change again at every run is refused.
    pub(super) fn change(
        &self,
        params: &Params,
        machine: &mut Machine,
        edit: &dyn Fn(&str) -> Result<Edited, Failure>,
    ) -> Result<Outcome, Failure> {
        let edited = edit(&self.text)?;
        if edited.text != self.text && !settles(&edited.text, edit)? {
            let why = format!("{} would be changed again at every run", self.path.display());
            let hint = "change the pattern so that it does not match what the task has written";
            return Err(Failure { hint: Some(hint.into()), ..Failure::new(why) });
        }
        self.write(params, machine, edited)
    }

    /// Writes what was made of the text.
    pub(super) fn write(
        &self,
        params: &Params,
        machine: &mut Machine,
        edited: Edited,
    ) -> Result<Outcome, Failure> {
        let attributes = file_attributes::read(params, machine)?;
        if !self.exists && edited.text.is_empty() && edited.done.is_empty() {
            return Ok(Outcome::default().with("msg", ""));
        }
        if let (false, Some(parent)) = (self.exists, self.path.parent()) {
            make_directories(machine, parent, &Attributes::default())?;
        }
        let before = machine.stat(&self.path, Follow::Yes)?.map(|found| found.access());
        let content = Bytes::from(self.codec.encode(edited.text));
        let written = machine.write_file(
            &self.path,
            &content,
            &attributes,
            &options(params, Follow::Yes)?,
        )?;
        let after = machine.stat(&self.path, Follow::Yes)?.map(|found| found.access());
        let mut message = edited.done;
        if before.is_some() && before != after {
            let join = if message.is_empty() { "" } else { " and " };
            message.push_str(join);
            message.push_str("ownership, perms or SE linux context changed");
        }
        let backup = written.backup.map(|path| path.display().to_string());
        let outcome = Outcome::default().with("msg", message);
        let outcome = outcome.with("backup", backup.clone().unwrap_or_default());
        Ok(match backup {
            Some(backup) => outcome.with("backup_file", backup),
            None => outcome,
        })
    }
}

/// Whether `text`, edited again and again, stays as it is at last. Where several lines match, a run
/// of `lineinfile` changes one of them, so that it takes some runs.
fn settles(text: &str, edit: &dyn Fn(&str) -> Result<Edited, Failure>) -> Result<bool, Failure> {
    const RUNS: usize = 100;
    let largest = 2 * text.len() + (64 << 10);
    let mut text = Cow::from(text);
    for _ in 0..RUNS {
        let next = edit(&text)?.text;
        if next == text {
            return Ok(true);
        }
        if next.len() > largest {
            return Ok(false);
        }
        text = next.into();
    }
    Ok(false)
}

/// Why a task cannot go on, with what it returns.
#[derive(Debug)]
pub(super) struct Stop(Box<Result<Outcome, Failure>>);

impl Stop {
    /// As the task's own result.
    pub(super) fn told(self) -> Result<Outcome, Failure> {
        *self.0
    }
}

impl<E: Into<Failure>> From<E> for Stop {
    fn from(fault: E) -> Self {
        Self(Box::new(Err(fault.into())))
    }
}

/// A failure with a return code.
pub(super) fn stop(code: i32, why: String, hint: Option<&str>) -> Stop {
    let failed = Some(hint.map_or(why.clone(), |hint| format!("{why} ({hint})")));
    let outcome = Outcome { failed, ..Outcome::default() };
    Stop(Box::new(Ok(outcome.with("rc", code).with("msg", why))))
}

/// How a file is written, as the parameters `backup`, `validate` and `unsafe_writes` have it.
pub(super) fn options(params: &Params, follow: Follow) -> Result<WriteOptions, Failure> {
    let validate = params.text("validate").map(|text| split(text, Quotes::Resolve)).transpose();
    let unclosed =
        |quote| Failure::new(format!("`validate` opens a quote ({quote}) and does not close it"));
    Ok(WriteOptions {
        follow: follow == Follow::Yes,
        validate: validate.map_err(unclosed)?,
        unsafe_writes: params.flag("unsafe_writes", false),
        backup: params.flag("backup", false),
    })
}

/// What can be said against `validate` and the patterns among the parameters.
pub(super) fn check(params: &Params, patterns: &[(&str, Over)]) -> Vec<Diagnostic> {
    let mut complaints = Vec::new();
    for (name, over) in patterns {
        if let Some(Err(why)) = params.text(name).map(|text| Pattern::new(text, *over)) {
            complaints.push(Diagnostic::new(format!("`{name}`: {why}"), params.place(name)));
        }
    }
    if params.text("validate").is_some_and(|text| !text.contains("%s")) {
        let why = "`validate` must hold `%s`, the file to look at";
        complaints.push(Diagnostic::new(why, params.place("validate")));
    }
    complaints
}

/// What can be said against the parameter `name` as the new text in place of what `regexp` matches.
pub(super) fn check_template(params: &Params, name: &str, over: Over) -> Option<Diagnostic> {
    let pattern = Pattern::new(params.text("regexp")?, over).ok()?;
    let failure = pattern.check_template(params.text(name)?).err()?;
    let complaint = Diagnostic::new(format!("`{name}`: {}", failure.message), params.place(name));
    Some(Diagnostic { hint: failure.hint, ..complaint })
}

/// A line without its end.
pub(super) fn bare(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n'])
}

/// The end that a line has: `\n`, `\r\n` or, of the last one, perhaps none.
pub(super) fn end_of(line: &str) -> &str {
    let bare = line.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    bare.map_or("", |bare| &line[bare.len()..])
}

/// The lines of `text`, each with its end.
pub(super) fn lines(text: &str) -> Vec<Cow<'_, str>> {
    text.split_inclusive('\n').map(Cow::from).collect()
}

/// Gives the last of `lines` the end that it lacks.
pub(super) fn end_last(lines: &mut [Cow<'_, str>], end: &str) {
    if let Some(last) = lines.last_mut()
        && end_of(last).is_empty()
    {
        last.to_mut().push_str(end);
    }
}

/// A line as patterns see it: it ends like any other.
pub(super) fn subject(line: &str) -> Cow<'_, str> {
    match line.strip_suffix("\r\n") {
        Some(bare) => format!("{bare}\n").into(),
        None => line.into(),
    }
}

/// `insertbefore` and `insertafter`, of which the latter is the end of the file where neither is
/// given.
pub(super) fn place(params: &Params) -> (Option<&str>, Option<&str>) {
    let (before, after) = (params.text("insertbefore"), params.text("insertafter"));
    (before, if before.is_none() { Some(after.unwrap_or("EOF")) } else { None })
}
