//! Units as a real systemd tells of them: a user's instance, which has a socket of its own and
//! takes part in nothing of the host's. Skips where none can run.

use driftless::event::exposition;
use driftless::host::roots::Roots;
use driftless::sources::host_metrics::options::Options;
use driftless::sources::host_metrics::runner::Collectors;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[cfg(test)]
#[path = "support/skip.rs"]
mod skip;

/// Starts systemd with its files in `$1`, says `ready` when it listens, and ends it with standard
/// input. It wants control groups to put its units in, which are made below one of its own.
const SETUP: &str = r#"
    groups=$1/groups
    mkdir "$groups" && mount -t cgroup2 cgroup2 "$groups" || exit 1
    own=$groups/driftless-test-$$
    mkdir "$own" || exit 1
    bash -c 'echo $$ >"$2/cgroup.procs" || exit 1
        exec unshare --cgroup --mount --propagation private bash -c '\''
            mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system
            mount -t tmpfs tmpfs /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit 1
            export HOME=$1 XDG_RUNTIME_DIR=$1/run XDG_CONFIG_HOME=$1/config
            exec /lib/systemd/systemd --user --unit=probe.target'\'' bash "$1"
        ' bash "$1" "$own" >/dev/null 2>&1 &
    for _ in $(seq 500); do [ -S "$1/run/systemd/private" ] && break; sleep 0.02; done
    [ -S "$1/run/systemd/private" ] && echo ready || echo no
    read -r _
    echo 1 >"$own/cgroup.kill"
    wait
    find "$own" -depth -type d -exec rmdir {} \;
"#;

struct Systemd(Child);

impl Systemd {
    fn start(dir: &Path) -> Option<Self> {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private"])
            .args(["bash", "-c", SETUP, "systemd"])
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().ok()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take()?).read_line(&mut line).ok()?;
        let systemd = Self(child);
        (line == "ready\n").then_some(systemd)
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        // Its standard input ends, and so does it.
        drop(self.0.stdin.take());
        self.0.wait().ok();
    }
}

#[cfg(test)]
fn told(collectors: &mut Collectors) -> String {
    let mut out = Vec::new();
    exposition::encode(&collectors.collect(|_| true), &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn units_are_told_as_systemd_has_them_and_over_one_connection() {
    let host = tempfile::tempdir().unwrap();
    let units = host.path().join("config/systemd/user");
    fs::create_dir_all(&units).unwrap();
    fs::create_dir(host.path().join("run")).unwrap();
    let socket = host.path().join("talk");
    let listen = format!("[Socket]\nAccept=yes\nListenStream={}\n", socket.display());
    for (name, text) in [
        ("probe.target", "[Unit]\nWants=good.service bad.service tick.timer talk.socket\n"),
        ("good.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n"),
        ("bad.service", "[Service]\nExecStart=/bin/false\n"),
        ("tick.timer", "[Timer]\nOnActiveSec=0\nUnit=good.service\n"),
        ("talk@.service", "[Service]\nStandardInput=socket\nExecStart=/bin/cat\n"),
        ("talk.socket", &listen),
    ] {
        fs::write(units.join(name), text).unwrap();
    }
    let Some(_systemd) = Systemd::start(host.path()) else {
        return skip::skipped("a systemd of its own cannot run here");
    };
    let options: Options = serde_json::from_str(
        r#"{"systemd": {"start_times": true, "tasks": true, "restarts": true}}"#,
    )
    .unwrap();
    let mut collectors =
        Collectors::new(&Roots::below(host.path()), &options, ["systemd"]).unwrap();
    let expected = [
        "node_systemd_unit_state{name=\"good.service\",state=\"active\",type=\"oneshot\"} 1\n",
        "node_systemd_unit_state{name=\"good.service\",state=\"failed\",type=\"oneshot\"} 0\n",
        "node_systemd_unit_state{name=\"bad.service\",state=\"failed\",type=\"simple\"} 1\n",
        "node_systemd_unit_state{name=\"talk.socket\",state=\"active\",type=\"\"} 1\n",
        "node_systemd_units{state=\"failed\"} 1\n",
        "node_systemd_service_restart_total{name=\"good.service\"} 0\n",
        "node_systemd_unit_start_time_seconds{name=\"bad.service\"} 0\n",
        "node_systemd_socket_accepted_connections_total{name=\"talk.socket\"} 1\n",
        "node_systemd_socket_refused_connections_total{name=\"talk.socket\"} 0\n",
        "node_systemd_timer_last_trigger_seconds{name=\"tick.timer\"} 1",
        "node_systemd_unit_start_time_seconds{name=\"good.service\"} 1",
        "node_systemd_system_running 0\n",
    ];
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut connection = None;
    let mut text = told(&mut collectors);
    while let Some(missing) = expected.iter().find(|line| !text.contains(*line)) {
        assert!(Instant::now() < deadline, "{missing} is not in\n{text}");
        connection = connection.or_else(|| UnixStream::connect(&socket).ok());
        std::thread::sleep(Duration::from_millis(50));
        text = told(&mut collectors);
    }
    assert!(!text.contains("name=\"-.slice\""), "slices are left out unasked");
    let version = Command::new("/lib/systemd/systemd").arg("--version").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let number = version.split_whitespace().nth(1).unwrap();
    assert!(text.contains(&format!("node_systemd_version{{version=\"{number}")), "{number}");
}
