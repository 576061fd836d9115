//! Handlers: who hears what, and that nothing that was said is lost.

use super::bench::{Bench, names};
use driftless::host::machine::Machine;
use driftless::sinks::apply::executor::{Pending, Selection};
use driftless::sinks::apply::report::Report;
use std::fs;
use std::path::Path;

fn run(bench: &Bench, data: &Path, text: &str) -> Report {
    let pending = Pending::load(data).unwrap();
    bench.run_with(&mut Machine::live(), text, &Selection::default(), pending)
}

fn kept(data: &Path) -> String {
    fs::read_to_string(data.join("apply/pending.json")).unwrap_or_default()
}

const TASKS: &str = "tasks:
  - {name: change, copy: {content: x, dest: '{{ root }}/x'}, notify: tell}
  - {name: stumble, command: test -e ROOT/mended}
handlers:
  - {name: tell, command: touch ROOT/told}
";

fn tasks(bench: &Bench) -> String {
    TASKS.replace("ROOT", bench.root.path().to_str().unwrap())
}

#[test]
fn a_failed_run_leaves_its_handlers_to_the_next() {
    let (bench, data) = (Bench::new(), tempfile::tempdir().unwrap());
    let report = run(&bench, data.path(), &tasks(&bench));
    assert_eq!(report.pending_handlers, ["tell"]);
    assert_eq!(kept(data.path()), "[\"tell\"]");
    fs::write(bench.path("mended"), "").unwrap();
    let report = run(&bench, data.path(), &tasks(&bench));
    assert_eq!(names(&report), "change stumble tell");
    assert!(report.pending_handlers.is_empty() && bench.path("told").exists());
    assert_eq!(kept(data.path()), "[]");
    assert_eq!(names(&run(&bench, data.path(), &tasks(&bench))), "change stumble");
}

#[test]
fn a_notification_is_written_down_before_the_change_that_it_is_about() {
    let (bench, data) = (Bench::new(), tempfile::tempdir().unwrap());
    let text = "tasks:
  - {command: cp DATA/apply/pending.json ROOT/seen, notify: tell}
handlers:
  - {name: tell, command: cp DATA/apply/pending.json ROOT/seen-too}
";
    let text = text.replace("DATA", data.path().to_str().unwrap());
    let report =
        run(&bench, data.path(), &text.replace("ROOT", bench.root.path().to_str().unwrap()));
    assert!(!report.has_failed(), "{report:#?}");
    assert_eq!(
        (bench.read("seen"), bench.read("seen-too")),
        ("[\"tell\"]".into(), "[\"tell\"]".into())
    );
    assert_eq!(kept(data.path()), "[]");
}

#[test]
fn a_task_that_changes_nothing_leaves_no_notification_and_writes_nothing() {
    let (bench, data) = (Bench::new(), tempfile::tempdir().unwrap());
    let text = "tasks:
  - {command: 'true', changed_when: false, notify: tell}
handlers: [{name: tell, command: 'true'}]
";
    assert_eq!(names(&run(&bench, data.path(), text)), "command");
    assert_eq!(kept(data.path()), "[]");
    let (bench, data) = (Bench::new(), tempfile::tempdir().unwrap());
    let text = "tasks: [{file: {path: '{{ root }}', state: directory}, notify: tell}]
handlers: [{name: tell, command: 'true'}]
";
    run(&bench, data.path(), text);
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0);
}

#[test]
fn a_handler_that_fails_is_due_again() {
    let (bench, data) = (Bench::new(), tempfile::tempdir().unwrap());
    let text = tasks(&bench).replace("command: touch", "command: ls");
    fs::write(bench.path("mended"), "").unwrap();
    let report = run(&bench, data.path(), &text);
    assert!(report.has_failed());
    assert_eq!(report.pending_handlers, ["tell"]);
    fs::write(bench.path("told"), "").unwrap();
    assert!(!run(&bench, data.path(), &text).has_failed());
    assert_eq!(kept(data.path()), "[]");
}

#[test]
fn handlers_run_after_a_failure_where_that_is_said() {
    let bench = Bench::new();
    let report = bench.run(&format!("force_handlers: yes\n{}", tasks(&bench)));
    assert_eq!(names(&report), "change stumble tell");
    assert!(report.has_failed());
}

#[test]
fn of_two_handlers_with_one_name_the_last_counts() {
    let report = Bench::new().run(
        "tasks: [{command: 'true', notify: [tell, 'tell {{ port }}']}]
handlers:
  - {name: tell, debug: {msg: first}}
  - {name: tell, debug: {msg: second}}
  - {name: 'tell {{ port }}', debug: {msg: third}}
",
    );
    let messages: Vec<_> = report.tasks[1..].iter().map(|task| task.message.as_deref()).collect();
    assert_eq!(messages, [Some("second"), Some("third")]);
}

#[test]
fn a_loop_notifies_for_each_item_that_was_not_skipped_once_one_has_changed() {
    let (bench, data) = (Bench::new(), tempfile::tempdir().unwrap());
    fs::write(bench.path("b"), "x").unwrap();
    let text = "tasks:
  - copy: {content: x, dest: '{{ root }}/{{ item }}'}
    loop: [a, b, c]
    when: item != 'c'
    notify: ['restart {{ item }}', all]
handlers:
  - {name: restart a, debug: msg=a}
  - {name: restart b, debug: msg=b}
  - {name: restart c, debug: msg=c}
  - {name: told, debug: msg=d, listen: all}
";
    assert_eq!(names(&run(&bench, data.path(), text)), "copy restart a restart b told");
    assert_eq!(names(&run(&bench, data.path(), text)), "copy");
}

#[test]
fn a_handler_that_cannot_be_named_stops_a_task_before_it_changes_anything() {
    for (name, why) in [
        ("tell {{ nobody }}", "apply.yml:2:56: `nobody` is undefined"),
        ("{{ 'nope' }}", "there is no handler `nope`"),
    ] {
        let (bench, data) = (Bench::new(), tempfile::tempdir().unwrap());
        let text = format!(
            "tasks:
  - {{copy: {{content: x, dest: '{{{{ root }}}}/x'}}, notify: \"{name}\"}}
handlers: [{{name: tell, debug: msg=told}}]
"
        );
        let report = run(&bench, data.path(), &text);
        assert!(report.has_failed() && !bench.path("x").exists(), "{report:#?}");
        let message = report.tasks[0].message.as_deref().unwrap();
        assert!(message.ends_with(why), "{message}");
    }
}
