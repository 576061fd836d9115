//! `blockinfile`: a block of lines between markers in a text file.

use super::edit::{Edited, File, bare, check as check_edit, end_of, lines, place, subject};
use super::pattern::{Over, Pattern};
use super::{Failure, Module, Outcome, Task, TaskContext, file_attributes};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use std::borrow::Cow;

pub(super) static MODULE: Module = Module {
    name: "blockinfile",
    summary: "Makes sure that a block of lines, between markers, is in a text file or not in it.",
    acts_unless: None,
    spec: Spec {
        not_yet: &[file_attributes::NOT_YET, file_attributes::CONTENT_NOT_YET],
        exclusive: &[&["insertbefore", "insertafter"]],
        shared: &[file_attributes::PARAMS],
        ..Spec::new(&[
            Param::new("path", Kind::Path)
                .or(&["dest", "destfile", "name"])
                .required()
                .says("The file."),
            Param::new("state", Kind::OneOf(&["absent", "present"]))
                .says("Whether the block is there; `present` where not given."),
            Param::new("marker", Kind::Text).says(
                "The lines around the block; `{mark}` becomes the words of the next two. `# \
                 {mark} ANSIBLE MANAGED BLOCK` where not given.",
            ),
            Param::new("marker_begin", Kind::Text)
                .says("What `{mark}` becomes before the block; `BEGIN` where not given."),
            Param::new("marker_end", Kind::Text)
                .says("What it becomes behind the block; `END` where not given."),
            Param::new("block", Kind::Text).or(&["content"]).says("The lines."),
            Param::new("insertafter", Kind::Text)
                .says("A pattern for the line that a new block goes behind, or `EOF`."),
            Param::new("insertbefore", Kind::Text)
                .says("A pattern for the line that a new block goes before, or `BOF`."),
            Param::new("create", Kind::Bool).says("Make the file where it is missing."),
            file_attributes::BACKUP,
            Param::new("append_newline", Kind::Bool).says("Keep an empty line behind the block."),
            Param::new("prepend_newline", Kind::Bool).says("Keep an empty line before the block."),
            file_attributes::VALIDATE,
        ])
    },
    check,
    build: |params| Box::new(BlockInFile { params }),
};

struct BlockInFile {
    params: Params,
}

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints =
        check_edit(params, &[("insertafter", Over::Line), ("insertbefore", Over::Line)]);
    let mut complain = |why: &str, hint: &str| {
        complaints.push(Diagnostic::new(why, params.span.clone()).hint(hint));
    };
    if params.text("marker").is_some_and(|marker| !marker.contains("{mark}")) {
        let hint = "without it the block is not found again, and is added at every run";
        complain("`marker` must hold `{mark}`, where BEGIN and END go", hint);
    }
    if ["marker", "marker_begin", "marker_end"]
        .iter()
        .any(|name| params.text(name).is_some_and(|text| text.contains('\n')))
    {
        complain("a marker is one line", "take the line end out of it");
    }
    let marks = (params.text("marker_begin"), params.text("marker_end"));
    if marks.0.unwrap_or("BEGIN") == marks.1.unwrap_or("END") {
        complain("the two markers are the same", "let `marker_begin` and `marker_end` differ");
    }
    complaints
}

impl Task for BlockInFile {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let file = match File::open(params, machine) {
            Ok(file) => file,
            Err(stop) => return stop.told(),
        };
        let present = params.text("state") != Some("absent");
        if !params.flag("create", false)
            && let Err(stop) = file.must_exist(machine, Some("`create: true` makes it"))
        {
            return stop.told();
        }
        if !present && !file.exists {
            let path = params.text("path").unwrap_or_default();
            return Ok(Outcome::default().with("msg", format!("File {path} not present")));
        }
        let job = Job::new(params, &file, present)?;
        file.change(params, machine, &|text| job.edit(text))
    }
}

/// The parameters, in the spelling of the file.
struct Job<'a> {
    begin: String,
    end: String,
    block: Cow<'a, str>,
    present: bool,
    file_exists: bool,
    before: Option<Pattern>,
    after: Option<Pattern>,
    at_start: bool,
    over_lines: bool,
    blank_before: bool,
    blank_after: bool,
    line_end: &'static str,
}

impl<'a> Job<'a> {
    fn new(params: &'a Params, file: &File, present: bool) -> Result<Self, Failure> {
        let marker = params.text("marker").unwrap_or("# {mark} ANSIBLE MANAGED BLOCK");
        let mark = |name: &str, usual: &'static str| {
            let mark = params.text(name).unwrap_or(usual);
            file.codec.spell(&marker.replace("{mark}", mark)).into_owned()
        };
        let (before, after) = place(params);
        let pattern =
            |text: &str| Pattern::new(&file.codec.spell(text), Over::Line).map_err(Failure::new);
        let written = before.or(after).unwrap_or_default();
        let flags = written.strip_prefix("(?").and_then(|rest| rest.split_once(')'));
        Ok(Self {
            begin: mark("marker_begin", "BEGIN"),
            end: mark("marker_end", "END"),
            block: params.text("block").map(|text| file.codec.spell(text)).unwrap_or_default(),
            present,
            file_exists: file.exists,
            before: before.filter(|text| *text != "BOF").map(pattern).transpose()?,
            after: after.filter(|text| *text != "EOF").map(pattern).transpose()?,
            at_start: before == Some("BOF"),
            over_lines: flags.is_some_and(|(flags, _)| flags.contains('m')),
            blank_before: params.flag("prepend_newline", false),
            blank_after: params.flag("append_newline", false),
            line_end: file.line_end,
        })
    }

    /// Where the block is: its first line and the one behind its last; none where there is none.
    fn find(&self, lines: &[Cow<'_, str>]) -> Result<Option<(usize, usize)>, Failure> {
        let all = |marker: &str| -> Vec<usize> {
            let lines = lines.iter().enumerate();
            lines.filter(|(_, line)| bare(line) == marker).map(|(at, _)| at).collect()
        };
        let (begins, ends) = (all(&self.begin), all(&self.end));
        let complain = |why: String| {
            let hint = "mend the markers by hand: what belongs to the block cannot be told";
            Err(Failure { hint: Some(hint.into()), ..Failure::new(why) })
        };
        match (&begins[..], &ends[..]) {
            ([], []) => Ok(None),
            ([begin], [end]) if begin < end => Ok(Some((*begin, *end + 1))),
            ([begin], [end]) => complain(format!(
                "the marker `{}` is in line {}, before `{}` in line {}",
                self.end,
                end + 1,
                self.begin,
                begin + 1
            )),
            ([begin], []) => complain(format!(
                "the marker `{}` in line {} has no `{}` behind it",
                self.begin,
                begin + 1,
                self.end
            )),
            ([], [end]) => complain(format!(
                "the marker `{}` in line {} has no `{}` before it",
                self.end,
                end + 1,
                self.begin
            )),
            ([_, second, ..], _) => complain(format!(
                "the marker `{}` is there a second time, in line {}",
                self.begin,
                second + 1
            )),
            (_, [_, second, ..]) => complain(format!(
                "the marker `{}` is there a second time, in line {}",
                self.end,
                second + 1
            )),
        }
    }

    /// Where a new block goes.
    fn place(&self, text: &str, lines: &[Cow<'_, str>]) -> Result<usize, Failure> {
        let (pattern, behind) = match (&self.before, &self.after) {
            (Some(before), _) => (before, 0),
            (None, Some(after)) => (after, 1),
            (None, None) => return Ok(if self.at_start { 0 } else { lines.len() }),
        };
        let mut found = None;
        if self.over_lines {
            let whole = pattern.captures(text, 0)?.and_then(|found| {
                let whole = found.get(0)?;
                Some(if behind == 1 { whole.end() } else { whole.start() })
            });
            found = whole.map(|end| text[..end].matches('\n').count());
        } else {
            for (at, line) in lines.iter().enumerate() {
                if pattern.is_match(&subject(line))? {
                    found = Some(at);
                }
            }
        }
        Ok(found.map_or(lines.len(), |at| (at + behind).min(lines.len())))
    }

    fn edit(&self, text: &str) -> Result<Edited, Failure> {
        let mut lines = lines(text);
        let mut block: Vec<Cow<'_, str>> = Vec::new();
        if self.present && !self.block.is_empty() {
            let inside = self.block.strip_suffix('\n').unwrap_or(&self.block);
            for line in [self.begin.as_str()]
                .into_iter()
                .chain(inside.split('\n'))
                .chain([self.end.as_str()])
            {
                // A line that is given with its own `\r` keeps it, whatever the file has.
                let end = if line.ends_with('\r') { "\n" } else { self.line_end };
                block.push(format!("{line}{end}").into());
            }
        }
        let mut at = match self.find(&lines)? {
            Some((begin, end)) => {
                lines.drain(begin..end);
                begin
            }
            None => self.place(text, &lines)?,
        };
        if at > 0 && end_of(&lines[at - 1]).is_empty() {
            lines[at - 1].to_mut().push_str(self.line_end);
        }
        let is_blank = |line: &str| bare(line).is_empty();
        if self.blank_before && self.present && at > 0 && !is_blank(&lines[at - 1]) {
            lines.insert(at, self.line_end.into());
            at += 1;
        }
        let behind = at + block.len();
        let is_there = !block.is_empty();
        lines.splice(at..at, block);
        if self.blank_after && self.present && lines.get(behind).is_some_and(|line| !is_blank(line))
        {
            lines.insert(behind, self.line_end.into());
        }
        let new = lines.concat();
        let done = match (new == text, self.file_exists, is_there) {
            (true, true, _) => "",
            (_, false, _) => "File created",
            (_, _, false) => "Block removed",
            (_, _, true) => "Block inserted",
        };
        Ok(Edited { text: new, done: done.into() })
    }
}
