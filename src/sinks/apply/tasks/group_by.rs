//! `group_by`: puts this host into a group, for the plays that follow.

use super::{Failure, Module, Outcome, Task, TaskContext, no_check};
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};

/// Under this name the result says which group.
pub(in crate::sinks::apply) const RESULT: &str = "add_group";

pub(super) static MODULE: Module = Module {
    name: "group_by",
    summary: "Puts this host into a group, for the plays that follow.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("key", Kind::Text)
            .required()
            .says("The group that this host is in from now on."),
        Param::new("parents", Kind::Texts).says("The groups that one is in."),
    ]),
    check: no_check,
    build: |params| Box::new(GroupBy { params }),
};

struct GroupBy {
    params: Params,
}

impl Task for GroupBy {
    fn converge(&self, _: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        // As in Ansible, a group's name has no blanks.
        let group = self.params.text("key").unwrap_or_default().replace(' ', "-");
        Ok(Outcome::default().with(RESULT, group))
    }
}
