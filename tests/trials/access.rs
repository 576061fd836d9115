//! Files that cannot be read yet, and names that lead elsewhere all the time.

use super::installed::has;
use super::oracle::{Oracle, Verdict};
use super::rig::{Rig, content};
use super::scale;
use super::skip::skipped;
use super::writer::Writer;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::process::Command;
use std::time::{Duration, Instant};

const TO_FILE: &str = "sources: {app: {type: file, include: ['{dir}/logs/*.log']}}\n\
                       sinks: {out: {type: file, inputs: [app], path: '{dir}/out/all.log'}}\n";
/// Nobody.
const USER: u32 = 65534;

#[test]
fn what_may_be_read_only_later_is_read_from_its_beginning_then() {
    if !nix::unistd::geteuid().is_root() {
        return skipped("becoming another user needs root");
    }
    if !has("setpriv") {
        return;
    }
    let rig = Rig::new(TO_FILE);
    let mode = |name: &str, mode| {
        fs::set_permissions(rig.path(name), Permissions::from_mode(mode)).unwrap();
    };
    // The file may not be read, the directory of another may not be entered.
    fs::create_dir(rig.path("logs/inner")).unwrap();
    rig.configure(&TO_FILE.replace("*.log'", "*.log', '{dir}/logs/inner/*.log'"));
    fs::write(rig.path("logs/a.log"), "a 1\na 2\n").unwrap();
    fs::write(rig.path("logs/inner/b.log"), "b 1\n").unwrap();
    fs::write(rig.path("logs/open.log"), "open 1\n").unwrap();
    mode("logs/a.log", 0o600);
    mode("logs/inner", 0o700);
    mode("", 0o755);
    for name in ["out", "data", "lock"] {
        fs::create_dir(rig.path(name)).unwrap();
        chown(rig.path(name), Some(USER), Some(USER)).unwrap();
    }
    // The program itself may stand where nobody gets.
    let program = rig.path("driftless");
    if fs::hard_link(super::rig::program(), &program).is_err() {
        fs::copy(super::rig::program(), &program).unwrap();
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "env"]);
    let agent = rig.start_by_as(command, &program);
    let lines = || {
        let text = String::from_utf8(content(&rig.path("out"), "all.log")).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    rig.wait_until("what may be read is read", || lines() == ["open 1"]);
    rig.wait_until("it says what may not", || rig.said().contains("a.log"));
    mode("logs/a.log", 0o644);
    rig.wait_until("the file is read", || lines() == ["a 1", "a 2", "open 1"]);
    mode("logs/inner", 0o755);
    rig.wait_until("so is the directory", || lines() == ["a 1", "a 2", "b 1", "open 1"]);
    assert!(agent.stop().success(), "{}", rig.said());
}

#[test]
fn a_link_that_is_turned_to_new_files_loses_and_doubles_nothing() {
    let rig = Rig::new(TO_FILE);
    let (link, beside) = (rig.path("logs/app.log"), rig.path("beside"));
    fs::create_dir(rig.path("real")).unwrap();
    let file = |number: usize| rig.path(&format!("real/{number}"));
    fs::write(file(0), "").unwrap();
    symlink(file(0), &link).unwrap();
    let mut writer = Writer::start(1, &link, scale().bytes_per_second);
    let agent = rig.start();
    let out = || Oracle::of(&content(&rig.path("out"), "all.log"));
    rig.wait_until("lines arrive", || out().distinct(1) > 0);
    let begun = Instant::now();
    let mut number = 0;
    while begun.elapsed() < Duration::from_secs(scale().seconds) {
        number += 1;
        let (target, beside) = (file(number), beside.clone());
        // As deployments do it: there is no moment without a link.
        writer.between_lines(move |path| {
            fs::write(&target, "").unwrap();
            symlink(&target, &beside).unwrap();
            fs::rename(&beside, path).unwrap();
        });
        // A file that no name led to while anybody looked was never there.
        let written = writer.written();
        rig.wait_until("the new file is read", || out().distinct(1) > written);
    }
    let written = writer.stop();
    rig.wait_until("all lines have arrived", || out().distinct(1) == written);
    assert!(agent.stop().success(), "{}", rig.said());
    assert_eq!(out().verdict(&[(1, written)]), Verdict::default());
}
