//! A repository, and a host that is kept as it says, in directories where neither can do harm.

use crate::process::{Process, comes_about};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// What one must not find anywhere.
pub(crate) const SECRET: &str = "hunter2-hunter2";

/// What the repository has the host be: a file whose text is `word`.
pub(crate) fn motd(word: &str) -> String {
    format!(
        "interval: 200ms\ntasks:\n  - name: motd\n    template: {{src: templates/motd.j2, dest: ROOT/motd}}\n    vars: {{word: {word}}}\n"
    )
}

pub(crate) struct World {
    dir: TempDir,
}

impl World {
    /// A repository with one commit, which a host follows by `git`: the settings but `url`.
    pub(crate) fn new(settings: &str) -> Self {
        let world = Self::empty();
        let url = world.bare().display().to_string();
        world.follow(&url, settings);
        world.commit_word("one");
        world
    }

    pub(crate) fn empty() -> Self {
        let world = Self { dir: TempDir::new().unwrap() };
        for name in ["config", "root", "work"] {
            fs::create_dir(world.path(name)).unwrap();
        }
        let bare = world.bare();
        world.git_in(
            world.dir.path(),
            &["init", "-q", "--bare", "-b", "main", bare.to_str().unwrap()],
        );
        world.git(&["init", "-q", "-b", "main"]);
        world.git(&["remote", "add", "origin", bare.to_str().unwrap()]);
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The repository that others fetch from.
    pub(crate) fn bare(&self) -> PathBuf {
        self.path("served/hosts.git")
    }

    /// What the agent keeps of it.
    pub(crate) fn kept(&self, name: &str) -> PathBuf {
        self.path("data/git").join(name)
    }

    /// Has the host follow the repository at `url`.
    pub(crate) fn follow(&self, url: &str, settings: &str) {
        let settings = settings.replace("DIR", self.dir.path().to_str().unwrap());
        let data = self.path("data").display().to_string();
        let agent = format!("data_dir: {data}\ngit: {{url: '{url}', interval: 1s{settings}}}\n");
        fs::write(self.path("config/agent.yml"), agent).unwrap();
    }

    /// Writes a file into the working copy of whoever keeps the repository.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path("work").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace("ROOT", self.path("root").to_str().unwrap())).unwrap();
    }

    /// Runs git there.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        self.git_in(&self.path("work"), arguments)
    }

    /// Has git make what it is told on standard input, without a look at what that is.
    fn git_told(&self, arguments: &[&str], input: &[u8]) -> String {
        let mut child = self
            .git_command(&self.path("work"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "git {arguments:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A tree with this entry, whatever its name.
    pub(crate) fn make_tree(&self, mode: &str, name: &str, object: &str) -> String {
        let id = (0..40).step_by(2).map(|at| u8::from_str_radix(&object[at..at + 2], 16).unwrap());
        let mut tree = format!("{mode} {name}\0").into_bytes();
        tree.extend(id);
        self.git_told(&["hash-object", "-w", "--literally", "-t", "tree", "--stdin"], &tree)
    }

    /// A commit with exactly this content.
    pub(crate) fn make_commit(&self, content: &str) -> String {
        self.git_told(&["hash-object", "-w", "-t", "commit", "--stdin"], content.as_bytes())
    }

    fn git_in(&self, dir: &Path, arguments: &[&str]) -> String {
        let output = self.git_command(dir).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn git_command(&self, dir: &Path) -> Command {
        let mut command = Command::new("git");
        command
            .current_dir(dir)
            .env("HOME", self.dir.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "Max")
            .env("GIT_AUTHOR_EMAIL", "max@example.com")
            .env("GIT_COMMITTER_NAME", "Max")
            .env("GIT_COMMITTER_EMAIL", "max@example.com");
        command
    }

    /// Commits everything, with further options for `git commit`, and pushes it. Gives the commit.
    pub(crate) fn commit_with(&self, options: &[&str]) -> String {
        self.git(&["add", "-A"]);
        self.git(&[&["commit", "-q", "--allow-empty", "-m", "a change"], options].concat());
        self.push()
    }

    pub(crate) fn commit(&self) -> String {
        self.commit_with(&[])
    }

    pub(crate) fn push(&self) -> String {
        self.git(&["push", "-q", "--force", "origin", "HEAD:main"]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Commits that the host be as `word` says.
    pub(crate) fn commit_word(&self, word: &str) -> String {
        self.write_word(word);
        self.commit()
    }

    /// The same, while the repository is away.
    pub(crate) fn commit_word_elsewhere(&self, word: &str) {
        self.write_word(word);
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", "a change"]);
        self.git(&["push", "-q", self.path("served/away").to_str().unwrap(), "HEAD:main"]);
    }

    pub(crate) fn write_word(&self, word: &str) {
        self.write("templates/motd.j2", "{{ word }}\n");
        self.write("apply.yml", &motd(word));
    }

    pub(crate) fn driftless(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_driftless"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env("HOME", self.dir.path())
            .env("DRIFTLESS_RUN_DIR", self.path("run"))
            .env("GIT_TOKEN", SECRET)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn agent(&self, arguments: &[&str]) -> Process {
        let log = fs::File::options().create(true).append(true).open(self.path("agent.log"));
        let mut command = self.driftless(&["agent", "--config", "config"]);
        Process::spawn(command.args(arguments).stderr(log.unwrap()))
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("agent.log")).unwrap_or_default()
    }

    /// What the host is.
    pub(crate) fn word(&self) -> String {
        let text = fs::read_to_string(self.path("root/motd")).unwrap_or_default();
        text.trim().to_owned()
    }

    pub(crate) fn wait_until(&self, what: &str, holds: impl FnMut() -> bool) {
        assert!(comes_about(holds), "not in time: {what}\n{}", self.log());
    }

    pub(crate) fn wait_for_word(&self, word: &str) {
        self.wait_until(&format!("the host is as {word} says"), || self.word() == word);
    }

    pub(crate) fn wait_for_log(&self, text: &str) {
        self.wait_until(&format!("the log says `{text}`"), || self.log().contains(text));
    }

    /// The commits whose files are laid out.
    pub(crate) fn revisions(&self) -> Vec<String> {
        let entries = fs::read_dir(self.kept("revisions")).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Whether a text is in any file below a directory.
    pub(crate) fn holds(&self, below: &str, text: &str) -> bool {
        let output =
            Command::new("grep").args(["-rlaF", text]).arg(self.path(below)).output().unwrap();
        output.status.success()
    }
}

/// An SSH key of this name in the world, of which others can read nothing.
pub(crate) fn ssh_key(world: &World, name: &str) -> String {
    let path = world.path(name);
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
        .arg(&path)
        .stdin(Stdio::null())
        .status();
    assert!(made.unwrap().success());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::read_to_string(path.with_extension("pub")).unwrap().trim().to_owned()
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What is served there; empty where nothing is.
pub(crate) fn metrics(port: u16) -> String {
    let mut answer = String::new();
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
        let asked = stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: test\r\n\r\n");
        asked.and_then(|()| stream.read_to_string(&mut answer)).ok();
    }
    answer
}
