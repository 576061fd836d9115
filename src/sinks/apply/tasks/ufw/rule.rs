//! A rule of ufw: how it is written, whether ufw has it, and where among the others.

use super::super::{Failure, system};
use crate::host::machine::Machine;
use crate::host::machine::command::Output;
use crate::sinks::apply::params::Params;
use std::path::Path;

/// The rules of each version of IP: the file, and what the dump of a dry run has of it.
const RULES: [(&str, &str); 2] =
    [("/etc/ufw/user.rules", ":ufw-user-input "), ("/etc/ufw/user6.rules", ":ufw6-user-input ")];

/// A rule as a task says it.
pub(super) struct Rule<'a> {
    /// What the task says.
    pub(super) params: &'a Params,
    /// What becomes of what the rule is about.
    pub(super) verb: &'a str,
}

impl Rule<'_> {
    /// The arguments that put a rule back where it is now, once it is deleted. `None` where its place
    /// cannot be told.
    pub(super) fn put_back(&self, machine: &Machine) -> Result<Option<Vec<String>>, Failure> {
        let argv = [vec!["--dry-run".to_owned()], self.words(true)].concat();
        let output = ask(machine, &argv)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        // Rules for version 6 of IP are counted on from those for version 4.
        let mut before = 0;
        for (at, (file, mark)) in RULES.iter().enumerate() {
            let now = system::read(machine, Path::new(file))?.unwrap_or_default();
            let now: Vec<&str> = tuples(&now).collect();
            if let Some(left) = told(&said, at, mark) {
                let left: Vec<&str> = tuples(left).collect();
                let same = now.iter().zip(&left).take_while(|(one, other)| one == other).count();
                if let Some(gone) = now.get(same).filter(|_| now.len() == left.len() + 1) {
                    let mut words = self.words(false);
                    if let Some(comment) =
                        comment(gone).filter(|_| !words.contains(&"comment".into()))
                    {
                        words.extend(["comment".to_owned(), comment]);
                    }
                    if same < left.len() {
                        let place = (before + same + 1).to_string();
                        let at = usize::from(self.params.flag("route", false));
                        words.splice(at..at, ["insert".to_owned(), place]);
                    }
                    return Ok(Some(words));
                }
            }
            before += now.len();
        }
        Ok(None)
    }

    /// The rule as arguments; with `deletes` those that take it away.
    pub(super) fn words(&self, deletes: bool) -> Vec<String> {
        let params = &self.params;
        let text = |name| params.text(name);
        let mut words: Vec<String> = Vec::new();
        let mut add = |all: &[&str]| words.extend(all.iter().map(|word| (*word).to_owned()));
        if params.flag("route", false) {
            add(&["route"]);
        }
        if deletes {
            add(&["delete"]);
        } else if let Some(number) = params.int("insert").filter(|_| !params.flag("delete", false))
        {
            add(&["insert", &number.to_string()]);
        }
        add(&[self.verb]);
        if let Some(direction) = text("direction") {
            add(&[direction]);
        }
        let on: [(&str, &[&str]); 3] = [
            ("interface", &["on"]),
            ("interface_in", &["in", "on"]),
            ("interface_out", &["out", "on"]),
        ];
        for (name, before) in on {
            if let Some(interface) = text(name) {
                add(before);
                add(&[interface]);
            }
        }
        if params.flag("log", false) {
            add(&["log"]);
        }
        for (name, before, usual) in [
            ("from_ip", "from", Some("any")),
            ("from_port", "port", None),
            ("to_ip", "to", Some("any")),
            ("to_port", "port", None),
            ("proto", "proto", None),
            ("name", "app", None),
            ("comment", "comment", None),
        ] {
            // Which rule it is that goes, its comment does not tell.
            if let Some(value) = text(name).or(usual).filter(|_| !(deletes && name == "comment")) {
                add(&[before, value]);
            }
        }
        words
    }
}

/// What ufw says, in English: its words are all that tells what it would do.
fn ask(machine: &Machine, words: &[String]) -> Result<Output, Failure> {
    let argv = with_program("ufw", words);
    Ok(machine.guard(&system::in_english(argv, &[]))?)
}

/// Words behind the name of a program.
pub(super) fn with_program(program: &str, words: &[String]) -> Vec<String> {
    let mut argv = vec![program.to_owned()];
    argv.extend_from_slice(words);
    argv
}

/// Whether ufw would leave its rules as they are. It tells in a dry run of its own which rules it would
/// have; what it would not touch it leaves out.
pub(super) fn is_so(machine: &Machine, words: &[String]) -> Result<bool, Failure> {
    let output = ask(machine, &[vec!["--dry-run".to_owned()], words.to_vec()].concat())?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.is_success() {
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        let complaint = complaint.trim().trim_start_matches("ERROR: ").to_owned();
        // What is not there needs no deleting.
        if complaint.contains("Could not delete non-existent rule") {
            return Ok(true);
        }
        return Err(Failure::new(format!("ufw objects: {complaint}")));
    }
    let is_known = said.contains("Skipping") || RULES.iter().any(|(_, mark)| said.contains(mark));
    if !is_known {
        let failure = Failure::new("`ufw --dry-run` does not tell what it would do");
        return Err(Failure { is_denial: machine.is_dry_run(), ..failure });
    }
    for (at, (file, mark)) in RULES.iter().enumerate() {
        let Some(told) = told(&said, at, mark) else { continue };
        let now = system::read(machine, Path::new(file))?.unwrap_or_default();
        if !tuples(&now).eq(tuples(told)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Any text in place of what `ufw --dry-run` says.
#[cfg(any(test, fuzzing))]
pub(in super::super) fn hostile(text: &str) {
    for (at, (_, mark)) in RULES.iter().enumerate() {
        tuples(told(text, at, mark).unwrap_or(text)).for_each(|tuple| drop(comment(tuple)));
    }
}

/// What `ufw --dry-run` says of one of its files, if it says something.
fn told<'t>(said: &'t str, at: usize, mark: &str) -> Option<&'t str> {
    let begin = said.find(mark)?;
    let end = RULES.get(at + 1).and_then(|(_, mark)| said.find(mark)).unwrap_or(said.len());
    said.get(begin..end)
}

/// The comment of a rule, which its line has in digits of base 16.
fn comment(tuple: &str) -> Option<String> {
    let digits = tuple.split_whitespace().find_map(|word| word.strip_prefix("comment="))?;
    let pairs = (0..digits.len()).step_by(2);
    let bytes = pairs.map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok());
    String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()
}

/// The lines that say what rules there are.
fn tuples(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.starts_with("### tuple ###"))
}
