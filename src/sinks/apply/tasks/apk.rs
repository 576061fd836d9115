//! `apk`: packages of Alpine Linux.

use super::managers::{self, Installed, Manager, STATES, State};
use super::{Failure, Module, Outcome, Task, TaskContext, no_check};
use crate::host::machine::Machine;
use crate::host::machine::command::Command;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use std::path::{Path, PathBuf};

pub(super) static MODULE: Module = Module {
    name: "apk",
    summary: "Makes sure that packages of Alpine Linux are installed, or not. Tried against a stand-in \
              for `apk` alone, and files that it has written.",
    acts_unless: None,
    spec: Spec {
        exclusive: &[&["name", "upgrade"]],
        one_of: &[&["name", "update_cache", "upgrade"]],
        ..Spec::new(&[
            Param::new("name", Kind::Texts)
                .says("The packages: `NAME` or `NAME=VERSION`, as a list or with commas between."),
            Param::new("state", Kind::OneOf(STATES)).says(
                "What becomes of them: `present` (`installed`), where not given, `latest`, or \
                 `absent` (`removed`).",
            ),
            Param::new("update_cache", Kind::Bool).says("Fetch the lists of packages first."),
            Param::new("upgrade", Kind::Bool).says("Upgrade all packages."),
            Param::new("available", Kind::Bool)
                .says("While upgrading, take what is available for what is not any more."),
            Param::new("no_cache", Kind::Bool).says("Use no packages that were fetched before."),
            Param::new("repository", Kind::Texts)
                .says("Where packages come from, in place of the host's own repositories."),
            Param::new("world", Kind::Path)
                .says("The file of what was asked for; `/etc/apk/world` where not given."),
        ])
    },
    check: no_check,
    build: |params| Box::new(Apk { params, environment: Vec::new() }),
};

/// What is installed: a paragraph for each package, `P:` its name and `V:` its version.
const DATABASE: &str = "/lib/apk/db/installed";

struct Apk {
    params: Params,
    environment: Vec<(String, String)>,
}

impl Task for Apk {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let apk = &Self { params: params.clone(), environment: cx.environment.to_vec() };
        if params.flag("update_cache", false) {
            managers::refresh(machine, &apk.command(&["update"], &[]))?;
        }
        if params.flag("upgrade", false) {
            let available: &[&str] =
                if params.flag("available", false) { &["--available"] } else { &[] };
            let command = apk.command(&[&["upgrade"], available].concat(), &[]);
            return managers::transact(apk, machine, &command, &[], State::Latest);
        }
        let names = managers::names(params, "name");
        let state = State::of(params);
        let wanted = managers::to_change(apk, machine, &names, state)?;
        let (words, asked): (&[&str], &[String]) = match state {
            State::Latest => (&["add", "--upgrade"], &names),
            State::Present => (&["add"], &wanted),
            State::Absent => (&["del", "--purge"], &wanted),
        };
        if asked.is_empty() {
            return Ok(Outcome::default());
        }
        let command = apk.command(words, asked);
        managers::transact(apk, machine, &command, &wanted, state)
    }
}

impl Manager for Apk {
    fn database(&self) -> PathBuf {
        DATABASE.into()
    }

    fn installed(&self, machine: &Machine) -> Result<Installed, Failure> {
        let Some(text) = managers::text(machine, Path::new(DATABASE))? else {
            return Err(Failure::new(format!("there is no {DATABASE}, so that apk is not here")));
        };
        let mut installed = Installed::new();
        for paragraph in text.split("\n\n") {
            let field = |key: &str| paragraph.lines().find_map(|line| line.strip_prefix(key));
            if let (Some(name), Some(version)) = (field("P:"), field("V:")) {
                installed.entry(name.to_owned()).or_default().insert(version.to_owned());
            }
        }
        Ok(installed)
    }

    /// What is to be there must have been asked for: what came with another may go with it. What is
    /// to go must not be there at all.
    fn has(&self, machine: &Machine, installed: &Installed, name: &str) -> Result<bool, Failure> {
        let bare = name.split(['=', '<', '>', '~', '@']).next().unwrap_or_default();
        if State::of(&self.params) == State::Absent {
            return Ok(installed.contains_key(bare));
        }
        let world = self.params.path("world").unwrap_or_else(|| "/etc/apk/world".into());
        let world = managers::text(machine, &world)?.unwrap_or_default();
        let is_it = |word: &str| {
            word == name || word.strip_prefix(name).is_some_and(|it| it.starts_with(SIGNS))
        };
        Ok(world.split_whitespace().any(is_it))
    }

    fn command(&self, words: &[&str], names: &[String]) -> Command {
        let mut argv = vec!["apk".to_owned()];
        if self.params.flag("no_cache", false) {
            argv.push("--no-cache".to_owned());
        }
        for repository in self.params.texts("repository").unwrap_or_default() {
            argv.extend(["--repository".to_owned(), repository.clone()]);
        }
        if self.params.has("repository") {
            argv.extend(["--repositories-file", "/dev/null"].map(str::to_owned));
        }
        argv.extend(words.iter().map(|word| (*word).to_owned()).chain(names.iter().cloned()));
        Command { argv, environment: self.environment.clone(), ..Command::default() }
    }
}

/// What a name ends with, and a version or a repository begins with.
const SIGNS: [char; 5] = ['@', '=', '<', '>', '~'];
