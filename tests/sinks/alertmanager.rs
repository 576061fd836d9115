//! The `alertmanager` sink against Alertmanager itself.

use crate::fetched::fetched;
use crate::harness::{Bench, Process, comes_about};
use crate::own_network::in_own_network;
use crate::skip::skipped;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

/// In a network of its own no port is taken.
const ADDRESS: &str = "127.0.0.1:9093";

const TEMPLATES: &str = "usr/share/prometheus";

/// Puts the first argument where the templates belong, and becomes the rest.
const SEEN: &str = "mount --bind \"$1\" /usr/share/prometheus && shift && exec \"$@\"";

/// Alertmanager, with what it keeps.
struct Alertmanager {
    _dir: tempfile::TempDir,
    _process: Process,
}

impl Alertmanager {
    fn start() -> Option<Self> {
        let program = fetched("alertmanager", "usr/bin/prometheus-alertmanager")?;
        if !Path::new("/usr/share/prometheus").is_dir() {
            skipped("Alertmanager has no place for its templates (the package prometheus has)");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config.yml");
        fs::write(&config, "route: {receiver: none}\nreceivers: [{name: none}]\n").unwrap();
        // Its package has templates where it looks for them; here they are seen by it alone.
        let templates = program.ancestors().nth(3).unwrap().join(TEMPLATES);
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", SEEN, "sh"]).arg(templates).arg(program);
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", dir.path().display()))
            .args(["--cluster.listen-address=", &format!("--web.listen-address={ADDRESS}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = Process::spawn(&mut command);
        let listens = || TcpStream::connect(ADDRESS).is_ok();
        assert!(comes_about(listens), "Alertmanager does not listen");
        Some(Self { _dir: dir, _process: process })
    }
}

/// The alerts that it holds for active, by their labels.
fn alerts() -> Vec<Value> {
    let mut stream = TcpStream::connect(ADDRESS).unwrap();
    write!(stream, "GET /api/v2/alerts HTTP/1.0\r\nHost: test\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let alerts: Vec<Value> = serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"));
    alerts
}

fn names() -> Vec<String> {
    let name = |alert: &Value| {
        let label = |name: &str| alert["labels"][name].as_str().unwrap_or("-").to_owned();
        format!("{} {} {}", label("alertname"), label("severity"), label("device"))
    };
    let mut names: Vec<String> = alerts().iter().map(name).collect();
    names.sort();
    names
}

#[test]
fn alertmanager_knows_what_is_bad_also_after_its_own_restart_and_hears_when_it_is_over() {
    in_own_network(|| {
        let Some(server) = Alertmanager::start() else { return };
        let rule = json!({ "alert": "Free", "expr": "free < 10", "labels": { "severity": "page" },
            "annotations": { "summary": "{{ $labels.device }} has {{ $value }}" } });
        let transforms = json!({
            "a_read": { "type": "parse", "format": "json" },
            "b_metric": { "type": "log_to_metric", "interval": "200ms", "metrics": [{ "name": "free", "type": "gauge",
                "field": "free", "labels": { "device": "{{ device }}" } }] },
        });
        let sink = json!({ "type": "blackhole" });
        let bench = Bench::new(transforms, sink);
        let mut topology: Value =
            serde_json::from_slice(&fs::read(bench.path("config/topology.json")).unwrap()).unwrap();
        topology["transforms"]["watch"] = json!({ "type": "threshold", "inputs": ["b_metric"],
            "interval": "200ms", "resend": "300ms", "groups": [{ "name": "g", "rules": [rule] }],
            "checks": [{ "name": "full", "expr": "free", "warning": { "below": 20 },
                "critical": { "below": 5 } }] });
        topology["sinks"]["alerts"] = json!({ "type": "alertmanager", "inputs": ["watch.standing"],
            "url": format!("http://{ADDRESS}"), "labels": { "site": "north" },
            "retry": { "initial": "20ms", "max": "200ms" }, "batch": { "age": "20ms" } });
        fs::write(bench.path("config/topology.json"), topology.to_string()).unwrap();
        let agent = bench.start(&[]);
        let free = |device: &str, free: u64| {
            bench.append(format!("{}\n", json!({ "device": device, "free": free })));
        };
        free("a", 15);
        free("b", 7);
        let holds = |expected: &[&str]| {
            let is_so = comes_about(|| names() == expected);
            assert!(is_so, "{expected:?}: {:?}\n{}", names(), bench.said());
        };
        holds(&["Free page b", "full warning a", "full warning b"]);
        let b = alerts().into_iter().find(|it| it["labels"]["alertname"] == "Free").unwrap();
        assert_eq!(b["annotations"]["summary"], "b has 7");
        assert_eq!(
            (&b["labels"]["site"], &b["labels"]["host"]),
            (&"north".into(), &"testhost".into())
        );
        free("b", 3);
        holds(&["Free page b", "full critical b", "full warning a"]);
        drop(server);
        let _server = Alertmanager::start().unwrap();
        holds(&["Free page b", "full critical b", "full warning a"]);
        free("b", 90);
        holds(&["full warning a"]);
        assert!(agent.stop().success());
        // What is bad was told; a restart knows that, and says on that it stands.
        let agent = bench.start(&[]);
        free("a", 90);
        holds(&[]);
        assert!(agent.stop().success());
    });
}
