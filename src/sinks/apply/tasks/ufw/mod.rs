//! `ufw`: the firewall that Ubuntu and Debian have for people.

mod rule;

#[cfg(any(test, fuzzing))]
pub(super) use rule::hostile;

use super::{Failure, Module, Outcome, Task, TaskContext, system};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::mode::Mode;
use crate::host::machine::path::Follow;
use crate::host::machine::state::Transition;
use crate::host::machine::write::{Attributes, WriteOptions};
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use rule::{Rule, is_so, with_program};
use std::path::Path;

pub(super) static MODULE: Module = Module {
    name: "ufw",
    summary: "Makes sure that ufw has a rule, or not, and that it is at work.",
    acts_unless: None,
    spec: Spec {
        not_yet: &[&["insert_relative_to"]],
        one_of: &[&["default", "logging", "rule", "state"]],
        exclusive: &[&["name", "proto", "logging"]],
        ..Spec::new(&[
            Param::new("state", Kind::OneOf(&["disabled", "enabled", "reloaded", "reset"])).says(
                "`enabled`: it filters, now and after the next start. `reloaded` acts each time. \
                 `reset`: it does not filter, and has the rules of a new installation; those that it \
                 had are kept beside. `reset` is done before what else the task says, the others after.",
            ),
            Param::new("default", Kind::OneOf(&["allow", "deny", "reject"]))
                .or(&["policy"])
                .says("What becomes of what no rule is about; `direction` says of which."),
            Param::new("direction", Kind::OneOf(&["in", "incoming", "out", "outgoing", "routed"]))
                .says("Which way; `incoming` where not given, and none for a rule."),
            Param::new("logging", Kind::OneOf(&["full", "high", "low", "medium", "off", "on"]))
                .says("How much is told; `on` is `low`."),
            Param::new("rule", Kind::OneOf(&["allow", "deny", "limit", "reject"]))
                .says("What becomes of what the rule is about."),
            Param::new("delete", Kind::Bool).says("The rule is not there."),
            Param::new("route", Kind::Bool).says("It is about what passes through this host."),
            Param::new("insert", Kind::Int).says("The number that a new rule gets among the others."),
            Param::new("log", Kind::Bool).says("Tell of what it is about."),
            Param::new("interface", Kind::Text).or(&["if"]).says("On which interface."),
            Param::new("interface_in", Kind::Text).or(&["if_in"]).says("In by which interface."),
            Param::new("interface_out", Kind::Text).or(&["if_out"]).says("Out by which interface."),
            Param::new("from_ip", Kind::Text)
                .or(&["from", "src"])
                .says("From where: an address or a network; anywhere where not given."),
            Param::new("from_port", Kind::Text).says("From which port."),
            Param::new("to_ip", Kind::Text).or(&["dest", "to"]).says("To where."),
            Param::new("to_port", Kind::Text).or(&["port"]).says("To which port, or ports: `8000:8100`."),
            Param::new("proto", Kind::OneOf(&["ah", "any", "esp", "gre", "igmp", "ipv6", "tcp", "udp", "vrrp"]))
                .or(&["protocol"])
                .says("By which protocol."),
            Param::new("name", Kind::Text)
                .or(&["app"])
                .says("An application whose ports `/etc/ufw/applications.d` knows."),
            Param::new("comment", Kind::Text).says("A comment of the rule."),
        ])
    },
    check,
    build: |params| Box::new(Ufw { params }),
};

const CONFIG: &str = "/etc/ufw/ufw.conf";
const DEFAULTS: &str = "/etc/default/ufw";
/// Where the rules are that tasks and people give it.
const OWN_RULES: &str = "/etc/ufw/user.rules";
/// Where the rules of a new installation are.
const INITIAL_RULES: &str = "/usr/share/ufw/iptables";
const RULE_FILES: [&str; 6] =
    ["before.rules", "user.rules", "after.rules", "before6.rules", "user6.rules", "after6.rules"];

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = Vec::new();
    let mut complain =
        |name: &str, why: &str| complaints.push(Diagnostic::new(why, params.place(name)));
    if let Some(direction) = params.text("direction") {
        let is_short = ["in", "out"].contains(&direction);
        if params.has("rule") && !is_short {
            complain("direction", "the `direction` of a rule is `in` or `out`");
        }
    }
    if params.has("interface") && !params.has("direction") {
        complain("interface", "`interface` needs `direction`");
    }
    if params.has("interface") && (params.has("interface_in") || params.has("interface_out")) {
        complain(
            "interface",
            "`ufw` takes `interface` or `interface_in` and `interface_out`, not both",
        );
    }
    if params.has("interface_in") && params.has("interface_out") && !params.flag("route", false) {
        complain("interface_in", "only what passes through comes in and goes out: `route: true`");
    }
    if params.flag("delete", false) && params.has("insert") {
        complain("insert", "a rule that is deleted gets no number");
    }
    for name in ["comment", "from_ip", "from_port", "interface", "name", "to_ip", "to_port"] {
        if params.text(name).is_some_and(|text| text.is_empty() || text.contains(['\n', '\''])) {
            complain(name, &format!("`{name}` is not empty, and has neither quotes nor line ends"));
        }
    }
    complaints
}

struct Ufw {
    params: Params,
}

impl Task for Ufw {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let state = params.text("state");
        if state == Some("reset") {
            self.reset(machine)?;
        }
        if let Some(policy) = params.text("default") {
            self.set_default(machine, policy)?;
        }
        if let Some(level) = params.text("logging") {
            let level = if level == "on" { "low" } else { level };
            let now = part(machine, "ufw logging", CONFIG, "LOGLEVEL")?;
            let back: [&str; 3] = ["ufw", "logging", &now];
            if now != level {
                let argv = ["ufw", "logging", level];
                step(machine, "ufw logging", [&now, level], &argv, Some(&back))?;
            }
        }
        if let Some(rule) = params.text("rule") {
            self.set_rule(machine, rule)?;
        }
        if let Some(state) = state {
            self.set_state(machine, state)?;
        }
        Ok(Outcome::default())
    }
}

impl Ufw {
    fn set_default(&self, machine: &mut Machine, policy: &str) -> Result<(), Failure> {
        let (direction, variable) = match self.params.text("direction") {
            Some("out" | "outgoing") => ("outgoing", "DEFAULT_OUTPUT_POLICY"),
            Some("routed") => ("routed", "DEFAULT_FORWARD_POLICY"),
            _ => ("incoming", "DEFAULT_INPUT_POLICY"),
        };
        let of = format!("ufw default {direction}");
        let now = match part(machine, &of, DEFAULTS, variable)?.as_str() {
            "ACCEPT" => "allow".to_owned(),
            "DROP" => "deny".to_owned(),
            "REJECT" => "reject".to_owned(),
            foretold => foretold.to_owned(),
        };
        if now == policy {
            return Ok(());
        }
        let (argv, back) =
            (["ufw", "default", policy, direction], ["ufw", "default", &now, direction]);
        step(machine, &of, [&now, policy], &argv, Some(&back))
    }

    /// Stops the filter and puts the rules of a new installation in the place of those that there are,
    /// as `ufw reset` does; but as files that are written, which can be foretold and taken back.
    fn reset(&self, machine: &mut Machine) -> Result<(), Failure> {
        let mut files = Vec::new();
        for name in RULE_FILES {
            let initial = Path::new(INITIAL_RULES).join(name);
            if machine.stat(&initial, Follow::Yes)?.is_none() {
                let why = format!("there is no file {}, which ufw brings along", initial.display());
                let failure = Failure::from(machine.absence(why));
                return Err(Failure { hint: Some("install ufw first".into()), ..failure });
            }
            files.push((Path::new("/etc/ufw").join(name), machine.read(&initial)?));
        }
        self.set_state(machine, "disabled")?;
        for (path, content) in files {
            let is_new = machine.stat(&path, Follow::Yes)?.is_none();
            let mode = is_new.then_some(Mode::Exact(0o640));
            let attributes = Attributes { mode, ..Attributes::default() };
            let options = WriteOptions { follow: true, backup: true, ..WriteOptions::default() };
            machine.write_file(&path, &content, &attributes, &options)?;
        }
        Ok(())
    }

    fn set_state(&self, machine: &mut Machine, state: &str) -> Result<(), Failure> {
        let is_on = part(machine, "ufw state", CONFIG, "ENABLED")?;
        let now = if ["yes", "enabled"].contains(&is_on.as_str()) { "enabled" } else { "disabled" };
        let (on, off) = (["ufw", "--force", "enable"], ["ufw", "disable"]);
        match state {
            "enabled" if now != state => step(machine, "ufw state", [now, state], &on, Some(&off)),
            "disabled" if now != state => step(machine, "ufw state", [now, state], &off, Some(&on)),
            // One that is not at work has nothing to load.
            "reloaded" if now == "enabled" => {
                step(machine, "ufw", ["loaded", "loaded anew"], &["ufw", "reload"], None)
            }
            _ => Ok(()),
        }
    }

    fn set_rule(&self, machine: &mut Machine, rule: &str) -> Result<(), Failure> {
        let rule = Rule { params: &self.params, verb: rule };
        let deletes = self.params.flag("delete", false);
        let wanted = if deletes { "absent" } else { "present" };
        let of = format!("ufw rule {}", rule.words(false).join(" "));
        let is_so = match machine.foretold_state(&of) {
            Some(foretold) => foretold == wanted,
            None => {
                let is_so = is_so(machine, &rule.words(deletes))?;
                // A rule that was there before a `reset` is foretold to be there no more.
                if machine.foretells_below(Path::new(OWN_RULES)) { deletes } else { is_so }
            }
        };
        if is_so {
            return Ok(());
        }
        let argv = with_program("ufw", &rule.words(deletes));
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let back = match deletes {
            // What a dry run would put back nobody asks.
            true if machine.is_dry_run() => None,
            true => rule.put_back(machine)?,
            false => Some(rule.words(true)),
        };
        let back = back.map(|words| with_program("ufw", &words));
        let back: Option<Vec<&str>> =
            back.as_ref().map(|argv| argv.iter().map(String::as_str).collect());
        let before = if deletes { "present" } else { "absent" };
        step(machine, &of, [before, wanted], &argv, back.as_deref())
    }
}

fn step(
    machine: &mut Machine,
    of: &str,
    [before, after]: [&str; 2],
    argv: &[&str],
    back: Option<&[&str]>,
) -> Result<(), Failure> {
    Ok(machine.transition(&Transition {
        of: of.to_owned(),
        before: before.to_owned(),
        after: after.to_owned(),
        argv: system::argv(argv),
        back: back.map(system::argv),
    })?)
}

/// What a dry run has foretold of a part, or what a line `NAME=value` of a file says.
fn part(machine: &Machine, of: &str, file: &str, name: &str) -> Result<String, Failure> {
    if let Some(foretold) = machine.foretold_state(of) {
        return Ok(foretold);
    }
    let Some(text) = system::read(machine, Path::new(file))? else {
        let failure = Failure::new(format!("there is no file {file}"));
        return Err(Failure { hint: Some("install ufw first".into()), ..failure });
    };
    let told = system::value(&text, name).unwrap_or_default();
    Ok(told.trim_matches('"').to_owned())
}
