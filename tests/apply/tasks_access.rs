//! Tasks about what a file has beside its content: attributes, access lists, capabilities. What
//! the system's own tools say is the measure.

use super::bench::{Bench, last_message, letters};
use crate::installed::has;
use crate::skip::skipped;
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Output};

fn tool(bench: &Bench, program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).current_dir(bench.root.path()).output().unwrap()
}

fn said(bench: &Bench, program: &str, arguments: &[&str]) -> String {
    String::from_utf8(tool(bench, program, arguments).stdout).unwrap()
}

/// Whether what the file system at hand keeps can be tried; says so where not.
fn keeps(bench: &Bench, what: &str, task: &str) -> bool {
    fs::write(bench.path("probe"), "").unwrap();
    let report = bench.run(&format!("tasks: [{task}]"));
    let kept = letters(&report) == "c";
    if !kept {
        skipped(&format!(
            "no {what} on the file system of temporary files: {}",
            last_message(&report)
        ));
    }
    kept
}

fn keeps_attributes(bench: &Bench) -> bool {
    keeps(bench, "attributes", "{xattr: {path: '{{ root }}/probe', key: k, value: v}}")
}

fn keeps_lists(bench: &Bench) -> bool {
    keeps(
        bench,
        "access lists",
        "{acl: {path: '{{ root }}/probe', entry: 'u:1:r', state: present}}",
    )
}

#[test]
fn an_attribute_is_set_once_kept_through_edits_and_taken_away() {
    let bench = Bench::new();
    if !keeps_attributes(&bench) {
        return;
    }
    fs::write(bench.path("f"), "text\n").unwrap();
    symlink("f", bench.path("l")).unwrap();
    let tasks = "tasks:
  - xattr: {path: '{{ root }}/l', key: note, value: hello}
    register: made
  - xattr: {path: '{{ root }}/f', namespace: user, key: user.raw, value: '0x00ff', state: present}
  - lineinfile: {path: '{{ root }}/f', line: more}
  - xattr: {path: '{{ root }}/f', state: all}
    register: every
  - xattr: {path: '{{ root }}/f', state: keys}
    register: names
  - xattr: {path: '{{ root }}/f', key: note}
    register: one
  - xattr: {path: '{{ root }}/f', key: none}
    register: missing
  - assert:
      that:
        - every.xattr['user.note'] == 'hello' and every.xattr['user.raw'] == '0sAP8='
        - every.xattr | length == 2
        - names.xattr | list | sort == ['user.note', 'user.raw']
        - one.xattr['user.note'] == 'hello' and missing.xattr | length == 0
        - made.msg == 'user.note set to hello'
";
    let before = bench.snapshot();
    assert_eq!(letters(&bench.dry_run(tasks)), "cccooooo");
    assert_eq!(before, bench.snapshot());
    let report = bench.run(tasks);
    assert_eq!(letters(&report), "cccooooo", "{}", last_message(&report));
    assert_eq!(letters(&bench.run(tasks)), "oooooooo");
    let gone = "tasks: [{xattr: {path: '{{ root }}/f', key: note, state: absent}}]";
    assert_eq!(letters(&bench.run(gone)) + &letters(&bench.run(gone)), "co");
    let link = "tasks: [{xattr: {path: '{{ root }}/l', key: n, value: v, follow: no}}]";
    let report = bench.run(link);
    assert!(last_message(&report).ends_with("has no attributes of the kind `user.`"));
}

#[test]
fn an_entry_of_an_access_list_is_set_once_and_shown_as_getfacl_shows_it() {
    let bench = Bench::new();
    if !keeps_lists(&bench) {
        return;
    }
    fs::create_dir_all(bench.path("d/sub")).unwrap();
    fs::write(bench.path("d/f"), "").unwrap();
    symlink("/etc", bench.path("d/out")).unwrap();
    let tasks = "tasks:
  - acl: {path: '{{ root }}/d', entity: daemon, etype: user, permissions: rwX, state: present, recursive: yes}
  - acl: {path: '{{ root }}/d', entry: 'default:group:daemon:rx', state: present}
  - copy: {content: x, dest: '{{ root }}/d/new', mode: '0640'}
  - acl: {path: '{{ root }}/d/new'}
    register: new
  - acl: {path: '{{ root }}/d/f', entry: 'mask::r', state: present}
  - acl: {path: '{{ root }}/d/f', state: query}
    register: f
  - acl: {path: '{{ root }}/d', default: yes}
    register: default
  - assert:
      that:
        - f.acl[1].split() == ['user:daemon:rw-', '#effective:r--']
        - new.acl[2].split() == ['group:daemon:r-x', '#effective:r--']
        - default.acl[2] == 'group:daemon:r-x'
";
    let before = bench.snapshot();
    let report = bench.dry_run(tasks);
    assert_eq!(letters(&report), "cccocooo", "{}", last_message(&report));
    assert_eq!(before, bench.snapshot());
    let report = bench.run(tasks);
    assert_eq!(letters(&report), "cccocooo", "{}", last_message(&report));
    // The mask that was closed for `f` is opened by the task that asks for all of the tree.
    let tasks = tasks.replace(", recursive: yes", "");
    assert_eq!(letters(&bench.run(&tasks)), "oooooooo");
    if has("getfacl") {
        for path in ["d", "d/f", "d/sub", "d/new"] {
            let shown = said(&bench, "getfacl", &["--omit-header", path]);
            let report = bench.run(&format!(
                "tasks:
  - acl: {{path: '{{{{ root }}}}/{path}'}}
    register: out
  - debug: {{msg: \"{{{{ out.acl | join('|') }}}}\"}}
"
            ));
            assert_eq!(last_message(&report), shown.trim().replace('\n', "|"), "{path}");
        }
        assert_eq!(
            said(&bench, "getfacl", &["--omit-header", "d/sub"]).lines().count(),
            6,
            "no default"
        );
    }
}

#[test]
fn what_is_wrong_with_an_entry_is_said_before_a_run() {
    let bench = Bench::new();
    for (params, expected) in [
        ("entry: 'user:x', state: present", "needs its permissions"),
        ("entry: 'user:x:rwx', state: absent", "takes no permissions"),
        ("entry: 'usr:x:r', state: present", "`usr`"),
        ("entry: 'user:x:r:y', state: present", "`TYPE:NAME:PERMISSIONS` is expected"),
        ("entry: 'user:x:rq', state: present", "`rq`"),
        ("entry: 'user:x:r'", "goes with `state: present`"),
        ("entity: x, state: present", "needs `entry`, or `etype`"),
        ("recursive: yes", "`recursive` goes with"),
        ("use_nfsv4_acls: yes", "not supported"),
        ("entry: 'u:x:r', etype: user, state: present", "not both"),
    ] {
        let (_, complaints) = bench.parse(&format!("tasks: [{{acl: {{path: /x, {params}}}}}]"));
        let said = complaints.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(said.contains(expected), "{params}: {said}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn entries_come_to_the_same_list_as_with_setfacl(
        steps in prop::collection::vec(
            (
                prop::sample::select(vec!["user:1", "user:2", "user:", "group:1", "group:", "mask:", "other:"]),
                prop::option::of(prop::sample::select(vec!["r", "rw", "rX", "7", "0", "rwx"])),
                prop::sample::select(vec![("default", None), ("mask", Some("--mask")), ("no_mask", Some("--no-mask"))]),
                any::<bool>(),
            ),
            1..6,
        ),
    ) {
        let bench = Bench::new();
        if !has("setfacl") || !keeps_lists(&bench) {
            return Ok(());
        }
        for name in ["ours", "theirs"] {
            fs::create_dir(bench.path(name)).unwrap();
        }
        for (who, permissions, (recalculate, option), default) in &steps {
            let (state, entry) = match permissions {
                Some(permissions) => ("present", format!("{who}:{permissions}")),
                None => ("absent", (*who).to_owned()),
            };
            let mut arguments: Vec<&str> = option.iter().copied().collect();
            arguments.extend(default.then_some("--default"));
            arguments.extend([if state == "present" { "-m" } else { "-x" }, &entry, "theirs"]);
            let theirs = tool(&bench, "setfacl", &arguments).status.success();
            let report = bench.run(&format!(
                "tasks: [{{acl: {{path: '{{{{ root }}}}/ours', entry: '{entry}', state: {state}, \
                 recalculate_mask: {recalculate}, default: {default}}}}}]"
            ));
            prop_assert_eq!(theirs, letters(&report) != "f", "{:?} {}: {}", arguments, entry, last_message(&report));
            let show = |name: &str| said(&bench, "getfacl", &["--omit-header", name]);
            prop_assert_eq!(show("ours"), show("theirs"), "{:?}", arguments);
        }
    }
}

#[test]
fn a_program_gets_a_capability_as_setcap_gives_it() {
    let bench = Bench::new();
    fs::write(bench.path("p"), "#!/bin/sh\n").unwrap();
    let tasks = "tasks:
  - capabilities: {path: '{{ root }}/p', capability: cap_net_raw+ep}
    register: first
  - capabilities: {path: '{{ root }}/p', cap: cap_net_bind_service=ep, state: present}
";
    let before = bench.snapshot();
    let report = bench.dry_run(tasks);
    if !nix::unistd::geteuid().is_root() {
        assert!(last_message(&report).contains("only root may set"), "{}", last_message(&report));
        return;
    }
    assert_eq!((letters(&report).as_str(), before == bench.snapshot()), ("cc", true));
    assert_eq!(letters(&bench.run(tasks)) + &letters(&bench.run(tasks)), "ccoo");
    if has("getcap") {
        assert_eq!(said(&bench, "getcap", &["p"]), "p cap_net_bind_service,cap_net_raw=ep\n");
    }
    let odd = "tasks: [{capabilities: {path: '{{ root }}/p', capability: cap_chown+p}}]";
    let report = bench.run(odd);
    assert!(
        last_message(&report).contains("all effective, or none is"),
        "{}",
        last_message(&report)
    );
    let gone = "tasks:
  - capabilities: {path: '{{ root }}/p', capability: cap_net_raw, state: absent}
  - capabilities: {path: '{{ root }}/p', capability: cap_net_bind_service+ep, state: absent}
";
    assert_eq!(letters(&bench.run(gone)) + &letters(&bench.run(gone)), "ccoo");
    if has("getcap") {
        assert_eq!(said(&bench, "getcap", &["p"]), "");
    }
    for (capability, expected) in [
        ("cap_net_raw", "no operator"),
        ("cap_fly+ep", "`cap_fly`"),
        ("cap_chown+x", "`e`, `i`, `p`"),
    ] {
        let text = format!("tasks: [{{capabilities: {{path: /x, capability: '{capability}'}}}}]");
        let complaint = bench.parse(&text).1[0].to_string();
        assert!(complaint.contains(expected), "{complaint}");
    }
}

#[test]
fn the_example_of_settings_and_rights_does_what_it_says_and_then_nothing() {
    let mut bench = Bench::new();
    if !keeps_attributes(&bench) || !keeps_lists(&bench) {
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        return skipped("capabilities are root's to give");
    }
    let example =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config-examples/apply-access");
    let demo = bench.path("demo").display().to_string();
    let text = fs::read_to_string(example.join("apply.yml")).unwrap().replace("/srv/demo", &demo);
    bench.stand_in(&example);
    let report = bench.run(&text);
    assert!(!letters(&report).contains('f'), "{:#?}", report.tasks.last());
    assert_eq!(bench.read("demo/app.json"), "{\n  \"server\": {\n    \"port\": 8080\n  }\n}\n");
    assert_eq!(
        bench.read("demo/app.yml"),
        "# The application\nserver:\n  port: 8080 # behind a proxy\n  names: [one, two]\n"
    );
    assert_eq!(bench.read("demo/app.toml"), "[server.tls]\nenabled = true\nversions = [\"1.3\"]\n");
    let before = bench.snapshot();
    let again = letters(&bench.run(&text));
    assert!(!again.contains(['c', 'f']), "{again}");
    assert_eq!(before, bench.snapshot());
}
