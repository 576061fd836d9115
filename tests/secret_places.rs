//! Secrets from where operators keep them: systemd's credentials, a program that tells them, files
//! that age or sops has encrypted. `sops` is a stand-in that takes nothing but what it is meant to
//! be called with; age is the real one where it is installed.

#![cfg(test)]

#[path = "support/process.rs"]
mod process;

use process::{Process, comes_about};
use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const SECRET: &str = "narwhal-in-the-fjord";

struct Host {
    dir: TempDir,
}

impl Host {
    /// A host whose agent file names these further places of secrets.
    fn new(places: &str) -> Self {
        let host = Self { dir: TempDir::new().unwrap() };
        fs::create_dir(host.path("config")).unwrap();
        host.secrets(places);
        host
    }

    fn secrets(&self, places: &str) {
        let text = format!("data_dir: DIR/data\nsecrets:{places}\n").replace("DIR", self.dir());
        fs::write(self.path("config/agent.yml"), text).unwrap();
    }

    fn dir(&self) -> &str {
        self.dir.path().to_str().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text.replace("DIR", self.dir())).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    /// Takes `in.log` to `out.log`, and to whoever listens, with the secret TOKEN.
    fn pipeline(&self, listener: &TcpListener) -> String {
        let port = listener.local_addr().unwrap().port();
        format!(
            "sources: {{in: {{type: file, include: [DIR/in.log]}}}}\n\
             sinks:\n  web: {{type: http, inputs: [in], url: 'http://127.0.0.1:{port}/', batch: {{age: 50ms}}, auth: {{bearer: '{{{{ secrets.TOKEN }}}}'}}}}\n  \
             file: {{type: file, inputs: [in], path: DIR/out.log}}\n"
        )
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_driftless"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env("HOME", self.dir.path())
            .env("DRIFTLESS_RUN_DIR", self.path("run"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    fn driftless(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts the agent; what it says goes into `agent.log`.
    fn agent(&self) -> Process {
        let log = fs::File::create(self.path("agent.log")).unwrap();
        Process::spawn(self.command(&["agent", "--config", "config"]).stderr(log))
    }

    /// The shell script `name`.
    fn script(&self, name: &str, script: &str) {
        self.write(name, &format!("#!/bin/sh\n{script}\n"), 0o755);
    }

    /// Has a file made that holds the secrets A and B, and all that is said, without any of SECRET.
    fn apply(&self) -> (Output, String) {
        let apply = "tasks:\n  - copy: {dest: DIR/told, mode: '0600', content: '{{ secrets.A }} {{ secrets.B }}'}\n";
        self.write("config/apply.yml", apply, 0o644);
        self.run(&["apply", "config", "--yes", "--diff"])
    }

    fn run(&self, arguments: &[&str]) -> (Output, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_driftless"))
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.dir.path())
            .env("PATH", format!("{}/bin:/usr/bin:/bin", self.dir()))
            .env("DRIFTLESS_RUN_DIR", self.path("run"))
            .env("CREDENTIALS_DIRECTORY", self.path("credentials"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = [output.stdout.as_slice(), &output.stderr].concat();
        let said = String::from_utf8(said).unwrap().replace(self.dir(), "DIR");
        assert!(!said.contains("narwhal"), "{said}");
        (output, said)
    }

    fn told(&self) -> String {
        fs::read_to_string(self.path("told")).unwrap_or_default()
    }

    /// That A and B are found, and A is the secret.
    fn finds(&self, b: &str) {
        let (output, said) = self.apply();
        assert!(output.status.success(), "{said}");
        assert_eq!(self.told(), format!("{SECRET} {b}"));
        assert!(!holds(&self.path("data"), "narwhal"), "nothing of it is written down");
    }
}

fn holds(below: &Path, text: &str) -> bool {
    Command::new("grep").args(["-rqaF", text]).arg(below).status().unwrap().success()
}

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

#[test]
fn a_credential_of_systemd_is_a_file_by_its_name() {
    let host = Host::new(" []");
    host.write("credentials/A", &format!("{SECRET}\n"), 0o400);
    host.write("credentials/B", "two\nlines\n", 0o440);
    host.finds("two\nlines");
    host.write("credentials/A", &format!("{SECRET}\n"), 0o444);
    let (output, said) = host.apply();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("others have access to `DIR/credentials/A` (mode 0444)"), "{said}");
}

#[test]
fn a_program_tells_secrets_as_json_or_in_lines() {
    for (prints, b) in [
        (format!("{{\"A\": \"{SECRET}\", \"B\": 1234567, \"C\": \"other\"}}"), "1234567"),
        (format!("# a comment\nexport A={SECRET}\nB='from a line'\n"), "from a line"),
    ] {
        let host = Host::new("\n  - exec: [DIR/tell, two words]");
        host.write("prints", &prints, 0o600);
        host.script(
            "tell",
            "test \"$1\" = 'two words' || exit 9\ncat DIR/prints\necho narwhal-noise >&2",
        );
        host.finds(b);
    }
}

#[test]
fn the_nearer_place_wins_and_further_ones_are_not_even_asked() {
    let host = Host::new("\n  - exec: [DIR/first]\n  - exec: [DIR/second]");
    host.write("credentials/A", SECRET, 0o400);
    host.script("first", "echo asked >> DIR/asked\necho A=never-this\necho B=from-the-first");
    host.script("second", "echo second >> DIR/asked\necho B=never-this");
    host.finds("from-the-first");
    assert_eq!(fs::read_to_string(host.path("asked")).unwrap(), "asked\n", "once");
    host.write("credentials/B", "from-credentials", 0o400);
    fs::remove_file(host.path("asked")).unwrap();
    host.finds("from-credentials");
    assert!(!host.path("asked").exists());
}

#[test]
fn a_program_that_fails_hangs_or_talks_nonsense_is_named_without_a_word_of_what_it_said() {
    for (script, says) in [
        ("echo narwhal-a; echo narwhal-b >&2; exit 3", "`DIR/tell` failed (exit status: 3)"),
        ("echo narwhal-line-without-a-name", "what DIR/tell prints:1: not of the form NAME=value"),
        ("echo '{\"A\": [\"narwhal-list\"]}'", "`A` takes text; found a list"),
        ("echo '{\"A\": \"narwhal'", "what DIR/tell prints:1"),
        ("sleep 60", "`DIR/tell` has not ended within 1s"),
        ("echo OTHER=narwhal-other", "the secret `A` is not in the environment"),
    ] {
        let host = Host::new("\n  - {exec: [DIR/tell], timeout: 1s}");
        host.script("tell", script);
        let (output, said) = host.apply();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(says), "{script}: {said}");
        assert_eq!(host.told(), "");
    }
    let host = Host::new("\n  - exec: [DIR/gone]");
    assert!(host.apply().1.contains("`DIR/gone` is not installed"));
}

#[test]
fn what_is_wrong_with_a_place_is_told_with_its_line() {
    for (places, says) in [
        ("\n  - {}", "agent.yml:3:5: a place of secrets is one of `exec`, `age` and `sops`"),
        ("\n  - exec: [tell]", "agent.yml:3:11: `exec` begins with the whole path of a program"),
        ("\n  - exec: []", "begins with the whole path"),
        ("\n  - {exec: [/a], sops: /b}", "is one of"),
        ("\n  - age: /a", "agent.yml:3:10: `age` and `identity` belong together"),
        ("\n  - sops: a", "`sops` takes the whole path"),
        ("\n  - {exec: [/a], timeout: 0s}", "no program is done in no time"),
        ("\n  - vault: /a", "`vault`"),
        (" {exec: [/a]}", "agent.yml:2:10:"),
    ] {
        let host = Host::new(places);
        let (output, said) = host.run(&["validate", "config"]);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(says), "{places}: {said}");
    }
}

#[test]
fn a_file_that_age_has_encrypted_is_read_with_its_key() {
    if !has("age") {
        eprintln!("skipped: the program age is not installed");
        return;
    }
    let host = Host::new("\n  - {age: DIR/secrets.age, identity: DIR/key}");
    let made = Command::new("age-keygen").arg("-o").arg(host.path("key")).output().unwrap();
    assert!(made.status.success());
    fs::set_permissions(host.path("key"), Permissions::from_mode(0o600)).unwrap();
    let key = fs::read_to_string(host.path("key")).unwrap();
    let recipient = key.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    let encrypt = |name: &str, text: &str| {
        let mut age = Command::new("age")
            .args(["--encrypt", "--recipient", recipient, "--output"])
            .arg(host.path(name))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        age.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(age.wait().unwrap().success());
    };
    encrypt("secrets.age", &format!("A: {SECRET}\nB: |\n  two\n  lines\n"));
    host.finds("two\nlines\n");
    encrypt("secrets.env.age", &format!("A={SECRET}\nB=from-a-line\n"));
    host.secrets("\n  - {age: DIR/secrets.env.age, identity: DIR/key}");
    host.finds("from-a-line");

    let refused = |says: &str| {
        let (output, said) = host.apply();
        assert_eq!(output.status.code(), Some(1));
        assert!(said.contains(says), "{said}");
    };
    fs::set_permissions(host.path("key"), Permissions::from_mode(0o640)).unwrap();
    refused("others have access to `DIR/key` (mode 0640)");
    fs::set_permissions(host.path("key"), Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(host.path("secrets.env.age"), Permissions::from_mode(0o666)).unwrap();
    refused("others have access to `DIR/secrets.env.age`");
    fs::set_permissions(host.path("secrets.env.age"), Permissions::from_mode(0o644)).unwrap();
    fs::write(host.path("secrets.env.age"), "not encrypted").unwrap();
    refused("`age` failed");
    fs::remove_file(host.path("secrets.env.age")).unwrap();
    refused("`DIR/secrets.env.age` cannot be read");
}

#[test]
fn a_file_that_sops_has_encrypted_is_read_as_json() {
    let host = Host::new("\n  - sops: DIR/secrets.sops.yml");
    host.write("secrets.sops.yml", "A: ENC[AES256_GCM,data:x,type:str]\n", 0o644);
    host.script(
        "bin/sops",
        &format!(
            "test \"$*\" = '--decrypt --output-type json DIR/secrets.sops.yml' || exit 64\n\
             printf '{{\"A\": \"{SECRET}\", \"B\": true}}'"
        ),
    );
    // A truth value is text, as in secrets.yml.
    let (output, said) = host.apply();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("fewer than 6 characters"), "{said}");
    host.script("bin/sops", &format!("printf '{{\"A\": \"{SECRET}\", \"B\": \"second-one\"}}'"));
    host.finds("second-one");
    fs::remove_file(host.path("bin/sops")).unwrap();
    assert!(host.apply().1.contains("`sops` is not installed"));
}

/// The token of the next request that brings something; a look whether anybody is there does not.
fn token(listener: &TcpListener) -> String {
    loop {
        let mut accepted = None;
        comes_about(|| {
            accepted = listener.accept().ok();
            accepted.is_some()
        });
        let (stream, _) = accepted.expect("somebody asks");
        stream.set_nonblocking(false).unwrap();
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).unwrap() > 0 {}
        let head = head.to_lowercase();
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        let length = field("content-length: ").map_or(0, |length| length.parse().unwrap());
        stream.read_exact(&mut vec![0; length]).unwrap();
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.get_mut().write_all(answer).unwrap();
        if length > 0 {
            return field("authorization: bearer ").unwrap_or_default().to_owned();
        }
    }
}

#[test]
fn a_secret_that_is_looked_up_anew_now_and_then_restarts_its_user_and_stays_where_that_fails() {
    let host = Host::new("\n  - exec: [DIR/tell]\nsecrets_interval: 1s");
    host.script("tell", "cat DIR/prints");
    // At once, since nobody knows when it is read.
    let prints = |token: &str| {
        host.write("next", &format!("TOKEN={token}\n"), 0o600);
        fs::rename(host.path("next"), host.path("prints")).unwrap();
    };
    prints("the-first-token");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    host.write("config/topology.yml", &host.pipeline(&listener), 0o644);
    host.write("in.log", "one\n", 0o644);
    let agent = host.agent();
    assert_eq!(token(&listener), "the-first-token");
    prints("the-second-token");
    let log = || fs::read_to_string(host.path("agent.log")).unwrap();
    assert!(comes_about(|| log().contains("kept=2 started=1 stopped=1")), "{}", log());
    let next = |line: &[u8]| {
        let mut lines = fs::File::options().append(true).open(host.path("in.log")).unwrap();
        lines.write_all(line).unwrap();
        token(&listener)
    };
    assert_eq!(next(b"two\n"), "the-second-token", "{}", log());

    let problems = || {
        let status = host.driftless(&["status", "--config", "config", "--output", "json"]);
        String::from_utf8(status.stdout).unwrap()
    };
    fs::remove_file(host.path("prints")).unwrap();
    assert!(comes_about(|| problems().contains("secrets could not be looked up anew")));
    assert_eq!(next(b"three\n"), "the-second-token", "{}", log());
    prints("the-third-token");
    assert!(comes_about(|| log().matches("config loaded").count() == 2), "{}", log());
    assert!(log().contains("secrets can be looked up again"), "{}", log());
    assert!(comes_about(|| !problems().contains("secrets could not be looked up anew")));
    assert_eq!(next(b"four\n"), "the-third-token", "{}", log());
    assert_eq!(log().matches("secrets could not be looked up anew").count(), 1, "{}", log());
    assert!(!log().contains("-token"), "{}", log());
    assert!(agent.stop().success(), "{}", log());
}

#[test]
fn a_changed_secret_is_used_from_the_next_reload_on_and_only_its_component_starts_anew() {
    let host = Host::new("\n  - exec: [DIR/tell]");
    host.script("tell", "cat DIR/prints");
    host.write("prints", "TOKEN=the-first-token\n", 0o600);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    host.write("config/topology.yml", &host.pipeline(&listener), 0o644);
    host.write("in.log", "one\n", 0o644);
    let agent = host.agent();
    assert_eq!(token(&listener), "the-first-token");
    host.write("prints", "TOKEN=the-second-token\n", 0o600);
    let pid = agent.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    let log = || fs::read_to_string(host.path("agent.log")).unwrap();
    assert!(comes_about(|| log().contains("config loaded")), "{}", log());
    let mut lines = fs::File::options().append(true).open(host.path("in.log")).unwrap();
    lines.write_all(b"two\n").unwrap();
    assert_eq!(token(&listener), "the-second-token", "{}", log());
    assert!(log().contains("kept=2 started=1 stopped=1"), "{}", log());
    assert!(!log().contains("-token"), "{}", log());
    assert!(agent.stop().success(), "{}", log());
}

#[test]
fn a_program_that_hangs_holds_up_neither_questions_nor_the_end_and_ends_with_the_agent() {
    let host = Host::new("\n  - {exec: [DIR/tell], timeout: 5m}\nsecrets_interval: 1s");
    let tell =
        "if [ -e DIR/hang ]; then sleep 1000 & echo $! >DIR/pid; wait; fi; echo TOKEN=the-token";
    host.script("tell", tell);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    host.write("config/topology.yml", &host.pipeline(&listener), 0o644);
    let agent = host.agent();
    let log = || fs::read_to_string(host.path("agent.log")).unwrap();
    assert!(comes_about(|| log().contains("running")), "{}", log());
    host.write("hang", "", 0o644);
    let pid = || fs::read_to_string(host.path("pid")).ok().filter(|pid| pid.ends_with('\n'));
    assert!(comes_about(|| pid().is_some()), "{}", log());
    // Neither asks for the secret, which would take five minutes.
    let status = host.driftless(&["status", "--config", "config"]);
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
    assert!(agent.stop().success(), "{}", log());
    let place = format!("/proc/{}/stat", pid().unwrap().trim());
    let is_gone = || fs::read_to_string(&place).map_or(true, |stat| stat.contains(") Z "));
    assert!(comes_about(is_gone), "what it started lives on");
}
