//! Every task type from every starting state.

use super::bench::{Bench, last_message, letters};
use driftless::host::machine::Machine;
use driftless::sinks::apply::executor::Selection;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

/// Puts something at `x`.
type Start = (&'static str, fn(&Path));

const STARTS: [Start; 8] = [
    ("nothing", |_| {}),
    ("a file", |x| fs::write(x, "old\n").unwrap()),
    ("the right file", |x| fs::write(x, "hello\n").unwrap()),
    ("a private file", |x| {
        fs::write(x, "hello\n").unwrap();
        fs::set_permissions(x, fs::Permissions::from_mode(0o600)).unwrap();
    }),
    ("an empty directory", |x| fs::create_dir(x).unwrap()),
    ("a full directory", |x| {
        fs::create_dir_all(x.join("in/side")).unwrap();
        fs::write(x.join("in/file"), "1").unwrap();
        symlink("/etc/passwd", x.join("in/link")).unwrap();
    }),
    ("a link to a file", |x| {
        fs::write(x.with_file_name("target"), "old\n").unwrap();
        symlink("target", x).unwrap();
    }),
    ("a link to nowhere", |x| symlink("nowhere", x).unwrap()),
];

const TASKS: [&str; 45] = [
    "copy: {content: \"hello\\n\", dest: '{{ root }}/x'}",
    "copy: {content: \"hello\\n\", dest: '{{ root }}/x', mode: '0640'}",
    "copy: {content: \"hello\\n\", dest: '{{ root }}/x', follow: true, mode: 'u=rw,go='}",
    "copy: {content: \"hello\\n\", dest: '{{ root }}/x', force: no}",
    "copy: {src: motd, dest: '{{ root }}/x'}",
    "copy: {src: motd, dest: '{{ root }}/x/', mode: preserve}",
    "copy: {src: tree, dest: '{{ root }}/x'}",
    "copy: {src: tree/, dest: '{{ root }}/x', mode: '0600', directory_mode: '0700'}",
    "copy: src=motd dest={{ root }}/x mode=0600",
    "copy: {content: \"hello\\n\", dest: '{{ root }}/x', validate: 'grep -q hello %s'}",
    "copy: {content: \"hello\\n\", dest: '{{ root }}/x', validate: 'grep -q other %s'}",
    "template: {src: site.j2, dest: '{{ root }}/x'}",
    "template: {src: site.j2, dest: '{{ root }}/x', mode: '0600', lstrip_blocks: yes}",
    "file: {path: '{{ root }}/x', state: directory}",
    "file: {path: '{{ root }}/x', state: directory, mode: '0750'}",
    "file: {path: '{{ root }}/x/y/z', state: directory, mode: '0750'}",
    "file: {path: '{{ root }}/x', state: directory, recurse: yes, mode: 'u=rwX,g=rX,o='}",
    "file: {path: '{{ root }}/x', state: absent}",
    "file: {path: '{{ root }}/x', state: file, mode: '0600'}",
    "file: {path: '{{ root }}/x', mode: 'a+r'}",
    "file: {path: '{{ root }}/x', state: link, src: /etc/hostname}",
    "file: {path: '{{ root }}/x', state: link, src: there, force: yes}",
    "file: {path: '{{ root }}/x', state: hard, src: '{{ root }}/other', force: yes}",
    "file: {path: '{{ root }}/x', state: touch, modification_time: preserve, access_time: preserve}",
    "file: {path: '{{ root }}/x', state: touch, modification_time: '202001020304.05', access_time: preserve}",
    "file: {path: '{{ root }}/x', owner: '0', group: 0}",
    "lineinfile: {path: '{{ root }}/x', line: hello}",
    "lineinfile: {path: '{{ root }}/x', line: new, create: yes, mode: '0600'}",
    "lineinfile: {path: '{{ root }}/x/y/z', line: new, create: yes}",
    "lineinfile: {path: '{{ root }}/x', regexp: '^h', state: absent, backup: no}",
    "lineinfile: {path: '{{ root }}/x', regexp: '^(o.*)d$', line: '\\1der', backrefs: yes}",
    "lineinfile: {path: '{{ root }}/x', line: new, validate: 'grep -q other %s'}",
    "blockinfile: {path: '{{ root }}/x', block: new, create: yes, mode: 'u=rw,go='}",
    "blockinfile: {path: '{{ root }}/x', block: new, insertbefore: BOF}",
    "blockinfile: {path: '{{ root }}/x', state: absent}",
    "replace: {path: '{{ root }}/x', regexp: 'h(.)', replace: 'H\\1', mode: '0640'}",
    "replace: {path: '{{ root }}/x', regexp: o, replace: '0', after: l}",
    "ini_file: {path: '{{ root }}/x', section: s, option: o, value: v}",
    "ini_file: {path: '{{ root }}/x', section: s, state: absent, create: no}",
    "assemble: {src: '{{ root }}/x', dest: '{{ root }}/y'}",
    "stat: {path: '{{ root }}/x'}",
    "slurp: {src: '{{ root }}/x'}",
    "find: {paths: '{{ root }}/x', recurse: yes}",
    "fetch: {src: '{{ root }}/x', dest: '{{ root }}/kept/', flat: yes}",
    "fetch: {src: '{{ root }}/x', dest: '{{ root }}/kept', fail_on_missing: no}",
];

#[test]
fn every_task_from_every_start_is_foretold_exactly_and_changes_nothing_twice() {
    for task in TASKS {
        for (start, make) in STARTS {
            let bench = Bench::new();
            fs::write(bench.path("other"), "other\n").unwrap();
            make(&bench.path("x"));
            let what = format!("{task} from {start}");
            let text = format!("tasks:\n  - {task}\n");

            let before = bench.snapshot();
            let mut dry = Machine::overlay();
            let foretold = bench.run_on(&mut dry, &text, &Selection::default());
            assert_eq!(before, bench.snapshot(), "the dry run left a trace: {what}");

            let mut live = Machine::live();
            let done = bench.run_on(&mut live, &text, &Selection::default());
            assert_eq!(dry.journal(), live.journal(), "{what}");
            assert_eq!(letters(&foretold), letters(&done), "{what}");
            assert_eq!(last_message(&foretold), last_message(&done), "{what}");

            let mut again = Machine::live();
            let second = bench.run_on(&mut again, &text, &Selection::default());
            assert!(again.journal().is_empty(), "{what}: {:?}", again.journal());
            assert_eq!(letters(&second), letters(&done).replace('c', "o"), "{what}");
        }
    }
}

#[test]
fn what_a_task_refuses_it_says_in_plain_words() {
    for (task, start, message) in [
        ("copy: {content: x, dest: '{{ root }}/no/x'}", 0, "the directory ROOT/no does not exist"),
        (
            "copy: {content: x, dest: '{{ root }}/x'}",
            4,
            "ROOT/x is a directory, and `content` makes a file",
        ),
        (
            "copy: {src: nope, dest: '{{ root }}/x'}",
            0,
            "there is neither BASE/files/nope nor BASE/nope",
        ),
        (
            "file: {path: '{{ root }}/x', state: directory}",
            1,
            "ROOT/x is a file, and a directory is expected",
        ),
        (
            "file: {path: '{{ root }}/x', state: directory}",
            7,
            "ROOT/x is a link to nowhere, and a directory is expected",
        ),
        ("file: {path: '{{ root }}/x', state: file}", 0, "there is no file ROOT/x"),
        ("file: {path: '{{ root }}/x', state: link, src: gone}", 0, "ROOT/gone does not exist"),
        (
            "file: {path: '{{ root }}/x', state: link, src: /etc/hostname, force: yes}",
            5,
            "the directory ROOT/x is not empty, and is not replaced by a link",
        ),
        ("file: {path: '{{ root }}/x', owner: no-such-user}", 1, "there is no user `no-such-user`"),
        ("file: {path: /, state: absent}", 0, "`/` is not removed"),
        (
            "file: {path: /usr/../etc/, state: absent}",
            0,
            "`/etc` is not removed: no host can do without it",
        ),
        (
            "template: {src: broken.j2, dest: '{{ root }}/x'}",
            0,
            "BASE/templates/broken.j2:2: `nope` is undefined",
        ),
        ("command: no-such-program", 0, "there is no program `no-such-program`"),
        (
            "assert: {that: [port == '8080', host == 'db1']}",
            0,
            "the condition `host == 'db1'` does not hold",
        ),
    ] {
        let bench = Bench::new();
        fs::write(bench.base.path().join("templates/broken.j2"), "a\n{{ nope }}\n").unwrap();
        (STARTS[start].1)(&bench.path("x"));
        let report = bench.dry_run(&format!("tasks:\n  - {task}\n"));
        let found = last_message(&report)
            .replace(&bench.root.path().display().to_string(), "ROOT")
            .replace(&bench.base.path().display().to_string(), "BASE");
        assert_eq!((letters(&report).as_str(), found.as_str()), ("f", message), "{task}");
    }
}

#[test]
fn a_template_renders_with_variables_and_keeps_its_last_line_end() {
    let bench = Bench::new();
    bench.run("tasks: [{template: {src: site.j2, dest: '{{ root }}/x'}}]");
    assert_eq!(bench.read("x"), "port 8080\n");
}

#[test]
fn copying_onto_a_link_replaces_it_unless_told_to_follow() {
    let bench = Bench::new();
    fs::write(bench.path("target"), "old").unwrap();
    symlink("target", bench.path("x")).unwrap();
    bench.run("tasks: [{copy: {content: new, dest: '{{ root }}/x', follow: yes}}]");
    assert_eq!((bench.read("target").as_str(), bench.path("x").is_symlink()), ("new", true));
    bench.run("tasks: [{copy: {content: newer, dest: '{{ root }}/x'}}]");
    assert_eq!((bench.read("target").as_str(), bench.path("x").is_symlink()), ("new", false));
}

#[test]
fn recursion_never_leaves_the_tree() {
    let bench = Bench::new();
    fs::create_dir(bench.path("x")).unwrap();
    fs::write(bench.path("outside"), "").unwrap();
    symlink("../outside", bench.path("x/out")).unwrap();
    let mode = fs::metadata(bench.path("outside")).unwrap().mode();
    bench.run(
        "tasks: [{file: {path: '{{ root }}/x', state: directory, recurse: yes, mode: '0700'}}]",
    );
    assert_eq!(fs::metadata(bench.path("outside")).unwrap().mode(), mode);
}

#[test]
fn a_backup_keeps_what_was_overwritten() {
    let bench = Bench::new();
    fs::write(bench.path("x"), "old").unwrap();
    let text = "tasks: [{copy: {content: new, dest: '{{ root }}/x', backup: yes}}]";
    bench.run(text);
    bench.run(text);
    let names = fs::read_dir(bench.root.path()).unwrap().map(|entry| entry.unwrap().path());
    let backups: Vec<_> = names.filter(|path| path != &bench.path("x")).collect();
    assert_eq!(backups.len(), 1);
    assert_eq!(fs::read_to_string(&backups[0]).unwrap(), "old");
}

#[test]
fn a_command_returns_what_ansible_returns() {
    let bench = Bench::new();
    let report = bench.run(
        "tasks:
  - command: sh -c 'cat; echo $WHO; echo err >&2; exit 3' chdir={{ root }}
    args: {stdin: fed}
    environment: {WHO: me}
    register: out
    failed_when: out.rc != 3
  - assert:
      that:
        - out.stdout == 'fed\\nme'
        - out.stdout_lines == ['fed', 'me']
        - out.stderr == 'err'
        - out.rc == 3 and out is changed and out is not failed
        - out.cmd[0] == 'sh'
        - out.delta is match('0:00:0')
        - out.start < out.end
",
    );
    assert_eq!(letters(&report), "co", "{report:#?}");
}

#[test]
fn a_command_with_creates_or_removes_runs_only_while_it_is_needed() {
    let bench = Bench::new();
    let text = "tasks:
  - command: touch {{ root }}/mark creates={{ root }}/mark
  - command: {argv: [rm, '{{ root }}/old'], removes: '{{ root }}/old'}
";
    fs::write(bench.path("old"), "").unwrap();
    assert_eq!(letters(&bench.dry_run(text)), "uu");
    assert!(!bench.path("mark").exists());
    assert_eq!(letters(&bench.run(text)), "cc");
    assert!(bench.path("mark").exists() && !bench.path("old").exists());
    assert_eq!(letters(&bench.run(text)), "oo");
    assert_eq!(letters(&bench.dry_run(text)), "oo");
}

#[test]
fn a_template_may_have_marks_of_its_own_and_another_encoding() {
    let bench = Bench::new();
    let own = "[% if port %]\n[# gone #]port {{ as it is }} [[ port ]]\n[% endif %]\n";
    bench.configure("templates/own.j2", own);
    bench.configure("templates/head.j2", &format!("#jinja2: variable_start_string: '[[', variable_end_string: ']]', block_start_string: '[%', block_end_string: '%]', comment_start_string: '[#', comment_end_string: '#]'\n{own}"));
    bench.configure("templates/wrong.j2", "#jinja2: trim_block: True\nx\n");
    bench.configure("templates/e.j2", "é\n");
    let marks = "variable_start_string: '[[', variable_end_string: ']]', block_start_string: '[%', \
                 block_end_string: '%]', comment_start_string: '[#', comment_end_string: '#]'";
    let text = format!(
        "tasks:
  - template: {{src: own.j2, dest: '{{{{ root }}}}/own', {marks}}}
  - template: {{src: head.j2, dest: '{{{{ root }}}}/head'}}
  - template: {{src: e.j2, dest: '{{{{ root }}}}/e', output_encoding: iso-8859-1}}
"
    );
    let report = bench.run(&text);
    assert_eq!(letters(&report), "ccc", "{}", last_message(&report));
    assert_eq!(bench.read("own"), "port {{ as it is }} 8080\n");
    assert_eq!(bench.read("head"), bench.read("own"));
    assert_eq!(fs::read(bench.path("e")).unwrap(), b"\xe9\n");
    for (params, expected) in [
        ("src: wrong.j2", "`trim_block: True`, which is not known"),
        ("src: e.j2, output_encoding: ascii", "`é` does not exist in the encoding `ascii`"),
    ] {
        let report =
            bench.run(&format!("tasks: [{{template: {{{params}, dest: '{{{{ root }}}}/w'}}}}]"));
        assert!(last_message(&report).contains(expected), "{}", last_message(&report));
    }
    let unknown = "tasks: [{template: {src: a, dest: /x, output_encoding: latin-99}}]";
    assert!(bench.parse(unknown).1[0].to_string().contains("`latin-99` is not known"));
}

#[test]
fn a_relative_path_is_below_the_config_wherever_it_is_applied_from() {
    let bench = Bench::new();
    let tasks = "tasks:
  - file: {path: new/deep, state: directory}
  - copy: {content: x, dest: new/deep/x}
    register: copied
  - shell: cat new/deep/x > new/y
    args: {creates: new/y}
  - command: {cmd: ls, chdir: new}
    register: listed
    changed_when: no
  - assert:
      that:
        - copied.dest == 'new/deep/x' and 'new/deep' is directory
        - listed.stdout_lines == ['deep', 'y']
";
    assert_eq!(letters(&bench.dry_run(tasks)), "ccuuu");
    assert!(!bench.base.path().join("new").exists());
    let report = bench.run(tasks);
    assert_eq!(letters(&report), "cccoo", "{report:#?}");
    assert_eq!(fs::read_to_string(bench.base.path().join("new/y")).unwrap(), "x");
    assert_eq!(letters(&bench.run(tasks)), "ooooo");
}

#[test]
fn a_result_holds_what_differs_where_diffs_are_asked_for() {
    let bench = Bench::new();
    fs::write(bench.path("old"), "was\n").unwrap();
    let tasks = "tasks:
  - copy: {content: 'is {{ secrets.TOKEN }}', dest: '{{ root }}/old', mode: '0600'}
    diff: true
    register: copied
  - file: {path: '{{ root }}/old', mode: '0640'}
    diff: true
    register: moded
  - file: {path: '{{ root }}/old', mode: '0640'}
    diff: true
    register: same
  - replace: {path: '{{ root }}/old', regexp: is, replace: was}
    diff: true
    register: replaced
  - {lineinfile: {path: '{{ root }}/old', line: more}, diff: true, no_log: true, register: hidden}
  - {lineinfile: {path: '{{ root }}/old', line: still}, register: unasked}
  - assert:
      that:
        - copied.diff[0].before == before and copied.diff[0].after == 'is ***'
        - copied.diff[0].after_header == root + '/old'
        - copied.diff[1].after.mode == '0600'
        - moded.diff.before == dict(path=root + '/old', mode='0600')
        - moded.diff.after == dict(path=root + '/old', mode='0640')
        - same.diff.after == dict(path=root + '/old')
        - replaced.diff.before is match('is') and replaced.diff.after is match('was')
        - hidden.diff is undefined and unasked.diff is undefined
    vars: {before: \"was\\n\"}
  - {file: {path: '{{ root }}/d/f', state: directory}, register: unasked}
  - {file: {path: '{{ root }}/d', state: absent}, diff: yes, register: gone}
  - assert:
      that:
        - gone.diff.before.state == 'directory' and gone.diff.after.state == 'absent'
        - gone.diff.before.path_content.directories == [root + '/d/f']
";
    let report = bench.run(tasks);
    assert_eq!(letters(&report), "ccocccocco", "{report:#?}");
}
