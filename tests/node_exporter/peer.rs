//! The other program: its text, and itself while a test asks it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use driftless::sources::host_metrics::COLLECTORS;

const DISKS: &str = r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$";
const POINTS: &str = "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|\
    var/lib/containers/storage/.+)($|/)";
const TYPES: &str = "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|erofs|\
    fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|\
    selinuxfs|squashfs|sysfs|tracefs)$";

/// Types by family, and values by series.
#[derive(Default)]
pub(crate) struct Text {
    pub(crate) types: BTreeMap<String, String>,
    pub(crate) series: BTreeMap<String, String>,
}

impl Text {
    pub(crate) fn parse(text: &str) -> Self {
        let mut parsed = Self::default();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                parsed.types.insert(name.into(), kind.into());
            } else if !line.starts_with('#') {
                let (series, value) = line.rsplit_once(' ').unwrap();
                parsed.series.insert(series.into(), value.into());
            }
        }
        parsed
    }

    /// Without the labels that versions of before 1.9 lack.
    pub(crate) fn without_new_labels(mut self) -> Self {
        let old = |(series, value): (String, String)| {
            let mut series = series.replace("device_error=\"\",", "");
            for rotates in ["0", "1"] {
                series = series.replace(&format!("rotational=\"{rotates}\","), "");
            }
            for state in ["up", "down"] {
                series = series.replace(&format!("adminstate=\"{state}\","), "");
            }
            (series, value)
        };
        self.series = self.series.into_iter().map(old).collect();
        self
    }

    pub(crate) fn of(&self, keep: impl Fn(&str) -> bool) -> BTreeMap<&String, &String> {
        self.series.iter().filter(|(series, _)| keep(series)).collect()
    }
}

fn default_collectors() -> impl Iterator<Item = String> {
    let names = COLLECTORS.iter().filter(|entry| entry.is_default).map(|entry| entry.name);
    // Its version 1.5 does not know the others.
    let newer = ["bcachefs", "dmmultipath", "kernel_hung", "watchdog"];
    names.filter(move |name| !newer.contains(name)).map(|name| format!("--collector.{name}"))
}

/// A running `node_exporter` with the same collectors and the defaults of its version 1.12; ends
/// with this value.
pub(crate) struct Peer {
    program: Child,
    address: String,
}

impl Peer {
    pub(crate) fn start() -> Option<Self> {
        // Another program may take the port in between; then this test is red, and runs again.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let start = |name: &str| {
            Command::new(name)
                .arg(format!("--web.listen-address={address}"))
                .args(["--collector.disable-defaults", "--web.disable-exporter-metrics"])
                .args(default_collectors())
                .arg("--collector.netdev.device-exclude=^$")
                .arg(format!("--collector.diskstats.device-exclude={DISKS}"))
                .arg(format!("--collector.filesystem.mount-points-exclude={POINTS}"))
                .arg(format!("--collector.filesystem.fs-types-exclude={TYPES}"))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
        };
        let names = ["prometheus-node-exporter", "node_exporter"];
        let program = names.into_iter().find_map(|name| start(name).ok())?;
        Some(Self { program, address })
    }

    pub(crate) fn scrape(&self) -> Text {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut stream = loop {
            match TcpStream::connect(&self.address) {
                Ok(stream) => break stream,
                Err(_) if Instant::now() < deadline => thread::yield_now(),
                Err(error) => panic!("node_exporter does not listen: {error}"),
            }
        };
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        Text::parse(answer.split_once("\r\n\r\n").unwrap().1)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.program.kill().unwrap();
        self.program.wait().unwrap();
    }
}
