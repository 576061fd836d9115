//! Sinks that are away, come and go, or are slow.

use super::oracle::{Oracle, Verdict};
use super::receivers::{self, Mood, Receiver};
use super::rig::{Rig, anonymous_bytes, resident_bytes};
use super::writer::{Writer, rotate};
use super::{is_long, scale};
use std::cell::Cell;
use std::time::{Duration, Instant};

#[test]
fn a_sink_that_comes_and_goes_gets_every_line_once() {
    let server = receivers::http();
    let mut rig = Rig::new(&format!(
        "sources: {{app: {{type: file, include: ['{{dir}}/logs/*.log']}}}}\n\
         sinks:\n  out:\n    type: http\n    inputs: [app]\n    encoding: text\n    \
         url: 'http://{}/'\n    retry: {{initial: 20ms, max: 200ms}}\n",
        server.address
    ));
    let mut writer = Writer::start(1, &rig.path("logs/app.log"), scale().bytes_per_second);
    let agent = rig.start();
    for _ in 0..scale().seconds {
        for mood in [Mood::Well, Mood::Refuses, Mood::Well, Mood::Slow(Duration::from_millis(100))]
        {
            server.received.set(mood);
            std::thread::sleep(rig.random(50, 400));
        }
    }
    server.received.set(Mood::Well);
    let written = writer.stop();
    let verdict = rig.verdict(&[(1, written)], || server.received.bytes());
    let resident = resident_bytes(&agent);
    assert!(agent.stop().success(), "{}", rig.said());
    assert_eq!(verdict, Verdict::default());
    assert!(resident < 400 << 20, "{resident} bytes in RAM");
}

fn to_http(server: &Receiver) -> String {
    format!(
        "sources: {{app: {{type: file, include: ['{{dir}}/logs/*.log*']}}}}\n\
         sinks:\n  out:\n    type: http\n    inputs: [app]\n    encoding: text\n    \
         url: 'http://{}/'\n    retry: {{initial: 20ms, max: 200ms}}\n",
        server.address
    )
}

#[test]
fn a_sink_that_was_down_gets_all_that_was_written_and_rotated_meanwhile_once() {
    let server = receivers::http();
    let rig = Rig::new(&to_http(&server));
    let log = rig.path("logs/app.log");
    let mut writer = Writer::start(1, &log, scale().bytes_per_second / 2);
    let agent = rig.start();
    let mut oracle = Oracle::default();
    rig.wait_until("some lines have arrived", || {
        oracle.take_more(&server.received.drain());
        oracle.distinct(1) > 0
    });
    server.received.set(Mood::Refuses);
    let down = Duration::from_secs(if is_long() { 300 } else { 4 });
    for _ in 0..5 {
        std::thread::sleep(down / 5);
        writer.between_lines(|path| rotate(path, 10));
    }
    assert!(rig.said().contains("503"), "{}", rig.said());
    let while_down = anonymous_bytes(&agent);
    server.received.set(Mood::Well);
    let (written, back) = ([(1, writer.stop())], Instant::now());
    let verdict = rig.verdict_of_more(&written, &mut oracle, || server.received.drain());
    println!(
        "{} lines, the last of them {:?} after the sink was back",
        written[0].1,
        back.elapsed()
    );
    assert!(agent.stop().success(), "{}", rig.said());
    assert_eq!(verdict, Verdict::default());
    assert!(while_down < (64 + 16) << 20, "{while_down} bytes in RAM");
}

#[test]
fn before_a_slow_sink_memory_stays_within_its_limit() {
    const LIMIT: u64 = 8 << 20;
    let server = receivers::http();
    server.received.set(Mood::Slow(Duration::from_millis(400)));
    let rig = Rig::new(&to_http(&server));
    rig.settings("memory_limit: 8MiB\n");
    // Several files, so that several batches are on their way.
    let mut writers: Vec<Writer> = (0..4)
        .map(|id| Writer::start(id, &rig.path(&format!("logs/{id}.log")), 2_000_000))
        .collect();
    let agent = rig.start();
    let begun = Instant::now();
    let most = Cell::new(0);
    while begun.elapsed() < Duration::from_secs(scale().seconds) {
        std::thread::sleep(Duration::from_millis(20));
        most.set(most.get().max(anonymous_bytes(&agent)));
    }
    server.received.set(Mood::Well);
    let written: Vec<(u32, u64)> =
        writers.iter_mut().map(|writer| (writer.id, writer.stop())).collect();
    let verdict = rig.verdict(&written, || {
        most.set(most.get().max(anonymous_bytes(&agent)));
        server.received.bytes()
    });
    assert!(agent.stop().success(), "{}", rig.said());
    assert_eq!(verdict, Verdict::default());
    let most = most.get();
    println!("at most {most} bytes in RAM that are no file's");
    assert!(most < LIMIT + (16 << 20), "{most} bytes in RAM");
}
