//! Packages, with the real dpkg and apt, in roots of their own and from a repository that is made
//! there.

use crate::accounts::{APPLY, reports, said_in_root, tasks};
use crate::installed::has;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

/// A repository with a few packages in two versions, the only one that apt knows.
pub(super) const REPOSITORY: &str = r"
    mkdir -p /srv/repo; cd /srv/repo
    package() {
        mkdir -p p/DEBIAN p/usr/share/$1
        printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: t <t@t>\nDescription: t\n' $1 $2 >p/DEBIAN/control
        [ -z ${3-} ] || printf '%s\n' $3:\ $4 >>p/DEBIAN/control
        echo $2 >p/usr/share/$1/version
        case $1 in t-conf) mkdir p/etc; echo $2 >p/etc/t-conf; echo /etc/t-conf >p/DEBIAN/conffiles;; esac
        dpkg-deb --root-owner-group -b p $1_$2_all.deb >/dev/null
        rm -r p
    }
    for version in 1.0 1.1; do
        package t-base $version
        package t-user $version Depends t-base
        package t-conf $version
        package t-virtual $version Provides t-any
        package t-other $version Conflicts t-user
    done
    package t-alone 1.0 Provides t-some
    : >Packages
    for file in *.deb; do
        dpkg-deb -f $file
        printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' $file $(stat -c %s $file) $(sha256sum $file | cut -d' ' -f1)
    done >>Packages
    rm -rf /etc/apt/sources.list.d /etc/apt/preferences.d /etc/apt/apt.conf.d /var/lib/apt/lists
    mkdir -p /var/lib/apt/lists/partial /etc/apt/apt.conf.d /etc/apt/sources.list.d
    echo 'deb [trusted=yes] file:/srv/repo ./' >/etc/apt/sources.list
    apt-get -q update >&2
    cd /srv/config
    look() { dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\n' 't-*' 2>/dev/null | grep -v not-installed | sort || true; }
";

/// What every step leaves behind, by what `dpkg-query` tells of the packages.
const STEPS: &[(&str, &str)] = &[
    ("apt: {name: t-user=1.0}", "t-base 1.1 installed,t-user 1.0 installed"),
    ("apt: {name: 't-user>=1.1'}", "t-base 1.1 installed,t-user 1.1 installed"),
    ("apt: name=t-base=1.0 allow_downgrade=yes", "t-base 1.0 installed,t-user 1.1 installed"),
    (
        "apt: {name: ['t-base', 't-conf'], state: latest}",
        "t-base 1.1 installed,t-conf 1.1 installed,t-user 1.1 installed",
    ),
    ("apt: {name: t-base, state: absent}", "t-conf 1.1 installed"),
    ("apt: {name: t-user=1.*}", "t-base 1.1 installed,t-conf 1.1 installed,t-user 1.1 installed"),
    ("apt: {name: t-user, state: absent}", "t-base 1.1 installed,t-conf 1.1 installed"),
    ("apt: {name: 't-conf', state: absent}", "t-base 1.1 installed,t-conf 1.1 config-files"),
    ("apt: {name: 't-con?', state: absent, purge: true}", "t-base 1.1 installed"),
    ("apt: {autoremove: true, autoclean: true}", ""),
    ("apt: {name: t-some}", "t-alone 1.0 installed"),
    ("apt: {name: 't-[bu]*'}", "t-alone 1.0 installed,t-base 1.1 installed,t-user 1.1 installed"),
    (
        "apt: {deb: /srv/repo/t-conf_1.0_all.deb}",
        "t-alone 1.0 installed,t-base 1.1 installed,t-conf 1.0 installed,t-user 1.1 installed",
    ),
    (
        "apt: {name: t-user, state: absent}",
        "t-alone 1.0 installed,t-base 1.1 installed,t-conf 1.0 installed",
    ),
    (
        "apt: {deb: /srv/repo/t-user_1.1_all.deb}",
        "t-alone 1.0 installed,t-base 1.1 installed,t-conf 1.0 installed,t-user 1.1 installed",
    ),
    (
        "apt: {upgrade: dist}",
        "t-alone 1.0 installed,t-base 1.1 installed,t-conf 1.1 installed,t-user 1.1 installed",
    ),
    (
        "package: {name: t-other, state: present}",
        "t-alone 1.0 installed,t-base 1.1 installed,t-conf 1.1 installed,t-other 1.1 installed",
    ),
    ("apt: {name: 't-*', state: absent, purge: true, policy_rc_d: 101}", ""),
];

#[test]
fn packages_become_what_a_task_says_as_the_dry_run_foretold_and_only_once() {
    if !["apt-get", "dpkg-deb"].into_iter().all(has) {
        return;
    }
    let mut script = format!("{REPOSITORY}{APPLY}");
    for (task, _) in STEPS {
        script += &format!("{}apply\nagain\necho STEP\nlook\n", tasks(&format!("  - {task}\n")));
    }
    let Some(said) = said_in_root(&script) else { return };
    let left: Vec<String> = said
        .split("STEP\n")
        .skip(1)
        .map(|step| {
            let lines = step.lines().take_while(|line| line.starts_with("t-"));
            lines.collect::<Vec<_>>().join(",")
        })
        .collect();
    let [dry, run, again] =
        ["DRY", "RUN", "AGAIN"].map(|kind| reports(&said, kind).collect::<Vec<_>>());
    assert_eq!([dry.len(), run.len(), again.len()], [STEPS.len(); 3], "{said}");
    for (at, (task, expected)) in STEPS.iter().enumerate() {
        assert_eq!(run[at]["status"], "changed", "{task}: {:#}", run[at]);
        assert_eq!(dry[at], run[at], "foretold of {task}");
        assert_eq!(left[at], *expected, "left by {task}");
        assert_eq!(again[at]["status"], "ok", "a second run of {task}: {:#}", again[at]);
    }
}

#[test]
fn what_is_installed_already_is_found_so_without_starting_a_program() {
    if !["apt-get", "dpkg-deb"].into_iter().all(has) {
        return;
    }
    let refuse = "for program in apt-get apt-cache apt-mark dpkg dpkg-query dpkg-deb; do
        printf '#!/bin/sh\necho $0 $* >>/srv/started\nexit 1\n' >/usr/bin/$program; chmod 755 /usr/bin/$program
    done\n";
    let list = tasks(
        "  - apt: {name: [t-user, 't-base=1.*', 't-user>=1.0', t-user:all]}
  - apt: {name: [t-conf, 'no-such-*'], state: absent, purge: true}
  - package: {name: t-user, state: present}
  - apt: {name: t-user, cache_valid_time: 86400}
",
    );
    let script = format!(
        "{REPOSITORY}{APPLY} apt-get -q -y install t-user t-base >&2\n {refuse} {list} apply
        echo STARTED; cat /srv/started 2>/dev/null || true"
    );
    let Some(said) = said_in_root(&script) else { return };
    for kind in ["DRY", "RUN"] {
        for report in reports(&said, kind) {
            assert_eq!(report["status"], "ok", "{kind}: {report:#}");
        }
    }
    assert_eq!(said.split("STARTED\n").nth(1), Some(""));
}

#[test]
fn what_apt_will_not_do_is_foretold_in_the_words_of_the_run() {
    if !["apt-get", "dpkg-deb"].into_iter().all(has) {
        return;
    }
    let wrong = [
        ("{name: no-such-package}", "No package matching 'no-such-package' is available"),
        ("{name: 'no-such-*'}", "No package(s) matching 'no-such-*' available"),
        ("{name: t-user=3.0}", "no available installation candidate for t-user=3.0"),
        ("{name: t-base=1.0}", "downgraded"),
        ("{deb: /srv/repo/t-base_1.0_all.deb}", "A later version is already installed"),
        ("{deb: /etc/passwd}", "is no package file"),
        ("{deb: /no/such.deb}", "there is no file /no/such.deb"),
        ("{name: t-other, fail_on_autoremove: true}", "remove"),
    ];
    let list: String = wrong
        .iter()
        .map(|(task, _)| format!("  - apt: {task}\n    ignore_errors: true\n"))
        .collect();
    let script = format!(
        "{REPOSITORY}{APPLY} apt-get -q -y install t-user >&2\n look >&2; {} apply",
        tasks(&list)
    );
    let Some(said) = said_in_root(&script) else { return };
    for kind in ["DRY", "RUN"] {
        let reports: Vec<_> = reports(&said, kind).collect();
        assert_eq!(reports.len(), wrong.len(), "{said}");
        for (report, (task, expected)) in reports.iter().zip(wrong) {
            let message = report["message"].as_str().unwrap_or_default();
            assert_eq!(report["status"], "failed", "{kind}: {task}: {report:#}");
            assert!(message.contains(expected), "{kind}: {task}: {message}");
        }
    }
}

#[test]
fn where_apt_cannot_be_started_no_policy_for_services_stays_behind() {
    if !["apt-get", "dpkg-deb"].into_iter().all(has) {
        return;
    }
    let list = tasks("  - apt: {deb: /srv/repo/t-alone_1.0_all.deb, policy_rc_d: 101}\n");
    let script = format!(
        "{REPOSITORY}{APPLY} rm -f /usr/sbin/policy-rc.d
        printf '#!/no/such/shell\\n' >/usr/bin/apt-get
        {list} apply
        echo POLICY; ls /usr/sbin/policy-rc.d 2>/dev/null || true"
    );
    let Some(said) = said_in_root(&script) else { return };
    let run: Vec<_> = reports(&said, "RUN").collect();
    assert_eq!(run[0]["status"], "failed", "{said}");
    assert_eq!(said.split("POLICY\n").nth(1), Some(""), "{said}");
}

#[test]
fn where_packages_will_come_from_another_place_nobody_knows_yet_what_there_is() {
    if !["apt-get", "dpkg-deb"].into_iter().all(has) {
        return;
    }
    let list = tasks(
        "  - copy: {dest: /etc/apt/sources.list.d/more.list, content: \"deb [trusted=yes] file:/srv/more ./\\n\"}
  - apt: {update_cache: true}
  - apt: {name: t-more}
  - apt: {deb: /srv/repo/t-user_1.0_all.deb}
",
    );
    let script = format!(
        "{REPOSITORY}{APPLY} mkdir /srv/more; cd /srv/more; package t-more 2.0
        (dpkg-deb -f t-more*; printf 'Filename: ./t-more_2.0_all.deb\nSize: %s\nSHA256: %s\n\n' $(stat -c %s *.deb) $(sha256sum *.deb | cut -d' ' -f1)) >Packages
        cd /srv/config; {list} apply; again"
    );
    let Some(said) = said_in_root(&script) else { return };
    let statuses = |kind| -> Vec<String> {
        reports(&said, kind).map(|report| report["status"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(statuses("DRY"), ["changed", "unknown", "unknown", "unknown"], "{said}");
    assert_eq!(statuses("RUN"), ["changed", "changed", "changed", "changed"], "{said}");
    assert_eq!(statuses("AGAIN")[2..], ["ok", "ok"], "{said}");
}

#[test]
fn what_is_installed_and_what_is_held_is_told_and_a_hold_is_foretold() {
    if !["apt-get", "dpkg-deb"].into_iter().all(has) {
        return;
    }
    let list = tasks(
        "  - dpkg_selections: {name: t-user, selection: hold}
    register: held
  - dpkg_selections: {name: t-user, selection: hold}
  - dpkg_selections: {name: t-nothing, selection: hold}
    ignore_errors: true
  - apt: {name: t-conf}
  - package_facts:
  - assert:
      that:
        - packages['t-user'][0].version == '1.0' and packages['t-user'][0].source == 'apt'
        - ansible_facts.packages['t-conf'][0].version == '1.1' and 't-nothing' not in packages
        - ansible_facts.os_family is defined
",
    );
    let script = format!(
        "{REPOSITORY}{APPLY} apt-get -q -y install t-user=1.0 t-base >&2\n {list} apply
        echo HELD $(dpkg-query -W -f '${{db:Status-Want}}' t-user)"
    );
    let Some(said) = said_in_root(&script) else { return };
    let [dry, run] = ["DRY", "RUN"].map(|kind| reports(&said, kind).collect::<Vec<_>>());
    assert_eq!(dry, run);
    let statuses: Vec<&str> = run.iter().map(|report| report["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["changed", "ok", "failed", "changed", "ok", "ok"], "{said}");
    assert!(said.contains("HELD hold"), "{said}");
}

/// A task about a few packages.
fn any_task() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["t-base", "t-user", "t-conf", "t-virtual", "t-other"]);
    let version = prop::sample::select(vec!["", "", "=1.0", "=1.1", ">=1.1", "=1.*"]);
    let state = prop::sample::select(vec![
        "",
        ", state: latest",
        ", state: absent",
        ", state: absent, purge: true",
        ", only_upgrade: true",
        ", allow_downgrade: true",
    ]);
    (name, version, state)
        .prop_map(|(name, version, state)| format!("apt: {{name: '{name}{version}'{state}}}"))
}

#[test]
fn any_sequence_of_tasks_does_what_its_dry_run_foretold_or_said_that_it_could_not_know() {
    if !["apt-get", "dpkg-deb"].into_iter().all(has) {
        return;
    }
    let mut runner = TestRunner::deterministic();
    let mut script = format!("{REPOSITORY}{APPLY}");
    let mut sequences = Vec::new();
    for _ in 0..8 {
        let one = prop::collection::vec(any_task(), 1..4);
        let sequence = one.new_tree(&mut runner).unwrap().current();
        let list: String =
            sequence.iter().map(|task| format!("  - {task}\n    ignore_errors: true\n")).collect();
        script += &format!("{}apply\n", tasks(&list));
        sequences.push(sequence);
    }
    let Some(said) = said_in_root(&script) else { return };
    let all: Vec<String> = sequences.concat();
    let [dry, run] = ["DRY", "RUN"].map(|kind| reports(&said, kind).collect::<Vec<_>>());
    assert_eq!([dry.len(), run.len()], [all.len(); 2], "{said}");
    let mut known = 0;
    let mut dry = dry.iter();
    let mut run = run.iter();
    for sequence in &sequences {
        // What comes after something that is not known may be different.
        let mut is_known = true;
        for task in sequence {
            let (dry, run) = (dry.next().unwrap(), run.next().unwrap());
            is_known &= dry["status"] != "unknown";
            if is_known {
                assert_eq!(dry, run, "foretold of {task} in {sequence:#?}");
                known += 1;
            }
        }
    }
    assert!(known * 2 > all.len(), "{known} of {} are foretold", all.len());
}
