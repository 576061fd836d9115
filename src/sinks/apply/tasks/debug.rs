//! `debug`: shows a text or a value.

use super::{Failure, Module, Outcome, Task, TaskContext, no_check};
use crate::event::tree::Node;
use crate::expr::value::{from_node, to_json};
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use minijinja::Value;

pub(super) static MODULE: Module = Module {
    name: "debug",
    summary: "Shows a text (`msg`) or the value of an expression (`var`).",
    acts_unless: None,
    spec: Spec {
        exclusive: &[&["msg", "var"]],
        ..Spec::new(&[
            Param::new("msg", Kind::Any).says("What is said."),
            Param::new("var", Kind::Conditions)
                .says("A variable or expression, whose value is said."),
            Param::new("verbosity", Kind::Int)
                .says("With more than 0 nothing is said: a run has no verbosity."),
        ])
    },
    check: no_check,
    build: |params| Box::new(Debug { params }),
};

struct Debug {
    params: Params,
}

impl Task for Debug {
    fn converge(&self, _: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        if self.params.int("verbosity").is_some_and(|level| level > 0) {
            let skipped = Outcome::default().with("skipped", true);
            return Ok(skipped.with("skipped_reason", "Verbosity threshold not met."));
        }
        if let Some(expression) = self.params.any("var").and_then(Node::scalar_text) {
            let value = cx.scope.engine().evaluate(expression, cx.scope)?;
            let shown = if value.is_undefined() {
                "VARIABLE IS NOT DEFINED!".to_owned()
            } else {
                show(&value)
            };
            let message = Some(format!("{expression} = {shown}"));
            return Ok(Outcome { message, ..Outcome::default() }.with(expression, value));
        }
        let message = self.params.any("msg").map_or_else(|| Value::from("Hello world!"), from_node);
        let shown = show(&message);
        Ok(Outcome { message: Some(shown), ..Outcome::default() }.with("msg", message))
    }
}

/// Text as it is, everything else as indented JSON.
fn show(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => format!("{:#}", to_json(value)),
    }
}
