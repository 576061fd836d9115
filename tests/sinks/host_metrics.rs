//! The host's metrics on their way out of a `facts` file: into a bucket, a file and to a server.

use crate::bucket::Store;
use crate::harness::{Bench, lines};
use crate::installed::has;
use crate::receiver::Receiver;
use crate::s3::unpacked;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

/// A bench whose config is a `facts` file with these exports, of a host that is polled each 100 ms.
fn bench(export: &Value) -> Bench {
    let bench = Bench::new(json!({}), json!({ "type": "blackhole" }));
    let facts = json!({ "interval": "100ms", "collect": ["loadavg", "stat"], "export": export });
    fs::write(bench.path("config/facts.json"), facts.to_string()).unwrap();
    bench
}

fn export(store: &Store, settings: Value) -> Value {
    let mut sink = store.sink(settings);
    sink.as_object_mut().unwrap().remove("type");
    json!([{ "s3": sink }])
}

/// When each value of a series was taken, in the order of the text; in milliseconds since the
/// epoch, since `1.5e+09` and `1.49e+09` are not in the order of their letters.
fn times(text: &str, series: &str) -> Vec<u64> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let seconds = lines.map(|line| line.split(' ').next_back().unwrap().parse::<f64>().unwrap());
    seconds.map(|seconds| (seconds * 1000.0).round() as u64).collect()
}

#[test]
fn a_bucket_gets_a_text_of_all_snapshots_that_prometheus_can_take_in() {
    for (compression, ending) in [("zstd", ".zst"), ("gzip", ".gz"), ("none", "")] {
        let store = Store::start();
        let settings = json!({ "prefix": "{{ host }}/%Y/", "encoding": "text", "interval": "700ms",
                               "compression": compression });
        let bench = bench(&export(&store, settings));
        let agent = bench.start(&[]);
        bench.wait_until("two objects are there", || store.objects().len() >= 2);
        drop(agent);
        let objects = store.objects();
        let mut seen = BTreeSet::new();
        for (key, body) in &objects {
            let name = key.strip_prefix("testhost/2").expect(key).split('/').next_back().unwrap();
            assert!(name.ends_with(&format!(".openmetrics{ending}")), "{key}");
            assert_eq!(name.find("Z-"), Some(15), "a time in front: {key}");
            let text = unpacked(key, body);
            assert!(text.ends_with("# EOF\n"), "{text}");
            let times = times(&text, "node_load1");
            let new = times.iter().all(|time| seen.insert(*time));
            assert!(times.is_sorted() && new, "{key}: {times:?} of {:?}", objects.keys());
        }
        assert!(seen.len() >= 4, "{seen:?}");
        if compression == "none" && has("promtool") {
            let (key, _) = objects.first_key_value().unwrap();
            let status = Command::new("promtool")
                .args(["tsdb", "create-blocks-from", "openmetrics", "--quiet"])
                .arg(store.dir.path().join("logs").join(key))
                .arg(bench.path("blocks"))
                .status();
            assert!(status.unwrap().success());
            assert!(fs::read_dir(bench.path("blocks")).unwrap().count() > 0);
        }
    }
}

#[test]
fn a_bucket_a_file_and_a_server_get_the_same_values_with_time_and_host() {
    let store = Store::start();
    let receiver = Receiver::good();
    let mut exports = export(&store, json!({ "prefix": "{{ source }}/", "compression": "none" }));
    let dir = tempfile::tempdir().unwrap();
    let path = format!("{}/{{{{ host }}}}/%Y.ndjson", dir.path().display());
    let exports = exports.as_array_mut().unwrap();
    exports.push(json!({ "file": { "path": path, "encoding": "ndjson" } }));
    exports.push(json!({ "http": { "url": receiver.url } }));
    let bench = bench(&Value::Array(exports.clone()));
    bench.once();
    let of_bucket = store.objects();
    assert_eq!(of_bucket.len(), 1, "{}", bench.said());
    let (key, body) = of_bucket.first_key_value().unwrap();
    assert!(key.starts_with("facts.host/2") && key.ends_with(".ndjson"), "{key}");
    let values = |text: &[String]| -> BTreeMap<String, Value> {
        let record = |line: &String| {
            let record: Value = serde_json::from_str(line).unwrap();
            assert_eq!(record["host"], "testhost", "{line}");
            assert!(record["timestamp"].as_str().unwrap().starts_with('2'), "{line}");
            (format!("{}{}", record["name"], record["labels"]), record)
        };
        text.iter().map(record).collect()
    };
    let of_bucket: Vec<String> = String::from_utf8_lossy(body).lines().map(str::to_owned).collect();
    let of_bucket = values(&of_bucket);
    assert!(of_bucket.contains_key("\"node_load1\"{}"), "{of_bucket:?}");
    assert_eq!(values(&receiver.taken()), of_bucket);
    let file = fs::read_dir(dir.path().join("testhost")).unwrap();
    let file = file.map(|entry| entry.unwrap().path()).next().unwrap();
    assert_eq!(values(&lines(&file)), of_bucket);
}

#[test]
fn a_program_that_tells_metrics_ends_with_the_agent_and_with_it_all_that_it_has_started() {
    let bench = bench(&json!([{ "blackhole": {} }]));
    let pid = bench.path("pid");
    let script = format!("sleep 1000 & echo $! > {}; wait", pid.display());
    let exec = json!({ "command": ["/bin/sh", "-c", script], "timeout": "10m" });
    let facts = json!({ "interval": "100ms", "collect": ["exec"],
        "options": { "exec": { "commands": { "slow": exec } } },
        "export": [{ "blackhole": {} }] });
    fs::write(bench.path("config/facts.json"), facts.to_string()).unwrap();
    let agent = bench.start(&[]);
    let started = || fs::read_to_string(&pid).ok().filter(|text| text.ends_with('\n'));
    bench.wait_until("the program runs", || started().is_some());
    assert!(agent.stop().success(), "{}", bench.said());
    let stat = format!("/proc/{}/stat", started().unwrap().trim());
    let is_gone = || fs::read_to_string(&stat).map_or(true, |text| text.contains(") Z "));
    bench.wait_until("what it has started is gone", is_gone);
}
