//! What somebody sees who looks at what passes.

use crate::rig::Rig;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

#[test]
fn what_passes_is_shown_as_it_passes_and_only_what_is_asked_for() {
    let rig = Rig::new();
    let transforms = "transforms:\n  parsed: {type: parse, format: json, inputs: [in]}\n";
    let config = rig.topology().replace("sinks:", &format!("{transforms}sinks:"));
    rig.write(
        "config/topology.yml",
        &config.replace("inputs: [in], path", "inputs: [parsed], path"),
    );
    let _agent = rig.start();
    let mut looks = rig
        .command(&[
            "tap",
            "parsed",
            "--where",
            "status >= 500",
            "--limit",
            "2",
            "--config",
            "config",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(looks.stdout.take().unwrap()).lines();
    // Whoever looks comes at some moment; what passed before is not shown.
    let seen = std::thread::spawn(move || lines.next().unwrap().unwrap());
    rig.wait_until("a line is seen", || {
        rig.append("in.log", "{\"status\": 200}\n{\"status\": 503}\n");
        seen.is_finished()
    });
    let line: serde_json::Value = serde_json::from_str(&seen.join().unwrap()).unwrap();
    assert_eq!(line["status"], 503);
    rig.append("in.log", "{\"status\": 504}\n");
    assert!(looks.wait().unwrap().success());

    let unknown = rig.ask(&["tap", "parsd"]);
    assert_eq!(unknown.code, 1);
    assert!(unknown.err.contains("did you mean `parsed`?"), "{unknown:?}");
    let wrong = rig.ask(&["tap", "parsed", "--where", "status >="]);
    assert!(wrong.code == 1 && wrong.err.contains("`--where`"), "{wrong:?}");
    let top = rig.ask(&["top", "--once"]);
    assert!(top.code == 0 && top.out.contains("IN/S") && top.out.contains("parsed"), "{top:?}");
}

#[test]
fn secrets_are_hidden_from_whoever_looks() {
    let rig = Rig::new();
    // The config has the secret for another place, and so the agent knows it.
    let away =
        "  away: {type: http, inputs: [in], url: 'http://127.0.0.1:1/{{ secrets.API_KEY }}'}\n";
    rig.write("config/topology.yml", &(rig.topology() + away));
    let _agent = rig.start();
    let looks = rig
        .command(&["tap", "out", "--limit", "1", "--config", "config"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let seen = std::thread::spawn(move || looks.wait_with_output().unwrap());
    rig.wait_until("a line is seen", || {
        rig.append("in.log", "a line with hunter2-hunter2\n");
        seen.is_finished()
    });
    let text = String::from_utf8(seen.join().unwrap().stdout).unwrap();
    assert!(text.contains("a line with ***") && !text.contains("hunter2"), "{text}");
    assert!(rig.read("out.log").contains("hunter2-hunter2"), "the sink has it");
}
