//! Loops, retries, and other ways to say what a task does.

use super::bench::{Bench, last_message, letters};
use std::time::{Duration, Instant};

#[test]
fn every_kind_of_loop_has_its_items() {
    let report = Bench::new().run(
        "vars: {users: [{name: a, keys: [1, 2]}, {name: b, keys: [3]}]}
tasks:
  - {debug: {msg: '{{ item.0 }}{{ item.1 }}'}, with_together: [[a, b], [1, 2]], register: together}
  - {debug: {msg: '{{ item.0 }}{{ item.1 }}'}, with_nested: [[a, b], [1, 2]], register: nested}
  - {debug: {msg: '{{ item }}'}, with_sequence: start=1 end=3 format=w%02d, register: sequence}
  - {debug: {msg: '{{ item.0.name }}{{ item.1 }}'}, with_subelements: ['{{ users }}', keys], register: sub}
  - {debug: {msg: '{{ item.0 }}={{ item.1 }}'}, with_indexed_items: [x, y], register: indexed}
  - {debug: {msg: '{{ item }}'}, with_community.general.flattened: [[1, [2]], 3], register: flat}
  - assert:
      that:
        - together.results | map(attribute='msg') | list == ['a1', 'b2']
        - nested.results | map(attribute='msg') | list == ['a1', 'a2', 'b1', 'b2']
        - sequence.results | map(attribute='msg') | list == ['w01', 'w02', 'w03']
        - sub.results | map(attribute='msg') | list == ['a1', 'a2', 'b3']
        - indexed.results | map(attribute='msg') | list == ['0=x', '1=y']
        - flat.results | map(attribute='item') | list == [1, 2, 3]
",
    );
    assert_eq!(letters(&report), "ooooooo", "{report:#?}");
}

#[test]
fn a_loop_tells_where_it_is_and_can_end_early() {
    let report = Bench::new().run(
        "tasks:
  - debug: {msg: '{{ ansible_loop.index }}/{{ ansible_loop.length }}{{ ansible_loop.last }}'}
    loop: [a, b]
    loop_control: {extended: yes, pause: 0}
    register: told
  - debug: {msg: '{{ item }}'}
    loop: [a, b, c]
    loop_control: {break_when: item == 'b'}
    register: short
  - assert: {that: [\"told.results[1].msg == '2/2True'\", short.results | length == 2]}
",
    );
    assert_eq!(letters(&report), "ooo", "{report:#?}");
}

#[test]
fn a_task_is_tried_until_it_is_done() {
    let bench = Bench::new();
    let text = "tasks:
  - command: sh -c 'echo x >> {{ root }}/tries; grep -c x {{ root }}/tries'
    register: tries
    until: tries.stdout | int >= 3
    retries: 5
    delay: 0
  - assert: {that: [tries.attempts == 3, tries.stdout == '3']}
  - {command: 'false', retries: 2, delay: 0, register: failed, ignore_errors: yes}
  - assert: {that: [failed.attempts == 2, failed is failed]}
  - {command: 'false', until: false, retries: 1, delay: 0}
";
    let report = bench.run(text);
    assert_eq!(letters(&report), "coiof", "{report:#?}");
    assert!(last_message(&report).starts_with("not reached in 2 attempts"));
    let started = Instant::now();
    bench.dry_run("tasks: [{command: 'false', until: false, delay: 100}]");
    assert!(started.elapsed() < Duration::from_secs(50), "a dry run waits for nothing");
}

#[test]
fn modules_are_found_in_every_spelling() {
    let bench = Bench::new();
    let report = bench.run(
        "module_defaults: {copy: {mode: '0600'}, ansible.builtin.file: {state: directory}}
tasks:
  - action: copy content=one dest={{ root }}/one
  - local_action: {module: copy, content: two, dest: '{{ root }}/two', mode: '0640'}
  - ansible.builtin.copy: {content: three, dest: '{{ root }}/three'}
    delegate_to: localhost
    run_once: true
    become: yes
    become_user: root
  - file: {dest: '{{ root }}/dir'}
  - {ansible.legacy.command: 'true', async: 10, poll: 5, throttle: 1, no_log: '{{ 1 == 2 }}'}
",
    );
    assert_eq!(letters(&report), "ccccc", "{report:#?}");
    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(bench.path(name)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!([mode("one"), mode("two"), mode("three")], [0o600, 0o640, 0o600]);
    assert!(bench.path("dir").is_dir());
}

#[test]
fn what_would_do_harm_if_it_were_ignored_is_refused() {
    let found = |task: &str| {
        let (_, complaints) = Bench::new().parse(&format!("tasks: [{{{task}}}]"));
        complaints.iter().map(|it| it.message.clone()).collect::<Vec<_>>().join("; ")
    };
    for (task, why) in [
        ("debug: {}, delegate_to: db1", "`delegate_to` can only be `localhost`"),
        ("command: 'true', async: 10, poll: 0", "`poll: 0` leaves a task to itself"),
        (
            "copy: {content: x, dest: /x}, become: yes, become_user: bob",
            "cannot run as another user",
        ),
        ("debug: {}, retries: often", "`retries` is a number"),
        ("debug: {}, loop: [1], with_items: [1]", "a task has one loop"),
        ("debug: {}, connection: docker", "there is no connection `docker`"),
        ("debug: {}, timeout: soon", "`timeout` is a number"),
        ("action: flie path=/x", "there is no module or keyword `flie`"),
        ("import_tasks: x.yml, loop: [1]", "`loop` cannot stand at `import_tasks`"),
    ] {
        assert!(found(task).contains(why), "{task}: {}", found(task));
    }
}

#[test]
fn a_program_or_a_wait_ends_when_the_time_of_its_task_is_over() {
    let report = Bench::new().run(
        "tasks:
  - {shell: 'sleep 60 & wait', timeout: 0.2, ignore_errors: yes}
  - {wait_for: {timeout: 60}, timeout: 0.2}
",
    );
    let messages: Vec<_> = report.tasks.iter().filter_map(|task| task.message.as_deref()).collect();
    let over = "it was not done within the 0.2 seconds that `timeout` gives it";
    assert_eq!(messages, [over, over], "{report:#?}");
}

#[test]
fn commands_run_as_another_user() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let report = Bench::new().run(
        "tasks:
  - {command: id -un, become: yes, become_user: nobody, register: who}
  - {command: id -un, register: me}
  - assert: {that: [who.stdout == 'nobody', me.stdout == 'root']}
  - {command: id -un, become: yes, become_user: no-such-user}
",
    );
    assert_eq!(letters(&report), "ccof", "{report:#?}");
    assert_eq!(last_message(&report), "there is no user `no-such-user`");
}

#[test]
fn every_look_up_of_expressions_can_apply_to_a_loop() {
    let report = Bench::new().run(
        "tasks:
  - {debug: {msg: '{{ item }}'}, with_lines: ['echo a; echo b'], register: lines}
  - {debug: {msg: '{{ item }}'}, with_fileglob: ['motd*'], register: files}
  - {assert: {that: [\"lines.results | map(attribute='msg') | list == ['a', 'b']\", \"files.results[0].msg is search('files/motd$')\"]}}
",
    );
    assert_eq!(letters(&report), "ooo", "{report:#?}");
}
