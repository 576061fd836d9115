//! An agent with a config of the test's own, and what came out of it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};

pub(crate) use super::process::{Process, comes_about};

/// A directory with a config; `DIR` in it stands for the directory, `FREE_PORT` for a free port.
pub(crate) struct Rig {
    dir: tempfile::TempDir,
    pub(crate) port: u16,
}

impl Rig {
    /// A config of this topology, to which a sink is added that appends what comes from `in` to the
    /// file `out`.
    pub(crate) fn new(topology: &str) -> Self {
        Self::with_sink(topology, "  out: {type: file, inputs: [in], path: DIR/out}")
    }

    /// The same with this `sinks`.
    pub(crate) fn with_sink(topology: &str, sinks: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let rig = Self { dir, port };
        fs::create_dir(rig.path("config")).unwrap();
        rig.write("config/agent.yml", "data_dir: DIR/data\nshutdown_timeout: 10s\nhost: web1\n");
        rig.write("config/topology.yml", &format!("{topology}\nsinks:\n{sinks}\n"));
        rig
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file of the config.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let dir = self.dir.path().to_str().unwrap();
        let text = text.replace("DIR", dir).replace("FREE_PORT", &self.port.to_string());
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_driftless"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env("HOME", self.dir.path())
            .env("DRIFTLESS_RUN_DIR", self.path("run"))
            .env("TEST_TOKEN", "a-token-for-tests")
            .stdin(Stdio::null());
        command
    }

    /// Starts `driftless agent`; what it says goes into the file `said`.
    pub(crate) fn agent(&self, arguments: &[&str]) -> Process {
        Process::spawn(&mut self.agent_command(arguments))
    }

    pub(crate) fn agent_command(&self, arguments: &[&str]) -> Command {
        let said = fs::File::options().create(true).append(true).open(self.path("said")).unwrap();
        let mut command = self.command(&["agent", "--config"]);
        command.arg(self.path("config")).args(arguments).stderr(said);
        command
    }

    /// Starts it and waits until it listens.
    pub(crate) fn listener(&self) -> Process {
        let agent = self.agent(&[]);
        self.wait_until("it listens", || self.text("said").contains("listening"));
        agent
    }

    /// What `driftless validate` complains of.
    pub(crate) fn complaint(&self) -> String {
        let output = self.command(&["validate"]).arg(self.path("config")).output().unwrap();
        assert!(!output.status.success(), "this config should be refused");
        String::from_utf8(output.stderr).unwrap()
    }

    /// What is in a file; nothing where there is none.
    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).unwrap_or_default()).into_owned()
    }

    /// The records that came out as JSON.
    pub(crate) fn records(&self) -> Vec<serde_json::Value> {
        let text = self.text("out");
        // The last line may still be on its way.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    pub(crate) fn wait_until(&self, what: &str, holds: impl Fn() -> bool) {
        if !comes_about(holds) {
            let all = fs::read_dir(self.path("")).unwrap().flatten();
            let names: Vec<_> = all.map(|entry| entry.file_name()).collect();
            panic!("not in time: {what}\n{names:?}\n{}\n{}", self.text("out"), self.text("said"));
        }
    }

    /// Waits for so many lines, gives them, and lets no more come unseen.
    pub(crate) fn lines(&self, count: usize) -> Vec<String> {
        self.wait_until(&format!("{count} lines"), || self.text("out").lines().count() >= count);
        let lines: Vec<String> = self.text("out").lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), count, "{lines:#?}");
        lines
    }
}
