//! `seboolean`: a switch of SELinux's policy.

use super::{Failure, Module, Outcome, Task, TaskContext, selinux, system};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::state::Transition;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use std::path::Path;

pub(super) static MODULE: Module = Module {
    name: "seboolean",
    summary: "Makes sure that a switch of SELinux's policy is on or off (held against records of such \
              a host, not against one).",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("name", Kind::Text)
            .required()
            .says("The switch, such as `httpd_can_network_connect`."),
        Param::new("state", Kind::Bool).required().says("Whether it is on."),
        Param::new("persistent", Kind::Bool).says("After each start too."),
        selinux::IGNORE,
    ]),
    check,
    build: |params| Box::new(Seboolean { params }),
};

fn check(params: &Params) -> Vec<Diagnostic> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    match params.text("name").filter(|name| !name.contains("{{")) {
        Some(name) if name.is_empty() || !name.bytes().all(is_letter) => {
            let why = format!("`{name}` is no switch of a policy, such as `httpd_enable_homedirs`");
            vec![Diagnostic::new(why, params.place("name"))]
        }
        _ => Vec::new(),
    }
}

struct Seboolean {
    params: Params,
}

impl Task for Seboolean {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let name = params.text("name").unwrap_or_default();
        let wanted = params.flag("state", false);
        let persistent = params.flag("persistent", false);
        let outcome = Outcome::default()
            .with("name", name)
            .with("state", wanted)
            .with("persistent", persistent);
        let policy = selinux::policy(machine, params)?.unwrap_or_else(|| "targeted".to_owned());
        let now = now(machine, name)?;
        if persistent {
            let kept = kept(machine, &policy, name)?;
            if now != Some(wanted) || kept != Some(wanted) {
                let before = format!("{}, {} after a start", word(now), word(kept));
                let after = format!("{0}, {0} after a start", word(Some(wanted)));
                // What was kept before may have been nothing, which no program puts back.
                let back = kept.map(|kept| argv(name, kept, true));
                step(machine, name, [before, after], argv(name, wanted, true), back)?;
            }
            return Ok(outcome);
        }
        if now != Some(wanted) {
            let sides = [word(now), word(Some(wanted))].map(str::to_owned);
            let back = now.map(|now| argv(name, now, false));
            step(machine, name, sides, argv(name, wanted, false), back)?;
        }
        Ok(outcome)
    }
}

fn word(state: Option<bool>) -> &'static str {
    match state {
        Some(true) => "on",
        Some(false) => "off",
        None => "not set",
    }
}

fn argv(name: &str, state: bool, persistent: bool) -> Vec<String> {
    let how: &[&str] = if persistent { &["-P"] } else { &[] };
    system::argv(&[&["setsebool"], how, &[name, word(Some(state))]].concat())
}

fn of(name: &str) -> String {
    format!("SELinux switch {name}")
}

fn step(
    machine: &mut Machine,
    name: &str,
    [before, after]: [String; 2],
    argv: Vec<String>,
    back: Option<Vec<String>>,
) -> Result<(), Failure> {
    Ok(machine.transition(&Transition { of: of(name), before, after, argv, back })?)
}

/// How the kernel has it: `/sys/fs/selinux/booleans/NAME` holds the value that counts, and the next.
fn now(machine: &Machine, name: &str) -> Result<Option<bool>, Failure> {
    if let Some(foretold) = machine.foretold_state(&of(name)) {
        return Ok(Some(foretold.starts_with("on")));
    }
    let directory = Path::new(selinux::KERNEL).join("booleans");
    match system::read(machine, &directory.join(name))? {
        Some(told) => Ok(Some(told.trim_start().starts_with('1'))),
        None if system::read(machine, &Path::new(selinux::KERNEL).join("enforce"))?.is_some() => {
            Err(Failure::new(format!("the policy has no switch `{name}`")))
        }
        None => Ok(None),
    }
}

/// How it will be after a start, where somebody has said so: a line `NAME=1`.
fn kept(machine: &Machine, policy: &str, name: &str) -> Result<Option<bool>, Failure> {
    match machine.foretold_state(&of(name)) {
        Some(foretold) if foretold.contains("after a start") => {
            return Ok(Some(foretold.starts_with("on")));
        }
        _ => {}
    }
    let file = Path::new("/var/lib/selinux").join(policy).join("active/booleans.local");
    let text = system::read(machine, &file)?.unwrap_or_default();
    let told = system::value(&text, name);
    Ok(told.map(|told| ["1", "on", "true"].contains(&told)))
}
