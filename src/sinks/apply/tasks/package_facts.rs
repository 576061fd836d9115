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
            "Where to look: `auto`, where not given, or `apt`, which is the database of dpkg. What \
             other managers have is not known to this version.",
        ),
        Param::new("strategy", Kind::OneOf(&["all", "first"]))
            .says("Whether to look on where packages were found; there is one place."),
    ]),
    check: no_check,
    build: |params| Box::new(PackageFacts { params }),
};

/// Those that Ansible knows; where one is not at work it looks on.
const MANAGERS: &[&str] = &[
    "apk",
    "apt",
    "auto",
    "dnf",
    "dnf5",
    "openbsd_pkg",
    "pacman",
    "pkg",
    "pkg5",
    "pkg_info",
    "pkgng",
    "portage",
    "rpm",
    "yum",
    "zypper",
];

struct PackageFacts {
    params: Params,
}

impl Task for PackageFacts {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let managers = self.params.texts("manager").unwrap_or_default();
        let is_among = |name: &str, names: &[&str]| names.contains(&name.to_lowercase().as_str());
        if let Some(unknown) = managers.iter().find(|name| !is_among(name, MANAGERS)) {
            let failure =
                Failure::new(format!("Unsupported package managers requested: {unknown}"));
            return Err(Failure { hint: Some("`auto` and `apt` are known".into()), ..failure });
        }
        if !managers.is_empty() && !managers.iter().any(|name| is_among(name, &["apt", "auto"])) {
            let list = managers.join(", ");
            let why = format!("Could not detect a supported package manager from the list: {list}");
            let hint = Some("`apt` is the one that is known here".into());
            return Err(Failure { hint, ..Failure::new(why) });
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
