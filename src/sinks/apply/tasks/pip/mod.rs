//! `pip`: packages of Python.

mod environment;
mod wanted;

use super::{Failure, Module, Outcome, Task, TaskContext};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::command::{Output, Ran};
use crate::host::packages::python::Requirement;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use crate::sinks::apply::words::{Quotes, split};
use environment::Environment;

pub(super) static MODULE: Module = Module {
    name: "pip",
    summary: "Makes sure that packages of Python are installed, or not, with pip.",
    acts_unless: None,
    spec: Spec {
        exclusive: &[&["name", "requirements"], &["executable", "virtualenv"]],
        one_of: &[&["name", "requirements"]],
        ..Spec::new(&[
            Param::new("name", Kind::Texts).says(
                "The packages, as a list or with commas between: `NAME`, `NAME==VERSION`, \
                 `NAME>=1,<2`, or what else pip takes, such as a path or an address.",
            ),
            Param::new("version", Kind::Text)
                .says("The version of the package, where `name` is one and says none."),
            Param::new("requirements", Kind::Text)
                .says("A file that lists packages; it may be relative to `chdir`."),
            Param::new("state", Kind::OneOf(&["absent", "forcereinstall", "latest", "present"]))
                .says(
                    "What becomes of them: `present`, where not given, takes any version that is \
                     asked for; `latest` the newest; `forcereinstall` installs them each time.",
                ),
            Param::new("virtualenv", Kind::Path).says(
                "The directory of the environment that they belong to; it is made where it is not \
                 there. Without one they belong to the host's Python.",
            ),
            Param::new("virtualenv_command", Kind::CommandLine).says(
                "What makes an environment: `virtualenv`, where not given; `python3 -m venv` needs \
                 nothing beside Python.",
            ),
            Param::new("virtualenv_python", Kind::Text)
                .says("The Python of a new environment that `virtualenv` makes."),
            Param::new("virtualenv_site_packages", Kind::Bool)
                .says("A new environment sees the packages of the host's Python too."),
            Param::new("editable", Kind::Bool)
                .says("Leave the package where it is, so that changes to it count at once."),
            Param::new("chdir", Kind::Path)
                .says("The directory that pip runs in, and that relative paths are below."),
            Param::new("executable", Kind::Path)
                .says("The pip to run, by name or path; that of `python3` where not given."),
            Param::new("extra_args", Kind::CommandLine).says("More arguments for pip."),
            Param::new("umask", Kind::Text)
                .says("The umask that pip runs with, such as `\"0022\"`."),
            Param::new("break_system_packages", Kind::Bool)
                .says("Install into the host's Python although its packages are Debian's."),
        ])
    },
    check,
    build: |params| Box::new(Pip { params }),
};

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = Vec::new();
    let mut complain =
        |name: &str, why: &str| complaints.push(Diagnostic::new(why, params.place(name)));
    let names = wanted::names(params);
    if names.iter().any(|name| name.starts_with('-')) {
        complain("name", "`name` holds an option, which belongs to `extra_args`");
    }
    if params.has("version") {
        let has_own = |name: &String| Requirement::read(name).is_some_and(|it| !it.takes_all());
        if params.text("state") == Some("latest") {
            complain("version", "version is incompatible with state=latest");
        } else if params.has("requirements") {
            complain("version", "`version` belongs to `name`, and there is none");
        } else if names.len() > 1 {
            complain(
                "version",
                "'version' argument is ambiguous when installing multiple packages",
            );
        } else if names.iter().any(has_own) {
            complain("version", "The 'version' argument conflicts with the one that `name` says");
        }
    }
    let is_octal = |text: &str| !text.is_empty() && u32::from_str_radix(text, 8).is_ok();
    if params.text("umask").is_some_and(|text| !is_octal(text) && !text.contains("{{")) {
        complain("umask", "umask must be an octal integer");
    }
    for name in ["extra_args", "virtualenv_command"] {
        if params.text(name).is_some_and(|text| words(text).is_err()) {
            complain(name, &format!("`{name}` has a quote without an end"));
        }
    }
    let makes = params.text("virtualenv_command").unwrap_or("virtualenv");
    if params.has("virtualenv_python") && environment::is_venv(makes) {
        complain("virtualenv_python", "virtualenv_python is not for the module `venv`");
    }
    complaints
}

fn words(text: &str) -> Result<Vec<String>, Failure> {
    let unended = |quote| Failure::new(format!("`{text}` has a {quote} without an end"));
    split(text, Quotes::Resolve).map_err(unended)
}

struct Pip {
    params: Params,
}

impl Task for Pip {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let mut environment = Environment::of(params, cx.environment)?;
        let made = environment.make(machine, params)?;
        let state = params.text("state").unwrap_or("present");
        let argv = self.argv(machine, &environment, state)?;
        let before = environment.installed(machine)?;
        // Where pip does not run, what is installed is what there is to tell, as in Ansible's check mode.
        let outcome = self.returned(&environment, &argv).with("stdout", before.told(machine));
        let wanted = wanted::read(machine, params, &environment.directory)?;
        let is_all = |takes: &dyn Fn(&Requirement) -> bool| {
            wanted.as_ref().is_some_and(|all| all.iter().all(takes))
        };
        let is_all_there = is_all(&|one| before.has(machine, one));
        let is_none_there = is_all(&|one| before.version(machine, &one.name).is_none());
        let is_editable = params.flag("editable", false);
        match state {
            "present" if is_all_there && !is_editable => return Ok(made.told(outcome)),
            "absent" if is_none_there => return Ok(made.told(outcome)),
            _ => {}
        }
        let is_sure = match state {
            "forcereinstall" => true,
            "latest" => false,
            _ => wanted.is_some() && !is_editable,
        };
        let command = environment.command(params, argv);
        let ran = if is_sure { machine.run(&command)? } else { machine.attempt(&command)? };
        let output = match ran {
            Ran::Unknown => {
                let mut all: Vec<&Requirement> = wanted.iter().flatten().collect();
                all.sort_by(|left, right| left.name.cmp(&right.name));
                for one in all {
                    let is = one.exact().unwrap_or("the newest that will do").to_owned();
                    let is = (state != "absent").then_some(is);
                    if is_sure && !(state == "present" && before.has(machine, one)) {
                        before.note(machine, &one.name, is)?;
                    }
                }
                // What they need beside is known to pip alone.
                let unknown = state != "absent" || wanted.is_none();
                return Ok(Outcome { unknown, ..outcome });
            }
            Ran::Done(output) => output,
        };
        let said = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said));
        let is_missing = state == "absent" && said.iter().any(|it| it.contains("not installed"));
        if !output.is_success() && !is_missing {
            return Err(complaint(&output));
        }
        let after = environment.installed(machine)?;
        let changes = before.note_all(machine, &after)?;
        // Of what comes from a repository pip always says so; what counts is what is there then.
        let names = wanted::names(params);
        let is_told = !params.has("requirements") && !names.iter().any(|name| is_repository(name));
        if !is_sure && !changes && is_told && said[0].contains("Successfully installed") {
            before.note_again(machine, &names)?;
        }
        let outcome = made.told(outcome);
        Ok(outcome.with("stdout", said[0].as_ref()).with("stderr", said[1].as_ref()))
    }
}

impl Pip {
    /// The command line of pip.
    fn argv(
        &self,
        machine: &Machine,
        environment: &Environment,
        state: &str,
    ) -> Result<Vec<String>, Failure> {
        let params = &self.params;
        let mut argv = environment.pip(machine, params)?;
        let verb: &[&str] = match state {
            "absent" => &["uninstall", "-y"],
            "latest" => &["install", "-U"],
            "forcereinstall" => &["install", "-U", "--force-reinstall"],
            _ => &["install"],
        };
        argv.extend(verb.iter().map(|word| (*word).to_owned()));
        let extra = words(params.text("extra_args").unwrap_or_default())?;
        let is_editable = params.flag("editable", false) && !extra.iter().any(|word| word == "-e");
        argv.extend(extra);
        if is_editable {
            argv.push("-e".to_owned());
        }
        match params.text("requirements") {
            Some(file) => argv.extend(["-r".to_owned(), file.to_owned()]),
            None => argv.extend(wanted::arguments(params)),
        }
        Ok(argv)
    }

    fn returned(&self, environment: &Environment, argv: &[String]) -> Outcome {
        let params = &self.params;
        let path = environment.path.as_ref().map(|path| path.display().to_string());
        Outcome::default()
            .with("cmd", argv.to_vec())
            .with("name", params.texts("name").map(<[String]>::to_vec))
            .with("version", params.text("version"))
            .with("state", params.text("state").unwrap_or("present"))
            .with("requirements", params.text("requirements"))
            .with("virtualenv", path)
            .with("stderr", "")
    }
}

/// Whether a package comes from a repository of a version control system, as a bare URL or as
/// `NAME @ URL`.
fn is_repository(name: &str) -> bool {
    let url = name.split_once(" @ ").map_or(name, |(_, url)| url.trim_start());
    ["bzr+", "git+", "hg+", "svn+"].iter().any(|system| url.starts_with(system))
}

/// What pip says to what it does not do.
fn complaint(output: &Output) -> Failure {
    let said = String::from_utf8_lossy(&output.stderr);
    let errors: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("ERROR: ")).collect();
    if said.contains("externally-managed-environment") {
        let why = "pip: the packages of this host's Python are not pip's to change";
        let hint = "install into a `virtualenv`, or say `break_system_packages: true`".to_owned();
        return Failure { hint: Some(hint), ..Failure::new(why) }.of_program(output);
    }
    let last = || said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no word why");
    let why = if errors.is_empty() { last().to_owned() } else { errors.join("; ") };
    Failure::new(format!("pip: {}: {why}", output.how_it_ended())).of_program(output)
}
