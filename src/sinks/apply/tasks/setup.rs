//! `setup`: what the host is like, under Ansible's names. They are known without it too.

use super::{Failure, Module, Outcome, Task, TaskContext, no_check, values};
use crate::host::machine::Machine;
use crate::sinks::apply::ansible_facts;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use globset::Glob;
use minijinja::Value;

pub(super) static MODULE: Module = Module {
    name: "setup",
    summary: "Tells what the host is like; expressions know that without it too.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("gather_subset", Kind::Any)
            .says("Accepted: a fact is found out when it is asked for."),
        Param::new("gather_timeout", Kind::Int).says("Accepted, and without effect."),
        Param::new("filter", Kind::Any)
            .says("Patterns for the names of the facts that are returned."),
        Param::new("fact_path", Kind::Any).says("Accepted, and without effect."),
    ]),
    check: no_check,
    build: |params| Box::new(Setup { params }),
};

struct Setup {
    params: Params,
}

impl Task for Setup {
    fn converge(&self, _: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let facts = cx.scope.lookup(ansible_facts::NAME);
        let mut patterns = Vec::new();
        for pattern in values::list(&self.params, "filter") {
            let glob = Glob::new(&pattern).map_err(|error| {
                Failure::new(format!("`filter`: `{pattern}` is no pattern: {error}"))
            })?;
            patterns.push(glob.compile_matcher());
        }
        let facts = if patterns.is_empty() {
            facts
        } else {
            let is_wanted = |name: &str| {
                let full = format!("ansible_{name}");
                patterns.iter().any(|pattern| pattern.is_match(name) || pattern.is_match(&full))
            };
            // A fact is found out when it is asked for, so the names come first.
            let names = facts.try_iter().into_iter().flatten().map(|name| name.to_string());
            let wanted = names.filter(|name| is_wanted(name));
            let fact = |name: String| {
                let value = facts.get_attr(&name).unwrap_or_default();
                (name, value)
            };
            Value::from_iter(wanted.map(fact))
        };
        Ok(Outcome::default().with(ansible_facts::NAME, facts))
    }
}
