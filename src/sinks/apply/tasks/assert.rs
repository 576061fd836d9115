//! `assert`: goes on only where conditions hold.

use super::{Failure, Module, Outcome, Task, TaskContext, no_check};
use crate::event::tree::Node;
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};

pub(super) static MODULE: Module = Module {
    name: "assert",
    summary: "Fails unless all conditions hold.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("that", Kind::Conditions).required().says("The condition, or a list of them."),
        Param::new("fail_msg", Kind::Any)
            .or(&["msg"])
            .says("What is said where one does not hold."),
        Param::new("success_msg", Kind::Any).says("What is said where all hold."),
        Param::new("quiet", Kind::Bool).says("Say less."),
    ]),
    check: no_check,
    build: |params| Box::new(Assert { params }),
};

struct Assert {
    params: Params,
}

impl Task for Assert {
    fn converge(&self, _: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let text = |name| self.params.any(name).and_then(Node::scalar_text).map(str::to_owned);
        let that = self.params.any("that");
        let conditions = that.map(|node| node.as_list().unwrap_or(std::slice::from_ref(node)));
        for condition in conditions.unwrap_or_default() {
            if !cx.holds(condition)? {
                let assertion = condition.scalar_text().unwrap_or_default();
                let default = || format!("the condition `{assertion}` does not hold");
                let message = text("fail_msg").unwrap_or_else(default);
                let outcome = Outcome { failed: Some(message.clone()), ..Outcome::default() };
                let outcome = outcome.with("assertion", assertion).with("evaluated_to", false);
                return Ok(outcome.with("msg", message));
            }
        }
        let message = text("success_msg").unwrap_or_else(|| "All assertions passed".into());
        let shown = (!self.params.flag("quiet", false)).then(|| message.clone());
        Ok(Outcome { message: shown, ..Outcome::default() }.with("msg", message))
    }
}
