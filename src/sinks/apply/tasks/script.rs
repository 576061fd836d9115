//! `script`: runs a script that lies among the config's files.

use super::command::{not_needed, run};
use super::copy::find_source;
use super::{Failure, Module, Outcome, Task, TaskContext};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use crate::sinks::apply::words::{Quotes, split};

pub(super) static MODULE: Module = Module {
    name: "script",
    summary: "Runs a script from the `files` folder.",
    acts_unless: Some(&["creates", "removes"]),
    spec: Spec {
        free_form: Some("cmd"),
        not_yet: &[&["decrypt"]],
        ..Spec::new(&[
            Param::new("cmd", Kind::CommandLine)
                .required()
                .says("A script of the config, with its arguments."),
            Param::new("chdir", Kind::Path).says("The directory to run it in."),
            Param::new("creates", Kind::Path)
                .says("A path or pattern; where something is there, nothing is run."),
            Param::new("removes", Kind::Path)
                .says("A path or pattern; where nothing is there, nothing is run."),
            Param::new("executable", Kind::CommandLine)
                .says("What runs it, in place of its first line."),
        ])
    },
    check,
    build: |params| Box::new(Script { params }),
};

struct Script {
    params: Params,
}

fn check(params: &Params) -> Vec<Diagnostic> {
    let complain = |why: String| vec![Diagnostic::new(why, params.span.clone())];
    for name in ["cmd", "executable"] {
        match params.text(name).map(|text| split(text, Quotes::Resolve)) {
            Some(Err(quote)) => {
                return complain(format!("a quote ({quote}) is opened and not closed"));
            }
            Some(Ok(words)) if words.is_empty() => {
                return complain(format!("`{name}` is empty"));
            }
            _ => {}
        }
    }
    Vec::new()
}

impl Task for Script {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let words = |name| {
            let text = self.params.text(name).unwrap_or_default();
            split(text, Quotes::Resolve)
                .map_err(|quote| Failure::new(format!("a quote ({quote}) is not closed")))
        };
        let mut argv = words("cmd")?;
        if argv.is_empty() {
            return Err(Failure::new("there is no script to run"));
        }
        let script = find_source(&argv[0], "files", machine, cx)?;
        argv[0] = script.display().to_string();
        let mut program = words("executable")?;
        if program.is_empty() {
            program = interpreter(&machine.read(&script)?);
        }
        program.append(&mut argv);
        let cmd = self.params.text("cmd").unwrap_or_default();
        // Unlike a command, a script that `creates` or `removes` keeps from running is skipped.
        let is_skipped = not_needed(&self.params, machine)?.is_some();
        let outcome = run(&self.params, machine, cx, program, cmd.into())?;
        Ok(if is_skipped { outcome.with("skipped", true) } else { outcome })
    }
}

/// What the script's first line names, so that the script need not be executable itself.
fn interpreter(script: &[u8]) -> Vec<String> {
    let first = script.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let named = first.strip_prefix(b"#!").map(String::from_utf8_lossy);
    let words = named.as_deref().map(str::trim).filter(|line| !line.is_empty()).map(|line| {
        // As the kernel does: all behind the program is one argument.
        let (program, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        [program, rest].into_iter().filter(|word| !word.is_empty()).map(str::to_owned).collect()
    });
    words.unwrap_or_else(|| {
        let is_program = script.starts_with(b"\x7fELF");
        if is_program { Vec::new() } else { vec!["/bin/sh".to_owned()] }
    })
}
