//! kill -9 and broken connections on the way to receivers over the network.

use super::oracle::{Oracle, Verdict};
use super::own_network::{in_own_network, ip};
use super::receivers::{self, Receiver};
use super::relay::Relay;
use super::rig::Rig;
use super::scale;
use super::writer::Writer;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::time::{Duration, Instant};

fn topology(sink: &str) -> String {
    format!(
        "sources: {{app: {{type: file, include: ['{{dir}}/logs/*.log']}}}}\n\
         sinks: {{out: {{inputs: [app], retry: {{initial: 20ms, max: 200ms}}, {sink}}}}}\n"
    )
}

fn to_http(server: &Receiver) -> String {
    topology(&format!("type: http, encoding: text, url: 'http://{}/'", server.address))
}

fn to_syslog(server: &Receiver) -> String {
    topology(&format!("type: syslog, url: 'tcp://{}'", server.address))
}

/// How many of the log's lines the checkpoint counts as safe.
#[derive(Default)]
struct Safe {
    offset: u64,
    lines: u64,
}

impl Safe {
    fn lines(&mut self, rig: &Rig) -> u64 {
        let text = fs::read_to_string(rig.path("data/checkpoints/app")).unwrap_or_default();
        let offset = text.rsplit("\"offset\":").next().filter(|_| text.contains("\"offset\":"));
        let digits = offset.and_then(|rest| rest.split(|it: char| !it.is_ascii_digit()).next());
        let offset: u64 = digits.map_or(0, |digits| digits.parse().unwrap());
        let mut log = File::open(rig.path("logs/app.log")).unwrap();
        log.seek(SeekFrom::Start(self.offset)).unwrap();
        let mut more = Vec::new();
        log.take(offset - self.offset).read_to_end(&mut more).unwrap();
        self.offset = offset;
        self.lines += memchr::memchr_iter(b'\n', &more).count() as u64;
        self.lines
    }
}

/// How many lines were taken once nothing more comes.
fn settled(rig: &Rig, server: &Receiver, oracle: &mut Oracle) -> u64 {
    let mut looks = 0;
    rig.wait_until("the receiver has what it got", || {
        let more = server.received.drain();
        oracle.take_more(&more);
        looks += 1;
        more.is_empty() && looks > 1
    });
    oracle.distinct(1)
}

/// Kills the agent as often as the scale says. No line is lost, damaged or overtaken, and none comes
/// twice but those that were under way: taken, and not yet in the checkpoint.
fn killed_on_the_way_to(server: &Receiver, topology: &str) {
    let mut rig = Rig::new(topology);
    let mut writer = Writer::start(1, &rig.path("logs/app.log"), scale().bytes_per_second);
    let (mut under_way, mut oracle, mut safe) = (0, Oracle::default(), Safe::default());
    for round in 0..scale().kills {
        let agent = rig.start();
        // Every third lives long enough to write its checkpoint.
        let (least, most) = if round % 3 == 0 { (1_100, 2_000) } else { (50, 700) };
        std::thread::sleep(rig.random(least, most));
        agent.kill();
        writer.rest(true);
        let taken = settled(&rig, server, &mut oracle);
        under_way += taken.saturating_sub(safe.lines(&rig));
        writer.rest(false);
    }
    let written = writer.stop();
    let agent = rig.start();
    let verdict = rig.verdict_of_more(&[(1, written)], &mut oracle, || server.received.drain());
    assert!(agent.stop().success(), "{}", rig.said());
    assert_eq!(Verdict { doubled: 0, ..verdict }, Verdict::default(), "{verdict:?}");
    println!("{} of {written} lines doubled, {under_way} were under way", verdict.doubled);
    assert!(verdict.doubled <= under_way, "{} doubled, {under_way} allowed", verdict.doubled);
    assert!(safe.lines(&rig) == written, "what was delivered is in the checkpoint at the end");
}

#[test]
fn killed_on_the_way_to_http_it_doubles_only_what_was_under_way() {
    let server = receivers::http();
    killed_on_the_way_to(&server, &to_http(&server));
}

#[test]
fn killed_on_the_way_to_syslog_it_doubles_only_what_was_under_way() {
    let server = receivers::lines();
    killed_on_the_way_to(&server, &to_syslog(&server));
}

#[test]
fn tls_connections_that_break_again_and_again_lose_nothing() {
    let server = receivers::http();
    let relay = Relay::to(server.address);
    let mut rig = Rig::new(&topology(&format!(
        "type: http, encoding: text, url: 'https://localhost:{}/', tls: {{ca_file: '{{dir}}/ca.pem'}}",
        relay.address.port()
    )));
    fs::write(rig.path("ca.pem"), relay.certificate()).unwrap();
    let mut writer = Writer::start(1, &rig.path("logs/app.log"), scale().bytes_per_second);
    let agent = rig.start();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(scale().seconds) {
        std::thread::sleep(rig.random(50, 400));
        relay.cut();
    }
    let verdict = rig.verdict(&[(1, writer.stop())], || server.received.bytes());
    assert!(agent.stop().success(), "{}", rig.said());
    assert_eq!(Verdict { doubled: 0, ..verdict }, Verdict::default(), "{verdict:?}");
    assert!(relay.connections() > 3, "{}", relay.connections());
}

/// The link is pulled for longer than the sink waits for an answer: nobody says that the connection
/// is gone, and nothing that is sent arrives.
fn half_open(server: &Receiver, topology: &str) {
    let rig = Rig::new(&topology.replace("inputs: [app],", "inputs: [app], timeout: 1s,"));
    let mut writer = Writer::start(1, &rig.path("logs/app.log"), scale().bytes_per_second);
    let agent = rig.start();
    let mut oracle = Oracle::default();
    let arrived = |oracle: &mut Oracle| {
        oracle.take_more(&server.received.drain());
        oracle.distinct(1)
    };
    for round in 1..=2 {
        let before = arrived(&mut oracle);
        rig.wait_until("lines arrive", || arrived(&mut oracle) > before);
        assert!(ip("link set lo down"));
        // What is said again is summed up, so that each round adds at least one.
        let tried = || rig.all_said().matches("will try again").count();
        rig.wait_until("it gives the connection up", || tried() >= round);
        assert!(ip("link set lo up"));
    }
    let written = [(1, writer.stop())];
    let verdict = rig.verdict_of_more(&written, &mut oracle, || server.received.drain());
    assert!(agent.stop().success(), "{}", rig.said());
    assert_eq!((verdict.lost, verdict.damaged), (0, 0), "{verdict:?}");
}

#[test]
fn an_http_server_that_vanishes_without_a_word_loses_nothing() {
    in_own_network(|| {
        let server = receivers::http();
        half_open(&server, &to_http(&server));
    });
}

#[test]
fn a_syslog_server_that_vanishes_without_a_word_loses_nothing() {
    in_own_network(|| {
        let server = receivers::lines();
        half_open(&server, &to_syslog(&server));
    });
}
