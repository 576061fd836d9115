//! `zypper`: packages of SUSE Linux.

use super::managers::{self, Installed, Manager, State};
use super::{Failure, Module, Outcome, Task, TaskContext, no_check, rpm, system};
use crate::host::machine::Machine;
use crate::host::machine::command::{Command, Output};
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use crate::sinks::apply::words::{Quotes, split};
use std::path::PathBuf;

pub(super) static MODULE: Module = Module {
    name: "zypper",
    summary: "Makes sure that packages of SUSE Linux are installed, or not. Tried against stand-ins for \
              `zypper` and `rpm` alone.",
    acts_unless: None,
    spec: Spec {
        not_yet: &[&["quiet", "simple_errors"]],
        ..Spec::new(&[
            Param::new("name", Kind::Texts).or(&["pkg"]).required().says(
                "The packages: `NAME`, `NAME=VERSION`, `NAME=VERSION-RELEASE`, as a list or with \
                 commas between. Comparisons, files and addresses are left to zypper each time; `*` \
                 with `state: latest` is all packages.",
            ),
            Param::new("state", Kind::OneOf(STATES)).says(
                "What becomes of them: `present` (`installed`), where not given, `latest`, `absent` \
                 (`removed`), or `dist-upgrade` with the name `*`.",
            ),
            Param::new("type", Kind::OneOf(TYPES)).says(
                "What they are; `package` where not given. Others are left to zypper each time.",
            ),
            Param::new("update_cache", Kind::Bool)
                .or(&["refresh"])
                .says("Fetch the lists of packages first."),
            Param::new("disable_gpg_check", Kind::Bool)
                .says("Packages may be installed that nobody has signed."),
            Param::new("auto_import_keys", Kind::Bool)
                .says("Trust keys of repositories that are not known yet."),
            Param::new("disable_recommends", Kind::Bool)
                .says("Whether what packages recommend stays away; true where not given."),
            Param::new("force", Kind::Bool).says("Install an older version too, or another vendor's."),
            Param::new("force_resolution", Kind::Bool)
                .says("Let zypper decide what goes where packages conflict."),
            Param::new("oldpackage", Kind::Bool)
                .says("A version may be older than the one that is there."),
            Param::new("allow_vendor_change", Kind::Bool)
                .says("With `dist-upgrade`, packages may come from another vendor."),
            Param::new("replacefiles", Kind::Bool)
                .says("Packages may bring files that others have brought."),
            Param::new("clean_deps", Kind::Bool)
                .says("With `absent`, remove too what only these packages needed."),
            Param::new("skip_post_errors", Kind::Bool)
                .says("A package whose script fails after it was installed is installed."),
            Param::new("extra_args_precommand", Kind::CommandLine)
                .says("More arguments, before the command of zypper."),
            Param::new("extra_args", Kind::CommandLine).says("More arguments for the command."),
        ])
    },
    check: no_check,
    build: |params| Box::new(Zypper { params, environment: Vec::new() }),
};

const STATES: &[&str] = &["absent", "dist-upgrade", "installed", "latest", "present", "removed"];
const TYPES: &[&str] = &["application", "package", "patch", "pattern", "product", "srcpackage"];

/// With these statuses zypper ends too where it has done its work: something has to be started anew,
/// or zypper itself was brought up to date and wants to go on.
const DONE: [i32; 3] = [102, 103, 106];
/// That of a script that failed after its package was installed.
const SCRIPT_FAILED: i32 = 107;

struct Zypper {
    params: Params,
    environment: Vec<(String, String)>,
}

impl Task for Zypper {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let zypper = &Self { params: params.clone(), environment: cx.environment.to_vec() };
        if params.flag("update_cache", false) {
            managers::refresh(machine, &zypper.command(&["refresh"], &[]))?;
        }
        let names = managers::names(params, "name");
        let state = State::of(params);
        let is_all = names.iter().any(|name| name == "*");
        if params.text("state") == Some("dist-upgrade") || (is_all && state == State::Latest) {
            let words =
                zypper.words(if state == State::Latest { "update" } else { "dist-upgrade" })?;
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            return zypper.act(machine, &words, &[], &[], State::Latest);
        }
        let is_read = params.text("type").unwrap_or("package") == "package";
        let wanted = match is_read {
            true => managers::to_change(zypper, machine, &names, state)?,
            false => names.clone(),
        };
        let asked = if state == State::Latest { &names } else { &wanted };
        if asked.is_empty() {
            return Ok(Outcome::default());
        }
        let words = zypper.words(if state == State::Absent { "remove" } else { "install" })?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let named = if is_read { &wanted[..] } else { &[] };
        zypper.act(machine, &words, asked, named, state)
    }
}

impl Zypper {
    fn act(
        &self,
        machine: &mut Machine,
        words: &[&str],
        asked: &[String],
        named: &[String],
        state: State,
    ) -> Result<Outcome, Failure> {
        managers::transact(self, machine, &self.command(words, asked), named, state)
    }

    /// The command of zypper with its options.
    fn words(&self, command: &str) -> Result<Vec<String>, Failure> {
        let params = &self.params;
        let mut words = vec![command.to_owned()];
        let mut add = |option: &str| words.push(option.to_owned());
        if command != "dist-upgrade" {
            add("--type");
            add(params.text("type").unwrap_or("package"));
        }
        match command {
            "remove" => {
                if params.flag("clean_deps", false) {
                    add("--clean-deps");
                }
            }
            _ => {
                add("--auto-agree-with-licenses");
                let recommends = params.flag("disable_recommends", true);
                add(if recommends { "--no-recommends" } else { "--recommends" });
                for (name, option, of) in [
                    ("allow_vendor_change", "--allow-vendor-change", "dist-upgrade"),
                    ("force", "--force", "install"),
                    ("oldpackage", "--oldpackage", "install"),
                    ("replacefiles", "--replacefiles", command),
                ] {
                    if of == command && params.flag(name, false) {
                        add(option);
                    }
                }
            }
        }
        if params.flag("force_resolution", false) {
            add("--force-resolution");
        }
        words.extend(self.extra("extra_args")?);
        Ok(words)
    }

    fn extra(&self, name: &str) -> Result<Vec<String>, Failure> {
        let text = self.params.text(name).unwrap_or_default();
        let unended = |quote| Failure::new(format!("`{name}` has a {quote} without an end"));
        split(text, Quotes::Resolve).map_err(unended)
    }
}

impl Manager for Zypper {
    fn database(&self) -> PathBuf {
        rpm::DATABASE.into()
    }

    fn installed(&self, machine: &Machine) -> Result<Installed, Failure> {
        rpm::installed(machine, &self.environment)
    }

    fn has(&self, _: &Machine, installed: &Installed, name: &str) -> Result<bool, Failure> {
        let (name, version) = name.split_once('=').unwrap_or((name, ""));
        let is_it = |there: &String| {
            let there = there.rsplit_once('.').map_or(there.as_str(), |(it, _)| it);
            let alone = there.rsplit_once('-').map_or(there, |(it, _)| it);
            version.is_empty() || [there, alone].contains(&version)
        };
        Ok(installed.get(name).is_some_and(|versions| versions.iter().any(is_it)))
    }

    fn is_done(&self, output: &Output) -> bool {
        let code = output.code();
        output.is_success()
            || DONE.contains(&code)
            || (code == SCRIPT_FAILED && self.params.flag("skip_post_errors", false))
    }

    fn command(&self, words: &[&str], names: &[String]) -> Command {
        let params = &self.params;
        let mut argv = ["zypper", "--quiet", "--non-interactive"].map(str::to_owned).to_vec();
        let of_all = [
            ("auto_import_keys", "--gpg-auto-import-keys"),
            ("disable_gpg_check", "--no-gpg-checks"),
        ];
        argv.extend(managers::options(params, &of_all));
        // A quote without an end is told where the words of the command are read.
        let first = params.text("extra_args_precommand").unwrap_or_default();
        argv.extend(split(first, Quotes::Resolve).unwrap_or_default());
        argv.extend(words.iter().map(|word| (*word).to_owned()));
        if !names.is_empty() {
            // What follows are no options, whatever a package is called.
            argv.push("--".to_owned());
        }
        argv.extend(names.iter().cloned());
        system::in_english(argv, &self.environment)
    }
}
