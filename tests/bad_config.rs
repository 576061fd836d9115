//! What a wrong config is told: one clear error for each way of being wrong, and never a hang.

#![cfg(test)]

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Long enough for a slow machine, and far shorter than reading what must not be read.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs `driftless validate .` in `dir` and gives what it says on standard error.
///
/// The home directory and the environment are the test's own, so that the machine's secrets and
/// locale do not matter.
fn complaints(dir: &Path, home: &Path, paths: &[&str]) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_driftless"))
        .arg("validate")
        .args(paths)
        .current_dir(dir)
        .env_clear()
        .env("HOME", home)
        .env("SHORT", "tiny")
        .env("GOOD", "a-good-long-secret")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("{} takes longer than {PATIENCE:?}", dir.display());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{}: {text}", dir.display());
    assert!(output.stdout.is_empty(), "{}: results go to standard output", dir.display());
    assert!(!text.contains("a-good-long-secret"), "{}: {text}", dir.display());
    text.replace(&home.display().to_string(), "HOME")
}

fn home() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A home whose secrets everybody can read.
fn open_home() -> TempDir {
    let home = home();
    let folder = home.path().join(".config/driftless");
    fs::create_dir_all(&folder).unwrap();
    let secrets = folder.join("secrets.env");
    fs::write(&secrets, "FROM_FILE=another-long-secret\n").unwrap();
    fs::set_permissions(&secrets, Permissions::from_mode(0o644)).unwrap();
    home
}

/// Each folder is one way of being wrong, and says in its name which.
#[test]
fn each_kind_of_bad_config_gets_its_clear_error() {
    let (home, open_home) = (home(), open_home());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bad");
    let mut cases: Vec<_> =
        fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 30);
    for case in cases {
        let name = case.file_name().unwrap().to_str().unwrap().to_owned();
        let home = if name == "secrets_readable_by_others" { &open_home } else { &home };
        insta::assert_snapshot!(format!("bad_{name}"), complaints(&case, home.path(), &["."]));
    }
}

#[test]
fn a_path_that_is_not_there_is_named() {
    let (dir, home) = (tempfile::tempdir().unwrap(), home());
    insta::assert_snapshot!(complaints(dir.path(), home.path(), &["nowhere", "logs.yml"]));
}

#[test]
fn an_empty_directory_is_no_config() {
    let (dir, home) = (tempfile::tempdir().unwrap(), home());
    insta::assert_snapshot!(complaints(dir.path(), home.path(), &["."]));
}

#[test]
fn a_file_whose_purpose_cannot_be_told_is_refused() {
    let (dir, home) = (tempfile::tempdir().unwrap(), home());
    fs::write(dir.path().join("mine.yml"), "a: 1\n").unwrap();
    insta::assert_snapshot!(complaints(dir.path(), home.path(), &["mine.yml"]));
}

#[test]
fn a_huge_file_is_refused_within_a_second() {
    let (dir, home) = (tempfile::tempdir().unwrap(), home());
    File::create(dir.path().join("logs.yml")).unwrap().set_len(100 << 20).unwrap();
    let begin = Instant::now();
    insta::assert_snapshot!(complaints(dir.path(), home.path(), &["."]));
    assert!(begin.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_pipe_in_place_of_a_file_hangs_nobody() {
    let (dir, home) = (tempfile::tempdir().unwrap(), home());
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o600);
    nix::unistd::mkfifo(&dir.path().join("logs.yml"), mode).unwrap();
    nix::unistd::mkfifo(&dir.path().join("vars"), mode).unwrap();
    insta::assert_snapshot!(complaints(dir.path(), home.path(), &["."]));
}

#[test]
fn machines_get_the_same_complaints_as_json() {
    let home = home();
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bad/unknown_type");
    let output = Command::new(env!("CARGO_BIN_EXE_driftless"))
        .args(["validate", ".", "--output", "json"])
        .current_dir(case)
        .env("HOME", home.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.is_empty());
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(list[0]["file"], "topology.yml");
    assert!(list[0]["line"].is_u64() && list[0]["message"].is_string());
}

#[test]
fn where_records_may_not_come_once_is_said_and_is_no_error() {
    let (dir, home) = (tempfile::tempdir().unwrap(), home());
    let topology = "\
sources:
  app: {type: file, include: [/var/log/app.log]}
  audit: {type: file, include: [/var/log/audit.log]}
  net: {type: socket, mode: udp, listen: '127.0.0.1:9'}
transforms:
  once: {type: dedupe, window: 1m, inputs: [audit]}
  some: {type: filter, keep: \"message != 'x'\", inputs: [app]}
sinks:
  clear: {type: file, path: /tmp/a, inputs: [some]}
  deduped: {type: file, path: /tmp/b, inputs: [once]}
  heard: {type: file, path: /tmp/c, inputs: [net]}
  twice: {type: file, path: /tmp/d, inputs: [app, some]}
  buffered: {type: file, path: /tmp/e, inputs: [app], buffer: {type: disk, max_bytes: 100MiB}}
  told: {type: blackhole, inputs: [net]}
";
    fs::write(dir.path().join("topology.yml"), topology).unwrap();
    let run = |output: &str| {
        Command::new(env!("CARGO_BIN_EXE_driftless"))
            .args(["validate", ".", "--output", output])
            .current_dir(dir.path())
            .env("HOME", home.path())
            .output()
            .unwrap()
    };
    let said = run("text");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    insta::assert_snapshot!(String::from_utf8(said.stderr).unwrap());
    let said = run("json");
    assert!(said.status.success());
    let list: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 4);
    assert!(list.as_array().unwrap().iter().all(|note| note["level"] == "note"));
}

#[test]
fn what_is_odd_about_tasks_is_said_and_is_no_error() {
    let home = home();
    let said = |apply: &str| {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("apply.yml"), apply).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_driftless"))
            .args(["validate", "."])
            .current_dir(dir.path())
            .env("HOME", home.path())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{text}");
        text
    };
    insta::assert_snapshot!(
        "odd_tasks",
        said(
            r#"tasks:
  - copy: {dest: /etc/a, content: one}
  - copy: {dest: /etc//a, content: two}
  - copy: {dest: /etc/c, content: one}
    when: facts.os.family == 'debian'
  - copy: {dest: /etc/c, content: two}
    when: facts.os.family == 'redhat'
  - block:
      - copy: {dest: /etc/d, content: new}
    rescue:
      - copy: {dest: /etc/d, content: old}
  - copy: {dest: /etc/e, content: one, force: no}
  - copy: {dest: /etc/e, content: two}
  - command: cat /etc/passwd | wc -l
  - command: echo done > /tmp/x
  - command: grep '|' /etc/passwd
  - command: echo {{ [1] | length }}
  - command: "{{ program }} && true"
  - shell: cat /etc/passwd | wc -l
"#
        )
    );
    insta::assert_snapshot!(
        "late_tasks",
        said(
            r#"tasks:
  - copy: {dest: /srv/site/index.html, content: x, owner: deploy, group: web}
  - authorized_key: {user: deploy, key: ssh-ed25519 AAAA}
  - copy: {dest: /etc/motd, content: x, owner: root}
  - block:
      - user: {name: deploy}
      - group: {name: web}
  - file: {path: /srv/site, state: directory, owner: deploy, group: deploy}
  - copy: {dest: /srv/site/about.html, content: x, owner: deploy}
  - template: {src: t.j2, dest: "{{ place }}/x"}
"#
        )
    );
    insta::assert_snapshot!("an_empty_apply_file", said(""));
}
