//! What tasks about accounts do in files that are given to them, and what they refuse. Those that
//! change the host's own files are in `accounts.rs`.

use super::bench::{Bench, last_message, letters};
use crate::installed::has;
use nix::unistd::{User, geteuid};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

/// Whoever runs the tests.
fn me() -> String {
    User::from_uid(geteuid()).unwrap().unwrap().name
}

#[test]
fn keys_of_a_user_are_put_in_once_and_others_stay() {
    let bench = Bench::new();
    fs::create_dir(bench.path("ssh")).unwrap();
    fs::write(bench.path("ssh/keys"), "# by hand\nssh-rsa BBBB old\nssh-rsa CCCC gone\n").unwrap();
    let tasks = format!(
        "vars: {{user: {}}}
tasks:
  - authorized_key: {{user: '{{{{ user }}}}', path: '{{{{ root }}}}/ssh/keys', key: \"ssh-ed25519 AAAA me\\n# note\\nssh-rsa BBBB old\\n\"}}
    register: out
  - authorized_key: {{user: '{{{{ user }}}}', path: '{{{{ root }}}}/ssh/keys', key: ssh-rsa BBBB, key_options: 'from=\"a,b\",no-pty', comment: new one}}
  - authorized_key: {{user: '{{{{ user }}}}', path: '{{{{ root }}}}/ssh/keys', key: ssh-rsa CCCC anybody, state: absent}}
  - assert: {{that: out.keyfile == root + '/ssh/keys' and not out.exclusive}}
",
        me()
    );
    let before = bench.snapshot();
    assert_eq!(letters(&bench.dry_run(&tasks)), "ccco");
    assert_eq!(before, bench.snapshot());
    let report = bench.run(&tasks);
    assert_eq!(letters(&report), "ccco", "{}", last_message(&report));
    assert_eq!(
        bench.read("ssh/keys"),
        "# by hand\nssh-ed25519 AAAA me\nfrom=\"a,b\",no-pty ssh-rsa BBBB new one\n"
    );
    let mode = |name: &str| fs::metadata(bench.path(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("ssh/keys"), mode("ssh")), (0o600, 0o700));
    let only = tasks.lines().take(3).collect::<Vec<_>>().join("\n")
        + "\n  - authorized_key: {user: '{{ user }}', path: '{{ root }}/ssh/keys', key: ssh-rsa DDDD x, exclusive: true}\n";
    let report = bench.run(&only);
    assert_eq!(letters(&report), "cc", "{}", last_message(&report));
    assert_eq!(bench.read("ssh/keys"), "ssh-rsa DDDD x\n");
}

#[test]
fn a_directory_of_somebody_else_is_not_given_to_the_user_of_a_key() {
    if !geteuid().is_root() {
        return crate::skip::skipped("only root could give a directory away");
    }
    let bench = Bench::new();
    let task = |more: &str| {
        format!(
            "tasks: [{{authorized_key: {{user: daemon, path: '{{{{ root }}}}/keys', key: ssh-rsa AAAA{more}}}}}]"
        )
    };
    let report = bench.run(&task(""));
    assert!(last_message(&report).contains("not to `daemon`"), "{}", last_message(&report));
    let report = bench.run(&task(", manage_dir: false"));
    assert_eq!(letters(&report), "c", "{}", last_message(&report));
}

#[test]
fn a_host_is_known_by_the_key_that_ssh_finds_for_it() {
    let bench = Bench::new();
    let key = "AAAAC3NzaC1lZDI1NTE5AAAAIIzlnSq5ESxLgW0avvPk3j7zLV59hcAPkxrMNdnZMKP2";
    fs::write(bench.path("known"), "# note\n*.example.org ssh-rsa AAAA\nb ssh-rsa CCCC").unwrap();
    let tasks = format!(
        "tasks:
  - known_hosts: {{path: '{{{{ root }}}}/known', name: Git.Example.COM, key: 'git.example.com ssh-ed25519 {key}', hash_host: true}}
    register: out
  - known_hosts: {{path: '{{{{ root }}}}/known', name: '[git.example.com]:2222', key: '[git.example.com]:2222 ssh-ed25519 {key}'}}
  - known_hosts: {{path: '{{{{ root }}}}/known', name: b, state: absent}}
  - known_hosts: {{path: '{{{{ root }}}}/new', name: c, key: c ssh-rsa AAAA}}
  - known_hosts: {{path: '{{{{ root }}}}/nowhere', name: c, state: absent}}
  - assert: {{that: out.diff.before_header == root + '/known' and out.diff.after.startswith(out.diff.before)}}
"
    );
    let before = bench.snapshot();
    let foretold = bench.dry_run(&tasks);
    assert_eq!(letters(&foretold), "ccccoo", "{}", last_message(&foretold));
    assert_eq!(before, bench.snapshot());
    let report = bench.run(&tasks);
    assert_eq!(letters(&report), "ccccoo", "{}", last_message(&report));
    for (foretold, done) in foretold.tasks.iter().zip(&report.tasks) {
        assert_eq!(foretold.changes, done.changes, "hashed names are foretold too");
    }
    let text = bench.read("known");
    assert!(text.starts_with("# note\n*.example.org ssh-rsa AAAA\n|1|"), "{text}");
    assert!(!text.contains("\ngit.example.com") && !text.contains("CCCC"), "{text}");
    assert_eq!(bench.read("new"), "c ssh-rsa AAAA\n");
    if has("ssh-keygen") {
        let find = |host: &str| {
            let mut command = Command::new("ssh-keygen");
            let command = command.args(["-F", host, "-f"]).arg(bench.path("known"));
            command.output().unwrap().status.success()
        };
        assert!(find("git.example.com") && find("[git.example.com]:2222"));
        assert!(!find("git.example.net"));
    }
    assert_eq!(letters(&bench.run(&tasks)), "oooooo", "a second run");
}

#[test]
fn a_rule_of_sudo_is_a_file_of_its_own_that_visudo_has_found_right() {
    let bench = Bench::new();
    fs::create_dir(bench.path("d")).unwrap();
    let rule = |name: &str, more: &str| {
        format!("  - sudoers: {{name: {name}, sudoers_path: '{{{{ root }}}}/d', {more}}}\n")
    };
    let tasks = "tasks:\n".to_owned()
        + &rule("a", "user: backup, commands: /usr/local/bin/backup")
        + &rule(
            "b",
            "group: ops, commands: [/bin/x y, ALL], nopassword: false, runas: 'www:www', host: web",
        )
        + &rule("c", "user: u, commands: ALL, noexec: true, setenv: true, defaults: ['!targetpw']")
        + &rule("gone", "state: absent");
    fs::write(bench.path("d/gone"), "x ALL=(ALL) ALL\n").unwrap();
    let before = bench.snapshot();
    assert_eq!(letters(&bench.dry_run(&tasks)), "cccc");
    assert_eq!(before, bench.snapshot());
    let report = bench.run(&tasks);
    assert_eq!(letters(&report), "cccc", "{}", last_message(&report));
    assert_eq!(letters(&bench.run(&tasks)), "oooo");
    assert_eq!(bench.read("d/a"), "backup ALL=NOPASSWD: /usr/local/bin/backup\n");
    assert_eq!(bench.read("d/b"), "%ops web=(www:www) /bin/x y, ALL\n");
    assert_eq!(bench.read("d/c"), "Defaults:u !targetpw\nu ALL=NOEXEC:NOPASSWD:SETENV: ALL\n");
    assert!(!bench.path("d/gone").exists());
    assert_eq!(fs::metadata(bench.path("d/a")).unwrap().permissions().mode() & 0o7777, 0o440);
    if has("visudo") {
        let wrong = "tasks:\n".to_owned() + &rule("wrong", "user: u, commands: not-a-path");
        for report in [bench.dry_run(&wrong), bench.run(&wrong)] {
            assert_eq!(letters(&report), "f");
            assert!(
                last_message(&report).contains("objects to the new content"),
                "{}",
                last_message(&report)
            );
        }
        assert!(!bench.path("d/wrong").exists());
    }
}

#[test]
fn what_is_wrong_with_an_account_is_said_before_a_run_and_shows_no_password() {
    let bench = Bench::new();
    for (task, expected) in [
        ("group: {name: g, non_unique: true}", "`non_unique` needs `gid`"),
        ("group: {name: g, gid: -1}", "`gid` is -1"),
        ("group: {name: g, gid: 4294967295}", "0 to 4294967294"),
        ("group: {name: g, gid_min: 1, local: true}", "`gid_min` or `local`, not both"),
        ("user: {name: u, comment: 'a:b'}", "`comment` holds ':'"),
        ("user: {name: u, home: here}", "the home `here` is not absolute"),
        ("user: {name: u, umask: '9'}", "octal digits are expected"),
        ("user: {name: u, umask: '077', local: true}", "`umask` or `local`, not both"),
        ("user: {name: u, expires: tomorrow}", "`expires` takes a number"),
        ("user: {name: u, seuser: x}", "`seuser` of `user` is not supported"),
        ("user: {name: u, password: 1234567}", "`password` takes text"),
        ("user: {name: u, password: \"12:34567\"}", "`password` holds a colon"),
        ("user: {name: u, update_password: never}", "one of `always`, `on_create`"),
        ("group: {name: 'a:b'}", "`name` holds ':'"),
        ("authorized_key: {user: u, key: nothing}", "`nothing` is no public SSH key"),
        (
            "authorized_key: {user: u, key: ssh-rsa A, comment: \"x\\ny\"}",
            "would begin another key",
        ),
        ("known_hosts: {name: a}", "needs its `key`"),
        ("known_hosts: {name: 'a,b', key: a ssh-rsa A}", "a single name is expected"),
        ("known_hosts: {name: a, key: b ssh-rsa A}", "is that of `b`, not of `a`"),
        ("known_hosts: {name: a, key: a ssh-rsa}", "`HOST KIND KEY`"),
        ("sudoers: {name: a, commands: ALL}", "needs one of `user`, `group`"),
        ("sudoers: {name: a, user: u}", "needs `commands`"),
        ("sudoers: {name: a/b, user: u, commands: ALL}", "the name of a file is expected"),
        ("sudoers: {name: a, user: \"u\\nroot\", commands: ALL}", "would begin another rule"),
        ("getent: {key: root}", "`getent` needs `database`"),
    ] {
        let (_, complaints) = bench.parse(&format!("tasks: [{{{task}}}]"));
        let said = complaints.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(said.contains(expected), "{task}: {said}");
        assert!(!said.contains("34567"), "{said}");
    }
}

#[test]
fn what_cannot_be_is_foretold_in_the_words_of_the_run() {
    let bench = Bench::new();
    for (task, expected) in [
        ("user: {name: '12'}", "nothing but digits"),
        ("user: {name: 'a b'}", "holds ' '"),
        ("user: {name: '-x'}", "begins with"),
        ("user: {name: abcdefghijklmnopqrstuvwxyz1234567}", "over 32 bytes"),
        ("user: {name: no-such-user, group: no-such-group}", "there is no group `no-such-group`"),
        ("user: {name: no-such-user, groups: [daemon, nope]}", "there is no group `nope`"),
        ("user: {name: no-such-user, uid: 0}", "is that of the user `root`"),
        ("group: {name: no-such-group, gid: 0}", "is that of the group `root`"),
        ("group: {name: no-such-group, gid_min: 0, gid_max: 0}", "no number from 0 to 0 is free"),
        ("group: {name: root, state: absent}", "primary group of the user `root`"),
        ("authorized_key: {user: no-such-user, key: ssh-rsa A}", "there is no user `no-such-user`"),
        ("getent: {database: passwd, key: no-such-user}", "has no `no-such-user`"),
        ("getent: {database: no-such-thing}", "knows no database"),
    ] {
        let report = bench.dry_run(&format!("tasks: [{{{task}}}]"));
        assert_eq!(letters(&report), "f", "{task}");
        assert!(last_message(&report).contains(expected), "{task}: {}", last_message(&report));
    }
}

#[test]
fn what_the_databases_say_is_a_variable_for_later_tasks() {
    let bench = Bench::new();
    let report = bench.run(
        "tasks:
  - getent: {database: passwd, key: root}
  - getent: {database: group, key: 0}
  - getent: {database: services, key: ssh}
  - getent: {database: passwd, key: no-such-user, fail_key: false}
    register: nobody
  - assert:
      that:
        - nobody.ansible_facts.getent_passwd['no-such-user'] is none
        - getent_group.root[1] == '0'
        - getent_services.ssh[0] == '22/tcp'
        - ansible_facts.getent_services.ssh[0] == '22/tcp' and 'getent_group' in ansible_facts
        - ansible_facts.os_family is defined and 'no-such-user' in ansible_facts.getent_passwd
",
    );
    assert_eq!(letters(&report), "ooooo", "{}", last_message(&report));
}

#[test]
fn a_job_is_in_a_table_once_with_the_times_that_it_has_now() {
    let bench = Bench::new();
    fs::write(bench.path("jobs"), "MAILTO=\"me\"\n5 4 * * * root by hand\n17 * * * * root found")
        .unwrap();
    let task = |name: &str, more: &str| {
        format!(
            "  - cron: {{name: {name}, user: root, cron_file: '{{{{ root }}}}/jobs', {more}}}\n"
        )
    };
    let first = "tasks:\n".to_owned()
        + &task("clean", "job: /bin/clean, minute: 0, hour: '2,14', weekday: mon-fri")
        + &task("found", "job: found, minute: 17")
        + &task("PATH", "env: true, job: '/bin:/usr/bin'")
        + &task("LANG", "env: true, value: C, insertafter: PATH")
        + &task("boot", "job: /bin/boot, special_time: reboot, disabled: true");
    let before = bench.snapshot();
    let foretold = bench.dry_run(&first);
    assert_eq!(letters(&foretold), "ccccc", "{}", last_message(&foretold));
    assert_eq!(before, bench.snapshot());
    let report = bench.run(&first);
    assert_eq!(letters(&report), "ccccc", "{}", last_message(&report));
    let shown = |report: &driftless::sinks::apply::report::Report| {
        report.tasks.iter().flat_map(|task| task.changes.clone()).collect::<Vec<_>>()
    };
    assert_eq!(shown(&foretold), shown(&report));
    assert_eq!(
        bench.read("jobs"),
        "PATH=\"/bin:/usr/bin\"\nLANG=\"C\"\nMAILTO=\"me\"\n5 4 * * * root by hand\n\
         #Ansible: found\n17 * * * * root found\n\
         #Ansible: clean\n0 2,14 * * mon-fri root /bin/clean\n\
         #Ansible: boot\n#@reboot root /bin/boot\n"
    );
    assert_eq!(letters(&bench.run(&first)), "ooooo");
    let then = "tasks:\n".to_owned()
        + &task("clean", "job: /bin/clean, special_time: daily, backup: true")
        + &task("boot", "state: absent")
        + &task("LANG", "env: true, state: absent")
        + "    register: out\n"
        + "  - assert: {that: \"out.jobs == ['found', 'clean'] and out.envs == ['PATH', 'MAILTO']\"}\n";
    let report = bench.run(&then);
    assert_eq!(letters(&report), "ccco", "{}", last_message(&report));
    assert!(bench.read("jobs").ends_with("#Ansible: clean\n@daily root /bin/clean\n"));
    fs::write(bench.path("jobs"), "#Ansible: only\n1 1 1 1 1 root x\n").unwrap();
    let last = "tasks:\n".to_owned() + &task("only", "state: absent");
    assert_eq!(letters(&bench.run(&last)) + &letters(&bench.run(&last)), "co");
    assert!(!bench.path("jobs").exists(), "a file of jobs goes with the last");
    for (more, expected) in [
        ("job: x, minute: 60", "`minute` is `60`, and 0 to 59 is expected"),
        ("job: x, hour: 1, special_time: daily", "`special_time` or `hour`, not both"),
        ("minute: 1", "`cron` needs `job`"),
        ("job: \"x\\ny\"", "would begin another job"),
        ("job: x, insertafter: y", "for variables"),
    ] {
        let said = bench.parse(&("tasks:\n".to_owned() + &task("n", more))).1;
        assert!(said.iter().any(|it| it.to_string().contains(expected)), "{more}: {said:?}");
    }
}

#[test]
fn a_password_in_an_item_of_a_loop_is_seen_nowhere() {
    let bench = Bench::new();
    let report = bench.dry_run(
        "tasks:
  - user: {name: '{{ item.name }}', password: '{{ item.password }}', comment: 'its {{ item.password }}'}
    loop: [{name: no-such-user, password: $6$salt$bcdefgh}, {name: '1', password: $6$salt$ijklmno}]
    ignore_errors: true
",
    );
    let told = format!("{report:?}");
    assert!(told.contains("no-such-user") && told.contains("***"), "{told}");
    let labels: Vec<_> = report.tasks[0].items.iter().map(|item| item.label.as_str()).collect();
    assert!(
        labels.iter().all(|label| label.contains("***") && !label.contains("$6$")),
        "{labels:?}"
    );
}
