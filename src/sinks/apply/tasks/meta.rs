//! `meta`: tells the executor itself what to do. It never reaches the host.

use super::{Failure, Module, Outcome, Task, TaskContext, no_check};
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};

/// Parameter of `meta: flush_handlers` and `meta: noop`.
pub(in crate::sinks::apply) const ACTION: &str = "free_form";

pub(super) static MODULE: Module = Module {
    name: "meta",
    summary: "Runs notified handlers now (`flush_handlers`), or does nothing (`noop`).",
    acts_unless: None,
    spec: Spec {
        free_form: Some(ACTION),
        ..Spec::new(&[Param::new(ACTION, Kind::OneOf(&["flush_handlers", "noop"])).required()])
    },
    check: no_check,
    build: |_: Params| Box::new(Noop),
};

/// `flush_handlers` is the executor's own business, so that nothing is left to do here.
struct Noop;

impl Task for Noop {
    fn converge(&self, _: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        Ok(Outcome::default())
    }
}
