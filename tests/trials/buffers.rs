//! Disk buffers: what they hold outlives kills, a sink that is away, the source's files and a full
//! disk.

use super::oracle::Verdict;
use super::receivers::{self, Mood, Receiver};
use super::rig::Rig;
use super::scale;
use super::skip::skipped;
use super::writer::Writer;
use std::fs;
use std::process::{Command, Stdio};

fn rig(server: &Receiver, buffer: &str) -> Rig {
    Rig::new(&format!(
        "sources: {{app: {{type: file, include: ['{{dir}}/logs/*.log']}}}}\n\
         sinks:\n  out:\n    type: http\n    inputs: [app]\n    encoding: text\n    \
         url: 'http://{}/'\n    retry: {{initial: 20ms, max: 200ms}}\n    buffer: {buffer}\n",
        server.address
    ))
}

#[test]
fn what_a_buffer_has_taken_outlives_kills_and_the_files_that_it_came_from() {
    let server = receivers::http();
    server.received.set(Mood::Refuses);
    let mut rig = rig(&server, "{type: disk, sync: 50ms}");
    let log = rig.path("logs/app.log");
    let mut writer = Writer::start(1, &log, scale().bytes_per_second);
    for _ in 0..scale().kills.div_ceil(3) {
        let agent = rig.start();
        std::thread::sleep(rig.random(50, 900));
        agent.kill();
    }
    let written = writer.stop();
    let agent = rig.start();
    let end = format!("\"offset\":{},", fs::metadata(&log).unwrap().len());
    let checkpoint = rig.path("data/checkpoints/app");
    rig.wait_until("the source counts all of it as safe", || {
        fs::read_to_string(&checkpoint).is_ok_and(|text| text.contains(&end))
    });
    agent.kill();
    fs::remove_file(&log).unwrap();
    assert!(server.received.bytes().is_empty());

    server.received.set(Mood::Well);
    let agent = rig.start();
    let verdict = rig.verdict(&[(1, written)], || server.received.bytes());
    let empty = || {
        fs::read_dir(rig.path("data/buffers/out"))
            .unwrap()
            .flatten()
            .all(|entry| !entry.file_name().to_string_lossy().ends_with(".segment"))
    };
    rig.wait_until("nothing is left in the buffer", empty);
    assert!(agent.stop().success(), "{}", rig.said());
    // What was written and not synced yet when it was killed was read, and buffered, again.
    assert_eq!(Verdict { doubled: 0, ..verdict }, Verdict::default(), "{verdict:?}");
}

#[test]
fn a_full_disk_holds_the_source_back_and_goes_on_by_itself() {
    let server = receivers::http();
    server.received.set(Mood::Refuses);
    let rig = rig(&server, "{type: disk, max_bytes: 200MiB}");
    let buffers = rig.path("data/buffers");
    fs::create_dir_all(&buffers).unwrap();
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .arg("mount -t tmpfs -o size=2m tmpfs \"$1\" && shift && exec \"$@\"")
        .arg("small disk")
        .arg(&buffers);
    let possible = {
        let mut trial = Command::new("unshare");
        trial.args(["--mount", "--propagation", "private", "sh", "-c"]);
        trial.arg("mount -t tmpfs -o size=2m tmpfs \"$1\"").arg("small disk").arg(&buffers);
        trial.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|it| it.success())
    };
    if !possible {
        return skipped("a small disk of its own needs root and unshare");
    }
    let mut writer = Writer::start(1, &rig.path("logs/app.log"), 4_000_000);
    let agent = rig.start_by(command);
    rig.wait_until("it says that there is no room", || rig.said().contains("has no room"));
    let written = writer.stop();
    server.received.set(Mood::Well);
    let verdict = rig.verdict(&[(1, written)], || server.received.bytes());
    assert!(agent.stop().success(), "{}", rig.said());
    assert_eq!(verdict, Verdict::default());
    assert!(!rig.said().contains("will restart"), "{}", rig.said());
}
