//! The `elasticsearch` sink against osmem, which understands `_bulk` as OpenSearch does.

use crate::fetched::fetched;
use crate::harness::{Bench, Process, comes_about};
use crate::own_network::in_own_network;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

/// In a network of its own no port is taken.
const ADDRESS: &str = "127.0.0.1:9200";

/// osmem, as nobody.
struct Osmem {
    _program: tempfile::TempDir,
    _process: Process,
}

impl Osmem {
    fn start() -> Option<Self> {
        let fetched = fetched("osmem", "osmem-server")?;
        // Nobody need not get to where it was fetched to.
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let program = dir.path().join("osmem-server");
        fs::copy(fetched, &program).unwrap();
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs"])
            .args(["--bounding-set=-all"])
            .arg(program)
            .args(["--no-stdin-watch", "--addr", ADDRESS])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = Process::spawn(&mut command);
        assert!(comes_about(|| TcpStream::connect(ADDRESS).is_ok()), "osmem does not listen");
        Some(Self { _program: dir, _process: process })
    }
}

fn get(path: &str) -> Value {
    let mut stream = TcpStream::connect(ADDRESS).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: test\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
}

/// All documents of the indices that begin so.
fn documents(index: &str) -> Vec<Value> {
    let found = get(&format!("/{index}*/_search?size=9000"));
    let hits = found["hits"]["hits"].as_array().cloned().unwrap_or_default();
    hits.into_iter().map(|hit| hit["_source"].clone()).collect()
}

fn sink(rest: &Value) -> Value {
    let mut sink = json!({
        "type": "elasticsearch", "url": format!("http://{ADDRESS}"), "index": "app-%Y.%m.%d",
        "retry": { "initial": "20ms", "max": "200ms" }, "batch": { "age": "20ms" },
    });
    sink.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    sink
}

#[test]
fn opensearch_gets_each_document_once_whatever_is_killed_and_refuses_only_what_is_wrong() {
    in_own_network(|| {
        let Some(_server) = Osmem::start() else { return };
        let parse = json!({ "parse": { "type": "parse", "format": "json" } });
        let rest = json!({ "compression": "gzip", "dead_letter": "dead" });
        let bench = Bench::new(parse, sink(&rest));
        let dead = bench.path("dead.ndjson");
        bench.add_sink("dead", json!({ "type": "file", "path": dead, "inputs": [] }));
        let line = |n: Value| format!("{}\n", json!({ "n": n, "message": format!("line {n}") }));
        let mut written = 0;
        for _ in 0..5 {
            let before = documents("app-").len();
            let agent = bench.start(&[]);
            bench.append((written..written + 300).map(|n| line(n.into())).collect::<String>());
            written += 300;
            bench.wait_until("something arrives", || documents("app-").len() > before);
            agent.kill();
        }
        bench.append(line("no number".into()));
        bench.once();
        let numbers: BTreeSet<u64> =
            documents("app-").iter().filter_map(|it| it["n"].as_u64()).collect();
        assert_eq!(numbers, (0..written).collect());
        assert_eq!(documents("app-").len() as u64, written);
        let letters = fs::read_to_string(dead).unwrap();
        let letter: Value = serde_json::from_str(letters.trim()).unwrap();
        assert_eq!(letter["status"], 400, "{letter}");
        assert!(letter["reason"].as_str().unwrap().contains("mapper_parsing"), "{letter}");
    });
}
