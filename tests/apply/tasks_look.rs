//! Tasks that look, wait and run: what they return.

use super::bench::{Bench, last_message, letters};
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};

/// Runs `text` (a list of tasks), all of which must do what they say.
fn hold(bench: &Bench, text: &str) -> String {
    let report = bench.run(&format!("tasks:\n{text}"));
    let failed = report.tasks.iter().find(|task| task.message.is_some());
    assert!(!letters(&report).contains('f'), "{failed:#?}");
    letters(&report)
}

#[test]
fn stat_returns_what_ansible_returns() {
    let bench = Bench::new();
    fs::write(bench.path("f"), "hello\n").unwrap();
    fs::set_permissions(bench.path("f"), fs::Permissions::from_mode(0o4750)).unwrap();
    symlink("f", bench.path("l")).unwrap();
    let tasks = "
  - stat: {path: '{{ root }}/f'}
    register: f
  - stat: {path: '{{ root }}/l', checksum_algorithm: sha256}
    register: l
  - stat: {path: '{{ root }}/l', follow: yes, checksum_algorithm: md5}
    register: lf
  - stat: path={{ root }}/none
    register: gone
  - stat: path={{ root }}
    register: dir
  - assert:
      that:
        - f.stat.exists and f.stat.isreg and not f.stat.islnk and not f.stat.isdir
        - f.stat.mode == '4750' and f.stat.isuid and not f.stat.isgid
        - f.stat.xusr and f.stat.rgrp and not f.stat.roth and not f.stat.wgrp
        - f.stat.size == 6 and f.stat.nlink == 1
        - f.stat.checksum == 'f572d396fae9206628714fb2ce00f72e94f2258f'
        - f.stat.mimetype == 'text/plain' and f.stat.charset == 'us-ascii'
        - f.stat.mtime > 1600000000 and f.stat.path == root + '/f'
        - f.stat.readable and f.stat.pw_name == 'root' or f.stat.uid != 0
        - l.stat.islnk and l.stat.lnk_target == 'f' and l.stat.lnk_source is match('/.*/f$')
        - l.stat.checksum is not defined
        - lf.stat.isreg and lf.stat.checksum == 'b1946ac92492d2347c6235b4d2611184'
        - not gone.stat.exists and gone.stat.mode is not defined
        - dir.stat.isdir and dir.stat.mimetype == 'inode/directory'
        - not f.changed
";
    assert_eq!(hold(&bench, tasks), "oooooo");
}

#[test]
fn slurp_fail_and_tempfile_return_what_ansible_returns() {
    let bench = Bench::new();
    fs::write(bench.path("f"), b"hi\xff").unwrap();
    let tasks = "
  - slurp: {src: '{{ root }}/f'}
    register: s
  - fail: {msg: 'no way'}
    register: f
    ignore_errors: yes
  - tempfile: {path: '{{ root }}', prefix: a., suffix: .b}
    register: t
  - tempfile: {path: '{{ root }}', state: directory}
    register: d
  - stat: {path: '{{ t.path }}'}
    register: ts
  - stat: {path: '{{ d.path }}'}
    register: ds
  - assert:
      that:
        - s.content == 'aGn/' and s.encoding == 'base64' and s.source == root + '/f'
        - f is failed and f.msg == 'no way'
        - t is changed and t.path is match(root + '/a[.].{8}[.]b$') and t.mode == '0600'
        - d.path is match(root + '/ansible[.]') and d.state == 'directory'
        - ts.stat.isreg and ts.stat.size == 0 and ds.stat.isdir and ds.stat.mode == '0700'
";
    let report = bench.run(&format!("tasks:\n{tasks}"));
    assert_eq!(letters(&report), "oiccooo", "{:?}", last_message(&report));
    let before = bench.snapshot();
    let report = bench.dry_run("tasks: [{tempfile: {path: '{{ root }}'}}]");
    assert_eq!((letters(&report).as_str(), before == bench.snapshot()), ("u", true));
}

#[test]
fn find_finds_by_name_type_age_size_mode_and_content() {
    let bench = Bench::new();
    fs::create_dir_all(bench.path("d/sub/deep")).unwrap();
    for (name, text) in [
        ("d/a.log", "error here\n"),
        ("d/b.txt", "x"),
        ("d/.h.log", ""),
        ("d/sub/c.log", "ok\n"),
        ("d/sub/deep/e.log", "1234567890"),
    ] {
        fs::write(bench.path(name), text).unwrap();
    }
    fs::set_permissions(bench.path("d/b.txt"), fs::Permissions::from_mode(0o600)).unwrap();
    symlink("a.log", bench.path("d/link")).unwrap();
    for (params, names) in [
        ("", "a.log b.txt"),
        ("patterns: '*.log'", "a.log"),
        ("patterns: '*.log,*.txt'", "a.log b.txt"),
        ("patterns: ['*.log'], hidden: yes", ".h.log a.log"),
        ("patterns: '^[ab]', use_regex: yes", "a.log b.txt"),
        ("recurse: yes, patterns: '*.log'", "a.log c.log e.log"),
        ("recurse: yes, patterns: '*.log', depth: 2", "a.log c.log"),
        ("recurse: yes, patterns: '*.log', excludes: 'a*'", "c.log e.log"),
        ("recurse: yes, file_type: directory", "deep sub"),
        ("file_type: link", "link"),
        ("file_type: any", "a.log b.txt link sub"),
        ("recurse: yes, size: 10", "a.log e.log"),
        ("recurse: yes, size: -1b", "b.txt"),
        ("age: 1h", ""),
        ("age: -1h", "a.log b.txt"),
        ("contains: '.*error'", "a.log"),
        ("contains: 'here'", ""),
        ("mode: '0600'", "b.txt"),
        ("recurse: yes, limit: 1", "a.log"),
    ] {
        let comma = if params.is_empty() { "" } else { ", " };
        let text = format!(
            "
  - find: {{paths: '{{{{ root }}}}/d'{comma}{params}}}
    register: out
  - assert:
      that: out.files | map(attribute='path') | map('basename') | sort | join(' ') == '{names}'
      fail_msg: \"{{{{ out.files | map(attribute='path') | list }}}}\"
  - assert: {{that: out.matched == out.files | length and out.examined > 0}}
"
        );
        let report = bench.run(&format!("tasks:\n{text}"));
        assert_eq!(letters(&report), "ooo", "{params}: {}", last_message(&report));
    }
    let text = "
  - find: {paths: ['{{ root }}/none', '{{ root }}/d'], patterns: 'a*', get_checksum: yes}
    register: out
  - assert:
      that:
        - out.skipped_paths[root + '/none'] is search('is not a directory')
        - out.files[0].checksum | length == 40 and out.files[0].isreg and out.files[0].size == 11
";
    hold(&bench, text);
}

#[test]
fn a_shell_a_script_and_raw_share_what_command_does() {
    let bench = Bench::new();
    fs::write(bench.base.path().join("files/s.sh"), "#!/bin/sh\necho \"$0|$1|$2\"; pwd\n").unwrap();
    let tasks = "
  - shell: echo $((1+1)) | tr 2 3; exit 0
    register: sh
  - shell: {cmd: 'cat; echo $0', stdin: fed, executable: /bin/bash, chdir: '{{ root }}'}
    register: bash
  - script: s.sh one 'two three' chdir={{ root }}
    register: script
  - raw: echo raw
    register: raw
  - shell: touch {{ root }}/made creates={{ root }}/mad*
  - shell: touch {{ root }}/made creates={{ root }}/mad*
    register: again
  - assert:
      that:
        - sh.stdout == '3' and sh.rc == 0 and sh.cmd is search('tr 2 3') and sh is changed
        - bash.stdout_lines == ['fed', '/bin/bash']
        - script.stdout_lines[0] is search('s.sh.one.two three')
        - script.stdout_lines[1] == root
        - raw.stdout == 'raw' and raw.start is not defined
        - again is not changed and again.rc == 0
";
    assert_eq!(hold(&bench, tasks), "cccccoo");
    let report = bench.run("tasks: [{shell: 'echo bad >&2; exit 3'}]");
    assert_eq!(last_message(&report), "exit status 3: bad");
}

#[test]
fn a_port_and_a_file_are_waited_for() {
    let bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            drop(stream.unwrap().write_all(b"SSH-2.0-test_9\n"));
        }
    });
    fs::write(bench.path("f"), "ready 42\n").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let tasks = format!(
        "
  - wait_for: {{port: {port}, search_regex: 'SSH-(\\d)', timeout: 20}}
    register: port
  - wait_for: {{path: '{{{{ root }}}}/f', search_regex: 'ready (?P<n>\\d+)', timeout: 20}}
    register: path
  - wait_for: {{port: {closed}, state: stopped, timeout: 20}}
  - wait_for: {{path: '{{{{ root }}}}/none', state: absent, timeout: 20}}
  - assert:
      that:
        - port.match_groups == ['2'] and port.state == 'started' and port.elapsed < 20
        - path.match_groupdict.n == '42'
"
    );
    assert_eq!(hold(&bench, &tasks), "ooooo");
    let report =
        bench.run("tasks: [{wait_for: {path: '{{ root }}/none', timeout: 0, sleep: 0.1}}]");
    assert!(last_message(&report).ends_with("/none is not there after 0 seconds"));
    let report = bench.dry_run("tasks: [{wait_for: {path: '{{ root }}/none'}}]");
    assert_eq!(letters(&report), "u");
}

#[test]
fn a_pause_ends_and_a_question_needs_a_terminal() {
    let bench = Bench::new();
    let tasks = "
  - pause: {seconds: 1, prompt: wait}
    register: p
  - assert: {that: [p.stdout is match('Paused for 1'), p.user_input == '', p.delta >= 1]}
";
    assert_eq!(hold(&bench, tasks), "oo");
    assert_eq!(letters(&bench.dry_run("tasks: [{pause: {minutes: 600}}]")), "o");
    assert_eq!(letters(&bench.dry_run("tasks: [{pause: {}}]")), "u");
}
