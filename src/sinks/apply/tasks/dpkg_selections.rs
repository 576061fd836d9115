//! `dpkg_selections`: what dpkg is to do with a package when all are brought up to date.

use super::{Failure, Module, Outcome, Task, TaskContext, no_check};
use crate::host::machine::Machine;
use crate::host::machine::command::{Command, Ran};
use crate::sinks::apply::params::{Kind, Param, Params, Spec};

pub(super) static MODULE: Module = Module {
    name: "dpkg_selections",
    summary: "Makes sure that dpkg holds a package back, or no longer does.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("name", Kind::Text).required().says("The package."),
        Param::new("selection", Kind::OneOf(&["deinstall", "hold", "install", "purge"]))
            .required()
            .says("What is wanted of it; `hold` keeps the version that is installed."),
    ]),
    check: no_check,
    build: |params| Box::new(Selection { params }),
};

struct Selection {
    params: Params,
}

impl Task for Selection {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let name = self.params.text("name").unwrap_or_default();
        let wanted = self.params.text("selection").unwrap_or_default();
        let packages = machine.packages()?;
        let Some(package) = packages.find(name).filter(|package| !package.selection.is_empty())
        else {
            let why = format!("Failed to find package '{name}' to perform selection '{wanted}'");
            return Err(Failure::new(why));
        };
        let before = package.selection.as_str();
        let outcome = Outcome::default().with("before", before).with("after", wanted);
        if before == wanted {
            return Ok(outcome);
        }
        let command = Command {
            argv: ["dpkg", "--set-selections"].map(str::to_owned).into(),
            environment: cx.environment.to_vec(),
            stdin: Some(format!("{name} {wanted}\n").into_bytes()),
            ..Command::default()
        };
        if let Ran::Done(output) = machine.run(&command)?
            && !output.is_success()
        {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().last().unwrap_or("no word why");
            return Err(Failure::new(format!("dpkg --set-selections: {said}")));
        }
        let called = packages.called(package);
        machine.note_selection(&called, [before, wanted])?;
        Ok(outcome)
    }
}
