//! Packages of Python, with the real pip, in roots of their own and from files that are made there.

use crate::accounts::{APPLY, reports, said_in_root, tasks};
use crate::installed::has;
use crate::skip::skipped;
use std::process::Command;

/// Packages of two versions without anything in them but what they are.
const WHEELS: &str = r#"
    mkdir -p /srv/wheels; cd /srv/wheels
    python3 - <<'END'
import zipfile
def wheel(name, version, needs=''):
    info = f'{name}-{version}.dist-info'
    with zipfile.ZipFile(f'{name}-{version}-py3-none-any.whl', 'w') as made:
        made.writestr(f'{name}.py', f'version = "{version}"\n')
        made.writestr(f'{info}/METADATA', f'Metadata-Version: 2.1\nName: {name.replace("_", "-")}\nVersion: {version}\n{needs}')
        made.writestr(f'{info}/WHEEL', 'Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
        made.writestr(f'{info}/RECORD', '')
for version in ['1.0', '1.1']:
    wheel('t_base', version)
    wheel('t_user', version, 'Requires-Dist: t-base\n')
END
    printf 't-base>=1.0 # of all\n--no-index\nt-user==1.0\n' >/srv/requirements.txt
    cd /srv/config
    look() { /srv/env/bin/pip list --format=freeze 2>/dev/null | grep ^t | tr '\n' ' ' || true; echo; }
"#;

const STEPS: &[(&str, &str)] = &[
    ("name: t-base, version: '1.0'", "t-base==1.0 "),
    ("name: [t_user], state: present", "t-base==1.0 t-user==1.1 "),
    ("name: T.Base, state: latest", "t-base==1.1 t-user==1.1 "),
    ("name: [t-user, 't-base>=1.0,<2'], state: absent", ""),
    ("requirements: ../srv/requirements.txt, chdir: /srv", "t-base==1.1 t-user==1.0 "),
];

fn task(args: &str) -> String {
    let where_from = if args.contains("absent") {
        ""
    } else {
        ", extra_args: --no-index --find-links /srv/wheels"
    };
    format!(
        "  - pip: {{{args}{where_from}, virtualenv: /srv/env, virtualenv_command: python3 -m venv}}\n"
    )
}

/// Whether Python can make environments here.
fn has_venv() -> bool {
    if !has("python3") {
        return false;
    }
    let found = Command::new("python3").args(["-c", "import ensurepip, venv"]).output().unwrap();
    if !found.status.success() {
        skipped("Python makes no environments (Debian package python3-venv)");
    }
    found.status.success()
}

#[test]
fn packages_of_python_become_what_a_task_says_and_only_once() {
    if !has_venv() {
        return;
    }
    let mut script = format!("{WHEELS}{APPLY}");
    for (args, _) in STEPS {
        script += &format!("{}apply\nagain\necho STEP $(look)\n", tasks(&task(args)));
    }
    // What is there already is found without a program.
    let found = "requirements: /srv/requirements.txt";
    script += &format!(
        "for program in python3 pip pip3; do printf '#!/bin/sh\\necho started >>/srv/started\\nexit 1\\n' >/srv/env/bin/$program; done
        {} PATH=/srv/env/bin:$PATH again; echo STARTED; cat /srv/started 2>/dev/null || true",
        tasks(&(task(found) + &task("name: no-such, state: absent")))
    );
    let Some(said) = said_in_root(&script) else { return };
    let left: Vec<&str> =
        said.lines().filter_map(|line| line.strip_prefix("STEP")).map(str::trim).collect();
    let [dry, run, again] =
        ["DRY", "RUN", "AGAIN"].map(|kind| reports(&said, kind).collect::<Vec<_>>());
    assert_eq!([dry.len(), run.len(), again.len()], [STEPS.len(), STEPS.len(), STEPS.len() + 2]);
    let mut wrong = String::new();
    for (at, (args, expected)) in STEPS.iter().enumerate() {
        if run[at]["status"] != "changed" || again[at]["status"] != "ok" {
            wrong += &format!("{args}: {:#}\nagain: {:#}\n", run[at], again[at]);
        }
        let is_known = args.contains("absent");
        if dry[at]["status"] != if is_known { "changed" } else { "unknown" }
            || is_known && dry[at] != run[at]
        {
            wrong += &format!("{args} foretells {:#}\nand does {:#}\n", dry[at], run[at]);
        }
        if left[at] != expected.trim() {
            wrong += &format!("{args} leaves {:?}, expected {expected:?}\n", left[at]);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let last: Vec<_> = again[STEPS.len()..].iter().map(|report| &report["status"]).collect();
    assert_eq!(last, ["ok", "ok"], "{said}");
    assert_eq!(said.split("STARTED\n").nth(1), Some(""));
}
