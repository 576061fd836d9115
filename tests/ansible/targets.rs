//! Ansible's own integration targets, each as it is and in a root of its own.

use crate::booted;
use crate::fetched::fetched;
use crate::installed::has;
use crate::listed::listed;
use crate::playbooks::{PLAYBOOKS, Playbook};
use crate::skip::skipped;
use crate::stand_in::Files;
use crate::throwaway;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, thread};

/// Those about what Driftless does. Of the others most are about connections, inventories, Windows and
/// plug-ins in Python.
const TARGETS: &[&str] = &[
    "add_host",
    "assemble",
    "assert",
    "binary",
    "blockinfile",
    "changed_when",
    "command_shell",
    "copy",
    "failed_when",
    "file",
    "filter_core",
    "filter_mathstuff",
    "filter_urls",
    "filter_urlsplit",
    "find",
    "getent",
    "group",
    "ignore_errors",
    "include_import_tasks_nested",
    "include_parent_role_vars",
    "include_vars",
    "include_with_templating",
    "iptables",
    "known_hosts",
    "lineinfile",
    "lookup_csvfile",
    "lookup_dict",
    "lookup_file",
    "lookup_first_found",
    "lookup_indexed_items",
    "lookup_items",
    "lookup_lines",
    "lookup_list",
    "lookup_nested",
    "lookup_password",
    "lookup_pipe",
    "lookup_random_choice",
    "lookup_sequence",
    "lookup_subelements",
    "lookup_template",
    "lookup_together",
    "lookup_varnames",
    "lookup_vars",
    "loop-until",
    "loops",
    "module_defaults",
    "ping",
    "raw",
    "replace",
    "script",
    "service_facts",
    "shell",
    "slurp",
    "special_vars",
    "split",
    "stat",
    "task-timeout",
    "task_ordering",
    "tempfile",
    "template",
    "test_core",
    "test_files",
    "test_mathstuff",
    "test_uri",
    "unarchive",
    "undefined",
    "until",
    "user",
    "var_inheritance",
    "var_reserved",
    "yaml_parsing",
];

/// Those about packages, which get a repository of what they install.
const OF_PACKAGES: &[&str] =
    &["apt", "deb822_repository", "debconf", "dpkg_selections", "package", "package_facts", "pip"];

/// Those about services, which get a systemd that is at work.
const OF_SERVICES: &[&str] = &[CRON, "hostname", "service", "systemd"];

/// The one of them that installs what it tries.
const CRON: &str = "cron";

/// Roles that targets depend on.
const SETUP: [&str; 8] = [
    "prepare_tests",
    "setup_cron",
    "setup_deb_repo",
    "setup_gnutar",
    "setup_nobody",
    "setup_remote_constraints",
    "setup_remote_tmp_dir",
    "setup_test_user",
];

/// What `OF_PACKAGES` install, what the target `apt` does beside, and what `pip` does.
const STOCK: &str = include_str!("stock.sh");
const STOCK_OF_APT: &str = include_str!("stock_apt.sh");
const STOCK_OF_PIP: &str = include_str!("stock_pip.sh");

/// What Ansible's own test runner supplies: names of the host, a directory, and Python, whose place
/// some tasks ask for.
const PLAY: &str = "
- hosts: all
  ignore_errors: true
  vars:
    output_dir: /tmp/output
    ansible_python_interpreter: /usr/bin/python3
    ansible_python: {executable: /usr/bin/python3, version: {major: 3, minor: 11}}
    ansible_fips: false
  module_defaults:
    apt: {update_cache_retry_max_delay: 0} # what refuses is asked again at once
  roles: [TARGET]
";

const SCRIPT: &str = r"
    cp --recursive /share/config /srv/config
    mkdir /tmp/output
    # No package can be fetched; whether some are left from before must not count.
    rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
    STOCK
    cd /srv/config
    export OUTPUT_DIR=/tmp/output HOME=/root LANG=C.UTF-8
    code=0
    timeout 300 /share/driftless apply /srv/config --output json ARGS || code=$?
    # What was cut off has held nothing that it did not come to.
    [ $code != 124 ] || echo CUT-OFF
";

/// What is run.
#[derive(Clone, Copy)]
enum Subject {
    /// A target that is a role.
    Role(&'static str),
    /// The same with packages to install.
    WithPackages(&'static str),
    /// The same with systemd at work.
    WithServices(&'static str),
    /// A playbook of a target.
    Playbook(&'static Playbook),
}

/// What became of one target.
struct Outcome {
    /// Tasks that did not hold, by place, with what was said.
    failed: BTreeMap<String, String>,
    /// How many did what they should.
    held: usize,
}

#[test]
fn the_targets_of_ansible_hold_but_for_what_is_listed() {
    let Some(targets) = fetched("ansible-targets", ".") else { return };
    // What the targets themselves run; without it more would fail than is listed.
    let programs = ["getfacl", "git", "iptables", "openssl", "python3", "ssh-keygen", "zip"];
    if !programs.into_iter().all(has) || !has_pip() {
        return;
    }
    let roles = TARGETS.iter().map(|target| Subject::Role(target));
    let of_packages = OF_PACKAGES.iter().map(|target| Subject::WithPackages(target));
    let of_services = OF_SERVICES.iter().map(|target| Subject::WithServices(target));
    let books = PLAYBOOKS.iter().map(Subject::Playbook);
    let subjects: Vec<_> = of_packages.chain(of_services).chain(roles).chain(books).collect();
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    let work = || {
        while let Some(subject) = subjects.get(next.fetch_add(1, Ordering::SeqCst)) {
            let Some(outcome) = run(&targets, *subject) else { return };
            outcomes.lock().unwrap().push((*subject, outcome));
        }
    };
    thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let outcomes = outcomes.into_inner().unwrap();
    if outcomes.is_empty() {
        return;
    }
    judge(&outcomes);
}

/// Whether the host's own Python has what its packages are built with.
fn has_pip() -> bool {
    let load = "from importlib.util import find_spec
assert all(find_spec(it) for it in ['ensurepip', 'pip', 'setuptools', 'venv', 'wheel'])";
    let found = Command::new("/usr/bin/python3").args(["-c", load]).output();
    let has = found.is_ok_and(|output| output.status.success());
    if !has {
        skipped("Debian packages python3-pip, python3-setuptools, python3-venv, python3-wheel");
    }
    has
}

fn judge(outcomes: &[(Subject, Outcome)]) {
    let listed = listed();
    let mut told = String::new();
    let failed: BTreeMap<&String, &String> =
        outcomes.iter().flat_map(|(_, outcome)| &outcome.failed).collect();
    for (place, said) in &failed {
        if !listed.contains_key(place.as_str()) {
            writeln!(told, "held no longer: {place} | {said}").unwrap();
        }
    }
    for (place, reason) in &listed {
        let may_hold = reason.starts_with("at times: ");
        if !may_hold && !failed.keys().any(|failed| failed == place) {
            writeln!(told, "holds now, and is to be taken off the list: {place}").unwrap();
        }
    }
    for (subject, outcome) in outcomes {
        if outcome.held == 0 {
            writeln!(told, "nothing holds in {}", subject.shown()).unwrap();
        }
    }
    let held: usize = outcomes.iter().map(|(_, outcome)| outcome.held).sum();
    assert!(told.is_empty(), "{held} tasks and assertions hold\n{told}");
}

impl Subject {
    fn shown(self) -> String {
        match self {
            Self::Role(target) | Self::WithPackages(target) | Self::WithServices(target) => {
                format!("the target {target}")
            }
            Self::Playbook(playbook) => format!("{playbook:?}"),
        }
    }

    /// Makes a config of it.
    fn prepare(self, targets: &Path, config: &Path) {
        let target = match self {
            Self::Role(target) | Self::WithPackages(target) | Self::WithServices(target) => target,
            Self::Playbook(playbook) => return playbook.prepare(targets, config),
        };
        fs::create_dir_all(config.join("roles")).unwrap();
        let roles: BTreeSet<&str> = SETUP.into_iter().chain([target]).collect();
        for role in roles {
            copy(&targets.join(role), &config.join("roles").join(role));
        }
        fs::write(config.join("agent.yml"), "data_dir: /srv/data\n").unwrap();
        fs::write(config.join("apply.yml"), PLAY.replace("TARGET", target)).unwrap();
    }

    /// What the program is given beside the config, as a shell reads it.
    fn args(self) -> String {
        let args = match self {
            Self::Playbook(playbook) => playbook.args,
            _ => &[],
        };
        args.iter().map(|arg| format!("'{arg}' ")).collect()
    }

    /// How a file of the config is listed: below the target that it belongs to.
    fn listed(self, file: &Path) -> String {
        let listed = match self {
            Self::Playbook(playbook) => playbook.listed(file),
            _ => file.strip_prefix("roles").unwrap_or(file).to_owned(),
        };
        listed.display().to_string()
    }
}

/// `None` where this machine does not let us make roots.
fn run(targets: &Path, subject: Subject) -> Option<Outcome> {
    let share = tempfile::tempdir().unwrap();
    let config = share.path().join("config");
    fs::create_dir(&config).unwrap();
    subject.prepare(targets, &config);
    let files = Files::prepare(&config);
    let mut failed = BTreeMap::new();
    stand_in(&config, &files);

    let program = share.path().join("driftless");
    // A link, since the program is large and the share is on the same file system as a rule.
    if fs::hard_link(env!("CARGO_BIN_EXE_driftless"), &program).is_err() {
        fs::copy(env!("CARGO_BIN_EXE_driftless"), &program).unwrap();
    }
    let stock = match subject {
        Subject::WithPackages("apt") => STOCK.replace("MORE", STOCK_OF_APT),
        Subject::WithPackages("pip") => STOCK_OF_PIP.to_owned(),
        Subject::WithPackages(_) | Subject::WithServices(CRON) => STOCK.replace("MORE", ""),
        _ => String::new(),
    };
    let script = SCRIPT.replace("STOCK", &stock).replace("ARGS", &subject.args());
    let told = match subject {
        Subject::WithServices(_) => booted::run(&script, share.path())?,
        _ => {
            let output = throwaway::run(&script, share.path())?;
            String::from_utf8_lossy(&output.stdout).into_owned()
        }
    };
    assert!(!told.contains("CUT-OFF\n"), "{} took too long", subject.shown());
    let mut held = 0;
    for line in told.lines() {
        let Ok(report) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        let (Some(status), Some(place)) = (report["status"].as_str(), report["place"].as_str())
        else {
            continue;
        };
        let place = place.strip_prefix("/srv/config/").unwrap_or(place);
        let mut parts = place.rsplitn(3, ':').skip(1);
        let line: usize = parts.next().unwrap().parse().unwrap();
        let file = Path::new(parts.next().unwrap());
        if status != "failed" {
            held += usize::from(status != "skipped");
        } else if report["rescued"] == true || is_meant(&report) || files.may_fail(file, line) {
            held += 1;
        } else {
            let place = format!("{}:{}", subject.listed(file), files.original(file, line));
            failed.entry(place).or_insert_with(|| said(&report));
        }
    }
    Some(Outcome { failed, held })
}

/// Whether the target itself says that the task fails.
fn is_meant(report: &serde_json::Value) -> bool {
    report["task"].as_str().is_some_and(|name| name.contains("EXPECTED FAILURE"))
}

/// What a task said of its failure, or the first of its items that failed.
fn said(report: &serde_json::Value) -> String {
    let items = report["items"].as_array().into_iter().flatten();
    let of_item = items.filter(|item| item["status"] == "failed").map(|item| &item["message"]);
    let mut messages = std::iter::once(&report["message"]).chain(of_item);
    let text = messages.find_map(serde_json::Value::as_str).unwrap_or_default();
    let text = text.replace("/srv/config/roles/", "");
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

/// Lets what Driftless refuses to read fail when it runs.
fn stand_in(config: &Path, files: &Files) {
    // What is wrong in one place can hide what is wrong in another.
    let mut said = String::new();
    for _ in 0..6 {
        let output = Command::new(env!("CARGO_BIN_EXE_driftless"))
            .args(["validate", "--output", "json"])
            .arg(config)
            .env("HOME", config)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        if output.status.success() {
            return;
        }
        let complaints: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)));
        said = format!("{complaints:?}");
        let mut seen = BTreeSet::new();
        for complaint in complaints {
            let number = |key: &str| usize::try_from(complaint[key].as_u64().unwrap()).unwrap();
            let file = PathBuf::from(complaint["file"].as_str().unwrap());
            let file = file.strip_prefix(config).unwrap_or(&file).to_owned();
            let why = complaint["message"].as_str().unwrap();
            if seen.insert((file.clone(), number("line"))) {
                files.refuse(&file, number("line"), number("column"), why);
            }
        }
    }
    panic!("{} has mistakes that no task makes: {said}", config.display());
}

pub(super) fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("--recursive").arg(from).arg(to).status().unwrap();
    assert!(status.success(), "{}", from.display());
}
