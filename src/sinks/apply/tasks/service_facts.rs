//! `service_facts`: which services there are and how they are, as a variable.

use super::{Failure, Module, Outcome, Task, TaskContext, no_check, system, systemd};
use crate::host::machine::Machine;
use crate::host::machine::command::Command;
use crate::host::machine::path::Follow;
use crate::sinks::apply::params::{Params, Spec};
use indexmap::IndexMap;
use minijinja::Value;
use std::collections::BTreeMap;
use std::path::Path;

pub(super) static MODULE: Module = Module {
    name: "service_facts",
    summary: "Tells which services there are and how they are, as `ansible_facts.services`.",
    acts_unless: None,
    spec: Spec::new(&[]),
    check: no_check,
    build: |_: Params| Box::new(ServiceFacts),
};

struct ServiceFacts;

/// What is told of a service, in this order.
type Facts = IndexMap<&'static str, String>;

/// States that say more than whether a unit starts by itself.
const BAD: [&str; 3] = ["failed", "masked", "not-found"];

impl Task for ServiceFacts {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let mut services: BTreeMap<String, Facts> = BTreeMap::new();
        if machine.stat(Path::new("/usr/sbin/service"), Follow::Yes)?.is_some() {
            of_scripts(machine, &mut services)?;
        }
        if systemd::runs(machine)? {
            of_units(machine, &mut services)?;
        }
        let services = services.into_iter().map(|(name, facts)| (name, Value::from_pairs(facts)));
        let facts = Value::from_pairs([("services", Value::from_pairs(services))]);
        // What systemd says of units that a dry run has only foretold is not known.
        let unknown = ["/etc/systemd/system", "/etc/init.d"]
            .iter()
            .any(|directory| machine.foretells_below(Path::new(directory)));
        Ok(Outcome { unknown, ..Outcome::default().with("ansible_facts", facts) })
    }
}

fn facts(name: &str, state: &str, status: Option<&str>, source: &str) -> Facts {
    let status = status.map(|status| ("status", status));
    let all = [Some(("name", name)), Some(("state", state)), status, Some(("source", source))];
    all.into_iter().flatten().map(|(name, value)| (name, value.to_owned())).collect()
}

/// What a program says that only looks.
fn said(machine: &Machine, argv: &[&str]) -> Result<String, Failure> {
    let command = Command { argv: system::argv(argv), ..Command::default() };
    let output = machine.query(&command)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Scripts in `/etc/init.d`, as `service --status-all` tells them: ` [ + ]  name`.
fn of_scripts(machine: &Machine, services: &mut BTreeMap<String, Facts>) -> Result<(), Failure> {
    let text = said(machine, &["/usr/sbin/service", "--status-all"])?;
    for line in text.lines() {
        let Some((sign, name)) = line.trim_start().split_once(']') else { continue };
        let state = match sign.trim_start_matches('[').trim() {
            "+" => "running",
            "-" => "stopped",
            _ => continue,
        };
        let name = name.trim();
        services.insert(name.to_owned(), facts(name, state, None, "sysv"));
    }
    Ok(())
}

/// Units of systemd: those that it knows, and those that have files.
fn of_units(machine: &Machine, services: &mut BTreeMap<String, Facts>) -> Result<(), Failure> {
    let list = ["systemctl", "list-units", "--no-pager", "--type", "service", "--all", "--plain"];
    let text = said(machine, &list)?;
    for line in text.lines().filter(|line| line.contains(".service")) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [name, load, active, sub, ..] = fields[..] else { continue };
        let bad = BAD.into_iter().find(|bad| [load, active, sub].contains(bad));
        let state = if sub == "running" { "running" } else { "stopped" };
        let status = bad.unwrap_or(active);
        services.insert(name.to_owned(), facts(name, state, Some(status), "systemd"));
    }
    let list = ["systemctl", "list-unit-files", "--no-pager", "--type", "service", "--all"];
    let text = said(machine, &list)?;
    let mut unknown = Vec::new();
    for line in text.lines().filter(|line| line.contains(".service")) {
        let mut fields = line.split_whitespace();
        let (Some(name), Some(status)) = (fields.next(), fields.next()) else { continue };
        match services.get_mut(name) {
            Some(known) if known.get("status").is_some_and(|now| BAD.contains(&now.as_str())) => {}
            Some(known) => drop(known.insert("status", status.to_owned())),
            None => unknown.push((name, status)),
        }
    }
    // One question about all of them, where each would take as long. Templates are no units.
    let asked: Vec<&str> =
        unknown.iter().map(|(name, _)| *name).filter(|name| !name.contains("@.")).collect();
    let mut states = BTreeMap::new();
    if !asked.is_empty() {
        let show = ["systemctl", "show", "--property=Id,ActiveState", "--"];
        let text = said(machine, &[&show, &asked[..]].concat())?;
        for (name, block) in asked.iter().zip(text.split("\n\n")) {
            let state = block.lines().find_map(|line| line.strip_prefix("ActiveState="));
            states.insert(*name, state.unwrap_or("unknown").to_owned());
        }
    }
    for (name, status) in unknown {
        let state = states.get(name).map_or("unknown", String::as_str);
        services.insert(name.to_owned(), facts(name, state, Some(status), "systemd"));
    }
    Ok(())
}
