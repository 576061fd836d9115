//! Users and groups, held against the host's own tools: what Driftless leaves in a root is what
//! `useradd`, `usermod`, `groupadd` and their kin leave in another.

use crate::installed::has;
use crate::throwaway;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The day of the last change of a password is left out, and files that are copies of old ones.
const LOOK: &str = r"
    look() {
        for file in passwd group gshadow subuid subgid; do sed s/^/$file:\ / /etc/$file; done
        sed -E 's/^([^:]*:[^:]*):[0-9]*/\1:/; s/^/shadow: /' /etc/shadow
        find /home /srv/moved -printf '%p %y %m %U:%G %l\n' 2>/dev/null | sort || true
    }
";

/// The same done by a task and by the tools of the host, in this order.
const STEPS: &[(&str, &str)] = &[
    ("group: {name: ops, gid: 4000}", "groupadd -g 4000 ops"),
    ("group: {name: web, system: true}", "groupadd -r web"),
    ("group: {name: plain}", "groupadd plain"),
    ("group: {name: twice, gid: 4000, non_unique: true}", "groupadd -o -g 4000 twice"),
    (
        "group: {name: high, gid_min: 3000, gid_max: 3001}",
        "groupadd -K GID_MIN=3000 -K GID_MAX=3001 high",
    ),
    (
        "user: {name: deploy, comment: 'Deploy, of all', groups: 'ops,web', shell: /bin/bash, password: $6$a$b}",
        "useradd -m -c 'Deploy, of all' -G ops,web -s /bin/bash -p '$6$a$b' deploy",
    ),
    ("user: {name: svc, system: true, create_home: false}", "useradd -r -M svc"),
    ("user: {name: far, uid: 8000}", "useradd -m -u 8000 far"),
    ("user: {name: low, uid: 500}", "useradd -m -u 500 low"),
    ("user: {name: big, uid: 70000, group: ops}", "useradd -m -u 70000 -g ops big"),
    ("user: {name: bigger, uid: 70001}", "useradd -m -u 70001 bigger"),
    ("user: {name: sysbig, uid: 1500, system: true}", "useradd -r -m -u 1500 sysbig"),
    ("user: {name: syslow, uid: 97, system: true}", "useradd -r -m -u 97 syslow"),
    ("user: {name: twin, uid: 8000, non_unique: true}", "useradd -m -o -u 8000 twin"),
    ("user: {name: plain}", "useradd -m -N -g 100 plain"),
    ("user: {name: num, group: 4000, groups: [plain]}", "useradd -m -g ops -G plain num"),
    ("user: {name: private, umask: '077'}", "useradd -m -K UMASK=077 private"),
    (
        "user: {name: ranged, uid_min: 1600, uid_max: 1601}",
        "useradd -m -K UID_MIN=1600 -K UID_MAX=1601 ranged",
    ),
    (
        "user: {name: ending, expires: 2529881062, password_expire_account_disable: 15}",
        "useradd -m -e 2050-03-03 -f 15 ending",
    ),
    (
        "user: {name: empty, skeleton: /dev/null, home: /srv/moved/empty}",
        "mkdir -p /srv/moved; useradd -m -k /dev/null -d /srv/moved/empty empty",
    ),
    ("user: {name: deploy, shell: /bin/sh, comment: D}", "usermod -s /bin/sh -c D deploy"),
    ("user: {name: deploy, groups: [plain, ops]}", "usermod -G plain,ops deploy"),
    ("user: {name: deploy, groups: [web], append: true}", "usermod -a -G web deploy"),
    ("user: {name: deploy, password_lock: true}", "usermod -L deploy"),
    ("user: {name: deploy, password_lock: false}", "usermod -U deploy"),
    ("user: {name: deploy, password: $6$c$d}", "usermod -p '$6$c$d' deploy"),
    ("user: {name: deploy, expires: 2208988800}", "usermod -e 2040-01-01 deploy"),
    ("user: {name: deploy, expires: -1}", "usermod -e '' deploy"),
    (
        "user: {name: deploy, password_expire_min: 1, password_expire_max: 90, password_expire_warn: 5}",
        "chage -m 1 -M 90 -W 5 deploy",
    ),
    ("user: {name: deploy, password_expire_account_disable: 3}", "usermod -f 3 deploy"),
    ("user: {name: deploy, uid: 1700}", "usermod -u 1700 deploy"),
    ("user: {name: deploy, group: plain}", "usermod -g plain deploy"),
    (
        "user: {name: deploy, home: /srv/moved/deploy, move_home: true}",
        "usermod -d /srv/moved/deploy -m deploy",
    ),
    ("user: {name: deploy, groups: ''}", "usermod -G '' deploy"),
    ("group: {name: plain, gid: 4500}", "groupmod -g 4500 plain"),
    ("group: {name: web, state: absent}", "groupdel web"),
    ("user: {name: far, state: absent}", "userdel far"),
    ("user: {name: bigger, state: absent, remove: true}", "userdel -r bigger"),
    ("user: {name: num, state: absent, remove: true, force: true}", "userdel -r -f num"),
    ("group: {name: ops, state: absent, force: true}", "groupdel -f ops"),
    ("user: {name: after}", "useradd -m after"),
    ("user: {name: aftersys, system: true, create_home: false}", "useradd -r -M aftersys"),
];

/// `None` where this machine does not let us make roots.
pub(super) fn said_in_root(script: &str) -> Option<String> {
    said_in_root_with(script, &[])
}

/// The same with copies of these directories in `/share`: a root has a `/tmp` of its own, where they
/// may well lie.
pub(super) fn said_in_root_with(script: &str, directories: &[&Path]) -> Option<String> {
    let share = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for directory in directories {
        let copied = Command::new("cp").arg("-r").arg(directory).arg(share.path()).status();
        assert!(copied.unwrap().success(), "{} cannot be copied", directory.display());
    }
    let program = Path::new(env!("CARGO_BIN_EXE_driftless"));
    if fs::hard_link(program, share.path().join("driftless")).is_err() {
        fs::copy(program, share.path().join("driftless")).unwrap();
    }
    let script = format!(
        "export HOME=/root LANG=C.UTF-8; mkdir /srv/config; cd /srv/config
         echo 'data_dir: /srv/data' >agent.yml
         {LOOK} {script}"
    );
    let output = throwaway::run(&script, share.path())?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    Some(said)
}

/// A file of tasks, as a shell writes it.
pub(super) fn tasks(text: &str) -> String {
    format!("cat >apply.yml <<'END'\ntasks:\n{text}END\n")
}

/// Runs the list twice: first dry, then for good. What a dry run told and what a run told stand
/// behind `DRY` and `RUN`, and what a second run told behind `AGAIN`.
pub(super) const APPLY: &str = r"
    apply() {
        /share/driftless apply /srv/config --dry-run --output json | sed s/^/DRY\ / || true
        /share/driftless apply /srv/config --output json | sed s/^/RUN\ / || true
    }
    again() { /share/driftless apply /srv/config --output json | sed s/^/AGAIN\ / || true; }
";

/// The reports of a kind, without what differs from run to run.
pub(super) fn reports<'a>(
    said: &'a str,
    kind: &'a str,
) -> impl Iterator<Item = serde_json::Value> + 'a {
    let lines = said.lines().filter_map(move |line| line.strip_prefix(kind)?.strip_prefix(' '));
    lines.filter_map(|line| {
        let mut report: serde_json::Value = serde_json::from_str(line).unwrap();
        report.as_object_mut().unwrap().remove("duration_seconds");
        report.as_object_mut().unwrap().remove("duration");
        report.get("status").is_some().then_some(report)
    })
}

#[test]
fn what_tasks_leave_is_what_the_tools_of_the_host_leave() {
    if !["useradd", "usermod", "userdel", "groupadd", "groupmod", "groupdel", "chage"]
        .into_iter()
        .all(has)
    {
        return;
    }
    let mut ours = APPLY.to_owned();
    let mut theirs = String::new();
    for (task, command) in STEPS {
        ours += &format!("{}apply\nagain\necho STEP\nlook\n", tasks(&format!("  - {task}\n")));
        theirs += &format!("{command} >&2\necho STEP\nlook\n");
    }
    let (Some(ours), Some(theirs)) = (said_in_root(&ours), said_in_root(&theirs)) else { return };
    let steps = |said: &str| -> Vec<Vec<String>> {
        let is_state =
            |line: &&str| !["DRY ", "RUN ", "AGAIN "].iter().any(|it| line.starts_with(it));
        let said = said.lines().filter(is_state).collect::<Vec<_>>().join("\n");
        said.split("STEP\n").skip(1).map(|step| step.lines().map(str::to_owned).collect()).collect()
    };
    let (left, right) = (steps(&ours), steps(&theirs));
    assert_eq!(left.len(), STEPS.len());
    assert_eq!(right.len(), STEPS.len());
    for ((ours, theirs), (_, command)) in left.iter().zip(&right).zip(STEPS) {
        let only = |in_one: &[String], other: &[String]| {
            in_one.iter().filter(|line| !other.contains(line)).cloned().collect::<Vec<_>>()
        };
        assert_eq!(only(ours, theirs), only(theirs, ours), "after `{command}`");
        assert_eq!(ours, theirs, "the order of lines after `{command}`");
    }
    for ((task, _), (dry, run)) in
        STEPS.iter().zip(reports(&ours, "DRY").zip(reports(&ours, "RUN")))
    {
        assert_eq!(run["status"], "changed", "{task}: {run:#}");
        assert_eq!(dry, run, "foretold of {task}");
    }
    for (report, (task, _)) in reports(&ours, "AGAIN").zip(STEPS) {
        assert_eq!(report["status"], "ok", "a second run of {task}: {report:#}");
    }
    assert_eq!(reports(&ours, "AGAIN").count(), STEPS.len());
}

/// A task about a few users and groups that may or may not be there.
fn any_task() -> impl Strategy<Value = String> {
    let user = || prop::sample::select(vec!["a", "b", "c", "svc"]);
    let group = || prop::sample::select(vec!["g", "h", "a", "b"]);
    let extra = prop::sample::select(vec![
        "",
        ", shell: /bin/bash",
        ", comment: someone",
        ", uid: 2000",
        ", uid: 2001, non_unique: true",
        ", home: /srv/moved/x, move_home: true",
        ", create_home: false",
        ", system: true",
        ", password: $6$x$y, password_lock: true",
        ", password_lock: false",
        ", password: '!', update_password: on_create",
        ", expires: 1e9, password_expire_max: 30",
    ]);
    let groups = prop::sample::select(vec![
        "",
        ", groups: [g, h]",
        ", groups: h, append: true",
        ", groups: ''",
        ", group: g",
    ]);
    prop_oneof![
        6 => (user(), extra, groups).prop_map(|(user, extra, groups)| {
            format!("user: {{name: {user}{extra}{groups}}}")
        }),
        1 => (user(), any::<(bool, bool)>()).prop_map(|(user, (remove, force))| {
            format!("user: {{name: {user}, state: absent, remove: {remove}, force: {force}}}")
        }),
        2 => (group(), prop::option::of(2000..2003)).prop_map(|(group, gid)| match gid {
            Some(gid) => format!("group: {{name: {group}, gid: {gid}}}"),
            None => format!("group: {{name: {group}, system: true}}"),
        }),
        1 => (group(), any::<bool>()).prop_map(|(group, force)| {
            format!("group: {{name: {group}, state: absent, force: {force}}}")
        }),
        2 => (user(), group()).prop_map(|(user, group)| {
            format!("file: {{path: /srv/of, state: touch, owner: {user}, group: {group}, modification_time: preserve, access_time: preserve}}")
        }),
        1 => user().prop_map(|user| {
            format!("authorized_key: {{user: {user}, key: ssh-rsa AAAA {user}}}")
        }),
        1 => user().prop_map(|user| {
            format!("getent: {{database: passwd, key: {user}, fail_key: false}}")
        }),
    ]
}

#[test]
fn a_dry_run_foretells_any_list_of_tasks_about_users_as_the_run_does_it() {
    const LISTS: usize = 25;
    let mut runner = TestRunner::deterministic();
    let lists = prop::collection::vec(any_task(), 4..12);
    let mut script = APPLY.to_owned();
    let mut texts = Vec::new();
    for _ in 0..LISTS {
        let list = lists.new_tree(&mut runner).unwrap().current();
        let text: String =
            list.iter().map(|task| format!("  - {task}\n    ignore_errors: true\n")).collect();
        script += &format!("{}echo LIST\napply\ngrpck -r >&2\nchecked=$(look)\n", tasks(&text));
        texts.push(text);
    }
    let Some(said) = said_in_root(&script) else { return };
    let told: Vec<&str> = said.split("LIST\n").skip(1).collect();
    assert_eq!(told.len(), LISTS);
    let mut changed = 0;
    for (text, said) in texts.iter().zip(told) {
        let (dry, run): (Vec<_>, Vec<_>) =
            (reports(said, "DRY").collect(), reports(said, "RUN").collect());
        assert_eq!(run.len(), text.lines().count() / 2, "{text}");
        for (dry, run) in dry.iter().zip(&run) {
            assert_eq!(dry, run, "{text}");
        }
        changed += run.iter().filter(|report| report["status"] == "changed").count();
    }
    assert!(changed > LISTS * 2, "only {changed} tasks did something");
}

/// Users with all that a run makes for them, and what follows when one changes.
const LISTS: [&str; 3] = [
    "  - group: {name: ops, gid: 4000}
  - user: {name: deploy, groups: ops, password: $6$a$bcdefgh, shell: /bin/bash}
  - authorized_key: {user: deploy, key: ssh-rsa AAAA deploy}
",
    "  - user: {name: deploy, uid: 1700, home: /srv/moved/deploy, move_home: true, groups: '', shell: /bin/sh}
  - group: {name: ops, gid: 4001}
",
    "  - user: {name: deploy, state: absent, remove: true}
  - group: {name: ops, state: absent}
",
];

/// What a run writes by.
const WRITES: &str = "rename,renameat,renameat2,mkdir,mkdirat,unlink,unlinkat,rmdir,symlink,\
    symlinkat,chmod,fchmod,fchmodat,chown,fchown,fchownat,lchown,utimensat";

#[test]
fn a_run_that_is_killed_before_any_of_its_steps_is_finished_by_the_next() {
    if !has("strace") {
        return;
    }
    let mut script = "strace -qq -o /dev/null true 2>/dev/null || { echo no trace; exit 0; }
        export DRIFTLESS_RUN_DIR=/srv/run; saved() { mkdir -p $1; cp --archive /etc/passwd /etc/shadow /etc/group \
        /etc/gshadow /etc/subuid /etc/subgid $1; cp --archive /home $1; mkdir -p /srv/moved; cp --archive /srv/moved $1; }
        restore() { rm -rf /home/* /srv/moved /srv/data; cp --archive $1/home/. /home; cp --archive $1/moved /srv; \
        cp --archive $1/passwd $1/shadow $1/group $1/gshadow $1/subuid $1/subgid /etc; }
        "
    .to_owned();
    for (number, list) in LISTS.iter().enumerate() {
        script += &format!(
            "{}saved /srv/before{number}
            /share/driftless apply /srv/config >&2; look >/tmp/wanted; saved /srv/after{number}
            step=1
            while :; do
                restore /srv/before{number}
                if strace -f -qq -o /dev/null -e inject={WRITES}:signal=KILL:when=$step \
                    /share/driftless apply /srv/config >/dev/null 2>&1; then break; fi
                /share/driftless apply /srv/config >/tmp/said 2>&1 || true
                look >/tmp/found
                if ! cmp --silent /tmp/wanted /tmp/found; then
                    echo \"LOST list {number}, killed before step $step\"; diff /tmp/wanted /tmp/found; cat /tmp/said
                    break
                fi
                step=$((step + 1))
            done
            echo KILLED $((step - 1)); restore /srv/after{number}\n",
            tasks(list)
        );
    }
    let Some(said) = said_in_root(&script) else { return };
    if said.contains("no trace") {
        return crate::skip::skipped("strace (Debian package strace) cannot trace here");
    }
    assert!(!said.contains("LOST"), "{said}");
    let killed: Vec<usize> =
        said.lines().filter_map(|line| line.strip_prefix("KILLED ")?.parse().ok()).collect();
    assert!(killed.len() == LISTS.len() && killed.iter().all(|killed| *killed > 5), "{killed:?}");
}

#[test]
fn a_second_run_opens_nothing_for_writing_and_no_hash_is_seen_anywhere() {
    if !has("strace") {
        return;
    }
    let script = format!(
        "strace -qq -o /dev/null true 2>/dev/null || {{ echo no trace; exit 0; }}
        {}/share/driftless apply /srv/config --dry-run --output json >/tmp/dry || true
        /share/driftless apply /srv/config --diff >/tmp/run
        strace -f -qq -y -o /tmp/trace -e trace=%file,%desc,%process /share/driftless apply /srv/config >/tmp/again
        grep --extended-regexp '(O_WRONLY|O_RDWR|O_CREAT|rename|unlink|mkdir|chmod|chown|setxattr).*\"/(etc|home)' /tmp/trace || true
        if grep 'execve(' /tmp/trace | tail -n +2 | grep .; then exit 1; fi
        grep --count ' 0 changed\\|^3 ok' /tmp/again
        grep --recursive --files-with-matches --fixed-strings bcdefgh /tmp/dry /tmp/run /tmp/again /srv/data || echo NOWHERE
        grep --count '\\*\\*\\*' /tmp/run",
        tasks(LISTS[0])
    );
    let Some(said) = said_in_root(&script) else { return };
    if said.contains("no trace") {
        return crate::skip::skipped("strace (Debian package strace) cannot trace here");
    }
    assert_eq!(said, "1\nNOWHERE\n1\n", "{said}");
}

#[test]
fn a_home_moves_to_another_file_system_whole_whenever_the_run_is_killed() {
    if !has("strace") {
        return;
    }
    let list = "  - user: {name: deploy, home: /run/far/deploy, move_home: true}\n";
    // Names of the file system, times and numbers of inodes are not what counts.
    let script = format!(
        "strace -qq -o /dev/null true 2>/dev/null || {{ echo no trace; exit 0; }}
        export DRIFTLESS_RUN_DIR=/srv/run
        whole() {{ (cd $1 2>/dev/null && find . -printf '%p %y %m %U:%G %T@ %n %l\n' | sort && cat f/one) || echo none; }}
        useradd -m deploy; mkdir -m 700 /home/deploy/f; echo text >/home/deploy/f/one; ln /home/deploy/f/one /home/deploy/two
        ln -s nowhere /home/deploy/link; mkfifo -m 640 /home/deploy/pipe; chown -R deploy:deploy /home/deploy
        mkdir /srv/before; cp --archive /etc/passwd /etc/shadow /home /srv/before
        whole /home/deploy >/tmp/wanted
        {}step=1
        while :; do
            rm -rf /run/far /home/deploy /home/.driftless*; cp --archive /srv/before/home/deploy /home; cp --archive /srv/before/passwd /etc
            if strace -f -qq -o /dev/null -e inject={WRITES},mknodat,link,linkat:signal=KILL:when=$step \
                /share/driftless apply /srv/config >/tmp/said 2>&1; then break; fi
            whole /home/deploy >/tmp/old; whole /run/far/deploy >/tmp/new
            if ! cmp -s /tmp/old /tmp/wanted && ! cmp -s /tmp/new /tmp/wanted; then echo \"LOST before step $step\"; cat /tmp/old /tmp/new; break; fi
            if [ -e /run/far/deploy ] && ! cmp -s /tmp/new /tmp/wanted; then echo \"LOST HALF at step $step\"; cat /tmp/new; fi
            /share/driftless apply /srv/config >/tmp/said 2>&1 || {{ echo \"LOST next run, step $step\"; cat /tmp/said; break; }}
            whole /run/far/deploy >/tmp/new
            cmp -s /tmp/new /tmp/wanted || {{ echo \"LOST after step $step\"; cat /tmp/new; break; }}
            [ -z \"$(ls -d /home/.driftless* /run/far/.driftless* 2>/dev/null)\" ] || {{ echo \"LOST litter of step $step\"; break; }}
            step=$((step + 1))
        done
        whole /run/far/deploy | cmp - /tmp/wanted && [ ! -e /home/deploy ] && echo KILLED $step\n",
        tasks(list)
    );
    let Some(said) = said_in_root(&script) else { return };
    if said.contains("no trace") {
        return crate::skip::skipped("strace (Debian package strace) cannot trace here");
    }
    assert!(!said.contains("LOST"), "{said}");
    let killed = said.lines().find_map(|line| line.strip_prefix("KILLED ")?.parse::<u32>().ok());
    assert!(killed.is_some_and(|killed| killed > 5), "{said}");
}
