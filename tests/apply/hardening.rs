//! The list of tasks that a host is hardened with, from a root that nobody has hardened to one where
//! nothing is left to do.

use crate::accounts::{APPLY, reports, said_in_root_with};
use crate::installed::has;
use std::path::Path;

/// What the list installs, as far as nothing of it can be fetched here: packages with their units, and
/// an `sshd` that looks at nothing but the form of its settings.
const STOCK: &str = r#"
    # may mount
    mkdir -p /srv/repo; cd /srv/repo
    package() {
        mkdir -p p/DEBIAN p/lib/systemd/system p/usr/sbin p/usr/share/$1
        touch p/usr/share/$1/here
        printf 'Package: %s\nVersion: 99\nArchitecture: all\nMaintainer: t <t@t>\nDescription: t\n' $1 >p/DEBIAN/control
        [ -z "${2-}" ] || printf '[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n' >p/lib/systemd/system/$2.service
        case $1 in openssh-server)
            mkdir -p p/etc/ssh
            echo 'PermitRootLogin yes' >p/etc/ssh/sshd_config
            printf '#!/bin/sh\n[ "$1 $2" = "-t -f" ] || exit 9\n! grep -Ev "^(#|$|[A-Za-z0-9]+ [^ ])" "$3" >&2\n' >p/usr/sbin/sshd
            chmod 755 p/usr/sbin/sshd;;
        esac
        dpkg-deb --root-owner-group -Znone -b p $1.deb >/dev/null
        rm -r p
    }
    package auditd auditd; package chrony chrony; package cron cron; package openssh-server ssh
    package nftables nftables; package libpam-pwquality; package sudo; package unattended-upgrades
    for file in *.deb; do
        dpkg-deb -f $file
        printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' $file $(stat -c %s $file) $(sha256sum $file | cut -d' ' -f1)
    done >Packages
    rm -rf /etc/apt/sources.list.d /etc/apt/preferences.d /etc/apt/apt.conf.d /var/lib/apt/lists
    mkdir -p /var/lib/apt/lists/partial /etc/apt/apt.conf.d /etc/apt/sources.list.d
    echo 'deb [trusted=yes] file:/srv/repo ./' >/etc/apt/sources.list
    apt-get -q update >&2
    # A host has these, and a bare root may not.
    mkdir -p /etc/audit/rules.d /etc/cron.hourly /etc/logrotate.d /etc/apt/preferences.d /etc/ssh /var/log/audit /run/sshd
    touch /etc/crontab /etc/hosts /etc/cron.deny
    echo '# no file systems' >/etc/fstab
    mkdir -p /etc/sysctl.d /etc/modprobe.d
    # The kernel's own settings are those of this machine, and not to be written to.
    for name in fs/{protected_{fifos,hardlinks,regular,symlinks},suid_dumpable} \
        kernel/{dmesg_restrict,kptr_restrict,randomize_va_space} \
        net/ipv4/conf/all/{accept_redirects,accept_source_route,log_martians,rp_filter,send_redirects} \
        net/ipv4/{icmp_echo_ignore_broadcasts,tcp_syncookies}; do
        mkdir -p /run/settings/${name%/*}
        echo 9 >/run/settings/$name
        mount --bind /run/settings/$name /proc/sys/$name
    done
    useradd --create-home guest
    rm -f /etc/ssh/ssh_host_*
    ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
    chmod 644 /etc/ssh/ssh_host_ed25519_key
    cd /srv/config
    look() { find /etc /home /root /var/lib/dpkg /var/log /var/cache/debconf -printf '%p %i %m %U:%G %s %T@ %l\n' | sort; }
"#;

#[test]
fn a_host_that_nobody_has_hardened_becomes_one_where_nothing_is_left_to_do() {
    if !["apt-get", "debconf-set-selections", "nft", "visudo", "useradd", "ssh-keygen"]
        .into_iter()
        .all(has)
    {
        return;
    }
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("config-examples/hardening");
    let script = format!(
        "cp -r /share/hardening/* /srv/config/
        {STOCK} {APPLY}
        look >/tmp/before
        /share/driftless apply /srv/config --dry-run --output json | sed s/^/DRY\\ / || true
        look | diff /tmp/before - >&2
        /share/driftless apply /srv/config --output json | sed s/^/RUN\\ / || true
        look >/tmp/after
        for program in apt-get dpkg dpkg-query debconf-set-selections getent mount systemctl umount unshare useradd visudo; do
            for directory in /usr/bin /usr/sbin; do
                [ ! -e $directory/$program ] || printf '#!/bin/sh\\necho $0 >>/srv/started\\nexit 1\\n' >$directory/$program
            done
        done
        # What the kernel filters only this one tells; that is asked for once.
        nft=$(readlink -f $(command -v nft)); mv $nft $nft.real
        printf '#!/bin/sh\\necho nft >>/srv/asked\\nexec %s.real \"$@\"\\n' $nft >$nft; chmod 755 $nft
        TIMEFORMAT='CPU %U %S'; {{ time again; }} 2>&1
        look | diff /tmp/after - >&2
        echo STARTED; cat /srv/started 2>/dev/null || true
        cat /srv/asked"
    );
    let Some(said) = said_in_root_with(&script, &[&example]) else { return };
    // Shown by `--nocapture`: user and system seconds of the run that has nothing left to do.
    said.lines().filter(|line| line.starts_with("CPU ")).for_each(|line| println!("{line}"));
    let [dry, run, again] =
        ["DRY", "RUN", "AGAIN"].map(|kind| reports(&said, kind).collect::<Vec<_>>());
    let mut wrong = String::new();
    for report in &run {
        if report["status"] == "failed" {
            wrong += &format!("{report:#}\n");
        }
    }
    for report in &again {
        if !["ok", "skipped"].contains(&report["status"].as_str().unwrap()) {
            wrong += &format!("again: {report:#}\n");
        }
    }
    for (dry, run) in dry.iter().zip(&run) {
        if dry["status"] != "unknown" && dry != run {
            wrong += &format!("foretold: {dry:#}\ndone: {run:#}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(run.len() > 75 && again.len() > 75, "{} tasks", run.len());
    assert_eq!(said.split("STARTED\n").nth(1), Some("nft\n"));
}
