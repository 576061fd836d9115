//! What a dry run shows is what apply does, for any list of tasks.

use super::bench::{Bench, letters};
use driftless::host::machine::Machine;
use driftless::sinks::apply::executor::Selection;
use driftless::sinks::apply::report::{Report, TaskReport};
use proptest::prelude::*;

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "a/c", "b/d", "a/c/e", "link", "link/f"])
}

fn mode() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["'0600'", "'0755'", "'u=rwX,g=rX,o='", "preserve", "'4711'"])
}

fn task() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec!["one", "two", "{{ port }}", ""]);
    let state = prop::sample::select(vec!["directory", "absent", "file", "touch"]);
    let exact = prop::sample::select(vec!["'0600'", "'0755'", "'u=rwX,g=rX,o='"]);
    let times = "modification_time: preserve, access_time: preserve";
    let line = prop::sample::select(vec!["one", "two", "hello", "a=b"]);
    let edit = prop::sample::select(vec![
        "lineinfile: {path: AT, line: LINE, create: yes}",
        "lineinfile: {path: AT, line: LINE, insertbefore: BOF}",
        "lineinfile: {path: AT, regexp: '^[ot]', line: LINE}",
        "lineinfile: {path: AT, regexp: o, state: absent}",
        "blockinfile: {path: AT, block: LINE, create: yes}",
        "blockinfile: {path: AT, state: absent}",
        "replace: {path: AT, regexp: '^(.)o', replace: '\\1O'}",
        "ini_file: {path: AT, section: s, option: LINE, value: '1'}",
        "ini_file: {path: AT, section: s, state: absent}",
        "assemble: {src: AT, dest: '{{ root }}/b'}",
        "fetch: {src: AT, dest: '{{ root }}/kept'}",
        "unarchive: {src: tree.tar, dest: AT}",
    ]);
    prop_oneof![
        (edit, name(), line).prop_map(|(edit, at, line)| {
            edit.replace("AT", &format!("'{{{{ root }}}}/{at}'")).replace("LINE", line)
        }),
        (name(), word, any::<bool>()).prop_map(|(at, text, follow)| format!(
            "copy: {{content: '{text}', dest: '{{{{ root }}}}/{at}', follow: {follow}}}"
        )),
        (name(), mode()).prop_map(|(at, mode)| format!(
            "copy: {{src: motd, dest: '{{{{ root }}}}/{at}', mode: {mode}}}"
        )),
        name().prop_map(|at| format!("copy: {{src: tree, dest: '{{{{ root }}}}/{at}'}}")),
        (name(), mode()).prop_map(|(at, mode)| format!(
            "template: {{src: site.j2, dest: '{{{{ root }}}}/{at}', mode: {mode}}}"
        )),
        (name(), state, exact, any::<bool>()).prop_map(move |(at, state, mode, deep)| {
            let recurse = if deep && state == "directory" { ", recurse: yes" } else { "" };
            format!("file: {{path: '{{{{ root }}}}/{at}', state: {state}, mode: {mode}, {times}{recurse}}}")
        }),
        (name(), name(), any::<bool>()).prop_map(|(at, to, hard)| {
            let (state, src) = if hard { ("hard", "{{ root }}/") } else { ("link", "") };
            format!("file: {{path: '{{{{ root }}}}/{at}', state: {state}, src: '{src}{to}', force: yes}}")
        }),
    ]
}

/// A file of these tasks, none of which ends the run.
fn file(tasks: &[String]) -> String {
    let tasks = tasks.iter().map(|task| format!("  - {{{task}, ignore_errors: yes}}\n"));
    format!("tasks:\n{}", tasks.collect::<String>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_dry_run_of_any_task_list_equals_apply(
        first in prop::collection::vec(task(), 0..6),
        then in prop::collection::vec(task(), 1..8),
    ) {
        let bench = Bench::new();
        let tar = include_bytes!("../fixtures/apply/tree.tar");
        std::fs::write(bench.base.path().join("files/tree.tar"), tar).unwrap();
        if !first.is_empty() {
            bench.run(&file(&first)); // any starting state
        }
        let text = file(&then);
        let untouched = bench.snapshot();
        let mut dry = Machine::overlay();
        let foretold = bench.run_on(&mut dry, &text, &Selection::default());
        prop_assert_eq!(untouched, bench.snapshot());

        let mut live = Machine::live();
        let done = bench.run_on(&mut live, &text, &Selection::default());
        prop_assert_eq!(letters(&foretold), letters(&done));
        prop_assert_eq!(dry.journal(), live.journal());
        let shown = |report: &Report| {
            let told = |task: &TaskReport| {
                (task.message.clone(), task.changes.clone())
            };
            report.tasks.iter().map(told).collect::<Vec<_>>()
        };
        prop_assert_eq!(shown(&foretold), shown(&done));
    }
}
