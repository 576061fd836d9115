//! What the black-box tests share.

pub(crate) mod process;
pub(crate) mod skip;
pub(crate) mod throwaway;
pub(crate) mod web;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io};

use process::{Process, comes_about};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_driftless");

/// All examples.
pub(crate) fn example_names() -> Vec<String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("config-examples");
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let dirs = entries.filter(|path| path.is_dir());
    dirs.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

/// A copy of an example in a directory of its own, where it can do no harm.
pub(crate) struct Example {
    dir: tempfile::TempDir,
}

impl Example {
    /// Copies `config-examples/NAME`.
    pub(crate) fn copy(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("config-examples").join(name);
        copy_tree(&from, &dir.path().join("config")).unwrap();
        fs::create_dir(dir.path().join("run")).unwrap();
        Self { dir }
    }

    /// The copied config.
    pub(crate) fn config(&self) -> PathBuf {
        self.dir.path().join("config")
    }

    /// A path in the directory that the example runs in.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("run").join(name)
    }

    /// Replaces `old`, which must be there, in a file of the copied config.
    pub(crate) fn replace(&self, file: &str, old: &str, new: &str) {
        let path = self.config().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{file} has no `{old}`");
        fs::write(&path, text.replace(old, new)).unwrap();
    }

    /// `driftless COMMAND`, run in the directory, with state there too and a token in the environment.
    pub(crate) fn driftless(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .current_dir(self.path(""))
            .env("HOME", self.path(""))
            .env("DRIFTLESS_RUN_DIR", self.path("lock"))
            .env("COLLECTOR_TOKEN", "a-token-for-tests")
            .env("ES_PASSWORD", "a-password-for-tests")
            .env("LOKI_TOKEN", "a-token-for-loki")
            .stdin(Stdio::null());
        command
    }

    /// Gives an example that does not say where state is kept a place of its own: root's usual one is
    /// there once, for one agent at a time.
    pub(crate) fn keep_state_here(&self) {
        let file = self.config().join("agent.yml");
        if !file.exists() {
            let state = self.dir.path().join("state");
            fs::write(file, format!("data_dir: {}\n", state.display())).unwrap();
        }
    }

    /// Starts `driftless agent` on the config; what it says goes into `agent.log`.
    pub(crate) fn agent(&self, arguments: &[&str]) -> Process {
        self.keep_state_here();
        let log = fs::File::options().create(true).append(true).open(self.path("agent.log"));
        Process::spawn(
            self.driftless(&["agent", "--config"])
                .arg(self.config())
                .args(arguments)
                .stderr(log.unwrap()),
        )
    }

    /// Waits until `holds`, or fails with what the agent said.
    pub(crate) fn wait_until(&self, what: &str, holds: impl FnMut() -> bool) {
        assert!(comes_about(holds), "not in time: {what}\n{}", self.content("agent.log"));
    }

    /// All that the files whose name begins with `prefix` hold.
    pub(crate) fn content(&self, prefix: &str) -> String {
        let entries = fs::read_dir(self.path("")).unwrap().map(|entry| entry.unwrap().path());
        let wanted =
            |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(prefix);
        let mut paths: Vec<PathBuf> = entries.filter(wanted).collect();
        paths.sort();
        paths.iter().map(|path| fs::read_to_string(path).unwrap_or_default()).collect()
    }
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
