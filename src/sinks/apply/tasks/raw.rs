//! `raw`: runs a command line through a shell, with nothing looked at before.

use super::command::run;
use super::{Failure, Module, Outcome, Task, TaskContext, no_check};
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};

pub(super) static MODULE: Module = Module {
    name: "raw",
    summary: "Runs a command line through a shell; the same as `shell` on one's own host.",
    acts_unless: Some(&[]),
    spec: Spec {
        free_form: Some("free_form"),
        ..Spec::new(&[
            Param::new("free_form", Kind::CommandLine).required().says("The command."),
            Param::new("executable", Kind::Path).says("The shell; `/bin/sh` where not given."),
        ])
    },
    check: no_check,
    build: |params| Box::new(Raw { params }),
};

struct Raw {
    params: Params,
}

impl Task for Raw {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let cmd = self.params.text("free_form").unwrap_or_default();
        let shell = self.params.text("executable").unwrap_or("/bin/sh");
        let argv = vec![shell.to_owned(), "-c".into(), cmd.to_owned()];
        let mut outcome = run(&self.params, machine, cx, argv, cmd.into())?;
        outcome.returned.retain(|name, _| !matches!(name.as_str(), "start" | "end" | "delta"));
        Ok(outcome)
    }
}
