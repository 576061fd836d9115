//! `package_facts`: what is installed, as a variable.

use super::{Failure, Module, Outcome, Task, TaskContext, no_check};
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use minijinja::Value;
use std::collections::BTreeMap;

pub(super) static MODULE: Module = Module {
    name: "package_facts",
    summary: "Tells which packages are installed, as `ansible_facts.packages`.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("manager", Kind::Texts).says(
            "Where to look: `auto`, where not given, or `apt`, which is the database of dpkg. Others \
             are not known to this version.",
        ),
        Param::new("strategy", Kind::OneOf(&["all", "first"]))
            .says("Whether to look on where packages were found; there is one place."),
    ]),
    check: no_check,
    build: |params| Box::new(PackageFacts { params }),
};

struct PackageFacts {
    params: Params,
}

impl Task for PackageFacts {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let managers = self.params.texts("manager").unwrap_or_default();
        let is_known = |name: &String| ["apt", "auto"].contains(&name.to_lowercase().as_str());
        if let Some(unknown) = managers.iter().find(|name| !is_known(name)) {
            let failure =
                Failure::new(format!("Unsupported package managers requested: {unknown}"));
            return Err(Failure { hint: Some("`auto` and `apt` are known".into()), ..failure });
        }
        let packages = machine.packages()?;
        let mut found: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for package in packages.installed() {
            let one = Value::from_pairs([
                ("name", package.name.as_str()),
                ("version", &package.version),
                ("arch", &package.architecture),
                ("category", &package.section),
                // Only the lists of packages know that.
                ("origin", ""),
                ("source", "apt"),
            ]);
            found.entry(&package.name).or_default().push(one);
        }
        let found = found.into_iter().map(|(name, all)| (name.to_owned(), Value::from(all)));
        let facts = Value::from_pairs([("packages", Value::from_pairs(found))]);
        Ok(Outcome::default().with("ansible_facts", facts))
    }
}
