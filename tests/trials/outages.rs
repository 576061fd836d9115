//! Sinks that are away, come and go, or are slow.

use super::oracle::{Oracle, Verdict};
use super::receivers::{self, Mood};
use super::rig::{Rig, resident_bytes};
use super::scale;
use super::writer::Writer;
use std::time::Duration;

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
    let judge = || {
        let mut oracle = Oracle::default();
        oracle.take(&server.received.bytes());
        oracle
    };
    rig.wait_until("all lines have arrived", || judge().distinct(1) == written);
    let resident = resident_bytes(&agent);
    assert!(agent.stop().success(), "{}", rig.said());
    assert_eq!(judge().verdict(&[(1, written)]), Verdict::default());
    assert!(resident < 400 << 20, "{resident} bytes in RAM");
}
