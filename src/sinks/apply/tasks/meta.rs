//! `meta`: tells the executor itself what to do. It never reaches the host.

use super::{Failure, Module, Outcome, Task, TaskContext, no_check};
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};

/// What there is to do. Those about inventories and connections have nothing to do on one host.
const ACTIONS: &[&str] = &[
    "flush_handlers",
    "noop",
    "end_play",
    "end_host",
    "end_batch",
    "end_role",
    "clear_facts",
    "clear_host_errors",
    "refresh_inventory",
    "reset_connection",
];

/// The parameter that says what to do.
pub(in crate::sinks::apply) const ACTION: &str = "free_form";

pub(super) static MODULE: Module = Module {
    name: "meta",
    summary: "Runs notified handlers now (`flush_handlers`), or ends the play (`end_play`).",
    acts_unless: None,
    spec: Spec {
        free_form: Some(ACTION),
        ..Spec::new(&[Param::new(ACTION, Kind::OneOf(ACTIONS)).required().says("What is done.")])
    },
    check: no_check,
    build: |_: Params| Box::new(Noop),
};

/// All of it is the executor's own business, so that nothing is left to do here.
struct Noop;

impl Task for Noop {
    fn converge(&self, _: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        Ok(Outcome::default())
    }
}
