//! `stat`: what is at a path.

use super::{Failure, Module, Outcome, Task, TaskContext, facts, no_check};
use crate::host::machine::Machine;
use crate::host::machine::meta::Kind as FileKind;
use crate::host::machine::path::Follow;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use minijinja::Value;

pub(super) static MODULE: Module = Module {
    name: "stat",
    summary: "Looks at a path and returns what is there.",
    acts_unless: None,
    spec: Spec {
        ..Spec::new(&[
            Param::new("path", Kind::Path).or(&["dest", "name"]).required().says("The path."),
            Param::new("follow", Kind::Bool).says("Where it is a link, what it leads to."),
            Param::new("get_checksum", Kind::Bool)
                .says("Sum up a file's content; true where not given."),
            Param::new("get_mime", Kind::Bool)
                .or(&["mime", "mime_type", "mime-type"])
                .says("Find out what kind of content it is; true where not given."),
            Param::new("get_attributes", Kind::Bool)
                .or(&["attr", "attributes"])
                .says("Return the attributes that `lsattr` shows; true where not given."),
            Param::new("checksum_algorithm", facts::ALGORITHMS)
                .or(&["checksum", "checksum_algo"])
                .says("How it is summed up; `sha1` where not given."),
        ])
    },
    check: no_check,
    build: |params| Box::new(Stat { params }),
};

struct Stat {
    params: Params,
}

impl Task for Stat {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let path = params.path("path").unwrap_or_default();
        let follow = if params.flag("follow", false) { Follow::Yes } else { Follow::No };
        let Some(found) = machine.stat(&path, follow)? else {
            let stat = Value::from_pairs([("exists", Value::from(false))]);
            return Ok(Outcome::default().with("stat", stat));
        };
        let shown = || Value::from(path.display().to_string());
        let mut told = vec![("exists", Value::from(true)), ("path", shown())];
        told.extend(facts::of_inode(&found, machine));
        told.extend([
            ("blocks", Value::from(found.blocks)),
            ("block_size", found.block_bytes.into()),
            ("device_type", found.device.into()),
        ]);
        let allowed = machine.access(&path, follow)?;
        told.extend([
            ("readable", Value::from(allowed.read)),
            ("writeable", allowed.write.into()),
            ("executable", allowed.execute.into()),
        ]);
        if found.kind == FileKind::Link {
            let target = machine.read_link(&path)?.display().to_string();
            // A link that leads to itself leads nowhere else.
            let source = machine.resolve(&path, Follow::Yes).unwrap_or_else(|_| path.clone());
            let source = source.display().to_string();
            told.extend([("lnk_target", target.into()), ("lnk_source", source.into())]);
        }
        if found.kind == FileKind::File && allowed.read && params.flag("get_checksum", true) {
            let algorithm = params.text("checksum_algorithm").unwrap_or("sha1");
            told.push(("checksum", facts::sum(machine, &path, algorithm)?.into()));
        }
        if params.flag("get_mime", true) {
            let (mime, charset) = facts::mime(machine, &path, &found)?;
            told.extend([("mimetype", mime.into()), ("charset", charset.into())]);
        }
        if params.flag("get_attributes", true) {
            let attributes = machine.attributes(&path, follow)?;
            let letters: String = attributes.iter().map(|(letter, _)| *letter).collect();
            let names: Value = attributes.iter().map(|(_, name)| Value::from(*name)).collect();
            told.extend([("attributes", names), ("attr_flags", letters.into())]);
        }
        Ok(Outcome::default().with("stat", Value::from_pairs(told)))
    }
}
