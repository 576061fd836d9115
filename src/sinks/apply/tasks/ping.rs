//! `ping`: answers.

use super::{Failure, Module, Outcome, Task, TaskContext, no_check};
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};

pub(super) static MODULE: Module = Module {
    name: "ping",
    summary: "Answers `pong`, or what it is told to.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("data", Kind::Text).says("What is returned; `pong` where not given.")
    ]),
    check: no_check,
    build: |params| Box::new(Ping { params }),
};

struct Ping {
    params: Params,
}

impl Task for Ping {
    fn converge(&self, _: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        match self.params.text("data") {
            Some("crash") => Err(Failure::new("boom")),
            data => Ok(Outcome::default().with("ping", data.unwrap_or("pong"))),
        }
    }
}
