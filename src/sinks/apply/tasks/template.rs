//! `template`: a file whose content is rendered from a template.

use super::copy::{find_source, write};
use super::{Failure, Module, Outcome, Task, TaskContext, file_attributes, no_check};
use crate::expr::jinja::Whitespace;
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use bytes::Bytes;

pub(super) static MODULE: Module = Module {
    name: "template",
    summary: "Makes sure that a file holds what a template renders to.",
    acts_unless: None,
    spec: Spec {
        not_yet: &[
            "attributes",
            "attr",
            "selevel",
            "serole",
            "setype",
            "seuser",
            "block_start_string",
            "block_end_string",
            "variable_start_string",
            "variable_end_string",
            "comment_start_string",
            "comment_end_string",
            "output_encoding",
        ],
        ..Spec::new(&[
            Param::new("src", Kind::Path).required(),
            Param::new("dest", Kind::Path).required(),
            Param::new("mode", Kind::Mode),
            Param::new("owner", Kind::Account),
            Param::new("group", Kind::Account),
            Param::new("backup", Kind::Bool),
            Param::new("force", Kind::Bool),
            Param::new("follow", Kind::Bool),
            Param::new("validate", Kind::CommandLine),
            Param::new("unsafe_writes", Kind::Bool),
            Param::new("trim_blocks", Kind::Bool),
            Param::new("lstrip_blocks", Kind::Bool),
            Param::new(
                "newline_sequence",
                Kind::OneOf(&["\n", "\r", "\r\n", "\\n", "\\r", "\\r\\n"]),
            ),
        ])
    },
    check: no_check,
    build: |params| Box::new(Template { params }),
};

struct Template {
    params: Params,
}

impl Task for Template {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let source = find_source(params.text("src").unwrap_or_default(), "templates", machine, cx)?;
        let dest = params.text("dest").unwrap_or_default();
        let text = String::from_utf8(machine.read(&source)?.to_vec()).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            Failure::new(format!("{} is not UTF-8 text (byte {at})", source.display()))
        })?;
        let whitespace = Whitespace {
            trim_blocks: params.flag("trim_blocks", true),
            lstrip_blocks: params.flag("lstrip_blocks", false),
        };
        let scope = cx
            .scope
            .with_fixed("ansible_managed", "Ansible managed".into())
            .with_fixed("template_path", source.display().to_string().into())
            .with_fixed("template_fullpath", source.display().to_string().into())
            .with_fixed("template_destpath", dest.into())
            .with_fixed("template_host", cx.scope.lookup("host"));
        let rendered = scope
            .engine()
            .template(&text.replace("\r\n", "\n"), whitespace, &scope)
            .map_err(|problem| {
                let place = match problem.line {
                    Some(line) => format!("{}:{line}", source.display()),
                    None => source.display().to_string(),
                };
                let failure = Failure::from(problem);
                Failure { message: format!("{place}: {}", failure.message), ..failure }
            })?;
        let rendered = match params.text("newline_sequence") {
            Some("\r" | "\\r") => rendered.replace('\n', "\r"),
            Some("\r\n" | "\\r\\n") => rendered.replace('\n', "\r\n"),
            _ => rendered,
        };
        let mut attributes = file_attributes::read(params, machine)?;
        super::copy::preserve(&mut attributes, &source, machine)?;
        write(params, machine, &source, &Bytes::from(rendered), &attributes)
    }
}
