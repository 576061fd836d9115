//! `dnf`: packages of Fedora and its kin.

use super::managers::{self, Installed, Manager, STATES, State};
use super::{Failure, Module, Outcome, Task, TaskContext, no_check, rpm, system};
use crate::host::machine::Machine;
use crate::host::machine::command::Command;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use std::path::PathBuf;

const SPEC: Spec = Spec {
    exclusive: &[&["best", "nobest"]],
    one_of: &[&["autoremove", "name", "update_cache"]],
    not_yet: &[&[
        "allow_downgrade",
        "bugfix",
        "conf_file",
        "disable_excludes",
        "download_dir",
        "download_only",
        "installroot",
        "list",
        "releasever",
        "security",
        "sslverify",
        "update_only",
        "validate_certs",
    ]],
    ..Spec::new(&[
        Param::new("name", Kind::Texts).or(&["pkg"]).says(
            "The packages: `NAME`, `NAME-VERSION`, `NAME-VERSION-RELEASE`, each with `.ARCHITECTURE` \
             behind it or not, as a list or with commas between. Groups, files, addresses and \
             comparisons are left to dnf each time; `*` with `state: latest` is all packages.",
        ),
        Param::new("state", Kind::OneOf(STATES)).says(
            "What becomes of them: `present` (`installed`), where not given, `latest`, or `absent` \
             (`removed`).",
        ),
        Param::new("update_cache", Kind::Bool)
            .or(&["expire-cache"])
            .says("Fetch the lists of packages first."),
        Param::new("autoremove", Kind::Bool).says(
            "Remove what was only installed because others needed it, and is needed no more.",
        ),
        Param::new("enablerepo", Kind::Texts).says("Use these repositories too."),
        Param::new("disablerepo", Kind::Texts).says("Do not use these."),
        Param::new("enable_plugin", Kind::Texts).says("Use these plug-ins of dnf too."),
        Param::new("disable_plugin", Kind::Texts).says("Do not use these."),
        Param::new("exclude", Kind::Texts).says("Leave these packages alone."),
        Param::new("disable_gpg_check", Kind::Bool)
            .says("Packages may be installed that nobody has signed."),
        Param::new("skip_broken", Kind::Bool).says("Leave out what cannot be installed."),
        Param::new("allowerasing", Kind::Bool).says("Others may be removed where that is needed."),
        Param::new("best", Kind::Bool).says("Take the newest version or none."),
        Param::new("nobest", Kind::Bool).says("Take an older version where the newest cannot be."),
        Param::new("cacheonly", Kind::Bool).says("Fetch nothing."),
        Param::new("install_weak_deps", Kind::Bool)
            .says("Whether what packages recommend is installed too; true where not given."),
        Param::new("install_repoquery", Kind::Bool).says("Accepted: there are no dependencies."),
        Param::new("use_backend", Kind::OneOf(&["auto", "dnf", "dnf4", "dnf5", "yum", "yum4"]))
            .says("Accepted: the program `dnf` is used in any case."),
        Param::new("lock_timeout", Kind::Int)
            .says("Accepted: dnf itself waits for another dnf to end."),
    ])
};

pub(super) static MODULE: Module = Module {
    name: "dnf",
    summary: "Makes sure that packages of Fedora and its kin are installed, or not. Tried against \
              stand-ins for `dnf` and `rpm` alone.",
    acts_unless: None,
    spec: SPEC,
    check: no_check,
    build: |params| Box::new(Dnf { params, environment: Vec::new() }),
};

pub(super) static YUM: Module = Module {
    name: "yum",
    summary: "The same as `dnf`.",
    acts_unless: None,
    spec: SPEC,
    check: no_check,
    build: |params| Box::new(Dnf { params, environment: Vec::new() }),
};

struct Dnf {
    params: Params,
    environment: Vec<(String, String)>,
}

impl Task for Dnf {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let dnf = &Self { params: params.clone(), environment: cx.environment.to_vec() };
        if params.flag("update_cache", false) {
            managers::refresh(machine, &dnf.command(&["makecache"], &[]))?;
        }
        let names = managers::names(params, "name");
        let state = State::of(params);
        let mut outcome = Outcome::default();
        let mut act =
            |machine: &mut Machine, words: &[&str], asked: &[String], named: &[String]| {
                let command = dnf.command(words, asked);
                outcome = managers::transact(dnf, machine, &command, named, state)?;
                Ok::<(), Failure>(())
            };
        if names.iter().any(|name| name == "*") && state == State::Latest {
            act(machine, &["upgrade"], &[], &[])?;
            return Ok(outcome);
        }
        let wanted = managers::to_change(dnf, machine, &names, state)?;
        if !wanted.is_empty() {
            let verb = if state == State::Absent { "remove" } else { "install" };
            act(machine, &[verb], &wanted, &wanted)?;
        }
        let there: Vec<String> =
            names.iter().filter(|name| !wanted.contains(name)).cloned().collect();
        if state == State::Latest && !there.is_empty() {
            act(machine, &["upgrade"], &there, &[])?;
        }
        if params.flag("autoremove", false) {
            act(machine, &["autoremove"], &[], &[])?;
        }
        Ok(outcome)
    }
}

impl Manager for Dnf {
    fn database(&self) -> PathBuf {
        rpm::DATABASE.into()
    }

    fn installed(&self, machine: &Machine) -> Result<Installed, Failure> {
        rpm::installed(machine, &self.environment)
    }

    fn has(&self, _: &Machine, installed: &Installed, name: &str) -> Result<bool, Failure> {
        if let Some((epoch, rest)) = name.split_once(':')
            && epoch.bytes().all(|byte| byte.is_ascii_digit())
        {
            // `EPOCH:NAME-VERSION` is another way to write `NAME-EPOCH:VERSION`.
            let is_it = |(known, version): (&String, &String)| {
                version
                    .strip_prefix(&format!("{epoch}:"))
                    .is_some_and(|version| forms(known, version).any(|form| form == rest))
            };
            return Ok(pairs(installed).any(is_it));
        }
        let is_it = |(known, version): (&String, &String)| {
            let without_epoch = version.split_once(':').map_or(version.as_str(), |(_, rest)| rest);
            forms(known, version).chain(forms(known, without_epoch)).any(|form| form == name)
        };
        Ok(pairs(installed).any(is_it))
    }

    fn command(&self, words: &[&str], names: &[String]) -> Command {
        let params = &self.params;
        let mut argv = ["dnf", "--assumeyes", "--quiet"].map(str::to_owned).to_vec();
        for name in ["enablerepo", "disablerepo", "exclude"] {
            let all = managers::names(params, name);
            argv.extend(all.iter().map(|one| format!("--{name}={one}")));
        }
        for (name, option) in
            [("enable_plugin", "--enableplugin"), ("disable_plugin", "--disableplugin")]
        {
            let all = managers::names(params, name);
            argv.extend(all.iter().map(|one| format!("{option}={one}")));
        }
        argv.extend(managers::options(
            params,
            &[
                ("disable_gpg_check", "--nogpgcheck"),
                ("skip_broken", "--skip-broken"),
                ("allowerasing", "--allowerasing"),
                ("best", "--best"),
                ("nobest", "--nobest"),
                ("cacheonly", "--cacheonly"),
            ],
        ));
        if !params.flag("install_weak_deps", true) {
            argv.push("--setopt=install_weak_deps=False".to_owned());
        }
        argv.extend(words.iter().map(|word| (*word).to_owned()).chain(names.iter().cloned()));
        system::in_english(argv, &self.environment)
    }
}

fn pairs(installed: &Installed) -> impl Iterator<Item = (&String, &String)> {
    installed.iter().flat_map(|(name, versions)| versions.iter().map(move |it| (name, it)))
}

/// The ways in which one package can be named.
fn forms(name: &str, version: &str) -> impl Iterator<Item = String> {
    let (version, architecture) = version.rsplit_once('.').unwrap_or((version, ""));
    let (alone, _) = version.rsplit_once('-').unwrap_or((version, ""));
    let plain = [name.to_owned(), format!("{name}-{alone}"), format!("{name}-{version}")];
    let with_architecture = plain.clone().map(|form| format!("{form}.{architecture}"));
    plain.into_iter().chain(with_architecture)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_has_names_with_and_without_version_release_and_architecture() {
        let all: Vec<String> = forms("a-b", "1.2-3.fc40.x86_64").collect();
        let expected = [
            "a-b",
            "a-b-1.2",
            "a-b-1.2-3.fc40",
            "a-b.x86_64",
            "a-b-1.2.x86_64",
            "a-b-1.2-3.fc40.x86_64",
        ];
        assert_eq!(all, expected);
    }
}
