//! `driftless logs --to`, which needs no config.

use crate::bucket::{ACCESS_KEY, SECRET_KEY, Store};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

fn logs(to: &str) -> (tempfile::TempDir, Command) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("in.log"), "one\ntwo\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_driftless"));
    command.args(["logs", "in.log", "--to", to]).current_dir(dir.path()).env("HOME", dir.path());
    command.stdin(Stdio::null());
    (dir, command)
}

#[test]
fn a_bucket_is_named_by_its_address() {
    let store = Store::start();
    let (_dir, mut command) = logs("s3://logs/some/where");
    let output = command
        .args(["--encoding", "text"])
        .env("AWS_ENDPOINT_URL", store.endpoint())
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let objects = store.objects();
    let keys: Vec<&String> = objects.keys().collect();
    assert!(matches!(&*keys, [key] if key.starts_with("some/where/")), "{keys:?}");
}

#[test]
fn a_syslog_server_is_named_by_its_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (_dir, mut command) = logs(&format!("syslog://127.0.0.1:{port}"));
    let mut child = command.spawn().unwrap();
    let received = BufReader::new(listener.accept().unwrap().0);
    let lines: Vec<String> = received.lines().take(2).map(Result::unwrap).collect();
    assert!(lines[0].starts_with("<14>1 ") && lines[0].ends_with(" - - - one"), "{lines:?}");
    assert!(lines[1].ends_with(" two"), "{lines:?}");
    drop(lines);
    // The receiver has gone once it had both, which may be before that was seen.
    child.kill().ok();
    child.wait().unwrap();
}

#[test]
fn a_bucket_without_a_name_is_refused() {
    let (_dir, mut command) = logs("s3://");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("name is missing"));
}
