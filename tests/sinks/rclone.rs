//! The `s3` sink against rclone, a second server that checks signatures, by code of its own.

use crate::bucket::{ACCESS_KEY, SECRET_KEY, Store};
use crate::fetched::fetched;
use crate::harness::{Bench, Process, comes_about};
use crate::s3::unpacked;
use serde_json::json;
use std::fs;
use std::net::TcpStream;
use std::process::{Command, Stdio};

/// rclone serving the store's directory at the store's address.
struct Rclone {
    store: Store,
    _process: Process,
}

impl Rclone {
    fn start() -> Option<Self> {
        let program = fetched("rclone", "rclone")?;
        let store = Store::new();
        let address = store.endpoint().replace("http://", "");
        let mut command = Command::new(program);
        command
            .args(["serve", "s3", "--config", "/dev/null", "--addr", &address, "--auth-key"])
            .arg(format!("{ACCESS_KEY},{SECRET_KEY}"))
            .args(["--cache-dir".as_ref(), store.dir.path().join(".cache").as_os_str()])
            .arg(store.dir.path())
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        let process = Process::spawn(&mut command);
        assert!(comes_about(|| TcpStream::connect(&address).is_ok()), "rclone does not listen");
        Some(Self { store, _process: process })
    }
}

#[test]
fn rclone_gets_objects_of_each_compression_whole_by_prefix() {
    let Some(server) = Rclone::start() else { return };
    let line = |number: usize| format!("{{\"service\":\"s {}/ü\",\"n\":{number}}}\n", number % 2);
    let text: String = (0..2000).map(line).collect();
    for compression in ["none", "gzip", "zstd"] {
        let parse = json!({ "parse": { "type": "parse", "format": "json" } });
        let prefix = format!("{compression}/{{{{ service }}}}/");
        let settings = json!({ "prefix": prefix, "compression": compression, "encoding": "text" });
        let bench = Bench::new(parse, server.store.sink(settings));
        bench.append(&text);
        bench.once();
        for half in 0..2 {
            let prefix = format!("{compression}/s {half}_ü/");
            let objects = server.store.objects();
            let of_half: Vec<_> =
                objects.iter().filter(|(key, _)| key.starts_with(&prefix)).collect();
            let [(key, body)] = of_half[..] else { panic!("{:?}", objects.keys()) };
            let expected: String = (half..2000).step_by(2).map(line).collect();
            assert!(unpacked(key, body) == expected, "{key}");
        }
    }
}

#[test]
fn rclone_joins_the_parts_of_a_large_object() {
    let Some(server) = Rclone::start() else { return };
    let settings = json!({ "encoding": "text", "compression": "none", "part_bytes": "5MiB",
                           "batch": { "bytes": "64MiB", "age": "1h" } });
    let bench = Bench::new(json!({}), server.store.sink(settings));
    let text: String = (0..500_000).map(|number| format!("line {number} of many more\n")).collect();
    bench.append(&text);
    bench.once();
    let objects = server.store.objects();
    assert_eq!(objects.len(), 1, "{:?}\n{}", objects.keys(), bench.said());
    assert!(objects.values().all(|body| *body == text.as_bytes()));
}

#[test]
fn rclone_refuses_a_wrong_key_and_gets_the_lines_by_the_right_one() {
    let Some(server) = Rclone::start() else { return };
    for (part, wrong) in [("secret_key", "wrong-wrong"), ("access_key", "nobody")] {
        let before = server.store.objects().len();
        let mut auth = json!({ "access_key": ACCESS_KEY, "secret_key": SECRET_KEY });
        auth[part] = wrong.into();
        let settings = json!({ "auth": auth, "batch": { "age": "100ms" }, "prefix": part });
        let bench = Bench::new(json!({}), server.store.sink(settings));
        bench.append("one\n");
        let agent = bench.start(&[]);
        // More than once: it is tried again and again.
        bench.wait_until("it says why", || bench.said().matches("403").count() > 1);
        let said = bench.said();
        assert!(said.contains("key"), "{said}");
        assert!(!said.contains("wrong-wrong") && !said.contains("dropped"), "{said}");
        assert_eq!(server.store.objects().len(), before);
        drop(agent);
        let config = bench.path("config/topology.json");
        let right = if part == "secret_key" { SECRET_KEY } else { ACCESS_KEY };
        fs::write(&config, fs::read_to_string(&config).unwrap().replace(wrong, right)).unwrap();
        bench.once();
        assert_eq!(server.store.objects().len(), before + 1);
    }
}
