//! `setup`: what the host is like, under Ansible's names. They are known without it too.

use super::{Failure, Module, Outcome, Task, TaskContext, no_check};
use crate::host::machine::Machine;
use crate::sinks::apply::ansible_facts;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};

pub(super) static MODULE: Module = Module {
    name: "setup",
    summary: "Tells what the host is like; expressions know that without it too.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("gather_subset", Kind::Any),
        Param::new("gather_timeout", Kind::Int),
        Param::new("filter", Kind::Any),
        Param::new("fact_path", Kind::Any),
    ]),
    check: no_check,
    build: |_: Params| Box::new(Setup),
};

struct Setup;

impl Task for Setup {
    fn converge(&self, _: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let facts = cx.scope.lookup(ansible_facts::NAME);
        Ok(Outcome::default().with(ansible_facts::NAME, facts))
    }
}
