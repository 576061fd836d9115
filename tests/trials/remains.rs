//! What a crash, a full disk or an older version may leave of the agent's own files, kind by kind.

use super::oracle::{Oracle, Verdict};
use super::receivers::{self, Mood};
use super::rig::{Rig, free_port, metric, scrape};
use super::skip::skipped;
use super::writer::Writer;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn rig(address: &str, buffer: &str, port: u16) -> Rig {
    let rig = Rig::new(&format!(
        "sources:\n  app: {{type: file, include: ['{{dir}}/logs/*.log']}}\n  \
         self: {{type: internal_metrics}}\n\
         sinks:\n  out: {{type: http, inputs: [app], encoding: text, url: 'http://{address}/', \
         retry: {{initial: 20ms, max: 200ms}}{buffer}}}\n  \
         scrape: {{type: prometheus, inputs: [self], listen: '127.0.0.1:{port}'}}\n"
    ));
    rig.settings("shutdown_timeout: 2s\n");
    rig
}

fn edit(path: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    edit(&mut bytes);
    fs::write(path, bytes).unwrap();
}

type Deed = (&'static str, fn(&Path));

#[test]
fn whatever_is_left_of_a_checkpoint_it_costs_no_line() {
    let deeds: [Deed; 6] = [
        ("another version", |path| edit(path, |it| it[21] = b'9')),
        ("half a line at its end", |path| edit(path, |it| it.truncate(it.len() - 30))),
        ("only the one that was being written", |path| {
            fs::rename(path, path.with_added_extension("new")).unwrap();
        }),
        ("a new one beside it that is cut off", |path| {
            fs::write(path.with_added_extension("new"), "driftless checkp").unwrap();
        }),
        ("no checkpoint", |path| fs::remove_file(path).unwrap()),
        ("no directory", |path| fs::remove_dir_all(path.parent().unwrap()).unwrap()),
    ];
    let (server, port) = (receivers::http(), free_port());
    let rig = rig(&server.address.to_string(), "", port);
    let checkpoint = rig.path("data/checkpoints/app");
    let mut writer = Writer::start(1, &rig.path("logs/app.log"), 300_000);
    for (what, deed) in deeds {
        let agent = rig.start();
        let before = server.received.bytes().len();
        rig.wait_until(what, || server.received.bytes().len() > before && checkpoint.exists());
        assert!(agent.stop().success(), "{what}: {}", rig.said());
        deed(&checkpoint);
    }
    let agent = rig.start();
    let verdict = rig.verdict(&[(1, writer.stop())], || server.received.bytes());
    assert!(agent.stop().success(), "{}", rig.said());
    assert_eq!(Verdict { doubled: 0, ..verdict }, Verdict::default(), "{verdict:?}");
    assert!(!rig.all_said().contains("panic"), "{}", rig.said());
}

#[test]
fn a_state_directory_that_cannot_be_written_stops_no_line_and_is_told() {
    let (server, port) = (receivers::http(), free_port());
    let rig = rig(&server.address.to_string(), "", port);
    fs::create_dir(rig.path("data")).unwrap();
    let read_only = |program: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c"]);
        command.arg("mount -o bind,ro \"$1\" \"$1\" && shift && exec \"$@\"").arg("read-only");
        command.arg(rig.path("data")).args(program);
        command
    };
    let mut trial = read_only(&["true"]);
    if !trial.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return skipped("a read-only directory of its own needs root and unshare");
    }
    let mut writer = Writer::start(1, &rig.path("logs/app.log"), 300_000);
    let agent = rig.start_by(read_only(&[]));
    rig.wait_until("it is told", || rig.said().contains("Read-only file system"));
    let verdict = rig.verdict(&[(1, writer.stop())], || server.received.bytes());
    agent.stop();
    assert_eq!(verdict, Verdict::default(), "{}", rig.said());
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let there = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy(&entry, &there);
        } else if entry.is_file() {
            fs::copy(&entry, &there).unwrap();
        }
    }
}

/// The segments of the buffer, in order.
fn segments(buffer: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(buffer).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|it| it == "segment")).collect();
    all.sort();
    all
}

/// What is done to a buffer: its name, the doing, how many segments' worth may be lost of it, and
/// whether that has to be told.
type BufferDeed = (&'static str, fn(&Path), usize, bool);

#[test]
fn whatever_is_left_of_a_disk_buffer_only_what_was_hit_is_lost_and_it_is_counted() {
    let deeds: [BufferDeed; 8] = [
        ("nothing", |_| {}, 0, false),
        ("an empty segment", |it| drop(File::create(&segments(it)[1]).unwrap()), 1, true),
        (
            "a segment that is cut off",
            |it| edit(&segments(it)[1], |it| it.truncate(5_000)),
            1,
            true,
        ),
        ("a header with a wrong bit", |it| edit(&segments(it)[1], |it| it[9] ^= 4), 1, true),
        ("another version", |it| edit(&segments(it)[1], |it| it[3] = b'9'), 1, true),
        ("no segment in the middle", |it| fs::remove_file(&segments(it)[1]).unwrap(), 1, true),
        ("an empty cursor", |it| drop(File::create(it.join("cursor")).unwrap()), 0, false),
        (
            "a cursor that was being written",
            |it| {
                fs::remove_file(it.join("cursor")).ok();
                fs::write(it.join("cursor.new"), "driftless buf").unwrap();
            },
            0,
            false,
        ),
    ];
    let (server, port) = (receivers::http(), free_port());
    let rig = rig(&server.address.to_string(), ", buffer: {type: disk, max_bytes: 2MiB}", port);
    server.received.set(Mood::Refuses);
    let log = rig.path("logs/app.log");
    let mut writer = Writer::start(1, &log, 2_000_000);
    let agent = rig.start();
    let buffer = rig.path("data/buffers/out");
    rig.wait_until("several segments are full", || buffer.exists() && segments(&buffer).len() > 4);
    let written = writer.stop();
    let end = format!("\"offset\":{},", fs::metadata(&log).unwrap().len());
    rig.wait_until("all of it is buffered", || {
        fs::read_to_string(rig.path("data/checkpoints/app")).is_ok_and(|text| text.contains(&end))
    });
    agent.kill();
    let kept = rig.path("kept");
    copy(&rig.path("data"), &kept);
    server.received.set(Mood::Well);
    let mut taken = 0;
    for (what, deed, segments_lost, is_told) in deeds {
        fs::remove_dir_all(rig.path("data")).unwrap();
        copy(&kept, &rig.path("data"));
        let largest = segments(&buffer).iter().map(|it| fs::metadata(it).unwrap().len()).max();
        deed(&buffer);
        let agent = rig.start();
        let arrived = || server.received.bytes()[taken..].to_vec();
        let last = format!("1 {} ", written - 1);
        rig.wait_until(what, || memchr::memmem::find(&arrived(), last.as_bytes()).is_some());
        let verdict = Oracle::of(&arrived()).verdict(&[(1, written)]);
        assert_eq!(Verdict { lost: 0, ..verdict }, Verdict::default(), "{what}: {verdict:?}");
        // A line has 120 bytes on average.
        let most = largest.unwrap() * segments_lost as u64 / 100;
        assert!(verdict.lost <= most, "{what}: {} lost, at most {most}", verdict.lost);
        let damaged = || metric(&scrape(port), "driftless_disk_buffer_damaged_frames_total", "out");
        if is_told {
            rig.wait_until(what, || damaged() > 0.0);
            assert!(verdict.lost > 0, "{what}: {verdict:?}");
        }
        assert!(agent.stop().success(), "{what}: {}", rig.said());
        taken = server.received.bytes().len();
    }
    assert!(!rig.all_said().contains("panic"), "{}", rig.said());
}
