//! `shutdown`: turns the host off. What `reboot` has in common with it is here too.

use super::{Failure, Module, Outcome, Task, TaskContext, system, values};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::path::Follow;
use crate::host::machine::state::Transition;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use std::path::Path;

pub(super) static MODULE: Module = Module {
    name: "shutdown",
    summary: "Turns the host off. Tried against a stand-in for `shutdown` alone.",
    acts_unless: Some(&[]),
    spec: Spec::new(&[
        Param::new("delay", Kind::Any).says(
            "In how many seconds, in whole minutes rounded up; 60 where not given or less, so that the \
             run can end and be written down.",
        ),
        Param::new("msg", Kind::Text).says("What those are told who are logged in."),
        SEARCH_PATHS,
    ]),
    check: |params| values::check_number(params, "delay").into_iter().chain(check_message(params)).collect(),
    build: |params| Box::new(Shutdown { params }),
};

pub(super) const SEARCH_PATHS: Param = Param::new("search_paths", Kind::Texts).says(
    "Where the program `shutdown` is; `/sbin`, `/usr/sbin` and `/usr/local/sbin` where not given.",
);

struct Shutdown {
    params: Params,
}

impl Task for Shutdown {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let delay = values::number(&self.params, "delay")?;
        plan(machine, &self.params, "-h", "off", delay)?;
        Ok(Outcome::default().with("shutdown", true))
    }
}

/// A message that is one line.
pub(super) fn check_message(params: &Params) -> Option<Diagnostic> {
    let text = params.text("msg").filter(|text| text.contains('\n'))?;
    let why = format!("`msg` is one line, and this is `{}`", text.escape_debug());
    Some(Diagnostic::new(why, params.place("msg")))
}

/// Has the host go down in some time, which `shutdown -c` would call off.
pub(super) fn plan(
    machine: &mut Machine,
    params: &Params,
    how: &str,
    after: &str,
    delay_seconds: Option<f64>,
) -> Result<(), Failure> {
    let program = program(machine, params)?;
    let minutes = (delay_seconds.unwrap_or(0.0) / 60.0).ceil().clamp(1.0, 10_000.0);
    let when = format!("+{minutes}");
    let mut argv = system::argv(&[&program, how, &when]);
    argv.extend(params.text("msg").map(str::to_owned));
    Ok(machine.transition(&Transition {
        of: "the host".into(),
        before: "running".into(),
        after: format!("{after} in {minutes} min"),
        argv,
        back: Some(system::argv(&[&program, "-c"])),
    })?)
}

fn program(machine: &Machine, params: &Params) -> Result<String, Failure> {
    let usual = ["/sbin", "/usr/sbin", "/usr/local/sbin"].map(str::to_owned);
    let directories = params.texts("search_paths").unwrap_or(&usual);
    for directory in directories {
        let path = Path::new(directory).join("shutdown");
        if machine.stat(&path, Follow::Yes)?.is_some() {
            return Ok(path.display().to_string());
        }
    }
    let directories = directories.join(", ");
    Err(Failure::new(format!("there is no program `shutdown` in {directories}")))
}
