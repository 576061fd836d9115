//! `include_tasks` and `import_tasks`: the tasks of another file.

use super::{Failure, Include, Module, Outcome, Task, TaskContext, no_check};
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};

pub(super) static MODULE: Module = Module {
    name: "include_tasks",
    summary: "Runs the tasks of another file, whose name may hold expressions.",
    acts_unless: None,
    spec: Spec {
        free_form: Some("file"),
        ..Spec::new(&[
            Param::new("file", Kind::Text).required().says("The file with the tasks."),
            Param::new("apply", Kind::Raw).says("Keywords for all of them, such as `tags`."),
        ])
    },
    check: no_check,
    build: |params| Box::new(IncludeTasks { params }),
};

/// Read with the file that it stands in, so that it never runs itself.
pub(super) static IMPORT: Module = Module {
    name: "import_tasks",
    summary: "Puts the tasks of another file in its place, before a run begins.",
    acts_unless: None,
    spec: Spec {
        free_form: Some("file"),
        ..Spec::new(&[Param::new("file", Kind::Text).required().says("The file with the tasks.")])
    },
    check: no_check,
    build: |params| Box::new(IncludeTasks { params }),
};

struct IncludeTasks {
    params: Params,
}

impl Task for IncludeTasks {
    fn converge(&self, _: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let file = self.params.text("file").unwrap_or_default().trim().to_owned();
        let apply = self.params.any("apply").cloned();
        let message = Some(format!("includes {file}"));
        let outcome = Outcome { message, ..Outcome::default() }.with("include", file.as_str());
        Ok(Outcome { include: Some(Include::Tasks { file, apply }), ..outcome })
    }
}
