//! `pacman`: packages of Arch Linux.

use super::managers::{self, Installed, Manager, STATES, State};
use super::{Failure, Module, Outcome, Task, TaskContext, no_check, system};
use crate::host::machine::Machine;
use crate::host::machine::command::Command;
use crate::host::machine::path::Follow;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use crate::sinks::apply::words::{Quotes, split};
use std::path::{Path, PathBuf};

pub(super) static MODULE: Module = Module {
    name: "pacman",
    summary: "Makes sure that packages of Arch Linux are installed, or not. Tried against a stand-in \
              for `pacman` alone, and a directory such as it makes.",
    acts_unless: None,
    spec: Spec {
        exclusive: &[&["name", "upgrade"]],
        one_of: &[&["name", "update_cache", "upgrade"]],
        not_yet: &[&["executable", "reason", "reason_for"]],
        ..Spec::new(&[
            Param::new("name", Kind::Texts).or(&["package", "pkg"]).says(
                "The packages, as a list or with commas between; groups, files and addresses are \
                 left to pacman each time.",
            ),
            Param::new("state", Kind::OneOf(STATES)).says(
                "What becomes of them: `present` (`installed`), where not given, `latest`, or \
                 `absent` (`removed`).",
            ),
            Param::new("update_cache", Kind::Bool).says("Fetch the lists of packages first."),
            Param::new("update_cache_extra_args", Kind::CommandLine)
                .says("More arguments for that."),
            Param::new("upgrade", Kind::Bool).says("Upgrade all packages."),
            Param::new("upgrade_extra_args", Kind::CommandLine).says("More arguments for that."),
            Param::new("extra_args", Kind::CommandLine)
                .says("More arguments for what is done with `name`."),
            Param::new("force", Kind::Bool).says(
                "With `absent`, remove what others need too; with `update_cache`, fetch lists that \
                 are new.",
            ),
            Param::new("remove_nosave", Kind::Bool)
                .says("With `absent`, keep no settings that were changed."),
        ])
    },
    check: no_check,
    build: |params| Box::new(Pacman { params, environment: Vec::new() }),
};

/// What is installed: a directory `NAME-VERSION-RELEASE` for each package.
const DATABASE: &str = "/var/lib/pacman/local";

struct Pacman {
    params: Params,
    environment: Vec<(String, String)>,
}

impl Task for Pacman {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let pacman = &Self { params: params.clone(), environment: cx.environment.to_vec() };
        let is_forced = params.flag("force", false);
        if params.flag("update_cache", false) {
            let mut words = vec!["--sync", "--refresh"];
            words.extend(is_forced.then_some("--refresh"));
            let extra = pacman.extra("update_cache_extra_args")?;
            managers::refresh(machine, &pacman.command(&words, &extra))?;
        }
        if params.flag("upgrade", false) {
            let words = ["--sync", "--sysupgrade", "--quiet", "--noconfirm"];
            let extra = pacman.extra("upgrade_extra_args")?;
            let command = pacman.command(&words, &extra);
            return managers::transact(pacman, machine, &command, &[], State::Latest);
        }
        let names = managers::names(params, "name");
        let state = State::of(params);
        let wanted = managers::to_change(pacman, machine, &names, state)?;
        let asked = if state == State::Latest { &names } else { &wanted };
        if asked.is_empty() {
            return Ok(Outcome::default());
        }
        let mut words = vec!["--noconfirm", "--noprogressbar"];
        if state == State::Absent {
            words.push("--remove");
            words.extend(is_forced.then_some(["--nodeps", "--nodeps"]).into_iter().flatten());
            words.extend(params.flag("remove_nosave", false).then_some("--nosave"));
        } else {
            words.extend(["--needed", "--sync"]);
        }
        let arguments = [pacman.extra("extra_args")?, asked.clone()].concat();
        let command = pacman.command(&words, &arguments);
        managers::transact(pacman, machine, &command, &wanted, state)
    }
}

impl Pacman {
    fn extra(&self, name: &str) -> Result<Vec<String>, Failure> {
        let text = self.params.text(name).unwrap_or_default();
        let unended = |quote| Failure::new(format!("`{name}` has a {quote} without an end"));
        split(text, Quotes::Resolve).map_err(unended)
    }
}

impl Manager for Pacman {
    fn database(&self) -> PathBuf {
        DATABASE.into()
    }

    fn installed(&self, machine: &Machine) -> Result<Installed, Failure> {
        let directory = Path::new(DATABASE);
        if machine.stat(directory, Follow::Yes)?.is_none() {
            let why = format!("there is no {DATABASE}, so that pacman is not here");
            return Err(Failure::new(why));
        }
        let mut installed = Installed::new();
        for entry in machine.list(directory)? {
            let entry = entry.to_string_lossy();
            let parts: Vec<&str> = entry.rsplitn(3, '-').collect();
            if let [release, version, name] = parts[..] {
                let version = format!("{version}-{release}");
                installed.entry(name.to_owned()).or_default().insert(version);
            }
        }
        Ok(installed)
    }

    fn has(&self, _: &Machine, installed: &Installed, name: &str) -> Result<bool, Failure> {
        Ok(installed.contains_key(name))
    }

    fn command(&self, words: &[&str], names: &[String]) -> Command {
        let words = ["pacman"].iter().chain(words).map(|word| (*word).to_owned());
        let argv = words.chain(names.iter().cloned()).collect();
        system::in_english(argv, &self.environment)
    }
}
