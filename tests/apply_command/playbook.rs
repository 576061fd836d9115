//! Playbooks and roles from a config directory, and the options that choose a part of them.

use super::host::{Host, Ran, SECRET, records};
use std::fs;

const PLAYBOOK: &str = "
- name: web servers
  hosts: web
  roles: [app]
  tasks:
    - {name: last, tags: end, copy: {dest: ROOT/last, content: x}}
- name: data bases
  hosts: db
  tasks: [{name: never, copy: {dest: ROOT/never, content: x}}]
";

/// A host of the group `web` with a playbook and a role.
fn host() -> Host {
    let host = Host::new(PLAYBOOK);
    host.configure("agent.yml", "data_dir: DATA\ngroups: [web]\n");
    host.configure("group_vars/web.yml", "word: group\n");
    host.configure("group_vars/all/main.yml", "word: all\nother: all\n");
    let tasks =
        "- {name: page, template: {src: page.j2, dest: ROOT/page, mode: '0600'}, notify: tell}\n";
    host.configure("roles/app/tasks/main.yml", tasks);
    host.configure("roles/app/templates/page.j2", "{{ word }} {{ other }} {{ token }}\n");
    host.configure("roles/app/vars/main.yml", "token: '{{ secrets.TOKEN }}'\n");
    host.configure("roles/app/handlers/main.yml", "- {name: tell, command: touch ROOT/told}\n");
    host
}

#[test]
fn a_playbook_applies_to_the_groups_of_this_host() {
    let host = host();
    let ran = host.apply(&["--diff"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(host.read("page"), format!("group all {SECRET}\n"));
    assert!(host.path("told").exists() && !host.path("never").exists());
    assert!(ran.out.contains("play     web servers") && !ran.out.contains(SECRET), "{ran:?}");
    assert!(host.apply(&[]).out.contains("0 changed"));
    assert_eq!(host.apply(&["--limit", "db"]).code, Some(0));
    assert_eq!(host.apply(&["--limit", "web:!db"]).code, Some(0));
}

#[test]
fn a_change_in_a_file_of_a_role_is_a_new_revision() {
    let host = host();
    host.apply(&[]);
    host.configure("roles/app/vars/main.yml", "token: '{{ secrets.TOKEN }}'\nmore: 1\n");
    host.apply(&[]);
    let found = records(&host.chain());
    assert_ne!(found[0]["revision"], found.last().unwrap()["revision"]);
}

#[test]
fn tasks_and_tags_can_be_listed() {
    let host = host();
    let listed = host.apply(&["--list-tasks"]);
    assert_eq!(listed.out, "web servers\n  app : page\n  last  [end]\ndata bases\n  never\n");
    assert_eq!(host.apply(&["--list-tags"]).out, "end\n");
    let listed = host.apply(&["--list-tasks", "--tags", "end", "--output", "json"]);
    let task: serde_json::Value = serde_json::from_str(&listed.out).unwrap();
    assert_eq!((&task["task"], &task["play"]), (&"last".into(), &"web servers".into()));
    assert!(!host.path("page").exists());
}

#[test]
fn a_run_can_begin_late_or_be_asked_for_task_by_task() {
    let host = host();
    let ran = host.apply(&["--start-at", "last"]);
    assert!(ran.out.contains("1 changed") && !host.path("page").exists(), "{ran:?}");
    fs::remove_file(host.path("last")).unwrap();
    let ran = host.answered(&["--step"], "n\ny\n");
    assert!(host.path("last").exists() && !host.path("page").exists(), "{ran:?}");
    let ran = host.answered(&["--step"], "a\n");
    assert!(host.path("told").exists(), "{ran:?}");
    let ran = host.apply(&["--start-at", "nothing"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.contains("there is no task `nothing` to start at"), "{ran:?}");
}

#[test]
fn a_run_that_is_killed_leaves_its_notifications_to_the_next() {
    let host = Host::new(
        "
tasks:
  - {name: settings, copy: {dest: ROOT/settings, content: x}, notify: reload}
  - name: crash
    command: sh -c 'test -e ROOT/killed || { touch ROOT/killed; kill -9 $PPID; }'
    notify: reload
handlers:
  - {name: reload, command: touch ROOT/reloaded}
",
    );
    assert_eq!(host.apply(&[]).code, None, "killed");
    assert!(host.path("settings").exists() && !host.path("reloaded").exists());
    let foretold = host.apply(&["--dry-run"]);
    assert!(foretold.out.contains("reload (handler)"), "{foretold:?}");
    let ran = host.apply(&["--tags", "none"]);
    assert!(ran.out.contains("reload (handler)") && host.path("reloaded").exists(), "{ran:?}");
}

#[test]
fn a_saved_plan_is_done_as_it_is_or_not_at_all() {
    let host = host();
    let ran = host.apply(&["--plan", "site.plan"]);
    assert_eq!((ran.code, host.path("page").exists()), (Some(2), false), "{ran:?}");
    let plan = fs::read_to_string(host.path("../site.plan")).unwrap();
    assert!(plan.contains(host.path("page").to_str().unwrap()) && !plan.contains(SECRET), "{plan}");

    host.write("last", "by hand");
    let before = host.snapshot();
    let apply = || Ran::of(&host.driftless(&["apply", "site.plan"]));
    let ran = apply();
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.err.contains("something has moved") && ran.err.contains("nothing was done"),
        "{ran:?}"
    );
    assert_eq!(before, host.snapshot());

    fs::remove_file(host.path("last")).unwrap();
    let ran = apply();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(host.path("page").exists() && host.path("told").exists());
    assert_eq!(apply().code, Some(1), "it is done already");
    host.apply(&["--plan", "site.plan"]);
    host.configure("group_vars/web.yml", "word: other\n");
    let ran = apply();
    assert!(ran.err.contains("the plan is for the revision"), "{ran:?}");
    assert_eq!(host.apply(&["--plan", "site.json"]).code, Some(1));
}

#[test]
fn a_rescued_failure_is_told_and_does_not_fail_the_run() {
    let host = Host::new(
        "
tasks:
  - block: [{name: try, command: 'false'}]
    rescue: [{name: mend, copy: {dest: ROOT/mended, content: x}}]
",
    );
    let ran = host.apply(&[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.out.contains("rescued  try") && ran.out.contains("1 failed and rescued"),
        "{ran:?}"
    );
}

#[test]
fn every_mistake_in_every_file_is_said_with_its_place() {
    let host = host();
    host.configure("roles/app/tasks/main.yml", "- {flie: {path: /x}}\n- import_tasks: more.yml\n");
    host.configure("roles/app/tasks/more.yml", "- {copy: {dest: /x, content: x, mode: 644}}\n");
    host.configure("group_vars/web.yml", "facts: 1\n");
    let ran = host.apply(&[]);
    assert_eq!(ran.code, Some(1));
    for place in [
        "config/roles/app/tasks/main.yml:1:4: there is no module or keyword `flie`",
        "config/roles/app/tasks/more.yml:1:39: the mode 644",
        "config/group_vars/web.yml:1:1: `facts` is a name",
    ] {
        assert!(ran.err.contains(place), "{place}: {}", ran.err);
    }
    assert!(!host.data().exists());
}
