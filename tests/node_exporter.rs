//! What we tell of a host, next to what node_exporter tells of it. Skips where there is no
//! node_exporter, or none of its fixtures.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use driftless::event::exposition;
use driftless::host::roots::Roots;
use driftless::sources::host_metrics::COLLECTORS;
use driftless::sources::host_metrics::runner::Collectors;

/// Where a checkout of node_exporter's fixtures is unpacked, with `e2e-output.txt` in it.
const FIXTURES: &str = "NODE_EXPORTER_FIXTURES";

const DISKS: &str = r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$";
const POINTS: &str = "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|\
    var/lib/containers/storage/.+)($|/)";
const TYPES: &str = "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|erofs|\
    fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|\
    selinuxfs|squashfs|sysfs|tracefs)$";

/// Types by family, and values by series.
#[derive(Default)]
struct Text {
    types: BTreeMap<String, String>,
    series: BTreeMap<String, String>,
}

impl Text {
    fn parse(text: &str) -> Self {
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
    fn without_new_labels(mut self) -> Self {
        let old = |(series, value): (String, String)| {
            let mut series = series.replace("device_error=\"\",", "");
            for rotates in ["0", "1"] {
                series = series.replace(&format!("rotational=\"{rotates}\","), "");
            }
            (series, value)
        };
        self.series = self.series.into_iter().map(old).collect();
        self
    }

    fn of(&self, keep: impl Fn(&str) -> bool) -> BTreeMap<&String, &String> {
        self.series.iter().filter(|(series, _)| keep(series)).collect()
    }
}

fn ours(roots: &Roots, names: &[&str]) -> Text {
    let mut out = Vec::new();
    let families = Collectors::new(roots, names.iter().copied()).unwrap().collect(|_| true);
    assert_eq!(exposition::encode(&families, &mut out), 0, "no series twice");
    Text::parse(std::str::from_utf8(&out).unwrap())
}

/// A running node_exporter with the same collectors and the defaults of its version 1.12; ends
/// with this value.
struct Peer {
    program: Child,
    address: String,
}

impl Peer {
    fn start() -> Option<Self> {
        // Another program may take the port in between; then this test is red, and runs again.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let start = |name: &str| {
            Command::new(name)
                .arg(format!("--web.listen-address={address}"))
                .args(["--collector.disable-defaults", "--web.disable-exporter-metrics"])
                .args(COLLECTORS.map(|entry| format!("--collector.{}", entry.name)))
                .args(["--no-collector.netdev.netlink", "--collector.netdev.device-exclude=^$"])
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

    fn scrape(&self) -> Text {
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

fn name_of(series: &str) -> &str {
    series.split('{').next().unwrap_or(series)
}

#[test]
fn node_exporters_own_fixtures_give_node_exporters_own_output() {
    let Some(fixtures) = std::env::var_os(FIXTURES) else {
        return println!("skipped: {FIXTURES} is not set");
    };
    let root = Path::new(&fixtures);
    let expected = std::fs::read_to_string(root.join("e2e-output.txt")).unwrap();
    let expected = Text::parse(&expected);
    let ours =
        ours(&Roots::below(root), &["cpu", "diskstats", "loadavg", "meminfo", "stat", "vmstat"]);
    // How long a collector took is another at each run.
    for (series, value) in ours.of(|series| !series.starts_with("node_scrape_collector")) {
        assert_eq!(expected.series.get(series), Some(value), "{series}");
        assert_eq!(ours.types.get(name_of(series)), expected.types.get(name_of(series)));
    }
    // Behind flags: cpu info and soft interrupts. Of other collectors: the rest.
    let not_ours = |name: &str| {
        let flagged = ["node_cpu_info", "node_cpu_flag_info", "node_cpu_bug_info"];
        let other = ["node_cpu_scaling_", "node_cpu_frequency_", "node_cpu_vulnerabilities"];
        let other = other.iter().chain(&["node_softirqs", "node_memory_numa_", "node_interrupts"]);
        flagged.contains(&name) || other.clone().any(|start| name.starts_with(start))
    };
    let of_ours = ["node_cpu_", "node_disk_", "node_load", "node_memory_", "node_vmstat_"];
    let of_ours = of_ours.iter().chain(&[
        "node_boot",
        "node_context",
        "node_forks",
        "node_procs",
        "node_intr_",
    ]);
    for series in expected.series.keys() {
        let name = name_of(series);
        if of_ours.clone().any(|start| name.starts_with(start)) && !not_ours(name) {
            assert!(ours.series.contains_key(series), "{series} is missing");
        }
    }
}

#[test]
fn a_dashboard_made_for_node_exporter_finds_the_same_on_this_host() {
    let Some(peer) = Peer::start() else {
        return println!("skipped: there is no node_exporter here");
    };
    peer.scrape(); // the first one learns the processors
    let mut collectors = Collectors::new(&Roots::live(), ["default"]).unwrap();
    let mut look = || {
        let mut out = Vec::new();
        exposition::encode(&collectors.collect(|_| true), &mut out);
        Text::parse(std::str::from_utf8(&out).unwrap())
    };
    let rounds = [look(), peer.scrape(), look()];
    let [before, theirs, after] = rounds.map(Text::without_new_labels);
    for (name, kind) in &theirs.types {
        // The exporter's own; and what its version 1.5 names otherwise.
        let own = ["node_exporter_build_info", "node_cpu_frequency", "promhttp_"];
        if !own.iter().any(|start| name.starts_with(start)) {
            assert_eq!(before.types.get(name), Some(kind), "{name}");
        }
    }
    let number = |text: &Text, series: &str| text.series.get(series)?.parse::<f64>().ok();
    let mut compared = 0;
    for (series, value) in &theirs.series {
        let name = name_of(series);
        let Some(kind) = before.types.get(name) else { continue };
        let told = before.series.get(series);
        let told = told.unwrap_or_else(|| panic!("we do not tell of {series}"));
        let fixed = ["_info", "_size_bytes", "MemTotal_bytes", "boot_time_seconds", "_readonly"];
        if fixed.iter().any(|end| name.ends_with(end)) {
            assert_eq!(told, value, "{series}");
            compared += 1;
        } else if kind == "counter" {
            let (low, high) = (number(&before, series), number(&after, series));
            let theirs = number(&theirs, series);
            assert!(low <= theirs && theirs <= high, "{series}: {low:?} {theirs:?} {high:?}");
            compared += 1;
        }
    }
    assert!(compared > 50, "only {compared} series are in both");
}
