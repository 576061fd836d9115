//! What programs that a user wrote into a dry run can do: look, and nothing else.

use crate::host::Host;
use std::fs;
use std::process::Command;

const GUARDS: &str = "
tasks:
  - name: looks
    shell: cat ROOT/stays
    check_mode: false
    changed_when: false
    register: seen
  - name: is made of what was seen
    copy: {dest: ROOT/made, content: '{{ seen.stdout }} indeed'}
  - name: fails by itself
    command: 'false'
    check_mode: false
    ignore_errors: true
  - name: redirects
    shell: echo x > ROOT/redirected
    check_mode: false
  - name: changes a mode
    command: chmod 777 ROOT/stays
    check_mode: false
  - name: asks a pipe
    debug: {msg: \"{{ lookup('pipe', 'touch ROOT/piped') }}\"}
  - name: validates
    copy: {dest: ROOT/valid, content: x, validate: cp %s ROOT/copied}
  - name: is there by then
    file: {path: ROOT/valid, state: file}
";

/// Whether this kernel can keep a dry run from writing.
fn can_be_kept() -> bool {
    fs::read_to_string("/sys/kernel/security/lsm").map_or(true, |names| names.contains("landlock"))
}

#[test]
fn guards_of_a_dry_run_look_and_cannot_write() {
    let host = Host::new(GUARDS);
    host.write("stays", "as it is");
    let before = host.snapshot();
    let ran = host.apply(&["--dry-run"]);
    assert_eq!(before, host.snapshot(), "{ran:?}");
    if !can_be_kept() {
        return;
    }
    for line in [
        "ok       looks",
        "+as it is indeed",
        "ignored  fails by itself",
        "unknown  redirects: would run",
        "unknown  changes a mode: would run",
        "unknown  asks a pipe: ",
        "`/bin/sh` would write, which a dry run does not",
        "unknown  validates: `cp` would write, which a dry run does not",
        "ok       is there by then",
    ] {
        assert!(ran.out.contains(line), "{line}: {}", ran.out);
    }
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

#[test]
fn what_looks_at_new_content_foretells_whether_it_objects() {
    // Where it finds that content is a file system that only root can have for itself.
    let own_mounts = Command::new("unshare").args(["--mount", "true"]).status();
    if !can_be_kept() || !own_mounts.is_ok_and(|status| status.success()) {
        return;
    }
    let host = Host::new(
        "tasks:
  - {name: objects, copy: {dest: ROOT/one, content: text, validate: grep -q other %s}, ignore_errors: true}
  - {name: is content, copy: {dest: ROOT/two, content: text, validate: grep -q text %s}}
  - {name: may miss two, copy: {dest: ROOT/three, content: text, validate: grep -q other %s}}
",
    );
    let before = host.snapshot();
    let ran = host.apply(&["--dry-run"]);
    assert_eq!(before, host.snapshot(), "{ran:?}");
    let objects = "`grep -q other %s` objects to the new content (exit status 1)";
    assert!(ran.out.contains(objects), "{ran:?}");
    // Where something is foretold that a program does not see, its objection proves nothing.
    assert_eq!(ran.out.matches("unknown  ").count(), 1, "{ran:?}");
    assert!(ran.out.contains("unknown  may miss two: "), "{ran:?}");
}

#[test]
fn apply_is_not_bound_by_what_bound_the_dry_run_before_it() {
    let host = Host::new("tasks: [{shell: 'echo x > ROOT/written'}]");
    host.apply(&["--plan", "a.plan"]);
    assert!(host.read("written").is_empty());
    let output = host.driftless(&["apply", "a.plan"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(host.read("written"), "x\n");
}
