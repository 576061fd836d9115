//! A config, and a directory that stands for the host, where the program can do no harm.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What one must not find anywhere.
pub(super) const SECRET: &str = "hunter2-hunter2";

pub(super) struct Host {
    dir: TempDir,
}

impl Host {
    /// A host with these tasks in its `apply.yml`; `ROOT` in them is its directory.
    pub(super) fn new(apply: &str) -> Self {
        let host = Self { dir: TempDir::new().unwrap() };
        for name in ["config", "root"] {
            fs::create_dir(host.dir.path().join(name)).unwrap();
        }
        host.configure("agent.yml", "data_dir: DATA\n");
        host.configure("apply.yml", apply);
        host
    }

    /// Writes a file of the config.
    pub(super) fn configure(&self, name: &str, text: &str) {
        let text = text.replace("ROOT", self.path("").to_str().unwrap().trim_end_matches('/'));
        let text = text.replace("DATA", self.data().to_str().unwrap());
        let path = self.dir.path().join("config").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A path on the host.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("root").join(name)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(super) fn chain(&self) -> PathBuf {
        self.data().join("audit/chain.jsonl")
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_driftless"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env("HOME", self.dir.path())
            .env("DRIFTLESS_RUN_DIR", self.dir.path().join("run"))
            .env("TOKEN", SECRET)
            .stdin(Stdio::null());
        command
    }

    pub(super) fn driftless(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The same with something to read.
    pub(super) fn answered(&self, arguments: &[&str], answers: &str) -> Ran {
        let mut child = self
            .command(&[&["apply", "config"], arguments].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
        Ran::of(&child.wait_with_output().unwrap())
    }

    /// `driftless apply` on the config.
    pub(super) fn apply(&self, arguments: &[&str]) -> Ran {
        let output = self.driftless(&[&["apply", "config"], arguments].concat());
        Ran::of(&output)
    }

    /// The same as another user; `None` where that one may not start the program.
    pub(super) fn apply_as(&self, uid: u32, arguments: &[&str]) -> Option<Ran> {
        let mut command = self.command(&[&["apply", "config"], arguments].concat());
        let output = command.uid(uid).gid(uid).output().ok()?;
        Some(Ran::of(&output))
    }

    /// Starts `driftless agent` on the config.
    pub(super) fn agent(&self, arguments: &[&str]) -> Agent {
        let log = self.dir.path().join("agent.log");
        let log = fs::File::options().create(true).append(true).open(log).unwrap();
        let arguments = [&["agent", "--config", "config"], arguments].concat();
        Agent(self.command(&arguments).stderr(log).spawn().unwrap())
    }

    /// The same without the right to listen to what other processes write.
    pub(super) fn deaf_agent(&self) -> Agent {
        if !nix::unistd::geteuid().is_root() {
            return self.agent(&[]);
        }
        let agent = self.command(&["agent", "--config", "config"]);
        let log = fs::File::create(self.dir.path().join("agent.log")).unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set", "-sys_admin"]).arg(agent.get_program());
        command.args(agent.get_args()).current_dir(self.dir.path()).stdin(Stdio::null());
        command.envs(agent.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Agent(command.stderr(log).spawn().unwrap())
    }

    pub(super) fn agent_log(&self) -> String {
        fs::read_to_string(self.dir.path().join("agent.log")).unwrap_or_default()
    }

    /// All that a dry run must leave alone: names, inodes, times, permissions, content.
    pub(super) fn snapshot(&self) -> BTreeMap<PathBuf, impl PartialEq + std::fmt::Debug + use<>> {
        let mut found = BTreeMap::new();
        let mut ahead = vec![self.dir.path().to_owned()];
        while let Some(path) = ahead.pop() {
            let meta = fs::symlink_metadata(&path).unwrap();
            let mut content = Vec::new();
            if meta.is_dir() {
                ahead.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else if meta.is_file() {
                content = fs::read(&path).unwrap();
            }
            let modified = (meta.mtime(), meta.mtime_nsec());
            let changed = (meta.ctime(), meta.ctime_nsec());
            found.insert(path, (meta.ino(), modified, changed, meta.mode(), content));
        }
        found
    }
}

/// How a command ended and what it said.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) code: Option<i32>,
    pub(super) out: String,
    pub(super) err: String,
}

impl Ran {
    pub(super) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        Self { code: output.status.code(), out, err }
    }
}

/// A running agent, which does not outlive its test.
pub(super) struct Agent(Child);

impl Agent {
    /// Sends SIGTERM and waits for the end.
    pub(super) fn stop(mut self) -> ExitStatus {
        let pid = nix::unistd::Pid::from_raw(self.0.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.ended()
    }

    /// Waits for the end.
    pub(super) fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the agent ends", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Both fail where it has ended already, which is as good.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

pub(super) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The records in a file.
pub(super) fn records(path: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
