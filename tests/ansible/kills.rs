//! A run that is killed before each of its steps leaves every file old or new, and the next run
//! finishes what it began, handlers included.

use crate::skip::skipped;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use tempfile::TempDir;

/// Everything by which a run changes something, its own records included.
const STEPS: &str = "inject=rename,renameat,renameat2,fsync,fdatasync,mkdir,mkdirat,unlink,unlinkat,\
    rmdir,symlink,symlinkat,link,linkat,chmod,fchmod,fchmodat,chown,fchown,fchownat,lchown,\
    ftruncate,truncate,setxattr,fsetxattr,utimensat:signal=KILL:when=";

const TASKS: &str = r#"
tasks:
  - {name: a place, file: {path: ROOT/place/below, state: directory, mode: '0750'}}
  - {name: new, copy: {dest: ROOT/place/new, content: "new\n", mode: '0640'}}
  - {name: replaced, copy: {dest: ROOT/replaced, content: "second\n"}, notify: note it}
  - {name: rendered, template: {src: page.j2, dest: ROOT/page, mode: '0600', backup: true}, notify: note it}
  - {name: a line, lineinfile: {path: ROOT/lines, regexp: '^port', line: port = 2}}
  - {name: a block, blockinfile: {path: ROOT/lines, block: 'user = me'}, notify: note it}
  - {name: a word, replace: {path: ROOT/words, regexp: bad, replace: good}}
  - {name: a link, file: {path: ROOT/link, src: replaced, state: link, force: true}}
  - {name: permissions, file: {path: ROOT/secret, mode: '0400'}}
  - {name: touched, file: {path: ROOT/stamp, state: touch, modification_time: '202001010000.00', access_time: preserve}}
  - {name: gone, file: {path: ROOT/gone, state: absent}}
  - {name: a tree, copy: {src: tree/, dest: ROOT/tree}}
handlers:
  - {name: note it, copy: {dest: ROOT/noted, content: "yes\n"}}
"#;

/// What is there before: the name and what it holds.
const BEFORE: [(&str, &str); 6] = [
    ("replaced", "first\n"),
    ("lines", "host = a\nport = 1\n"),
    ("words", "a bad word\n"),
    ("secret", "s\n"),
    ("gone/inner", "x\n"),
    ("link", "in the way\n"),
];

/// What is there in the end.
const AFTER: [(&str, &str); 11] = [
    ("place/new", "new\n"),
    ("replaced", "second\n"),
    ("page", "hello\n"),
    (
        "lines",
        "host = a\nport = 2\n# BEGIN ANSIBLE MANAGED BLOCK\nuser = me\n# END ANSIBLE MANAGED BLOCK\n",
    ),
    ("words", "a good word\n"),
    ("link", "second\n"),
    ("secret", "s\n"),
    ("stamp", ""),
    ("tree/one", "1\n"),
    ("tree/sub/two", "2\n"),
    ("noted", "yes\n"),
];

struct Host(TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        let root = host.root();
        for (name, content) in BEFORE {
            write(&root.join(name), content);
        }
        symlink("nowhere", root.join("old")).unwrap();
        fs::set_permissions(root.join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
        let config = host.0.path().join("config");
        write(&config.join("agent.yml"), &format!("data_dir: {}/data\n", host.0.path().display()));
        write(&config.join("apply.yml"), &TASKS.replace("ROOT", root.to_str().unwrap()));
        write(&config.join("templates/page.j2"), "hello\n");
        write(&config.join("files/tree/one"), "1\n");
        write(&config.join("files/tree/sub/two"), "2\n");
        host
    }

    fn root(&self) -> PathBuf {
        self.0.path().join("root")
    }

    /// `driftless ARGUMENTS`, killed before step `at` where one is given.
    fn driftless(&self, arguments: &[&str], at: Option<usize>) -> Output {
        let program = env!("CARGO_BIN_EXE_driftless");
        let mut command = match at {
            None => Command::new(program),
            Some(step) => {
                let mut command = Command::new("strace");
                command.args(["-f", "-qq", "-o", "/dev/null", "-e"]);
                command.arg(format!("{STEPS}{step}")).arg(program);
                command
            }
        };
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env("HOME", self.0.path())
            .env("DRIFTLESS_RUN_DIR", self.0.path().join("run"))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// All files below the root, and what they hold; links are followed.
    fn files(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let mut ahead = vec![self.root()];
        while let Some(directory) = ahead.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    ahead.push(path);
                } else {
                    let name = path.strip_prefix(self.root()).unwrap().display().to_string();
                    found.insert(name, fs::read_to_string(&path).unwrap_or_default());
                }
            }
        }
        found
    }
}

fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Whether a run that is killed before step `at` ends by that; checks what it leaves.
fn is_killed(at: usize) -> bool {
    let host = Host::new();
    let output = host.driftless(&["apply", "config"], Some(at));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return false;
    }
    let half_way = host.files();
    for (name, content) in &half_way {
        let old = BEFORE.iter().find(|(known, _)| known == name);
        let new = AFTER.iter().find(|(known, _)| known == name);
        // A line and a block go into the same file, one after the other.
        let between = (name == "lines").then_some("host = a\nport = 2\n");
        let known: Vec<&str> =
            old.into_iter().chain(new).map(|(_, content)| *content).chain(between).collect();
        // Anything else is a temporary file, which nobody reads.
        assert!(
            known.is_empty() || known.contains(&content.as_str()),
            "killed before step {at}: {name} holds {content:?}\n{said}"
        );
    }
    for (name, _) in BEFORE.iter().filter(|(name, _)| *name != "gone/inner") {
        assert!(half_way.contains_key(*name), "killed before step {at}: {name} is lost\n{said}");
    }

    let next = host.driftless(&["apply", "config"], None);
    let said = format!("killed before step {at}: {next:?}");
    assert!(next.status.success(), "{said}");
    let mut files = host.files();
    files.retain(|name, _| name != "old");
    let wanted: BTreeMap<String, String> =
        AFTER.iter().map(|(name, content)| ((*name).to_owned(), (*content).to_owned())).collect();
    assert_eq!(files, wanted, "{said}");
    let mode = |name: &str| fs::metadata(host.root().join(name)).unwrap().permissions().mode();
    for (name, wanted) in [("place/below", 0o750), ("place/new", 0o640), ("secret", 0o400)] {
        assert_eq!(mode(name) & 0o7777, wanted, "{name}: {said}");
    }
    assert_eq!(mode("tree/sub") & 0o777, mode("tree") & 0o777, "{said}");
    assert_ne!(mode("tree") & 0o777, 0o700, "{said}");
    let last = host.driftless(&["apply", "config"], None);
    assert!(String::from_utf8_lossy(&last.stdout).contains("0 changed"), "{said}\n{last:?}");
    let verified = host.driftless(&["audit", "verify", "data"], None);
    assert!(verified.status.success(), "{said}\n{verified:?}");
    true
}

#[test]
fn a_run_that_is_killed_before_any_of_its_steps_is_finished_by_the_next() {
    let can_trace = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).output();
    if !can_trace.is_ok_and(|output| output.status.success()) {
        skipped("strace (Debian package strace) cannot trace here");
        return;
    }
    let (next, is_over) = (AtomicUsize::new(1), AtomicBool::new(false));
    let work = || {
        let mut killed = BTreeSet::new();
        while !is_over.load(Ordering::SeqCst) {
            let at = next.fetch_add(1, Ordering::SeqCst);
            if is_killed(at) {
                killed.insert(at);
            } else {
                is_over.store(true, Ordering::SeqCst);
            }
        }
        killed.len()
    };
    let killed: usize = thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(killed > 30, "only {killed} steps were found");
}
