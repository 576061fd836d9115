//! A canary: a secret is put wherever a user could put one, the program runs, and then everything
//! that it said and wrote is searched for it, in every spelling.

#![cfg(test)]

mod applying;
mod places;
mod server;
mod spelling;

use spelling::Canary;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const FROM_ENVIRONMENT: &str = "Canary ENV/+\"ü&=42?zebra\\quagga";
const FROM_FILE: &str = "Canary-FILE~$'<{ö}>|walrus.Narwhal7";

/// Long enough for a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A directory with a config, a home and room for whatever is written.
struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let scene = Self { dir };
        let secrets = scene.path("home/.config/driftless/secrets.env");
        fs::create_dir_all(secrets.parent().unwrap()).unwrap();
        fs::write(&secrets, format!("FILED={FROM_FILE}\n")).unwrap();
        fs::set_permissions(&secrets, Permissions::from_mode(0o600)).unwrap();
        for (name, text) in files {
            let path = scene.path("work/config").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::write(scene.path("work/in.log"), "one\ntwo\n").unwrap();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts `driftless ARGUMENTS`; what it says goes to files in the work directory.
    fn start(&self, arguments: &[&str]) -> Child {
        let name = arguments.join(" ").replace('/', "_");
        let said = |stream: &str| {
            fs::File::create(self.path("work").join(format!("{name}.{stream}"))).unwrap()
        };
        Command::new(env!("CARGO_BIN_EXE_driftless"))
            .args(arguments)
            .current_dir(self.path("work"))
            .env_clear()
            .env("HOME", self.path("home"))
            .env("XDG_STATE_HOME", self.path("work/state"))
            .env("DRIFTLESS_RUN_DIR", self.path("work/run"))
            .env("PATH", "/usr/bin:/bin")
            .env("GIVEN", FROM_ENVIRONMENT)
            .env("CREDENTIALS_DIRECTORY", self.path("home/credentials"))
            .stdin(Stdio::null())
            .stdout(said("out"))
            .stderr(said("err"))
            .spawn()
            .unwrap()
    }

    /// Runs it to its end; gives its exit code.
    fn run(&self, arguments: &[&str]) -> Option<i32> {
        let mut child = self.start(arguments);
        let mut status = None;
        wait_until(&format!("{arguments:?} ends"), || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code()
    }

    /// Everything that was said and written, and the paths that it was written to. The home
    /// directory, where the secrets are kept, is not searched.
    fn search(&self, what: &str) {
        for canary in [Canary::new(FROM_ENVIRONMENT), Canary::new(FROM_FILE)] {
            for file in files(&self.path("work")) {
                canary.search(
                    &format!("{what}: the name of a file"),
                    file.as_os_str().as_encoded_bytes(),
                );
                let text = fs::read(&file).unwrap();
                canary.search(&format!("{what}: {}", file.display()), &text);
            }
        }
    }

    fn said(&self) -> String {
        let all = files(&self.path("work")).into_iter();
        let streams = all.filter(|it| it.extension().is_some_and(|it| it == "out" || it == "err"));
        streams.map(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()).collect()
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| {
        if path.is_dir() {
            return files(&path);
        }
        // The socket of an agent that was killed is no file to read.
        if path.is_file() { vec![path] } else { Vec::new() }
    };
    entries.flat_map(below).collect()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The argument lists of a process and of all that it started.
fn argument_lists(pid: u32) -> Vec<u8> {
    let mut all = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace() {
            all.extend(argument_lists(child.parse().unwrap()));
        }
    }
    all
}

/// Whether a crash of the process leaves its memory nowhere.
fn writes_no_core(pid: u32) -> bool {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let core: Vec<_> = core.split_whitespace().skip(4).take(2).collect();
    // What belongs to a process that is not dumpable belongs to root.
    let owner = fs::metadata(format!("/proc/{pid}/environ")).unwrap().uid();
    core == ["0", "0"] && owner == 0
}

const AGENT: &str = "data_dir: state\n";

/// A sink that uses secrets everywhere it may, at a server that sends back whatever it gets.
fn good_config(port: u16) -> String {
    // Of the answer's first line 200 characters are told: to the middle of a secret.
    let filler = "x".repeat(178);
    format!(
        "sources:\n  app: {{type: file, include: [in.log]}}\n\
         sinks:\n  out:\n    type: http\n    inputs: [app]\n\
         \x20   url: \"http://127.0.0.1:{port}/{filler}{{{{ secrets.FILED}}}}?key={{{{ secrets.GIVEN}}}}\"\n\
         \x20   headers: {{x-key: \"{{{{ secrets.FILED | b64encode }}}}\", x-other: \"a{{{{ secrets.GIVEN | b64encode }}}}\"}}\n\
         \x20   auth: {{user: me, password: \"{{{{ secrets.GIVEN }}}}\"}}\n\
         \x20   retry: {{initial: 50ms, max: 100ms}}\n"
    )
}

#[test]
fn an_agent_that_uses_secrets_shows_none() {
    for status in ["500 Internal Server Error", "400 Bad Request", "302 Found"] {
        let server = server::Echo::start(status);
        let config = good_config(server.port());
        let scene = Scene::new(&[("agent.yml", AGENT), ("topology.yml", &config)]);
        let mut agent = scene.start(&["agent", "--config", "config", "--log-level", "trace"]);
        let requests = if status.starts_with("400") { 1 } else { 3 };
        wait_until("the server is asked", || server.requests() >= requests);
        for canary in [Canary::new(FROM_ENVIRONMENT), Canary::new(FROM_FILE)] {
            canary.search("the argument list", &argument_lists(agent.id()));
        }
        assert!(writes_no_core(agent.id()));
        // It does get there, so that the search is one for something that was used.
        let credentials = server.last_request();
        Canary::new(FROM_FILE).is_in(&credentials);
        Canary::new(FROM_ENVIRONMENT).is_in(&credentials);
        let pid = nix::unistd::Pid::from_raw(agent.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        if status.starts_with("400") {
            wait_until("the agent ends", || agent.try_wait().unwrap().is_some());
        } else {
            // A sink that is away holds the drain back; what it says meanwhile is searched too.
            agent.kill().unwrap();
            agent.wait().unwrap();
        }
        let said = scene.said();
        assert!(said.contains("***") || said.contains(&status[..3]), "{said}");
        scene.search(status);
    }
}

/// The same values, from a program and from a credential of systemd.
#[test]
fn secrets_that_programs_and_systemd_tell_show_nowhere_either() {
    let server = server::Echo::start("500 Internal Server Error");
    let config = good_config(server.port()).replace("FILED", "TOLD").replace("GIVEN", "LENT");
    let scene = Scene::new(&[("topology.yml", &config)]);
    let told = scene.path("home/told.json");
    fs::write(&told, serde_json::json!({"TOLD": FROM_FILE}).to_string()).unwrap();
    let agent = format!("{AGENT}secrets:\n  - exec: [/bin/cat, '{}']\n", told.display());
    fs::write(scene.path("work/config/agent.yml"), agent).unwrap();
    fs::create_dir(scene.path("home/credentials")).unwrap();
    let lent = scene.path("home/credentials/LENT");
    fs::write(&lent, FROM_ENVIRONMENT).unwrap();
    fs::set_permissions(&lent, Permissions::from_mode(0o400)).unwrap();
    scene.run(&["validate", "config"]);
    let mut agent = scene.start(&["agent", "--config", "config", "--log-level", "trace"]);
    wait_until("the server is asked", || server.requests() >= 3);
    let credentials = server.last_request();
    Canary::new(FROM_FILE).is_in(&credentials);
    Canary::new(FROM_ENVIRONMENT).is_in(&credentials);
    assert!(writes_no_core(agent.id()));
    agent.kill().unwrap();
    agent.wait().unwrap();
    scene.search("secrets that are told");
}

#[test]
fn commands_on_a_config_with_secrets_show_none() {
    let config = good_config(1);
    let scene = Scene::new(&[("agent.yml", AGENT), ("topology.yml", &config)]);
    for arguments in [
        &["validate", "config"][..],
        &["validate", "config", "--output", "json"],
        &["graph", "config"],
        &["graph", "config", "--format", "mermaid"],
        &["graph", "config", "--format", "dot"],
        &["schema"],
    ] {
        scene.run(arguments);
    }
    assert!(scene.said().contains("valid: 2 components"), "{}", scene.said());
    scene.search("a good config");
}

#[test]
fn a_secret_in_a_wrong_place_is_not_shown_there_either() {
    for (place, files) in places::wrong() {
        let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let mut all = vec![("agent.yml", AGENT)];
        if files.iter().any(|(name, _)| *name == "agent.yml") {
            all.clear();
        }
        all.extend(files);
        let scene = Scene::new(&all);
        scene.run(&["validate", "config"]);
        scene.run(&["validate", "config", "--output", "json"]);
        scene.run(&["graph", "config"]);
        scene.search(place);
    }
}
