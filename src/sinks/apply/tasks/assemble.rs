//! `assemble`: a file put together of fragments.

use super::copy::{find_source, write};
use super::edit::check as check_edit;
use super::pattern::{Over, Pattern};
use super::{Failure, Module, Outcome, Task, TaskContext, file_attributes};
use crate::host::machine::Machine;
use crate::host::machine::meta::Kind as FileKind;
use crate::host::machine::path::Follow;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use bytes::Bytes;
use std::path::PathBuf;

pub(super) static MODULE: Module = Module {
    name: "assemble",
    summary: "Makes a file of the fragments in a directory, in the order of their names.",
    acts_unless: None,
    spec: Spec {
        not_yet: &[file_attributes::NOT_YET, file_attributes::CONTENT_NOT_YET],
        shared: &[file_attributes::PARAMS],
        ..Spec::new(&[
            Param::new("src", Kind::Path).required().says("The directory with the fragments."),
            Param::new("dest", Kind::Path).required().says("The file that is made."),
            Param::new("delimiter", Kind::Text).says("What stands between two fragments."),
            Param::new("regexp", Kind::Text).says("Only fragments whose names it matches."),
            Param::new("ignore_hidden", Kind::Bool).says("Leave out names that begin with a dot."),
            Param::new("remote_src", Kind::Bool).says(
                "`src` is on the host, not among the files of the config; true where not \
                 given.",
            ),
            Param::new("decrypt", Kind::Bool)
                .says("Accepted, and without effect: there is no vault."),
            file_attributes::BACKUP,
            file_attributes::VALIDATE,
        ])
    },
    check: |params| check_edit(params, &[("regexp", Over::Line)]),
    build: |params| Box::new(Assemble { params }),
};

struct Assemble {
    params: Params,
}

impl Task for Assemble {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let src = params.text("src").unwrap_or_default();
        let source = if params.flag("remote_src", true) && src.starts_with('/') {
            PathBuf::from(src)
        } else {
            find_source(src, "files", machine, cx)?
        };
        let pattern = params.text("regexp").map(|text| Pattern::new(text, Over::Line)).transpose();
        let pattern = pattern.map_err(Failure::new)?;
        let delimiter = params.text("delimiter").map(unescape);
        let hidden = !params.flag("ignore_hidden", false);
        let mut content: Vec<u8> = Vec::new();
        let mut first = true;
        for name in machine.list(&source)? {
            let text = name.to_string_lossy();
            let wanted = match &pattern {
                Some(pattern) => pattern.is_match(&text)?,
                None => true,
            };
            let path = source.join(&name);
            let is_file =
                machine.stat(&path, Follow::Yes)?.is_some_and(|found| found.kind == FileKind::File);
            if !wanted || !is_file || (!hidden && text.starts_with('.')) {
                continue;
            }
            if content.last().is_some_and(|last| *last != b'\n') {
                content.push(b'\n');
            }
            if let (false, Some(delimiter)) = (first, &delimiter) {
                content.extend_from_slice(delimiter.as_bytes());
                if !delimiter.ends_with('\n') {
                    content.push(b'\n');
                }
            }
            content.extend_from_slice(&machine.read(&path)?);
            first = false;
        }
        let attributes = file_attributes::read(params, machine)?;
        let content = Bytes::from(content);
        let outcome = write(params, machine, cx, &source, (&content, &attributes))?;
        Ok(outcome.with("msg", "OK"))
    }
}

/// `\n`, `\t` and the like in a delimiter.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, chars.clone().next()) {
            ('\\', Some(next)) => {
                chars.next();
                match next {
                    'n' => out.push('\n'),
                    't' => out.push('\t'),
                    'r' => out.push('\r'),
                    '\\' | '\'' | '"' => out.push(next),
                    other => out.extend(['\\', other]),
                }
            }
            _ => out.push(c),
        }
    }
    out
}
