//! Alternatives, held against `update-alternatives` itself, in roots of their own.

use crate::accounts::{APPLY, reports, said_in_root, tasks};
use crate::installed::has;

/// A task, and the same done by the program.
const STEPS: &[(&str, &str)] = &[
    (
        "alternatives: {name: ed, link: /usr/bin/ed-here, path: /opt/a, state: present}",
        "--install /usr/bin/ed-here ed /opt/a 50",
    ),
    (
        "alternatives: {name: ed, path: /opt/b, priority: 70, state: present, subcommands: [{name: ed.1, link: /usr/share/ed.1, path: /opt/b.1}]}",
        "--install /usr/bin/ed-here ed /opt/b 70 --slave /usr/share/ed.1 ed.1 /opt/b.1",
    ),
    ("community.general.alternatives: {name: ed, path: /opt/a}", "--set ed /opt/a"),
    (
        "alternatives: {name: ed, path: /opt/c, priority: -5, state: present}",
        "--install /usr/bin/ed-here ed /opt/c -5",
    ),
    ("alternatives: {name: ed, path: /opt/c, state: auto}", "--auto ed"),
    (
        "alternatives: {name: ed, path: /opt/b, priority: 10, state: present}",
        "--install /usr/bin/ed-here ed /opt/b 10 --slave /usr/share/ed.1 ed.1 /opt/b.1",
    ),
    ("alternatives: {name: ed, path: /opt/c, state: selected}", "--set ed /opt/c"),
    ("alternatives: {name: ed, path: /opt/c, state: absent}", "--remove ed /opt/c"),
    ("alternatives: {name: ed, path: /opt/a, state: absent}", "--remove ed /opt/a"),
    ("alternatives: {name: ed, path: /opt/b, state: absent}", "--remove ed /opt/b"),
];

const PREPARE: &str = r"
    mkdir -p /opt; touch /opt/a /opt/b /opt/c /opt/b.1
    look() { cat /var/lib/dpkg/alternatives/ed || true; readlink /etc/alternatives/ed /etc/alternatives/ed.1 || true; }
";

#[test]
fn alternatives_are_what_the_program_makes_of_them_as_foretold_and_only_once() {
    if !has("update-alternatives") {
        return;
    }
    let mut ours = format!("{PREPARE}{APPLY}");
    let mut theirs = PREPARE.to_owned();
    for (task, command) in STEPS {
        ours += &format!("{}apply\nagain\necho STEP\nlook 2>&1\n", tasks(&format!("  - {task}\n")));
        theirs += &format!("update-alternatives {command} >&2\necho STEP\nlook 2>&1\n");
    }
    let (Some(ours), Some(theirs)) = (said_in_root(&ours), said_in_root(&theirs)) else { return };
    let steps = |said: &str| -> Vec<String> {
        let is_state =
            |line: &&str| !["DRY ", "RUN ", "AGAIN "].iter().any(|it| line.starts_with(it));
        said.lines()
            .filter(is_state)
            .collect::<Vec<_>>()
            .join("\n")
            .split("STEP")
            .map(str::to_owned)
            .collect()
    };
    let (left, right) = (steps(&ours), steps(&theirs));
    let [dry, run, again] =
        ["DRY", "RUN", "AGAIN"].map(|kind| reports(&ours, kind).collect::<Vec<_>>());
    for (at, (task, command)) in STEPS.iter().enumerate() {
        assert_eq!(run[at]["status"], "changed", "{task}: {:#}", run[at]);
        assert_eq!(dry[at], run[at], "foretold of {task}");
        assert_eq!(again[at]["status"], "ok", "a second run of {task}: {:#}", again[at]);
        assert_eq!(left[at + 1].trim(), right[at + 1].trim(), "after {task} and `{command}`");
    }
}

#[test]
fn a_dry_run_knows_alternatives_that_another_task_would_make_and_a_block_takes_them_back() {
    if !has("update-alternatives") {
        return;
    }
    let list = "  - alternatives: {name: ed, path: /opt/none, link: /usr/bin/ed-here}
    ignore_errors: true
  - alternatives: {name: ed, path: /opt/a}
    ignore_errors: true
  - alternatives: {name: ed, path: /opt/a, link: /usr/bin/ed-here, priority: 5}
  - alternatives: {name: ed, path: /opt/b, priority: 9, state: present}
  - alternatives: {name: ed, path: /opt/a}
  - block:
      - rollback: true
        block:
          - alternatives: {name: ed, path: /opt/c, priority: 99, state: auto}
          - alternatives: {name: ed, path: /opt/c, state: absent}
          - alternatives: {name: ed, path: /opt/b}
          - fail: {msg: no}
    rescue: [{debug: {msg: all is as it was}}]
";
    let script = format!("{PREPARE}{APPLY}{}apply\nlook\n", tasks(list));
    let Some(said) = said_in_root(&script) else { return };
    let (dry, run): (Vec<_>, Vec<_>) =
        (reports(&said, "DRY").collect(), reports(&said, "RUN").collect());
    assert_eq!(run[0]["message"], "there is no /opt/none to be an alternative");
    assert_eq!(run[1]["message"], "there are no alternatives for `ed` yet");
    assert_eq!(dry[..4], run[..4]);
    assert!(
        said.contains("manual\n/usr/bin/ed-here\n\n/opt/a\n5\n/opt/b\n9\n\n/opt/a\n"),
        "{said}"
    );
}
