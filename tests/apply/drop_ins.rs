//! Files that other programs read, processes, attributes, swap and the end of it all: tasks in roots
//! to throw away.

use crate::accounts::{APPLY, reports, said_in_root, tasks};
use crate::installed::has;
use crate::kernel::converged;
use serde_json::Value;

/// The messages of the tasks of a kind of run.
fn messages(said: &str, kind: &str) -> Vec<String> {
    let message = |it: Value| it["message"].as_str().unwrap_or_default().to_owned();
    reports(said, kind).map(message).collect()
}

#[test]
fn files_for_logrotate_rsyslog_and_the_journal_are_written_once_and_go() {
    let list = r#"  - logrotate: {name: app, paths: [/var/log/app/*.log, "/var/log/my app.log"], options: [weekly, rotate 4, missingok], postrotate: "kill -HUP 1\n"}
  - rsyslog: {name: 30-app, content: "local5.* /var/log/app.log"}
  - rsyslog: {name: 31-input, content: "module(load=\"imuxsock\")"}
  - journald: {settings: {SystemMaxUse: 500M, Storage: persistent, Compress: yes}}
  - logrotate: {name: old, state: absent}
  - rsyslog: {name: old.conf, state: absent}
  - journald: {name: old, state: absent}
"#;
    let prepare = "
        # may mount
        mkdir -p /etc/logrotate.d /etc/rsyslog.d /etc/systemd/journald.conf.d
        touch /etc/logrotate.d/old /etc/rsyslog.d/old.conf /etc/systemd/journald.conf.d/old.conf
    ";
    let look = "
        cat /etc/logrotate.d/app /etc/rsyslog.d/30-app.conf /etc/rsyslog.d/31-input.conf
        cat /etc/systemd/journald.conf.d/driftless.conf
        [ ! -e /etc/logrotate.d/old ] && [ ! -e /etc/rsyslog.d/old.conf ]
        [ ! -e /etc/systemd/journald.conf.d/old.conf ]
    ";
    let Some(said) = converged(prepare, list, look) else { return };
    insta::assert_snapshot!(said);
}

#[test]
fn what_logrotate_and_rsyslog_object_to_is_not_written() {
    if !has("logrotate") || !has("rsyslogd") {
        return;
    }
    let list = r#"  - logrotate: {name: app, paths: [/var/log/app.log], options: [rotate many]}
    ignore_errors: true
  - rsyslog: {name: app, content: "locl5.* /var/log/app.log"}
    ignore_errors: true
"#;
    let script = format!(
        "# may mount\nmkdir -p /etc/logrotate.d /etc/rsyslog.d{APPLY}{}apply\nls /etc/logrotate.d/app /etc/rsyslog.d/app.conf 2>&1 || true\n",
        tasks(list)
    );
    let Some(said) = said_in_root(&script) else { return };
    for kind in ["DRY", "RUN"] {
        let told = messages(&said, kind);
        assert!(told[0].starts_with("logrotate objects: line 2 "), "{said}");
        assert_eq!(told[1], "rsyslog objects: unknown facility name \"locl5\"");
    }
    assert_eq!(said.matches("No such file").count(), 2, "{said}");
}

#[test]
fn processes_are_signalled_and_end_and_driftless_is_not_among_them() {
    if !has("kill") {
        return;
    }
    let list = "  - process: {pattern: 'sleep 7777', user: root}
  - process: {name: stubborn, timeout: 0.3}
    ignore_errors: true
  - process: {name: stubborn, timeout: 0.3, force: true}
  - process: {name: none_such, signal: HUP, state: signaled}
  - process: {name: watcher, signal: SIGUSR1, state: signaled}
  - process: {pattern: driftless}
";
    let script = format!(
        "cp /bin/bash /run/stubborn; cp /bin/bash /run/watcher
        sleep 7777 & sleep 7777 &
        /run/stubborn -c 'trap : TERM; while :; do sleep 0.05; done' >/dev/null 2>&1 & sleep 0.1
        /run/watcher -c 'trap \"echo told >/run/told\" USR1; while :; do sleep 0.05; done' >/dev/null 2>&1 & sleep 0.1
        {APPLY}{}/share/driftless apply /srv/config --dry-run --output json | sed s/^/DRY\\ / || true
        pgrep -c -x -f 'sleep 7777'
        /share/driftless apply /srv/config --output json | sed s/^/RUN\\ / || true
        pgrep -x -f 'sleep 7777' || echo gone; pgrep stubborn || echo gone
        for wait in $(seq 100); do [ -e /run/told ] && break; sleep 0.05; done; cat /run/told
        ",
        tasks(list)
    );
    let Some(said) = said_in_root(&script) else { return };
    let statuses = |kind| -> Vec<String> {
        reports(&said, kind).map(|it| it["status"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(statuses("RUN"), ["changed", "failed", "changed", "ok", "changed", "ok"], "{said}");
    assert!(messages(&said, "RUN")[1].ends_with("did not end"), "{said}");
    assert_eq!(statuses("DRY")[..1], ["changed"], "{said}");
    let rest: Vec<&str> = said.lines().filter(|line| !line.contains('{')).collect();
    assert_eq!(rest, ["2", "gone", "gone", "told"]);
}

#[test]
fn attributes_are_given_and_taken_and_keep_later_tasks_from_writing_as_foretold() {
    if !has("chattr") || !has("lsattr") {
        return;
    }
    let list = "  - copy: {dest: /srv/new, content: x}
  - chattr: {path: /srv/new, attributes: +i}
  - copy: {dest: /srv/new, content: y}
    ignore_errors: true
  - chattr: {path: /srv/new, attributes: -i}
  - chattr: {path: /srv/log, attributes: =a}
";
    let script = format!(
        "echo x >/srv/log; chattr +d /srv/log 2>/dev/null || {{ echo none; exit 0; }}
        {APPLY}{}apply\nlsattr /srv/log /srv/new | sed 's/-//g'",
        tasks(list)
    );
    let Some(said) = said_in_root(&script) else { return };
    if said == "none\n" {
        return; // not every file system has them
    }
    let all = |kind| reports(&said, kind).collect::<Vec<_>>();
    assert_eq!(all("DRY"), all("RUN"));
    let told = messages(&said, "RUN");
    assert_eq!(told[2], "/srv/new is immutable");
    let changes = &all("RUN")[4]["changes"][0]["summary"];
    assert_eq!(changes, "attributes of /srv/log: d → a");
    let rest: Vec<&str> = said.lines().filter(|line| !line.contains('{')).collect();
    assert_eq!(rest, ["a /srv/log", " /srv/new"]);
}

/// Stands in for the programs that would change this machine; each takes only what is expected.
const STUBS: &str = r#"
    : >/run/calls
    stub() { rm -f /sbin/$1 /usr/sbin/$1; { echo '#!/bin/sh'; cat; } >/usr/sbin/$1; chmod 755 /usr/sbin/$1; }
    stub shutdown <<'END'
echo "shutdown $*" >>/run/calls
case "$*" in '-r +1' | '-r +3 for a new kernel' | '-h +1' | -c) ;; *) exit 9 ;; esac
END
    stub swapon <<'END'
echo "swapon $*" >>/run/calls
[ "$*" = '-p 5 /srv/swap' ] || exit 9
[ "$(stat -c %a /srv/swap)" = 600 ] || exit 9
printf 'Filename Type Size Used Priority\n/srv/swap file 1024 0 5\n' >/run/swaps
END
    stub swapoff <<'END'
echo "swapoff $*" >>/run/calls
[ "$*" = /srv/swap ] || exit 9
echo 'Filename Type Size Used Priority' >/run/swaps
END
"#;

#[test]
fn the_host_goes_down_only_where_it_should_and_a_block_calls_that_off() {
    let list = "  - reboot: {only_if: /run/none}
  - block:
      - rollback: true
        block:
          - reboot: {pre_reboot_delay: 121, msg: for a new kernel}
          - fail: {msg: no}
    rescue: [{debug: {msg: called off}}]
  - community.general.shutdown:
";
    let list = list.replace("shutdown:\n", "shutdown: {}\n");
    let script = format!("{STUBS}{APPLY}{}apply\ncat /run/calls", tasks(&list));
    let Some(said) = said_in_root(&script) else { return };
    let all = |kind| reports(&said, kind).collect::<Vec<_>>();
    assert_eq!(all("DRY"), all("RUN"));
    assert_eq!(all("RUN")[0]["status"], "ok", "{said}");
    assert!(
        said.ends_with("shutdown -r +3 for a new kernel\nshutdown -c\nshutdown -h +1\n"),
        "{said}"
    );
}

#[test]
fn a_file_to_swap_to_is_made_used_resized_and_given_up_as_foretold() {
    if !["fallocate", "mkswap", "wipefs"].into_iter().all(has) {
        return;
    }
    // The kernel's own list of what it swaps to is hidden: it is the machine's.
    let prepare = format!(
        "# may mount{STUBS}
        mount -t tmpfs tmpfs /srv; mkdir /srv/config; cd /srv/config; echo 'data_dir: /srv/data' >agent.yml
        echo 'Filename Type Size Used Priority' >/run/swaps; mount --bind /run/swaps /proc/swaps
        printf '# swap\\n/srv/swap none swap defaults 0 0\\n' >/etc/fstab; rm /srv/swap 2>/dev/null || true
        "
    );
    let list = "  - swapfile: {path: /srv/swap, size: 1MiB, priority: 5}\n";
    let look = "cat /etc/fstab /run/calls; stat -c '%a %s' /srv/swap; head -c 4096 /srv/swap | tail -c 10; echo";
    let Some(said) = converged(&prepare, list, look) else { return };
    let expected = "# swap\n/srv/swap none swap sw,pri=5 0 0\nswapon -p 5 /srv/swap\n600 1048576\nSWAPSPACE2\n";
    assert_eq!(said, expected);
    let prepare = format!(
        "{prepare}fallocate -l 512K /srv/swap; mkswap -q /srv/swap; chmod 600 /srv/swap; swapon -p 5 /srv/swap\n"
    );
    let Some(said) = converged(&prepare, list, look) else { return };
    assert_eq!(
        said,
        expected.replace("swapon", "swapon -p 5 /srv/swap\nswapoff /srv/swap\nswapon")
    );
    let list = "  - swapfile: {path: /srv/swap, state: absent}\n";
    let Some(said) = converged(
        &prepare,
        list,
        "cat /etc/fstab; ls /srv/swap 2>&1 || true; tail -n 1 /run/calls",
    ) else {
        return;
    };
    assert_eq!(
        said,
        "# swap\nls: cannot access '/srv/swap': No such file or directory\nswapoff /srv/swap\n"
    );
}

#[test]
fn a_file_system_is_made_where_there_is_none_and_another_is_kept_without_force() {
    if !["mkfs.ext4", "mkfs.ext2", "blkid", "wipefs"].into_iter().all(has) {
        return;
    }
    let prepare = "truncate -s 2M /srv/one /srv/two /srv/three; mkfs.ext2 -q -F /srv/three\n";
    let list = "  - filesystem: {dev: /srv/one, fstype: ext4, opts: '-L data'}
  - community.general.filesystem: {device: /srv/two, type: ext2}
  - filesystem: {dev: /srv/three, state: absent}
  - filesystem: {dev: /srv/none, state: absent}
";
    let look = "blkid -p -o value -s TYPE /srv/one; blkid -p -o value -s LABEL /srv/one; blkid -p -o value -s TYPE /srv/two; blkid -p /srv/three || echo none";
    let Some(said) = converged(prepare, list, look) else { return };
    assert_eq!(said, "ext4\ndata\next2\nnone\n");
    let list = "  - filesystem: {dev: /srv/three, fstype: ext4}
    ignore_errors: true
  - filesystem: {dev: /srv/three, fstype: ext4, force: true}
  - filesystem: {dev: /srv/none, fstype: ext4}
    ignore_errors: true
";
    let script =
        format!("{prepare}{APPLY}{}apply\nblkid -p -o value -s TYPE /srv/three\n", tasks(list));
    let Some(said) = said_in_root(&script) else { return };
    for kind in ["DRY", "RUN"] {
        let told = messages(&said, kind);
        assert_eq!(told[0], "/srv/three holds ext2, and ext4 would replace it");
        assert_eq!(told[2], "there is no device or file /srv/none");
    }
    assert!(said.ends_with("\next4\n"), "{said}");
}
