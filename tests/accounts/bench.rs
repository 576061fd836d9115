//! A directory with a config and all that its runs leave behind.

pub(crate) use super::process::{Process, comes_about};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A config with a file source on `*.log`, and all that its runs leave behind.
pub(crate) struct Bench(tempfile::TempDir);

impl Bench {
    pub(crate) fn new(sinks: &Value) -> Self {
        Self::with(&json!({}), sinks)
    }

    /// As [`Self::new`], with these transforms.
    pub(crate) fn with(transforms: &Value, sinks: &Value) -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        fs::create_dir(bench.path("config")).unwrap();
        let source = json!({ "type": "file", "include": [bench.path("*.log")] });
        let topology = json!({
            "sources": { "in": source }, "transforms": transforms, "sinks": sinks,
        });
        fs::write(bench.path("config/topology.json"), topology.to_string()).unwrap();
        let agent = json!({ "data_dir": bench.path("data"), "host": "testhost" });
        fs::write(bench.path("config/agent.json"), agent.to_string()).unwrap();
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn driftless(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_driftless"));
        command.current_dir(self.0.path()).env("HOME", self.0.path());
        command.env("DRIFTLESS_RUN_DIR", self.path("run")).stdin(Stdio::null());
        command
    }

    pub(crate) fn agent(&self) -> Process {
        let log = File::options().create(true).append(true).open(self.path("said")).unwrap();
        let mut command = self.driftless();
        Process::spawn(command.args(["agent", "--config", "config"]).stderr(log))
    }

    pub(crate) fn once(&self) {
        let mut command = self.driftless();
        let output = command.args(["agent", "--config", "config", "--once"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub(crate) fn status(&self, arguments: &[&str]) -> Output {
        let mut command = self.driftless();
        command.args(["logs", "status"]).args(arguments).output().unwrap()
    }

    /// What the status says, for machines.
    pub(crate) fn json(&self) -> (Value, Option<i32>) {
        let output = self.status(&["--config", "config", "--output", "json"]);
        let error = String::from_utf8_lossy(&output.stderr);
        let value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{error}"));
        (value, output.status.code())
    }

    pub(crate) fn file(&self, name: &str) -> Value {
        let (status, _) = self.json();
        let path = self.path(name);
        let files = status["sources"][0]["files"].as_array().cloned().unwrap_or_default();
        let found = files.into_iter().find(|file| file["path"] == path.to_str().unwrap());
        found.unwrap_or_default()
    }

    /// All that is in the data directory, byte by byte.
    pub(crate) fn kept(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let mut open = vec![self.path("data")];
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
                match fs::read(&entry) {
                    Ok(content) => found.push((entry, content)),
                    Err(_) => open.push(entry),
                }
            }
        }
        found.sort();
        found
    }
}

/// Appends to a file.
pub(crate) fn append(path: &Path, text: &str) {
    let mut file = File::options().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
