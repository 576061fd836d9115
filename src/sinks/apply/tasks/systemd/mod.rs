//! `systemd`: units of systemd, whether they run and whether they start by themselves.

mod units;

use super::sysvinit::Script;
use super::{Failure, Module, Outcome, Task, TaskContext, system};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::command::{Command, Output, Ran};
use crate::host::machine::path::Follow;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use indexmap::IndexMap;
use minijinja::Value;
use std::path::{Path, PathBuf};
use units::{Found, Unit, Units};

const SPEC: Spec = Spec {
    one_of: &[&["daemon_reexec", "daemon_reload", "enabled", "masked", "state"]],
    ..Spec::new(&[
        Param::new("name", Kind::Text)
            .or(&["service", "unit"])
            .says("The unit; without an ending it is a service."),
        Param::new("state", Kind::OneOf(&["reloaded", "restarted", "started", "stopped"])).says(
            "Whether it runs. `restarted` and `reloaded` act each time, and start what does not run.",
        ),
        Param::new("enabled", Kind::Bool).says("Whether it starts by itself."),
        Param::new("masked", Kind::Bool).says("Whether nothing at all can start it."),
        Param::new("daemon_reload", Kind::Bool)
            .or(&["daemon-reload"])
            .says("Let systemd read all unit files anew first. That is no change."),
        Param::new("daemon_reexec", Kind::Bool)
            .or(&["daemon-reexec"])
            .says("Let systemd start itself anew first. That is no change."),
        Param::new("scope", Kind::OneOf(&["global", "system", "user"])).says(
            "Whose units: those of the system where not given, those of all users, or those of the \
             user that this runs as.",
        ),
        Param::new("no_block", Kind::Bool).says("Do not wait until the unit has started."),
        Param::new("force", Kind::Bool).says("Put links in place of others."),
    ])
};

pub(super) static MODULE: Module = Module {
    name: "systemd",
    summary: "Makes sure that a unit of systemd runs, starts by itself, or not.",
    acts_unless: None,
    spec: SPEC,
    check,
    build: |params| Box::new(Systemd { params }),
};

pub(super) static SERVICE: Module = Module {
    name: "systemd_service",
    summary: "The same as `systemd`.",
    acts_unless: None,
    spec: SPEC,
    check,
    build: |params| Box::new(Systemd { params }),
};

/// Where systemd is at work, this is there.
const RUNS: &str = "/run/systemd/system";
/// Endings of units.
const ENDINGS: [&str; 11] = [
    "automount",
    "device",
    "mount",
    "path",
    "scope",
    "service",
    "slice",
    "socket",
    "swap",
    "target",
    "timer",
];

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = Vec::new();
    let mut complain =
        |name: &str, why: String| complaints.push(Diagnostic::new(why, params.place(name)));
    match params.text("name") {
        Some(name)
            if name.is_empty() || name.starts_with('-') || name.contains(['*', '?', '[', '/']) =>
        {
            complain("name", format!("`{name}` is no name of a unit; patterns are not taken"));
        }
        Some(_) => {}
        None => {
            for with in ["state", "enabled", "masked"].into_iter().filter(|it| params.has(it)) {
                if !params.has("name") {
                    complain(with, format!("`{with}` needs `name`"));
                }
            }
        }
    }
    complaints
}

/// Whether systemd is at work on this host.
pub(super) fn runs(machine: &Machine) -> Result<bool, Failure> {
    Ok(machine.stat(Path::new(RUNS), Follow::Yes)?.is_some())
}

pub(super) struct Systemd {
    pub(super) params: Params,
}

impl Task for Systemd {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let job = Job {
            params,
            environment: cx.environment,
            scope: params.text("scope").unwrap_or("system"),
            runs: runs(machine)?,
        };
        for (name, verb) in [("daemon_reload", "daemon-reload"), ("daemon_reexec", "daemon-reexec")]
        {
            if params.flag(name, false) && job.runs {
                job.refresh(machine, verb)?;
            }
        }
        let Some(name) = params.text("name") else { return Ok(Outcome::default()) };
        job.converge(machine, name)
    }
}

struct Job<'a> {
    params: &'a Params,
    environment: &'a [(String, String)],
    scope: &'a str,
    runs: bool,
}

impl Job<'_> {
    fn converge(&self, machine: &mut Machine, given: &str) -> Result<Outcome, Failure> {
        let params = self.params;
        let name = full_name(given);
        let outcome = Outcome::default().with("name", given);
        if self.scope == "user" {
            let why = "`scope: user` is not supported".to_owned();
            let hint = "a `command` task with `systemctl --user` and `become_user` can do it";
            return Err(Failure { hint: Some(hint.into()), ..Failure::new(why) });
        }
        let units = if self.scope == "global" { Units::global() } else { Units::system() };
        let mut has_new_links = false;
        if params.has("masked") {
            let wanted = params.flag("masked", false);
            if units.is_masked(machine, &name)? != wanted {
                if wanted {
                    units.mask(machine, &name)?;
                } else {
                    units.unmask(machine, &name)?;
                }
                has_new_links = true;
            }
        }
        let found = units.find(machine, &name)?;
        let script = Script::find(machine, given)?;
        let mut outcome = outcome;
        if params.has("enabled") {
            let wanted = params.flag("enabled", false);
            match (&found, &script) {
                (Found::Unit(unit), _) => {
                    has_new_links |= enable(machine, &units, unit, wanted)?;
                }
                (Found::Masked, _) if wanted => {
                    let failure =
                        Failure::new(format!("the unit `{name}` is masked, and cannot be enabled"));
                    return Err(Failure {
                        hint: Some("`masked: false` lifts that".into()),
                        ..failure
                    });
                }
                (Found::Masked, _) => {}
                (Found::Nothing, Some(script)) => {
                    script.enable(machine, self.environment, wanted)?;
                }
                (Found::Nothing, None) => return Err(missing(machine, given)),
            }
            outcome = outcome.with("enabled", wanted);
        }
        if has_new_links && self.runs && self.scope == "system" {
            self.refresh(machine, "daemon-reload")?;
        }
        let status = if self.runs && self.scope == "system" {
            self.status(machine, &name)?
        } else {
            IndexMap::new()
        };
        if let Some(state) = params.text("state") {
            if !self.runs {
                let why = format!(
                    "systemd does not run on this host, so that `{given}` cannot be {state}"
                );
                let hint = "`enabled` and `masked` say what becomes of it at the next start";
                return Err(Failure { hint: Some(hint.into()), ..Failure::new(why) });
            }
            if matches!(found, Found::Masked) && state != "stopped" {
                let why = format!("the unit `{name}` is masked, and cannot be started");
                let hint = Some("`masked: false` lifts that".into());
                return Err(Failure { hint, ..Failure::new(why) });
            }
            let path = match (&found, &script) {
                (Found::Unit(unit), _) => unit.path.clone(),
                (Found::Masked, _) => PathBuf::from("/etc/systemd/system").join(&name),
                (Found::Nothing, Some(script)) => script.path.clone(),
                // What generators make of other files only systemd knows.
                (Found::Nothing, None) if is_loaded(&status) => PathBuf::from(RUNS).join(&name),
                (Found::Nothing, None) => return Err(missing(machine, given)),
            };
            outcome = outcome.with("state", self.settle(machine, &name, &path, &status, state)?);
        }
        let pairs = status.into_iter().map(|(name, value)| (name, Value::from(value)));
        Ok(outcome.with("status", Value::from_pairs(pairs)))
    }

    /// Starts, stops, restarts or reloads it, where that is needed; the state that it is in then.
    fn settle(
        &self,
        machine: &mut Machine,
        name: &str,
        path: &Path,
        status: &IndexMap<String, String>,
        wanted: &str,
    ) -> Result<String, Failure> {
        let of = format!("unit {name}");
        let foretold = machine.foretold_property(&of, "state").cloned().flatten();
        let found = foretold.or_else(|| status.get("ActiveState").cloned());
        let found = found.unwrap_or_else(|| "inactive".to_owned());
        let is_running = matches!(found.as_str(), "active" | "activating" | "reloading");
        let (verb, after) = match wanted {
            "started" if is_running => return Ok(wanted.to_owned()),
            "stopped" if !is_running && found != "deactivating" => return Ok(wanted.to_owned()),
            "stopped" => ("stop", "inactive"),
            "restarted" if is_running => ("restart", "active"),
            "reloaded" if is_running => ("reload", "active"),
            _ => ("start", "active"),
        };
        if let Ran::Done(output) = machine.run(&self.systemctl(&[verb, name]))?
            && !output.is_success()
        {
            return Err(complaint(&format!("cannot {verb} `{name}`"), &output));
        }
        let was = if is_running { "active".to_owned() } else { found };
        machine.note_property(path, &of, "state", [Some(was), Some(after.to_owned())])?;
        Ok(if wanted == "stopped" { "stopped" } else { "started" }.to_owned())
    }

    /// What systemd says of a unit.
    fn status(&self, machine: &Machine, name: &str) -> Result<IndexMap<String, String>, Failure> {
        let output = machine.query(&self.systemctl(&["show", name]))?;
        if !output.is_success() {
            return Err(complaint(&format!("systemd does not tell of `{name}`"), &output));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn systemctl(&self, words: &[&str]) -> Command {
        let mut argv = vec!["systemctl".to_owned(), "--no-pager".to_owned()];
        if self.scope == "global" {
            argv.push("--global".to_owned());
        }
        for (name, flag) in [("no_block", "--no-block"), ("force", "--force")] {
            if self.params.flag(name, false) {
                argv.push(flag.to_owned());
            }
        }
        argv.extend(words.iter().map(|word| (*word).to_owned()));
        system::in_english(argv, self.environment)
    }

    fn refresh(&self, machine: &mut Machine, verb: &str) -> Result<(), Failure> {
        match machine.refresh(&self.systemctl(&[verb]))? {
            Some(output) if !output.is_success() => {
                Err(complaint(&format!("cannot {verb}"), &output))
            }
            _ => Ok(()),
        }
    }
}

/// Lets it start by itself or not; whether links changed.
fn enable(
    machine: &mut Machine,
    units: &Units,
    unit: &Unit,
    wanted: bool,
) -> Result<bool, Failure> {
    let effects = machine.journal().len();
    match (units.is_enabled(machine, unit)?, wanted) {
        // As in Ansible, what starts with others all the same counts as enabled.
        (None, true) | (Some(false), false) => {}
        (Some(_), true) => units.enable(machine, unit)?,
        (None | Some(true), false) => units.disable(machine, unit)?,
    }
    Ok(machine.journal().len() > effects)
}

fn is_loaded(status: &IndexMap<String, String>) -> bool {
    status.get("LoadState").is_some_and(|state| state == "loaded")
}

fn missing(machine: &Machine, name: &str) -> Failure {
    machine.absence(format!("Could not find the requested service {name}: host")).into()
}

fn complaint(what: &str, output: &Output) -> Failure {
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or("no word why");
    let failure = Failure::new(format!("{what}: {said}"));
    Failure { hint: Some("`systemctl status` and `journalctl` tell more".into()), ..failure }
}

/// A name with its ending.
fn full_name(name: &str) -> String {
    let has_ending = name.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending));
    if has_ending { name.to_owned() } else { format!("{name}.service") }
}

/// Whether systemd is installed, though it may not be at work.
pub(super) fn is_installed(machine: &Machine) -> Result<bool, Failure> {
    Ok(machine.stat(Path::new("/usr/bin/systemctl"), Follow::Yes)?.is_some()
        || machine.stat(Path::new("/bin/systemctl"), Follow::Yes)?.is_some())
}
