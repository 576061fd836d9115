//! `set_fact`: gives variables a value for the rest of the run.

use super::{Failure, Module, Outcome, Task, TaskContext};
use crate::event::fault::Diagnostic;
use crate::expr::jinja::is_template;
use crate::expr::value::from_node;
use crate::host::machine::Machine;
use crate::sinks::apply::keywords::read_vars;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use minijinja::Value;

pub(super) static MODULE: Module = Module {
    name: "set_fact",
    summary: "Sets variables for the rest of the run.",
    acts_unless: None,
    spec: Spec {
        others: Some("a variable with its value"),
        ..Spec::new(&[Param::new("cacheable", Kind::Bool)
            .says("Accepted, and without effect: facts are not kept between runs.")])
    },
    check,
    build: |params| Box::new(SetFact { params }),
};

struct SetFact {
    params: Params,
}

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = Vec::new();
    // A name that holds an expression is looked at once it has its value.
    let named = params.others.iter().filter(|(key, _)| !is_template(&key.name)).cloned();
    read_vars(&named.collect::<Vec<_>>(), &mut complaints);
    if params.others.is_empty() {
        let complaint = Diagnostic::new("`set_fact` sets no variable", params.span.clone());
        complaints.push(complaint.hint("write `set_fact: {name: value}`"));
    }
    complaints
}

impl Task for SetFact {
    fn converge(&self, _: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let entries = &self.params.others;
        let facts = entries.iter().map(|(key, node)| (key.name.to_string(), from_node(node)));
        Ok(Outcome::default().with("ansible_facts", Value::from_pairs(facts)))
    }
}
