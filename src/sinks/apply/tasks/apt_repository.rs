//! `apt_repository`: a place where apt finds packages, as a line of a list.

use super::{Failure, Module, Outcome, Task, TaskContext, apt};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::path::Follow;
use crate::host::machine::write::{Attributes, WriteOptions};
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use bytes::Bytes;
use minijinja::Value;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

pub(super) static MODULE: Module = Module {
    name: "apt_repository",
    summary: "Makes sure that a line of apt's lists names a repository, or that none does.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("repo", Kind::Text).required().says(
            "The line: `deb http://example.org/debian bookworm main`, with options in brackets before \
             the address. `ppa:OWNER/NAME` stands for the line of one at Launchpad; its key must be \
             on the host.",
        ),
        Param::new("state", Kind::OneOf(&["absent", "present"]))
            .says("Whether the line is there; `present` where not given."),
        Param::new("filename", Kind::Text).says(
            "The file for a new line, below `/etc/apt/sources.list.d` and without `.list`; it is \
             called after the address where not given.",
        ),
        Param::new("mode", Kind::Mode).says("The permissions of a file with a new line."),
        Param::new("codename", Kind::Text)
            .says("The release that `ppa:` stands for; that of the host where not given."),
        Param::new("update_cache", Kind::Bool).or(&["update-cache"]).says(
            "Fetch the lists of packages after a change; true where not given. Where that fails the \
             change is taken back.",
        ),
        Param::new("update_cache_retries", Kind::Int)
            .says("How often fetching is tried; 5 where not given."),
        Param::new("update_cache_retry_max_delay", Kind::Int)
            .says("The longest pause between two tries, in seconds; 12 where not given."),
        Param::new("validate_certs", Kind::Bool)
            .says("Accepted: apt itself looks at certificates."),
        Param::new("install_python_apt", Kind::Bool)
            .says("Accepted: there are no dependencies."),
    ]),
    check,
    build: |params| Box::new(Repository { params }),
};

const LIST: &str = "/etc/apt/sources.list";
const LISTS: &str = "/etc/apt/sources.list.d";
const TYPES: [&str; 2] = ["deb", "deb-src"];
const PPA: &str = "ppa:";

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = Vec::new();
    if let Some(repo) = params.text("repo").filter(|repo| !repo.starts_with(PPA))
        && let Err(failure) = wanted(repo)
    {
        let complaint = Diagnostic::new(failure.message, params.place("repo"));
        complaints.push(complaint.hint("`deb http://example.org/debian bookworm main` is one"));
    }
    if params.text("filename").is_some_and(str::is_empty) {
        complaints.push(Diagnostic::new("`filename` is empty", params.place("filename")));
    }
    if let Some(number) = params.int("update_cache_retries").filter(|number| *number < 1) {
        let why = format!("`update_cache_retries` is {number}, and no less than 1 is expected");
        complaints.push(Diagnostic::new(why, params.place("update_cache_retries")));
    }
    complaints
}

/// A line of a list that names a repository.
#[derive(Debug, PartialEq, Eq)]
struct Entry<'l> {
    is_enabled: bool,
    /// With single blanks.
    source: String,
    comment: &'l str,
}

impl<'l> Entry<'l> {
    fn read(line: &'l str) -> Option<Self> {
        let line = line.trim();
        let (is_enabled, rest) = match line.strip_prefix('#') {
            Some(rest) => (false, rest),
            None => (true, line),
        };
        let (source, comment) = rest.split_once('#').unwrap_or((rest, ""));
        let words: Vec<&str> = source.split_whitespace().collect();
        let is_one = words.first().is_some_and(|word| TYPES.contains(word));
        is_one.then(|| Self { is_enabled, source: words.join(" "), comment: comment.trim() })
    }

    fn line(&self) -> String {
        let off = if self.is_enabled { "" } else { "# " };
        let gap = if self.comment.is_empty() { "" } else { " # " };
        format!("{off}{}{gap}{}\n", self.source, self.comment)
    }
}

/// The repository that a parameter names.
fn wanted(repo: &str) -> Result<String, Failure> {
    let wrong = |why: &str| Failure::new(format!("Invalid repository string: {repo}: {why}"));
    if repo.trim().contains('\n') {
        return Err(wrong("it is more than one line"));
    }
    let entry = Entry::read(repo).filter(|entry| entry.is_enabled);
    let Some(entry) = entry else {
        return Err(wrong("it begins with neither `deb` nor `deb-src`"));
    };
    match address(&entry.source) {
        Some(_) => Ok(entry.source),
        None => Err(wrong("there is no address in it")),
    }
}

/// The address of a repository, without its options.
fn address(source: &str) -> Option<&str> {
    let rest = source.split_once(' ')?.1.trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(options) => options.split_once(']')?.1,
        None => rest,
    };
    rest.split_whitespace().next()
}

/// The name for a file with this address: its words, without a user and a password.
fn file_name(address: &str) -> String {
    let address = address.split_once("://").map_or(address, |(_, rest)| rest);
    let address = address.split_once('@').map_or(address, |(_, rest)| rest);
    let words = address.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_")
}

struct Repository {
    params: Params,
}

/// The texts of lists, by their paths.
type Lists = BTreeMap<PathBuf, String>;

impl Task for Repository {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let repo = params.text("repo").unwrap_or_default();
        let (source, name) = match repo.strip_prefix(PPA) {
            Some(ppa) => self.ppa(machine, ppa)?,
            None => {
                let source = wanted(repo)?;
                let name = file_name(address(&source).unwrap_or_default());
                (source, name)
            }
        };
        let is_absent = params.text("state") == Some("absent");
        let before = lists(machine)?;
        let mut after = before.clone();
        let mut new = None;
        if is_absent {
            after.retain(|_, text| {
                let rest = without(text, &source);
                let is_used_up = rest.is_empty() && !text.is_empty();
                *text = rest;
                !is_used_up
            });
        } else if !enable(&mut after, &source) {
            if repo.starts_with(PPA) {
                return Err(no_key(&source));
            }
            let name = params.text("filename").map_or(name, str::to_owned);
            let path = Path::new(LISTS).join(format!("{name}.list"));
            let text = after.entry(path.clone()).or_default();
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&format!("{source}\n"));
            new = Some(path);
        }
        let from = machine.journal().len();
        for path in before.keys().filter(|path| !after.contains_key(*path)) {
            machine.remove(path)?;
        }
        for (path, text) in after.iter().filter(|(path, text)| before.get(*path) != Some(text)) {
            if let Some(parent) = path.parent() {
                machine.mkdir(parent, &Attributes::default())?;
            }
            let mode = params.mode("mode").filter(|_| new.as_ref() == Some(path));
            let attributes = Attributes { mode, ..Attributes::default() };
            // As apt itself, which takes a link for what it leads to.
            let options = WriteOptions { follow: true, ..WriteOptions::default() };
            machine.write_file(path, &Bytes::from(text.clone()), &attributes, &options)?;
        }
        if before != after
            && params.flag("update_cache", true)
            && let Err(failure) = apt::fetch_lists(machine, params, cx.environment)
        {
            let stays = machine.undo(from);
            let left: Vec<&str> = stays.iter().map(|fault| fault.message.as_str()).collect();
            let hint = match left.is_empty() {
                true => "the lists of repositories are as they were before".to_owned(),
                false => format!("not all could be taken back: {}", left.join("; ")),
            };
            return Err(Failure { hint: Some(hint), ..failure });
        }
        let only = |these: &Lists, others: &Lists| -> Value {
            let paths = these.keys().filter(|path| !others.contains_key(*path));
            paths.map(|path| Value::from(path.display().to_string())).collect()
        };
        Ok(Outcome::default()
            .with("repo", repo)
            .with("state", if is_absent { "absent" } else { "present" })
            .with("sources_added", only(&after, &before))
            .with("sources_removed", only(&before, &after)))
    }
}

impl Repository {
    /// The line that `ppa:` stands for, and the name of its file.
    fn ppa(&self, machine: &Machine, ppa: &str) -> Result<(String, String), Failure> {
        let (owner, name) = ppa.split_once('/').unwrap_or((ppa, "ppa"));
        let is_word = |word: &str| {
            let is_sign = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
            !word.is_empty() && word.chars().all(is_sign)
        };
        if !is_word(owner) || !is_word(name) {
            let why = format!("Invalid repository string: `{PPA}{ppa}` is not `ppa:OWNER/NAME`");
            return Err(Failure::new(why));
        }
        let codename = match self.params.text("codename") {
            Some(codename) => codename.to_owned(),
            None => codename(machine)?,
        };
        let address = format!("https://ppa.launchpadcontent.net/{owner}/{name}/ubuntu");
        let source = format!("deb {address} {codename} main");
        Ok((source, file_name(&format!("{PPA}{ppa}_{codename}"))))
    }
}

/// A key of Launchpad's would have to be believed because a server names it.
fn no_key(source: &str) -> Failure {
    let why = "a `ppa:` is added only with its key, which this task does not fetch";
    let hint = format!(
        "let `get_url` fetch the key to /etc/apt/keyrings/NAME.asc, with its `checksum`, and use \
         `repo: {}`",
        source.replacen("deb ", "deb [signed-by=/etc/apt/keyrings/NAME.asc] ", 1)
    );
    Failure { hint: Some(hint), ..Failure::new(why) }
}

/// What the release of this host is called.
fn codename(machine: &Machine) -> Result<String, Failure> {
    let path = Path::new("/etc/os-release");
    let bytes = machine.read(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let found = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let name = found.map(|name| name.trim_matches('"').to_owned()).filter(|name| !name.is_empty());
    name.ok_or_else(|| {
        let hint = Some("say it with `codename`".to_owned());
        Failure { hint, ..Failure::new("/etc/os-release does not name this host's release") }
    })
}

/// All lists that apt reads.
fn lists(machine: &Machine) -> Result<Lists, Failure> {
    let mut paths = vec![PathBuf::from(LIST)];
    let directory = Path::new(LISTS);
    if machine.stat(directory, Follow::Yes)?.is_some() {
        let names = machine.list(directory)?.into_iter();
        let names = names.filter(|name| Path::new(name).extension() == Some(OsStr::new("list")));
        paths.extend(names.map(|name| directory.join(name)));
    }
    let mut lists = Lists::new();
    for path in paths {
        if machine.stat(&path, Follow::Yes)?.is_some() {
            let text = String::from_utf8(machine.read(&path)?.to_vec());
            let text =
                text.map_err(|_| Failure::new(format!("{} is no UTF-8 text", path.display())))?;
            lists.insert(path, text);
        }
    }
    Ok(lists)
}

/// Makes the lines count that name the repository; whether there are any.
fn enable(lists: &mut Lists, source: &str) -> bool {
    let mut is_found = false;
    for text in lists.values_mut() {
        let mut lines = String::new();
        for line in text.split_inclusive('\n') {
            let entry = Entry::read(line).filter(|entry| entry.source == source);
            is_found |= entry.is_some();
            match entry.filter(|entry| !entry.is_enabled) {
                Some(entry) => lines.push_str(&Entry { is_enabled: true, ..entry }.line()),
                None => lines.push_str(line),
            }
        }
        *text = lines;
    }
    is_found
}

/// A list without the lines that name the repository; those that do not count stay.
fn without(text: &str, source: &str) -> String {
    let names = |line: &&str| {
        Entry::read(line).is_some_and(|entry| entry.is_enabled && entry.source == source)
    };
    text.split_inclusive('\n').filter(|line| !names(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart_and_put_together_again() {
        let entry = |line| Entry::read(line).map(|entry| entry.line());
        assert_eq!(entry(" deb   http://a  b c"), Some("deb http://a b c\n".into()));
        assert_eq!(entry("#deb http://a b c# x "), Some("# deb http://a b c # x\n".into()));
        assert_eq!(entry("# the deb of old"), None);
        assert_eq!(entry("debian"), None);
    }

    #[test]
    fn a_file_is_called_after_the_address() {
        let named = |repo| file_name(address(&wanted(repo).unwrap()).unwrap());
        assert_eq!(named("deb http://a.example.org:80/x-y/ s main"), "a_example_org_80_x_y");
        assert_eq!(named("deb [arch=amd64 signed-by=/k] https://u:p@h/d s m"), "h_d");
        for wrong in
            ["", "deb", "deb [trusted=yes]", "ftp://x y", "# deb http://a b", "deb a\ndeb b"]
        {
            assert!(wanted(wrong).is_err(), "{wrong}");
        }
    }
}
