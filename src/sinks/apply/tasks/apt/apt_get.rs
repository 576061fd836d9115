//! Starts apt: asks it what it would do, lets it do that, and tells what came of it.

use super::super::{Failure, Outcome};
use super::names::Request;
use super::with_output;
use crate::host::machine::Machine;
use crate::host::machine::command::{Command, Output, Ran};
use crate::host::machine::mode::Mode;
use crate::host::machine::path::Follow;
use crate::host::machine::write::{Attributes, WriteOptions};
use crate::host::packages::simulation;
use crate::sinks::apply::params::Params;
use bytes::Bytes;
use std::path::Path;

/// Which packages apt has installed only because others needed them.
const AUTOMATIC: &str = "/var/lib/apt/extended_states";
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
pub(super) struct Done {
    stdout: String,
    stderr: String,
    failed: Option<String>,
    unknown: bool,
}

impl Done {
    pub(super) fn with_message(self, outcome: Outcome) -> Outcome {
        let outcome = Outcome { failed: self.failed, unknown: self.unknown, ..outcome };
        with_output(outcome, &self.stdout, &self.stderr)
    }
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
        for (name, flag) in [
            ("autoremove", "--auto-remove"),
            ("fail_on_autoremove", "--no-remove"),
            ("only_upgrade", "--only-upgrade"),
        ] {
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
        let base = |name: &str| name.split(['=', '-']).next().unwrap_or_default().to_owned();
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
        let foretold = machine.packages_after(&before, &simulation::steps(&said))?;
        if foretold == before {
            return Ok(Done { stdout: said, stderr: String::new(), failed: None, unknown: false });
        }
        let policy = self.set_policy(machine)?;
        let ran = machine.run(&self.apt_get(verb, names))?;
        if let Some(old) = policy {
            restore_policy(machine, old)?;
        }
        Ok(match ran {
            Ran::Unknown => {
                machine.note_packages(&before, &foretold)?;
                Done { stdout: said, stderr: String::new(), failed: None, unknown: false }
            }
            Ran::Done(output) => {
                let after = machine.packages()?;
                machine.note_packages(&before, &after)?;
                let failed = (!output.is_success()).then(|| complaint(&output).message);
                let [stdout, stderr] = [output.stdout, output.stderr]
                    .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                Done { stdout, stderr, failed, unknown: false }
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
        Ok(Done { stdout: String::new(), stderr: String::new(), failed: None, unknown: true })
    }

    /// Lets the packages start what `policy_rc_d` says; the file that was there before.
    fn set_policy(&self, machine: &mut Machine) -> Result<Option<Option<Bytes>>, Failure> {
        let Some(code) = self.params.int("policy_rc_d") else { return Ok(None) };
        let path = Path::new(POLICY);
        let old = match machine.stat(path, Follow::Yes)? {
            Some(_) => Some(machine.read(path)?),
            None => None,
        };
        write_policy(machine, format!("#!/bin/sh\nexit {code}\n").into())?;
        Ok(Some(old))
    }

    /// Keeps the packages that are asked for, should what needed them go.
    pub(super) fn keep(&self, machine: &mut Machine, requests: &[Request]) -> Result<(), Failure> {
        let path = Path::new(AUTOMATIC);
        if machine.stat(path, Follow::Yes)?.is_none() {
            return Ok(());
        }
        let text = machine.read(path)?;
        let text = String::from_utf8_lossy(&text);
        let is_automatic = |name: &str| {
            text.split("\n\n").any(|paragraph| {
                let has = |line: &str| paragraph.lines().any(|own| own == line);
                has(&format!("Package: {name}")) && has("Auto-Installed: 1")
            })
        };
        let packages = machine.packages()?;
        let mut kept = Vec::new();
        for request in requests {
            let Some(package) = packages.find(&request.name).filter(|it| it.is_installed()) else {
                continue;
            };
            let of = format!("package {}", packages.called(package));
            let is_foretold = machine.foretold_property(&of, "installed").is_some();
            if !is_foretold && is_automatic(&package.name) {
                kept.push((request.name.as_str(), of));
            }
        }
        if kept.is_empty() {
            return Ok(());
        }
        let mut words = vec!["manual"];
        words.extend(kept.iter().map(|(name, _)| *name));
        if let Ran::Done(output) = machine.run(&self.command("apt-mark", &words))?
            && !output.is_success()
        {
            return Err(complaint(&output));
        }
        for (_, of) in kept {
            let sides = ["since others need it", "since it is asked for"];
            machine.note_property(
                path,
                &of,
                "installed",
                sides.map(|side| Some(side.to_owned())),
            )?;
        }
        Ok(())
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

fn write_policy(machine: &mut Machine, text: Bytes) -> Result<(), Failure> {
    let attributes = Attributes { mode: Some(Mode::Exact(0o755)), ..Attributes::default() };
    machine.write_file(Path::new(POLICY), &text, &attributes, &WriteOptions::default())?;
    Ok(())
}

fn restore_policy(machine: &mut Machine, old: Option<Bytes>) -> Result<(), Failure> {
    match old {
        Some(text) => write_policy(machine, text),
        None => Ok(machine.remove(Path::new(POLICY))?),
    }
}

/// What apt says to what it does not do, in Ansible's words where those are known.
pub(super) fn complaint(output: &Output) -> Failure {
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
