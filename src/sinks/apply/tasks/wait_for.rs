//! `wait_for`: waits until a port or a file is as wanted.

use super::edit::check as check_edit;
use super::pattern::{Over, Pattern};
use super::{Failure, Module, Outcome, Task, TaskContext, values};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::path::Follow;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use minijinja::Value;
use std::time::{Duration, Instant};

pub(super) static MODULE: Module = Module {
    name: "wait_for",
    summary: "Waits until a port answers or not, or until a file is there, gone, or holds a text.",
    acts_unless: None,
    spec: Spec {
        exclusive: &[&["port", "path"]],
        not_yet: &[&["active_connection_states", "exclude_hosts"]],
        ..Spec::new(&[
            Param::new("host", Kind::Text).says("The host; this one where not given."),
            Param::new("port", Kind::Int).says("The port."),
            Param::new("path", Kind::Path).says("The path."),
            Param::new(
                "state",
                Kind::OneOf(&["absent", "drained", "present", "started", "stopped"]),
            )
            .says(
                "`started` (where not given) and `present`: it answers, or is there; \
                 `stopped` and `absent`: it does not; `drained`: nobody is connected.",
            ),
            Param::new("search_regex", Kind::Text)
                .says("A regular expression for what is in the file, or for what the port says."),
            Param::new("timeout", Kind::Any)
                .says("After how many seconds it fails; 300 where not given."),
            Param::new("connect_timeout", Kind::Any)
                .says("How many seconds one try to connect may take; 5 where not given."),
            Param::new("delay", Kind::Any).says("How many seconds pass before the first look."),
            Param::new("sleep", Kind::Any)
                .says("How many seconds pass between looks; 1 where not given."),
            Param::new("msg", Kind::Text).says("What is said where it fails."),
        ])
    },
    check,
    build: |params| Box::new(WaitFor { params }),
};

struct WaitFor {
    params: Params,
}

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = check_edit(params, &[("search_regex", Over::Lines)]);
    let numbers = ["timeout", "connect_timeout", "delay", "sleep"];
    complaints.extend(numbers.iter().filter_map(|name| values::check_number(params, name)));
    let mut complain = |why: &str| complaints.push(Diagnostic::new(why, params.span.clone()));
    let state = params.text("state").unwrap_or("started");
    if params.int("port").is_some_and(|port| !(1..=65535).contains(&port)) {
        complain("`port` is from 1 to 65535");
    }
    if params.has("search_regex") && matches!(state, "absent" | "stopped" | "drained") {
        complain("`search_regex` goes with `state: present` or `state: started`");
    }
    if state == "drained" && !params.has("port") {
        complain("`state: drained` needs `port`");
    }
    complaints
}

/// What a look came to.
enum Look {
    /// As wanted, with what the groups of the pattern matched.
    Met(Vec<(Option<String>, Value)>),
    NotYet,
}

impl Task for WaitFor {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let seconds = |name, usual: f64| {
            let seconds = values::number(params, name)?.unwrap_or(usual).clamp(0.0, 1e9);
            Ok::<_, Failure>(Duration::from_secs_f64(seconds))
        };
        let (timeout, pause) = (seconds("timeout", 300.0)?, seconds("sleep", 1.0)?);
        let started = Instant::now();
        machine.sleep(seconds("delay", 0.0)?)?;
        let idle = !params.has("port") && !params.has("path");
        if idle {
            machine.sleep(timeout.saturating_sub(started.elapsed()))?;
            return Ok(self.told(started, Vec::new()));
        }
        let pattern =
            params.text("search_regex").map(|text| Pattern::new(text, Over::Lines)).transpose();
        let pattern = pattern.map_err(Failure::new)?;
        let connect = seconds("connect_timeout", 5.0)?;
        loop {
            if let Look::Met(groups) = self.look(machine, pattern.as_ref(), connect)? {
                return Ok(self.told(started, groups));
            }
            if machine.is_dry_run() {
                // What it waits for may come of what was only foretold.
                return Ok(Outcome { unknown: true, ..Outcome::default() });
            }
            if started.elapsed() + pause > timeout {
                break;
            }
            machine.sleep(pause)?;
        }
        let why = params.text("msg").map_or_else(|| self.late(timeout), str::to_owned);
        let outcome = Outcome { failed: Some(why.clone()), ..Outcome::default() };
        Ok(outcome.with("msg", why).with("elapsed", started.elapsed().as_secs()))
    }
}

impl WaitFor {
    fn host(&self) -> &str {
        self.params.text("host").unwrap_or("127.0.0.1")
    }

    fn state(&self) -> &str {
        self.params.text("state").unwrap_or("started")
    }

    fn port(&self) -> Option<u16> {
        self.params.int("port").and_then(|port| u16::try_from(port).ok())
    }

    fn look(
        &self,
        machine: &Machine,
        pattern: Option<&Pattern>,
        timeout: Duration,
    ) -> Result<Look, Failure> {
        let met = |yes| if yes { Look::Met(Vec::new()) } else { Look::NotYet };
        let gone = matches!(self.state(), "absent" | "stopped");
        if let Some(path) = self.params.path("path") {
            let there = machine.stat(&path, Follow::Yes)?.is_some();
            return match (gone, there, pattern) {
                (true, there, _) => Ok(met(!there)),
                (false, false, _) => Ok(Look::NotYet),
                (false, true, None) => Ok(met(true)),
                (false, true, Some(pattern)) => {
                    let content = machine.read(&path)?;
                    groups(pattern, &String::from_utf8_lossy(&content))
                }
            };
        }
        let Some(port) = self.port() else { return Ok(met(true)) };
        if self.state() == "drained" {
            return Ok(met(machine.connections(port)? == 0));
        }
        let connection = match machine.connect(self.host(), port, timeout) {
            Ok(connection) => connection,
            Err(_) if gone => None,
            // A name may become known while it is waited for.
            Err(_) => return Ok(Look::NotYet),
        };
        match (gone, connection, pattern) {
            (true, connection, _) => Ok(met(connection.is_none())),
            (false, None, _) => Ok(Look::NotYet),
            (false, Some(_), None) => Ok(met(true)),
            (false, Some(mut connection), Some(pattern)) => {
                let mut found = Ok(Look::NotYet);
                connection.listen(timeout, &mut |heard| {
                    found = groups(pattern, &String::from_utf8_lossy(heard));
                    !matches!(found, Ok(Look::NotYet))
                });
                found
            }
        }
    }

    fn told(&self, started: Instant, groups: Vec<(Option<String>, Value)>) -> Outcome {
        let params = &self.params;
        let all: Value = groups.iter().map(|(_, value)| value.clone()).collect();
        let named = groups.into_iter().filter_map(|(name, value)| Some((name?, value)));
        Outcome::default()
            .with("elapsed", started.elapsed().as_secs())
            .with("state", self.state())
            .with("port", params.int("port").map_or(Value::from(()), Value::from))
            .with("path", params.text("path").map_or(Value::from(()), Value::from))
            .with("search_regex", params.text("search_regex").map_or(Value::from(()), Value::from))
            .with("match_groups", all)
            .with("match_groupdict", Value::from_pairs(named))
    }

    fn late(&self, timeout: Duration) -> String {
        let what = match (self.params.text("path"), self.port()) {
            (Some(path), _) => path.to_owned(),
            (None, Some(port)) => format!("{}:{port}", self.host()),
            (None, None) => String::new(),
        };
        let wanted = match (self.state(), self.params.text("search_regex")) {
            ("absent" | "stopped", _) => "is still there",
            ("drained", _) => "still has connections",
            (_, Some(_)) => "does not say what `search_regex` looks for",
            (_, None) => "is not there",
        };
        format!("{what} {wanted} after {} seconds", timeout.as_secs())
    }
}

fn groups(pattern: &Pattern, text: &str) -> Result<Look, Failure> {
    let Some(found) = pattern.captures(text, 0)? else { return Ok(Look::NotYet) };
    let names = pattern.group_names().map(|name| name.map(str::to_owned));
    let values = found.iter().map(|group| match group {
        Some(group) => Value::from(group.as_str()),
        None => Value::from(()),
    });
    Ok(Look::Met(names.zip(values).skip(1).collect()))
}
