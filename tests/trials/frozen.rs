//! A mount that hangs, as that of a dead file server does: bindfs, stopped and let go again.
//!
//! The mount is in the agent's own mount namespace alone. The test looks at the directory behind.

use super::installed::has;
use super::oracle::{Oracle, Verdict};
use super::process::Process;
use super::rig::{Rig, content, free_port, scrape};
use super::scale;
use super::skip::skipped;
use super::writer::Writer;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Mounts `$1` at `$2`, writes the process that serves it to `$3`, and becomes the rest. The server
/// dies with it.
const MOUNT: &str = r#"
    setpriv --pdeathsig KILL bindfs -f "$1" "$2" & server=$!
    for _ in $(seq 500); do mountpoint -q "$2" && break; sleep 0.01; done
    mountpoint -q "$2" || exit 1
    echo $server >"$3.new" && mv "$3.new" "$3"
    shift 3
    exec "$@"
"#;

fn mounting(behind: &Path, mount: &Path, pid: &Path) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "bash", "-c", MOUNT, "frozen"])
        .args([behind, mount, pid]);
    command
}

/// A rig with a directory `mount` that can hang, which is `behind` otherwise.
struct Frozen {
    rig: Rig,
    port: u16,
}

impl Frozen {
    /// `None`, and a line that says why, where no such mount can be made.
    fn new(topology: &str) -> Option<Self> {
        if !has("bindfs") {
            return None;
        }
        let port = free_port();
        let rig = Rig::new(&topology.replace("PORT", &port.to_string()));
        rig.settings("shutdown_timeout: 2s\n");
        for name in ["mount", "behind"] {
            fs::create_dir(rig.path(name)).unwrap();
        }
        let it = Self { rig, port };
        let mut trial = it.mounting();
        trial.arg("true").stdout(Stdio::null()).stderr(Stdio::null());
        if !trial.status().is_ok_and(|status| status.success()) {
            skipped("FUSE in a mount namespace of its own is not possible here");
            return None;
        }
        Some(it)
    }

    fn mounting(&self) -> Command {
        let path = |name| self.rig.path(name);
        mounting(&path("behind"), &path("mount"), &path("server"))
    }

    fn start(&self) -> Process {
        fs::remove_file(self.rig.path("server")).ok();
        let agent = self.rig.start_by(self.mounting());
        self.rig.wait_until("it is mounted", || self.rig.path("server").exists());
        agent
    }

    fn signal(&self, signal: Signal) {
        let server = fs::read_to_string(self.rig.path("server")).unwrap();
        kill(Pid::from_raw(server.trim().parse().unwrap()), signal).unwrap();
    }

    /// How long a scrape takes; it must be a good one.
    fn scrape(&self) -> Duration {
        let begun = Instant::now();
        let answer = scrape(self.port);
        assert!(answer.contains("driftless_component_received"), "{answer}");
        begun.elapsed()
    }

    /// Stops the agent, whose mount hangs; it must not wait for that.
    fn stop(&self, agent: &Process) {
        let begun = Instant::now();
        agent.stop();
        assert!(begun.elapsed() < Duration::from_secs(8), "it took {:?}", begun.elapsed());
    }
}

#[test]
fn sinks_on_a_mount_that_hangs_hold_up_nobody_else() {
    // More than there are threads for anything, so that each must have its own.
    const SINKS: usize = 20;
    let mut topology = "sources:\n  app: {type: file, include: ['{dir}/logs/app.log']}\n  \
         other: {type: file, include: ['{dir}/logs/other.log']}\n  self: {type: internal_metrics}\n\
         sinks:\n  scrape: {type: prometheus, inputs: [self], listen: '127.0.0.1:PORT'}\n  \
         sibling: {type: file, inputs: [app], path: '{dir}/out/sibling.log', sync: never}\n  \
         got_other: {type: file, inputs: [other], path: '{dir}/out/other.log', sync: never}\n"
        .to_owned();
    for sink in 0..SINKS {
        topology += &format!(
            "  away{sink}: {{type: file, inputs: [app], path: '{{dir}}/mount/{sink}.log', \
             buffer: {{type: disk, max_bytes: 200MiB}}}}\n"
        );
    }
    let Some(frozen) = Frozen::new(&topology) else { return };
    let rig = &frozen.rig;
    let rate = scale().bytes_per_second / 4;
    let mut app = Writer::start(1, &rig.path("logs/app.log"), rate);
    let mut other = Writer::start(2, &rig.path("logs/other.log"), rate);
    let out = |name: &str, writer| Oracle::of(&content(&rig.path("out"), name)).distinct(writer);
    let away = |sink: usize| Oracle::of(&content(&rig.path("behind"), &format!("{sink}.log")));
    let agent = frozen.start();
    for ending in [false, true] {
        let first = away(SINKS - 1).distinct(1);
        rig.wait_until("the mount gets lines", || away(SINKS - 1).distinct(1) > first);
        frozen.signal(Signal::SIGSTOP);
        // Whatever was under way when it froze does not count; what is written from now on does.
        for _ in 0..2 {
            let (app, other) = (app.written(), other.written());
            rig.wait_until("the sibling goes on", || out("sibling", 1) > app + 100);
            rig.wait_until("the other goes on", || out("other", 2) > other + 100);
            assert!(frozen.scrape() < Duration::from_secs(2));
        }
        if ending {
            frozen.stop(&agent);
        } else {
            frozen.signal(Signal::SIGCONT);
        }
    }
    let written = [(1, app.stop()), (2, other.stop())];
    let agent = frozen.start();
    for sink in 0..SINKS {
        rig.wait_until("the mount gets everything", || away(sink).distinct(1) == written[0].1);
    }
    rig.wait_until("so do the others", || {
        out("sibling", 1) == written[0].1 && out("other", 2) == written[1].1
    });
    assert!(agent.stop().success(), "{}", rig.said());
    let all = |sink| {
        let verdict = away(sink).verdict(&written[..1]);
        // What was on its way to the mount when the agent was cut off from it may be there in part,
        // and again.
        Verdict { doubled: 0, damaged: verdict.damaged.saturating_sub(1), ..verdict }
    };
    assert!((0..SINKS).all(|sink| all(sink) == Verdict::default()), "{:?}", all(0));
    let sibling = Oracle::of(&content(&rig.path("out"), "sibling")).verdict(&written[..1]);
    assert_eq!(sibling, Verdict::default());
}

#[test]
fn a_source_on_a_mount_that_hangs_holds_up_nobody_else_and_loses_nothing() {
    let Some(frozen) = Frozen::new(
        "sources:\n  away: {type: file, include: ['{dir}/mount/*.log']}\n  \
         other: {type: file, include: ['{dir}/logs/*.log']}\n  self: {type: internal_metrics}\n\
         sinks:\n  scrape: {type: prometheus, inputs: [self], listen: '127.0.0.1:PORT'}\n  \
         got_away: {type: file, inputs: [away], path: '{dir}/out/away.log', sync: never}\n  \
         got_other: {type: file, inputs: [other], path: '{dir}/out/other.log', sync: never}\n",
    ) else {
        return;
    };
    let rig = &frozen.rig;
    let rate = scale().bytes_per_second / 2;
    let mut away = Writer::start(1, &rig.path("behind/app.log"), rate);
    let mut other = Writer::start(2, &rig.path("logs/other.log"), rate);
    let out = |name: &str| Oracle::of(&content(&rig.path("out"), name));
    let agent = frozen.start();
    for ending in [false, true] {
        let first = away.written();
        rig.wait_until("the mount is read", || out("away").distinct(1) > first);
        frozen.signal(Signal::SIGSTOP);
        for _ in 0..2 {
            let written = other.written();
            rig.wait_until("the other goes on", || out("other").distinct(2) > written + 100);
            assert!(frozen.scrape() < Duration::from_secs(2));
        }
        if ending {
            frozen.stop(&agent);
        } else {
            frozen.signal(Signal::SIGCONT);
        }
    }
    let written = [(1, away.stop()), (2, other.stop())];
    let agent = frozen.start();
    rig.wait_until("everything is read", || {
        out("away").distinct(1) == written[0].1 && out("other").distinct(2) == written[1].1
    });
    assert!(agent.stop().success(), "{}", rig.said());
    assert_eq!(out("other").verdict(&written[1..]), Verdict::default());
    let verdict = out("away").verdict(&written[..1]);
    assert_eq!(Verdict { doubled: 0, ..verdict }, Verdict::default(), "{verdict:?}");
}

#[test]
fn collectors_that_look_at_a_mount_that_hangs_cost_only_themselves() {
    let Some(frozen) = Frozen::new(
        "sources:\n  host: {type: host_metrics, interval: 24h, timeout: 2s, procfs: '{dir}/proc', \
         collect: [filesystem, loadavg, textfile], options: {filesystem: {mount_timeout: 500ms}, \
         textfile: {directories: ['{dir}/mount']}}}\n\
         sinks:\n  scrape: {type: prometheus, inputs: [host], listen: '127.0.0.1:PORT'}\n",
    ) else {
        return;
    };
    // The first process has other mounts, and is not there to be asked.
    fs::create_dir(frozen.rig.path("proc")).unwrap();
    for name in ["self", "loadavg"] {
        symlink(Path::new("/proc").join(name), frozen.rig.path("proc").join(name)).unwrap();
    }
    fs::write(frozen.rig.path("behind/a.prom"), "left_behind 1\n").unwrap();
    let mount = frozen.rig.path("mount").display().to_string();
    let size_of = |text: &str, mount: &str| {
        let mut sizes = text.lines().filter(|line| line.starts_with("node_filesystem_size_bytes{"));
        sizes.any(|line| line.contains(&format!("mountpoint=\"{mount}\"")))
    };
    let agent = frozen.start();
    for ending in [false, true] {
        frozen.rig.wait_until("all is told", || {
            let text = scrape(frozen.port);
            text.contains("\nleft_behind 1\n") && size_of(&text, &mount)
        });
        frozen.signal(Signal::SIGSTOP);
        for patience in [5, 1] {
            let begun = Instant::now();
            let text = scrape(frozen.port);
            assert!(begun.elapsed() < Duration::from_secs(patience), "{:?}", begun.elapsed());
            assert!(text.contains("\nnode_load1 "), "{text}");
            assert!(size_of(&text, "/") && !size_of(&text, &mount), "{text}");
            let success = |name| format!("node_scrape_collector_success{{collector=\"{name}\"}}");
            assert!(text.contains(&format!("{} 1", success("filesystem"))), "{text}");
            assert!(text.contains(&format!("{} 0", success("textfile"))), "{text}");
        }
        if ending {
            frozen.stop(&agent);
        } else {
            frozen.signal(Signal::SIGCONT);
        }
    }
}
