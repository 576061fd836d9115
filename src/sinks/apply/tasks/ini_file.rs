//! `ini_file`: options in the sections of an INI file. Comments and order stay.

use super::edit::{Edited, File, bare, check as check_edit, end_last, lines};
use super::{Failure, Module, Outcome, Task, TaskContext, file_attributes, values};
use crate::event::fault::Diagnostic;
use crate::event::tree::Node;
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use std::borrow::Cow;
use std::ops::Range;

pub(super) static MODULE: Module = Module {
    name: "ini_file",
    summary: "Makes sure that an option of an INI file has a value, or is absent.",
    acts_unless: None,
    spec: Spec {
        not_yet: &[file_attributes::NOT_YET, &["follow", "section_has_values"]],
        exclusive: &[&["value", "values"]],
        shared: &[file_attributes::PARAMS],
        ..Spec::new(&[
            Param::new("path", Kind::Path).or(&["dest"]).required().says("The file."),
            Param::new("section", Kind::Text)
                .says("The section; the part before the first one where not given."),
            Param::new("option", Kind::Text)
                .says("The option; the section itself where not given."),
            Param::new("value", Kind::Any).says("Its value."),
            Param::new("values", Kind::Any).says("Its values, a line each."),
            Param::new("state", Kind::OneOf(&["absent", "present"]))
                .says("Whether it is there; `present` where not given."),
            Param::new("exclusive", Kind::Bool)
                .says("Other values of the option go; true where not given."),
            Param::new("no_extra_spaces", Kind::Bool).says("Write `option=value` without blanks."),
            Param::new("ignore_spaces", Kind::Bool)
                .says("Leave a line alone that differs only in blanks."),
            Param::new("allow_no_value", Kind::Bool)
                .says("The option may stand alone on its line."),
            Param::new("modify_inactive_option", Kind::Bool)
                .says("Use a line that is a comment for the option; true where not given."),
            Param::new("create", Kind::Bool)
                .says("Make the file where it is missing; true where not given."),
            file_attributes::BACKUP,
            file_attributes::VALIDATE,
        ])
    },
    check,
    build: |params| Box::new(IniFile { params }),
};

struct IniFile {
    params: Params,
}

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = check_edit(params, &[]);
    let mut complain = |why: &str| complaints.push(Diagnostic::new(why, params.span.clone()));
    let given = params.has("value") || params.has("values");
    let present = params.text("state") != Some("absent");
    if present && params.has("option") && !given && !params.flag("allow_no_value", false) {
        complain("an `option` needs its `value`; or say `allow_no_value: true`");
    }
    if given && !params.has("option") {
        complain("a `value` needs the `option` that it is for");
    }
    let parts = [params.text("section"), params.text("option")];
    if parts.into_iter().flatten().any(|text| text.contains('\n')) {
        complain("`section` and `option` are one line");
    }
    complaints
}

impl Task for IniFile {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let file = match File::open(params, machine) {
            Ok(file) => file,
            Err(stop) => return stop.told(),
        };
        let present = params.text("state") != Some("absent");
        if !params.flag("create", true)
            && let Err(stop) = file.must_exist(machine, Some("`create: true` makes it"))
        {
            return stop.told();
        }
        let spell = |text: &str| file.codec.spell(text).into_owned();
        let given = match params.any("value") {
            Some(node) => node.scalar_text().map(|text| vec![spell(text)]),
            None => params
                .has("values")
                .then(|| values::list(params, "values").iter().map(|value| spell(value)).collect()),
        };
        if params.any("value").is_some_and(|node: &Node| node.scalar_text().is_none()) {
            return Err(Failure::new("`value` takes text"));
        }
        let job = Job {
            section: params.text("section").map(spell),
            option: params.text("option").map(spell),
            values: given,
            exclusive: params.flag("exclusive", true),
            tight: params.flag("no_extra_spaces", false),
            ignore_spaces: params.flag("ignore_spaces", false),
            wake: params.flag("modify_inactive_option", true),
            line_end: file.line_end,
        };
        let done = file.change(params, machine, &|text| {
            Ok(if present { job.present(text) } else { job.absent(text) })
        })?;
        let path = params.path("path").unwrap_or_default();
        let done = done.with("path", path.display().to_string());
        let message = done.returned.get("msg").is_some_and(|message| message.as_str() == Some(""));
        let done = if message { done.with("msg", "OK") } else { done };
        file_attributes::returned(done, machine, &path, crate::host::machine::path::Follow::Yes)
    }
}

/// The parameters, in the spelling of the file.
struct Job {
    section: Option<String>,
    option: Option<String>,
    /// Values that the option should have; an option without a value has none.
    values: Option<Vec<String>>,
    exclusive: bool,
    tight: bool,
    ignore_spaces: bool,
    wake: bool,
    line_end: &'static str,
}

/// An option's line.
struct Setting<'a> {
    active: bool,
    value: Option<&'a str>,
}

/// The section that a line begins.
fn heading(line: &str) -> Option<&str> {
    let line = bare(line).trim_start().strip_prefix('[')?;
    line.rfind(']').map(|end| &line[..end])
}

impl Job {
    /// What a line says of the option.
    fn setting<'l>(&self, line: &'l str) -> Option<Setting<'l>> {
        let line = bare(line).trim_start_matches([' ', '\t']);
        let (active, line) = match line.strip_prefix(['#', ';']) {
            Some(rest) => (false, rest.trim_start_matches([' ', '\t'])),
            None => (true, line),
        };
        let rest = line.strip_prefix(self.option.as_deref()?)?.trim_start_matches([' ', '\t']);
        match rest.strip_prefix('=') {
            Some(value) => Some(Setting { active, value: Some(value.trim_matches([' ', '\t'])) }),
            // A comment that begins with the option's name is no setting of it.
            None => (rest.is_empty() && (active || self.values.is_none()))
                .then_some(Setting { active, value: None }),
        }
    }

    fn written(&self, value: Option<&str>) -> String {
        let option = self.option.as_deref().unwrap_or_default();
        let text = match (value, self.tight) {
            (None, _) => option.to_owned(),
            (Some(value), true) => format!("{option}={value}"),
            (Some(value), false) => format!("{option} = {value}"),
        };
        format!("{}{}", text.trim_end(), self.line_end)
    }

    /// The lines inside the section; none where the file has no such section.
    fn inside(&self, lines: &[Cow<'_, str>]) -> Option<Range<usize>> {
        let next = |from: usize| {
            let at = lines[from..].iter().position(|line| heading(line).is_some());
            at.map_or(lines.len(), |at| from + at)
        };
        match &self.section {
            None => Some(0..next(0)),
            Some(section) => {
                let at = lines.iter().position(|line| heading(line) == Some(section))?;
                Some(at + 1..next(at + 1))
            }
        }
    }

    fn present(&self, text: &str) -> Edited {
        let mut lines = lines(text);
        end_last(&mut lines, self.line_end);
        let wanted: Vec<Option<&str>> = match (&self.option, &self.values) {
            (None, _) => Vec::new(),
            (Some(_), None) => vec![None],
            (Some(_), Some(values)) => values.iter().map(|value| Some(value.as_str())).collect(),
        };
        let Some(inside) = self.inside(&lines) else {
            let section = self.section.as_deref().unwrap_or_default();
            lines.push(format!("[{section}]{}", self.line_end).into());
            lines.extend(wanted.iter().map(|value| self.written(*value).into()));
            let done =
                if wanted.is_empty() { "only section added" } else { "section and option added" };
            return Edited { text: lines.concat(), done: done.into() };
        };
        let mut done = "";
        let mut left = wanted.clone();
        let mut keep = vec![false; lines.len()];
        // First what is there already and right.
        for at in inside.clone() {
            let Some(setting) = self.setting(&lines[at]).filter(|setting| setting.active) else {
                continue;
            };
            if let Some(found) = left.iter().position(|value| *value == setting.value) {
                let value = left.remove(found);
                keep[at] = true;
                let new = self.written(value);
                if lines[at] != new && !self.ignore_spaces {
                    lines[at] = new.into();
                    done = "option changed";
                }
            }
        }
        // Then what is there and wrong takes the values that are left, or goes.
        let mut gone = Vec::new();
        for at in inside.clone().filter(|at| !keep[*at]) {
            let Some(setting) = self.setting(&lines[at]) else { continue };
            let replaceable = if setting.active { self.exclusive } else { self.wake };
            if !replaceable {
                continue;
            }
            if !left.is_empty() {
                lines[at] = self.written(left.remove(0)).into();
                done = "option changed";
            } else if setting.active {
                gone.push(at);
                done = "option changed";
            }
        }
        if !left.is_empty() {
            let is_setting = |line: &Cow<'_, str>| {
                let line = bare(line).trim();
                !line.is_empty() && !line.starts_with(['#', ';'])
            };
            let last = lines[inside.clone()].iter().rposition(is_setting);
            let at = last.map_or(inside.start, |last| inside.start + last + 1);
            let new = left.iter().map(|value| Cow::from(self.written(*value)));
            let new: Vec<_> = new.collect();
            lines.splice(at..at, new);
            done = "option added";
        }
        for at in gone.into_iter().rev() {
            lines.remove(at);
        }
        if done.is_empty() {
            return Edited { text: text.to_owned(), done: String::new() };
        }
        Edited { text: lines.concat(), done: done.into() }
    }

    fn absent(&self, text: &str) -> Edited {
        let mut lines = lines(text);
        let unchanged = || Edited { text: text.to_owned(), done: String::new() };
        let Some(inside) = self.inside(&lines) else { return unchanged() };
        if self.option.is_none() {
            let start = if self.section.is_some() { inside.start - 1 } else { inside.start };
            lines.drain(start..inside.end);
            let new = lines.concat();
            let done = if new == text { "" } else { "section removed" };
            return Edited { text: new, done: done.into() };
        }
        let goes = |line: &str| {
            let Some(setting) = self.setting(line).filter(|setting| setting.active) else {
                return false;
            };
            // With `exclusive: false` only the values that are named go.
            match (&self.values, self.exclusive) {
                (Some(values), false) => {
                    setting.value.is_some_and(|value| values.iter().any(|gone| gone == value))
                }
                _ => true,
            }
        };
        let before = lines.len();
        let mut at = 0;
        lines.retain(|line| {
            let is_inside = inside.contains(&at);
            at += 1;
            !(is_inside && goes(line))
        });
        if lines.len() == before {
            return unchanged();
        }
        Edited { text: lines.concat(), done: "option removed".into() }
    }
}
