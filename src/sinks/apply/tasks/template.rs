//! `template`: a file whose content is rendered from a template.

use super::copy::{find_source, write};
use super::edit::check as check_edit;
use super::{Failure, Module, Outcome, Task, TaskContext, file_attributes};
use crate::event::fault::Diagnostic;
use crate::expr::syntax::Syntax;
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use bytes::Bytes;

pub(super) static MODULE: Module = Module {
    name: "template",
    summary: "Makes sure that a file holds what a template renders to.",
    acts_unless: None,
    spec: Spec {
        not_yet: &[file_attributes::NOT_YET, file_attributes::CONTENT_NOT_YET],
        shared: &[file_attributes::PARAMS],
        ..Spec::new(&[
            Param::new("src", Kind::Path)
                .required()
                .says("The template, among those of the config."),
            Param::new("dest", Kind::Path)
                .required()
                .says("The file, or the directory that it goes into."),
            file_attributes::BACKUP,
            Param::new("force", Kind::Bool)
                .says("Replace a file that is different; true where not given."),
            Param::new("follow", Kind::Bool)
                .says("Where `dest` is a link, write what it leads to."),
            file_attributes::VALIDATE,
            Param::new("trim_blocks", Kind::Bool)
                .says("Drop the line end after a block's tag; true where not given."),
            Param::new("lstrip_blocks", Kind::Bool).says("Drop the blanks before a block's tag."),
            Param::new("variable_start_string", Kind::Text)
                .says("What begins an expression, in place of `{{`."),
            Param::new("variable_end_string", Kind::Text).says("What ends it, in place of `}}`."),
            Param::new("block_start_string", Kind::Text)
                .says("What begins a block's tag, in place of `{%`."),
            Param::new("block_end_string", Kind::Text).says("What ends it, in place of `%}`."),
            Param::new("comment_start_string", Kind::Text)
                .says("What begins a comment, in place of `{#`."),
            Param::new("comment_end_string", Kind::Text).says("What ends it, in place of `#}`."),
            Param::new("output_encoding", Kind::Text)
                .says("The encoding of the file; `utf-8` where not given."),
            Param::new(
                "newline_sequence",
                Kind::OneOf(&["\n", "\r", "\r\n", "\\n", "\\r", "\\r\\n"]),
            )
            .says("What ends lines."),
        ])
    },
    check,
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
        let mut syntax = Syntax {
            trim_blocks: params.flag("trim_blocks", true),
            lstrip_blocks: params.flag("lstrip_blocks", false),
            ..Syntax::default()
        };
        for (name, mark) in syntax.marks() {
            if let Some(given) = params.text(name) {
                given.clone_into(mark);
            }
        }
        let scope = cx
            .scope
            .with_fixed("ansible_managed", "Ansible managed".into())
            .with_fixed("template_path", source.display().to_string().into())
            .with_fixed("template_fullpath", source.display().to_string().into())
            .with_fixed("template_destpath", dest.into())
            .with_fixed("template_host", cx.scope.lookup("host"));
        let rendered = scope
            .engine()
            .template(&text.replace("\r\n", "\n"), syntax, &scope)
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
        let content = encoded(rendered, params.text("output_encoding").unwrap_or("utf-8"))?;
        write(params, machine, cx, &source, (&content, &attributes))
    }
}

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = check_edit(params, &[]);
    if let Some(Err(failure)) =
        params.text("output_encoding").map(|name| encoded(String::new(), name))
    {
        complaints.push(Diagnostic::new(failure.message, params.span.clone()));
    }
    complaints
}

/// The bytes of a text in the encoding that is called `name`.
fn encoded(text: String, name: &str) -> Result<Bytes, Failure> {
    // As in Ansible, no name is the usual one.
    let name = if name.is_empty() { "utf-8" } else { name };
    let label = name.to_ascii_lowercase().replace('_', "-");
    let wrong =
        |sign: char| Failure::new(format!("`{sign}` does not exist in the encoding `{name}`"));
    // What browsers mean by these two has more signs than they have.
    let most = match label.as_str() {
        "ascii" | "us-ascii" => Some(0x7f),
        "latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" => Some(0xff),
        _ => None,
    };
    if let Some(most) = most {
        let byte = |sign: char| u8::try_from(u32::from(sign)).ok().filter(|byte| *byte <= most);
        let bytes = text.chars().map(|sign| byte(sign).ok_or_else(|| wrong(sign)));
        return bytes.collect::<Result<Vec<u8>, _>>().map(Bytes::from);
    }
    let known = encoding_rs::Encoding::for_label(label.as_bytes());
    let Some(encoding) = known.filter(|encoding| encoding.output_encoding() == *encoding) else {
        return Err(Failure::new(format!("the encoding `{name}` is not known")));
    };
    if encoding == encoding_rs::UTF_8 {
        return Ok(Bytes::from(text));
    }
    let (bytes, _, has_unknown) = encoding.encode(&text);
    if has_unknown {
        let is_unknown = |sign: &char| encoding.encode(sign.encode_utf8(&mut [0; 4])).2;
        return Err(wrong(text.chars().find(is_unknown).unwrap_or('?')));
    }
    Ok(Bytes::from(bytes.into_owned()))
}
