//! What the host is called, where it is, and whom it knows: tasks in a root to throw away.

use crate::kernel::converged;
use crate::throwaway;
use std::fs;
use std::path::Path;

/// Stands in for the programs that make locales, which take long, and for the one that sets the clock
/// of the machine: what the list names is there, and the clock is said to have the other time.
const STUBS: &str = r#"
    mkdir -p /usr/share/i18n
    printf '# de_DE.UTF-8 UTF-8\n' >/etc/locale.gen
    printf 'de_DE.UTF-8 UTF-8\nfr_FR.UTF-8 UTF-8\n' >/usr/share/i18n/SUPPORTED
    : >/srv/made
    rm -f /usr/sbin/locale-gen /usr/bin/locale /usr/sbin/hwclock /etc/adjtime
    cat >/usr/sbin/hwclock <<'END'
#!/bin/sh
[ "$*" = '--systohc --localtime' ] || exit 9
printf '0.0 0 0.0\n0\nLOCAL\n' >/etc/adjtime
END
    cat >/usr/sbin/locale-gen <<'END'
#!/bin/sh
[ $# = 0 ] || [ $*x = --purgex ] || exit 9
sed '/^#/d; s/ .*//; s/UTF-8/utf8/' /etc/locale.gen >/srv/made
END
    cat >/usr/bin/locale <<'END'
#!/bin/sh
[ $# = 1 ] && [ $1 = -a ] || exit 9
echo C; cat /srv/made
END
    chmod 755 /usr/sbin/locale-gen /usr/bin/locale /usr/sbin/hwclock
"#;

const TASKS: &str = r"
    mkdir -p /srv/config; cd /srv/config
    echo 'data_dir: /srv/data' >agent.yml
    cat >apply.yml <<'END'
tasks:
  - hostname: {name: throwaway}
    register: named
  - hosts: {address: 10.0.0.5, names: [db.example.org, db]}
  - timezone: {name: Asia/Tokyo}
  - timezone: {hwclock: local}
  - locale_gen: {name: de_DE.UTF-8}
  - locale_gen: {name: [fr_FR.UTF-8]}
  - assert: {that: named.name == 'throwaway' and ansible_hostname == 'throwaway'}
END
    echo old >/etc/hostname
    rm -f /etc/timezone /etc/localtime
    ln -s ../usr/share/zoneinfo/Europe/Paris /etc/localtime
    touch /etc/debian_version
    printf '127.0.0.1 localhost # this one\n10.0.0.4 db\n' >/etc/hosts
    look() { stat --format '%n %i %s %Y %Z' /etc/hostname /etc/hosts /etc/localtime /etc/locale.gen /srv/made; }
";

/// `None` where this machine does not let us make roots.
fn said(script: &str) -> Option<String> {
    let share = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_driftless"));
    fs::copy(program, share.path().join("driftless")).unwrap();
    let output = throwaway::run(&format!("{STUBS}{TASKS}{script}"), share.path())?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    Some(said)
}

#[test]
fn a_host_is_named_placed_and_knows_others_as_foretold_and_then_nothing_is_left_to_do() {
    let script = r#"
        export PATH=/usr/sbin:/usr/bin:/sbin:/bin
        before=$(look)
        code=0; /share/driftless apply /srv/config --dry-run --output json >/srv/dry || code=$?
        [ $code = 2 ] || { cat /srv/dry; exit 1; }
        [ "$before" = "$(look)" ]
        /share/driftless apply /srv/config --output json >/srv/run || { cat /srv/run; exit 1; }
        after=$(look)
        sed s/^/DRY\ / /srv/dry; sed s/^/RUN\ / /srv/run
        /share/driftless apply /srv/config --output json | sed s/^/AGAIN\ /
        [ "$after" = "$(look)" ]
        cat /etc/hostname /etc/hosts /etc/timezone /etc/locale.gen /srv/made
        readlink /etc/localtime
        date -d @0 +%Z
    "#;
    let Some(said) = said(script) else { return };
    let statuses = |kind: &str| -> Vec<(String, serde_json::Value)> {
        let lines = said.lines().filter_map(|line| line.strip_prefix(kind)?.strip_prefix(' '));
        let reports = lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let of_tasks = reports.filter(|report| report.get("status").is_some());
        of_tasks
            .map(|it| (it["status"].as_str().unwrap().to_owned(), it["changes"].clone()))
            .collect()
    };
    let run = statuses("RUN");
    let words: Vec<&str> = run.iter().map(|(status, _)| status.as_str()).collect();
    assert_eq!(
        words,
        ["changed", "changed", "changed", "changed", "changed", "changed", "ok"],
        "{said}"
    );
    assert_eq!(statuses("DRY"), run, "foretold");
    assert!(statuses("AGAIN").iter().all(|(status, _)| status == "ok"), "{said}");
    let rest: Vec<&str> = said
        .lines()
        .filter(|line| !["DRY ", "RUN ", "AGAIN "].iter().any(|kind| line.starts_with(kind)))
        .collect();
    let expected = "throwaway\n127.0.0.1 localhost # this one\n10.0.0.5 db.example.org db\n\
        Asia/Tokyo\nde_DE.UTF-8 UTF-8\nfr_FR.UTF-8 UTF-8\nde_DE.utf8\nfr_FR.utf8\n\
        /usr/share/zoneinfo/Asia/Tokyo\nJST";
    assert_eq!(rest.join("\n"), expected);
}

#[test]
fn what_the_kernel_and_the_zones_do_not_allow_is_foretold() {
    let script = r#"
        export PATH=/usr/sbin:/usr/bin:/sbin:/bin
        for task in 'hostname: {name: another}' 'timezone: {name: Mars/Base}' 'locale_gen: {name: xx_XX}'; do
            printf 'tasks:\n  - %s\n' "$task" >apply.yml
            for how in '' --dry-run; do
                code=0; /share/driftless apply /srv/config $how >/srv/said 2>&1 || code=$?
                [ $code = 1 ] || { cat /srv/said; exit 1; }
                grep -Eo 'read-only file system|no time zone `Mars/Base`|no locale `xx_XX`' /srv/said | head -n 1
            done
        done
    "#;
    let Some(said) = said(script) else { return };
    let expected = ["read-only file system", "no time zone `Mars/Base`", "no locale `xx_XX`"];
    let twice: Vec<&str> = expected.into_iter().flat_map(|line| [line, line]).collect();
    assert_eq!(said.lines().collect::<Vec<_>>(), twice);
}

#[test]
fn a_link_is_made_in_the_directory_of_a_user_who_could_exchange_it() {
    let prepare = "mkdir -p /srv/app/releases/1 /srv/home; chown -R daemon: /srv/app /srv/home
        touch /srv/one; ln -s one /srv/soft\n";
    let list = "  - file: {src: /etc/hosts, dest: /srv/home/hosts, state: link}
  - file: {src: releases/1, dest: /srv/app/current, state: link, owner: bin, mode: \"0750\"}
  - file: {src: /srv/one, dest: /srv/soft, state: hard}
";
    let look = "stat -c '%N %U' /srv/home/hosts /srv/app/current; stat -c '%U %a' /srv/app/releases/1; stat -c '%F %h' /srv/soft";
    let Some(said) = converged(prepare, list, look) else { return };
    let expected = "'/srv/home/hosts' -> '/etc/hosts' root
'/srv/app/current' -> 'releases/1' root
bin 750
regular empty file 2
";
    assert_eq!(said, expected);
}
