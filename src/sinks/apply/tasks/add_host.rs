//! `add_host`: taken, and without effect: this host applies to itself alone.

use super::{Failure, Module, Outcome, Task, TaskContext, no_check};
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};

pub(super) static MODULE: Module = Module {
    name: "add_host",
    summary: "Taken, and without effect: this host applies to itself alone.",
    acts_unless: None,
    spec: Spec {
        others: Some("a variable with its value"),
        ..Spec::new(&[
            Param::new("name", Kind::Text).or(&["host", "hostname"]).required().says("The host."),
            Param::new("groups", Kind::Texts)
                .or(&["group", "groupname"])
                .says("The groups it would be in."),
        ])
    },
    check: no_check,
    build: |params| Box::new(AddHost { params }),
};

struct AddHost {
    params: Params,
}

impl Task for AddHost {
    fn converge(&self, _: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let name = self.params.text("name").unwrap_or_default();
        let message = Some(format!("`{name}` is left alone: this host applies to itself"));
        Ok(Outcome { message, ..Outcome::default() })
    }
}
