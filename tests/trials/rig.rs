//! A place for one trial: logs, a config, state, and an agent that is started and killed.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

use super::is_long;
use super::oracle::{Oracle, Verdict};
use super::process::Process;

/// What should come about comes about within this time, or never.
fn patience() -> Duration {
    Duration::from_secs(if is_long() { 900 } else { 120 })
}

/// The program on trial: the one that was built with these tests, or the one that
/// `DRIFTLESS_TRIALS_PROGRAM` names, such as an optimised build.
pub(crate) fn program() -> OsString {
    let named = std::env::var_os("DRIFTLESS_TRIALS_PROGRAM");
    named.unwrap_or_else(|| env!("CARGO_BIN_EXE_driftless").into())
}

pub(crate) struct Rig {
    dir: TempDir,
    dice: u64,
}

impl Rig {
    /// A rig whose agent runs this topology; `{dir}` in it is the rig's directory.
    pub(crate) fn new(topology: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("logs")).unwrap();
        let rig = Self { dir, dice: u64::from(std::process::id()) | 1 };
        rig.configure(topology);
        rig
    }

    /// Writes the config anew.
    pub(crate) fn configure(&self, topology: &str) {
        let config = self.path("config");
        fs::create_dir_all(&config).unwrap();
        let here = self.dir.path().display().to_string();
        fs::write(config.join("topology.yml"), topology.replace("{dir}", &here)).unwrap();
        fs::write(config.join("agent.yml"), format!("data_dir: {here}/data\n")).unwrap();
    }

    /// Adds to the agent's own settings.
    pub(crate) fn settings(&self, text: &str) {
        let path = self.path("config/agent.yml");
        let before = fs::read_to_string(&path).unwrap();
        fs::write(path, before + text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts the agent; what it says is added to `agent.log`.
    pub(crate) fn start(&self) -> Process {
        self.run(&mut Command::new(program()))
    }

    /// As [`Self::start`], by a command that takes the agent's own as its last arguments.
    pub(crate) fn start_by(&self, mut command: Command) -> Process {
        self.run(command.arg(program()))
    }

    /// As [`Self::start_by`], for a copy of the program.
    pub(crate) fn start_by_as(&self, mut command: Command, program: &Path) -> Process {
        self.run(command.arg(program))
    }

    fn run(&self, command: &mut Command) -> Process {
        let log = fs::File::options().create(true).append(true).open(self.path("agent.log"));
        Process::spawn(
            command
                .args(["agent", "--config"])
                .arg(self.path("config"))
                .env("DRIFTLESS_RUN_DIR", self.path("lock"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log.unwrap()),
        )
    }

    /// A time between these, in milliseconds; not the same in every run.
    pub(crate) fn random(&mut self, from: u64, to: u64) -> Duration {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        Duration::from_millis(from + self.dice % (to - from))
    }

    /// Waits until `holds`; fails with what the agent said.
    pub(crate) fn wait_until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < patience(), "not in time: {what}\n{}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until everything that was `written` has arrived, and gives the verdict on it.
    pub(crate) fn verdict(&self, written: &[(u32, u64)], arrived: impl Fn() -> Vec<u8>) -> Verdict {
        // Judging all of it again and again would take longer than the trial.
        let (mut length, mut oracle) = (0, Oracle::default());
        self.wait_until("all lines have arrived", || {
            let now = arrived();
            let quiet = now.len() == length;
            length = now.len();
            quiet && {
                oracle = Oracle::of(&now);
                written.iter().all(|(id, lines)| oracle.distinct(*id) == *lines)
            }
        });
        let now = arrived();
        if now.len() == length { oracle } else { Oracle::of(&now) }.verdict(written)
    }

    /// As [`Self::verdict`], where `arrived` gives what has come since it was last asked, and
    /// `oracle` has seen all that came before.
    pub(crate) fn verdict_of_more(
        &self,
        written: &[(u32, u64)],
        oracle: &mut Oracle,
        arrived: impl Fn() -> Vec<u8>,
    ) -> Verdict {
        self.wait_until("all lines have arrived", || {
            let more = arrived();
            oracle.take_more(&more);
            more.is_empty() && written.iter().all(|(id, lines)| oracle.distinct(*id) == *lines)
        });
        oracle.verdict(written)
    }

    /// Puts another topology in the place of the one that an agent runs by, at one blow.
    pub(crate) fn change(&self, topology: &str) {
        let here = self.dir.path().display().to_string();
        let beside = self.path("topology.new");
        fs::write(&beside, topology.replace("{dir}", &here)).unwrap();
        fs::rename(beside, self.path("config/topology.yml")).unwrap();
    }

    /// All that the agent said.
    pub(crate) fn all_said(&self) -> String {
        fs::read_to_string(self.path("agent.log")).unwrap_or_default()
    }

    /// The end of what the agent said.
    pub(crate) fn said(&self) -> String {
        let all = self.all_said();
        let from = all.len().saturating_sub(6000);
        all.get(from..).unwrap_or(&all).to_owned()
    }
}

/// What a process has in RAM, in bytes.
pub(crate) fn resident_bytes(process: &Process) -> u64 {
    memory_bytes(process, "VmRSS:")
}

/// The part of it that is not a copy of a file, such as of the program, whose debug form is large.
pub(crate) fn anonymous_bytes(process: &Process) -> u64 {
    memory_bytes(process, "RssAnon:")
}

fn memory_bytes(process: &Process, which: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(which)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What an agent tells at this port; nothing while it does not listen.
pub(crate) fn scrape(port: u16) -> String {
    let mut answer = String::new();
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let request = "GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        stream.read_to_string(&mut answer).unwrap();
    }
    answer
}

/// The sum of all series of this name, in what was scraped, whose labels contain `labels`.
pub(crate) fn metric(scraped: &str, name: &str, labels: &str) -> f64 {
    let series = scraped.lines().filter_map(|line| line.strip_prefix(name));
    let series = series.filter(|rest| rest.starts_with('{') && rest.contains(labels));
    series.map(|rest| rest.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

/// All that the files below `dir` hold whose name begins with `prefix`, in name order.
pub(crate) fn content(dir: &Path, prefix: &str) -> Vec<u8> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with(prefix));
    paths.sort();
    let read = |path| fs::read(path).unwrap_or_default();
    paths.iter().map(read).collect::<Vec<_>>().concat()
}
