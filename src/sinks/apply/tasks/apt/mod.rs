//! `apt`: packages of Debian and what comes of it.

mod apt_get;
mod deb;
mod lists;
mod names;

use super::{Failure, Module, Outcome, Task, TaskContext};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::path::Follow;
use crate::host::packages::database::{Package, State};
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use apt_get::{AptGet, Done};
use names::Request;
use std::path::Path;

pub(super) static MODULE: Module = Module {
    name: "apt",
    summary: "Makes sure that packages are installed, or not, with apt.",
    acts_unless: None,
    spec: Spec {
        exclusive: &[&["deb", "package", "upgrade"]],
        one_of: &[&["autoclean", "autoremove", "clean", "deb", "package", "update_cache", "upgrade"]],
        ..Spec::new(&[
            Param::new("package", Kind::Texts).or(&["name", "pkg"]).says(
                "The packages: `NAME`, `NAME=VERSION`, `NAME>=VERSION` or `NAME:ARCHITECTURE`, as a \
                 list or with commas between. Names and versions may be patterns; `*` with `state: \
                 latest` is all that is installed.",
            ),
            Param::new("state", Kind::OneOf(&["absent", "build-dep", "fixed", "latest", "present"]))
                .says(
                    "What becomes of them: `present`, where not given, takes any version; `latest` \
                     the one that apt would choose; `build-dep` installs what it takes to build \
                     them; `fixed` mends what was left half done.",
                ),
            Param::new("update_cache", Kind::Bool)
                .or(&["update-cache"])
                .says("Fetch the lists of packages first."),
            Param::new("cache_valid_time", Kind::Int).says(
                "Fetch the lists only where they are older than this, in seconds; this too asks for \
                 it.",
            ),
            Param::new("update_cache_retries", Kind::Int)
                .says("How often fetching is tried; 5 where not given."),
            Param::new("update_cache_retry_max_delay", Kind::Int)
                .says("The longest pause between two tries, in seconds; 12 where not given."),
            Param::new("deb", Kind::Text).says(
                "Package files to install, with commas between: paths of this host, or URLs. What \
                 they depend on is installed with them.",
            ),
            Param::new("purge", Kind::Bool)
                .says("With `state: absent`, take configuration files away too."),
            Param::new("autoremove", Kind::Bool).says(
                "Remove what was only installed because others needed it, and is needed no more.",
            ),
            Param::new("autoclean", Kind::Bool)
                .says("Delete fetched package files that can be fetched no more."),
            Param::new("clean", Kind::Bool).says("Delete all fetched package files."),
            Param::new("fail_on_autoremove", Kind::Bool)
                .says("Fail where a package would have to be removed."),
            Param::new("install_recommends", Kind::Bool).or(&["install-recommends"]).says(
                "Whether what packages recommend is installed too; as apt is set up where not given.",
            ),
            Param::new("default_release", Kind::Text)
                .or(&["default-release"])
                .says("The release to take packages from, such as `bookworm-backports`."),
            Param::new("upgrade", Kind::OneOf(&["dist", "full", "no", "safe", "yes"])).says(
                "Upgrade all packages: `safe` and `yes` remove none, `full` and `dist` do where \
                 that is needed.",
            ),
            Param::new("only_upgrade", Kind::Bool)
                .says("Leave packages alone that are not installed."),
            Param::new("allow_downgrade", Kind::Bool)
                .or(&["allow-downgrade", "allow-downgrades", "allow_downgrades"])
                .says("An older version may take the place of a newer one."),
            Param::new("allow_change_held_packages", Kind::Bool)
                .says("Packages that are held may change."),
            Param::new("allow_unauthenticated", Kind::Bool)
                .or(&["allow-unauthenticated"])
                .says("Packages may be installed that nobody has signed."),
            Param::new("force", Kind::Bool).says(
                "All three of `allow_unauthenticated`, `allow_downgrade` and \
                 `allow_change_held_packages`, and essential packages may be removed.",
            ),
            Param::new("dpkg_options", Kind::Text).says(
                "Options for dpkg, with commas between; `force-confdef,force-confold` where not \
                 given, which keeps configuration files that were changed by hand.",
            ),
            Param::new("policy_rc_d", Kind::Int).says(
                "What `/usr/sbin/policy-rc.d` answers while packages are installed: 101 keeps \
                 services from being started.",
            ),
            Param::new("lock_timeout", Kind::Int)
                .says("How long to wait for another apt to end, in seconds; 60 where not given."),
            Param::new("force_apt_get", Kind::Bool)
                .says("Accepted: `apt-get` is used in any case."),
            Param::new("auto_install_module_deps", Kind::Bool)
                .says("Accepted: there are no dependencies."),
        ])
    },
    check,
    build: |params| Box::new(Apt { params }),
};

/// Where apt keeps the package files that it has fetched.
const ARCHIVES: &str = "/var/cache/apt/archives";

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = Vec::new();
    let mut complain =
        |name: &str, why: String| complaints.push(Diagnostic::new(why, params.place(name)));
    for name in names::words(params) {
        if let Err(why) = Request::read(&name) {
            complain("package", why);
        }
    }
    if params.has("deb") && params.text("state").is_some_and(|state| state != "present") {
        complain("state", "`deb` takes no `state` but `present`".to_owned());
    }
    for name in ["cache_valid_time", "lock_timeout", "update_cache_retry_max_delay"] {
        if let Some(number) = params.int(name).filter(|number| *number < 0) {
            complain(name, format!("`{name}` is {number}, and no less than 0 is expected"));
        }
    }
    if let Some(number) = params.int("update_cache_retries").filter(|number| *number < 1) {
        let why = format!("`update_cache_retries` is {number}, and no less than 1 is expected");
        complain("update_cache_retries", why);
    }
    if let Some(code) = params.int("policy_rc_d").filter(|code| !(0..=255).contains(code)) {
        complain("policy_rc_d", format!("`policy_rc_d` is {code}, and 0 to 255 is expected"));
    }
    let options = params.text("dpkg_options").unwrap_or_default();
    if let Some(wrong) = options.chars().find(|c| c.is_whitespace()) {
        let why =
            format!("`dpkg_options` holds {wrong:?}, and commas are expected between options");
        complain("dpkg_options", why);
    }
    complaints
}

struct Apt {
    params: Params,
}

impl Task for Apt {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let apt = AptGet { params, environment: cx.environment };
        let mut outcome = Outcome::default();
        if params.flag("clean", false) {
            self.clean(machine, &apt)?;
        }
        let lists = lists::update(machine, &apt)?;
        let words = names::words(params);
        let upgrade = params.text("upgrade").filter(|mode| *mode != "no");
        let takes_all = words.iter().any(|word| word == "*");
        let mut names: Vec<String> = words.into_iter().filter(|word| word != "*").collect();
        let state = params.text("state").unwrap_or("present");
        if takes_all && state == "latest" && !names.is_empty() {
            let why = "all that is installed is upgraded, or the packages that are named, not both";
            return Err(Failure::new(why));
        }
        if let Some(deb) = params.text("deb") {
            return Ok(lists.told(deb::install(machine, &apt, deb)?));
        }
        if let Some(mode) = upgrade.or((takes_all && state == "latest").then_some("yes")) {
            let verb: &[&str] = match mode {
                "dist" | "full" => &["dist-upgrade"],
                _ => &["upgrade", "--with-new-pkgs"],
            };
            outcome = apt.transaction(machine, verb, &[])?.with_message(outcome);
        } else if names.is_empty() {
            if params.flag("autoclean", false) {
                outcome = self.autoclean(machine, &apt)?;
            }
            if params.flag("autoremove", false) {
                let purge: &[&str] = if params.flag("purge", false) { &["--purge"] } else { &[] };
                let verb = [&["autoremove"], purge].concat();
                outcome = apt.transaction(machine, &verb, &[])?.with_message(outcome);
            }
            if !params.has("package") && lists.is_all(params) {
                lists.note(machine)?;
                return Ok(lists.alone(outcome));
            }
        } else if state == "absent" {
            names = names::expanded(machine, &apt, &names, names::Among::Installed)?;
            outcome = self.remove(machine, &apt, &names)?;
        } else if state == "build-dep" {
            outcome = apt.transaction(machine, &["build-dep"], &names)?.with_message(outcome);
        } else {
            names = names::expanded(machine, &apt, &names, names::Among::Known)?;
            outcome = self.install(machine, &apt, &names, state)?;
        }
        Ok(lists.told(outcome))
    }
}

impl Apt {
    fn install(
        &self,
        machine: &mut Machine,
        apt: &AptGet<'_>,
        names: &[String],
        state: &str,
    ) -> Result<Outcome, Failure> {
        let packages = machine.packages()?;
        let requests = requests(names)?;
        let mut wanted = Vec::new();
        for request in &requests {
            let found = packages.find(&request.name).filter(|package| package.is_installed());
            let is_right = found.is_some_and(|package| request.takes(&package.version));
            let is_left_out = found.is_none() && self.params.flag("only_upgrade", false);
            if !is_left_out && (!is_right || state != "present") {
                wanted.push(request);
            }
        }
        let automatic = apt.automatic(machine, &requests)?;
        let verb: &[&str] =
            if state == "fixed" { &["install", "--fix-broken"] } else { &["install"] };
        let arguments: Vec<String> = wanted.iter().map(|request| request.argument()).collect();
        let is_needed = !wanted.is_empty() || state == "fixed";
        let ran = is_needed.then(|| apt.transaction(machine, verb, &arguments));
        let done = match ran.unwrap_or_else(|| Ok(Done::default())) {
            // Of several packages that stand for a name, one is enough.
            Err(failure) if apt_get::is_virtual(&failure) => {
                let is_there = |request: &&Request| {
                    packages.find(&request.name).is_some_and(Package::is_installed)
                        || packages.installed().any(|it| it.provides.contains(&request.name))
                };
                if !wanted.iter().all(is_there) {
                    return Err(failure);
                }
                Done::default()
            }
            done => done?,
        };
        let has_run = done.has_run;
        // Ansible tells what apt says only where it lets apt do something.
        let outcome = match has_run {
            true => done.with_message(Outcome::default()),
            false => Outcome::default(),
        };
        if outcome.failed.is_none() && !outcome.unknown {
            self.check_versions(machine, &wanted)?;
            let asked: Vec<String> = match has_run {
                true => wanted.iter().map(|request| request.name.clone()).collect(),
                false => Vec::new(),
            };
            apt.keep(machine, &automatic, &asked)?;
        }
        Ok(outcome)
    }

    /// Whether apt took versions that were asked for only by what they are no less than.
    fn check_versions(&self, machine: &Machine, wanted: &[&Request]) -> Result<(), Failure> {
        if wanted.iter().all(|request| !request.is_least()) {
            return Ok(());
        }
        let packages = machine.packages()?;
        for request in wanted {
            if let Some(package) = packages.find(&request.name).filter(|it| it.is_installed())
                && !request.takes(&package.version)
            {
                let why = format!("no available installation candidate for {request}");
                return Err(Failure::new(why));
            }
        }
        Ok(())
    }

    fn remove(
        &self,
        machine: &mut Machine,
        apt: &AptGet<'_>,
        names: &[String],
    ) -> Result<Outcome, Failure> {
        let packages = machine.packages()?;
        let purge = self.params.flag("purge", false);
        let mut wanted = Vec::new();
        for request in requests(names)? {
            let is_there =
                packages.find(&request.name).is_some_and(|package| match package.state {
                    State::Installed => request.takes(&package.version),
                    State::Unfinished => true,
                    State::Configuration => purge,
                    State::Absent => false,
                });
            if is_there {
                wanted.push(request.name);
            }
        }
        if wanted.is_empty() {
            return Ok(Outcome::default());
        }
        let verb: &[&str] = if purge { &["remove", "--purge"] } else { &["remove"] };
        Ok(apt.transaction(machine, verb, &wanted)?.with_message(Outcome::default()))
    }

    /// Deletes fetched package files, where there are any.
    fn clean(&self, machine: &mut Machine, apt: &AptGet<'_>) -> Result<(), Failure> {
        let archives = Path::new(ARCHIVES);
        if machine.stat(archives, Follow::Yes)?.is_none() {
            return Ok(());
        }
        let is_package =
            |name: &std::ffi::OsString| Path::new(name).extension().is_some_and(|it| it == "deb");
        let mut is_needed = machine.list(archives)?.iter().any(is_package);
        // What apt keeps of the lists so as to read them faster goes too.
        for name in ["pkgcache.bin", "srcpkgcache.bin"] {
            is_needed |= machine.stat(&archives.with_file_name(name), Follow::Yes)?.is_some();
        }
        if is_needed {
            apt.run(machine, &["clean"])?;
        }
        Ok(())
    }

    fn autoclean(&self, machine: &mut Machine, apt: &AptGet<'_>) -> Result<Outcome, Failure> {
        let said = apt.simulate(machine, &["autoclean"], &[])?;
        if said.lines().any(|line| line.starts_with("Del ")) {
            return apt.run(machine, &["autoclean"]);
        }
        Ok(Outcome::default().with("stdout", said).with("stderr", ""))
    }
}

/// Fetches the lists of packages, with the `update_cache_retries` of a task; a dry run does not.
pub(super) fn fetch_lists(
    machine: &mut Machine,
    params: &Params,
    environment: &[(String, String)],
) -> Result<(), Failure> {
    lists::fetch(machine, &AptGet { params, environment }).map(drop)
}

fn requests(names: &[String]) -> Result<Vec<Request>, Failure> {
    names.iter().map(|name| Request::read(name).map_err(Failure::new)).collect()
}

/// What a program said.
fn with_output(outcome: Outcome, stdout: &str, stderr: &str) -> Outcome {
    outcome.with("stdout", stdout).with("stderr", stderr)
}
