//! kill -9, again and again, at random moments, while a writer writes.

use super::oracle::Verdict;
use super::receivers;
use super::rig::{Rig, content};
use super::scale;
use super::writer::Writer;

/// Kills the agent as often as the scale says, lets the last one finish, and gives the verdict on
/// what `arrived` gives.
fn kill_again_and_again(mut rig: Rig, arrived: impl Fn(&Rig) -> Vec<u8>) -> Verdict {
    let scale = scale();
    let mut writer = Writer::start(1, &rig.path("logs/app.log"), scale.bytes_per_second);
    for _ in 0..scale.kills {
        let agent = rig.start();
        std::thread::sleep(rig.random(50, 700));
        agent.kill();
    }
    let written = writer.stop();
    let agent = rig.start();
    let verdict = rig.verdict(&[(1, written)], || arrived(&rig));
    assert!(agent.stop().success(), "{}", rig.said());
    verdict
}

#[test]
fn killed_on_the_way_to_a_file_it_loses_nothing_and_keeps_the_order() {
    let rig = Rig::new(
        "sources: {app: {type: file, include: ['{dir}/logs/*.log']}}\n\
         sinks: {out: {type: file, inputs: [app], path: '{dir}/out/all.log'}}\n",
    );
    let verdict = kill_again_and_again(rig, |rig| content(&rig.path("out"), "all.log"));
    assert_eq!(Verdict { doubled: 0, ..verdict }, Verdict::default(), "{verdict:?}");
}

#[test]
fn killed_on_the_way_to_http_it_loses_nothing_and_keeps_the_order() {
    let server = receivers::http();
    let rig = Rig::new(&format!(
        "sources: {{app: {{type: file, include: ['{{dir}}/logs/*.log']}}}}\n\
         sinks: {{out: {{type: http, inputs: [app], encoding: text, url: 'http://{}/'}}}}\n",
        server.address
    ));
    let verdict = kill_again_and_again(rig, |_| server.received.bytes());
    assert_eq!(Verdict { doubled: 0, ..verdict }, Verdict::default(), "{verdict:?}");
}

#[test]
fn killed_on_the_way_to_syslog_it_loses_nothing_and_keeps_the_order() {
    let server = receivers::lines();
    let rig = Rig::new(&format!(
        "sources: {{app: {{type: file, include: ['{{dir}}/logs/*.log']}}}}\n\
         sinks: {{out: {{type: syslog, inputs: [app], url: 'tcp://{}'}}}}\n",
        server.address
    ));
    let verdict = kill_again_and_again(rig, |_| server.received.bytes());
    assert_eq!(Verdict { doubled: 0, ..verdict }, Verdict::default(), "{verdict:?}");
}
