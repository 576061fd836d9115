//! `gem`: packages of Ruby.

use super::managers::{self, Installed, Manager, State};
use super::{Failure, Module, Outcome, Task, TaskContext};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::command::Command;
use crate::host::machine::path::Follow;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use crate::sinks::apply::words::{Quotes, split};
use std::path::PathBuf;

pub(super) static MODULE: Module = Module {
    name: "gem",
    summary: "Makes sure that a package of Ruby is installed, or not.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("name", Kind::Text).required().says("The package."),
        Param::new("version", Kind::Text).says(
            "Its version: `1.2.3`. A comparison, such as `~> 1.2`, is left to gem each time.",
        ),
        Param::new("state", Kind::OneOf(&["absent", "latest", "present"])).says(
            "What becomes of it: `present`, where not given, `latest`, or `absent`: that version, \
                 or all of them.",
        ),
        Param::new("gem_source", Kind::Path).says("The file of the package, on the host."),
        Param::new("repository", Kind::Text).or(&["source"]).says("Where packages come from."),
        Param::new("executable", Kind::Path).says("The program; `gem` where not given."),
        Param::new("user_install", Kind::Bool).says(
            "Install for the user that this runs as, and not for the host; true where neither \
                 this nor `install_dir` is given.",
        ),
        Param::new("install_dir", Kind::Path).says("Install into this directory."),
        Param::new("bindir", Kind::Path).says("Where programs of the package go."),
        Param::new("include_dependencies", Kind::Bool)
            .says("Whether what it needs is installed too; true where not given."),
        Param::new("pre_release", Kind::Bool).says("Take versions that are not released yet."),
        Param::new("include_doc", Kind::Bool).says("Install what explains it too."),
        Param::new("env_shebang", Kind::Bool)
            .says("Have its programs find Ruby with `/usr/bin/env`."),
        Param::new("norc", Kind::Bool)
            .says("Leave the files `.gemrc` alone; true where not given."),
        Param::new("build_flags", Kind::CommandLine)
            .says("Arguments for building what is not Ruby."),
        Param::new("force", Kind::Bool)
            .says("Install although something is missing; with `absent`, remove what others need."),
    ]),
    check,
    build: |params| Box::new(Gem { params, environment: Vec::new(), places: Vec::new() }),
};

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = Vec::new();
    if params.flag("user_install", false) && params.has("install_dir") {
        let why = "`user_install` and `install_dir` both say where packages go";
        complaints.push(Diagnostic::new(why, params.place("user_install")));
    }
    if params.has("gem_source") && params.text("state") == Some("latest") {
        let why = "`gem_source` is one version, and `state: latest` looks for others";
        complaints.push(Diagnostic::new(why, params.place("gem_source")));
    }
    complaints
}

/// Any text in place of the name of a specification.
#[cfg(any(test, fuzzing))]
pub(super) fn hostile(text: &str) {
    if let Some((name, version)) = parts(text) {
        assert_eq!(format!("{name}-{version}"), text);
    }
}

struct Gem {
    params: Params,
    environment: Vec<(String, String)>,
    /// Directories that packages are in, the one that they go to among them.
    places: Vec<PathBuf>,
}

impl Task for Gem {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let mut gem = Self {
            params: self.params.clone(),
            environment: cx.environment.to_vec(),
            places: Vec::new(),
        };
        gem.places = gem.find_places(machine)?;
        let outcome = gem.work(machine)?;
        let params = &gem.params;
        let mut outcome = outcome
            .with("name", params.text("name"))
            .with("state", params.text("state").unwrap_or("present"))
            .with("include_dependencies", params.flag("include_dependencies", true));
        for name in ["gem_source", "version"] {
            if let Some(value) = params.text(name) {
                outcome = outcome.with(name, value);
            }
        }
        Ok(outcome)
    }
}

impl Gem {
    fn work(&self, machine: &mut Machine) -> Result<Outcome, Failure> {
        let params = &self.params;
        let state = State::of(params);
        let name = params.text("name").unwrap_or_default().to_owned();
        let is_known = params.text("version").is_none_or(is_version);
        let is_there = match machine.foretold_property(&self.called(&name), managers::VERSION) {
            Some(foretold) => foretold.is_some(),
            None => self.has(machine, &self.of_name(machine, Some(&name))?, &name)?,
        };
        match state {
            State::Present if is_known && is_there => return Ok(Outcome::default()),
            State::Absent if is_known && !is_there => return Ok(Outcome::default()),
            _ => {}
        }
        let verb = if state == State::Absent { "uninstall" } else { "install" };
        let named: &[String] = match state {
            State::Latest if is_there => &[],
            _ if is_known => std::slice::from_ref(&name),
            _ => &[],
        };
        let asked = match params.text("gem_source").filter(|_| state != State::Absent) {
            Some(file) => file.to_owned(),
            None => name.clone(),
        };
        let mut command = self.command(&[verb], &[asked]);
        if state != State::Absent
            && let Some(flags) = params.text("build_flags")
        {
            let unended =
                |quote| Failure::new(format!("`build_flags` has a {quote} without an end"));
            command.argv.push("--".to_owned());
            command.argv.extend(split(flags, Quotes::Resolve).map_err(unended)?);
        }
        managers::transact(self, machine, &command, named, state)
    }

    fn program(&self) -> String {
        self.params.text("executable").unwrap_or("gem").to_owned()
    }

    /// Where packages are: what `gem` itself tells, or the one directory that the task names.
    fn find_places(&self, machine: &Machine) -> Result<Vec<PathBuf>, Failure> {
        if let Some(path) = self.params.path("install_dir") {
            return Ok(vec![path]);
        }
        let argv = vec![self.program(), "environment".to_owned(), "gempath".to_owned()];
        let environment = self.environment.clone();
        let command = Command { argv, environment, ..Command::default() };
        let output = machine.query(&command)?;
        if !output.is_success() {
            return Err(managers::complaint(&command, &output));
        }
        let said = String::from_utf8_lossy(&output.stdout);
        Ok(said.trim().split(':').map(PathBuf::from).collect())
    }

    /// The packages there are, or those of one name: a file `NAME-VERSION.gemspec` for each.
    fn of_name(&self, machine: &Machine, name: Option<&str>) -> Result<Installed, Failure> {
        let mut installed = Installed::new();
        let below = |place: &PathBuf| {
            let specifications = place.join("specifications");
            [specifications.join("default"), specifications]
        };
        for directory in self.places.iter().flat_map(below) {
            if machine.stat(&directory, Follow::Yes)?.is_none() {
                continue;
            }
            for file in machine.list(&directory)? {
                let file = file.to_string_lossy();
                let Some((found, version)) = file.strip_suffix(".gemspec").and_then(parts) else {
                    continue;
                };
                if name.is_none_or(|name| name == found) {
                    installed.entry(found.to_owned()).or_default().insert(version.to_owned());
                }
            }
        }
        Ok(installed)
    }
}

impl Manager for Gem {
    fn database(&self) -> PathBuf {
        self.places.first().map(|place| place.join("specifications")).unwrap_or_default()
    }

    fn installed(&self, machine: &Machine) -> Result<Installed, Failure> {
        self.of_name(machine, None)
    }

    fn has(&self, _: &Machine, installed: &Installed, name: &str) -> Result<bool, Failure> {
        let Some(versions) = installed.get(name) else { return Ok(false) };
        let Some(wanted) = self.params.text("version") else { return Ok(true) };
        // Of a package for one kind of machine the kind stands behind the version.
        let is_it = |there: &String| {
            there.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        Ok(versions.iter().any(is_it))
    }

    fn called(&self, name: &str) -> String {
        match self.params.text("install_dir") {
            Some(path) => format!("gem {name} in {path}"),
            None => format!("gem {name}"),
        }
    }

    fn command(&self, words: &[&str], names: &[String]) -> Command {
        let params = &self.params;
        let mut argv = vec![self.program()];
        argv.extend(words.iter().map(|word| (*word).to_owned()));
        if params.flag("norc", true) {
            argv.push("--norc".to_owned());
        }
        let is_installed = words != ["uninstall"];
        let mut add = |option: &str| argv.push(option.to_owned());
        if is_installed {
            if !params.flag("include_dependencies", true) {
                add("--ignore-dependencies");
            }
            if !params.has("install_dir") {
                let is_own = params.flag("user_install", true);
                add(if is_own { "--user-install" } else { "--no-user-install" });
            }
            if !params.flag("include_doc", false) {
                add("--no-document");
            }
            let of_install = [
                ("pre_release", "--prerelease"),
                ("env_shebang", "--env-shebang"),
                ("force", "--force"),
            ];
            managers::options(params, &of_install).iter().for_each(|option| add(option));
            if let Some(repository) = params.text("repository") {
                add("--source");
                add(repository);
            }
        } else {
            // Nobody is asked which versions go, and whether programs go with them.
            add("--executables");
            if !params.has("version") {
                add("--all");
            }
            if params.flag("force", false) {
                add("--force");
            }
        }
        for (name, option) in
            [("install_dir", "--install-dir"), ("bindir", "--bindir"), ("version", "--version")]
        {
            if let Some(value) =
                params.text(name).filter(|_| !params.has("gem_source") || name != "version")
            {
                add(option);
                add(value);
            }
        }
        argv.extend(names.iter().cloned());
        let mut environment = self.environment.clone();
        if let Some(path) = params.text("install_dir") {
            // Only there does `gem uninstall` look.
            environment.push(("GEM_HOME".to_owned(), path.to_owned()));
        }
        Command { argv, environment, ..Command::default() }
    }
}

/// Name and version of `NAME-VERSION` and `NAME-VERSION-PLATFORM`: the version is what begins with
/// a digit behind the first hyphen that such a thing follows.
fn parts(file: &str) -> Option<(&str, &str)> {
    let at = file.match_indices('-').map(|(at, _)| at);
    let at = at.into_iter().find(|at| {
        let rest = &file[at + 1..];
        let number = rest.split(['.', '-']).next().unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })?;
    Some((&file[..at], &file[at + 1..]))
}

/// Whether this is one version, and no comparison.
fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_specification_holds_a_name_a_version_and_a_kind_of_machine() {
        for (file, expected) in [
            ("rake-13.0.6", Some(("rake", "13.0.6"))),
            ("net-http-0.2.0", Some(("net-http", "0.2.0"))),
            ("nokogiri-1.13.10-x86_64-linux", Some(("nokogiri", "1.13.10-x86_64-linux"))),
            ("a-1b-2", Some(("a-1b", "2"))),
            ("none", None),
        ] {
            assert_eq!(parts(file), expected, "{file}");
        }
        assert!(is_version("1.2.3.rc1") && !is_version("~> 1.2") && !is_version(">= 1"));
    }
}
