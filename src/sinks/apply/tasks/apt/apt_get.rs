//! Starts apt: asks it what it would do, lets it do that, and tells what came of it.

use super::super::{Failure, Outcome};
use super::names::Request;
use super::with_output;
use crate::host::machine::Machine;
use crate::host::machine::command::{Command, Output, Ran};
use crate::host::machine::mode::Mode;
use crate::host::machine::packages::package_property;
use crate::host::machine::path::Follow;
use crate::host::machine::write::{Attributes, WriteOptions};
use crate::host::packages::database::{Package, Packages};
use crate::host::packages::simulation;
use crate::sinks::apply::params::Params;
use bytes::Bytes;
use minijinja::Value;
use std::path::Path;

/// Which packages apt has installed only because others needed them.
const AUTOMATIC: &str = "/var/lib/apt/extended_states";
/// The property that is whether a package stays when nothing needs it.
const KEPT: &str = "kept";
const WHILE_NEEDED: &str = "while others need it";
const ALWAYS: &str = "always";
/// What decides whether packages may start services.
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// How apt says that several packages stand for a name, and it takes none by itself.
const VIRTUAL: &str = "has no installation candidate";

/// Whether apt only does not know which of several packages to take.
pub(super) fn is_virtual(failure: &Failure) -> bool {
    failure.message.contains(VIRTUAL)
}

/// How apt is started.
pub(super) struct AptGet<'a> {
    pub(super) params: &'a Params,
    pub(super) environment: &'a [(String, String)],
}

/// What came of a transaction.
#[derive(Default)]
pub(super) struct Done {
    /// Whether apt had something to do.
    pub(super) has_run: bool,
    stdout: String,
    stderr: String,
    failed: Option<String>,
    pub(super) unknown: bool,
    /// It was only foretold.
    pub(super) is_foretold: bool,
}

impl Done {
    pub(super) fn with_message(self, outcome: Outcome) -> Outcome {
        let outcome = Outcome { failed: self.failed, unknown: self.unknown, ..outcome };
        let diff = Value::from_pairs([("prepared", prepared(&self.stdout))]);
        with_output(outcome, &self.stdout, &self.stderr).with("diff", diff)
    }
}

/// What apt says of what it does: what stands between its preparations and the work.
fn prepared(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    let begin = lines.iter().position(|line| *line == "Reading state information...");
    let begin = begin.map_or(0, |at| at + 1);
    let is_sum = |line: &&str| {
        let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
        rest.len() < line.len() && rest.starts_with(" upgraded")
    };
    let end = lines.iter().position(is_sum).map_or(lines.len(), |at| at + 1);
    lines.get(begin..end).unwrap_or_default().join("\n")
}

impl AptGet<'_> {
    pub(super) fn command(&self, program: &str, words: &[&str]) -> Command {
        let mut argv = vec![program.to_owned()];
        argv.extend(words.iter().map(|word| (*word).to_owned()));
        let mut environment: Vec<(String, String)> = [
            // Nobody is there to answer, and what is said is read here.
            ("DEBIAN_FRONTEND", "noninteractive"),
            ("DEBIAN_PRIORITY", "critical"),
            ("LC_ALL", "C.UTF-8"),
            ("LANGUAGE", "C"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        environment.extend(self.environment.iter().cloned());
        Command { argv, environment, ..Command::default() }
    }

    /// `apt-get` with all that the task says of how it is to go about it.
    fn apt_get(&self, verb: &[&str], names: &[String]) -> Command {
        let params = self.params;
        let mut words: Vec<String> =
            ["-q", "-y", "-o", "Dpkg::Use-Pty=0"].map(str::to_owned).into();
        let mut option = |text: String| words.extend(["-o".to_owned(), text]);
        let dpkg = params.text("dpkg_options").unwrap_or("force-confdef,force-confold");
        for one in dpkg.split(',').filter(|one| !one.is_empty()) {
            option(format!("Dpkg::Options::=--{one}"));
        }
        option(format!("DPkg::Lock::Timeout={}", params.int("lock_timeout").unwrap_or(60)));
        if params.has("install_recommends") {
            let word = if params.flag("install_recommends", false) { "yes" } else { "no" };
            option(format!("APT::Install-Recommends={word}"));
        } else if params.has("deb") {
            // As Ansible, which lets dpkg install files, and dpkg knows of no recommendations.
            option("APT::Install-Recommends=no".to_owned());
        }
        if let Some(release) = params.text("default_release") {
            option(format!("APT::Default-Release={release}"));
        }
        let force = params.flag("force", false);
        for (name, flag) in [
            ("allow_unauthenticated", "--allow-unauthenticated"),
            ("allow_downgrade", "--allow-downgrades"),
            ("allow_change_held_packages", "--allow-change-held-packages"),
            ("force", "--allow-remove-essential"),
        ] {
            if force || params.flag(name, false) {
                words.push(flag.to_owned());
            }
        }
        // Some verbs know nothing of what is needed no more, and apt takes the word for a mistake.
        let removes = !matches!(verb.first(), Some(&("autoclean" | "build-dep" | "clean")));
        if removes && params.flag("autoremove", false) {
            words.push("--auto-remove".to_owned());
        }
        for (name, flag) in
            [("fail_on_autoremove", "--no-remove"), ("only_upgrade", "--only-upgrade")]
        {
            if params.flag(name, false) {
                words.push(flag.to_owned());
            }
        }
        words.extend(verb.iter().map(|word| (*word).to_owned()));
        words.extend(names.iter().cloned());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.command("apt-get", &words)
    }

    /// What apt says that it would do.
    pub(super) fn simulate(
        &self,
        machine: &Machine,
        verb: &[&str],
        names: &[String],
    ) -> Result<String, Failure> {
        let mut verb = verb.to_vec();
        verb.push("--simulate");
        let output = machine.query(&self.apt_get(&verb, names))?;
        if !output.is_success() {
            return Err(complaint(&output));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs apt for something that leaves packages alone.
    pub(super) fn run(&self, machine: &mut Machine, verb: &[&str]) -> Result<Outcome, Failure> {
        match machine.run(&self.apt_get(verb, &[]))? {
            Ran::Unknown => Ok(Outcome::default()),
            Ran::Done(output) if output.is_success() => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                Ok(with_output(Outcome::default(), &text(&output.stdout), &text(&output.stderr)))
            }
            Ran::Done(output) => Err(complaint(&output)),
        }
    }

    /// Lets apt change packages, where it would change any.
    pub(super) fn transaction(
        &self,
        machine: &mut Machine,
        verb: &[&str],
        names: &[String],
    ) -> Result<Done, Failure> {
        let before = machine.packages()?;
        // What a dry run has foretold apt does not know, and is asked for beside.
        let is_removal = matches!(verb.first(), Some(&("remove" | "autoremove")));
        let base = |name: &str| {
            let name = name.split('=').next().unwrap_or_default();
            name.strip_suffix('-').unwrap_or(name).to_owned()
        };
        let mut asked: Vec<String> = machine
            .foretold_packages()
            .into_iter()
            .filter(|known| !names.iter().any(|name| base(name) == base(known)))
            .collect();
        let is_foretold = !asked.is_empty();
        asked.extend(names.iter().map(|name| match is_removal && is_foretold {
            true => format!("{name}-"),
            false => name.clone(),
        }));
        let asks: Vec<&str> = match verb {
            ["remove", rest @ ..] if is_foretold => [&["install"], rest].concat(),
            verb => verb.to_vec(),
        };
        let said = match self.simulate(machine, &asks, &asked) {
            Ok(said) => said,
            Err(_) if is_foretold || self.has_foretold_sources(machine) => {
                return self.unknown(machine, verb, names);
            }
            Err(failure) => return Err(failure),
        };
        let foretold =
            machine.packages_after(machine.packages_of_host()?, &simulation::steps(&said))?;
        if foretold == before {
            return Ok(Done { stdout: said, ..Done::default() });
        }
        self.perform(machine, (verb, names), [&before, &foretold], said)
    }

    /// Runs what apt is asked for, which makes of the packages `before` those `foretold`.
    pub(super) fn perform(
        &self,
        machine: &mut Machine,
        (verb, names): (&[&str], &[String]),
        [before, foretold]: [&Packages; 2],
        said: String,
    ) -> Result<Done, Failure> {
        let policy = self.set_policy(machine)?;
        let ran = machine.run(&self.apt_get(verb, names));
        // Whatever became of it: left behind, it would keep services from starting for ever.
        if let Some(old) = policy {
            restore_policy(machine, old)?;
        }
        Ok(match ran? {
            Ran::Unknown => {
                machine.note_packages(before, foretold)?;
                note_new(machine, [before, foretold], names, &said)?;
                Done { stdout: said, has_run: true, is_foretold: true, ..Done::default() }
            }
            Ran::Done(output) => {
                let after = machine.packages()?;
                machine.note_packages(before, &after)?;
                note_new(machine, [before, &after], names, &said)?;
                let failed = (!output.is_success()).then(|| complaint(&output).message);
                let [stdout, stderr] = [output.stdout, output.stderr]
                    .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                Done { stdout, stderr, failed, has_run: true, ..Done::default() }
            }
        })
    }

    /// Where packages come from may be another by then, so that nobody knows which there will be.
    fn has_foretold_sources(&self, machine: &Machine) -> bool {
        machine.is_dry_run()
            && (machine.foretells_below(Path::new("/etc/apt"))
                || super::lists::is_wanted(self.params)
                || machine.foretold_property(super::lists::OF, super::lists::FETCHED).is_some())
    }

    fn unknown(
        &self,
        machine: &mut Machine,
        verb: &[&str],
        names: &[String],
    ) -> Result<Done, Failure> {
        machine.run(&self.apt_get(verb, names))?;
        Ok(Done { has_run: true, unknown: true, ..Done::default() })
    }

    /// Lets the packages start what `policy_rc_d` says; the file that was there before.
    fn set_policy(&self, machine: &mut Machine) -> Result<Option<Option<Bytes>>, Failure> {
        let Some(code) = self.params.int("policy_rc_d") else { return Ok(None) };
        let path = Path::new(POLICY);
        let old = match machine.stat(path, Follow::Yes)? {
            Some(_) => Some(machine.read(path)?),
            None => None,
        };
        write_policy(machine, &format!("#!/bin/sh\nexit {code}\n").into())?;
        Ok(Some(old))
    }

    /// Which of the packages that are asked for would go with what needs them, as they are now.
    pub(super) fn automatic(
        &self,
        machine: &Machine,
        requests: &[Request],
    ) -> Result<Vec<String>, Failure> {
        let path = Path::new(AUTOMATIC);
        let text = match machine.stat(path, Follow::Yes)? {
            Some(_) => machine.read(path)?,
            None => Bytes::new(),
        };
        let text = String::from_utf8_lossy(&text);
        let is_written = |name: &str| {
            text.split("\n\n").any(|paragraph| {
                let has = |line: &str| paragraph.lines().any(|own| own == line);
                has(&format!("Package: {name}")) && has("Auto-Installed: 1")
            })
        };
        let packages = machine.packages()?;
        let mut found = Vec::new();
        for request in requests {
            let Some(package) = packages.find(&request.name).filter(|it| it.is_installed()) else {
                continue;
            };
            let called = packages.called(package);
            let is_automatic = match machine.foretold_property(&package_property(&called), KEPT) {
                Some(foretold) => foretold.as_deref() == Some(WHILE_NEEDED),
                None => is_written(&package.name),
            };
            if is_automatic {
                found.push(called);
            }
        }
        Ok(found)
    }

    /// Keeps packages, should what needed them go. Those that apt was just asked for it keeps by
    /// itself. As with Ansible that is no change of its own, and a dry run says nothing of it.
    pub(super) fn keep(
        &self,
        machine: &mut Machine,
        names: &[String],
        asked: &[String],
    ) -> Result<(), Failure> {
        let mut words = vec!["manual"];
        words.extend(names.iter().filter(|name| !asked.contains(name)).map(String::as_str));
        if words.len() == 1 {
            return Ok(());
        }
        match machine.refresh(&self.command("apt-mark", &words))? {
            Some(output) if !output.is_success() => Err(complaint(&output)),
            _ => Ok(()),
        }
    }

    /// The names of all packages that apt knows of.
    pub(super) fn known_names(&self, machine: &Machine) -> Result<Vec<String>, Failure> {
        let output = machine.query(&self.command("apt-cache", &["pkgnames"]))?;
        if !output.is_success() {
            return Err(complaint(&output));
        }
        Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
    }
}

/// Tells of packages that were not there before whether they stay when nothing needs them.
fn note_new(
    machine: &mut Machine,
    [before, after]: [&Packages; 2],
    names: &[String],
    said: &str,
) -> Result<(), Failure> {
    // Of a name that only another package provides, apt tells which it takes.
    let chosen = said.lines().filter_map(|line| {
        line.strip_prefix("Note, selecting '")?.split('\'').next().map(str::to_owned)
    });
    let is_file = |name: &str| name.starts_with('/');
    let asked = names.iter().map(|name| name.split('=').next().unwrap_or_default().to_owned());
    let asked: Vec<String> = asked.chain(chosen).collect();
    let has_file = names.iter().any(|name| is_file(name));
    for package in after.installed() {
        let called = after.called(package);
        if before.find(&called).is_some_and(Package::is_installed) {
            continue;
        }
        let is_asked = asked.iter().any(|name| after.find(name) == Some(package));
        if has_file && !is_asked {
            continue;
        }
        let why = if is_asked { ALWAYS } else { WHILE_NEEDED };
        let sides = [None, Some(why.to_owned())];
        machine.note_property(Path::new(AUTOMATIC), &package_property(&called), KEPT, sides)?;
    }
    Ok(())
}

fn write_policy(machine: &mut Machine, text: &Bytes) -> Result<(), Failure> {
    let attributes = Attributes { mode: Some(Mode::Exact(0o755)), ..Attributes::default() };
    machine.write_file(Path::new(POLICY), text, &attributes, &WriteOptions::default())?;
    Ok(())
}

fn restore_policy(machine: &mut Machine, old: Option<Bytes>) -> Result<(), Failure> {
    match old {
        Some(text) => write_policy(machine, &text),
        None => Ok(machine.remove(Path::new(POLICY))?),
    }
}

/// What apt says to what it does not do, in Ansible's words where those are known.
pub(super) fn complaint(output: &Output) -> Failure {
    why_not(output).of_program(output)
}

fn why_not(output: &Output) -> Failure {
    let said = [&output.stderr, &output.stdout].map(|bytes| String::from_utf8_lossy(bytes));
    let lines = || said.iter().flat_map(|text| text.lines());
    let errors: Vec<&str> = lines().filter_map(|line| line.strip_prefix("E: ")).collect();
    let Some(first) = errors.first() else {
        let last = lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no word why");
        return Failure::new(format!("apt-get: {}: {last}", output.how_it_ended()));
    };
    let quoted: Vec<&str> = first.split(['\'', '‘', '’']).collect();
    match (first, &quoted[..]) {
        (text, _) if text.starts_with("Unable to locate package ") => {
            let name = text.rsplit(' ').next().unwrap_or_default();
            let failure = Failure::new(format!("No package matching '{name}' is available"));
            let hint = "`update_cache: true` fetches the lists of packages first".to_owned();
            Failure { hint: Some(hint), ..failure }
        }
        (text, [_, version, _, name, ..]) if text.starts_with("Version ") => {
            Failure::new(format!("no available installation candidate for {name}={version}"))
        }
        (text, _) if text.starts_with("Could not get lock ") => {
            let failure = Failure::new(format!("apt-get: {text}"));
            let hint = "another apt is at work; `lock_timeout` says how long to wait for it";
            Failure { hint: Some(hint.to_owned()), ..failure }
        }
        _ => Failure::new(format!("apt-get: {}", errors.join("; "))),
    }
}
