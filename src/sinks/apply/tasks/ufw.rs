//! `ufw`: the firewall that Ubuntu and Debian have for people.

use super::{Failure, Module, Outcome, Task, TaskContext, system};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::command::Command;
use crate::host::machine::state::Transition;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
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
                "`enabled`: it filters, now and after the next start. `reloaded` and `reset`, which \
                 takes all rules away, act each time. What else the task says is done before.",
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
/// The rules of each version of IP: the file, and what the dump of a dry run has of it.
const RULES: [(&str, &str); 2] =
    [("/etc/ufw/user.rules", ":ufw-user-input "), ("/etc/ufw/user6.rules", ":ufw6-user-input ")];

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
            step(machine, "ufw", ["with rules", "reset"], &["ufw", "--force", "reset"], None)?;
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
        let deletes = self.params.flag("delete", false);
        let wanted = if deletes { "absent" } else { "present" };
        let of = format!("ufw rule {}", self.words(rule, false).join(" "));
        let is_so = match machine.foretold_state(&of) {
            Some(foretold) => foretold == wanted,
            None => is_so(machine, &self.words(rule, deletes))?,
        };
        if is_so {
            return Ok(());
        }
        let argv = with_program("ufw", &self.words(rule, deletes));
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let back = match deletes {
            // What a dry run would put back nobody asks.
            true if machine.is_dry_run() => None,
            true => self.put_back(machine, rule)?,
            false => Some(self.words(rule, true)),
        };
        let back = back.map(|words| with_program("ufw", &words));
        let back: Option<Vec<&str>> =
            back.as_ref().map(|argv| argv.iter().map(String::as_str).collect());
        let before = if deletes { "present" } else { "absent" };
        step(machine, &of, [before, wanted], &argv, back.as_deref())
    }

    /// The arguments that put a rule back where it is now, once it is deleted. `None` where its place
    /// cannot be told.
    fn put_back(&self, machine: &Machine, rule: &str) -> Result<Option<Vec<String>>, Failure> {
        let argv = [vec!["--dry-run".to_owned()], self.words(rule, true)].concat();
        let argv = with_program("ufw", &argv);
        let output = machine.guard(&Command { argv, ..Command::default() })?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        // Rules for version 6 of IP are counted on from those for version 4.
        let mut before = 0;
        for (at, (file, mark)) in RULES.iter().enumerate() {
            let now = system::read(machine, Path::new(file))?.unwrap_or_default();
            let now: Vec<&str> = tuples(&now).collect();
            if let Some(left) = told(&said, at, mark) {
                let left: Vec<&str> = tuples(left).collect();
                let same = now.iter().zip(&left).take_while(|(one, other)| one == other).count();
                if let Some(gone) = now.get(same).filter(|_| now.len() == left.len() + 1) {
                    let mut words = self.words(rule, false);
                    if let Some(comment) =
                        comment(gone).filter(|_| !words.contains(&"comment".into()))
                    {
                        words.extend(["comment".to_owned(), comment]);
                    }
                    if same < left.len() {
                        let place = (before + same + 1).to_string();
                        let at = usize::from(self.params.flag("route", false));
                        words.splice(at..at, ["insert".to_owned(), place]);
                    }
                    return Ok(Some(words));
                }
            }
            before += now.len();
        }
        Ok(None)
    }

    /// The rule as arguments.
    fn words(&self, rule: &str, deletes: bool) -> Vec<String> {
        let params = &self.params;
        let text = |name| params.text(name);
        let mut words: Vec<String> = Vec::new();
        let mut add = |all: &[&str]| words.extend(all.iter().map(|word| (*word).to_owned()));
        if params.flag("route", false) {
            add(&["route"]);
        }
        if deletes {
            add(&["delete"]);
        } else if let Some(number) = params.int("insert").filter(|_| !params.flag("delete", false))
        {
            add(&["insert", &number.to_string()]);
        }
        add(&[rule]);
        if let Some(direction) = text("direction") {
            add(&[direction]);
        }
        let on: [(&str, &[&str]); 3] = [
            ("interface", &["on"]),
            ("interface_in", &["in", "on"]),
            ("interface_out", &["out", "on"]),
        ];
        for (name, before) in on {
            if let Some(interface) = text(name) {
                add(before);
                add(&[interface]);
            }
        }
        if params.flag("log", false) {
            add(&["log"]);
        }
        for (name, before, usual) in [
            ("from_ip", "from", Some("any")),
            ("from_port", "port", None),
            ("to_ip", "to", Some("any")),
            ("to_port", "port", None),
            ("proto", "proto", None),
            ("name", "app", None),
            ("comment", "comment", None),
        ] {
            // Which rule it is that goes, its comment does not tell.
            if let Some(value) = text(name).or(usual).filter(|_| !(deletes && name == "comment")) {
                add(&[before, value]);
            }
        }
        words
    }
}

fn with_program(program: &str, words: &[String]) -> Vec<String> {
    let mut argv = vec![program.to_owned()];
    argv.extend_from_slice(words);
    argv
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

/// Whether ufw would leave its rules as they are. It tells in a dry run of its own which rules it would
/// have; what it would not touch it leaves out.
fn is_so(machine: &Machine, words: &[String]) -> Result<bool, Failure> {
    let argv = with_program("ufw", &[vec!["--dry-run".to_owned()], words.to_vec()].concat());
    let output = machine.guard(&Command { argv, ..Command::default() })?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.is_success() {
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        let complaint = complaint.trim().trim_start_matches("ERROR: ").to_owned();
        // What is not there needs no deleting.
        if complaint.contains("Could not delete non-existent rule") {
            return Ok(true);
        }
        return Err(Failure::new(format!("ufw objects: {complaint}")));
    }
    let is_known = said.contains("Skipping") || RULES.iter().any(|(_, mark)| said.contains(mark));
    if !is_known {
        let failure = Failure::new("`ufw --dry-run` does not tell what it would do");
        return Err(Failure { is_denial: machine.is_dry_run(), ..failure });
    }
    for (at, (file, mark)) in RULES.iter().enumerate() {
        let Some(told) = told(&said, at, mark) else { continue };
        let now = system::read(machine, Path::new(file))?.unwrap_or_default();
        if !tuples(&now).eq(tuples(told)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Any text in place of what `ufw --dry-run` says.
#[cfg(any(test, fuzzing))]
pub(super) fn hostile(text: &str) {
    for (at, (_, mark)) in RULES.iter().enumerate() {
        tuples(told(text, at, mark).unwrap_or(text)).for_each(|tuple| drop(comment(tuple)));
    }
}

/// What `ufw --dry-run` says of one of its files, if it says something.
fn told<'t>(said: &'t str, at: usize, mark: &str) -> Option<&'t str> {
    let begin = said.find(mark)?;
    let end = RULES.get(at + 1).and_then(|(_, mark)| said.find(mark)).unwrap_or(said.len());
    said.get(begin..end)
}

/// The comment of a rule, which its line has in digits of base 16.
fn comment(tuple: &str) -> Option<String> {
    let digits = tuple.split_whitespace().find_map(|word| word.strip_prefix("comment="))?;
    let pairs = (0..digits.len()).step_by(2);
    let bytes = pairs.map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok());
    String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()
}

/// The lines that say what rules there are.
fn tuples(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.starts_with("### tuple ###"))
}
