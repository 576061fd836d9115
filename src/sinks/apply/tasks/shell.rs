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
            Param::new("cmd", Kind::CommandLine).required(),
            Param::new("chdir", Kind::Path),
            Param::new("creates", Kind::Path),
            Param::new("removes", Kind::Path),
            Param::new("executable", Kind::Path),
            Param::new("stdin", Kind::Text),
            Param::new("stdin_add_newline", Kind::Bool),
            Param::new("warn", Kind::Bool),
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
