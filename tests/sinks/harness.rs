//! A directory with a config and all that a run of it leaves behind.

use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) use super::process::{Process, comes_about};

/// A config in a directory of its own.
pub(crate) struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    /// A file source on `in.log`, these transforms, and one sink, `out`.
    pub(crate) fn new(transforms: Value, sink: Value) -> Self {
        Self::with_more(transforms, sink, json!({}))
    }

    /// The same with `more` sinks beside it.
    pub(crate) fn with_more(mut transforms: Value, mut sink: Value, mut more: Value) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config");
        fs::create_dir(&config).unwrap();
        let mut last = "in".to_owned();
        for (name, transform) in transforms.as_object_mut().unwrap() {
            transform["inputs"] = json!([last]);
            last.clone_from(name);
        }
        sink["inputs"] = json!([last]);
        let source = json!({ "type": "file", "include": [dir.path().join("in.log")] });
        more["out"] = sink;
        let topology =
            json!({ "sources": { "in": source }, "transforms": transforms, "sinks": more });
        fs::write(config.join("topology.json"), topology.to_string()).unwrap();
        let agent = json!({ "data_dir": dir.path().join("data"), "host": "testhost" });
        fs::write(config.join("agent.json"), agent.to_string()).unwrap();
        File::create(dir.path().join("in.log")).unwrap();
        Self { dir }
    }

    /// Adds a further sink to the config.
    pub(crate) fn add_sink(&self, name: &str, sink: Value) {
        let path = self.path("config/topology.json");
        let mut topology: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        topology["sinks"][name] = sink;
        fs::write(path, topology.to_string()).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Appends to the file that is read.
    pub(crate) fn append(&self, text: impl AsRef<[u8]>) {
        let mut file = File::options().append(true).open(self.path("in.log")).unwrap();
        file.write_all(text.as_ref()).unwrap();
    }

    /// Starts the program; what it says goes into `agent.log`.
    pub(crate) fn start(&self, arguments: &[&str]) -> Process {
        let program = Command::new(env!("CARGO_BIN_EXE_driftless"));
        Process::spawn(&mut self.command(program, arguments))
    }

    /// The same by a command that ends where the program's own arguments begin.
    pub(crate) fn command(&self, mut command: Command, arguments: &[&str]) -> Command {
        let log = File::options().create(true).append(true).open(self.path("agent.log")).unwrap();
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
            command.env_remove(name);
        }
        command
            .args(["agent", "--config"])
            .arg(self.path("config"))
            .args(arguments)
            .current_dir(self.dir.path())
            .env("HOME", self.dir.path())
            .env("ES_PASSWORD", "hunter2")
            .env("DRIFTLESS_RUN_DIR", self.path("run"))
            .stdin(Stdio::null())
            .stderr(log);
        command
    }

    /// Runs the program until all that is there is delivered.
    pub(crate) fn once(&self) {
        let status = self.start(&["--once"]).wait();
        assert!(status.success(), "{}", self.said());
    }

    /// What the program said so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.path("agent.log")).unwrap_or_default()
    }

    /// Waits until `holds`, or fails with what the program said.
    pub(crate) fn wait_until(&self, what: &str, holds: impl FnMut() -> bool) {
        assert!(comes_about(holds), "not in time: {what}\n{}", self.said());
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The lines of a file, as many as are whole.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    let text = fs::read(path).unwrap_or_default();
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    String::from_utf8_lossy(&text[..whole]).lines().map(str::to_owned).collect()
}
