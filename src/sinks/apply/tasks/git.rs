//! `git`: a checkout of a repository, by the host's own `git` program.

use super::{Failure, Module, Outcome, Task, TaskContext};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::command::{Command, Ran};
use crate::host::machine::meta::Kind as FileKind;
use crate::host::machine::path::Follow;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use minijinja::Value;
use std::path::{Path, PathBuf};

pub(super) static MODULE: Module = Module {
    name: "git",
    summary: "Makes sure that a directory is a checkout of a version of a repository.",
    acts_unless: None,
    spec: Spec {
        not_yet: &[&[
            "archive",
            "archive_prefix",
            "gpg_allowlist",
            "gpg_whitelist",
            "reference",
            "separate_git_dir",
            "track_submodules",
            "umask",
        ]],
        ..Spec::new(&[
            Param::new("repo", Kind::Text)
                .or(&["name"])
                .required()
                .says("The repository: a URL, or a path of the host."),
            Param::new("dest", Kind::Path).required().says("The directory with the files."),
            Param::new("version", Kind::Any)
                .says("A branch, tag or commit; `HEAD` where not given."),
            Param::new("remote", Kind::Text)
                .says("What the repository is called in `dest`; `origin` where not given."),
            Param::new("refspec", Kind::Text).says("What else is fetched."),
            Param::new("clone", Kind::Bool)
                .says("Make the directory where it is missing; true where not given."),
            Param::new("update", Kind::Bool).says("Fetch what is new; true where not given."),
            Param::new("force", Kind::Bool).says("Throw away changes that were made by hand."),
            Param::new("bare", Kind::Bool).says("Without files, only the history."),
            Param::new("depth", Kind::Int).says("Fetch only this many commits."),
            Param::new("single_branch", Kind::Bool)
                .says("Fetch only the branch that is asked for."),
            Param::new("recursive", Kind::Bool).says("Submodules, too; true where not given."),
            Param::new("verify_commit", Kind::Bool)
                .says("Refuse a commit without a signature that git believes."),
            Param::new("accept_hostkey", Kind::Bool).says(
                "Believe a server of SSH whatever it says who it is, where it is not known \
                 yet.",
            ),
            Param::new("accept_newhostkey", Kind::Bool)
                .says("Believe a server of SSH that is not known yet."),
            Param::new("key_file", Kind::Path)
                .or(&["ssh_key"])
                .says("The key to log in with by SSH."),
            Param::new("ssh_opts", Kind::Text).says("Further options for ssh."),
            Param::new("executable", Kind::Path).says("The git to run."),
        ])
    },
    check,
    build: |params| Box::new(Git { params }),
};

struct Git {
    params: Params,
}

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = Vec::new();
    let mut complain = |why: &str| complaints.push(Diagnostic::new(why, params.span.clone()));
    let repo = params.text("repo").unwrap_or_default();
    if repo.starts_with('-') || remote_of(params).starts_with('-') {
        complain("`repo` and `remote` do not begin with `-`");
    }
    let password = repo.split_once("://").and_then(|(_, rest)| rest.split('/').next());
    let password = password.and_then(|login| login.rsplit_once('@')).map(|(login, _)| login);
    if password.is_some_and(|login| login.contains(':')) {
        complain(
            "`repo` has a password in it, which `ps` shows; use `key_file` or a credential helper",
        );
    }
    if params.int("depth").is_some_and(|depth| depth < 1) {
        complain("`depth` is from 1 on");
    }
    complaints
}

fn remote_of(params: &Params) -> &str {
    params.text("remote").unwrap_or("origin")
}

/// Whether a version is a commit's own name.
fn is_commit(version: &str) -> bool {
    version.len() == 40 && version.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Task for Git {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let dest = params.path("dest").unwrap_or_default();
        let version = params.any("version").and_then(|node| node.scalar_text());
        let job = Job {
            params,
            cx,
            repo: params.text("repo").unwrap_or_default(),
            version: version.unwrap_or("HEAD"),
            remote: remote_of(params),
            bare: params.flag("bare", false),
            dest,
        };
        if job.version.starts_with('-') {
            return Err(Failure::new("`version` does not begin with `-`"));
        }
        if job.is_checkout(machine)? { job.update(machine) } else { job.clone(machine) }
    }
}

struct Job<'a> {
    params: &'a Params,
    cx: &'a TaskContext<'a>,
    repo: &'a str,
    version: &'a str,
    remote: &'a str,
    bare: bool,
    dest: PathBuf,
}

impl Job<'_> {
    fn is_checkout(&self, machine: &Machine) -> Result<bool, Failure> {
        let mark = if self.bare { self.dest.join("HEAD") } else { self.dest.join(".git") };
        Ok(machine.stat(&mark, Follow::Yes)?.is_some())
    }

    fn command(&self, chdir: Option<&Path>, words: &[&str]) -> Command {
        let mut argv = vec![self.params.text("executable").unwrap_or("git").to_owned()];
        argv.extend(words.iter().map(|word| (*word).to_owned()));
        let mut environment = self.cx.environment.to_vec();
        // It must not wait for an answer that nobody gives.
        environment.push(("GIT_TERMINAL_PROMPT".into(), "0".into()));
        environment.push(("LC_ALL".into(), "C".into()));
        // To look must not write the index anew.
        environment.push(("GIT_OPTIONAL_LOCKS".into(), "0".into()));
        let flag = |name| self.params.flag(name, false);
        let mut ssh = vec!["ssh -o BatchMode=yes".to_owned()];
        if flag("accept_hostkey") {
            ssh.push("-o StrictHostKeyChecking=no".into());
        } else if flag("accept_newhostkey") {
            ssh.push("-o StrictHostKeyChecking=accept-new".into());
        }
        if let Some(key) = self.params.text("key_file") {
            let quoted = key.replace('\'', "'\\''");
            ssh.push(format!("-i '{quoted}' -o IdentitiesOnly=yes"));
        }
        ssh.extend(self.params.text("ssh_opts").map(str::to_owned));
        if ssh.len() > 1 {
            environment.push(("GIT_SSH_COMMAND".into(), ssh.join(" ")));
        }
        Command { argv, chdir: chdir.map(Path::to_owned), environment, stdin: None }
    }

    /// What a command that only looks says; none where it fails.
    fn look(&self, machine: &Machine, words: &[&str]) -> Result<Option<String>, Failure> {
        let output = machine.query(&self.command(Some(&self.dest), words))?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok(output.is_success().then_some(text))
    }

    /// Runs a command that changes something; false where a dry run only notes it.
    fn run(
        &self,
        machine: &mut Machine,
        chdir: Option<&Path>,
        words: &[&str],
    ) -> Result<bool, Failure> {
        match machine.run(&self.command(chdir, words))? {
            Ran::Unknown => Ok(false),
            Ran::Done(output) if output.is_success() => Ok(true),
            Ran::Done(output) => Err(complaint(words[0], &output.stderr)),
        }
    }

    /// The commit that the version is in the repository.
    fn resolve(&self, machine: &Machine) -> Result<String, Failure> {
        if is_commit(self.version) {
            return Ok(self.version.to_owned());
        }
        let peeled = format!("{}^{{}}", self.version);
        let words = ["ls-remote", "--", self.repo, self.version, &peeled];
        let output = machine.query(&self.command(None, &words))?;
        if !output.is_success() {
            return Err(complaint("ls-remote", &output.stderr));
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let refs: Vec<(&str, &str)> =
            text.lines().filter_map(|line| line.split_once('\t')).collect();
        let name = self.version;
        let wanted = [
            name.to_owned(),
            format!("refs/heads/{name}"),
            format!("refs/tags/{name}^{{}}"),
            format!("refs/tags/{name}"),
        ];
        let found = wanted.iter().find_map(|name| refs.iter().find(|(_, own)| own == name));
        match found {
            Some((commit, _)) => Ok((*commit).to_owned()),
            None => Err(Failure::new(format!("the repository has no version `{name}`"))),
        }
    }

    fn clone(&self, machine: &mut Machine) -> Result<Outcome, Failure> {
        let flag = |name, usual| self.params.flag(name, usual);
        let found = machine.stat(&self.dest, Follow::Yes)?;
        match found.map(|found| found.kind) {
            None => {}
            Some(FileKind::Directory) if machine.list(&self.dest)?.is_empty() => {}
            Some(_) => {
                let dest = self.dest.display();
                let why = format!("{dest} is there, and is no checkout of a repository");
                let hint = "remove it first, or name another `dest`";
                return Err(Failure { hint: Some(hint.into()), ..Failure::new(why) });
            }
        }
        let commit = self.resolve(machine)?;
        if !flag("clone", true) {
            let outcome = Outcome::default().with("before", Value::from(()));
            return Ok(outcome.with("after", commit));
        }
        if let Some(parent) = self.dest.parent() {
            let attributes = crate::host::machine::write::Attributes::default();
            super::copy::make_directories(machine, parent, &attributes)?;
        }
        let dest = self.dest.display().to_string();
        let depth = self.params.int("depth").map(|depth| depth.to_string());
        let mut words = vec!["clone", "--origin", self.remote];
        if self.bare {
            words.push("--bare");
        }
        let by_name = self.version != "HEAD" && !is_commit(self.version);
        if by_name && !self.version.starts_with("refs/") {
            words.extend(["--branch", self.version]);
        }
        // Only a branch or tag can be cloned without its history.
        if let Some(depth) = depth.as_deref().filter(|_| !is_commit(self.version)) {
            words.extend(["--depth", depth]);
        }
        if flag("single_branch", false) {
            words.push("--single-branch");
        }
        words.extend(["--", self.repo, &dest]);
        if !self.run(machine, None, &words)? {
            return Ok(Outcome { unknown: true, ..Outcome::default() });
        }
        if let Some(refspec) = self.params.text("refspec") {
            self.run(machine, Some(&self.dest), &["fetch", self.remote, refspec])?;
        }
        self.settle(machine, &commit)?;
        self.told(Value::from(()), &commit, false)
    }

    fn update(&self, machine: &mut Machine) -> Result<Outcome, Failure> {
        let before = self.look(machine, &["rev-parse", "--verify", "HEAD"])?;
        let before = before.unwrap_or_default();
        if !self.params.flag("update", true) {
            return self.told(before.as_str().into(), &before, false);
        }
        let commit = self.resolve(machine)?;
        let url = self.look(machine, &["remote", "get-url", self.remote])?;
        let moved = url.as_deref() != Some(self.repo);
        let dirty = if self.bare {
            false
        } else {
            let status = ["status", "--porcelain", "--untracked-files=no"];
            self.look(machine, &status)?.is_none_or(|status| !status.is_empty())
        };
        let force = self.params.flag("force", false);
        if dirty && !force {
            let failure = Failure::new(format!("{} holds changes of its own", self.dest.display()));
            let hint = "`force: true` throws them away";
            return Err(Failure { hint: Some(hint.into()), ..failure });
        }
        if before == commit && !dirty && !moved {
            return self.told(before.as_str().into(), &commit, false);
        }
        if moved {
            let words = match url {
                Some(_) => ["remote", "set-url", self.remote, self.repo],
                None => ["remote", "add", self.remote, self.repo],
            };
            if !self.run(machine, Some(&self.dest), &words)? {
                return Ok(Outcome { unknown: true, ..Outcome::default() });
            }
        }
        if before != commit || dirty {
            let depth = self.params.int("depth").map(|depth| format!("--depth={depth}"));
            let mut words = vec!["fetch", "--tags", "--force"];
            words.extend(depth.as_deref().filter(|_| !is_commit(self.version)));
            words.push(self.remote);
            let heads = format!("+refs/heads/*:refs/remotes/{}/*", self.remote);
            words.push(if self.bare { "+refs/heads/*:refs/heads/*" } else { &heads });
            words.extend(self.params.text("refspec"));
            if !self.run(machine, Some(&self.dest), &words)? {
                return Ok(Outcome { unknown: true, ..Outcome::default() });
            }
            self.settle(machine, &commit)?;
        }
        self.told(before.as_str().into(), &commit, moved)
    }

    /// Brings the work tree to the commit: on its branch where the version is one.
    fn settle(&self, machine: &mut Machine, commit: &str) -> Result<(), Failure> {
        let dest = Some(self.dest.as_path());
        if self.params.flag("verify_commit", false) {
            let output = machine.query(&self.command(dest, &["verify-commit", commit]))?;
            if !output.is_success() {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                let why = format!("the signature of {commit} is not good: {said}");
                return Err(Failure::new(why));
            }
        }
        if self.bare {
            return Ok(());
        }
        let branch = format!("refs/remotes/{}/{}", self.remote, self.version);
        let is_branch = self.version != "HEAD"
            && self.look(machine, &["rev-parse", "--verify", "--quiet", &branch])?.is_some();
        if is_branch {
            let upstream = format!("{}/{}", self.remote, self.version);
            self.run(machine, dest, &["checkout", "--force", "-B", self.version, &upstream])?;
        } else if self.version != "HEAD" {
            self.run(machine, dest, &["checkout", "--force", "--detach", commit])?;
        }
        self.run(machine, dest, &["reset", "--hard", commit])?;
        let modules = self.dest.join(".gitmodules");
        if self.params.flag("recursive", true) && machine.stat(&modules, Follow::Yes)?.is_some() {
            self.run(machine, dest, &["submodule", "sync"])?;
            self.run(machine, dest, &["submodule", "update", "--init", "--recursive", "--force"])?;
        }
        Ok(())
    }

    fn told(&self, before: Value, after: &str, moved: bool) -> Result<Outcome, Failure> {
        Ok(Outcome::default()
            .with("before", before)
            .with("after", after)
            .with("remote_url_changed", moved))
    }
}

/// What git says to a command that it does not do.
fn complaint(command: &str, said: &[u8]) -> Failure {
    let said = String::from_utf8_lossy(said);
    let fatal = said.lines().rfind(|line| line.starts_with("fatal:") || line.starts_with("error:"));
    let said = fatal.or_else(|| said.lines().last()).unwrap_or("no word why");
    Failure::new(format!("git {command}: {said}"))
}
