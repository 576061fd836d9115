//! What somebody changes is put right at once, by the tasks that it concerns and by no others.

use super::host::{Host, records, wait_until};
use super::skip::skipped;
use nix::sys::fanotify::{EventFFlags, Fanotify, InitFlags};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// So rarely is everything checked that what is put right was heard of.
const TASKS: &str = "
interval: 1h
watch: true
tasks:
  - name: a place
    file: {path: ROOT/place, state: directory, mode: '0755'}
  - name: settings
    copy: {dest: ROOT/place/app.conf, content: \"workers = 2\\n\", mode: '0644'}
    register: settings
    notify: reload
  - name: a page
    template: {src: page.j2, dest: ROOT/page, mode: '0640'}
  - name: who may read the log
    file: {path: ROOT/log, state: file, mode: '0640'}
  - name: what follows from the settings
    copy: {dest: ROOT/follows, content: \"{{ 'changed' if settings is changed else 'as it was' }}\"}
  - name: a link
    file: {src: ROOT/page, dest: ROOT/link, state: link}
  - name: said once
    command: sh -c 'echo said >> ROOT/said'
handlers:
  - name: reload
    command: sh -c 'echo reloaded >> ROOT/reloaded'
";

fn host() -> Host {
    let host = Host::new(TASKS);
    host.configure("templates/page.j2", "<p>{{ 1 + 1 }}</p>\n");
    host.write("log", "first\n");
    host
}

/// The tasks that ran for the sake of something that had drifted, in order.
fn repairs(host: &Host) -> Vec<String> {
    let all = records(&host.chain());
    let drifted = all.iter().filter(|record| record["cause"] == "drift");
    drifted.map(|record| record["task"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_is_changed_by_hand_is_put_right_at_once_by_the_tasks_that_it_concerns() {
    let host = host();
    let agent = host.agent(&[]);
    wait_until("the first run is over", || host.read("reloaded") == "reloaded\n");
    assert_eq!(host.read("follows"), "changed");
    wait_until("the first run is on record", || records(&host.chain()).len() == 8);
    assert_eq!(repairs(&host), [""; 0], "its own writes trigger nothing");

    host.write("place/app.conf", "by hand\n");
    wait_until("the settings are back", || host.read("place/app.conf") == "workers = 2\n");
    wait_until("who must know is told", || host.read("reloaded") == "reloaded\nreloaded\n");
    wait_until("both are on record", || repairs(&host).len() > 1);
    assert_eq!(repairs(&host), ["settings", "reload"], "what it registers is what it was");

    fs::set_permissions(host.path("log"), Permissions::from_mode(0o666)).unwrap();
    let mode = |name| fs::metadata(host.path(name)).unwrap().permissions().mode() & 0o777;
    wait_until("the log is for its readers alone", || mode("log") == 0o640);

    fs::remove_file(host.path("link")).unwrap();
    wait_until("the link is back", || host.path("link").is_symlink());

    fs::rename(host.path("place"), host.path("elsewhere")).unwrap();
    wait_until("all of the place is back", || host.read("place/app.conf") == "workers = 2\n");
    wait_until("the place is watched again", || host.read("reloaded").lines().count() == 3);
    host.write("place/app.conf", "by hand\n");
    wait_until("it is put right again", || host.read("place/app.conf") == "workers = 2\n");

    host.configure("templates/page.j2", "<p>{{ 2 + 2 }}</p>\n");
    wait_until("the page is made anew", || host.read("page") == "<p>4</p>\n");
    assert!(agent.stop().success());
    let log = host.agent_log();
    assert!(log.contains("drift repaired"), "{log}");
}

#[test]
fn what_concerns_no_task_runs_none() {
    let host = host();
    let agent = host.agent(&[]);
    wait_until("the first run is on record", || records(&host.chain()).len() == 8);
    for at in 0..20 {
        let mut log = fs::File::options().append(true).open(host.path("log")).unwrap();
        std::io::Write::write_all(&mut log, format!("line {at}\n").as_bytes()).unwrap();
        host.write("nobody's", &at.to_string());
        sleep(Duration::from_millis(10));
    }
    // Something that does concern one shows that all before it has been heard.
    host.write("page", "by hand\n");
    wait_until("the page is back", || host.read("page") == "<p>2</p>\n");
    wait_until("that is on record", || !repairs(&host).is_empty());
    assert_eq!(repairs(&host), ["a page"]);
    assert!(agent.stop().success());
}

#[test]
fn who_fights_with_it_is_named_and_finds_it_ever_slower() {
    let host = host();
    let agent = host.agent(&[]);
    wait_until("the first run is on record", || records(&host.chain()).len() == 8);
    let begun = Instant::now();
    let mut won = 0;
    while begun.elapsed() < Duration::from_secs(3) {
        if host.read("page") != "by hand\n" {
            host.write("page", "by hand\n");
            won += 1;
        }
        sleep(Duration::from_millis(1));
    }
    assert!((4..=6).contains(&won), "three times at once, then after 1 and 2 seconds: {won}");
    wait_until("the last word is ours", || host.read("page") == "<p>2</p>\n");
    assert!(agent.stop().success());
    let log = host.agent_log();
    let fights = log.lines().filter(|line| line.contains("somebody keeps changing")).count();
    assert_eq!(fights, 1, "{log}");
}

/// Writes to a file, and stays for as long as this value does.
struct Stranger(Child);

impl Stranger {
    fn writes(host: &Host, name: &str) -> Self {
        let script = "echo by hand > \"$0\" && read -r line";
        let path = host.path(name);
        let mut command = Command::new("sh");
        Self(command.arg("-c").arg(script).arg(path).stdin(Stdio::piped()).spawn().unwrap())
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().ok();
    }
}

#[test]
fn who_has_changed_a_file_is_named_with_its_program_and_its_user() {
    if let Err(error) = Fanotify::init(InitFlags::FAN_CLASS_NOTIF, EventFFlags::O_RDONLY) {
        return skipped(&format!("this machine does not let us listen by fanotify: {error}"));
    }
    let audit = "audit:\n  - file: {path: ROOT/audit.jsonl}\n";
    let host = Host::new(&format!("{TASKS}{audit}"));
    host.configure("templates/page.j2", "<p>{{ 1 + 1 }}</p>\n");
    host.write("log", "first\n");
    let agent = host.agent(&[]);
    wait_until("the first run is on record", || records(&host.chain()).len() == 8);
    host.write("follows", "by hand\n");
    wait_until("a repair shows that the agent listens", || !repairs(&host).is_empty());
    let stranger = Stranger::writes(&host, "place/app.conf");
    wait_until("it is on record", || repairs(&host).contains(&"settings".into()));
    let sent = || records(&host.path("audit.jsonl"));
    let is_repair =
        |record: &serde_json::Value| record["cause"] == "drift" && record["task"] == "settings";
    wait_until("the record has left", || sent().iter().any(is_repair));
    let record = sent().into_iter().find(is_repair).unwrap();
    let exe = fs::read_link(format!("/proc/{}/exe", stranger.0.id())).unwrap();
    let writer = serde_json::json!({
        "path": host.path("place/app.conf"),
        "pid": stranger.0.id(),
        "exe": exe,
        "uid": nix::unistd::getuid().as_raw(),
    });
    assert_eq!(record["changed_by"], serde_json::json!([writer]));
    wait_until("status says so", || {
        let status = host.driftless(&["status", "--config", "config", "--output", "json"]);
        let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
        let drifted = status["apply"]["drifted"].as_array().unwrap();
        let pid = format!("by pid {} ", stranger.0.id());
        drifted.iter().any(|task| task.as_str().unwrap().contains(&pid))
    });

    // Who changes rights alone is not told, and nobody else is blamed for it.
    fs::set_permissions(host.path("page"), Permissions::from_mode(0o666)).unwrap();
    wait_until("that is on record", || repairs(&host).contains(&"a page".into()));
    let all = records(&host.chain());
    let page = all.iter().rfind(|record| record["task"] == "a page").unwrap();
    assert_eq!(page.get("changed_by"), None, "{page}");
    assert!(agent.stop().success());
    let log = host.agent_log();
    let words = format!("app.conf by pid {} ({}) of uid ", stranger.0.id(), exe.display());
    assert!(log.contains(&words), "{log}");
}

#[test]
fn where_the_kernel_does_not_say_who_it_was_it_is_repaired_all_the_same() {
    let host = host();
    let agent = host.deaf_agent();
    wait_until("the first run is on record", || records(&host.chain()).len() == 8);
    let _stranger = Stranger::writes(&host, "place/app.conf");
    wait_until("it is on record", || repairs(&host).contains(&"settings".into()));
    assert_eq!(host.read("place/app.conf"), "workers = 2\n");
    let all = records(&host.chain());
    assert!(all.iter().all(|record| record.get("changed_by").is_none()), "{all:?}");
    assert!(agent.stop().success());
    let log = host.agent_log();
    assert_eq!(log.matches("it cannot be told which process changes a file").count(), 1, "{log}");
    assert!(log.contains("CAP_SYS_ADMIN"), "{log}");
}
