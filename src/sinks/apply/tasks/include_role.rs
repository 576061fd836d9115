//! `include_role` and `import_role`: the tasks of a role.

use super::{Failure, Include, Module, Outcome, Task, TaskContext, no_check};
use crate::event::tree::{Key, Node, Value};
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use crate::sinks::apply::parse::RoleFiles;

const FILES: [&str; 4] = ["tasks_from", "vars_from", "defaults_from", "handlers_from"];

/// Which role, and what of it.
const PARAMS: &[Param] = &[
    Param::new("name", Kind::Text).or(&["role"]).required().says("The role."),
    Param::new("tasks_from", Kind::Text).says("Which of its task files; `main` where not given."),
    Param::new("vars_from", Kind::Text).says("Which of its files of variables."),
    Param::new("defaults_from", Kind::Text).says("Which of its files of defaults."),
    Param::new("handlers_from", Kind::Text).says("Which of its files of handlers."),
    Param::new("public", Kind::Bool).says("What comes after sees its variables, too."),
    Param::new("allow_duplicates", Kind::Bool)
        .says("Accepted: a role is included as often as it is asked for."),
    Param::new("rolespec_validate", Kind::Bool).says("Accepted, and without effect."),
];

pub(super) static MODULE: Module = Module {
    name: "include_role",
    summary: "Runs the tasks of a role, whose name may hold expressions.",
    acts_unless: None,
    spec: Spec {
        shared: &[PARAMS],
        ..Spec::new(&[
            Param::new("apply", Kind::Raw).says("Keywords for all its tasks, such as `tags`.")
        ])
    },
    check: no_check,
    build: |params| Box::new(IncludeRole { params }),
};

/// Read with the file that it stands in, so that it never runs itself.
pub(super) static IMPORT: Module = Module {
    name: "import_role",
    summary: "Puts the tasks of a role in its place, before a run begins.",
    acts_unless: None,
    spec: Spec::new(PARAMS),
    check: no_check,
    build: |params| Box::new(IncludeRole { params }),
};

struct IncludeRole {
    params: Params,
}

impl Task for IncludeRole {
    fn converge(&self, _: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let name = params.text("name").unwrap_or_default().trim().to_owned();
        let given = |name: &&str| Some((Key::from(*name), Node::string(params.text(name)?)));
        let files = Node::new(Value::Map(FILES.iter().filter_map(given).collect()));
        let include = Include::Role {
            name: name.clone(),
            files: RoleFiles::of(&files),
            public: params.flag("public", false),
            apply: params.any("apply").cloned(),
        };
        let message = Some(format!("includes the role {name}"));
        let outcome = Outcome { message, ..Outcome::default() };
        Ok(Outcome { include: Some(include), ..outcome })
    }
}
