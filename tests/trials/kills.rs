//! kill -9, again and again, at random moments, while a writer writes.

use super::oracle::{Oracle, Verdict};
use super::rig::{Rig, content};
use super::scale;
use super::writer::Writer;
use std::fs;
use std::io::Read;

/// Kills the agent as often as the scale says, lets the last one finish, and gives the verdict on
/// what `arrived` gives.
fn kill_again_and_again(rig: &mut Rig, arrived: impl Fn(&Rig) -> Vec<u8>) -> Verdict {
    let scale = scale();
    let mut writer = Writer::start(1, &rig.path("logs/app.log"), scale.bytes_per_second);
    for _ in 0..scale.kills {
        let agent = rig.start();
        std::thread::sleep(rig.random(50, 700));
        agent.kill();
    }
    let written = writer.stop();
    let agent = rig.start();
    let verdict = rig.verdict(&[(1, written)], || arrived(rig));
    assert!(agent.stop().success(), "{}", rig.said());
    println!("{} kills, {written} lines: {verdict:?}", scale.kills);
    verdict
}

/// As [`kill_again_and_again`], where nothing may come twice.
fn kill_and_count_each_line_once(topology: &str, arrived: impl Fn(&Rig) -> Vec<u8>) -> Rig {
    let mut rig = Rig::new(topology);
    let verdict = kill_again_and_again(&mut rig, arrived);
    assert_eq!(verdict, Verdict::default(), "{}", rig.said());
    rig
}

/// As [`kill_and_count_each_line_once`], where the order is that of each file, and not of all.
fn kill_and_count_each_line_once_in_files(topology: &str) {
    let mut rig = Rig::new(topology);
    let verdict = kill_again_and_again(&mut rig, |rig| content(&rig.path("out"), ""));
    assert_eq!(Verdict { overtaken: 0, ..verdict }, Verdict::default(), "{}", rig.said());
    let files: Vec<_> = fs::read_dir(rig.path("out")).unwrap().map(|it| it.unwrap()).collect();
    assert!(files.len() > 1, "{files:?}");
    for file in files {
        let oracle = Oracle::of(&fs::read(file.path()).unwrap());
        assert_eq!(oracle.verdict(&[(1, 0)]).overtaken, 0, "{file:?}");
    }
}

#[test]
fn killed_on_the_way_to_a_file_each_line_comes_once_and_in_order() {
    kill_and_count_each_line_once(
        "sources: {app: {type: file, include: ['{dir}/logs/*.log']}}\n\
         sinks: {out: {type: file, inputs: [app], path: '{dir}/out/all.log'}}\n",
        |rig| content(&rig.path("out"), "all.log"),
    );
}

#[test]
fn killed_while_it_rotates_each_line_comes_once_and_in_order() {
    let rig = kill_and_count_each_line_once(
        "sources: {app: {type: file, include: ['{dir}/logs/*.log']}}\n\
         sinks: {out: {type: file, inputs: [app], path: '{dir}/out/all.log', sync: never,\n  \
         rotate: {size: 300KiB, keep: 1000}}}\n",
        |rig| {
            let name = |number: usize| rig.path(&format!("out/all.log.{number}"));
            let read = |path| fs::read(path).unwrap_or_default();
            let old = (1..=1000).rev().flat_map(|number| read(name(number)));
            old.chain(read(rig.path("out/all.log"))).collect()
        },
    );
    assert!(rig.path("out/all.log.1").exists());
}

#[test]
fn killed_while_it_compresses_each_line_comes_once_and_in_order() {
    kill_and_count_each_line_once(
        "sources: {app: {type: file, include: ['{dir}/logs/*.log']}}\n\
         sinks: {out: {type: file, inputs: [app], path: '{dir}/out/all.log.gz', sync: never,\n  \
         compression: gzip, batch: {age: 100ms}}}\n",
        |rig| {
            let mut text = Vec::new();
            // What a running agent has not finished yet ends in an error.
            let packed = content(&rig.path("out"), "all.log.gz");
            flate2::read::MultiGzDecoder::new(&*packed).read_to_end(&mut text).ok();
            text
        },
    );
}

#[test]
fn killed_while_it_sorts_lines_into_files_each_line_comes_once_and_each_file_is_in_order() {
    kill_and_count_each_line_once_in_files(
        "sources: {app: {type: file, include: ['{dir}/logs/*.log']}}\n\
         transforms: {parsed: {type: parse, format: regex, pattern: '(?P<end>[0-9])[.]$', inputs: [app]}}\n\
         sinks: {out: {type: file, inputs: [parsed], path: '{dir}/out/{{ end }}.log', encoding: text,\n  \
         sync: {interval: 1s}}}\n",
    );
}

#[test]
fn killed_with_filters_on_the_way_to_two_files_each_line_comes_once_to_its_own() {
    kill_and_count_each_line_once_in_files(
        "sources: {app: {type: file, include: ['{dir}/logs/*.log']}}\n\
         transforms:\n  \
         low: {type: filter, keep: 'message is search(\"[0-4][.]$\")', inputs: [app]}\n  \
         high: {type: filter, keep: 'message is search(\"[5-9][.]$\")', inputs: [app]}\n\
         sinks:\n  \
         low_file: {type: file, inputs: [low], path: '{dir}/out/low.log', sync: never}\n  \
         high_file: {type: file, inputs: [high], path: '{dir}/out/high.log'}\n",
    );
}

#[test]
fn killed_while_it_joins_lines_of_another_encoding_each_line_comes_once_and_in_order() {
    kill_and_count_each_line_once(
        "sources:\n  app:\n    type: file\n    include: ['{dir}/logs/*.log']\n    \
         encoding: windows-1252\n    multiline: {continuation: '[02468][.]$', timeout: 200ms}\n\
         sinks: {out: {type: file, inputs: [app], path: '{dir}/out/all.log', encoding: text}}\n",
        |rig| content(&rig.path("out"), "all.log"),
    );
}
