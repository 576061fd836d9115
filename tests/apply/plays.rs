//! Playbooks, and what a file of tasks may be.

use super::bench::{Bench, letters, names};
use driftless::host::machine::Machine;
use driftless::sinks::apply::executor::Selection;

#[test]
fn the_plays_of_a_playbook_that_mean_this_host_run_in_order() {
    let report = Bench::new().run(
        "- name: first
  hosts: web
  gather_facts: no
  become: yes
  serial: 1
  vars: {who: play}
  pre_tasks: [{name: before, command: 'true', notify: early}]
  tasks: [{name: during, debug: {msg: '{{ who }}'}, register: kept}]
  post_tasks: [{name: after, debug: {msg: x}}]
  handlers: [{name: early, debug: {msg: x}}]
- hosts: db
  tasks: [{name: elsewhere, debug: {msg: x}}]
- hosts: '{{ target | default(\"all:!db\") }}'
  tasks:
    - {name: last, assert: {that: [kept.msg == 'play', who is not defined, inventory_hostname == 'web1', \"group_names == ['web']\"]}}
",
    );
    assert_eq!(names(&report), "before early during after last", "{report:#?}");
    assert_eq!(letters(&report), "coooo");
}

#[test]
fn a_plain_list_of_tasks_is_a_play_and_so_are_tasks_between_plays() {
    let report = Bench::new().run("[{name: a, debug: {msg: x}}, {name: b, debug: {msg: x}}]");
    assert_eq!(names(&report), "a b");
    let bench = Bench::new();
    bench.configure("other/more.yml", "- {hosts: all, tasks: [{import_tasks: deep.yml}]}");
    bench.configure("other/deep.yml", "- {name: deep, debug: {msg: x}}");
    let report = bench.run(
        "- {name: a, debug: {msg: x}}
- {hosts: all, tasks: [{name: b, debug: {msg: x}}]}
- import_playbook: other/more.yml
- {name: c, debug: {msg: x}}
",
    );
    assert_eq!(names(&report), "a b deep c");
}

#[test]
fn a_play_or_the_run_can_be_ended_from_within() {
    let bench = Bench::new();
    let report = bench.run(
        "- hosts: all
  tasks:
    - {name: a, command: 'true', notify: kept}
    - {meta: end_play, when: port == '1'}
    - block: [{meta: end_host, when: host == 'web1'}, {name: never, debug: {msg: x}}]
    - {name: never, debug: {msg: x}}
  handlers: [{name: kept, debug: {msg: x}}]
- hosts: all
  tasks:
    - {set_fact: {a: 1}}
    - meta: clear_facts
    - {name: b, assert: {that: a is not defined}}
",
    );
    assert_eq!(names(&report), "a kept set_fact b", "{report:#?}");
    assert!(!report.has_failed() && report.not_run.is_empty());
}

#[test]
fn variables_hide_each_other_in_ansibles_order() {
    let bench = Bench::new();
    bench.configure("vars/files.yml", "b: file\nc: file\nd: file\ne: file\n");
    bench.configure("vars/web1.yml", "c: late\nd: late\ne: late\n");
    bench.configure("included.yml", "e: included\nf: included\n");
    let report = bench.run(
        "- hosts: all
  vars: {a: play, b: play}
  vars_files: [files.yml, ['nope.yml', '{{ host }}.yml']]
  tasks:
    - include_vars: included.yml
    - name: names
      vars: {d: task, e: task}
      assert: {that: [a == 'play', b == 'file', c == 'late', d == 'task', e == 'included', f == 'included']}
    - {set_fact: {e: set}}
    - {assert: {that: e == 'set'}}
    - include_vars: {file: included.yml, name: all}
    - {assert: {that: all.e == 'included'}}
",
    );
    assert_eq!(letters(&report), "oooooo", "{report:#?}");
}

#[test]
fn a_run_can_begin_at_a_task() {
    let bench = Bench::new();
    let run = |start: &str| {
        let selection = Selection { start_at: Some(start.into()), ..Selection::default() };
        let text = "tasks: [{name: one, debug: {}}, {name: 'two {{ port }}', debug: {}}, {name: three, debug: {}}]";
        bench.run_on(&mut Machine::live(), text, &selection)
    };
    assert_eq!(names(&run("two*")), "two 8080 three");
    assert_eq!(names(&run("three")), "three");
    let report = run("four");
    assert!(report.has_failed() && report.tasks.is_empty());
    assert_eq!(report.stopped.as_deref(), Some("there is no task `four` to start at"));
}

#[test]
fn what_the_host_is_like_has_ansibles_names_too() {
    let report = Bench::new().run(
        "- hosts: all
  vars: {own: 1}
  tasks:
    - gather_facts:
    - {setup: {gather_subset: '!all'}, register: found}
    - assert:
        that:
          - ansible_os_family == 'Debian' and ansible_facts.os_family == 'Debian'
          - found.ansible_facts.ansible_os_family == 'Debian'
          - hostvars[inventory_hostname].own == 1
          - ansible_version.full is version('2.9', '>=')
    - group_by: {key: 'is {{ ansible_os_family }}'}
    - add_host: {name: other, groups: [x], port: 1}
    - {ping: , register: answer}
- hosts: is-Debian:&web
  tasks: [{assert: {that: [answer.ping == 'pong', \"group_names == ['web', 'is-Debian']\"]}}]
",
    );
    assert_eq!(letters(&report), "ooooooo", "{report:#?}");
}

#[test]
fn what_is_wrong_with_a_playbook_is_said_with_its_place() {
    let bench = Bench::new();
    bench.configure("loop.yml", "- import_playbook: loop.yml\n");
    let (_, complaints) = bench.parse(
        "- hosts: []
  task: []
- hosts: '[x'
  tasks: {}
- hosts: all
  roles: [nope]
  vars_prompt: [{name: who}]
  vars_files: [nope.yml]
  handlers: [{block: []}]
- import_playbook: loop.yml
- import_playbook: nope.yml
",
    );
    let found: Vec<_> = complaints.iter().map(ToString::to_string).collect();
    let found = found.join("\n").replace(bench.base.path().to_str().unwrap(), "BASE");
    insta::assert_snapshot!(found);
}

#[test]
fn what_is_said_of_an_imported_playbook_is_said_of_all_its_plays() {
    let bench = Bench::new();
    bench.configure(
        "more.yml",
        "- hosts: all\n  vars: {word: own, other: own}\n  tasks: [{debug: {msg: '{{ word }} {{ other }}'}}]\n",
    );
    let text = "- import_playbook: more.yml
  vars: {word: given}
  tags: chosen
- import_playbook: '{{ name }}.yml'
  vars: {name: more}
  when: false
";
    let report = bench.run(text);
    assert_eq!(letters(&report), "os", "{report:#?}");
    assert_eq!(report.tasks[0].message.as_deref(), Some("given own"));
    let chosen = Selection { tags: vec!["chosen".into()], ..Selection::default() };
    assert_eq!(letters(&bench.run_on(&mut Machine::live(), text, &chosen)), "o");
    let odd = "- {import_playbook: more.yml, vras: {}}";
    assert_eq!(bench.parse(odd).1.len(), 1);
}
