//! What the agent keeps on disk is damaged while it is down.

use super::oracle::{Oracle, Verdict};
use super::receivers::{self, Mood};
use super::rig::{Rig, content, free_port, metric, scrape};
use super::writer::Writer;
use std::fs;
use std::path::PathBuf;

/// Puts noise into a file from the middle on, without changing its length.
fn scratch(path: &PathBuf, bytes: usize) {
    let mut data = fs::read(path).unwrap();
    let at = data.len() / 2;
    for byte in data.iter_mut().skip(at).take(bytes) {
        *byte ^= 0x5a;
    }
    fs::write(path, data).unwrap();
}

#[test]
fn a_damaged_checkpoint_is_told_and_costs_no_line() {
    let rig = Rig::new(
        "sources: {app: {type: file, include: ['{dir}/logs/*.log']}}\n\
         sinks: {out: {type: file, inputs: [app], path: '{dir}/out/all.log'}}\n",
    );
    let mut writers: Vec<Writer> =
        (0..5).map(|id| Writer::start(id, &rig.path(&format!("logs/{id}.log")), 100_000)).collect();
    let checkpoint = rig.path("data/checkpoints/app");
    type Deed = fn(&PathBuf);
    let deeds: [Deed; 4] = [
        |path| scratch(path, 10),
        |path| fs::write(path, fs::read(path).unwrap().split_off(40)).unwrap(),
        |path| fs::write(path, vec![0; 4096]).unwrap(),
        |path| fs::write(path, "").unwrap(),
    ];
    for (round, deed) in deeds.into_iter().enumerate() {
        let agent = rig.start();
        let before = content(&rig.path("out"), "all.log").len();
        rig.wait_until("lines arrive", || {
            content(&rig.path("out"), "all.log").len() > before && checkpoint.exists()
        });
        assert!(agent.stop().success(), "{}", rig.said());
        deed(&checkpoint);
        let agent = rig.start();
        let told = || rig.all_said().matches("the checkpoint is damaged").count() > round;
        rig.wait_until("it is told", told);
        assert!(agent.stop().success(), "{}", rig.said());
    }
    let agent = rig.start();
    let written: Vec<(u32, u64)> =
        writers.iter_mut().map(|writer| (writer.id, writer.stop())).collect();
    let out = || Oracle::of(&content(&rig.path("out"), "all.log"));
    rig.wait_until("all lines have arrived", || {
        let out = out();
        written.iter().all(|(id, lines)| out.distinct(*id) == *lines)
    });
    assert!(agent.stop().success(), "{}", rig.said());
    let verdict = out().verdict(&written);
    assert_eq!(Verdict { doubled: 0, ..verdict }, Verdict::default(), "{verdict:?}");
}

#[test]
fn a_damaged_disk_buffer_costs_the_frames_that_were_hit_and_these_are_counted() {
    let (server, port) = (receivers::http(), free_port());
    server.received.set(Mood::Refuses);
    let rig = Rig::new(&format!(
        "sources:\n  app: {{type: file, include: ['{{dir}}/logs/*.log']}}\n  \
         self: {{type: internal_metrics}}\n\
         sinks:\n  out:\n    type: http\n    inputs: [app]\n    encoding: text\n    \
         url: 'http://{}/'\n    retry: {{initial: 20ms, max: 200ms}}\n    \
         buffer: {{type: disk, sync: 50ms}}\n  \
         scrape: {{type: prometheus, inputs: [self], listen: '127.0.0.1:{port}'}}\n",
        server.address
    ));
    rig.settings("shutdown_timeout: 1s\n");
    let log = rig.path("logs/app.log");
    let mut writer = Writer::start(1, &log, 2_000_000);
    let agent = rig.start();
    let lines = "driftless_disk_buffer_events";
    rig.wait_until("much is buffered", || metric(&scrape(port), lines, "out") > 10_000.0);
    let written = writer.stop();
    let end = format!("\"offset\":{},", fs::metadata(&log).unwrap().len());
    let checkpoint = rig.path("data/checkpoints/app");
    rig.wait_until("all of it is", || {
        fs::read_to_string(&checkpoint).is_ok_and(|text| text.contains(&end))
    });
    agent.kill();
    let buffer = rig.path("data/buffers/out");
    let segments: Vec<PathBuf> = fs::read_dir(&buffer)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "segment"))
        .collect();
    let [segment] = &segments[..] else { panic!("{segments:?}") };
    scratch(segment, 100);
    fs::write(buffer.join("cursor"), "noise").unwrap();
    server.received.set(Mood::Well);
    let agent = rig.start();
    rig.wait_until("the rest has arrived", || {
        let end = format!("1 {} ", written - 1);
        memchr::memmem::find(&server.received.bytes(), end.as_bytes()).is_some()
    });
    let damaged = || metric(&scrape(port), "driftless_disk_buffer_damaged_frames_total", "out");
    rig.wait_until("it is counted", || damaged() > 0.0);
    let said = rig.all_said();
    assert!(said.contains("the disk buffer is damaged; these frames are lost"), "{said}");
    assert!(said.contains("the cursor of the disk buffer is damaged"), "{said}");
    assert_eq!(damaged(), 1.0, "{said}");
    rig.wait_until("what was damaged is put aside for whoever wants to look", || {
        fs::read_dir(buffer.join("damaged")).is_ok_and(|aside| aside.count() == 1)
    });
    assert!(agent.stop().success(), "{said}");
    let verdict = Oracle::of(&server.received.bytes()).verdict(&[(1, written)]);
    assert_eq!(Verdict { lost: 0, ..verdict }, Verdict::default(), "{verdict:?}");
    // One frame holds what was read at a time: up to 256 KiB, lines of 120 bytes on average.
    assert!((1..4_000).contains(&verdict.lost), "{verdict:?}");
}
