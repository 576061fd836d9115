//! The examples that change a system, run in roots to throw away.

use crate::throwaway;
use std::fs;
use std::path::Path;

/// Runs an example, which is in `/share` of the root.
fn run_in_root(name: &str, script: &str) {
    let share = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("config-examples").join(name);
    fs::copy(example.join("apply.yml"), share.path().join("apply.yml")).unwrap();
    fs::write(share.path().join("agent.yml"), "data_dir: /srv/data\n").unwrap();
    fs::copy(env!("CARGO_BIN_EXE_driftless"), share.path().join("driftless")).unwrap();
    let Some(output) = throwaway::run(script, share.path()) else { return };
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
}

#[test]
fn apply_kernel_sets_mounts_and_limits_as_it_foretells_and_a_second_run_changes_nothing() {
    // The kernel's own settings are those of this machine: a directory stands in for them.
    let script = r#"
        # may mount
        mkdir -p /run/net/ipv4/conf/all /etc/sysctl.d /etc/security /etc/logrotate.d /etc/rsyslog.d
        echo 0 >/run/net/ipv4/conf/all/rp_filter; echo 1 >/run/net/ipv4/conf/all/accept_redirects
        mount --bind /run/net /proc/sys/net
        rm -f /etc/security/limits.conf; printf '# disks\n' >/etc/fstab
        look() {
            stat --format '%n %i %s %Y' /etc/fstab /etc/sysctl.d/60-site.conf /etc/security/limits.conf \
                /etc/logrotate.d/site /etc/rsyslog.d/30-site.conf /etc/systemd/journald.conf.d/driftless.conf
        }
        code=0; /share/driftless apply /share --dry-run >/tmp/dry || code=$?
        [ $code = 2 ] || { cat /tmp/dry; exit 1; }
        grep -q 'rp_filter: 0 → 1' /tmp/dry
        grep -q 'mount /srv/cache: not mounted → tmpfs as tmpfs' /tmp/dry
        [ ! -e /srv/cache ]
        /share/driftless apply /share --yes
        [ "$(cat /proc/sys/net/ipv4/conf/all/rp_filter /proc/sys/net/ipv4/conf/all/accept_redirects)" = '1
0' ]
        grep -q ' /srv/cache tmpfs rw,nosuid,nodev,noexec' /proc/self/mounts
        grep -qx 'tmpfs /var/tmp/build tmpfs defaults,noauto 0 0' /etc/fstab
        after=$(look)
        /share/driftless apply /share --yes
        [ "$after" = "$(look)" ]
    "#;
    run_in_root("apply-kernel", script);
}

#[test]
fn apply_firewall_loads_its_table_and_a_second_run_changes_nothing() {
    let script = r#"
        # may mount
        nft list ruleset 2>/dev/null && ip link add probe type bridge || exit 0
        nft add table inet old_site
        code=0; /share/driftless apply /share --dry-run >/tmp/dry || code=$?
        [ $code = 2 ] || { cat /tmp/dry; exit 1; }
        [ "$(nft list ruleset)" = 'table inet old_site {
}' ]
        /share/driftless apply /share --yes
        nft list table inet site | grep 'tcp dport { 22, 80, 443 } accept'
        [ -z "$(nft list tables | grep old_site)" ]
        ip -br address show site0 | grep 192.0.2.1/24
        /share/driftless apply /share --yes >/tmp/again
        grep -q '3 ok' /tmp/again || { cat /tmp/again; exit 1; }
    "#;
    run_in_root("apply-firewall", script);
}
