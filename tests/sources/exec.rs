//! `exec`: what a program writes, and that it ends when it should.

use crate::rig::Rig;
use std::fs;
use std::path::Path;

/// A config that runs this script with `sh`.
fn exec(settings: &str, script: &str) -> Rig {
    let rig = Rig::new(&format!(
        "sources:\n  in: {{type: exec, command: [/bin/sh, DIR/config/script], {settings}}}"
    ));
    // Files of other kinds are left alone in a config directory.
    rig.write("config/script", script);
    rig
}

/// Message and stream of each record.
fn said(rig: &Rig) -> Vec<(String, String)> {
    let text = |record: &serde_json::Value, name: &str| record[name].as_str().unwrap().to_owned();
    rig.records().iter().map(|record| (text(record, "message"), text(record, "stream"))).collect()
}

fn is_alive(rig: &Rig, pid_file: &str) -> bool {
    let stat = format!("/proc/{}/stat", rig.text(pid_file).trim());
    // One that nobody has waited for yet is dead all the same.
    fs::read_to_string(Path::new(&stat)).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn both_outputs_and_the_exit_status_are_on_record() {
    let rig = exec("interval: 1h", "echo one; echo two >&2; printf unended; exit 3");
    assert!(rig.agent(&["--once"]).wait().success());
    let mut lines = said(&rig);
    lines.sort_unstable();
    let expected = [("exit status 3", "exit"), ("one", "stdout"), ("two", "stderr")];
    assert_eq!(lines.len(), 4, "{lines:?}");
    for (message, stream) in expected.into_iter().chain([("unended", "stdout")]) {
        assert!(lines.contains(&(message.into(), stream.into())), "{message}: {lines:?}");
    }
    let records = rig.records();
    assert_eq!(records.last().unwrap()["exit_code"], 3);
}

#[test]
fn lines_that_belong_together_are_one_record_of_the_output_that_they_came_from() {
    // Both outputs are written in turn, and the last record has no end.
    let script = "for i in 1 2; do echo \"out $i\"; echo \"err $i\" >&2; echo ' more'; \
                  echo '  more' >&2; done; printf ' last\\351'";
    let settings = "interval: 1h, encoding: latin1, multiline: {continuation: '^\\s'}";
    let rig = exec(settings, script);
    assert!(rig.agent(&["--once"]).wait().success());
    let mut lines = said(&rig);
    lines.sort_unstable();
    let expected = [
        ("err 1\n  more", "stderr"),
        ("err 2\n  more", "stderr"),
        ("out 1\n more", "stdout"),
        ("out 2\n more\n lasté", "stdout"),
    ];
    assert_eq!(lines, expected.map(|(text, stream)| (text.to_owned(), stream.to_owned())));
}

#[test]
fn a_record_of_a_program_that_goes_on_waits_no_longer_than_its_time() {
    let script = "echo one; echo ' two'; printf ' thr'; sleep 1000";
    let settings = "mode: long_running, multiline: {continuation: '^\\s', timeout: 100ms}";
    let rig = exec(settings, script);
    let agent = rig.agent(&[]);
    rig.wait_until("its time is over", || said(&rig).len() == 1);
    assert_eq!(said(&rig)[0].0, "one\n two", "a line without its end waits for it");
    assert!(agent.stop().success());
    assert_eq!(said(&rig)[1].0, " thr", "what was read is delivered at the end");
}

#[test]
fn at_each_interval_it_is_run_anew_and_a_run_that_hangs_is_ended_with_all_that_it_started() {
    let script = "echo run; echo $$ >> DIR/runs; [ $(wc -l < DIR/runs) -gt 1 ] || \
                  { trap '' TERM; sleep 1000 & echo $! > DIR/child; while :; do sleep 1; done; }";
    let rig =
        exec("interval: 100ms, timeout: 500ms, stop_timeout: 200ms, streams: [stdout]", script);
    let agent = rig.agent(&[]);
    rig.wait_until("the first run was ended and others came", || {
        rig.text("runs").lines().count() > 3 && said(&rig).len() > 4
    });
    assert!(!is_alive(&rig, "child"));
    assert!(agent.stop().success());
    let lines = said(&rig);
    assert_eq!(lines[0], ("run".to_owned(), "stdout".to_owned()));
    assert_eq!(lines[1], ("ended by signal 9".to_owned(), "exit".to_owned()), "{lines:?}");
    assert!(rig.text("said").contains("took longer than `timeout`"));
}

#[test]
fn a_long_running_program_is_started_again_and_ends_with_the_agent() {
    let script = "echo start >> DIR/starts; echo up; [ $(wc -l < DIR/starts) -gt 2 ] || exit 0\n\
                  trap 'echo bye; exit 0' TERM; sleep 1000 & echo $! > DIR/child; echo ready; wait";
    let rig =
        exec("mode: long_running, restart: {initial: 50ms, max: 1s}, report_exit: always", script);
    let agent = rig.agent(&[]);
    rig.wait_until("the third run is ready", || said(&rig).iter().any(|(text, _)| text == "ready"));
    assert!(is_alive(&rig, "child"));
    assert!(agent.stop().success());
    assert!(!is_alive(&rig, "child"), "what the program started ends too");
    let lines: Vec<String> = said(&rig).into_iter().map(|(text, _)| text).collect();
    let expected = ["up", "exit status 0", "up", "exit status 0", "up", "ready", "bye"];
    assert_eq!(lines, expected, "its last words are heard");
}

#[test]
fn a_program_has_to_wait_while_the_sink_is_away_and_loses_nothing() {
    let script = "i=0; while [ $i -lt 3000 ]; do printf '%05d %01000d\\n' $i 0; i=$((i+1)); done; \
                  touch DIR/done; sleep 1000";
    let rig = exec("mode: long_running, max_line_bytes: 1KiB", script);
    fs::create_dir(rig.path("out")).unwrap();
    let agent = rig.agent(&[]);
    rig.wait_until("it tries to write", || rig.text("said").contains("out"));
    fs::remove_dir(rig.path("out")).unwrap();
    rig.wait_until("all is there", || rig.text("out").lines().count() >= 3000);
    assert!(agent.stop().success());
    for (number, (line, _)) in said(&rig).into_iter().enumerate() {
        assert!(line.starts_with(&format!("{number:05} ")), "{line}");
    }
}

#[test]
fn environment_and_directory_are_as_configured_and_a_secret_is_refused_in_arguments() {
    let settings = "environment: {TOKEN: '{{ secrets.TEST_TOKEN }}', PATH: /usr/bin:/bin}, \
                    clear_environment: true, directory: DIR/config";
    // The first characters of a secret are no secret.
    let rig = exec(settings, "pwd; printf '%.7s\\n' \"$TOKEN\"; echo \"home=$HOME\"");
    assert!(rig.agent(&["--once"]).wait().success());
    let lines: Vec<String> = said(&rig).into_iter().map(|(text, _)| text).collect();
    assert_eq!(lines, [&*rig.path("config").to_string_lossy(), "a-token", "home="]);

    let bad =
        Rig::new("sources:\n  in: {type: exec, command: [curl, '-u:{{ secrets.TEST_TOKEN }}']}");
    let complaint = bad.complaint();
    assert!(complaint.contains("an argument of `curl` holds a secret"), "{complaint}");
    assert!(!complaint.contains("a-token-for-tests"), "{complaint}");
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let rig = Rig::new("sources:\n  in: {type: exec, command: [no-such-program-here]}");
    let agent = rig.agent(&[]);
    rig.wait_until("it says so", || {
        rig.text("said").contains("there is no program `no-such-program-here`")
    });
    assert!(agent.stop().success());
}
