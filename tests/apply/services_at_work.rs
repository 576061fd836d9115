//! Services with a real systemd as the first process of a root of its own: nothing stands in for it.

use crate::accounts::{APPLY, reports, tasks};
use crate::booted;
use crate::installed::has;
use std::fs;
use std::path::Path;

/// Services that say what is done with them, of the kinds that differ.
const UNITS: &str = r#"
    unit() { printf '[Service]\nExecStart=/bin/sleep 600\nExecReload=/bin/sh -c "echo reloaded >>/srv/reloaded"\n[Install]\nWantedBy=multi-user.target\n'; }
    unit >/etc/systemd/system/t-one.service
    unit >/etc/systemd/system/t-many@.service
    unit >/usr/lib/systemd/system/t-masked.service
    printf '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n' >/etc/systemd/system/t-once.service
    printf '[Service]\nType=oneshot\nExecStart=/bin/false\n' >/etc/systemd/system/t-broken.service
    printf '[Socket]\nListenStream=/run/t-ear\nAccept=yes\n' >/etc/systemd/system/t-ear.socket
    printf '[Service]\nExecStart=/bin/cat\nStandardInput=socket\n' >/etc/systemd/system/t-ear@.service
    systemctl daemon-reload
    states() { for unit in t-one t-many@a t-once t-ear.socket t-new; do echo $unit $(systemctl is-active $unit) $(systemctl is-enabled $unit 2>/dev/null) $(systemctl show -P MainPID $unit | sed 's/^0$//; s/..*/runs/'); done; }
"#;

/// A task, what it comes to, and what systemd says of the units then, where that matters.
const STEPS: &[(&str, &str, &str)] = &[
    (
        "systemd: {name: t-one, state: started, enabled: true}",
        "changed",
        "t-one active enabled runs",
    ),
    ("service: {name: t-one, state: started, enabled: true}", "ok", "t-one active enabled runs"),
    ("service: {name: t-one, state: restarted}", "changed", "t-one active enabled runs"),
    ("systemd: {name: t-one, state: reloaded}", "changed", "t-one active enabled runs"),
    (
        "systemd: {name: t-one.service, state: stopped, enabled: false}",
        "changed",
        "t-one inactive disabled",
    ),
    ("service: {name: t-one, state: stopped}", "ok", "t-one inactive disabled"),
    ("systemd: {name: t-one, state: reloaded}", "changed", "t-one active disabled runs"),
    (
        "systemd: {name: t-many@a, state: started, enabled: true}",
        "changed",
        "t-many@a active enabled runs",
    ),
    ("systemd: {name: t-once, state: started}", "changed", "t-once active static"),
    ("systemd: {name: t-once, state: started}", "ok", "t-once active static"),
    ("systemd: {name: t-ear.socket, state: started}", "changed", "t-ear.socket active static"),
    ("systemd: {name: t-broken, state: started}", "failed", ""),
    ("systemd: {name: t-masked, masked: true}", "changed", ""),
    ("systemd: {name: t-masked, state: started}", "failed", ""),
    ("systemd: {name: t-masked, masked: false, state: started}", "changed", ""),
    ("systemd: {name: t-none, state: started}", "failed", ""),
    (
        "copy: {dest: /etc/systemd/system/t-new.service, content: \"[Service]\\nExecStart=/bin/sleep 600\\n\"}",
        "changed",
        "",
    ),
    (
        "systemd: {name: t-new, state: started, daemon_reload: true}",
        "changed",
        "t-new active static runs",
    ),
];

#[test]
fn a_systemd_at_work_does_what_tasks_say_and_only_where_that_is_needed() {
    if !["systemctl", "setpriv"].into_iter().all(has) {
        return;
    }
    let share = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_driftless"));
    if fs::hard_link(program, share.path().join("driftless")).is_err() {
        fs::copy(program, share.path().join("driftless")).unwrap();
    }
    let mut script = format!(
        "export HOME=/root LANG=C.UTF-8; mkdir -p /srv/config; cd /srv/config
        echo 'data_dir: /srv/data' >agent.yml
        {UNITS} {APPLY}"
    );
    for (task, ..) in STEPS {
        script += &format!("{}apply\necho STEP\nstates\n", tasks(&format!("  - {task}\n")));
    }
    script += "echo RELOADED $(wc -l </srv/reloaded)\n";
    let Some(said) = booted::run(&script, share.path()) else { return };
    let [dry, run] = ["DRY", "RUN"].map(|kind| reports(&said, kind).collect::<Vec<_>>());
    let states: Vec<&str> = said.split("STEP\n").skip(1).collect();
    assert_eq!([dry.len(), run.len(), states.len()], [STEPS.len(); 3], "{said}");
    for (at, (task, status, state)) in STEPS.iter().enumerate() {
        assert_eq!(run[at]["status"], *status, "{task}: {:#}", run[at]);
        assert!(
            states[at].lines().any(|line| line.trim() == *state) || state.is_empty(),
            "{task}: {said}"
        );
        let is_foretold = *status != "failed" || dry[at]["status"] == "failed";
        if is_foretold {
            assert_eq!(dry[at], run[at], "foretold of {task}");
        }
    }
    assert!(said.contains("RELOADED 1\n"), "{said}");
}
