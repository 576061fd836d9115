//! `fail`: ends the run with a message.

use super::{Failure, Module, Outcome, Task, TaskContext, no_check};
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};

pub(super) static MODULE: Module = Module {
    name: "fail",
    summary: "Fails with a message.",
    acts_unless: None,
    spec: Spec::new(&[Param::new("msg", Kind::Any).says("Why.")]),
    check: no_check,
    build: |params| Box::new(Fail { params }),
};

struct Fail {
    params: Params,
}

impl Task for Fail {
    fn converge(&self, _: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let message = self.params.any("msg").and_then(|node| node.scalar_text());
        let message = message.unwrap_or("Failed as requested from task").to_owned();
        let outcome = Outcome { failed: Some(message.clone()), ..Outcome::default() };
        Ok(outcome.with("msg", message))
    }
}
