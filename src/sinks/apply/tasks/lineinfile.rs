//! `lineinfile`: one line of a text file.

use super::edit::{
    Edited, File, bare, check as check_edit, check_template, end_last, end_of, lines, place,
    subject,
};
use super::pattern::{Over, Pattern, expand};
use super::{Failure, Module, Outcome, Task, TaskContext, file_attributes};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use std::borrow::Cow;

pub(super) static MODULE: Module = Module {
    name: "lineinfile",
    summary: "Makes sure that a line is in a text file, in place of another one, or not in it.",
    acts_unless: None,
    spec: Spec {
        not_yet: &[file_attributes::NOT_YET, file_attributes::CONTENT_NOT_YET],
        exclusive: &[
            &["insertbefore", "insertafter"],
            &["regexp", "search_string"],
            &["backrefs", "search_string"],
        ],
        shared: &[file_attributes::PARAMS],
        ..Spec::new(&[
            Param::new("path", Kind::Path)
                .or(&["dest", "destfile", "name"])
                .required()
                .says("The file."),
            Param::new("state", Kind::OneOf(&["absent", "present"]))
                .says("Whether the line is there; `present` where not given."),
            Param::new("regexp", Kind::Text).or(&["regex"]).says(
                "The line to replace or remove: the last that this regular expression \
                 matches.",
            ),
            Param::new("search_string", Kind::Text)
                .says("The line to replace or remove: the last that holds this text."),
            Param::new("line", Kind::Text).or(&["value"]).says("The line."),
            Param::new("insertafter", Kind::Text)
                .says("A pattern for the line that a new one goes behind, or `EOF`."),
            Param::new("insertbefore", Kind::Text)
                .says("A pattern for the line that a new one goes before, or `BOF`."),
            Param::new("backrefs", Kind::Bool).says(
                "`line` may use what the groups of `regexp` matched; where nothing matches, \
                 nothing is added.",
            ),
            Param::new("create", Kind::Bool).says("Make the file where it is missing."),
            file_attributes::BACKUP,
            Param::new("firstmatch", Kind::Bool)
                .says("The first line that a pattern matches counts, not the last."),
            file_attributes::VALIDATE,
        ])
    },
    check,
    build: |params| Box::new(LineInFile { params }),
};

struct LineInFile {
    params: Params,
}

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = check_edit(
        params,
        &[("regexp", Over::Line), ("insertafter", Over::Line), ("insertbefore", Over::Line)],
    );
    let mut complain = |why: &str| complaints.push(Diagnostic::new(why, params.span.clone()));
    if params.text("state") == Some("absent") {
        if !["regexp", "search_string", "line"].iter().any(|name| params.has(name)) {
            complain("`state: absent` needs `regexp`, `search_string` or `line`");
        }
    } else {
        if !params.has("line") {
            complain("`lineinfile` needs `line`");
        }
        if params.flag("backrefs", false) && !params.has("regexp") {
            complain("`backrefs` needs `regexp`, whose groups `line` refers to");
        }
    }
    if params.flag("backrefs", false) {
        complaints.extend(check_template(params, "line", Over::Line));
    }
    complaints
}

impl Task for LineInFile {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let file = match File::open(params, machine) {
            Ok(file) => file,
            Err(stop) => return stop.told(),
        };
        let job = Job::new(params, &file)?;
        if params.text("state") == Some("absent") {
            if !file.exists {
                return Ok(Outcome::default().with("msg", "file not present"));
            }
            let found = job.absent(&file.text)?.1;
            let done = file.change(params, machine, &|text| Ok(job.absent(text)?.0))?;
            return Ok(done.with("found", found));
        }
        if !params.flag("create", false)
            && let Err(stop) = file.must_exist(machine, Some("`create: true` makes it"))
        {
            return stop.told();
        }
        let mut outcome = file.change(params, machine, &|text| job.present(text))?;
        if let Some(pattern) = &job.pattern
            && !job.backrefs
            && !pattern.is_match(&job.line)?
        {
            let line = params.text("line").unwrap_or_default();
            outcome.message = Some(format!(
                "`regexp` does not match the line `{line}`: a second change of it would add another line"
            ));
        }
        Ok(outcome)
    }
}

/// The parameters, in the spelling of the file.
struct Job<'a> {
    line: Cow<'a, str>,
    pattern: Option<Pattern>,
    search: Option<Cow<'a, str>>,
    backrefs: bool,
    first_match: bool,
    place: Place,
    line_end: &'static str,
}

enum Place {
    Start,
    End,
    After(Pattern),
    Before(Pattern),
}

impl<'a> Job<'a> {
    fn new(params: &'a Params, file: &File) -> Result<Self, Failure> {
        let spell = |text: &'a str| file.codec.spell(text);
        let pattern = |text: &str| Pattern::new(&file.codec.spell(text), Over::Line);
        let place = match place(params) {
            (Some("BOF"), _) | (_, Some("BOF")) => Place::Start,
            (Some(before), _) => Place::Before(pattern(before).map_err(Failure::new)?),
            (_, Some(after)) if after != "EOF" => {
                Place::After(pattern(after).map_err(Failure::new)?)
            }
            _ => Place::End,
        };
        Ok(Self {
            line: params.text("line").map(spell).unwrap_or_default(),
            pattern: params.text("regexp").map(pattern).transpose().map_err(Failure::new)?,
            search: params.text("search_string").map(spell),
            backrefs: params.flag("backrefs", false),
            first_match: params.flag("firstmatch", false),
            place,
            line_end: file.line_end,
        })
    }

    /// The line that is to be replaced, and what becomes of it.
    fn wanted(&self, lines: &[Cow<'_, str>]) -> Result<Option<(usize, Cow<'_, str>)>, Failure> {
        let mut found = None;
        for (at, line) in lines.iter().enumerate() {
            let line = subject(line);
            let new = match (&self.pattern, &self.search) {
                (Some(pattern), _) if self.backrefs => match pattern.captures(&line, 0)? {
                    Some(captures) => Some(expand(&self.line, &captures)?.into()),
                    None => None,
                },
                (Some(pattern), _) => {
                    pattern.is_match(&line)?.then(|| Cow::from(self.line.as_ref()))
                }
                (None, Some(search)) => {
                    line.contains(search.as_ref()).then(|| Cow::from(self.line.as_ref()))
                }
                (None, None) => None,
            };
            if let Some(new) = new {
                found = Some((at, new));
                if self.first_match {
                    break;
                }
            }
        }
        Ok(found)
    }

    fn present(&self, text: &str) -> Result<Edited, Failure> {
        let mut lines = lines(text);
        let mut found = self.wanted(&lines)?;
        let mut at = None;
        if found.is_none() {
            for (number, line) in lines.iter().enumerate() {
                if bare(line) == self.line {
                    found = Some((number, self.line.as_ref().into()));
                    continue;
                }
                let (pattern, place) = match &self.place {
                    Place::After(pattern) => (pattern, number + 1),
                    Place::Before(pattern) => (pattern, number),
                    Place::Start | Place::End => continue,
                };
                if pattern.is_match(&subject(line))? {
                    at = Some(place);
                    if self.first_match {
                        break;
                    }
                }
            }
        }
        let unchanged = || Edited { text: text.to_owned(), done: String::new() };
        let whole = format!("{}{}", self.line, self.line_end);
        if let Some((number, new)) = found {
            let end = match end_of(&lines[number]) {
                "" => self.line_end,
                end => end,
            };
            let new = if new.ends_with('\n') { new.into_owned() } else { format!("{new}{end}") };
            if lines[number] == new {
                return Ok(unchanged());
            }
            lines[number] = new.into();
            return Ok(Edited { text: lines.concat(), done: "line replaced".into() });
        }
        if self.backrefs {
            return Ok(unchanged()); // there is nothing that its groups could refer to
        }
        let at = match self.place {
            Place::Start => 0,
            _ => at.unwrap_or(lines.len()),
        };
        // With `firstmatch`, the search ended before the line that an earlier run put here.
        let is_there = lines.get(at).is_some_and(|line| bare(line) == self.line);
        if is_there && matches!(self.place, Place::After(_)) {
            return Ok(unchanged());
        }
        if at == lines.len() {
            end_last(&mut lines, self.line_end);
        }
        lines.insert(at, whole.into());
        Ok(Edited { text: lines.concat(), done: "line added".into() })
    }

    /// The text without the line, and how many there were.
    fn absent(&self, text: &str) -> Result<(Edited, usize), Failure> {
        let (mut kept, mut removed) = (String::new(), 0);
        for line in lines(text) {
            let goes = match (&self.pattern, &self.search) {
                (Some(pattern), _) => pattern.is_match(&subject(&line))?,
                (None, Some(search)) => line.contains(search.as_ref()),
                (None, None) => bare(&line) == self.line,
            };
            if goes {
                removed += 1;
            } else {
                kept.push_str(&line);
            }
        }
        let done = if removed > 0 { format!("{removed} line(s) removed") } else { String::new() };
        Ok((Edited { text: kept, done }, removed))
    }
}
