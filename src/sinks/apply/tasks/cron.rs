//! `cron`: a command that runs at certain times, or a variable for such commands.

use super::{Failure, Module, Outcome, Task, TaskContext};
use crate::event::fault::Diagnostic;
use crate::event::tree::Node;
use crate::host::machine::Machine;
use crate::host::machine::mode::Mode;
use crate::host::machine::path::Follow;
use crate::host::machine::temporary::Temporary;
use crate::host::machine::write::{Attributes, WriteOptions};
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use bytes::Bytes;
use std::path::{Path, PathBuf};

pub(super) static MODULE: Module = Module {
    name: "cron",
    summary: "Makes sure that a command runs at certain times, or no longer; or sets a variable for such.",
    acts_unless: None,
    spec: Spec {
        exclusive: &[&["insertafter", "insertbefore"]],
        ..Spec::new(&[
            Param::new("name", Kind::Text)
                .required()
                .says("What the job is called, in a comment before it; or the variable."),
            Param::new("state", Kind::OneOf(&["absent", "present"]))
                .says("Whether it is there; `present` where not given."),
            Param::new("job", Kind::Text)
                .or(&["value"])
                .says("The command; or the value of the variable."),
            Param::new("user", Kind::Text).says(
                "Whose table it is in, or who runs the jobs of `cron_file`; whoever runs Driftless \
                 where not given.",
            ),
            Param::new("cron_file", Kind::Path).says(
                "A file in `/etc/cron.d`, by its name, or elsewhere by its path, in place of the \
                 user's table; needs `user`. It goes with its last job.",
            ),
            Param::new("minute", Kind::Any)
                .says("`0` to `59`, such as `0`, `*/5` or `10-20,40`; each where not given."),
            Param::new("hour", Kind::Any).says("`0` to `23`; each where not given."),
            Param::new("day", Kind::Any)
                .or(&["dom"])
                .says("The day of the month, `1` to `31`; each where not given."),
            Param::new("month", Kind::Any)
                .says("`1` to `12`, or `jan` to `dec`; each where not given."),
            Param::new("weekday", Kind::Any)
                .or(&["dow"])
                .says("`0` (Sunday) to `7`, or `sun` to `sat`; each where not given."),
            Param::new("special_time", Kind::OneOf(SPECIAL))
                .says("A time that has a name, in place of the five above."),
            Param::new("disabled", Kind::Bool)
                .says("Put it behind a `#`, so that it does not run."),
            Param::new("env", Kind::Bool).says("It is a variable and no job."),
            Param::new("insertafter", Kind::Text).says(
                "The variable behind which a new one stands; the first line where not given.",
            ),
            Param::new("insertbefore", Kind::Text)
                .says("The variable before which a new one stands."),
            Param::new("backup", Kind::Bool).says("Keep the old table in a file in `/tmp`."),
        ])
    },
    check,
    build: |params| Box::new(Cron { params }),
};

const SPECIAL: &[&str] = &["annually", "daily", "hourly", "monthly", "reboot", "weekly", "yearly"];

/// The five fields of a time: their names, least and greatest values, and names of values.
const FIELDS: [(&str, u32, u32, &[&str]); 5] = [
    ("minute", 0, 59, &[]),
    ("hour", 0, 23, &[]),
    ("day", 1, 31, &[]),
    (
        "month",
        1,
        12,
        &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    ),
    ("weekday", 0, 7, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

/// As Ansible puts it.
const IS_THE_SYSTEMS: &str = "Will not manage /etc/crontab via cron_file, see documentation.";

/// What is before the name of a job.
const MARK: &str = "#Ansible: ";

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = Vec::new();
    let mut complain =
        |name: &str, why: String| complaints.push(Diagnostic::new(why, params.place(name)));
    for (name, least, most, names) in FIELDS {
        let Some(node) = params.any(name) else { continue };
        match node.scalar_text() {
            Some(text) if text.contains("{{") => {}
            Some(text) if is_field(text, least, most, names) => {
                if params.has("special_time") && text != "*" {
                    complain(name, format!("`cron` takes `special_time` or `{name}`, not both"));
                }
            }
            text => {
                let found = text.map_or_else(|| node.kind().to_owned(), |text| format!("`{text}`"));
                complain(name, format!("`{name}` is {found}, and {least} to {most} is expected"));
            }
        }
    }
    let is_present = params.text("state") != Some("absent");
    if params.has("cron_file") && !params.has("user") && is_present {
        complain("cron_file", "`cron_file` needs `user`, who runs its jobs".into());
    }
    if is_present && !params.has("job") {
        complain("name", "`cron` needs `job`".into());
    }
    let is_variable = params.flag("env", false);
    for name in ["insertafter", "insertbefore"] {
        if params.has(name) && !is_variable {
            complain(name, format!("`{name}` is for variables, with `env: true`"));
        }
    }
    for name in ["name", "job"] {
        if params.text(name).is_some_and(|text| text.trim_matches(['\r', '\n']).contains('\n')) {
            complain(name, format!("`{name}` holds a line end, and would begin another job"));
        }
    }
    if is_variable && params.text("name").is_some_and(|name| name.contains([' ', '=', '"'])) {
        complain("name", "the name of a variable holds no blank, `=` or quote".into());
    }
    complaints
}

/// Whether cron(8) takes `text` for a field. What it does not take makes it leave out the whole table.
fn is_field(text: &str, least: u32, most: u32, names: &[&str]) -> bool {
    let value = |text: &str| {
        let named = names.iter().position(|name| text.eq_ignore_ascii_case(name));
        let number = match named {
            Some(at) => u32::try_from(at).ok().map(|at| at + least),
            None => text.parse().ok(),
        };
        number.filter(|number| (least..=most).contains(number))
    };
    text.split(',').all(|item| {
        let (span, step) = match item.split_once('/') {
            Some((span, step)) => (span, Some(step)),
            None => (item, None),
        };
        let is_span = match span.split_once('-') {
            Some((from, to)) => value(from).zip(value(to)).is_some_and(|(from, to)| from <= to),
            None => span == "*" || value(span).is_some(),
        };
        is_span && step.is_none_or(|step| step.parse::<u32>().is_ok_and(|step| step > 0))
    })
}

struct Cron {
    params: Params,
}

impl Task for Cron {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let (path, attributes) = self.place(machine)?;
        let is_there = machine.stat(&path, Follow::Yes)?.is_some();
        let old = match is_there {
            true => String::from_utf8(machine.read(&path)?.to_vec())
                .map_err(|_| Failure::new(format!("{} is no UTF-8 text", path.display())))?,
            false => String::new(),
        };
        let mut lines: Vec<String> = old.lines().map(str::to_owned).collect();
        match params.flag("env", false) {
            true => self.settle_variable(&mut lines)?,
            false => self.settle_job(&mut lines),
        }
        let new: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        let outcome = self.told(&lines);
        if new == old || !is_there && lines.is_empty() {
            return Ok(outcome);
        }
        let kept = self.keep(machine, &old)?;
        if params.has("cron_file") && lines.iter().all(|line| line.trim().is_empty()) {
            machine.remove(&path)?;
        } else {
            machine.write_file(&path, &Bytes::from(new), &attributes, &WriteOptions::default())?;
        }
        Ok(match kept {
            Some(kept) => outcome.with("backup_file", kept.display().to_string()),
            None => outcome,
        })
    }
}

impl Cron {
    /// The table and whose it is.
    fn place(&self, machine: &Machine) -> Result<(PathBuf, Attributes), Failure> {
        let own = |mode, uid, gid| Attributes { mode: Some(Mode::Exact(mode)), uid, gid };
        if let Some(file) = self.params.path("cron_file") {
            let path = Path::new("/etc/cron.d").join(file);
            if path == Path::new("/etc/crontab") {
                let failure = Failure::new(IS_THE_SYSTEMS);
                let hint = Some("its jobs are the system's; name a file in /etc/cron.d".into());
                return Err(Failure { hint, ..failure });
            }
            let is_new = machine.stat(&path, Follow::Yes)?.is_none();
            let usual = if is_new { own(0o644, None, None) } else { Attributes::default() };
            return Ok((path, usual));
        }
        let name = match self.params.text("user") {
            Some(name) => name.to_owned(),
            None => machine.own_name(),
        };
        let Some(user) = machine.user(&name)? else {
            return Err(Failure::new(format!("there is no user `{name}`")));
        };
        // Debian keeps tables in a directory of their own, which the group `crontab` may write.
        let usual = Path::new("/var/spool/cron/crontabs");
        let is_debian = machine.stat(usual, Follow::Yes)?.is_some();
        let directory = if is_debian { usual } else { Path::new("/var/spool/cron") };
        if machine.stat(directory, Follow::Yes)?.is_none() {
            let failure = Failure::new(format!("there is no directory {}", directory.display()));
            return Err(Failure { hint: Some("install cron first".into()), ..failure });
        }
        let group = machine.group("crontab")?.map_or(user.gid, |group| group.gid);
        Ok((directory.join(&name), own(0o600, Some(user.uid), Some(group))))
    }

    /// The old table in a file of its own, where that is asked for.
    fn keep(&self, machine: &mut Machine, old: &str) -> Result<Option<PathBuf>, Failure> {
        if !self.params.flag("backup", false) {
            return Ok(None);
        }
        let directory = std::env::temp_dir();
        let kept = machine.make_temporary(Temporary::File, &directory, "crontab", "")?;
        if let Some(path) = &kept {
            let content = Bytes::copy_from_slice(old.as_bytes());
            let (attributes, options) = (Attributes::default(), WriteOptions::default());
            machine.write_file(path, &content, &attributes, &options)?;
        }
        Ok(kept)
    }

    fn name(&self) -> &str {
        self.params.text("name").unwrap_or_default()
    }

    fn is_absent(&self) -> bool {
        self.params.text("state") == Some("absent")
    }

    fn settle_job(&self, lines: &mut Vec<String>) {
        let mark = format!("{MARK}{}", self.name());
        let line = self.line();
        let mut is_known = false;
        let mut at = 0;
        while at < lines.len() {
            // A mark counts with the line behind it.
            if lines[at] != mark || at + 1 == lines.len() {
                at += 1;
            } else if self.is_absent() {
                lines.drain(at..at + 2);
            } else {
                lines[at + 1].clone_from(&line);
                is_known = true;
                at += 2;
            }
        }
        if is_known || self.is_absent() {
            return;
        }
        // The same job without a name gets this one.
        let has_no_name = |at: usize| at == 0 || !lines[at - 1].starts_with(MARK);
        match lines.iter().position(|known| *known == line).filter(|at| has_no_name(*at)) {
            Some(at) => lines.insert(at, mark),
            None => lines.extend([mark, line]),
        }
    }

    fn line(&self) -> String {
        let params = &self.params;
        let mut words = Vec::new();
        match params.text("special_time") {
            Some(time) => words.push(format!("@{time}")),
            None => words.extend(FIELDS.map(|(name, ..)| {
                params.any(name).and_then(Node::scalar_text).unwrap_or("*").to_owned()
            })),
        }
        if params.has("cron_file") {
            words.push(params.text("user").unwrap_or_default().to_owned());
        }
        words.push(params.text("job").unwrap_or_default().trim_matches(['\r', '\n']).to_owned());
        let mark = if params.flag("disabled", false) { "#" } else { "" };
        format!("{mark}{}", words.join(" "))
    }

    fn settle_variable(&self, lines: &mut Vec<String>) -> Result<(), Failure> {
        let params = &self.params;
        let begin = format!("{}=", self.name());
        if self.is_absent() {
            lines.retain(|line| !line.starts_with(&begin));
            return Ok(());
        }
        let wanted = format!("{begin}\"{}\"", params.text("job").unwrap_or_default());
        let mut is_known = false;
        for line in lines.iter_mut().filter(|line| line.starts_with(&begin)) {
            line.clone_from(&wanted);
            is_known = true;
        }
        if is_known {
            return Ok(());
        }
        let after = params.text("insertafter").map(|name| (name, 1));
        let at = match after.or_else(|| params.text("insertbefore").map(|name| (name, 0))) {
            Some((name, behind)) => {
                let begin = format!("{name}=");
                let found = lines.iter().position(|line| line.starts_with(&begin));
                let missing = || Failure::new(format!("the table has no variable `{name}`"));
                found.ok_or_else(missing)? + behind
            }
            // What crontab(1) has put on top stays there.
            None => lines.iter().take(3).take_while(|line| is_header(line)).count(),
        };
        lines.insert(at, wanted);
        Ok(())
    }

    /// What Ansible returns of the table.
    fn told(&self, lines: &[String]) -> Outcome {
        let jobs = lines.iter().filter_map(|line| line.strip_prefix(MARK).map(str::to_owned));
        let is_name = |name: &&str| !name.is_empty() && !name.contains([' ', '\t', '#']);
        let names = lines.iter().filter_map(|line| Some(line.split_once('=')?.0)).filter(is_name);
        let names: Vec<String> = names.map(str::to_owned).collect();
        let outcome = Outcome::default().with("jobs", jobs.collect::<Vec<_>>()).with("envs", names);
        match self.params.text("cron_file") {
            Some(file) => outcome
                .with("cron_file", file)
                .with("state", self.params.text("state").unwrap_or("present")),
            None => outcome,
        }
    }
}

fn is_header(line: &str) -> bool {
    line.starts_with("# DO NOT EDIT THIS FILE") || line.starts_with("# (")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_right_where_cron_takes_it() {
        let is_right = |field: usize, text| {
            let (_, least, most, names) = FIELDS[field];
            is_field(text, least, most, names)
        };
        for (field, text) in [
            (0, "*"),
            (0, "*/5"),
            (0, "0,10-20/2,59"),
            (1, "23"),
            (3, "jan-MAR"),
            (4, "7"),
            (4, "sun"),
        ] {
            assert!(is_right(field, text), "{text}");
        }
        for (field, text) in [
            (0, "60"),
            (0, "*/0"),
            (0, ""),
            (0, "5-"),
            (1, "24"),
            (2, "0"),
            (2, "20-10"),
            (3, "sun"),
            (0, "1 2"),
        ] {
            assert!(!is_right(field, text), "{text}");
        }
    }
}
