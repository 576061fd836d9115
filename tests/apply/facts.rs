//! What tasks tell of mounts and services, held against Ansible's own modules.

use crate::accounts::{said_in_root_with, tasks};
use crate::fetched::fetched;
use serde_json::Value;

/// A host on which systemd is said to be at work. It is not: what it would say is on record.
const SYSTEMD: &str = r#"
    mkdir -p /run/systemd/system
    rm -f /usr/bin/systemctl /bin/systemctl /usr/sbin/service
    cat >/usr/sbin/service <<'END'
#!/bin/sh
[ "$*" = --status-all ] || exit 9
printf ' [ + ]  cron\n [ - ]  rsync\n [ ? ]  hwclock.sh\n'
END
    cat >/usr/bin/systemctl <<'END'
#!/bin/sh
case "$*" in
    'list-units --no-pager --type service --all --plain') cat <<'SAID'
  UNIT                    LOAD      ACTIVE   SUB     DESCRIPTION
  cron.service            loaded    active   running Regular background program processing daemon
  dbus.service            loaded    active   running D-Bus System Message Bus
  broken.service          loaded    failed   failed  Something that failed
  gone.service            not-found inactive dead    gone.service
  apt-daily.service       loaded    inactive dead    Daily apt download activities

LOAD   = Reflects whether the unit definition was properly loaded.
5 loaded units listed.
SAID
    ;;
    'list-unit-files --no-pager --type service --all') cat <<'SAID'
UNIT FILE                    STATE           PRESET
apt-daily.service            static          -
autovt@.service              alias           -
broken.service               enabled         enabled
cron.service                 enabled         enabled
rsync.service                disabled        enabled

5 unit files listed.
SAID
    ;;
    'show rsync.service --property=ActiveState') echo ActiveState=inactive ;;
    'show autovt@.service --property=ActiveState') exit 1 ;;
    'show --property=Id,ActiveState -- rsync.service') printf 'Id=rsync.service\nActiveState=inactive\n' ;;
    *) exit 9 ;;
esac
END
    chmod 755 /usr/bin/systemctl /usr/sbin/service
"#;

/// Runs a task, and Ansible's module of that name; the facts of both.
fn told(prepare: &str, module: &str, args: &str) -> Option<[Value; 2]> {
    let ansible = fetched("ansible", "ansible/modules/mount_facts.py")?;
    let ansible = ansible.ancestors().nth(2)?;
    let list = format!(
        "  - {module}: {args}
    register: told
  - copy: {{dest: /srv/ours, content: '{{{{ told.ansible_facts | to_json }}}}'}}
"
    );
    let script = format!(
        r#"{prepare}{}/share/driftless apply /srv/config >&2
        cat /srv/ours; echo
        export PYTHONPATH=/share
        printf '{{"ANSIBLE_MODULE_ARGS": %s}}' '{args}' | python3 -W ignore -m ansible.modules.{module}"#,
        tasks(&list)
    );
    let said = said_in_root_with(&script, &[ansible])?;
    let (ours, theirs) = said.split_once('\n').unwrap();
    let theirs: Value = serde_json::from_str(theirs.trim()).unwrap();
    Some([serde_json::from_str(ours).unwrap(), theirs["ansible_facts"].clone()])
}

#[test]
fn services_are_told_as_ansible_tells_them() {
    let Some([ours, theirs]) = told(SYSTEMD, "service_facts", "{}") else { return };
    assert_eq!(ours, theirs);
    assert_eq!(ours["services"]["gone.service"]["status"], "not-found");
    assert_eq!(ours["services"]["rsync.service"]["state"], "inactive");
}

#[test]
fn mounts_are_told_as_ansible_tells_them() {
    let table = "
        # may mount
        printf '# disks\\nUUID=12-34 /boot ext4 ro 0\\ntmpfs /srv/two\\\\040words tmpfs size=64k 0 2\\n' >/etc/fstab
        mkdir '/srv/two words'
        mount -t tmpfs -o size=64k,nr_inodes=10 tmpfs '/srv/two words'
        mount -t tmpfs -o size=128k,nr_inodes=20 tmpfs '/srv/two words'
        ln -sf /proc/self/mounts /etc/mtab
    ";
    // What `mount` says of a path with blanks, Ansible does not understand at all.
    let plain = "
        # may mount
        mkdir /srv/plain
        mount -t tmpfs -o size=64k,nr_inodes=10 tmpfs /srv/plain
    ";
    for (table, args, point) in [
        (table, r#"{"sources": ["static"]}"#, "/srv/two words"),
        (table, r#"{"devices": ["tm*"], "include_aggregate_mounts": true}"#, "/srv/two words"),
        (plain, r#"{"sources": ["mount"], "fstypes": ["tmpfs", "ext*"]}"#, "/run"),
    ] {
        let Some([mut ours, mut theirs]) = told(table, "mount_facts", args) else { return };
        // What is free of the file systems that hold the facts themselves changes in between.
        for facts in [&mut ours, &mut theirs] {
            let settled = |one: &mut Value| {
                let fields = one.as_object_mut().unwrap();
                fields.retain(|name, _| !name.ends_with("_used") && !name.ends_with("_available"));
            };
            facts["mount_points"].as_object_mut().unwrap().values_mut().for_each(settled);
            facts["aggregate_mounts"].as_array_mut().unwrap().iter_mut().for_each(settled);
        }
        assert_eq!(ours, theirs, "{args}");
        assert_eq!(ours["mount_points"][point]["fstype"], "tmpfs", "{args}: {ours:#}");
    }
}
