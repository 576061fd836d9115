//! `driftless apply`, the agent that does the same again and again, and the record of both.

#[cfg(test)]
mod agent;
#[cfg(test)]
mod drift;
#[cfg(test)]
mod host;
#[cfg(test)]
mod playbook;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod sandbox;
#[cfg(test)]
#[path = "../support/skip.rs"]
mod skip;

use host::{Host, Ran, SECRET, records};
use std::fs;

const TASKS: &str = "
tasks:
  - name: a place
    file: {path: ROOT/place, state: directory, mode: '0755'}
  - name: settings
    copy: {dest: ROOT/place/app.conf, content: \"workers = 2\\n\", mode: '0644'}
    notify: note it
  - name: not here
    copy: {dest: ROOT/nowhere, content: x}
    when: false
handlers:
  - name: note it
    copy: {dest: ROOT/noted, content: \"yes\\n\"}
";

#[test]
fn a_dry_run_shows_what_would_change_and_touches_nothing() {
    let host = Host::new(TASKS);
    host.write("stays", "as it is\n");
    let before = host.snapshot();
    let ran = host.apply(&["--dry-run"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.out.contains("+workers = 2\n"), "{ran:?}");
    assert!(ran.out.contains("3 would change"), "{ran:?}");
    assert_eq!(before, host.snapshot());
    assert!(!host.data().exists());

    assert_eq!(host.apply(&[]).code, Some(0));
    let before = host.snapshot();
    assert_eq!(host.apply(&["--check"]).code, Some(0));
    assert_eq!(before, host.snapshot());
}

#[test]
fn apply_does_what_is_declared_and_a_second_run_changes_nothing() {
    let host = Host::new(TASKS);
    let first = host.apply(&[]);
    assert_eq!(first.code, Some(0), "{first:?}");
    assert!(first.out.contains("3 changed") && !first.out.contains('\u{1b}'), "{first:?}");
    assert!(!first.out.contains("+workers"), "a diff only where it is asked for");
    assert_eq!(host.read("place/app.conf"), "workers = 2\n");
    assert_eq!(host.read("noted"), "yes\n");
    let second = host.apply(&[]);
    assert_eq!(second.code, Some(0));
    assert!(second.out.contains("0 changed"), "{second:?}");
}

#[test]
fn a_run_that_fails_says_what_was_not_done() {
    let host = Host::new(
        "
tasks:
  - name: first
    copy: {dest: ROOT/first, content: x}
  - name: second
    copy: {dest: ROOT/missing/second, content: x}
  - name: third
    copy: {dest: ROOT/third, content: x}
",
    );
    for arguments in [&["--dry-run"][..], &[]] {
        let ran = host.apply(arguments);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(
            ran.out.contains("failed   second") && ran.out.contains("not run: third"),
            "{ran:?}"
        );
        assert!(ran.out.contains("apply.yml:5:5"), "{ran:?}");
    }
    assert!(host.path("first").exists() && !host.path("third").exists());
    assert_eq!(records(&host.chain()).len(), 2);
}

#[test]
fn each_item_of_a_loop_says_what_it_has_to_say() {
    let host = Host::new(
        "
tasks:
  - {name: told, debug: {msg: 'say {{ item }}'}, loop: [a, b, c], when: item != 'c'}
  - {name: block, debug: 'msg={% if true %}x{% endif %}'}
  - {name: tried, command: 'false {{ item }}', loop: [one, two]}
",
    );
    let ran = host.apply(&[]);
    let told = "told\n         a: say a\n         b: say b\nok       block\n         x\n";
    assert!(ran.out.contains(told), "{ran:?}");
    let tried = "one: exit status 1\n         two: exit status 1\n         at ";
    assert!(ran.out.contains(tried), "{ran:?}");
}

#[test]
fn a_plain_list_of_tasks_can_be_applied_with_variables_and_tags() {
    let host = Host::new("tasks: []\n");
    let list = "
- {name: one, tags: a, copy: {dest: '{{ where }}/one', content: '{{ word }}'}}
- {name: two, tags: b, copy: {dest: '{{ where }}/two', content: x}}
";
    host.configure("apply.yml", list);
    let place = format!("where={}", host.path("").display());
    let ran = host.apply(&["--tags", "a", "-e", &place, "-e", "{word: hello}", "--diff"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(host.read("one"), "hello");
    assert!(ran.out.contains("+hello") && !host.path("two").exists(), "{ran:?}");
    host.configure("site.yml", list);
    let site = ["apply", "config/site.yml", "--dry-run", "-e", &place, "-e", "word=hello"];
    assert_eq!(host.driftless(&site).status.code(), Some(2));
}

#[test]
fn a_limit_that_does_not_name_this_host_leaves_it_alone() {
    let host = Host::new(TASKS);
    let ran = host.apply(&["--limit", "no-such-host"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!host.path("place").exists());
}

#[test]
fn machines_get_one_json_value_a_line() {
    let host = Host::new(TASKS);
    let ran = host.apply(&["--output", "json"]);
    let lines: Vec<serde_json::Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 5, "{ran:?}");
    assert_eq!(lines[0]["task"], "a place");
    assert_eq!(lines[0]["status"], "changed");
    assert!(lines[0]["duration_seconds"].is_f64());
    assert_eq!(lines[4]["recap"]["changed"], 3);
}

#[test]
fn every_task_is_on_record_and_tampering_shows_at_its_record() {
    let host = Host::new(TASKS);
    host.apply(&[]);
    host.apply(&[]);
    let found = records(&host.chain());
    assert_eq!(found.len(), 7);
    let settings = &found[1];
    assert_eq!((&settings["task"], &settings["status"]), (&"settings".into(), &"changed".into()));
    for key in ["seq", "prev", "timestamp", "host", "run", "revision", "module", "place"] {
        assert!(!settings[key].is_null(), "{key}: {settings}");
    }
    assert_eq!(settings["changes"][0]["path"], host.path("place/app.conf").to_str().unwrap());
    assert!(settings["changes"][0]["diff"].as_str().unwrap().contains("+workers = 2"));
    assert_eq!(found[0]["run"], found[3]["run"]);
    assert_eq!(found[4]["changed"], false);
    assert_ne!(found[0]["run"], found[4]["run"]);

    let data = host.data();
    let verify = || Ran::of(&host.driftless(&["audit", "verify", data.to_str().unwrap()]));
    let ran = verify();
    assert_eq!((ran.code, ran.out.contains("1 to 7")), (Some(0), true), "{ran:?}");
    let text = fs::read_to_string(host.chain()).unwrap();
    fs::write(host.chain(), text.replacen("workers = 2", "workers = 9", 1)).unwrap();
    let ran = verify();
    assert_eq!((ran.code, ran.err.contains("record 2 ")), (Some(1), true), "{ran:?}");
}

#[test]
fn nothing_is_done_that_cannot_be_put_on_record() {
    let host = Host::new(TASKS);
    fs::create_dir(host.data()).unwrap();
    fs::write(host.data().join("audit"), "in the way").unwrap();
    let ran = host.apply(&[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("audit"), "{ran:?}");
    assert!(!host.path("place").exists());
}

#[test]
fn a_secret_reaches_its_file_and_nothing_else() {
    let host = Host::new(
        "
tasks:
  - name: token is {{ secrets.TOKEN }}
    copy: {dest: ROOT/token, content: 'token = {{ secrets.TOKEN }}', mode: '0600'}
  - name: seen
    debug: {msg: 'it is {{ secrets.TOKEN }}'}
",
    );
    for arguments in [&["--dry-run"][..], &["--diff"], &["--output", "json"]] {
        let ran = host.apply(arguments);
        assert!(!ran.out.contains(SECRET) && !ran.err.contains(SECRET), "{ran:?}");
        assert!(ran.out.contains("***"), "{ran:?}");
    }
    assert_eq!(host.read("token"), format!("token = {SECRET}"));
    let chain = fs::read_to_string(host.chain()).unwrap();
    assert!(chain.contains("+token = ***") && !chain.contains(SECRET), "{chain}");
}
