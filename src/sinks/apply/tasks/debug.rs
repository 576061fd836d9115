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

/// What Ansible says in place of a value.
const UNDEFINED: &str = "VARIABLE IS NOT DEFINED!";

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
            let engine = cx.scope.engine();
            // `var: "{{ item }}"` shows what is called so.
            let named = engine.render(expression, cx.scope)?;
            let value = match named.as_str() {
                Some(same) if same == expression => engine.evaluate(same, cx.scope),
                Some(made) => engine.evaluate_made(made, cx.scope),
                None => Ok(named.clone()),
            };
            let value = match value {
                // What a variable needs may be missing, too.
                Err(problem) if problem.message.ends_with("` is undefined") => UNDEFINED.into(),
                Ok(value) if value.is_undefined() => UNDEFINED.into(),
                value => value?,
            };
            let expression = named.as_str().unwrap_or(expression);
            let message = Some(format!("{expression} = {}", show(&value)));
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
