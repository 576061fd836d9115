//! `command`: runs a program, without a shell.

use super::paths::{is_pattern, matching};
use super::{Failure, Module, Outcome, Task, TaskContext};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::command::{Command, Output, Ran};
use crate::host::machine::meta::Stamp;
use crate::host::machine::path::Follow;
use crate::sinks::apply::expand::expand_word;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use crate::sinks::apply::words::{Quotes, split};
use chrono::DateTime;
use minijinja::Value;
use std::path::{Path, PathBuf};

pub(super) static MODULE: Module = Module {
    name: "command",
    summary: "Runs a program, without a shell.",
    acts_unless: Some(&["creates", "removes"]),
    spec: Spec {
        free_form: Some("cmd"),
        exclusive: &[&["cmd", "argv"]],
        one_of: &[&["cmd", "argv"]],
        ..Spec::new(&[
            Param::new("cmd", Kind::CommandLine)
                .says("The program with its arguments, as one text."),
            Param::new("argv", Kind::Texts).says("The program with its arguments, as a list."),
            Param::new("chdir", Kind::Path).says("The directory to run it in."),
            Param::new("creates", Kind::Path)
                .says("A path or pattern; where something is there, nothing is run."),
            Param::new("removes", Kind::Path)
                .says("A path or pattern; where nothing is there, nothing is run."),
            Param::new("stdin", Kind::Text).says("What the program reads from its standard input."),
            Param::new("stdin_add_newline", Kind::Bool)
                .says("End that with a line end; true where not given."),
            Param::new("expand_argument_vars", Kind::Bool).says(
                "Put values of the environment in place of `$NAME`, and the home directory in place \
                 of `~/`; true where not given.",
            ),
            Param::new("strip_empty_ends", Kind::Bool)
                .says("Take line ends off the end of what it says; true where not given."),
            Param::new("executable", Kind::Text)
                .says("Accepted, and without effect, as in Ansible: `shell` has one."),
            Param::new("warn", Kind::Bool).says("Accepted, and without effect."),
        ])
    },
    check,
    build: |params| Box::new(Run { params }),
};

struct Run {
    params: Params,
}

fn words(params: &Params) -> Result<Vec<String>, String> {
    if let Some(argv) = params.texts("argv") {
        return Ok(argv.to_vec());
    }
    split(params.text("cmd").unwrap_or_default(), Quotes::Resolve)
        .map_err(|quote| format!("a quote ({quote}) is opened and not closed"))
}

fn check(params: &Params) -> Vec<Diagnostic> {
    if params.text("cmd").is_none() && params.texts("argv").is_none() {
        return Vec::new();
    }
    let complaint = match words(params) {
        Err(why) => Diagnostic::new(why, params.span.clone()),
        Ok(words) if words.is_empty() => {
            Diagnostic::new("there is no command to run", params.span.clone())
        }
        Ok(_) => return Vec::new(),
    };
    vec![complaint]
}

impl Task for Run {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let argv = words(&self.params).map_err(Failure::new)?;
        let cmd: Value = argv.iter().map(Value::from).collect();
        let argv = match self.params.flag("expand_argument_vars", true) {
            true => argv.iter().map(|word| expand_word(word, cx.environment)).collect(),
            false => argv,
        };
        run(&self.params, machine, cx, argv, cmd)
    }
}

/// Runs `argv`, unless the parameters `creates` and `removes` say that it need not; shared by all
/// tasks that run programs. `cmd` is how the command is told.
pub(super) fn run(
    params: &Params,
    machine: &mut Machine,
    cx: &TaskContext<'_>,
    argv: Vec<String>,
    cmd: Value,
) -> Result<Outcome, Failure> {
    if let Some(reason) = not_needed(params, machine)? {
        let returned = Outcome { message: Some(reason.clone()), ..Outcome::default() };
        let returned = returned.with("cmd", cmd).with("rc", 0).with("msg", reason.as_str());
        let stdout = format!("skipped, since {reason}");
        return Ok(returned.with("stdout", stdout).with("stderr", ""));
    }
    let newline = if params.flag("stdin_add_newline", true) { "\n" } else { "" };
    let command = Command {
        argv,
        chdir: params.path("chdir"),
        environment: cx.environment.to_vec(),
        stdin: params.text("stdin").map(|text| format!("{text}{newline}").into_bytes()),
    };
    match machine.run(&command)? {
        Ran::Unknown => Ok(Outcome { unknown: true, ..Outcome::default() }),
        Ran::Done(output) => {
            let strip = params.flag("strip_empty_ends", true);
            Ok(returned(&output, strip).with("cmd", cmd))
        }
    }
}

/// Why the command need not run, where `creates` or `removes` say so. Both may be patterns.
pub(super) fn not_needed(params: &Params, machine: &Machine) -> Result<Option<String>, Failure> {
    let path = |name: &str| -> Option<PathBuf> {
        let path = params.path(name)?;
        Some(params.path("chdir").map_or(path.clone(), |directory| directory.join(path)))
    };
    if let Some(path) = path("creates")
        && exists(&path, machine)?
    {
        return Ok(Some(format!("{} exists", path.display())));
    }
    if let Some(path) = path("removes")
        && !exists(&path, machine)?
    {
        return Ok(Some(format!("{} does not exist", path.display())));
    }
    Ok(None)
}

/// Whether something is at a path, or at any that its `*`, `?` and `[…]` stand for.
fn exists(path: &Path, machine: &Machine) -> Result<bool, Failure> {
    if machine.stat(path, Follow::Yes)?.is_some() {
        return Ok(true);
    }
    Ok(path.to_str().is_some_and(is_pattern) && !matching(path, machine)?.is_empty())
}

fn returned(output: &Output, strip: bool) -> Outcome {
    let text = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        if strip { text.trim_end_matches(['\r', '\n']).to_owned() } else { text.into_owned() }
    };
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    let failed = (!output.is_success()).then(|| {
        let said = if stderr.is_empty() { &stdout } else { &stderr };
        let last = said.lines().last().unwrap_or_default();
        let how = output.how_it_ended();
        if last.is_empty() { how } else { format!("{how}: {last}") }
    });
    let message = if failed.is_some() { "non-zero return code" } else { "" };
    Outcome { failed, ..Outcome::default() }
        .with("rc", output.code())
        .with("stdout", stdout)
        .with("stderr", stderr)
        .with("start", time(output.started))
        .with("end", time(output.ended))
        .with("delta", elapsed(output.started, output.ended))
        .with("msg", message)
}

/// A point in time as Ansible writes it.
pub(super) fn time(stamp: Stamp) -> String {
    let nanoseconds = u32::try_from(stamp.nanoseconds).unwrap_or(0);
    let time = DateTime::from_timestamp(stamp.seconds, nanoseconds).unwrap_or_default();
    time.format("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

/// `0:00:01.250000`, as Python writes a time that has passed.
pub(super) fn elapsed(start: Stamp, end: Stamp) -> String {
    let micros = |stamp: Stamp| stamp.seconds * 1_000_000 + stamp.nanoseconds / 1000;
    let passed = (micros(end) - micros(start)).max(0);
    let seconds = passed / 1_000_000;
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{hours}:{minutes:02}:{rest:02}.{:06}", passed % 1_000_000)
}
