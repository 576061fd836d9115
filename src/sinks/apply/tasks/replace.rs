//! `replace`: all that matches a pattern in a text file.

use super::edit::{Edited, File, check as check_edit, check_template};
use super::pattern::{Over, Pattern};
use super::{Failure, Module, Outcome, Task, TaskContext, file_attributes};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};

pub(super) static MODULE: Module = Module {
    name: "replace",
    summary: "Replaces all that matches a pattern in a text file.",
    acts_unless: None,
    spec: Spec {
        not_yet: &[file_attributes::NOT_YET, file_attributes::CONTENT_NOT_YET],
        shared: &[file_attributes::PARAMS],
        ..Spec::new(&[
            Param::new("path", Kind::Path)
                .or(&["dest", "destfile", "name"])
                .required()
                .says("The file."),
            Param::new("regexp", Kind::Text)
                .required()
                .says("What is replaced, wherever it matches."),
            Param::new("replace", Kind::Text)
                .says("What comes in its place, with `\\1` for groups; nothing where not given."),
            Param::new("after", Kind::Text)
                .says("Only behind what this regular expression matches."),
            Param::new("before", Kind::Text)
                .says("Only before what this regular expression matches."),
            file_attributes::BACKUP,
            Param::new("encoding", Kind::OneOf(&["utf-8", "utf8", "UTF-8", "ascii"]))
                .says("Accepted: all bytes are kept as they are."),
            file_attributes::VALIDATE,
        ])
    },
    check,
    build: |params| Box::new(Replace { params }),
};

struct Replace {
    params: Params,
}

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = check_edit(
        params,
        &[("regexp", Over::Lines), ("after", Over::Whole), ("before", Over::Whole)],
    );
    complaints.extend(check_template(params, "replace", Over::Lines));
    complaints
}

impl Task for Replace {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let file = match File::open(params, machine) {
            Ok(file) => file,
            Err(stop) => return stop.told(),
        };
        if let Err(stop) = file.must_exist(machine, None) {
            return stop.told();
        }
        let spell = |name: &str| params.text(name).map(|text| file.codec.spell(text));
        let pattern = |text: &str, over| Pattern::new(text, over).map_err(Failure::new);
        let regexp = pattern(&spell("regexp").unwrap_or_default(), Over::Lines)?;
        let template = spell("replace").unwrap_or_default();
        let section = match (spell("after"), spell("before")) {
            (None, None) => None,
            (Some(after), Some(before)) => Some(format!("{after}(?P<subsection>.*?){before}")),
            (Some(after), None) => Some(format!("{after}(?P<subsection>.*)")),
            (None, Some(before)) => Some(format!("(?P<subsection>.*){before}")),
        };
        let section = section.map(|text| Ok::<_, Failure>((pattern(&text, Over::Whole)?, text)));
        let section = section.transpose()?;
        let edit = |text: &str| {
            let (start, end) = match &section {
                None => (0, text.len()),
                Some((pattern, written)) => {
                    let found = pattern.captures(text, 0)?;
                    match found.as_ref().and_then(|found| found.name("subsection")) {
                        Some(part) => (part.start(), part.end()),
                        None => {
                            let done = format!(
                                "Pattern for before/after params did not match the given file: {written}"
                            );
                            return Ok(Edited { text: text.to_owned(), done });
                        }
                    }
                }
            };
            let (new, count) = regexp.replace_all(&text[start..end], &template)?;
            let changed = new != text[start..end];
            let done = if changed { format!("{count} replacements made") } else { String::new() };
            Ok(Edited { text: [&text[..start], &new, &text[end..]].concat(), done })
        };
        file.change(params, machine, &edit)
    }
}
