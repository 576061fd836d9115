//! An agent in a directory of its own.

use crate::process::{Process, comes_about};
use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;

pub(crate) struct Rig {
    dir: TempDir,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Rig {
    /// A config that takes `in.log` to `out.log`.
    pub(crate) fn new() -> Self {
        let rig = Self { dir: TempDir::new().unwrap() };
        fs::create_dir(rig.path("config")).unwrap();
        let data = rig.path("data").display().to_string();
        rig.write("config/agent.yml", &format!("data_dir: {data}\n"));
        rig.write("config/topology.yml", &rig.topology());
        rig.write("in.log", "");
        rig
    }

    /// That config; more sinks may follow it.
    pub(crate) fn topology(&self) -> String {
        let (from, to) = (self.path("in.log"), self.path("out.log"));
        format!(
            "sources:\n  in: {{type: file, include: ['{}']}}\nsinks:\n  out: {{type: file, \
             inputs: [in], path: '{}'}}\n",
            from.display(),
            to.display()
        )
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn append(&self, name: &str, text: &str) {
        let file = fs::File::options().append(true).create(true).open(self.path(name));
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// What a file holds; nothing where it is not there.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn wait_until(&self, what: &str, holds: impl FnMut() -> bool) {
        assert!(comes_about(holds), "not in time: {what}\n{}", self.read("agent.log"));
    }

    /// A command in its directory.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_driftless"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env("HOME", self.dir.path())
            .env("API_KEY", "hunter2-hunter2")
            .env("DRIFTLESS_RUN_DIR", self.path("lock"))
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null());
        command
    }

    /// The command that starts the agent; what it says goes into `agent.log`.
    pub(crate) fn agent(&self) -> Command {
        let log = fs::File::options().create(true).append(true).open(self.path("agent.log"));
        let mut command = self.command(&["agent", "--config", "config"]);
        command.stderr(log.unwrap());
        command
    }

    pub(crate) fn spawn(&self) -> Process {
        Process::spawn(&mut self.agent())
    }

    /// Starts the agent, and returns once it answers.
    pub(crate) fn start(&self) -> Process {
        let agent = self.spawn();
        self.wait_until("the agent answers", || self.ask(&["status"]).code != 2);
        agent
    }

    /// Runs a command against it.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Answer {
        let mut command = self.command(arguments);
        let output = command.args(["--config", "config"]).output().unwrap();
        Answer {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// How it is, for machines.
    pub(crate) fn status(&self) -> Value {
        serde_json::from_str(&self.ask(&["status", "--output", "json"]).out).unwrap()
    }
}

/// One component of a status.
pub(crate) fn component<'s>(status: &'s Value, name: &str) -> &'s Value {
    let mut components = status["components"].as_array().unwrap().iter();
    components.find(|component| component["name"] == name).unwrap()
}
