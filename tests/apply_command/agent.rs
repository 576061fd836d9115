//! The executor in the agent.

use super::host::{Host, SECRET, records, wait_until};
use std::fs;

const TASKS: &str = "
interval: 200ms
tasks:
  - name: settings
    copy: {dest: ROOT/app.conf, content: \"workers = 2\\n\", mode: '0644'}
  - name: announce
    command: sh -c 'echo {{ word | default(\"announced\") }} >> ROOT/announced; echo said'
    register: announcement
  - name: what it said is known later too
    copy: {dest: ROOT/said, content: '{{ announcement.stdout }}'}
  - name: a token
    copy: {dest: ROOT/token, content: '{{ secrets.TOKEN }}', mode: '0600'}
audit:
  - file: {path: ROOT/audit.jsonl}
";

#[test]
fn the_agent_puts_right_what_was_changed_by_hand() {
    let host = Host::new(TASKS);
    let agent = host.agent(&[]);
    wait_until("all is as declared", || host.path("token").exists());
    host.write("app.conf", "by hand\n");
    wait_until("it is again", || host.read("app.conf") == "workers = 2\n");
    let is_repair = |record: &serde_json::Value| {
        record["changes"][0]["diff"].as_str().is_some_and(|diff| diff.contains("-by hand"))
    };
    wait_until("the repair is at the sink of the record", || {
        records(&host.path("audit.jsonl")).iter().any(is_repair)
    });
    assert!(agent.stop().success());
    let log = host.agent_log();
    assert!(log.contains("task changed the host"), "{log}");
    assert!(!log.contains(SECRET), "{log}");
}

#[test]
fn a_restart_does_not_repeat_a_command_that_ran_and_a_new_revision_does() {
    let host = Host::new(TASKS);
    let tasks_in = |run: usize| records(&host.chain()).len() / 4 >= run;
    let agent = host.agent(&[]);
    wait_until("it ran three times", || tasks_in(3));
    assert!(agent.stop().success());
    assert_eq!(host.read("announced"), "announced\n");
    let done = records(&host.chain()).len() / 4;
    fs::remove_file(host.path("said")).unwrap();
    let agent = host.agent(&[]);
    wait_until("it runs after the restart", || tasks_in(done + 2));
    assert_eq!(host.read("announced"), "announced\n");
    assert_eq!(host.read("said"), "said");
    host.configure("vars.yml", "word: again\n");
    wait_until("the new revision announces", || host.read("announced") == "announced\nagain\n");
    assert!(agent.stop().success());
}

#[test]
fn once_applies_once_passes_the_record_on_and_ends() {
    let host = Host::new(TASKS);
    let status = host.agent(&["--once"]).ended();
    assert!(status.success(), "{}", host.agent_log());
    let passed_on = fs::read_to_string(host.path("audit.jsonl")).unwrap();
    assert_eq!(passed_on, fs::read_to_string(host.chain()).unwrap());
    assert_eq!(passed_on.lines().count(), 4);
    assert!(!passed_on.contains(SECRET));
    // What was passed on is not passed on again.
    assert!(host.agent(&["--once"]).ended().success());
    assert_eq!(records(&host.path("audit.jsonl")).len(), 8);
    let copy = host.path("audit.jsonl");
    let verified = host.driftless(&["audit", "verify", copy.to_str().unwrap()]);
    assert!(verified.status.success());
}

#[test]
fn once_fails_where_a_task_does() {
    let host = Host::new("tasks:\n  - copy: {dest: ROOT/missing/x, content: x}\n");
    let status = host.agent(&["--once"]).ended();
    assert_eq!(status.code(), Some(1), "{}", host.agent_log());
}
