//! `journald`: real journal files, made by `systemd-journal-remote`, read while they grow.

use crate::installed::has;
use crate::rig::Rig;
use std::fs;
use std::io::Write;
use std::ops::Range;
use std::process::{Command, Stdio};

const WRITER: &str = "/lib/systemd/systemd-journal-remote";

/// Whether this host can make and read journals.
fn has_tools() -> bool {
    has("systemd-journal-remote") && has("journalctl")
}

/// Appends entries to the journal file `journal/NAME.journal`.
fn append(rig: &Rig, name: &str, entries: &[u8]) {
    fs::create_dir_all(rig.path("journal")).unwrap();
    let mut writer = Command::new(WRITER)
        .arg(format!("--output={}", rig.path(&format!("journal/{name}.journal")).display()))
        .arg("-")
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    writer.stdin.take().unwrap().write_all(entries).unwrap();
    assert!(writer.wait().unwrap().success());
}

/// An entry of the export format; `number` is also its time in seconds.
fn entry(number: usize, fields: &str) -> Vec<u8> {
    let time = 1_700_000_000_000_000 + number * 1_000_000;
    format!(
        "__REALTIME_TIMESTAMP={time}\n__MONOTONIC_TIMESTAMP={number}\n\
         _BOOT_ID=0123456789abcdef0123456789abcdef\n{fields}\n\n"
    )
    .into_bytes()
}

fn numbered(range: Range<usize>) -> Vec<u8> {
    range.flat_map(|number| entry(number, &format!("MESSAGE=entry {number}\nPRIORITY=6"))).collect()
}

fn journald(settings: &str) -> Rig {
    Rig::new(&format!("sources:\n  in: {{type: journald, directory: DIR/journal, {settings}}}"))
}

fn messages(rig: &Rig) -> Vec<String> {
    let text = |record: &serde_json::Value| record["message"].as_str().unwrap_or("-").to_owned();
    rig.records().iter().map(text).collect()
}

#[test]
fn entries_have_the_journals_fields_and_times_and_any_bytes() {
    if !has_tools() {
        return;
    }
    let rig = journald("boot: all");
    let mut entries = entry(
        1,
        "MESSAGE=one = 1\nPRIORITY=4\n_SYSTEMD_UNIT=app.service\nSYSLOG_IDENTIFIER=app\n\
         _SOURCE_REALTIME_TIMESTAMP=1600000000123456",
    );
    entries.extend(entry(2, "MESSAGE\n\x0c\0\0\0\0\0\0\0two\nlines \x07!\n_HOSTNAME=db1"));
    append(&rig, "a", &entries);
    assert!(rig.agent(&["--once"]).wait().success(), "{}", rig.text("said"));
    let records = rig.records();
    let [one, two] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!(one["message"], "one = 1");
    assert_eq!((&one["PRIORITY"], &one["_SYSTEMD_UNIT"]), (&"4".into(), &"app.service".into()));
    assert!(one.get("__CURSOR").is_none() && one.get("MESSAGE").is_none(), "{one}");
    assert_eq!((&two["message"], &two["_HOSTNAME"]), (&"two\nlines \u{7}!".into(), &"db1".into()));
    // The time decides on the file, where its name is made of the time.
    let times = Rig::with_sink(
        "sources:\n  in: {type: journald, directory: DIR/journal}",
        "  out: {type: file, inputs: [in], path: DIR/out-%Y%m%d%H%M%S}",
    );
    append(&times, "a", &entries);
    assert!(times.agent(&["--once"]).wait().success());
    assert!(times.path("out-20200913122640").exists(), "the program's own time");
    assert!(times.path("out-20231114221322").exists(), "the journal's time");
}

#[test]
fn a_growing_journal_is_followed_and_a_kill_loses_nothing() {
    if !has_tools() {
        return;
    }
    let rig = journald("");
    append(&rig, "a", &numbered(0..10));
    let agent = rig.agent(&[]);
    rig.wait_until("the first ones are there", || messages(&rig).len() >= 10);
    append(&rig, "a", &numbered(10..15));
    rig.wait_until("so are those that came later", || messages(&rig).len() >= 15);
    rig.wait_until("the cursor is kept", || rig.path("data/checkpoints/in").exists());
    agent.kill();
    append(&rig, "a", &numbered(15..20));
    // A file of its own, as rotation makes one.
    append(&rig, "b", &numbered(20..25));
    let agent = rig.agent(&[]);
    let has = |number: usize| messages(&rig).contains(&format!("entry {number}"));
    rig.wait_until("what came meanwhile is there", || (0..25).all(has));
    assert!(agent.stop().success());
    // A stop keeps the cursor exactly: nothing comes twice.
    let before = messages(&rig).len();
    append(&rig, "b", &numbered(25..27));
    assert!(rig.agent(&["--once"]).wait().success());
    assert_eq!(messages(&rig)[before..], ["entry 25", "entry 26"]);
}

#[test]
fn after_a_restart_a_sink_that_is_behind_doubles_nothing_for_the_others() {
    if !has_tools() {
        return;
    }
    let rig = Rig::with_sink(
        "sources:\n  in: {type: journald, directory: DIR/journal}",
        "  out: {type: file, inputs: [in], path: DIR/out}\n  \
         slow: {type: file, inputs: [in], path: DIR/slow}\n  \
         never: {type: file, inputs: [in], path: DIR/never}",
    );
    append(&rig, "a", &numbered(0..5));
    // Where a directory is, no file can be written.
    fs::create_dir(rig.path("never")).unwrap();
    let agent = rig.agent(&[]);
    let lines = |name: &str| rig.text(name).lines().count();
    rig.wait_until("two sinks have the first entries", || lines("out") == 5 && lines("slow") == 5);
    // The fifth entry is the last that both have.
    let kept = |entry: &str| rig.text("data/checkpoints/in").matches(entry).count();
    rig.wait_until("that is kept", || kept(";i=5;") == 2);
    agent.kill();
    fs::rename(rig.path("slow"), rig.path("slow-before")).unwrap();
    fs::create_dir(rig.path("slow")).unwrap();
    append(&rig, "a", &numbered(5..10));
    let agent = rig.agent(&[]);
    rig.wait_until("one sink has all", || lines("out") >= 10);
    rig.wait_until("that is kept", || kept(";i=a;") == 1);
    agent.kill();
    for sink in ["slow", "never"] {
        fs::remove_dir(rig.path(sink)).unwrap();
    }
    append(&rig, "a", &numbered(10..12));
    assert!(rig.agent(&["--once"]).wait().success(), "{}", rig.text("said"));
    let numbers = |name: &str| -> Vec<usize> {
        let text = rig.text(name);
        let number = |line: &str| {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            record["message"].as_str().unwrap().rsplit(' ').next().unwrap().parse().unwrap()
        };
        text.lines().map(number).collect()
    };
    assert_eq!(numbers("out"), (0..12).collect::<Vec<_>>());
    assert_eq!(numbers("slow"), (5..12).collect::<Vec<_>>());
    assert_eq!(numbers("never"), (0..12).collect::<Vec<_>>());
}

#[test]
fn only_what_is_asked_for_comes() {
    if !has_tools() {
        return;
    }
    let rig = journald(
        "exclude_units: [noisy], priority: warning, matches: {_TRANSPORT: [journal, stdout]}, \
         identifiers: [app, systemd], since: '2023-11-14 22:13:22 UTC'",
    );
    let all: Vec<u8> = [
        "MESSAGE=too early\nPRIORITY=3\n_TRANSPORT=journal\nSYSLOG_IDENTIFIER=app",
        "MESSAGE=first\nPRIORITY=4\n_TRANSPORT=journal\nSYSLOG_IDENTIFIER=app",
        "MESSAGE=not urgent\nPRIORITY=5\n_TRANSPORT=journal\nSYSLOG_IDENTIFIER=app",
        "MESSAGE=noise\nPRIORITY=3\n_TRANSPORT=stdout\nSYSLOG_IDENTIFIER=app\n_SYSTEMD_UNIT=noisy.service",
        "MESSAGE=Stopped noisy\nPRIORITY=3\n_TRANSPORT=journal\nSYSLOG_IDENTIFIER=systemd\nUNIT=noisy.service\n_PID=1",
        "MESSAGE=kernel\nPRIORITY=3\n_TRANSPORT=kernel\nSYSLOG_IDENTIFIER=app",
        "MESSAGE=other\nPRIORITY=3\n_TRANSPORT=stdout\nSYSLOG_IDENTIFIER=other",
        "MESSAGE=last\nPRIORITY=0\n_TRANSPORT=stdout\nSYSLOG_IDENTIFIER=app\n_SYSTEMD_UNIT=app.service",
    ]
    .iter()
    .enumerate()
    .flat_map(|(number, fields)| entry(number + 1, fields))
    .collect();
    append(&rig, "a", &all);
    assert!(rig.agent(&["--once"]).wait().success(), "{}", rig.text("said"));
    assert_eq!(messages(&rig), ["first", "last"]);
}

#[test]
fn from_the_end_only_what_comes_after_the_start_is_read_from_single_files_too() {
    if !has_tools() {
        return;
    }
    let rig = Rig::new(
        "sources:\n  in: {type: journald, files: [DIR/journal/a.journal], read_from: end}",
    );
    append(&rig, "a", &numbered(0..5));
    let agent = rig.agent(&[]);
    let mut next = 5;
    // When it is ready nobody can see, so entries are added until one is seen.
    rig.wait_until("the agent runs", || rig.text("said").contains("running"));
    while messages(&rig).is_empty() && next < 300 {
        append(&rig, "a", &numbered(next..next + 1));
        next += 1;
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let seen = messages(&rig);
    assert!(!seen.is_empty() && !seen.contains(&"entry 4".to_owned()), "{seen:?}");
    assert!(agent.stop().success());
}

#[test]
fn where_there_is_no_journal_or_no_journalctl_that_is_said() {
    let rig = Rig::new("sources:\n  in: {type: journald, journalctl: /nonexistent/journalctl}");
    let agent = rig.agent(&[]);
    rig.wait_until("it says so", || rig.text("said").contains("has this host systemd's journal?"));
    assert!(agent.stop().success());
    if !has_tools() {
        return;
    }
    let rig = journald("");
    let agent = rig.agent(&[]);
    rig.wait_until("it says so", || rig.text("said").contains("No such file or directory"));
    // It is tried again, and goes on once there is one.
    append(&rig, "a", &numbered(0..3));
    rig.wait_until("the entries are there", || messages(&rig).len() == 3);
    assert!(agent.stop().success());
}
