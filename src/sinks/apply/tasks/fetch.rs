//! `fetch`: a copy of a file of this host, kept by host name. On one's own host both are here.

use super::copy::make_directories;
use super::edit::options;
use super::{Failure, Module, Outcome, Task, TaskContext, facts, no_check};
use crate::host::machine::Machine;
use crate::host::machine::meta::Kind as FileKind;
use crate::host::machine::path::Follow;
use crate::host::machine::write::Attributes;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use std::path::PathBuf;

pub(super) static MODULE: Module = Module {
    name: "fetch",
    summary: "Copies a file of this host into a directory, below the host's name.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("src", Kind::Path).required().says("The file."),
        Param::new("dest", Kind::Path)
            .required()
            .says("Where it is kept: below this directory, by host name and path."),
        Param::new("flat", Kind::Bool)
            .says("`dest` is the file itself, or with a `/` at its end the directory."),
        Param::new("fail_on_missing", Kind::Bool)
            .says("Fail where there is no such file; true where not given."),
        Param::new("validate_checksum", Kind::Bool)
            .says("Accepted: what is written is always what was read."),
    ]),
    check: no_check,
    build: |params| Box::new(Fetch { params }),
};

struct Fetch {
    params: Params,
}

impl Task for Fetch {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let src = params.path("src").unwrap_or_default();
        let found = machine.stat(&src, Follow::Yes)?;
        let why = match found.map(|found| found.kind) {
            Some(FileKind::File) => None,
            None => Some(format!("there is no file {}", src.display())),
            Some(kind) => {
                Some(format!("{} is {}, and a file is expected", src.display(), kind.described()))
            }
        };
        if let Some(why) = why {
            if params.flag("fail_on_missing", true) {
                return Err(Failure::new(why));
            }
            let outcome = Outcome { message: Some(why.clone()), ..Outcome::default() };
            return Ok(outcome.with("msg", why).with("file", src.display().to_string()));
        }
        let written = params.text("dest").unwrap_or_default();
        let base = std::path::absolute(cx.base).unwrap_or_else(|_| cx.base.to_owned());
        let root = base.join(written);
        let dest: PathBuf = match params.flag("flat", false) {
            true if written.ends_with('/') => root.join(src.file_name().unwrap_or_default()),
            true => root,
            false => {
                let host = cx.scope.lookup("inventory_hostname").to_string();
                let below = src.strip_prefix("/").unwrap_or(&src);
                root.join(host).join(below)
            }
        };
        if let Some(parent) = dest.parent() {
            make_directories(machine, parent, &Attributes::default())?;
        }
        let content = machine.read(&src)?;
        let options = options(params, Follow::Yes)?;
        machine.write_file(&dest, &content, &Attributes::default(), &options)?;
        let sum = facts::sum_of(&content, "sha1");
        Ok(Outcome::default()
            .with("dest", dest.display().to_string())
            .with("file", src.display().to_string())
            .with("checksum", sum.as_str())
            .with("remote_checksum", sum)
            .with("md5sum", facts::sum_of(&content, "md5")))
    }
}
