//! Settings and modules of the kernel, limits of users, mounts: tasks in roots to throw away.

use crate::accounts::{APPLY, reports, said_in_root, tasks};

/// Stands in for `modprobe`, which would change the kernel of this machine: it keeps a list of what is
/// loaded where the kernel's own list would be, which a mount hides.
const MODULES: &str = r#"
    # may mount
    printf 'loop 1 0 - Live 0x0\n' >/run/modules
    : >/run/calls
    mkdir /run/proc
    mount --bind /proc /run/proc
    mount -t tmpfs tmpfs /proc
    for name in /run/proc/*; do ln -s $name /proc/; done
    rm -f /proc/modules
    ln -s /run/modules /proc/modules
    rm -f /sbin/modprobe /usr/sbin/modprobe
    cat >/usr/sbin/modprobe <<'END'
#!/bin/sh
[ "$1" = -n ] || echo "$*" >>/run/calls
case "$*" in
    '-n br_netfilter' | '-n dummy numdummies=2') ;;
    '-n no_such') echo 'modprobe: FATAL: Module no_such not found.' >&2; exit 1 ;;
    br_netfilter) echo 'br_netfilter 1 0 - Live 0x0' >>/run/modules ;;
    'dummy numdummies=2') echo 'dummy 1 0 - Live 0x0' >>/run/modules ;;
    '-r loop') grep -v '^loop ' /run/modules >/run/rest; cat /run/rest >/run/modules ;;
    *) exit 9 ;;
esac
END
    chmod 755 /usr/sbin/modprobe
    mkdir -p /etc/modules-load.d /etc/modprobe.d
    printf '# by hand\nloop\n' >/etc/modules-load.d/mine.conf
    printf 'options loop max_loop=8\n' >/etc/modprobe.d/mine.conf
"#;

/// What the tasks of a kind of run came to: status and changes.
pub(super) fn outcomes(said: &str, kind: &str) -> Vec<(String, serde_json::Value)> {
    let status = |it: &serde_json::Value| it["status"].as_str().unwrap().to_owned();
    reports(said, kind).map(|it| (status(&it), it["changes"].clone())).collect()
}

/// Runs the tasks dry, for good and again; what the runs were like, and what else was said.
pub(super) fn converged(prepare: &str, list: &str, look: &str) -> Option<String> {
    let script = format!("{prepare}{APPLY}{}apply\nagain\n{look}\n", tasks(list));
    let said = said_in_root(&script)?;
    let run = outcomes(&said, "RUN");
    assert_eq!(outcomes(&said, "DRY"), run, "foretold");
    for (at, (status, changes)) in run.iter().enumerate() {
        assert_ne!(status, "failed", "task {at}: {said}");
        assert!(changes.as_array().is_some_and(|it| status == "ok" || !it.is_empty()), "{said}");
    }
    let again = outcomes(&said, "AGAIN");
    assert_eq!(again.len(), run.len());
    assert!(again.iter().all(|(status, _)| status == "ok"), "a second run: {said}");
    let rest = said
        .lines()
        .filter(|line| !["DRY ", "RUN ", "AGAIN "].iter().any(|it| line.starts_with(it)));
    Some(rest.map(|line| format!("{line}\n")).collect())
}

#[test]
fn modules_are_loaded_and_named_for_each_start_as_foretold_and_only_once() {
    let list = "  - modprobe: {name: br-netfilter, persistent: present}
  - community.general.modprobe: {name: dummy, params: numdummies=2, persistent: present}
  - modprobe: {name: loop, state: absent, persistent: absent}
";
    let list = list.replace("br-netfilter", "br_netfilter");
    let look = "cat /proc/modules /run/calls; cd /etc; head modules-load.d/{br_netfilter,dummy,mine}.conf modprobe.d/{dummy,mine}.conf";
    let Some(said) = converged(MODULES, &list, look) else { return };
    insta::assert_snapshot!(said);
}

#[test]
fn a_module_that_there_is_not_fails_dry_and_for_good() {
    let list = tasks("  - modprobe: {name: no_such}\n");
    let Some(said) = said_in_root(&format!("{MODULES}{APPLY}{list}apply\n")) else { return };
    for kind in ["DRY", "RUN"] {
        let task = reports(&said, kind).next().unwrap();
        let message = task["message"].as_str().unwrap();
        assert_eq!(
            message,
            "the module `no_such` cannot be loaded: modprobe: FATAL: Module no_such not found."
        );
    }
}

#[test]
fn a_setting_is_written_down_where_the_kernel_has_it_and_foretold_to_fail_where_it_cannot_be_set() {
    let list = "  - sysctl: {name: kernel.ostype, value: Linux, sysctl_file: /etc/sysctl.d/50-own.conf}
  - ansible.posix.sysctl: {key: kernel/pid_max, val: 1, reload: false}
  - sysctl: {name: kernel.threads-max, state: absent}
  - pam_limits: {domain: '@ops', limit_type: '-', limit_item: nofile, value: 65536}
  - pam_limits: {domain: '*', limit_type: hard, limit_item: core, value: 0, dest: /etc/security/limits.d/core.conf}
";
    let prepare = r"
        mkdir -p /etc/sysctl.d /etc/security/limits.d
        printf '# threads\nkernel.threads-max = 5\n' >/etc/sysctl.conf
        printf '# limits\n' >/etc/security/limits.conf
    ";
    let look = "cat /etc/sysctl.conf /etc/sysctl.d/50-own.conf /etc/security/limits.conf /etc/security/limits.d/core.conf";
    let Some(said) = converged(prepare, list, look) else { return };
    let expected = "# threads\nkernel/pid_max=1\nkernel.ostype=Linux\n# limits\n@ops\t-\tnofile\t65536\n*\thard\tcore\t0\n";
    assert_eq!(said, expected);
    let list = tasks("  - sysctl: {name: kernel.panic, value: 77}\n");
    let Some(said) =
        said_in_root(&format!("{APPLY}{list}apply\n[ $(cat /proc/sys/kernel/panic) != 77 ]\n"))
    else {
        return;
    };
    for kind in ["DRY", "RUN"] {
        let task = reports(&said, kind).next().unwrap();
        assert!(task["message"].as_str().unwrap().contains("read-only file system"), "{task}");
    }
}

/// A table of mounts, and what is in it and mounted.
const MOUNTS: &str = r"
    # may mount
    printf '# disks\nproc /proc proc defaults 0 0\ntmpfs /srv/old tmpfs size=64k 0 0 # old\n' >/etc/fstab
    mkdir -p /srv/old /srv/data /srv/plain
    mount -t tmpfs -o size=64k tmpfs /srv/old
    echo data >/srv/data/file
    mounted() { grep -o ' /srv/[^ ]* .*' /proc/self/mounts | sed 's/^ //; s/,inode64//; s/ 0 0$//'; }
";

#[test]
fn file_systems_are_mounted_and_unmounted_as_foretold_and_only_once() {
    let list = "  - mount: {path: /srv/new/cache, src: tmpfs, fstype: tmpfs, opts: 'size=128k,nosuid', state: mounted}
  - mount: {path: /srv/bound, src: /srv/data, fstype: none, opts: bind, state: mounted}
  - mount: {path: /srv/old, state: absent}
  - mount: {path: /srv/later, src: tmpfs, fstype: tmpfs, boot: false, state: present}
  - mount: {name: /srv/now, src: tmpfs, fstype: tmpfs, opts: size=256k, state: ephemeral}
  - mount: {name: /srv/nowbound/, src: /srv/data, fstype: none, opts: bind, state: ephemeral}
";
    let look = "cat /etc/fstab; mounted; cat /srv/bound/file /srv/nowbound/file; ls -d /srv/*";
    let Some(said) = converged(MOUNTS, list, look) else { return };
    insta::assert_snapshot!(said);
}

#[test]
fn options_of_a_mount_are_changed_and_unmounting_leaves_the_table() {
    let list = "  - mount: {path: /srv/old, src: tmpfs, fstype: tmpfs, opts: 'size=192k,noexec', state: mounted}
  - mount: {path: /srv/bound, src: /srv/data, fstype: none, opts: bind, state: mounted}
  - mount: {path: /srv/bound, state: unmounted}
  - mount: {path: /proc, state: absent_from_fstab}
";
    // A bind mount that is mounted and then not is one change each time, of course.
    let script = format!(
        "{MOUNTS}{APPLY}{}apply\ncat /etc/fstab; mounted\nmount -o remount,exec /srv/old\nagain\nmounted\n",
        tasks(list)
    );
    let Some(said) = said_in_root(&script) else { return };
    assert_eq!(outcomes(&said, "DRY"), outcomes(&said, "RUN"), "foretold");
    let again: Vec<String> = outcomes(&said, "AGAIN").into_iter().map(|it| it.0).collect();
    assert_eq!(again, ["changed", "changed", "changed", "ok"], "{said}");
    let rest: Vec<&str> = said.lines().filter(|line| !line.contains('{')).collect();
    insta::assert_snapshot!(rest.join("\n"));
}

#[test]
fn what_cannot_be_mounted_leaves_table_and_directories_as_they_were() {
    let list = "  - mount: {path: /srv/a/b, src: /dev/none, fstype: ext4, state: mounted}
    ignore_errors: true
  - mount: {path: /srv/a/b, src: tmpfs, fstype: nosuchfs, state: mounted}
    ignore_errors: true
  - block:
      - rollback: true
        block:
          - mount: {path: /srv/a/b, src: tmpfs, fstype: tmpfs, opts: size=64k, state: mounted}
          - fail: {msg: no}
    rescue: [{debug: {msg: all is as it was}}]
  - mount: {path: /srv/old, state: absent}
";
    let script = format!(
        "{MOUNTS}{APPLY}{}echo x >/srv/old/kept; umount /srv/old; echo y >/srv/old/under; apply\ncat /etc/fstab; ls -d /srv/*; mounted || true\n",
        tasks(list)
    );
    let Some(said) = said_in_root(&script) else { return };
    let messages: Vec<String> = reports(&said, "RUN")
        .map(|it| it["message"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(messages[0], "there is no /dev/none to be mounted at /srv/a/b");
    assert!(messages[1].contains("did not succeed"), "{said}");
    assert!(messages.last().unwrap().contains("/srv/old holds something, and stays"), "{said}");
    let rest: Vec<&str> = said.lines().filter(|line| !line.contains('{')).collect();
    assert_eq!(
        rest,
        [
            "# disks",
            "proc /proc proc defaults 0 0",
            "/srv/config",
            "/srv/data",
            "/srv/old",
            "/srv/plain"
        ],
        "{said}"
    );
}

#[test]
fn options_that_are_not_to_be_shown_are_shown_nowhere() {
    let list = "  - mount: {path: /srv/new, src: tmpfs, fstype: tmpfs, opts: 'size=128k,uid=1234', opts_no_log: true, state: mounted}
    register: done
  - debug: {var: done}
";
    let script = format!("{MOUNTS}{APPLY}{}apply\nmounted >&2\n", tasks(list));
    let Some(said) = said_in_root(&script) else { return };
    assert!(said.contains("***") && !said.contains("uid=1234"), "{said}");
}
