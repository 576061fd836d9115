//! The units as systemd takes them, and the agent under a systemd that is the first process.

use crate::booted;
use crate::installed::has;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging")
}

#[test]
fn systemd_has_nothing_to_say_against_the_units() {
    if !has("systemd-analyze") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for name in ["driftless.service", "driftless-observe.service"] {
        let unit = fs::read_to_string(packaging().join(name)).unwrap();
        // Where the package puts the program, there is none here.
        let unit = unit.replace("/usr/bin/driftless", env!("CARGO_BIN_EXE_driftless"));
        fs::write(dir.path().join(name), unit).unwrap();
        let output = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(dir.path().join(name))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !said.contains(name), "{said}");
    }
}

/// Both agents in turn, each asked what systemd and it have to say.
const SCRIPT: &str = r#"
    export HOME=/root LANG=C.UTF-8
    ln -s /share/driftless /usr/bin/driftless
    cp /share/*.service /etc/systemd/system/
    mkdir -p /etc/driftless/config /srv
    (umask 077; echo 'a private line' >/srv/app.log)
    logs() { printf 'sources: {app: {type: file, include: [/srv/app.log]}}\nsinks: {out: {type: file, inputs: [app], path: %s}}\n' "$1" >/etc/driftless/config/topology.yml; }
    wait_for() { for _ in $(seq 1000); do "$@" && return; sleep 0.02; done; echo "not in time: $*"; systemctl status "$unit" || true; return 1; }
    mkdir -p /etc/systemd/system/driftless.service.d
    printf '[Service]\nWatchdogSec=1\n' >/etc/systemd/system/driftless.service.d/test.conf
    systemctl daemon-reload

    unit=driftless
    logs /srv/out.log
    printf 'interval: 1h\ntasks: [{name: motd, copy: {content: hello, dest: /srv/motd}}]\n' >/etc/driftless/config/apply.yml
    systemctl start driftless
    echo "STATE $(systemctl show -P ActiveState driftless), $(systemctl show -P StatusText driftless)"
    wait_for grep -q 'a private line' /srv/out.log
    wait_for grep -q hello /srv/motd
    driftless status >/dev/null && echo STATUS fine
    first=$(systemctl show -P WatchdogTimestampMonotonic driftless)
    alive() { [ "$(systemctl show -P WatchdogTimestampMonotonic driftless)" != "$first" ]; }
    wait_for alive && echo WATCHDOG fed
    systemctl reload driftless && echo RELOAD taken
    echo 'sinks: [' >/etc/driftless/config/topology.yml
    systemctl reload driftless 2>/dev/null || echo RELOAD refused
    echo "STATE $(systemctl show -P ActiveState driftless), $(systemctl show -P StatusText driftless)"
    logs /srv/out.log
    systemctl reload driftless && echo RELOAD taken
    driftless drain
    gone() { [ "$(systemctl show -P ActiveState driftless)" = inactive ]; }
    wait_for gone
    echo "END $(systemctl show -P Result driftless), $(systemctl show -P NRestarts driftless) restarts"

    unit=driftless-observe
    rm /etc/driftless/config/apply.yml
    rm -rf /var/lib/driftless
    echo 'driftless:x:4242:4242::/var/lib/driftless:/usr/sbin/nologin' >>/etc/passwd
    echo 'driftless:x:4242:' >>/etc/group
    logs /var/lib/driftless/out.log
    systemctl start driftless-observe || { systemctl status driftless-observe; exit 1; }
    wait_for grep -q 'a private line' /var/lib/driftless/out.log
    pid=$(systemctl show -P MainPID driftless-observe)
    echo "OBSERVE $(awk '/^Uid/ {print $2} /^CapEff/ {print $2} /^NoNewPrivs/ {print $2}' /proc/$pid/status | xargs)"
    stat -c 'SOCKET %U %a' /var/lib/driftless/control.sock
    systemctl reload driftless-observe && echo RELOAD taken
    systemctl stop driftless-observe
    echo "END $(systemctl show -P Result driftless-observe)"
"#;

#[test]
fn under_systemd_the_agent_is_ready_when_it_is_reloads_when_told_and_ends_in_order() {
    if !["systemctl", "setpriv"].into_iter().all(has) {
        return;
    }
    let share = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_driftless"));
    if fs::hard_link(program, share.path().join("driftless")).is_err() {
        fs::copy(program, share.path().join("driftless")).unwrap();
    }
    // Another user runs the program too.
    fs::set_permissions(share.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["driftless.service", "driftless-observe.service"] {
        fs::copy(packaging().join(name), share.path().join(name)).unwrap();
    }
    let Some(said) = booted::run(SCRIPT, share.path()) else { return };
    insta::assert_snapshot!(said, @"
    STATE active, running
    STATUS fine
    WATCHDOG fed
    RELOAD taken
    RELOAD refused
    STATE active, running; the last config was refused
    RELOAD taken
    everything was delivered
    END success, 0 restarts
    OBSERVE 4242 0000000000000404 1
    SOCKET driftless 600
    RELOAD taken
    END success
    ");
}
