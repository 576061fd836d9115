//! What only the host itself can tell to be wrong: a dry run says it, with its place and the way out,
//! and changes nothing.

use super::host::{Host, Ran};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};

/// Who has no rights of his own on any Linux.
const NOBODY: u32 = 65534;

/// What a command said, with the host's directories named alike in every run, and without times.
fn said(host: &Host, ran: &Ran) -> String {
    let mut text = format!("exit code {}\n{}{}", ran.code.unwrap_or(-1), ran.out, ran.err);
    let root = host.path("");
    let top = root.parent().unwrap();
    for (path, name) in [(root.as_path(), "ROOT/"), (top, "HOST")] {
        text = text.replace(path.to_str().unwrap(), name);
    }
    let times = regex::Regex::new(r" \(\d+\.\d s\)| in \d+\.\d+ s").unwrap();
    times.replace_all(&text, "").into_owned()
}

#[test]
fn what_only_the_host_can_tell_is_told_by_a_dry_run() {
    let host = Host::new(
        "
vars: {login: 'ops:hunter2', patterns: ['(', a]}
tasks:
  - name: an owner that is not there
    copy: {dest: ROOT/a, content: x, owner: nobody-of-that-name}
    ignore_errors: true
  - name: a group that is not there
    file: {path: ROOT, state: directory, group: nobody-of-that-name}
    ignore_errors: true
  - name: a name that is defined nowhere
    copy: {dest: ROOT/a, content: '{{ nowhere }}'}
    ignore_errors: true
  - name: such a name in a template
    template: {src: undefined.j2, dest: ROOT/a}
    ignore_errors: true
  - name: a module's check that fails
    copy: {dest: ROOT/a, content: x, validate: 'false %s'}
    ignore_errors: true
  - name: a filter that finds no use for what it gets
    copy: {dest: ROOT/a, content: \"{{ [1] | from_json }}\"}
    ignore_errors: true
  - name: a template that takes in what is not of the config
    template: {src: leads_out.j2, dest: ROOT/a}
    ignore_errors: true
  - name: a file that the config does not have
    copy: {src: nothing.conf, dest: ROOT/a}
    ignore_errors: true
  - name: a pattern that is none once it is known
    lineinfile: {path: ROOT/text, regexp: '{{ patterns[0] }}', line: x}
    ignore_errors: true
  - name: what each run would change again
    replace: {path: ROOT/text, regexp: '{{ patterns[1] }}', replace: aa}
    ignore_errors: true
  - name: no parent
    copy: {dest: ROOT/no/parent, content: x}
    ignore_errors: true
  - name: a password where everybody sees it
    git: {repo: 'https://{{ login }}@git.example.com/site.git', dest: ROOT/site}
    ignore_errors: true
",
    );
    host.configure("templates/undefined.j2", "first\n{{ nowhere.near }}\n");
    host.configure("templates/leads_out.j2", "{% include '../../../etc/hostname' %}\n");
    host.write("text", "a\n");
    let before = host.snapshot();
    let ran = host.apply(&["--dry-run"]);
    insta::assert_snapshot!(said(&host, &ran));
    assert_eq!(before, host.snapshot());
}

#[test]
fn what_needs_root_says_so() {
    let host = Host::new(
        "
tasks:
  - name: somebody else's file
    copy: {dest: ROOT/a, content: x, owner: root}
    ignore_errors: true
  - name: somebody else's directory
    copy: {dest: ROOT/locked/a, content: x}
    ignore_errors: true
  - name: a file as root
    copy: {dest: ROOT/a, content: x}
    become: true
    ignore_errors: true
  - name: a command as root
    command: id
    become: true
    ignore_errors: true
  - name: a command as somebody else
    command: id
    become: true
    become_user: daemon
    ignore_errors: true
  - name: what anybody may
    debug: {msg: x}
    become: true
",
    );
    fs::create_dir(host.path("locked")).unwrap();
    let top = host.path("..");
    for path in [".", "root", "config", "config/agent.yml", "config/apply.yml"] {
        if chown(top.join(path), Some(NOBODY), Some(NOBODY)).is_err() {
            println!("skipped: only root can run as somebody else");
            return;
        }
    }
    fs::set_permissions(host.path("locked"), fs::Permissions::from_mode(0o755)).unwrap();
    for arguments in [&["--dry-run"][..], &[]] {
        let Some(ran) = host.apply_as(NOBODY, arguments) else {
            println!("skipped: others may not run the program where it lies");
            return;
        };
        let name = if arguments.is_empty() { "needs_root" } else { "needs_root_dry_run" };
        insta::assert_snapshot!(name, said(&host, &ran));
    }
}

#[test]
fn a_plan_that_the_host_has_outrun_says_what_has_moved() {
    let host = Host::new(
        "
tasks:
  - {name: settings, copy: {dest: ROOT/settings, content: new}}
  - {name: more, copy: {dest: ROOT/more, content: x}, notify: tell}
handlers: [{name: tell, debug: {msg: x}}]
",
    );
    host.write("settings", "old");
    assert_eq!(host.apply(&["--plan", "site.plan"]).code, Some(2));
    let apply = || Ran::of(&host.driftless(&["apply", "site.plan"]));
    host.write("settings", "by hand");
    insta::assert_snapshot!("a_plan_whose_file_has_moved", said(&host, &apply()));
    host.write("settings", "old");
    host.configure("vars.yml", "port: 80\n");
    let moved = said(&host, &apply());
    let digits = regex::Regex::new("[0-9a-f]{12,}").unwrap();
    insta::assert_snapshot!("a_plan_whose_config_has_moved", digits.replace_all(&moved, "HASH"));
    assert!(!host.path("more").exists());
}
