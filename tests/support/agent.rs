//! A running agent with a metrics endpoint, and a small HTTP client to ask it.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// What a test waits for comes within this time, or never.
const DEADLINE: Duration = Duration::from_secs(20);

/// A running agent; it ends with this value.
pub(crate) struct Agent {
    process: Child,
    address: SocketAddr,
    directory: TempDir,
}

/// What the endpoint answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Agent {
    /// An agent with this `facts.yml`, to which an endpoint is added; returns once it listens.
    pub(crate) fn start(facts: &str) -> Self {
        // Another program may take the port in between; then this test is red, and runs again.
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let agent = Self::launch(facts, free);
        agent.wait_until_it_listens();
        agent
    }

    /// As [`Self::start`], at this address and without waiting.
    pub(crate) fn launch(facts: &str, address: SocketAddr) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("config");
        fs::create_dir(&config).unwrap();
        let facts = format!("{facts}export:\n  - prometheus: {{listen: \"{address}\"}}\n");
        fs::write(config.join("facts.yml"), facts).unwrap();
        let data_dir = directory.path().join("data");
        fs::write(config.join("agent.yml"), format!("data_dir: {}\n", data_dir.display())).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_driftless"))
            .args(["agent", "--config"])
            .arg(config)
            .stdout(Stdio::null())
            .stderr(fs::File::create(directory.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        Self { process, address, directory }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn wait(&self, what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !condition() {
            assert!(Instant::now() < deadline, "waited in vain for {what}: {}", self.log());
            thread::park_timeout(Duration::from_millis(5));
        }
    }

    pub(crate) fn wait_for_log(&self, text: &str) {
        self.wait(text, || self.log().contains(text));
    }

    pub(crate) fn wait_until_it_listens(&self) {
        self.wait("the endpoint", || TcpStream::connect(self.address).is_ok());
    }

    pub(crate) fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).unwrap()
    }

    pub(crate) fn get(&self, target: &str, headers: &[&str]) -> Answer {
        self.request("GET", target, headers)
    }

    pub(crate) fn request(&self, method: &str, target: &str, headers: &[&str]) -> Answer {
        let mut stream = self.connect();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let close = "Host: localhost\r\nConnection: close\r\n";
        let request = format!("{method} {target} HTTP/1.1\r\n{close}{headers}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: answer.split_off(end + 4) }
    }

    /// What the process has in RAM, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Sends SIGTERM and returns the exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        let id = nix::unistd::Pid::from_raw(self.process.id().try_into().unwrap());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.process.wait().unwrap().code()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // One that was stopped is gone already.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
