//! SIGTERM, under load and while a sink is not there: the agent ends in time, and nothing is lost.

use super::oracle::{Oracle, Verdict};
use super::receivers::{self, Mood};
use super::rig::{Rig, free_port};
use super::scale;
use super::writer::Writer;
use std::time::{Duration, Instant};

/// The time that the agent has, and what a busy machine may take beyond it.
const LIMIT: Duration = Duration::from_secs(2);
const MARGIN: Duration = Duration::from_secs(3);

fn rig(sink: &str) -> Rig {
    let rig = Rig::new(&format!(
        "sources: {{app: {{type: file, include: ['{{dir}}/logs/*.log']}}}}\n\
         sinks: {{out: {{inputs: [app], retry: {{initial: 20ms, max: 200ms}}, {sink}}}}}\n"
    ));
    rig.settings("shutdown_timeout: 2s\n");
    rig
}

#[test]
fn told_to_end_under_load_it_ends_in_time_and_nothing_is_lost_or_doubled() {
    let server = receivers::http();
    let to = format!("type: http, encoding: text, url: 'http://{}/'", server.address);
    let mut rig = rig(&to);
    let mut writer = Writer::start(1, &rig.path("logs/app.log"), scale().bytes_per_second * 4);
    for _ in 0..5 {
        let agent = rig.start();
        let before = server.received.bytes().len();
        rig.wait_until("lines arrive", || server.received.bytes().len() > before);
        std::thread::sleep(rig.random(0, 300));
        let begun = Instant::now();
        assert!(agent.stop().success(), "{}", rig.said());
        assert!(begun.elapsed() < LIMIT + MARGIN, "it took {:?}", begun.elapsed());
    }
    let written = writer.stop();
    let agent = rig.start();
    let verdict = rig.verdict(&[(1, written)], || server.received.bytes());
    assert!(agent.stop().success(), "{}", rig.said());
    assert_eq!(verdict, Verdict::default());
}

#[test]
fn told_to_end_while_its_sinks_are_dead_it_ends_in_time_and_keeps_all_for_later() {
    // One that nobody listens at, and one that takes a request and never answers.
    let nobody = free_port();
    let silent = receivers::http();
    silent.received.set(Mood::Slow(Duration::from_secs(600)));
    let url = |address: &str, path: &str| format!("url: 'http://{address}{path}'");
    let (silent_at, nobody_at) = (silent.address.to_string(), format!("127.0.0.1:{nobody}"));
    let dead = [
        format!("type: http, encoding: text, {}", url(&nobody_at, "/")),
        format!("type: http, encoding: text, {}", url(&silent_at, "/")),
        format!("type: elasticsearch, {}", url(&silent_at, "/")),
        format!("type: loki, {}", url(&silent_at, "/")),
        format!("type: syslog, url: 'tcp://{nobody_at}'"),
    ];
    // Each is a trial of its own, and waits most of the time.
    std::thread::scope(|scope| {
        for sink in &dead {
            scope.spawn(move || ends_in_time_and_keeps_all(sink));
        }
    });
}

fn ends_in_time_and_keeps_all(sink: &str) {
    let rig = rig(sink);
    let mut writer = Writer::start(1, &rig.path("logs/app.log"), 1_000_000);
    let agent = rig.start();
    rig.wait_until("it has read something", || rig.path("data").exists());
    std::thread::sleep(Duration::from_millis(300));
    let begun = Instant::now();
    agent.stop();
    assert!(begun.elapsed() < LIMIT + MARGIN, "{sink}: it took {:?}", begun.elapsed());
    let written = writer.stop();
    // Later the sink is another.
    let server = receivers::http();
    rig.configure(&format!(
        "sources: {{app: {{type: file, include: ['{{dir}}/logs/*.log']}}}}\n\
         sinks: {{out: {{inputs: [app], type: http, encoding: text, url: 'http://{}/'}}}}\n",
        server.address
    ));
    let agent = rig.start();
    let mut oracle = Oracle::default();
    rig.wait_until("all lines arrive", || {
        oracle.take_more(&server.received.drain());
        oracle.distinct(1) == written
    });
    assert!(agent.stop().success(), "{}", rig.said());
}
