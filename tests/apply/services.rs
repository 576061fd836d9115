//! Services: units of systemd and scripts, in roots of their own, held against `systemctl` itself.

use crate::accounts::{APPLY, reports, said_in_root, tasks};
use crate::installed::has;
use driftless::event::task::each_task;
use driftless::event::tree::Node;

/// Units of every kind that matters here.
const UNITS: &str = r#"
    unit() { printf "$2" >/usr/lib/systemd/system/$1; }
    service='[Service]\nExecStart=/bin/true\n'
    unit t-plain.service "${service}[Install]\nWantedBy=multi-user.target\n"
    unit t-alias.service "${service}[Install]\nWantedBy=multi-user.target graphical.target\nAlias=t-other.service\n"
    unit t-also.service "${service}[Install]\nRequiredBy=t-plain.service\nAlso=t-also.socket\n"
    unit t-also.socket "[Socket]\nListenStream=/run/t\n[Install]\nWantedBy=sockets.target\n"
    unit t-many@.service "${service}[Install]\nWantedBy=multi-user.target\nDefaultInstance=first\n"
    unit t-inst@.service "${service}[Install]\nWantedBy=t-%%i.target\n"
    unit t-static.service "${service}"
    unit t-indirect.service "${service}[Install]\nAlso=t-also.socket\n"
    links() { (cd /etc/systemd/system; find . -name '*t-*' -printf '%p %l\n' | sed 's# /usr/lib/# /lib/#' | sort); }
"#;

/// A task, and the same done by systemctl.
const STEPS: &[(&str, &str)] = &[
    ("systemd: {name: t-plain, enabled: true}", "enable t-plain.service"),
    ("systemd_service: {name: t-alias.service, enabled: true}", "enable t-alias.service"),
    ("systemd: {name: t-also, enabled: true}", "enable t-also.service"),
    ("service: {name: t-many@.service, enabled: true}", "enable t-many@.service"),
    ("systemd: {name: t-many@two, enabled: true}", "enable t-many@two.service"),
    ("systemd: {name: t-inst@x, enabled: true}", "enable t-inst@x.service"),
    ("systemd: {name: t-static, masked: true}", "mask t-static.service"),
    ("systemd: {name: t-alias, enabled: false}", "disable t-alias.service"),
    ("systemd: {name: t-many@two, enabled: false}", "disable t-many@two.service"),
    ("systemd: {name: t-static, masked: false}", "unmask t-static.service"),
    ("systemd: {name: t-also, enabled: false}", "disable t-also.service"),
    ("service: {name: t-plain, enabled: false}", "disable t-plain.service"),
    ("systemd: {name: t-indirect, enabled: true}", "enable t-indirect.service"),
];

#[test]
fn units_are_enabled_and_masked_as_systemctl_does_it_and_only_once() {
    if !has("systemctl") {
        return;
    }
    let mut ours = format!("{UNITS}{APPLY}");
    let mut theirs = UNITS.to_owned();
    for (task, command) in STEPS {
        ours += &format!("{}apply\nagain\necho STEP\nlinks\n", tasks(&format!("  - {task}\n")));
        theirs += &format!("systemctl --root=/ {command} >&2\necho STEP\nlinks\n");
    }
    let (Some(ours), Some(theirs)) = (said_in_root(&ours), said_in_root(&theirs)) else { return };
    let steps = |said: &str| -> Vec<String> {
        let steps = said.split("STEP\n").skip(1);
        let links = |step: &str| -> Vec<String> {
            step.lines().take_while(|line| line.starts_with("./")).map(str::to_owned).collect()
        };
        steps.map(|step| links(step).join("\n")).collect()
    };
    let (left, right) = (steps(&ours), steps(&theirs));
    assert_eq!([left.len(), right.len()], [STEPS.len(); 2], "{ours}");
    let [dry, run, again] =
        ["DRY", "RUN", "AGAIN"].map(|kind| reports(&ours, kind).collect::<Vec<_>>());
    for (at, (task, command)) in STEPS.iter().enumerate() {
        assert_eq!(run[at]["status"], "changed", "{task}: {:#}", run[at]);
        assert_eq!(dry[at], run[at], "foretold of {task}");
        assert_eq!(left[at], right[at], "after {task} and `{command}`");
        assert_eq!(again[at]["status"], "ok", "a second run of {task}: {:#}", again[at]);
    }
}

#[test]
fn a_dry_run_knows_a_unit_that_another_task_would_make_and_says_what_cannot_be() {
    if !has("systemctl") {
        return;
    }
    let list = "  - copy: {dest: /etc/systemd/system/t-new.service, content: \"[Service]\\nExecStart=/bin/true\\n[Install]\\nWantedBy=multi-user.target\\n\"}
  - systemd: {name: t-new, enabled: true, daemon_reload: true}
  - systemd: {name: t-new, enabled: true}
  - systemd: {name: no-such-unit, enabled: true}
    ignore_errors: true
  - systemd: {name: t-new, state: started}
    ignore_errors: true
  - service: {name: no-such-unit, enabled: true}
    ignore_errors: true
  - systemd: {name: t-new, masked: true}
    ignore_errors: true
";
    let Some(said) = said_in_root(&format!("{APPLY}{}apply", tasks(list))) else { return };
    let [dry, run] = ["DRY", "RUN"].map(|kind| reports(&said, kind).collect::<Vec<_>>());
    assert_eq!(dry, run);
    let statuses: Vec<&str> = run.iter().map(|report| report["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["changed", "changed", "ok", "failed", "failed", "failed", "failed"]);
    let says = |at: usize, text: &str| {
        let message = run[at]["message"].as_str().unwrap_or_default();
        assert!(message.contains(text), "{message}");
    };
    says(3, "Could not find the requested service no-such-unit");
    says(4, "systemd does not run on this host");
    says(6, "is a file, so that `t-new.service` cannot be masked");
}

/// Stands in for `systemctl` and says no to whatever it does not expect.
const SYSTEMCTL: &str = r#"
    mkdir -p /run/systemd/system /srv/state
    cat >/usr/bin/systemctl <<'END'
#!/bin/sh
echo "$*" >>/srv/asked
[ "$1" = --no-pager ] || exit 9
shift
case $# in
1) [ "$1" = daemon-reload ] || exit 9;;
2) unit=$2
   case $1 in
   show) if [ -e /etc/systemd/system/$unit ]; then load=loaded; else load=not-found; fi
         printf 'Id=%s
LoadState=%s
ActiveState=%s
' $unit $load $(cat /srv/state/$unit 2>/dev/null || echo inactive);;
   start|restart) case $unit in t-broken.service) echo "Job for $unit failed." >&2; exit 1;; esac
         echo active >/srv/state/$unit;;
   reload) [ -e /srv/state/$unit ] || exit 9;;
   stop) rm /srv/state/$unit;;
   *) exit 9;;
   esac;;
*) exit 9;;
esac
END
    for unit in t-one t-broken; do
        printf '[Service]
ExecStart=/bin/true
[Install]
WantedBy=multi-user.target
' >/etc/systemd/system/$unit.service
    done
"#;

#[test]
fn a_unit_is_started_and_stopped_by_systemctl_where_that_is_needed() {
    let list = "  - systemd: {name: t-one, state: started, enabled: true}
    register: one
  - systemd: {name: t-one.service, state: started, enabled: true}
  - service: {name: t-one, state: restarted}
  - systemd: {name: t-one, state: reloaded}
  - systemd: {name: t-one, state: stopped, daemon_reload: true}
  - service: {name: t-one, state: stopped}
  - systemd: {name: t-one, state: reloaded, enabled: false}
  - systemd: {name: t-none, state: started}
    ignore_errors: true
  - systemd: {daemon_reload: true}
";
    let broken = "  - systemd: {name: t-broken, state: started}\n";
    let Some(said) = said_in_root(&format!(
        "{SYSTEMCTL}{APPLY}{}apply; echo ASKED; grep -v show /srv/asked; echo BROKEN; {}apply",
        tasks(list),
        tasks(broken)
    )) else {
        return;
    };
    let (first, second) = said.split_once("BROKEN").unwrap();
    let [dry, run] = ["DRY", "RUN"].map(|kind| reports(first, kind).collect::<Vec<_>>());
    // What systemctl brings about beside is not known before.
    assert_eq!(dry[7]["status"], "unknown", "{}", dry[7]);
    assert_eq!((&dry[..7], &dry[8..]), (&run[..7], &run[8..]));
    let statuses: Vec<&str> = run.iter().map(|report| report["status"].as_str().unwrap()).collect();
    let expected =
        ["changed", "ok", "changed", "changed", "changed", "ok", "changed", "failed", "ok"];
    assert_eq!(statuses, expected, "{first}");
    let asked: Vec<&str> = first
        .split("ASKED\n")
        .nth(1)
        .unwrap()
        .lines()
        .map(|line| line.strip_prefix("--no-pager ").unwrap())
        .collect();
    let of_links = "daemon-reload";
    let unit = "t-one.service";
    let verbs = ["start", "restart", "reload", "stop"].map(|verb| format!("{verb} {unit}"));
    let [start, restart, reload, stop] = verbs.each_ref().map(String::as_str);
    assert_eq!(
        asked,
        [of_links, start, restart, reload, of_links, stop, of_links, start, of_links]
    );
    let failed = reports(second, "RUN").next().unwrap();
    let message = failed["message"].as_str().unwrap();
    assert_eq!(message, "cannot start `t-broken.service`: Job for t-broken.service failed.");
}

#[test]
fn a_service_with_a_script_is_started_and_enabled_by_it_where_no_systemd_is_at_work() {
    if !has("update-rc.d") {
        return;
    }
    let script = "printf '%s\\n' '#!/bin/sh' '### BEGIN INIT INFO' '# Provides: t-script' \
        '# Required-Start:' '# Required-Stop:' '# Default-Start: 2 3 4 5' '# Default-Stop: 0 1 6' \
        '### END INIT INFO' 'case $1 in start) touch /srv/runs;; stop) rm /srv/runs;; \
        status) test -e /srv/runs;; restart) echo restart >/srv/runs;; *) exit 2;; esac' \
        >/etc/init.d/t-script; chmod 755 /etc/init.d/t-script\n";
    let list = "  - service: {name: t-script, state: started, enabled: true}
  - sysvinit: {name: t-script, state: started, enabled: true}
  - service: {name: t-script, state: restarted}
  - sysvinit: {name: t-script, state: stopped, enabled: false}
  - sysvinit: {name: t-none, state: stopped}
    ignore_errors: true
";
    let Some(said) = said_in_root(&format!(
        "{script}{APPLY}{}apply; ls /etc/rc3.d | grep t-script; ls /srv",
        tasks(list)
    )) else {
        return;
    };
    let [dry, run] = ["DRY", "RUN"].map(|kind| reports(&said, kind).collect::<Vec<_>>());
    assert_eq!(dry, run);
    let statuses: Vec<&str> = run.iter().map(|report| report["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["changed", "ok", "changed", "changed", "failed"], "{said}");
    assert!(said.contains("K01t-script") && !said.contains("runs"), "{said}");
}

/// What that manager leaves of a host to see, and a stand-in for the one program of it that is started.
const OPENRC: &str = r#"
    mkdir -p /run/openrc /etc/init.d /etc/runlevels/default /etc/runlevels/boot
    printf '#!/sbin/openrc-run\n' >/etc/init.d/t-open; chmod 755 /etc/init.d/t-open
    cat >/sbin/rc-service <<'END'
#!/bin/sh
[ "$2" = status ] || echo "$*" >>/srv/asked
[ "$1" = t-open ] || exit 9
case "$#-$2" in
2-status) [ -e /srv/runs ] || { echo ' * status: stopped'; exit 3; };;
2-start) touch /srv/runs;;
2-stop) rm /srv/runs;;
2-restart|2-reload) [ -e /srv/runs ];;
*) exit 9;;
esac
END
    chmod 755 /sbin/rc-service
    sleep 7778 >/dev/null 2>&1 &
"#;

#[test]
fn a_service_of_openrc_is_started_by_it_and_enabled_by_a_link() {
    let list = "  - service: {name: t-open, state: started, pattern: sleep 7778}
  - service: {name: t-open, state: started, enabled: true}
  - openrc: {name: t-open, state: started, enabled: true, runlevel: default}
  - openrc: {name: t-open, enabled: true, runlevel: boot}
  - service: {name: t-open, state: restarted, sleep: 0}
  - openrc: {name: t-open, state: reloaded}
  - service: {name: t-open, state: stopped, enabled: false}
  - openrc: {name: t-open, enabled: true, runlevel: none}
    ignore_errors: true
  - openrc: {name: t-none, state: stopped}
    ignore_errors: true
";
    let look = "cd /etc/runlevels; find . -type l -printf '%p %l\\n'; cat /srv/asked";
    let script = format!("{OPENRC}{APPLY}{}apply; {look}", tasks(list));
    let Some(said) = said_in_root(&script) else { return };
    let [dry, run] = ["DRY", "RUN"].map(|kind| reports(&said, kind).collect::<Vec<_>>());
    assert_eq!(dry, run);
    let statuses: Vec<&str> = run.iter().map(|report| report["status"].as_str().unwrap()).collect();
    let expected =
        ["ok", "changed", "ok", "changed", "changed", "changed", "changed", "failed", "failed"];
    assert_eq!(statuses, expected, "{said}");
    assert_eq!(run[7]["message"], "there is no runlevel `none`");
    let left = "./boot/t-open /etc/init.d/t-open\nt-open start\nt-open stop\nt-open start\nt-open reload\nt-open stop\n";
    assert!(said.ends_with(left), "{said}");
}

#[test]
fn defaults_of_a_manager_count_for_service_where_it_has_none_of_its_own() {
    let bench = crate::bench::Bench::new();
    let (set, complaints) = bench.parse(
        "module_defaults:
  service: {state: started}
  systemd: {name: one, state: stopped, daemon_reload: true}
  ansible.builtin.sysvinit: {name: two, sleep: 3}
tasks:
  - service: {enabled: true}
",
    );
    assert!(complaints.is_empty(), "{complaints:?}");
    each_task(&set.plays[0].steps, &mut |task| {
        let given = |name| task.args.get(name).and_then(Node::scalar_text);
        let all = ["name", "state", "sleep", "daemon_reload"].map(given);
        assert_eq!(all, [Some("one"), Some("started"), Some("3"), Some("true")]);
    });
}

#[test]
fn what_is_wrong_with_a_service_is_said_before_a_run() {
    let bench = crate::bench::Bench::new();
    for (task, expected) in [
        ("systemd: {name: a}", "needs one of `daemon_reexec`"),
        ("systemd: {state: started}", "`state` needs `name`"),
        ("systemd: {name: 'a*', state: started}", "patterns are not taken"),
        ("systemd: {name: a, state: running}", "one of `reloaded`"),
        ("service: {name: a}", "needs one of `daemon_reexec`"),
        ("sysvinit: {name: a/b, enabled: true}", "is no name of a script"),
        ("apt: {name: a, deb: /b}", "not both"),
        ("apt: {name: 'a==1'}", "more than one `=`"),
        ("apt: {name: a, policy_rc_d: 300}", "0 to 255"),
        ("apt: {state: present}", "needs one of"),
        ("apt: {deb: /a, state: absent}", "no `state` but `present`"),
        ("dpkg_selections: {name: a, selection: keep}", "one of `deinstall`"),
    ] {
        let (_, complaints) = bench.parse(&format!("tasks: [{{{task}}}]"));
        let said = complaints.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(said.contains(expected), "{task}: {said}");
    }
}

#[test]
fn a_truth_value_is_taken_for_the_one_word_that_says_the_same() {
    let bench = crate::bench::Bench::new();
    let complaints = |task: &str| bench.parse(&format!("tasks: [{{{task}}}]")).1.len();
    assert_eq!(complaints("apt: {upgrade: true}") + complaints("apt: {upgrade: no}"), 0);
    assert_eq!(complaints("apt: {name: a, state: true}"), 1);
}
