//! Where pip installs: an environment of its own, or the host's Python.

use super::super::{Failure, Outcome};
use super::{complaint, words};
use crate::host::machine::Machine;
use crate::host::machine::command::{Command, Ran};
use crate::host::machine::path::Follow;
use crate::host::packages::python::{Requirement, comparable, installed};
use crate::sinks::apply::params::Params;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The property that is which version of a package is installed.
const VERSION: &str = "version";
/// The property that its files are new.
const FILES: &str = "files";
/// The property that an environment is there.
const STATE: &str = "state";

/// Where packages go.
pub(super) struct Environment {
    /// Its directory; `None` is the host's Python.
    pub(super) path: Option<PathBuf>,
    /// Where programs run.
    pub(super) directory: PathBuf,
    /// How it is called in a plan.
    called: String,
    variables: Vec<(String, String)>,
    /// A dry run would make it.
    is_foretold: bool,
}

/// What came of making one.
pub(super) struct Made {
    is_foretold: bool,
}

impl Made {
    /// Of an environment that is not there yet nobody knows what it comes with.
    pub(super) fn told(&self, outcome: Outcome) -> Outcome {
        Outcome { unknown: self.is_foretold, ..outcome }
    }
}

/// Whether a command is Python's own module for environments.
pub(super) fn is_venv(command: &str) -> bool {
    let words: Vec<&str> = command.split_whitespace().collect();
    words.first() == Some(&"pyvenv")
        || words.windows(2).any(|pair| pair == ["-m", "venv"])
        || words.contains(&"-mvenv")
}

impl Environment {
    pub(super) fn of(params: &Params, given: &[(String, String)]) -> Result<Self, Failure> {
        let directory = params.path("chdir").unwrap_or_else(std::env::temp_dir);
        let path = params.path("virtualenv").map(|path| directory.join(path));
        let called = match (&path, params.text("executable")) {
            (Some(path), _) => path.display().to_string(),
            (None, Some(pip)) => pip.to_owned(),
            (None, None) => "python3".to_owned(),
        };
        let mut variables: Vec<(String, String)> =
            [("LC_ALL", "C.UTF-8"), ("PIP_NO_INPUT", "1"), ("PIP_DISABLE_PIP_VERSION_CHECK", "1")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
        if params.flag("break_system_packages", false) {
            variables.push(("PIP_BREAK_SYSTEM_PACKAGES".to_owned(), "1".to_owned()));
        }
        variables.extend(given.iter().cloned());
        if let Some(path) = &path {
            // What is installed may run what is installed already.
            let own = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned());
            let of_task = given.iter().rfind(|(name, _)| name == "PATH").map(|(_, path)| path);
            let rest = of_task.unwrap_or(&own);
            variables.push(("PATH".to_owned(), format!("{}/bin:{rest}", path.display())));
        }
        Ok(Self { path, directory, called, variables, is_foretold: false })
    }

    fn of_plan(&self) -> String {
        format!("environment {}", self.called)
    }

    /// Makes it where it is not there.
    pub(super) fn make(&mut self, machine: &mut Machine, params: &Params) -> Result<Made, Failure> {
        let Some(path) = self.path.clone() else { return Ok(Made { is_foretold: false }) };
        self.is_foretold = machine.foretold_property(&self.of_plan(), STATE).is_some();
        let script = path.join("bin/activate");
        if self.is_foretold || machine.stat(&script, Follow::Yes)?.is_some() {
            return Ok(Made { is_foretold: self.is_foretold });
        }
        let text = params.text("virtualenv_command").unwrap_or("virtualenv");
        let mut argv = words(text)?;
        if params.flag("virtualenv_site_packages", false) {
            argv.push("--system-site-packages".to_owned());
        }
        if let Some(python) = params.text("virtualenv_python") {
            argv.push(format!("-p{python}"));
        }
        argv.push(path.display().to_string());
        let ran = machine.run(&self.command(params, argv)).map_err(|fault| {
            let failure = Failure::from(fault);
            let hint = "`virtualenv_command: python3 -m venv` needs nothing beside Python";
            match failure.hint.is_none() && !params.has("virtualenv_command") {
                true => Failure { hint: Some(hint.to_owned()), ..failure },
                false => failure,
            }
        })?;
        match ran {
            Ran::Done(output) if !output.is_success() => {
                let failure = complaint(&output);
                return Err(Failure { message: format!("{text}: {}", failure.message), ..failure });
            }
            Ran::Done(_) => {}
            Ran::Unknown => self.is_foretold = true,
        }
        let sides = [None, Some("made".to_owned())];
        machine.note_property(&path, &self.of_plan(), STATE, sides)?;
        Ok(Made { is_foretold: self.is_foretold })
    }

    /// The program that pip is.
    pub(super) fn pip(&self, machine: &Machine, params: &Params) -> Result<Vec<String>, Failure> {
        let Some(path) = &self.path else {
            return Ok(match params.text("executable") {
                Some(pip) => vec![pip.to_owned()],
                None => ["python3", "-m", "pip"].map(str::to_owned).into(),
            });
        };
        let found = |name: &&&str| -> Result<bool, Failure> {
            Ok(machine.stat(&path.join("bin").join(name), Follow::Yes)?.is_some())
        };
        for name in &["pip3", "pip"] {
            if self.is_foretold || found(&name)? {
                return Ok(vec![path.join("bin").join(name).display().to_string()]);
            }
        }
        let path = path.display();
        Err(Failure::new(format!("Unable to find pip in the virtualenv, {path}")))
    }

    /// A program as the task has it run.
    pub(super) fn command(&self, params: &Params, argv: Vec<String>) -> Command {
        let argv = match params.text("umask") {
            Some(umask) => {
                // Only a shell sets it for a program.
                let script = format!("umask {umask} && exec \"$@\"");
                let shell = ["sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()];
                shell.into_iter().chain(argv).collect()
            }
            None => argv,
        };
        let (chdir, environment) = (Some(self.directory.clone()), self.variables.clone());
        Command { argv, chdir, environment, stdin: None }
    }

    /// What is installed: as the directory of the environment says, or where there may be more than
    /// one, as pip does.
    pub(super) fn installed(&self, machine: &Machine) -> Result<Installed, Failure> {
        let versions = match &self.path {
            _ if self.is_foretold => BTreeMap::new(),
            Some(path) => match listed(machine, path)? {
                Some(versions) => versions,
                None => self.asked(machine, &[path.join("bin/pip").display().to_string()])?,
            },
            None if self.called == "python3" => {
                self.asked(machine, &["python3", "-m", "pip"].map(str::to_owned))?
            }
            None => self.asked(machine, std::slice::from_ref(&self.called))?,
        };
        Ok(Installed { of: self.called.clone(), versions })
    }

    fn asked(
        &self,
        machine: &Machine,
        pip: &[String],
    ) -> Result<BTreeMap<String, String>, Failure> {
        let list = ["list".to_owned(), "--format=freeze".to_owned()];
        let argv = pip.iter().cloned().chain(list).collect();
        let (chdir, environment) = (Some(self.directory.clone()), self.variables.clone());
        let output = machine.query(&Command { argv, chdir, environment, stdin: None })?;
        if !output.is_success() {
            let failure = complaint(&output);
            return Err(match failure.message.contains("No module named pip") {
                true => {
                    let why = "Unable to find any of pip3 to use.  pip needs to be installed.";
                    let hint = Some("install python3-pip first".to_owned());
                    Failure { hint, ..Failure::new(why) }
                }
                false => failure,
            });
        }
        let said = String::from_utf8_lossy(&output.stdout);
        let entry = |line: &str| {
            let (name, version) = line.split_once("==")?;
            Some((comparable(name), version.trim().to_owned()))
        };
        Ok(said.lines().filter_map(entry).collect())
    }
}

/// What the directory of an environment says; `None` where it is not all that counts.
fn listed(machine: &Machine, path: &Path) -> Result<Option<BTreeMap<String, String>>, Failure> {
    let config = path.join("pyvenv.cfg");
    if machine.stat(&config, Follow::Yes)?.is_none() {
        return Ok(None);
    }
    let config = machine.read(&config)?;
    let sees_host = String::from_utf8_lossy(&config).lines().any(|line| {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        key.trim() == "include-system-site-packages" && value.trim() != "false"
    });
    let lib = path.join("lib");
    if sees_host || machine.stat(&lib, Follow::Yes)?.is_none() {
        return Ok(None);
    }
    let names = machine.list(&lib)?;
    let is_python = |name: &&OsString| name.to_string_lossy().starts_with("python");
    let pythons: Vec<_> = names.iter().filter(is_python).collect();
    let [python] = pythons[..] else { return Ok(None) };
    let packages = lib.join(python).join("site-packages");
    if machine.stat(&packages, Follow::Yes)?.is_none() {
        return Ok(None);
    }
    let mut versions = BTreeMap::new();
    for entry in machine.list(&packages)? {
        let entry = entry.to_string_lossy();
        if entry.ends_with(".egg-link") || entry.ends_with(".egg") {
            return Ok(None);
        }
        versions.extend(installed(&entry));
    }
    Ok(Some(versions))
}

/// The packages of an environment.
pub(super) struct Installed {
    of: String,
    versions: BTreeMap<String, String>,
}

impl Installed {
    fn of_plan(&self, name: &str) -> String {
        format!("Python package {name} of {}", self.of)
    }

    /// Which version is installed, or foretold.
    pub(super) fn version(&self, machine: &Machine, name: &str) -> Option<String> {
        match machine.foretold_property(&self.of_plan(name), VERSION) {
            Some(foretold) => foretold.clone(),
            None => self.versions.get(name).cloned(),
        }
    }

    /// Whether a version is installed, or foretold, that will do.
    pub(super) fn has(&self, machine: &Machine, wanted: &Requirement) -> bool {
        self.version(machine, &wanted.name).is_some_and(|version| wanted.takes(&version))
    }

    /// All packages with their versions as pip lists them: `NAME==VERSION`, each on a line.
    pub(super) fn told(&self, machine: &Machine) -> String {
        let version = |name: &String| Some((name.clone(), self.version(machine, name)?));
        let all = self.versions.keys().filter_map(version);
        all.map(|(name, version)| format!("{name}=={version}\n")).collect()
    }

    /// Tells that a package is of another version, or gone.
    pub(super) fn note(
        &self,
        machine: &mut Machine,
        name: &str,
        is: Option<String>,
    ) -> Result<(), Failure> {
        let sides = [self.version(machine, name), is];
        let path = PathBuf::from(&self.of);
        Ok(machine.note_property(&path, &self.of_plan(name), VERSION, sides)?)
    }

    /// Tells what is no longer as it was; whether anything is not.
    pub(super) fn note_all(&self, machine: &mut Machine, after: &Self) -> Result<bool, Failure> {
        let names: BTreeSet<&String> = self.versions.keys().chain(after.versions.keys()).collect();
        let mut is_changed = false;
        for name in names {
            let is = after.versions.get(name);
            if self.versions.get(name) != is {
                is_changed = true;
                self.note(machine, name, is.cloned())?;
            }
        }
        Ok(is_changed)
    }

    /// Tells that pip has installed something anew in the version that was there.
    pub(super) fn note_again(
        &self,
        machine: &mut Machine,
        names: &[String],
    ) -> Result<(), Failure> {
        for name in names {
            let sides = [None, Some("installed again".to_owned())];
            machine.note_property(&PathBuf::from(&self.of), &self.of_plan(name), FILES, sides)?;
        }
        Ok(())
    }
}
