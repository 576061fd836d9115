//! Where packages come from, by which keys they are proven, and what they are answered when they ask:
//! with the real apt and debconf, in roots of their own.

use crate::accounts::{APPLY, reports, said_in_root, tasks};
use crate::installed::has;
use crate::packages::REPOSITORY;

/// A key in its armour.
const KEY: &str = include_str!("../../src/host/packages/public_key.asc");

/// What every step leaves behind, as its `look` tells.
const STEPS: &[(&str, &str, &str)] = &[
    (
        "deb822_repository: {name: Own_Repo  1, uris: 'file:/srv/repo', suites: ./, trusted: true, architectures: [amd64, i386]}",
        "cat /etc/apt/sources.list.d/own-repo-1.sources; stat -c %a /etc/apt/sources.list.d/own-repo-1.sources",
        "Architectures: amd64 i386\nX-Repolib-Name: Own_Repo  1\nSuites: ./\nTrusted: yes\nTypes: deb\nURIs: file:/srv/repo\n644\n",
    ),
    ("apt: {name: t-alone, update_cache: true}", "look", "t-alone 1.0 installed\n"),
    (
        "deb822_repository: {name: own-repo-1, enabled: false, types: [deb, deb-src], uris: 'http://e', suites: [a, b], components: 'main,non-free', signed_by: 'file:///srv/key.asc', mode: '0600'}",
        "cat /etc/apt/sources.list.d/own-repo-1.sources; cmp /srv/key.asc /etc/apt/keyrings/own-repo-1.asc; stat -c %a /etc/apt/keyrings/own-repo-1.asc",
        "Components: main non-free\nEnabled: no\nX-Repolib-Name: own-repo-1\nSigned-By: /etc/apt/keyrings/own-repo-1.asc\nSuites: a b\nTypes: deb deb-src\nURIs: http://e\n644\n",
    ),
    (
        "deb822_repository: {name: block, uris: 'http://e', suites: a/, signed_by: \"{{ lookup('file', '/srv/key.asc') }}\"}",
        "grep -A2 Signed /etc/apt/sources.list.d/block.sources",
        "Signed-By:\n    -----BEGIN PGP PUBLIC KEY BLOCK-----\n    .\n",
    ),
    (
        "deb822_repository: {name: own-repo-1, state: absent}",
        "ls /etc/apt/sources.list.d /etc/apt/keyrings",
        "/etc/apt/keyrings:\n\n/etc/apt/sources.list.d:\nblock.sources\n",
    ),
    ("deb822_repository: {name: block, state: absent}", "ls /etc/apt/sources.list.d", ""),
    (
        "apt_repository: {repo: 'deb  [trusted=yes] file:/srv/repo ./', mode: '0640'}",
        "cd /etc/apt/sources.list.d; grep . *; stat -c %a *; apt-cache policy t-base | grep -c 1.1",
        "deb [trusted=yes] file:/srv/repo ./\n640\n2\n",
    ),
    (
        "apt_repository: {repo: 'deb http://u:p@e.org/debian stable main', filename: mine, update_cache: false}",
        "cd /etc/apt/sources.list.d; grep . *",
        "file_srv_repo.list:deb [trusted=yes] file:/srv/repo ./\nmine.list:deb http://u:p@e.org/debian stable main\n",
    ),
    (
        "apt_repository: {repo: 'deb http://old.org/debian stable main', update_cache: false}",
        "cat /etc/apt/sources.list",
        "# deb cdrom:[Debian]/ stable main\ndeb http://old.org/debian stable main # kept\n",
    ),
    (
        "apt_repository: {repo: 'deb http://u:p@e.org/debian stable main', state: absent, update_cache: false}",
        "ls /etc/apt/sources.list.d",
        "file_srv_repo.list\n",
    ),
    (
        "apt_repository: {repo: 'ppa:team/tools', codename: jammy, state: absent, update_cache: false}",
        "cat /etc/apt/sources.list.d/*",
        "",
    ),
    ("apt_key: {file: /srv/key.asc}", "stat -c '%a %s' /etc/apt/trusted.gpg", "644 414\n"),
    (
        "apt_key: {id: 0ABD35168DC48615, state: absent}",
        "ls /etc/apt/trusted.gpg 2>&1 | grep -c 'No such'",
        "1\n",
    ),
    (
        "apt_key: {data: \"{{ lookup('file', '/srv/key.asc') }}\", id: '8DC48615', keyring: /etc/apt/trusted.gpg.d/own.gpg}",
        "stat -c '%a %s' /etc/apt/trusted.gpg.d/own.gpg",
        "644 414\n",
    ),
    (
        "debconf: {name: t-conf, question: t-conf/port, vtype: string, value: '8080'}",
        "debconf-show t-conf",
        "* t-conf/port: 8080\n",
    ),
    (
        "debconf: {name: t-conf, question: t-conf/really, vtype: boolean, value: yes, unseen: true}",
        "debconf-show t-conf | sort",
        "  t-conf/really: true\n* t-conf/port: 8080\n",
    ),
    (
        "debconf: {name: t-conf, question: t-conf/really, vtype: seen, value: true}",
        "debconf-show t-conf | sort",
        "* t-conf/port: 8080\n* t-conf/really: true\n",
    ),
    (
        "debconf: {name: t-conf, question: t-conf/many, vtype: multiselect, value: [b, a]}",
        "debconf-show t-conf | grep many",
        "* t-conf/many: a, b\n",
    ),
    (
        "debconf: {name: t-conf, question: t-conf/secret, vtype: password, value: not-to-be-shown}",
        "grep -A2 t-conf/secret /var/cache/debconf/passwords.dat | grep Value",
        "Value: not-to-be-shown\n",
    ),
];

fn prepared() -> String {
    format!(
        "{REPOSITORY}{APPLY}
        cat >/srv/key.asc <<'END'\n{KEY}END
        rm -rf /var/lib/apt/lists /etc/apt/keyrings /etc/apt/trusted.gpg /etc/apt/trusted.gpg.d/*
        printf '#  deb cdrom:[Debian]/ stable main\n#deb  http://old.org/debian   stable main#kept\n' >/etc/apt/sources.list
        sed -i 's/^#  deb cdrom/# deb cdrom/' /etc/apt/sources.list
        mkdir -p /var/lib/apt/lists/partial\n"
    )
}

#[test]
fn sources_keys_and_answers_are_what_tasks_say_as_foretold_and_only_once() {
    if !["apt-get", "dpkg-deb", "debconf-set-selections"].into_iter().all(has) {
        return;
    }
    let mut script = prepared();
    for (at, (task, look, _)) in STEPS.iter().enumerate() {
        if at == 10 {
            script += "echo 'deb https://ppa.launchpadcontent.net/team/tools/ubuntu jammy main' >/etc/apt/sources.list.d/file_srv_repo.list\n";
        }
        let look = format!("echo STEP; ({look}) || true; cd /srv/config; echo END");
        script += &format!("{}apply\nagain\n{look}\n", tasks(&format!("  - {task}\n")));
    }
    let Some(said) = said_in_root(&script) else { return };
    let left: Vec<&str> =
        said.split("STEP\n").skip(1).map(|step| step.split("END\n").next().unwrap()).collect();
    let [dry, run, again] =
        ["DRY", "RUN", "AGAIN"].map(|kind| reports(&said, kind).collect::<Vec<_>>());
    assert_eq!([dry.len(), run.len(), again.len()], [STEPS.len(); 3], "{said}");
    let mut wrong = String::new();
    for (at, (task, _, expected)) in STEPS.iter().enumerate() {
        if run[at]["status"] != "changed" || again[at]["status"] != "ok" {
            wrong += &format!("{task}: {:#}\nagain: {:#}\n", run[at], again[at]);
        }
        // Which packages a source has that is new is not known beforehand.
        if dry[at] != run[at] && !task.starts_with("apt: ") {
            wrong += &format!("{task} foretells {:#}\nand does {:#}\n", dry[at], run[at]);
        }
        if left[at] != *expected {
            wrong += &format!("{task} leaves {:?}, expected {expected:?}\n", left[at]);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let told = said.lines().filter(|line| ["DRY", "RUN"].iter().any(|it| line.starts_with(it)));
    assert!(told.into_iter().all(|line| !line.contains("not-to-be-shown")), "{said}");
}

#[test]
fn what_is_wrong_with_a_source_a_key_or_an_answer_is_foretold_and_changes_nothing() {
    if !["apt-get", "dpkg-deb", "debconf-set-selections"].into_iter().all(has) {
        return;
    }
    let wrong = [
        ("apt_repository: {repo: 'ppa:team/tools', codename: jammy}", "only with its key"),
        ("apt_repository: {repo: \"{{ 'http://e stable main' }}\"}", "neither `deb` nor `deb-src`"),
        ("apt_key: {file: /etc/passwd}", "there is no key in /etc/passwd"),
        ("apt_key: {file: /srv/key.asc, id: '0123456789ABCDEF'}", "and not 0123456789ABCDEF"),
        (
            "debconf: {name: t-conf, question: t-conf/none, vtype: seen, value: true}",
            "Cannot find a question",
        ),
        (
            "deb822_repository: {name: x, uris: 'http://e', signed_by: 'file:///no/such'}",
            "Could not fetch signed_by key",
        ),
    ];
    let list: String =
        wrong.iter().map(|(task, _)| format!("  - {task}\n    ignore_errors: true\n")).collect();
    let fails = "  - apt_repository: {repo: 'deb [trusted=yes] file:/no/such ./', update_cache_retries: 1}\n";
    let script = format!(
        "{} {} apply; echo LEFT; find /etc/apt -newer apply.yml -type f; echo END
        {} apply; find /etc/apt -name '*such*'",
        prepared(),
        tasks(&list),
        tasks(fails),
    );
    let Some(said) = said_in_root(&script) else { return };
    for kind in ["DRY", "RUN"] {
        let reports: Vec<_> = reports(&said, kind).collect();
        assert_eq!(reports.len(), wrong.len() + 1, "{said}");
        for (report, (task, expected)) in reports.iter().zip(wrong) {
            let message = report["message"].as_str().unwrap_or_default();
            assert_eq!(report["status"], "failed", "{kind}: {task}: {report:#}");
            assert!(message.contains(expected), "{kind}: {task}: {message}");
        }
    }
    assert!(said.contains("LEFT\nEND\n"), "{said}");
    let last = reports(&said, "RUN").last().unwrap();
    assert_eq!(last["status"], "failed", "{last:#}");
    assert!(said.trim_end().ends_with('}'), "the list is taken back: {said}");
}
