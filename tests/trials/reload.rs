//! The config changes, again and again, while a writer writes.

use super::oracle::Verdict;
use super::rig::{Rig, content};
use super::scale;
use super::writer::Writer;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;

const CHANGES: usize = 20;

const SOURCE: &str =
    "sources: {app: {type: file, include: ['{dir}/logs/*.log'], close_inactive: CLOSEm}}\n";
const SINK: &str = "sinks:\n  out: {type: file, inputs: [IN], path: '{dir}/out/all.log', \
                    batch: {age: AGEms}, sync: never}\n";

/// Configs in turn: the way of the lines changes, then their sink, their source, their siblings.
fn topology(number: usize) -> String {
    let (way, input) = match number % 4 {
        0 => ("", "app"),
        1 => ("transforms:\n  all: {type: filter, keep: 'true', inputs: [app]}\n", "all"),
        2 => (
            "transforms:\n  all: {type: route, routes: {some: message is search('~')}, inputs: [app]}\n",
            "all.some",
        ),
        _ => (
            "transforms:\n  one: {type: filter, drop: 'false', inputs: [app]}\n  all: {type: filter, keep: 'true', inputs: [one]}\n",
            "all",
        ),
    };
    let sibling = if number.is_multiple_of(3) {
        "  more: {type: file, inputs: [app], path: '{dir}/more/all.log', sync: never}\n"
    } else {
        ""
    };
    let source = SOURCE.replace("CLOSE", &(1 + number / 5).to_string());
    let sink = SINK.replace("IN", input).replace("AGE", &(1 + number / 2 % 3).to_string());
    format!("{source}{way}{sink}{sibling}")
}

#[test]
fn reloads_under_load_lose_and_double_nothing() {
    let rig = Rig::new(&topology(0));
    let mut writer = Writer::start(1, &rig.path("logs/app.log"), 5_000_000);
    let agent = rig.start();
    let length = || fs::metadata(rig.path("out/all.log")).map_or(0, |about| about.len());
    rig.wait_until("lines arrive", || length() > 0);
    let id = Pid::from_raw(agent.id().try_into().unwrap());
    for number in 1..=CHANGES * usize::try_from(scale().seconds / 4).unwrap() {
        rig.change(&topology(number));
        kill(id, Signal::SIGHUP).unwrap();
        let loaded = || rig.all_said().matches("config loaded").count() >= number;
        rig.wait_until("the config is taken", loaded);
        assert!(!rig.said().contains("config refused"), "{}", rig.said());
        let before = length();
        rig.wait_until("lines go on arriving", || length() > before);
    }
    let written = writer.stop();
    let verdict = rig.verdict(&[(1, written)], || content(&rig.path("out"), "all.log"));
    assert!(agent.stop().success(), "{}", rig.said());
    assert_eq!(verdict, Verdict::default(), "{}", rig.said());
}
