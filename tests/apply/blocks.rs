//! Blocks: what is said of all of their tasks, what rescues them, what is undone.

use super::bench::{Bench, letters, names};
use driftless::host::machine::Machine;
use driftless::sinks::apply::executor::Selection;
use driftless::sinks::apply::report::Recap;
use std::fs;

#[test]
fn what_is_said_of_a_block_is_said_of_each_of_its_tasks() {
    let bench = Bench::new();
    let text = "tasks:
  - when: port == 8080 or port == '8080'
    vars: {a: outer, b: outer}
    tags: [web]
    environment: {ONE: '1', TWO: outer}
    block:
      - {name: own, assert: {that: [a == 'own', b == 'outer']}, vars: {a: own}}
      - {name: out, command: env, environment: {TWO: '2'}, register: out, tags: extra}
      - {name: both, assert: {that: [\"'ONE=1' in out.stdout_lines\", \"'TWO=2' in out.stdout_lines\"]}}
      - {name: never, debug: {msg: x}, when: false}
  - when: false
    block: [{name: out, debug: {msg: '{{ nope }}'}, when: nope}]
  - {name: outside, debug: {msg: x}}
";
    assert_eq!(letters(&bench.run(text)), "ocosso");
    let selection = Selection { tags: vec!["extra".into()], ..Selection::default() };
    assert_eq!(names(&bench.run_on(&mut Machine::live(), text, &selection)), "out");
    let selection = Selection { skip_tags: vec!["web".into()], ..Selection::default() };
    assert_eq!(names(&bench.run_on(&mut Machine::live(), text, &selection)), "out outside");
}

#[test]
fn a_failure_is_rescued_and_the_run_goes_on() {
    let bench = Bench::new();
    let text = "tasks:
  - block:
      - {name: first, debug: {msg: x}}
      - {name: breaks, command: 'sh -c \"echo no; exit 3\"'}
      - {name: skipped, debug: {msg: x}}
    rescue:
      - name: knows
        assert: {that: [ansible_failed_task.name == 'breaks', ansible_failed_result.rc == 3]}
    always:
      - {name: always, debug: {msg: x}}
  - {name: after, debug: {msg: x}}
";
    let report = bench.run(text);
    assert_eq!(names(&report), "first breaks knows always after", "{report:#?}");
    assert!(!report.has_failed() && report.not_run.is_empty());
    let expected = Recap { ok: 4, rescued: 1, ..Recap::default() };
    assert_eq!(report.recap(), expected);
}

#[test]
fn what_is_not_rescued_ends_the_run_after_always() {
    let report = Bench::new().run(
        "tasks:
  - block:
      - block:
          - {name: breaks, command: 'false'}
          - {name: inner, debug: {msg: x}}
        always: [{name: close, debug: {msg: x}}]
      - {name: outer, debug: {msg: x}}
  - {name: after, debug: {msg: x}}
",
    );
    assert_eq!(names(&report), "breaks close");
    assert!(report.has_failed());
    assert_eq!(report.not_run, ["inner", "outer", "after"]);
}

#[test]
fn a_rescue_that_fails_is_a_failure() {
    let report = Bench::new().run(
        "tasks:
  - block: [{name: a, command: 'false'}]
    rescue: [{name: b, command: 'false'}, {name: c, debug: {msg: x}}]
    always: [{name: d, debug: {msg: x}}]
  - {name: e, debug: {msg: x}}
",
    );
    assert_eq!(names(&report), "a b d");
    assert!(report.has_failed());
    assert_eq!(report.not_run, ["c", "e"]);
}

#[test]
fn a_block_that_fails_is_undone_where_it_says_so() {
    let bench = Bench::new();
    fs::write(bench.path("kept"), "before\n").unwrap();
    let text = "tasks:
  - name: all or nothing
    rollback: true
    block:
      - {copy: {dest: '{{ root }}/kept', content: \"after\\n\"}, notify: tell}
      - {file: {path: '{{ root }}/dir', state: directory}}
      - {copy: {dest: '{{ root }}/dir/new', content: x}}
      - {name: breaks, assert: {that: breaks is not defined}}
    rescue: [{name: rescued, debug: {msg: x}}]
handlers: [{name: tell, debug: {msg: x}}]
";
    let broken = text.replace("handlers:", "vars: {breaks: yes}\nhandlers:");
    let before = bench.snapshot().into_keys().collect::<Vec<_>>();
    for report in [bench.dry_run(&broken), bench.run(&broken)] {
        assert_eq!(letters(&report), "cccfco", "{report:#?}");
        let undone = &report.tasks[4];
        assert_eq!(undone.name, "rollback of all or nothing");
        let what: Vec<_> = undone.changes.iter().map(|change| change.kind).collect();
        assert_eq!(what, ["remove", "remove", "replace"]);
        assert_eq!(bench.read("kept"), "before\n");
        assert_eq!(bench.snapshot().into_keys().collect::<Vec<_>>(), before);
    }
    assert_eq!(letters(&bench.run(text)), "cccoo");
    assert_eq!(bench.read("kept"), "after\n");
}

#[test]
fn what_cannot_be_undone_is_said() {
    let report = Bench::new().run(
        "tasks:
  - rollback: yes
    block: [{command: 'true'}, {command: 'false'}]
",
    );
    let message = report.tasks.last().unwrap().message.clone().unwrap();
    assert!(message.starts_with("not undone: `run` of "), "{message}");
}

#[test]
fn an_always_may_forgive_what_has_failed() {
    let report = Bench::new().run(
        "tasks:
  - block:
      - fail: {msg: first}
      - debug: {msg: never}
    always:
      - meta: clear_host_errors
  - debug: {msg: after}
",
    );
    assert_eq!(letters(&report), "fo", "{report:#?}");
    assert!(!report.has_failed() && report.not_run.is_empty(), "{report:#?}");
}
