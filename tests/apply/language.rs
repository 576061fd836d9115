//! Conditions, loops, registers, handlers, tags, and what is shown of secrets.

use super::bench::{Bench, inputs, last_message, letters};
use driftless::host::machine::Machine;
use driftless::host::machine::seen::Depth;
use driftless::sinks::apply::executor::{Observer, Selection, run};
use driftless::sinks::apply::report::{Recap, Report};
use std::fs;

#[test]
fn a_condition_leaves_a_task_out_and_its_result_says_so() {
    let report = Bench::new().run(
        "tasks:
  - debug: {msg: hi}
    when: facts.os.family == 'redhat'
    register: first
  - debug: {msg: hi}
    when: [first is skipped, host == 'web1']
",
    );
    assert_eq!(letters(&report), "so");
}

#[test]
fn a_loop_runs_over_items_that_later_tasks_can_read() {
    let bench = Bench::new();
    let report = bench.run(
        "tasks:
  - copy: {content: '{{ index }}:{{ entry.text }}', dest: '{{ root }}/{{ entry.name }}'}
    loop: [{name: a, text: one}, {name: b, text: two}]
    loop_control: {loop_var: entry, index_var: index, label: '{{ entry.name }}'}
    when: entry.text != 'never'
    register: copies
  - debug: {msg: \"{{ copies.results | map(attribute='dest') | map('basename') | join(' ') }}\"}
  - debug: {msg: '{{ item }}'}
    with_items: [[1, 2], 3]
  - debug: {msg: '{{ item.key }}={{ item.value }}'}
    with_dict: {k: v}
  - debug: {msg: never}
    loop: []
",
    );
    assert_eq!(letters(&report), "cooos", "{report:#?}");
    let labels = report.tasks[0].items.iter().map(|item| item.label.as_str());
    assert_eq!(labels.collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((bench.read("a").as_str(), bench.read("b").as_str()), ("0:one", "1:two"));
    assert_eq!(report.tasks[1].message.as_deref(), Some("a b"));
    assert_eq!(report.tasks[2].items.len(), 3);
    assert_eq!(report.tasks[3].items[0].message.as_deref(), Some("k=v"));
}

#[test]
fn variables_set_on_the_way_keep_their_types() {
    let report = Bench::new().run(
        "vars: {base: 8000}
tasks:
  - set_fact: {next: '{{ base + 1 }}', names: '{{ names | default([]) + [item] }}'}
    loop: [a, b]
  - assert: {that: [next == 8001, 'names == [\"a\", \"b\"]', local == 'x8001']}
    vars: {local: 'x{{ next }}'}
",
    );
    assert_eq!(letters(&report), "oo", "{report:#?}");
}

#[test]
fn handlers_run_once_in_their_own_order_and_only_after_a_change() {
    let bench = Bench::new();
    let text = "tasks:
  - copy: {content: a, dest: '{{ root }}/a'}
    notify: [second, first]
  - copy: {content: b, dest: '{{ root }}/b'}
    notify: any change
  - meta: flush_handlers
  - debug: {msg: after}
handlers:
  - {name: first, debug: {msg: 1}}
  - {name: second, debug: {msg: 2}, listen: any change}
  - {name: third, debug: {msg: 3}}
";
    let names =
        |report: &Report| report.tasks.iter().map(|task| task.name.clone()).collect::<Vec<_>>();
    let expected = ["copy", "copy", "first", "second", "debug"];
    assert_eq!(names(&bench.dry_run(text)), expected);
    assert_eq!(names(&bench.run(text)), expected);
    assert_eq!(names(&bench.run(text)), ["copy", "copy", "debug"]);
}

#[test]
fn the_first_failure_ends_the_run_and_says_what_is_left() {
    let bench = Bench::new();
    let report = bench.run(
        "tasks:
  - copy: {content: a, dest: '{{ root }}/a'}
    notify: restart
  - {name: stumble, assert: {that: 1 > 2, fail_msg: 'no {{ port }}'}, ignore_errors: yes}
  - {name: fall, command: 'false'}
  - {name: never, debug: {msg: x}}
handlers:
  - {name: restart, debug: {msg: x}}
",
    );
    assert_eq!(letters(&report), "cif");
    assert_eq!(report.tasks[1].message.as_deref(), Some("no 8080"));
    assert_eq!(last_message(&report), "exit status 1");
    assert_eq!(
        (report.not_run, report.pending_handlers),
        (vec!["never".into()], vec!["restart".into()])
    );
    let recap = Recap { changed: 1, ignored: 1, failed: 1, ..Recap::default() };
    assert_eq!(bench.run("tasks: []").recap(), Recap::default());
    let report = Report { tasks: report.tasks, ..Report::default() };
    assert_eq!(report.recap(), recap);
}

#[test]
fn changed_when_and_failed_when_have_the_last_word() {
    let report = Bench::new().run(
        "tasks:
  - {command: 'true', changed_when: false}
  - {command: 'false', failed_when: false, changed_when: false}
  - {command: echo bad, register: out, failed_when: \"'bad' in out.stdout\", ignore_errors: true}
  - {debug: {msg: x}, changed_when: true}
",
    );
    assert_eq!(letters(&report), "ooic");
}

#[test]
fn a_dry_run_says_which_task_a_result_depends_on() {
    let bench = Bench::new();
    let text = "tasks:
  - {command: echo 7, register: out}
  - {debug: {msg: '{{ out.stdout }}'}, register: second}
  - {debug: {msg: x}, when: out is changed}
  - {debug: {msg: x}, when: second.msg == '7'}
  - {debug: {msg: 'free'}}
";
    let report = bench.dry_run(text);
    assert_eq!(letters(&report), "uuuuo");
    let messages: Vec<_> = report.tasks[1..4].iter().map(|task| task.message.as_deref()).collect();
    assert_eq!(messages, [Some("depends on task 1"); 3]);
    assert_eq!(letters(&bench.run(text)), "coooo");
}

#[test]
fn later_tasks_of_a_dry_run_see_what_earlier_ones_would_do() {
    let bench = Bench::new();
    let text = "tasks:
  - file: {path: '{{ root }}/d/e', state: directory}
  - copy: {content: x, dest: '{{ root }}/d/e/f'}
  - file: {path: '{{ root }}/d/e/g', state: link, src: f}
  - copy: {remote_src: yes, src: '{{ root }}/d/e/g', dest: '{{ root }}/h'}
  - file: {path: '{{ root }}/d', state: absent}
  - file: {path: '{{ root }}/d/e', state: file}
";
    assert_eq!(letters(&bench.dry_run(text)), "cccccf");
    assert!(!bench.path("h").exists());
    assert_eq!(letters(&bench.run(text)), "cccccf");
}

#[test]
fn tags_choose_tasks() {
    let bench = Bench::new();
    let text = "tasks:
  - {name: plain, debug: {msg: x}}
  - {name: web, debug: {msg: x}, tags: [web, all-in]}
  - {name: always, debug: {msg: x}, tags: always}
  - {name: never, debug: {msg: x}, tags: [never, debug]}
";
    let run = |tags: &[&str], skip: &[&str]| {
        let own = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let selection = Selection { tags: own(tags), skip_tags: own(skip), ..Selection::default() };
        let report = bench.run_on(&mut Machine::live(), text, &selection);
        report.tasks.iter().map(|task| task.name.clone()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(run(&[], &[]), "plain web always");
    assert_eq!(run(&["web"], &[]), "web always");
    assert_eq!(run(&["debug"], &[]), "always never");
    assert_eq!(run(&["untagged"], &["always"]), "plain");
    assert_eq!(run(&[], &["web"]), "plain always");
}

#[test]
fn a_secret_reaches_the_file_and_nothing_that_is_shown() {
    let bench = Bench::new();
    let text = "vars: {line: 'token={{ secrets.TOKEN }}'}
tasks:
  - copy: {content: \"{{ line }}\\n\", dest: '{{ root }}/x', mode: '0600'}
  - debug: {msg: '{{ secrets.TOKEN | b64encode }}'}
  - {name: 'uses {{ secrets.TOKEN }}', debug: {var: line}, loop: ['{{ secrets.TOKEN }}']}
  - {command: 'echo {{ secrets.TOKEN }}', ignore_errors: yes}
  - {command: cat, args: {stdin: '{{ secrets.TOKEN }}'}, register: out}
  - debug: {var: out}
";
    for report in [bench.dry_run(text), bench.run(text)] {
        let shown = serde_json::to_string(&report).unwrap();
        assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVyMi1odW50ZXIy"), "{shown}");
        assert!(shown.contains("+token=***"), "{shown}");
        let refused = report.tasks[3].message.as_deref().unwrap_or_default();
        let why = "holds a secret, and other users can read the arguments of commands";
        assert!(refused.contains(why), "{refused}");
    }
    assert_eq!(bench.read("x"), "token=hunter2-hunter2\n");
}

#[test]
fn no_log_hides_content_but_not_the_fact() {
    let bench = Bench::new();
    let report = bench.run(
        "tasks:
  - {copy: {content: quiet, dest: '{{ root }}/x'}, no_log: yes}
  - {debug: {msg: quiet}, no_log: yes}
",
    );
    assert_eq!(letters(&report), "co");
    assert!(!serde_json::to_string(&report).unwrap().contains("quiet"));
}

#[test]
fn check_mode_of_a_task_looks_and_does_not_touch() {
    let bench = Bench::new();
    let report = bench.run(
        "tasks:
  - {copy: {content: x, dest: '{{ root }}/x'}, check_mode: yes, register: drift}
  - {debug: {msg: drifted}, when: drift is changed}
",
    );
    assert_eq!(letters(&report), "co");
    assert!(!bench.path("x").exists());
}

/// Remembers which task is which.
struct Remembers;

impl Observer for Remembers {
    fn remembers(&self) -> bool {
        true
    }
}

#[test]
fn a_task_knows_what_it_depends_on_and_how_closely_it_has_looked() {
    let bench = Bench::new();
    fs::write(bench.path("x"), "hello\n").unwrap();
    let tasks = "tasks:
  - copy: {src: motd, dest: '{{ root }}/x'}
  - file: {path: '{{ root }}/x', mode: '0600'}
";
    let (set, _) = bench.parse(tasks);
    let everything = Selection::default();
    let report = run(&set, &mut Machine::live(), &inputs(), &everything, &mut Remembers);
    let seen = |at: usize| report.tasks[at].watched.as_ref().unwrap().seen.clone();
    assert_eq!(seen(0).get(&bench.path("x")), Some(&Depth::Content));
    assert_eq!(seen(0).get(&bench.base.path().join("files/motd")), Some(&Depth::Content));
    assert_eq!(seen(1).get(&bench.path("x")), Some(&Depth::Rights), "its content may change");
}

#[test]
fn what_a_program_said_cannot_run_another_by_way_of_a_condition() {
    let bench = Bench::new();
    let report = bench.run(
        "tasks:
  - command: {cmd: \"echo \\\"lookup('pipe', 'touch {{ root }}/gone')\\\"\"}
    register: said
  - debug: {msg: x}
    when: \"'x' in {{ said.stdout }}\"
    ignore_errors: yes
  - debug: {msg: '{{ shown }}'}
    when: '{{ shown }} == 3'
    vars: {shown: '{{ 1 + 2 }}'}
",
    );
    assert_eq!(letters(&report), "cio", "{report:#?}");
    assert!(!bench.path("gone").exists());
}

#[test]
fn a_plain_number_is_text_where_text_goes() {
    let bench = Bench::new();
    let tasks = "tasks:
  - lineinfile: {path: '{{ root }}/x', line: 5, create: yes}
  - command: {cmd: cat, stdin: 7}
    register: out
    changed_when: no
  - assert: {that: out.stdout == '7'}
";
    assert_eq!(letters(&bench.run(tasks)), "coo");
    assert_eq!(bench.read("x"), "5\n");
    for line in ["0x5", "yes", "1.50", "010"] {
        let text = format!("tasks: [{{lineinfile: {{path: /x, line: {line}}}}}]");
        assert_eq!(bench.parse(&text).1.len(), 1, "{line}");
    }
}

#[test]
fn how_often_a_task_was_tried_is_known_to_its_conditions() {
    let report = Bench::new().run(
        "tasks:
  - command: 'true'
    register: out
    until: out.attempts == 2
    delay: 0
    changed_when: out.attempts > 1
    failed_when: out.attempts > 2
  - assert: {that: out.attempts == 2}
",
    );
    assert_eq!(letters(&report), "co", "{report:#?}");
}

#[test]
fn what_is_undefined_within_a_list_is_no_value() {
    let report = Bench::new().run(
        "vars: {things: [{name: a}, {title: b}]}
tasks:
  - set_fact: {names: '{{ things | map(attribute=\"name\") }}'}
    ignore_errors: yes
    register: out
  - assert: {that: [out is failed, names is undefined]}
  - set_fact: {names: '{{ things | map(attribute=\"name\", default=\"-\") }}'}
  - assert: {that: \"names == ['a', '-']\"}
",
    );
    assert_eq!(letters(&report), "iooo", "{report:#?}");
}

#[test]
fn keywords_may_be_left_out_and_may_read_the_item() {
    let report = Bench::new().run(
        "tasks:
  - copy: {content: x, dest: '{{ root }}/x'}
    check_mode: '{{ omit }}'
    delegate_to: '{{ item }}'
    loop: [localhost, web1, elsewhere]
    ignore_errors: yes
    register: out
  - assert:
      that:
        - out.results[0] is changed and out.results[1] is not changed
        - out.results[2] is failed
",
    );
    assert_eq!(letters(&report), "io", "{report:#?}");
}
