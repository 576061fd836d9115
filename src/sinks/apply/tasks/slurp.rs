//! `slurp`: the bytes of a file, for other tasks.

use super::{Failure, Module, Outcome, Task, TaskContext, no_check};
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub(super) static MODULE: Module = Module {
    name: "slurp",
    summary: "Reads a file and returns its content in base64.",
    acts_unless: None,
    spec: Spec::new(&[Param::new("src", Kind::Path).or(&["path"]).required().says("The file.")]),
    check: no_check,
    build: |params| Box::new(Slurp { params }),
};

struct Slurp {
    params: Params,
}

impl Task for Slurp {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let path = self.params.path("src").unwrap_or_default();
        let content = machine.read(&path)?;
        Ok(Outcome::default()
            .with("content", STANDARD.encode(&content))
            .with("encoding", "base64")
            .with("source", path.display().to_string()))
    }
}
