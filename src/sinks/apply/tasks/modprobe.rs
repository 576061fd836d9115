//! `modprobe`: whether a module of the kernel is loaded, now and after each start.

use super::{Failure, Module, Outcome, Task, TaskContext, system};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::command::Command;
use crate::host::machine::path::Follow;
use crate::host::machine::state::Transition;
use crate::host::machine::write::Attributes;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use crate::sinks::apply::words::{Quotes, split};
use std::path::{Path, PathBuf};

pub(super) static MODULE: Module = Module {
    name: "modprobe",
    summary: "Makes sure that a module of the kernel is loaded, or not. Tried against a stand-in for \
              `modprobe` alone.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("name", Kind::Text).required().says("The module."),
        Param::new("state", Kind::OneOf(&["absent", "present"]))
            .says("Whether it is loaded; `present` where not given."),
        Param::new("params", Kind::Text)
            .says("What it is loaded with, such as `numdummies=2`. One that is loaded stays as it is."),
        Param::new("persistent", Kind::OneOf(&["absent", "disabled", "present"])).says(
            "Whether files in `/etc/modules-load.d` and `/etc/modprobe.d` have it loaded at each \
             start, with `params`. They are left alone where not given (`disabled`); with `absent`, \
             their lines become comments.",
        ),
    ]),
    check,
    build: |params| Box::new(Modprobe { params }),
};

const LOADED: &str = "loaded";
const NOT_LOADED: &str = "not loaded";

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = Vec::new();
    let mut complain =
        |name: &str, why: String| complaints.push(Diagnostic::new(why, params.place(name)));
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if let Some(name) = params.text("name").filter(|name| !name.contains("{{"))
        && (name.is_empty() || name.starts_with(['-', '.']) || !name.bytes().all(is_letter))
    {
        complain("name", format!("`{name}` is no name of a module, such as `br_netfilter`"));
    }
    if let Some(text) = params.text("params") {
        if text.contains('\n') {
            complain("params", "`params` is one line".into());
        } else if let Err(quote) = split(text, Quotes::Resolve) {
            complain("params", format!("a {quote} in `params` is not closed"));
        }
    }
    complaints
}

struct Modprobe {
    params: Params,
}

impl Task for Modprobe {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let name = params.text("name").unwrap_or_default();
        let state = params.text("state").unwrap_or("present");
        let words = params.text("params").unwrap_or_default();
        load(machine, name, words, state == "present")?;
        match params.text("persistent") {
            Some("present") => {
                name_it(machine, name)?;
                set_options(machine, name, words)?;
            }
            Some("absent") => {
                for path in files(machine, LOAD)? {
                    edit(machine, &path, |line| names(line, name).then(|| format!("#{line}")))?;
                }
                drop_options(machine, name)?;
            }
            _ => {}
        }
        let outcome = Outcome::default().with("name", name).with("params", words);
        Ok(outcome.with("state", state))
    }
}

/// Names of modules are the same with `-` and with `_`.
fn plain(name: &str) -> String {
    name.replace('-', "_")
}

/// Has the kernel have the module, or not.
fn load(machine: &mut Machine, name: &str, words: &str, is_wanted: bool) -> Result<(), Failure> {
    let of = format!("kernel module {}", plain(name));
    let is_loaded = match machine.foretold_state(&of) {
        Some(foretold) => foretold == LOADED,
        None => is_loaded(machine, name)?,
    };
    if is_loaded == is_wanted {
        return Ok(());
    }
    if !is_loaded && is_built_in(machine, name)? {
        return Ok(());
    }
    let words = split(words, Quotes::Resolve).unwrap_or_default();
    let insert: Vec<String> =
        ["modprobe", name].map(str::to_owned).into_iter().chain(words).collect();
    let remove = system::argv(&["modprobe", "-r", name]);
    if is_wanted {
        // Whether there is such a module, before a dry run says that it would be loaded.
        let mut argv = insert.clone();
        argv.insert(1, "-n".into());
        let output = machine.query(&Command { argv, ..Command::default() })?;
        if !output.is_success() && !machine.foretells_below(Path::new("/lib/modules")) {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Failure::new(format!("the module `{name}` cannot be loaded: {said}")));
        }
    }
    let [before, after] = if is_wanted { [NOT_LOADED, LOADED] } else { [LOADED, NOT_LOADED] };
    let (argv, back) = if is_wanted { (insert, remove) } else { (remove, insert) };
    Ok(machine.transition(&Transition {
        of,
        before: before.into(),
        after: after.into(),
        argv,
        back: Some(back),
    })?)
}

fn is_loaded(machine: &Machine, name: &str) -> Result<bool, Failure> {
    let path = Path::new("/proc/modules");
    // A kernel without modules has no such file.
    let list = system::read(machine, path)?.unwrap_or_default();
    let name = plain(name);
    Ok(list.lines().filter_map(|line| line.split(' ').next()).any(|loaded| loaded == name))
}

/// Whether the kernel has the module in itself, so that it is there whatever is loaded.
fn is_built_in(machine: &Machine, name: &str) -> Result<bool, Failure> {
    let release = system::read(machine, Path::new("/proc/sys/kernel/osrelease"))?;
    let path = Path::new("/lib/modules").join(release.unwrap_or_default().trim());
    let list = system::read(machine, &path.join("modules.builtin"))?.unwrap_or_default();
    let file = |line: &str| {
        let file = line.rsplit('/').next().unwrap_or_default();
        plain(file.strip_suffix(".ko").unwrap_or(file))
    };
    Ok(list.lines().any(|line| file(line) == plain(name)))
}

const LOAD: &str = "/etc/modules-load.d";
const OPTIONS: &str = "/etc/modprobe.d";

/// The files of a directory that count.
fn files(machine: &Machine, directory: &str) -> Result<Vec<PathBuf>, Failure> {
    let directory = Path::new(directory);
    if machine.stat(directory, Follow::Yes)?.is_none() {
        return Ok(Vec::new());
    }
    let paths = machine.list(directory)?.into_iter().map(|name| directory.join(name));
    Ok(paths.filter(|path| path.extension().is_some_and(|ending| ending == "conf")).collect())
}

/// Puts other lines in the place of those of a file for which `to` has one.
fn edit(
    machine: &mut Machine,
    path: &Path,
    to: impl Fn(&str) -> Option<String>,
) -> Result<(), Failure> {
    let old = system::read(machine, path)?.unwrap_or_default();
    if old.lines().any(|line| to(line).is_some()) {
        let lines = old.lines().map(|line| to(line).unwrap_or_else(|| line.to_owned()));
        system::write(machine, path, system::join(&lines.collect::<Vec<_>>()), false)?;
    }
    Ok(())
}

/// A line without its comment.
fn bare(line: &str) -> &str {
    line.split(['#', ';']).next().unwrap_or_default().trim()
}

/// Whether a line in `/etc/modules-load.d` has the module loaded.
fn names(line: &str, name: &str) -> bool {
    plain(bare(line)) == plain(name)
}

/// What a line in `/etc/modprobe.d` has the module loaded with.
fn options<'l>(line: &'l str, name: &str) -> Vec<&'l str> {
    let mut words = bare(line).split_whitespace();
    let is_it = words.next() == Some("options")
        && words.next().is_some_and(|word| plain(word) == plain(name));
    if is_it { words.collect() } else { Vec::new() }
}

/// Has the module loaded at each start.
fn name_it(machine: &mut Machine, name: &str) -> Result<(), Failure> {
    for path in files(machine, LOAD)? {
        let text = system::read(machine, &path)?.unwrap_or_default();
        if text.lines().any(|line| names(line, name)) {
            return Ok(());
        }
    }
    add(machine, LOAD, name, &[name.to_owned()])
}

/// Adds lines to the module's own file in a directory.
fn add(
    machine: &mut Machine,
    directory: &str,
    name: &str,
    lines: &[String],
) -> Result<(), Failure> {
    machine.mkdir(Path::new(directory), &Attributes::default())?;
    let path = Path::new(directory).join(format!("{name}.conf"));
    let mut text = system::read(machine, &path)?.unwrap_or_default();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    system::write(machine, &path, text + &system::join(lines), false)?;
    Ok(())
}

/// Has the module loaded with these parameters, and no others.
fn set_options(machine: &mut Machine, name: &str, words: &str) -> Result<(), Failure> {
    let mut now = Vec::new();
    for path in files(machine, OPTIONS)? {
        let text = system::read(machine, &path)?.unwrap_or_default();
        now.extend(text.lines().flat_map(|line| options(line, name)).map(str::to_owned));
    }
    let mut wanted: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
    let lines: Vec<String> = wanted.iter().map(|word| format!("options {name} {word}")).collect();
    now.sort();
    wanted.sort();
    if now == wanted {
        return Ok(());
    }
    drop_options(machine, name)?;
    if lines.is_empty() { Ok(()) } else { add(machine, OPTIONS, name, &lines) }
}

fn drop_options(machine: &mut Machine, name: &str) -> Result<(), Failure> {
    for path in files(machine, OPTIONS)? {
        let comment = |line: &str| (!options(line, name).is_empty()).then(|| format!("#{line}"));
        edit(machine, &path, comment)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_about_a_module_are_told_from_others() {
        assert!(names(" br_netfilter # bridges", "br-netfilter"));
        assert!(!names("#br_netfilter", "br_netfilter") && !names("br_netfilter2", "br_netfilter"));
        assert_eq!(options("options dummy a=1  b=2 # c", "dummy"), ["a=1", "b=2"]);
        assert!(options("#options dummy a=1", "dummy").is_empty());
        assert!(options("options dummy2 a=1", "dummy").is_empty());
    }
}
