//! The `syslog` sink against a real syslog-ng, which understands by other rules than rsyslog.

use crate::fetched::fetched;
use crate::harness::{Bench, Process, comes_about, free_port, lines};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A port for each way to send.
struct Ports {
    /// RFC 5424 over UDP, over TCP with octet counting, over TCP by lines, over TLS.
    new: [u16; 4],
    /// RFC 3164 over UDP and over TCP.
    old: [u16; 2],
}

/// syslog-ng on ports of its own, writing what it understands as JSON lines.
struct SyslogNg {
    dir: tempfile::TempDir,
    ports: Ports,
    /// Where it was unpacked.
    root: PathBuf,
    process: Option<Process>,
}

impl SyslogNg {
    /// Starts it; `None`, and a line that says why, where there is none.
    fn start() -> Option<Self> {
        let root = fetched("syslog-ng", "usr/sbin/syslog-ng")?.ancestors().nth(3)?.to_owned();
        let dir = tempfile::tempdir().unwrap();
        let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(dir.path().join("cert.pem"), identity.cert.pem()).unwrap();
        fs::write(dir.path().join("key.pem"), identity.signing_key.serialize_pem()).unwrap();
        let ports =
            Ports { new: [(); 4].map(|()| free_port()), old: [(); 2].map(|()| free_port()) };
        let mut server = Self { dir, ports, root, process: None };
        fs::write(server.path("conf"), server.config()).unwrap();
        server.resume();
        Some(server)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn config(&self) -> String {
        let Ports { new: [udp, octets, lines, tls], old: [old_udp, old_tcp] } = self.ports;
        let dir = self.dir.path().display();
        format!(
            r#"@version: 3.38
options {{
  flush-lines(1); log-msg-size(524288); keep-hostname(yes); chain-hostnames(no);
  frac-digits(6); send-time-zone("UTC");
}};
source all {{
  syslog(ip(127.0.0.1) port({udp}) transport("udp"));
  syslog(ip(127.0.0.1) port({octets}) transport("tcp"));
  network(ip(127.0.0.1) port({lines}) transport("tcp") flags(syslog-protocol));
  syslog(ip(127.0.0.1) port({tls}) transport("tls") tls(
    cert-file("{dir}/cert.pem") key-file("{dir}/key.pem") peer-verify(optional-untrusted)));
  network(ip(127.0.0.1) port({old_udp}) transport("udp"));
  network(ip(127.0.0.1) port({old_tcp}) transport("tcp"));
}};
destination out {{ file("{dir}/out.jsonl" template("$(format-json pri=$PRI time=$ISODATE
  host=$HOST app=$PROGRAM procid=$PID msgid=$MSGID sd=$SDATA msg=$MESSAGE)\n")); }};
log {{ source(all); destination(out); }};
"#
        )
    }

    /// Starts it where it was.
    fn resume(&mut self) {
        let libraries = [
            self.libraries(&self.root.join("usr/lib")),
            self.libraries(&self.root.join("lib")),
            vec![self.root.join("usr/lib/syslog-ng"), self.modules()],
        ];
        let mut command = Command::new(self.root.join("usr/sbin/syslog-ng"));
        command
            .env("LD_LIBRARY_PATH", std::env::join_paths(libraries.concat()).unwrap())
            .args(["--foreground", "--no-caps", "--cfgfile"])
            .arg(self.path("conf"))
            .arg("--persist-file")
            .arg(self.path("persist"))
            .arg("--pidfile")
            .arg(self.path("pid"))
            .arg("--control")
            .arg(self.path("control"))
            .arg("--module-path")
            .arg(self.modules())
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(self.path("log")).unwrap());
        self.process = Some(Process::spawn(&mut command));
        let streams = [&self.ports.new[1..], &self.ports.old[1..]].concat();
        let listens = comes_about(|| {
            streams.iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok())
        });
        assert!(listens, "{}", fs::read_to_string(self.path("log")).unwrap_or_default());
    }

    fn modules(&self) -> PathBuf {
        self.root.join("usr/lib/syslog-ng/3.38")
    }

    /// The folder of the machine's own kind below one of libraries.
    fn libraries(&self, dir: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let wanted = |path: &PathBuf| path.to_string_lossy().ends_with("-linux-gnu");
        entries.map(|entry| entry.path()).filter(wanted).collect()
    }

    /// What it has understood so far.
    fn messages(&self) -> Vec<Value> {
        let lines = lines(&self.path("out.jsonl"));
        lines.iter().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// Every way to it, with what differs in the settings.
    fn ways(&self) -> Vec<(String, Value)> {
        let Ports { new: [udp, octets, lines, tls], old: [old_udp, old_tcp] } = self.ports;
        let trust = json!({ "tls": { "ca_file": self.path("cert.pem") } });
        let old = || json!({ "format": "rfc3164" });
        vec![
            (format!("udp://127.0.0.1:{udp}"), json!({})),
            (format!("tcp://127.0.0.1:{octets}"), json!({ "framing": "octet_counting" })),
            (format!("tcp://127.0.0.1:{lines}"), json!({})),
            (format!("tls://localhost:{tls}"), trust),
            (format!("udp://127.0.0.1:{old_udp}"), old()),
            (format!("tcp://127.0.0.1:{old_tcp}"), old()),
        ]
    }
}

fn sink(url: &str, rest: Value) -> Value {
    let mut sink =
        json!({ "type": "syslog", "url": url, "retry": { "initial": "50ms", "max": "200ms" } });
    let Value::Object(rest) = rest else { panic!("settings are a mapping") };
    sink.as_object_mut().unwrap().extend(rest);
    sink
}

#[test]
fn syslog_ng_understands_every_part_of_a_message() {
    let Some(server) = SyslogNg::start() else { return };
    for (round, (url, mut rest)) in server.ways().into_iter().enumerate() {
        let is_old = rest.get("format").is_some();
        rest["facility"] = "local3".into();
        rest["app_name"] = "{{ service }}".into();
        if !is_old {
            rest["structured_data"] = json!({ "request@32473": ["id", "path"] });
        }
        let parse = json!({ "parse": { "type": "parse", "format": "json", "timestamp": "time" } });
        let bench = Bench::new(parse, sink(&url, rest));
        let line = json!({
            "time": "2026-03-01T12:00:00.123456Z", "level": "error", "service": "shop",
            "procid": 77, "msgid": "PAY", "id": "a\"]\\b", "path": "/ü",
            "message": "no\tmoney\nleft é",
        });
        bench.append(format!("{line}\n"));
        bench.once();
        bench.wait_until(&url, || server.messages().len() > round);
        let message = &server.messages()[round];
        let part = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(part("pri"), (19 * 8 + 3).to_string(), "{url}: {message}");
        assert_eq!((part("app"), part("procid")), ("shop".into(), "77".into()), "{url}: {message}");
        assert_eq!(part("host"), "testhost", "{url}: {message}");
        assert_eq!(part("msg"), "no\tmoney#012left é", "{url}: {message}");
        if !is_old {
            assert_eq!(part("time"), "2026-03-01T12:00:00.123456+00:00", "{url}: {message}");
            assert_eq!(part("msgid"), "PAY", "{url}: {message}");
            let data = "[request@32473 id=\"a\\\"\\]\\\\b\" path=\"/ü\"]";
            assert_eq!(part("sd"), data, "{url}: {message}");
        }
    }
}

#[test]
fn syslog_ng_gets_messages_of_any_size_whole() {
    let Some(server) = SyslogNg::start() else { return };
    let mut expected = Vec::new();
    for (url, rest) in server.ways().into_iter().filter(|(url, _)| !url.starts_with("udp")) {
        let bench = Bench::new(json!({}), sink(&url, rest));
        for bytes in [1, 100, 9_000, 70_000, 300_000] {
            expected.push("x".repeat(bytes));
            bench.append(format!("{}\n", "x".repeat(bytes)));
        }
        bench.once();
        bench.wait_until(&url, || server.messages().len() >= expected.len());
    }
    let messages = server.messages();
    let texts: Vec<&str> = messages.iter().map(|it| it["msg"].as_str().unwrap()).collect();
    assert!(texts == expected, "{:?}", texts.iter().map(|text| text.len()).collect::<Vec<_>>());
}

#[test]
fn syslog_ng_that_was_away_gets_what_came_meanwhile() {
    let Some(mut server) = SyslogNg::start() else { return };
    let (url, rest) = server.ways().remove(3);
    let bench = Bench::new(json!({}), sink(&url, rest));
    let agent = bench.start(&[]);
    bench.append("first\n");
    bench.wait_until("the first line arrives", || server.messages().len() == 1);
    server.process = None;
    let written: Vec<String> = (0..1000).map(|number| format!("line {number}")).collect();
    bench.append(written.join("\n") + "\n");
    bench.wait_until("it says that the server is away", || bench.said().contains("refused"));
    server.resume();
    let arrived = || {
        let messages = server.messages().into_iter();
        messages.map(|it| it["msg"].as_str().unwrap().to_owned()).collect::<BTreeSet<String>>()
    };
    bench.wait_until("all lines arrive", || arrived().len() > 1000);
    assert!(agent.stop().success());
    let arrived = arrived();
    assert!(written.iter().all(|line| arrived.contains(line)));
}
