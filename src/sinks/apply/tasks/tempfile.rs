//! `tempfile`: a file or directory under a name of its own.

use super::{Failure, Module, Outcome, Task, TaskContext, file_attributes, no_check};
use crate::host::machine::Machine;
use crate::host::machine::path::Follow;
use crate::host::machine::temporary::Temporary;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use std::path::PathBuf;

pub(super) static MODULE: Module = Module {
    name: "tempfile",
    summary: "Makes an empty file or directory with a new name, and returns its path.",
    acts_unless: Some(&[]),
    spec: Spec::new(&[
        Param::new("state", Kind::OneOf(&["file", "directory"]))
            .says("What is made; `file` where not given."),
        Param::new("path", Kind::Path).says("The directory it is made in."),
        Param::new("prefix", Kind::Text).says("How its name begins; `ansible.` where not given."),
        Param::new("suffix", Kind::Text).says("How its name ends."),
    ]),
    check: no_check,
    build: |params| Box::new(TempFile { params }),
};

struct TempFile {
    params: Params,
}

impl Task for TempFile {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let what = match params.text("state") {
            Some("directory") => Temporary::Directory,
            _ => Temporary::File,
        };
        let usual = || PathBuf::from(std::env::var_os("TMPDIR").unwrap_or_else(|| "/tmp".into()));
        let directory = params.path("path").unwrap_or_else(usual);
        let (prefix, suffix) = (params.text("prefix"), params.text("suffix"));
        let (prefix, suffix) = (prefix.unwrap_or("ansible."), suffix.unwrap_or_default());
        match machine.make_temporary(what, &directory, prefix, suffix)? {
            None => Ok(Outcome { unknown: true, ..Outcome::default() }),
            Some(path) => {
                let outcome = Outcome::default().with("path", path.display().to_string());
                file_attributes::returned(outcome, machine, &path, Follow::No)
            }
        }
    }
}
