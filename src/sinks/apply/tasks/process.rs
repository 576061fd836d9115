//! `process`: whether a program runs that no service manages, and signals to it.

use super::{Failure, Module, Outcome, Task, TaskContext, session, system, values};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::path::Follow;
use crate::host::machine::state::Transition;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use minijinja::Value;
use regex::Regex;
use std::path::Path;
use std::time::Duration;

pub(super) static MODULE: Module = Module {
    name: "process",
    summary: "Makes sure that no process of a kind runs, or sends one a signal.",
    acts_unless: None,
    spec: Spec {
        exclusive: &[&["name", "pattern"]],
        one_of: &[&["name", "pattern"]],
        ..Spec::new(&[
            Param::new("name", Kind::Text)
                .says("The program's name, as `ps` shows it: its first 15 bytes."),
            Param::new("pattern", Kind::Text).says(
                "A regular expression that some part of the command line matches. Driftless itself and \
                 what started it never count.",
            ),
            Param::new("user", Kind::Account).says("Whose processes; all where not given."),
            Param::new("state", Kind::OneOf(&["absent", "signaled"])).says(
                "`absent`, where not given: none runs; those that do get the signal. `signaled`: those \
                 that run get the signal, each time.",
            ),
            Param::new("signal", Kind::Text).says("Its name, such as `HUP`; `TERM` where not given."),
            Param::new("timeout", Kind::Any)
                .says("With `absent`, how many seconds they have to end; 10 where not given."),
            Param::new("force", Kind::Bool)
                .says("What has not ended by then gets the signal `KILL`; else the task fails."),
        ])
    },
    check,
    build: |params| Box::new(Process { params }),
};

/// Signals that may be sent.
const SIGNALS: &[&str] = &[
    "ABRT", "ALRM", "CONT", "HUP", "INT", "KILL", "QUIT", "STOP", "TERM", "TSTP", "TTIN", "TTOU",
    "USR1", "USR2", "WINCH",
];

/// How often it is looked whether a process has ended.
const LOOK: Duration = Duration::from_millis(50);
const USUAL: f64 = 10.0;

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints: Vec<Diagnostic> =
        values::check_number(params, "timeout").into_iter().collect();
    let mut complain =
        |name: &str, why: String| complaints.push(Diagnostic::new(why, params.place(name)));
    let known = |name| params.text(name).filter(|text: &&str| !text.contains("{{"));
    if let Some(text) = known("signal").filter(|text| !SIGNALS.contains(&bare(text))) {
        complain(
            "signal",
            format!("`{text}` is no signal: it is one of `{}`", SIGNALS.join("`, `")),
        );
    }
    if let Some(Err(error)) = known("pattern").map(Regex::new) {
        complain("pattern", format!("`pattern` is no regular expression: {error}"));
    }
    for name in ["name", "pattern"] {
        if known(name).is_some_and(|text| text.trim().is_empty()) {
            complain(name, format!("`{name}` is empty, and would be all processes"));
        }
    }
    complaints
}

/// A signal's name without what may be before it.
fn bare(name: &str) -> &str {
    name.strip_prefix("SIG").unwrap_or(name)
}

struct Process {
    params: Params,
}

/// A process.
struct Running {
    pid: u32,
    /// When it was started, in ticks since the host was: with the number, it is this one alone.
    started: String,
}

impl Task for Process {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let of = self.of();
        let is_gone = machine.foretold_state(&of).as_deref() == Some("none");
        let running = if is_gone { Vec::new() } else { self.running(machine)? };
        let pids = Value::from_iter(running.iter().map(|it| it.pid));
        let outcome = Outcome::default().with("pids", pids);
        if running.is_empty() {
            return Ok(outcome);
        }
        let signal = bare(params.text("signal").unwrap_or("TERM"));
        if params.text("state") == Some("signaled") {
            signal_all(machine, &of, signal, &running, "signaled")?;
            return Ok(outcome);
        }
        signal_all(machine, &of, signal, &running, "none")?;
        let left = self.wait(machine, running)?;
        if left.is_empty() {
            return Ok(outcome);
        }
        if !params.flag("force", false) {
            let pids = numbers(&left).join(", ");
            let failure = Failure::new(format!("{of}: {pids} did not end"));
            let hint = "`force: true` kills what does not end; `timeout` says how long it has";
            return Err(Failure { hint: Some(hint.into()), ..failure });
        }
        signal_all(machine, &of, "KILL", &left, "none")?;
        match &self.wait(machine, left)?[..] {
            [] => Ok(outcome),
            left => {
                Err(Failure::new(format!("{of}: {} cannot be killed", numbers(left).join(", "))))
            }
        }
    }
}

impl Process {
    fn of(&self) -> String {
        let text = |name| self.params.text(name);
        let kind = text("name").or(text("pattern")).unwrap_or_default();
        match text("user") {
            Some(user) => format!("processes `{kind}` of {user}"),
            None => format!("processes `{kind}`"),
        }
    }

    /// Those that run.
    fn running(&self, machine: &Machine) -> Result<Vec<Running>, Failure> {
        let params = &self.params;
        let uid = params.text("user").map(|user| machine.user_id(user)).transpose()?;
        let pattern = params.text("pattern").map(Regex::new).transpose();
        let pattern = pattern.map_err(|error| Failure::new(error.to_string()))?;
        let mut pids: Vec<u32> = machine
            .list(Path::new("/proc"))?
            .iter()
            .filter_map(|name| name.to_str()?.parse().ok())
            .collect();
        pids.sort_unstable();
        let ours = session::with_parents(machine);
        let mut found = Vec::new();
        for pid in pids.into_iter().filter(|pid| !ours.contains(pid)) {
            let path = format!("/proc/{pid}");
            // It may end while it is looked at.
            let owner = machine.stat(Path::new(&path), Follow::Yes).ok().flatten();
            let Some(owner) = owner.filter(|it| uid.is_none_or(|uid| uid == it.uid)) else {
                continue;
            };
            let text = |file: &str| {
                let bytes = machine.read(Path::new(&format!("{path}/{file}"))).ok()?;
                Some(String::from_utf8_lossy(&bytes).into_owned())
            };
            let Some(command) = text("cmdline").filter(|line| !line.is_empty()) else {
                // A thread of the kernel, or one that has ended.
                continue;
            };
            let command = command.trim_end_matches('\0').replace('\0', " ");
            let is_it = match &pattern {
                Some(pattern) => pattern.is_match(&command),
                None => text("comm").is_some_and(|name| {
                    let wanted = params.text("name").unwrap_or_default();
                    name.trim_end() == wanted.get(..15).unwrap_or(wanted)
                }),
            };
            if let Some(started) = started(machine, pid).filter(|_| is_it && owner.uid != u32::MAX)
            {
                found.push(Running { pid, started });
            }
        }
        Ok(found)
    }

    /// Gives processes time to end; those that have not.
    fn wait(&self, machine: &Machine, mut left: Vec<Running>) -> Result<Vec<Running>, Failure> {
        if machine.foretold_state(&self.of()).is_some() {
            return Ok(Vec::new());
        }
        let seconds = values::number(&self.params, "timeout")?.unwrap_or(USUAL).max(0.0);
        let mut time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        loop {
            left.retain(|it| started(machine, it.pid).as_ref() == Some(&it.started));
            if left.is_empty() || time.is_zero() {
                return Ok(left);
            }
            machine.sleep(LOOK)?;
            time = time.saturating_sub(LOOK);
        }
    }
}

fn numbers(all: &[Running]) -> Vec<String> {
    all.iter().map(|it| it.pid.to_string()).collect()
}

fn signal_all(
    machine: &mut Machine,
    of: &str,
    signal: &str,
    to: &[Running],
    after: &str,
) -> Result<(), Failure> {
    let pids = numbers(to);
    let words: Vec<&str> = pids.iter().map(String::as_str).collect();
    Ok(machine.transition(&Transition {
        of: of.to_owned(),
        before: format!("running ({})", pids.join(", ")),
        after: if after == "none" { after.to_owned() } else { format!("{after} with {signal}") },
        argv: system::argv(&[&["kill", "-s", signal, "--"], &words[..]].concat()),
        back: None,
    })?)
}

/// When a process was started; `None` where it does not run any more.
fn started(machine: &Machine, pid: u32) -> Option<String> {
    let stat = machine.read(Path::new(&format!("/proc/{pid}/stat"))).ok()?;
    let stat = String::from_utf8_lossy(&stat).into_owned();
    // The name of the program, which may hold anything, is in brackets.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    // One that has ended and whose parent has not looked is as good as gone.
    (!["Z", "X"].contains(&state)).then(|| fields.nth(18).map(str::to_owned))?
}
