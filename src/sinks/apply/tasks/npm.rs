//! `npm`: packages of Node.js.

use super::copy::make_directories;
use super::managers::{self, Installed, Manager, State};
use super::{Failure, Module, Outcome, Task, TaskContext};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::command::Command;
use crate::host::machine::path::Follow;
use crate::host::machine::write::Attributes;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use std::path::{Path, PathBuf};

pub(super) static MODULE: Module = Module {
    name: "npm",
    summary: "Makes sure that packages of Node.js are installed, or not.",
    acts_unless: None,
    spec: Spec {
        not_yet: &[&["unsafe_perm"]],
        one_of: &[&["global", "path"]],
        ..Spec::new(&[
            Param::new("name", Kind::Text).says(
                "The package; where not given all that `package.json` in `path` names. An address, a \
                 file or a directory is left to npm each time.",
            ),
            Param::new("version", Kind::Text)
                .says("Its version. A range or a tag is left to npm each time."),
            Param::new("path", Kind::Path).says("The directory with `package.json` and `node_modules`."),
            Param::new("global", Kind::Bool).says("Install for the whole host."),
            Param::new("state", Kind::OneOf(&["absent", "latest", "present"])).says(
                "What becomes of it: `present`, where not given, `latest` (as far as `package.json` \
                 allows), or `absent`.",
            ),
            Param::new("executable", Kind::Path).says("The program; `npm` where not given."),
            Param::new("ci", Kind::Bool).says(
                "Install exactly what `package-lock.json` names, with `npm ci`, which makes \
                 `node_modules` anew each time.",
            ),
            Param::new("production", Kind::Bool).says("Leave out what only development needs."),
            Param::new("no_optional", Kind::Bool).says("Leave out what is optional."),
            Param::new("no_bin_links", Kind::Bool).says("Make no links to programs of packages."),
            Param::new("ignore_scripts", Kind::Bool).says("Run no scripts of packages."),
            Param::new("registry", Kind::Text).says("Where packages come from."),
            Param::new("force", Kind::Bool).says("Pass over what npm objects to."),
        ])
    },
    check,
    build: |params| {
        Box::new(Npm { params, environment: Vec::new(), modules: PathBuf::new() })
    },
};

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = Vec::new();
    let mut complain = |name: &str, why: &str| {
        complaints.push(Diagnostic::new(why, params.place(name)));
    };
    if !params.has("name") {
        if params.text("state") == Some("absent") {
            complain("state", "`state: absent` needs the `name` of a package");
        }
        if params.has("version") {
            complain("version", "`version` needs the `name` of a package");
        }
        if !params.has("path") && params.flag("global", false) {
            complain("global", "`global` needs the `name` of a package");
        }
    }
    if !params.flag("global", false) && params.has("global") && !params.has("path") {
        complain("global", "packages that are not `global` need a `path`");
    }
    complaints
}

struct Npm {
    params: Params,
    environment: Vec<(String, String)>,
    /// The directory `node_modules`.
    modules: PathBuf,
}

impl Task for Npm {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let mut npm = Self {
            params: self.params.clone(),
            environment: cx.environment.to_vec(),
            modules: PathBuf::new(),
        };
        npm.modules = npm.find_modules(machine)?;
        npm.work(machine)
    }
}

impl Npm {
    fn work(&self, machine: &mut Machine) -> Result<Outcome, Failure> {
        let params = &self.params;
        let state = State::of(params);
        let name = params.text("name");
        let is_known = name.is_some_and(is_name) && params.text("version").is_none_or(is_version);
        let is_there = match name {
            Some(name) if is_known => self.is_there(machine, name)?,
            Some(_) => false,
            None => !params.flag("ci", false) && self.has_all(machine)?,
        };
        match state {
            State::Present if is_there => return Ok(Outcome::default()),
            State::Absent if is_known && !is_there => return Ok(Outcome::default()),
            _ => {}
        }
        if state != State::Absent
            && let Some(path) = self.directory()
        {
            make_directories(machine, &path, &Attributes::default())?;
        }
        let verb = match state {
            State::Absent => "uninstall",
            State::Latest if is_there => "update",
            _ if name.is_none() && params.flag("ci", false) => "ci",
            _ => "install",
        };
        let asked: Vec<String> = name.map(|name| self.asked(name, verb)).into_iter().collect();
        let is_sure = is_known && !(state == State::Latest && is_there);
        let named: Vec<String> = name.filter(|_| is_sure).map(str::to_owned).into_iter().collect();
        let command = self.command(&[verb], &asked);
        managers::transact(self, machine, &command, &named, state)
    }

    /// What npm is told of the package that a task names.
    fn asked(&self, name: &str, verb: &str) -> String {
        match self.params.text("version").filter(|_| verb == "install") {
            Some(version) => format!("{name}@{version}"),
            None => name.to_owned(),
        }
    }

    /// Where npm works; `None` for the whole host.
    fn directory(&self) -> Option<PathBuf> {
        self.params.path("path").filter(|_| !self.params.flag("global", false))
    }

    fn find_modules(&self, machine: &Machine) -> Result<PathBuf, Failure> {
        if let Some(path) = self.directory() {
            return Ok(path.join("node_modules"));
        }
        let command = self.command(&["root"], &[]);
        let output = machine.query(&command)?;
        if !output.is_success() {
            return Err(managers::complaint(&command, &output));
        }
        Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
    }

    fn is_there(&self, machine: &Machine, name: &str) -> Result<bool, Failure> {
        let version = match machine.foretold_property(&self.called(name), managers::VERSION) {
            // Which version a dry run does not know where the task names none.
            Some(foretold) => return Ok(foretold.is_some()),
            None => self.version(machine, name)?,
        };
        let wanted =
            self.params.text("version").filter(|_| State::of(&self.params) != State::Absent);
        Ok(version.is_some_and(|version| wanted.is_none_or(|wanted| wanted == version)))
    }

    /// The version of a package, as its own file has it.
    fn version(&self, machine: &Machine, name: &str) -> Result<Option<String>, Failure> {
        let path = self.modules.join(name).join("package.json");
        let Some(text) = managers::text(machine, &path)? else { return Ok(None) };
        let about: serde_json::Value = serde_json::from_str(&text)
            .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
        Ok(about["version"].as_str().map(str::to_owned))
    }

    /// Whether all is there that `package.json` names, which `npm ls` knows.
    fn has_all(&self, machine: &Machine) -> Result<bool, Failure> {
        let path = self.directory().unwrap_or_default();
        let is_file = |name: &str| machine.stat(&path.join(name), Follow::Yes);
        if is_file("package.json")?.is_none() {
            let why = format!("there is no package.json in {}", path.display());
            let hint = "`name` says which package it is about".to_owned();
            return Err(Failure { hint: Some(hint), ..Failure::new(why) });
        }
        if is_file("node_modules")?.is_none() {
            return Ok(false);
        }
        let command = self.command(&["ls", "--json", "--depth=0"], &[]);
        let output = machine.query(&command)?;
        let told: serde_json::Value = serde_json::from_slice(&output.stdout)
            .map_err(|_| managers::complaint(&command, &output))?;
        let all = told["dependencies"].as_object().into_iter().flatten();
        let lacks = |one: &serde_json::Value| {
            let is_optional = one["optional"] == true;
            (one["missing"] == true && !is_optional) || !one["invalid"].is_null()
        };
        Ok(!all.into_iter().any(|(_, one)| lacks(one)))
    }
}

impl Manager for Npm {
    fn database(&self) -> PathBuf {
        self.modules.clone()
    }

    fn installed(&self, machine: &Machine) -> Result<Installed, Failure> {
        let mut installed = Installed::new();
        if machine.stat(&self.modules, Follow::Yes)?.is_none() {
            return Ok(installed);
        }
        let list = |path: &Path| -> Result<Vec<String>, Failure> {
            let names = machine.list(path)?.into_iter();
            Ok(names.map(|name| name.to_string_lossy().into_owned()).collect())
        };
        let mut names = Vec::new();
        for name in list(&self.modules)?.into_iter().filter(|name| !name.starts_with('.')) {
            if name.starts_with('@') {
                let below = list(&self.modules.join(&name))?;
                names.extend(below.into_iter().map(|one| format!("{name}/{one}")));
            } else {
                names.push(name);
            }
        }
        for name in names {
            if let Some(version) = self.version(machine, &name)? {
                installed.entry(name).or_default().insert(version);
            }
        }
        Ok(installed)
    }

    fn has(&self, _: &Machine, installed: &Installed, name: &str) -> Result<bool, Failure> {
        Ok(installed.contains_key(name))
    }

    fn called(&self, name: &str) -> String {
        format!("npm package {name} in {}", self.modules.display())
    }

    fn command(&self, words: &[&str], names: &[String]) -> Command {
        let params = &self.params;
        let program = params.text("executable").unwrap_or("npm");
        let mut argv = vec![program.to_owned()];
        argv.extend(words.iter().map(|word| (*word).to_owned()));
        // Neither the look for weaknesses nor that for donations belongs to an installation.
        argv.extend(["--no-audit", "--no-fund", "--no-update-notifier"].map(str::to_owned));
        argv.extend(managers::options(
            params,
            &[
                ("global", "--global"),
                ("production", "--omit=dev"),
                ("no_optional", "--omit=optional"),
                ("no_bin_links", "--no-bin-links"),
                ("ignore_scripts", "--ignore-scripts"),
                ("force", "--force"),
            ],
        ));
        if let Some(registry) = params.text("registry") {
            argv.push(format!("--registry={registry}"));
        }
        if !names.is_empty() {
            argv.push("--".to_owned());
        }
        argv.extend(names.iter().cloned());
        let environment = self.environment.clone();
        Command { argv, environment, chdir: self.directory(), ..Command::default() }
    }
}

/// Whether this is the plain name of a package, with its scope or not.
fn is_name(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
    };
    match text.strip_prefix('@') {
        Some(scoped) => {
            scoped.split_once('/').is_some_and(|(scope, name)| is_part(scope) && is_part(name))
        }
        None => is_part(text) && !text.ends_with(".tgz"),
    }
}

/// Whether this is one version, and no range or tag.
fn is_version(text: &str) -> bool {
    let plain = text.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = plain.split('.').collect();
    let is_number =
        |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    numbers.len() == 3 && numbers.iter().all(is_number) && !text.contains(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions_are_told_from_what_only_npm_understands() {
        for name in ["left-pad", "@types/node", "a.b_c"] {
            assert!(is_name(name), "{name}");
        }
        for other in ["", "./a", "../a", "a/b", "@a", "https://e.org/a.tgz", "a.tgz", "a@1", "-g"] {
            assert!(!is_name(other) || other == "-g", "{other}");
        }
        assert!(is_version("1.2.3") && is_version("1.2.3-rc.1+b"));
        for other in ["^1.2.3", "1.2", "latest", "1.x.0", ">=1.0.0 <2.0.0", ""] {
            assert!(!is_version(other), "{other}");
        }
    }
}
