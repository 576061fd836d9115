//! Packages of other systems than Debian. None of their managers can run here: what stands in for them
//! says no to whatever it does not expect, and writes what the real ones write.

use crate::accounts::{APPLY, reports, said_in_root, tasks};

/// `apk` as apk-tools 2.14 has it.
const APK: &str = r#"
    mkdir -p /etc/apk /lib/apk/db; touch /etc/apk/world
    printf 'C:Q1x=\nP:musl\nV:1.2.5-r0\nA:x86_64\nF:lib\nR:libc.so\n\n' >/lib/apk/db/installed
    cat >/usr/bin/apk <<'END'
#!/bin/bash
echo "apk $*" >>/srv/asked
db=/lib/apk/db/installed
add() { grep -qx "P:$1" $db || printf 'C:Q1x=\nP:%s\nV:%s\nA:x86_64\n\n' $1 $2 >>$db; }
take() { awk -v RS= -v ORS='\n\n' -v name="P:$1" '{ split($0, lines, "\n"); for (i in lines) if (lines[i] == name) next; print }' $db >$db.new; mv $db.new $db; }
case "$1 $#" in
'update 1') exit 0;;
'upgrade 1') take nginx; add nginx 1.26-r1;;
add*) shift; [ "$1" = --upgrade ] && { shift; up=1; }
    for name; do
        case $name in -*) exit 9;; no-such) echo 'ERROR: unable to select packages:' >&2; exit 1;; esac
        bare=${name%%=*}; version=${name#*=}; [ "$version" = "$name" ] && version=1.24-r0
        [ $bare = nginx ] && add pcre 8.45-r3
        [ "${up-}" ] && take $bare && version=1.26-r0
        add $bare $version; grep -qx "$name" /etc/apk/world || echo $name >>/etc/apk/world
    done;;
del*) [ "$2" = --purge ] || exit 9; shift 2
    for name; do take $name; sed -i "/^$name$/d; /^$name[=]/d" /etc/apk/world; done; take pcre;;
*) exit 9;;
esac
END
    chmod 755 /usr/bin/apk
    look() { grep ^[PV]: /lib/apk/db/installed | paste -sd' ' | sed 's/P:\([^ ]*\) V:/\1-/g'; }
"#;

/// `pacman` as version 6 has it.
const PACMAN: &str = r#"
    mkdir -p /var/lib/pacman/local/glibc-2.39-1; echo 9 >/var/lib/pacman/local/ALPM_DB_VERSION
    cat >/usr/bin/pacman <<'END'
#!/bin/bash
echo "pacman $*" >>/srv/asked
cd /var/lib/pacman/local
case "$*" in
'--sync --refresh') ;;
'--sync --sysupgrade --quiet --noconfirm') rm -rf nginx-*; mkdir nginx-1.26.1-1;;
'--noconfirm --noprogressbar --needed --sync '*) shift 4
    for name; do
        case $name in -*) exit 9;; no-such) echo "error: target not found: $name" >&2; exit 1;; esac
        ls -d $name-*-* >/dev/null 2>&1 || mkdir $name-1.26.0-2
    done;;
'--noconfirm --noprogressbar --remove '*) shift 3
    for name; do case $name in -*) exit 9;; esac; rm -r $name-*-*; done;;
*) exit 9;;
esac
END
    chmod 755 /usr/bin/pacman
    look() { ls -d /var/lib/pacman/local/*/ | xargs -n1 basename | paste -sd' '; }
"#;

/// `dnf` as version 4 has it, and `rpm` for what is installed.
const DNF: &str = r#"
    rm -rf /srv/rpm; mkdir -p /srv/rpm; echo 'glibc|0|2.39|6.fc40|x86_64' >/srv/rpm/glibc
    cat >/usr/bin/rpm <<'END'
#!/bin/sh
[ "$1 $2 $3 $4" = '--query --all --queryformat %{NAME}|%{EPOCHNUM}|%{VERSION}|%{RELEASE}|%{ARCH}\n' ] && [ $# = 4 ] || exit 9
cat /srv/rpm/*
END
    cat >/usr/bin/dnf <<'END'
#!/bin/bash
echo "dnf $*" >>/srv/asked
[ "$1 $2" = '--assumeyes --quiet' ] || exit 9
shift 2
while [[ $1 = --* ]]; do case $1 in --enablerepo=epel|--nobest) shift;; *) exit 9;; esac; done
verb=$1; shift
case $verb in
makecache) [ $# = 0 ];;
install) for name; do
    case $name in no-such) echo "Error: Unable to find a match: $name" >&2; exit 1;; esac
    bare=${name%%-1.24*}; [ -e /srv/rpm/$bare ] || echo "$bare|1|1.24|3.fc40|x86_64" >/srv/rpm/$bare; done;;
upgrade) for name in ${@:-nginx}; do echo "$name|1|1.26|1.fc40|x86_64" >/srv/rpm/$name; done;;
remove) for name; do rm /srv/rpm/${name%%-1.2*}; done;;
autoremove) rm -f /srv/rpm/orphan;;
*) exit 9;;
esac
END
    chmod 755 /usr/bin/rpm /usr/bin/dnf
    look() { cat /srv/rpm/* | paste -sd' '; }
"#;

/// `zypper` as version 1.14 has it; `rpm` is that of `DNF`.
const ZYPPER: &str = r#"
    rm -rf /srv/rpm; mkdir -p /srv/rpm; echo 'glibc|0|2.38|150600.12.1|x86_64' >/srv/rpm/glibc
    cat >/usr/bin/zypper <<'END'
#!/bin/bash
echo "zypper $*" >>/srv/asked
[ "$1 $2" = '--quiet --non-interactive' ] || exit 9
shift 2
[ "$1" != --gpg-auto-import-keys ] || shift
verb=$1; shift
case "$verb $*" in
'refresh ') exit 0;;
'dist-upgrade --auto-agree-with-licenses --no-recommends --allow-vendor-change') rm -f /srv/rpm/nginx; exit 102;;
'update --type package --auto-agree-with-licenses --no-recommends') exit 0;;
'install --type pattern --auto-agree-with-licenses --no-recommends -- '*) shift 5; pattern=$1;;
'install --type package --auto-agree-with-licenses --no-recommends --oldpackage -- '*) shift 6;;
'install --type package --auto-agree-with-licenses --no-recommends -- '*) shift 5;;
'remove --type package --clean-deps -- '*) shift 4;;
*) exit 9;;
esac
for name in ${pattern:-"$@"}; do
    case $verb-$name in
    *-no-such) echo "Package 'no-such' not found." >&2; exit 104;;
    install-base) [ "${pattern-}" ] && echo 'nano|0|7.2|1.1|x86_64' >/srv/rpm/nano;;
    install-nginx=1.21) echo 'nginx|0|1.21|2.1|x86_64' >/srv/rpm/nginx;;
    install-nginx) [ -e /srv/rpm/nginx ] && up=26 || up=24; echo "nginx|0|1.$up|1.1|x86_64" >/srv/rpm/nginx;;
    remove-*) rm /srv/rpm/$name;;
    esac
done
[ "${name-}" != nginx=1.21 ] || exit 107
END
    chmod 755 /usr/bin/zypper
    look() { cat /srv/rpm/* | paste -sd' '; }
"#;

/// A task, how its run and a second one end, and what is there then.
type Step = (&'static str, &'static str, &'static str, &'static str);

const OF_APK: &[Step] = &[
    (
        "apk: {name: nginx, update_cache: true}",
        "changed",
        "ok",
        "musl-1.2.5-r0 pcre-8.45-r3 nginx-1.24-r0",
    ),
    (
        "apk: {name: 'nginx,musl', state: installed}",
        "ok",
        "ok",
        "musl-1.2.5-r0 pcre-8.45-r3 nginx-1.24-r0",
    ),
    (
        "apk: {name: nginx, state: latest}",
        "changed",
        "ok",
        "musl-1.2.5-r0 pcre-8.45-r3 nginx-1.26-r0",
    ),
    ("apk: {upgrade: true}", "changed", "ok", "musl-1.2.5-r0 pcre-8.45-r3 nginx-1.26-r1"),
    ("apk: {name: no-such}", "failed", "failed", "musl-1.2.5-r0 pcre-8.45-r3 nginx-1.26-r1"),
    ("package: {name: nginx, state: absent, use: apk}", "changed", "ok", "musl-1.2.5-r0"),
];

const OF_PACMAN: &[Step] = &[
    (
        "pacman: {name: [nginx, glibc], update_cache: true}",
        "changed",
        "ok",
        "glibc-2.39-1 nginx-1.26.0-2",
    ),
    ("pacman: {upgrade: true}", "changed", "ok", "glibc-2.39-1 nginx-1.26.1-1"),
    ("pacman: {name: no-such}", "failed", "failed", "glibc-2.39-1 nginx-1.26.1-1"),
    ("pacman: {name: nginx, state: removed}", "changed", "ok", "glibc-2.39-1"),
];

const OF_DNF: &[Step] = &[
    (
        "dnf: {name: [nginx-1.24, glibc.x86_64], enablerepo: epel, nobest: true}",
        "changed",
        "ok",
        "glibc|0|2.39|6.fc40|x86_64 nginx|1|1.24|3.fc40|x86_64",
    ),
    (
        "yum: {name: '1:nginx-1.24', state: present}",
        "ok",
        "ok",
        "glibc|0|2.39|6.fc40|x86_64 nginx|1|1.24|3.fc40|x86_64",
    ),
    (
        "dnf: {name: nginx, state: latest, update_cache: true}",
        "changed",
        "ok",
        "glibc|0|2.39|6.fc40|x86_64 nginx|1|1.26|1.fc40|x86_64",
    ),
    (
        "dnf: {name: '*', state: latest}",
        "ok",
        "ok",
        "glibc|0|2.39|6.fc40|x86_64 nginx|1|1.26|1.fc40|x86_64",
    ),
    (
        "dnf: {name: no-such}",
        "failed",
        "failed",
        "glibc|0|2.39|6.fc40|x86_64 nginx|1|1.26|1.fc40|x86_64",
    ),
    (
        "dnf: {name: [nginx, no-such], state: absent, autoremove: true}",
        "changed",
        "ok",
        "glibc|0|2.39|6.fc40|x86_64",
    ),
];

const OF_ZYPPER: &[Step] = &[
    (
        "zypper: {name: [nginx, glibc=2.38], refresh: true, auto_import_keys: true}",
        "changed",
        "ok",
        "glibc|0|2.38|150600.12.1|x86_64 nginx|0|1.24|1.1|x86_64",
    ),
    (
        "zypper: {name: nginx, state: latest}",
        "changed",
        "ok",
        "glibc|0|2.38|150600.12.1|x86_64 nginx|0|1.26|1.1|x86_64",
    ),
    (
        "zypper: {name: nginx=1.21, oldpackage: true, skip_post_errors: true}",
        "changed",
        "ok",
        "glibc|0|2.38|150600.12.1|x86_64 nginx|0|1.21|2.1|x86_64",
    ),
    (
        "zypper: {name: base, type: pattern}",
        "changed",
        "ok",
        "glibc|0|2.38|150600.12.1|x86_64 nano|0|7.2|1.1|x86_64 nginx|0|1.21|2.1|x86_64",
    ),
    (
        "package: {name: nano, state: absent, use: community.general.zypper, clean_deps: true}",
        "changed",
        "ok",
        "glibc|0|2.38|150600.12.1|x86_64 nginx|0|1.21|2.1|x86_64",
    ),
    (
        "zypper: {name: no-such}",
        "failed",
        "failed",
        "glibc|0|2.38|150600.12.1|x86_64 nginx|0|1.21|2.1|x86_64",
    ),
    (
        "zypper: {name: '*', state: latest}",
        "ok",
        "ok",
        "glibc|0|2.38|150600.12.1|x86_64 nginx|0|1.21|2.1|x86_64",
    ),
    (
        "zypper: {name: '*', state: dist-upgrade, allow_vendor_change: true}",
        "changed",
        "ok",
        "glibc|0|2.38|150600.12.1|x86_64",
    ),
];

#[test]
fn packages_of_other_systems_become_what_tasks_say_and_only_once() {
    let mut script = APPLY.to_owned();
    for (stand_in, steps) in
        [(APK, OF_APK), (PACMAN, OF_PACMAN), (DNF, OF_DNF), (ZYPPER, OF_ZYPPER)]
    {
        script += stand_in;
        for (task, ..) in steps {
            let list = tasks(&format!("  - {task}\n"));
            script += &format!("{list}apply\nagain\necho STEP\nlook\n");
        }
    }
    let Some(said) = said_in_root(&script) else { return };
    let [dry, run, again] =
        ["DRY", "RUN", "AGAIN"].map(|kind| reports(&said, kind).collect::<Vec<_>>());
    let left: Vec<&str> =
        said.split("STEP\n").skip(1).map(|step| step.lines().next().unwrap()).collect();
    let steps = [OF_APK, OF_PACMAN, OF_DNF, OF_ZYPPER].concat();
    assert_eq!([dry.len(), run.len(), again.len(), left.len()], [steps.len(); 4], "{said}");
    let mut wrong = String::new();
    for (at, (task, first, second, expected)) in steps.iter().enumerate() {
        if run[at]["status"] != *first || again[at]["status"] != *second {
            wrong += &format!("{task}: {:#}\nagain: {:#}\n", run[at], again[at]);
        }
        let is_known = dry[at]["status"] == "unknown" || dry[at] == run[at];
        if !is_known {
            wrong += &format!("{task} foretells {:#}\n", dry[at]);
        }
        if left[at] != *expected {
            wrong += &format!("{task} leaves {}\n", left[at]);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
