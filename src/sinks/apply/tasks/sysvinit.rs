//! `sysvinit`: services that are scripts in `/etc/init.d`.

use super::{Failure, Module, Outcome, Task, TaskContext, session};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::command::{Command, Output, Ran};
use crate::host::machine::path::Follow;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) static MODULE: Module = Module {
    name: "sysvinit",
    summary: "Makes sure that a service with a script in `/etc/init.d` runs, starts by itself, or not.",
    acts_unless: None,
    spec: Spec {
        one_of: &[&["enabled", "state"]],
        not_yet: &[&["daemonize", "runlevels"]],
        ..Spec::new(&[
            Param::new("name", Kind::Text).or(&["service"]).required().says("The script."),
            Param::new("state", Kind::OneOf(&["reloaded", "restarted", "started", "stopped"]))
                .says(
                    "Whether it runs, by what its `status` answers. `restarted` and `reloaded` act \
                     each time.",
                ),
            Param::new("enabled", Kind::Bool).says("Whether it starts by itself."),
            PATTERN,
            SLEEP,
            ARGUMENTS,
        ])
    },
    check,
    build: |params| Box::new(Sysvinit { params }),
};

/// What every manager of scripts takes.
pub(super) const PATTERN: Param = Param::new("pattern", Kind::Text).says(
    "A part of what a process of it was started with: it runs where there is one, whatever its \
     `status` answers.",
);
pub(super) const SLEEP: Param = Param::new("sleep", Kind::Int)
    .says("How long to wait between stop and start of a restart, in seconds.");
pub(super) const ARGUMENTS: Param =
    Param::new("arguments", Kind::Texts).or(&["args"]).says("Further arguments for the script.");

/// Where the scripts are.
const SCRIPTS: &str = "/etc/init.d";
/// The runlevels of a host that works for many users.
const LEVELS: [&str; 4] = ["/etc/rc2.d", "/etc/rc3.d", "/etc/rc4.d", "/etc/rc5.d"];

pub(super) fn check(params: &Params) -> Vec<Diagnostic> {
    let name = params.text("name").unwrap_or("-");
    let is_file_name = !name.is_empty() && !name.contains('/') && !name.starts_with('.');
    if params.text("name").is_none() || is_file_name {
        return Vec::new();
    }
    vec![Diagnostic::new(format!("`{name}` is no name of a script"), params.place("name"))]
}

/// A script that is there.
pub(super) struct Script {
    name: String,
    /// Its file.
    pub(super) path: PathBuf,
}

impl Script {
    /// The script of a service; `None` where it has none.
    pub(super) fn find(machine: &Machine, service: &str) -> Result<Option<Self>, Failure> {
        let name = service.strip_suffix(".service").unwrap_or(service).to_owned();
        let path = Path::new(SCRIPTS).join(&name);
        let is_there = machine.stat(&path, Follow::Yes)?.is_some();
        Ok(is_there.then_some(Self { name, path }))
    }

    /// The same; one that there is not is an error.
    pub(super) fn required(machine: &Machine, service: &str) -> Result<Self, Failure> {
        Self::find(machine, service)?.ok_or_else(|| {
            let why = format!("Could not find the requested service {service}: host");
            let hint = format!("there is no script {SCRIPTS}/{service}");
            Failure { hint: Some(hint), ..Failure::new(why) }
        })
    }

    fn is_enabled(&self, machine: &Machine) -> Result<bool, Failure> {
        if let Some(foretold) = machine.foretold_property(&self.of(), "enabled") {
            return Ok(foretold.as_deref() == Some("yes"));
        }
        for level in LEVELS.map(Path::new) {
            if machine.stat(level, Follow::Yes)?.is_none() {
                continue;
            }
            // `S`, two digits, the name.
            let is_start = |link: &std::ffi::OsString| {
                let link = link.to_string_lossy();
                link.starts_with('S') && link.get(3..) == Some(self.name.as_str())
            };
            if machine.list(level)?.iter().any(is_start) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn of(&self) -> String {
        format!("service {}", self.name)
    }

    /// Lets it start by itself or not.
    pub(super) fn enable(
        &self,
        machine: &mut Machine,
        environment: &[(String, String)],
        wanted: bool,
    ) -> Result<(), Failure> {
        if self.is_enabled(machine)? == wanted {
            return Ok(());
        }
        // Links that were never made are made first.
        let verbs: &[&str] = if wanted { &["defaults", "enable"] } else { &["disable"] };
        for verb in verbs {
            let argv = ["update-rc.d", &self.name, verb].map(str::to_owned).into();
            let environment = environment.to_vec();
            let command = Command { argv, environment, ..Command::default() };
            if let Ran::Done(output) = machine.run(&command)?
                && !output.is_success()
            {
                return Err(complaint(&format!("update-rc.d {} {verb}", self.name), &output));
            }
        }
        let word = |enabled: bool| Some(if enabled { "yes" } else { "no" }.to_owned());
        let sides = [word(!wanted), word(wanted)];
        Ok(machine.note_property(&self.path, &self.of(), "enabled", sides)?)
    }
}

struct Sysvinit {
    params: Params,
}

/// Lets the script of the service that `params` name do what they say.
pub(super) fn converge(
    params: &Params,
    machine: &mut Machine,
    cx: &TaskContext<'_>,
) -> Result<Outcome, Failure> {
    let name = params.text("name").unwrap_or_default();
    let script = Script::required(machine, name)?;
    let mut outcome = Outcome::default().with("name", name);
    if params.has("enabled") {
        let wanted = params.flag("enabled", false);
        script.enable(machine, cx.environment, wanted)?;
        outcome = outcome.with("enabled", wanted);
    }
    let Some(state) = params.text("state") else { return Ok(outcome) };
    let start = vec![script.path.display().to_string()];
    settle(params, machine, cx, &script, start)?;
    Ok(outcome.with("state", if state == "stopped" { "stopped" } else { "started" }))
}

/// Brings about the state that is asked for; `start` and a verb are the command that does.
pub(super) fn settle(
    params: &Params,
    machine: &mut Machine,
    cx: &TaskContext<'_>,
    script: &Script,
    start: Vec<String>,
) -> Result<(), Failure> {
    let job = Job { params, script, start, environment: cx.environment };
    params.text("state").map_or(Ok(()), |state| job.settle(machine, state))
}

impl Task for Sysvinit {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        converge(&self.params, machine, cx)
    }
}

struct Job<'a> {
    params: &'a Params,
    script: &'a Script,
    start: Vec<String>,
    environment: &'a [(String, String)],
}

impl Job<'_> {
    fn command(&self, verb: &str) -> Command {
        let mut argv = self.start.clone();
        argv.push(verb.to_owned());
        argv.extend(self.params.texts("arguments").unwrap_or_default().iter().cloned());
        Command { argv, environment: self.environment.to_vec(), ..Command::default() }
    }

    fn is_running(&self, machine: &Machine) -> Result<bool, Failure> {
        match machine.foretold_property(&self.script.of(), "state") {
            Some(foretold) => Ok(foretold.as_deref() == Some("running")),
            None if self.params.has("pattern") => {
                has_process(machine, self.params.text("pattern").unwrap_or_default())
            }
            None => Ok(machine.guard(&self.command("status"))?.is_success()),
        }
    }

    fn settle(&self, machine: &mut Machine, wanted: &str) -> Result<(), Failure> {
        let is_running = self.is_running(machine)?;
        let verbs: &[&str] = match wanted {
            "started" if is_running => return Ok(()),
            "stopped" if !is_running => return Ok(()),
            "stopped" => &["stop"],
            "restarted" if is_running && self.params.has("sleep") => &["stop", "start"],
            "restarted" if is_running => &["restart"],
            "reloaded" if is_running => &["reload"],
            _ => &["start"],
        };
        for (number, verb) in verbs.iter().enumerate() {
            if number > 0 {
                let seconds = self.params.int("sleep").unwrap_or(0).max(0).unsigned_abs();
                machine.sleep(Duration::from_secs(seconds))?;
            }
            if let Ran::Done(output) = machine.run(&self.command(verb))?
                && !output.is_success()
            {
                return Err(complaint(&format!("cannot {verb} `{}`", self.script.name), &output));
            }
        }
        let word = |runs: bool| Some(if runs { "running" } else { "stopped" }.to_owned());
        let sides = [word(is_running), word(wanted != "stopped")];
        Ok(machine.note_property(&self.script.path, &self.script.of(), "state", sides)?)
    }
}

/// Whether a process was started with this among its words, this program and what started it aside.
fn has_process(machine: &Machine, pattern: &str) -> Result<bool, Failure> {
    let ours = session::with_parents(machine);
    let names = machine.list(Path::new("/proc"))?;
    let pids = names.iter().filter_map(|name| name.to_str()?.parse::<u32>().ok());
    let mut others = pids.filter(|pid| !ours.contains(pid));
    Ok(others.any(|pid| {
        // It may end while it is looked at.
        let words = machine.read(Path::new(&format!("/proc/{pid}/cmdline"))).unwrap_or_default();
        String::from_utf8_lossy(&words).replace('\0', " ").contains(pattern)
    }))
}

fn complaint(what: &str, output: &Output) -> Failure {
    let said = [&output.stderr, &output.stdout].map(|bytes| String::from_utf8_lossy(bytes));
    let last = said.iter().find_map(|text| text.lines().last()).unwrap_or("no word why");
    Failure::new(format!("{what}: {}: {last}", output.how_it_ended()))
}
