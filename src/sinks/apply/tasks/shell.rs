//! `shell`: runs a command line through a shell.

use super::command::run;
use super::{Failure, Module, Outcome, Task, TaskContext, no_check};
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};

pub(super) static MODULE: Module = Module {
    name: "shell",
    summary: "Runs a command line through a shell.",
    acts_unless: Some(&["creates", "removes"]),
    spec: Spec {
        free_form: Some("cmd"),
        ..Spec::new(&[
            Param::new("cmd", Kind::CommandLine).required().says("The command line."),
            Param::new("chdir", Kind::Path).says("The directory to run it in."),
            Param::new("creates", Kind::Path)
                .says("A path or pattern; where something is there, nothing is run."),
            Param::new("removes", Kind::Path)
                .says("A path or pattern; where nothing is there, nothing is run."),
            Param::new("executable", Kind::Path).says("The shell; `/bin/sh` where not given."),
            Param::new("stdin", Kind::Text).says("What the program reads from its standard input."),
            Param::new("stdin_add_newline", Kind::Bool)
                .says("End that with a line end; true where not given."),
            Param::new("warn", Kind::Bool).says("Accepted, and without effect."),
        ])
    },
    check: no_check,
    build: |params| Box::new(Shell { params }),
};

struct Shell {
    params: Params,
}

impl Task for Shell {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let cmd = self.params.text("cmd").unwrap_or_default();
        let shell = self.params.text("executable").unwrap_or("/bin/sh");
        let argv = vec![shell.to_owned(), "-c".into(), cmd.to_owned()];
        run(&self.params, machine, cx, argv, cmd.into())
    }
}
