//! The `s3` sink against a server that checks signatures.

use crate::bucket::Store;
use crate::harness::Bench;
use serde_json::{Value, json};
use std::fs;
use std::io::Read;

pub(crate) fn unpacked(key: &str, body: &[u8]) -> String {
    let mut text = String::new();
    if key.ends_with(".gz") {
        flate2::read::MultiGzDecoder::new(body).read_to_string(&mut text).unwrap();
    } else if key.ends_with(".zst") {
        text = String::from_utf8(zstd::decode_all(body).unwrap()).unwrap();
    } else {
        text = String::from_utf8(body.to_vec()).unwrap();
    }
    text
}

#[test]
fn each_record_is_in_the_object_of_its_prefix_exactly_as_encoded() {
    for (compression, extension) in [("none", ""), ("gzip", ".gz"), ("zstd", ".zst")] {
        let store = Store::start();
        let parse = json!({ "parse": { "type": "parse", "format": "json", "timestamp": "time" } });
        let settings = json!({ "prefix": "{{ service }}/%Y/%m/%d/", "compression": compression,
                               "encoding": "text" });
        let bench = Bench::new(parse, store.sink(settings));
        let line = |number: usize| {
            let (service, day) = (["shop", "a b/ü", "+x"][number % 3], 1 + number % 2);
            let time = format!("2026-03-0{day}T12:00:00Z");
            json!({ "service": service, "time": time, "n": number }).to_string() + "\n"
        };
        bench.append((0..3000).map(line).collect::<String>());
        bench.once();
        let objects = store.objects();
        assert_eq!(objects.len(), 6, "{:?}\n{}", objects.keys(), bench.said());
        for (key, body) in &objects {
            assert!(key.ends_with(&format!(".log{extension}")), "{key}");
            let text = unpacked(key, body);
            let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
            let start = usize::try_from(first["n"].as_u64().unwrap()).unwrap();
            let expected: String = (start..3000).step_by(6).map(line).collect();
            assert!(text == expected, "{key}");
            let service = ["shop", "a b_ü", "+x"][start % 3];
            assert!(key.starts_with(&format!("{service}/2026/03/0{}/", 1 + start % 2)), "{key}");
        }
    }
}

#[test]
fn an_array_and_a_table_are_whole_in_each_object() {
    let csv = json!({ "csv": { "fields": ["message"], "header": true } });
    for (encoding, extension) in [(json!("json"), ".json"), (csv, ".csv")] {
        let store = Store::start();
        // Both ways of gathering: by batch, and record by record.
        for prefix in ["all/", "{{ nothing }}/"] {
            let settings = json!({ "encoding": encoding, "compression": "none", "prefix": prefix });
            let bench = Bench::new(json!({}), store.sink(settings));
            bench.append("one\ntwo\nthree\n");
            bench.once();
        }
        let mut records = 0;
        for (key, body) in store.objects() {
            assert!(key.ends_with(extension), "{key}");
            let text = String::from_utf8(body).unwrap();
            if extension == ".csv" {
                assert!(text.starts_with("message\n"), "{text}");
                records += text.lines().count() - 1;
            } else {
                records += serde_json::from_str::<Vec<Value>>(&text).expect(&text).len();
            }
        }
        assert_eq!(records, 6);
    }
}

#[test]
fn a_large_object_goes_in_parts_and_is_one() {
    let store = Store::start();
    let settings = json!({ "encoding": "text", "compression": "none", "part_bytes": "5MiB",
                           "batch": { "bytes": "64MiB", "age": "1h" } });
    let bench = Bench::new(json!({}), store.sink(settings));
    let text: String = (0..500_000).map(|number| format!("line {number} of many more\n")).collect();
    assert!(text.len() > 11 << 20);
    bench.append(&text);
    bench.once();
    let objects = store.objects();
    assert_eq!(objects.len(), 1, "{:?}\n{}", objects.keys(), bench.said());
    assert!(objects.values().all(|body| *body == text.as_bytes()));
    let record = fs::read_to_string(bench.path("data/s3/out.uploads")).unwrap();
    assert_eq!(record, "", "no upload is under way any more");
}

#[test]
fn reading_the_same_lines_again_doubles_nothing() {
    let store = Store::start();
    let bench = Bench::new(json!({}), store.sink(json!({})));
    bench.append("one\ntwo\n");
    bench.once();
    let first = store.objects();
    // As after a crash before the checkpoint was written.
    fs::remove_dir_all(bench.path("data")).unwrap();
    bench.once();
    let second = store.objects();
    assert_eq!(first.len(), 1);
    assert!(first.keys().eq(second.keys()), "{:?} {:?}", first.keys(), second.keys());
}

#[test]
fn a_wrong_key_is_told_and_nothing_is_dropped() {
    let store = Store::start();
    let auth = json!({ "access_key": "shipper", "secret_key": "wrong-wrong" });
    let sink = store.sink(json!({ "auth": auth, "batch": { "age": "100ms" } }));
    let bench = Bench::new(json!({}), sink);
    bench.append("one\n");
    let agent = bench.start(&[]);
    bench.wait_until("it says why", || bench.said().contains("SignatureDoesNotMatch"));
    let said = bench.said();
    assert!(said.contains("403") && said.contains("secret key is most likely wrong"), "{said}");
    assert!(!said.contains("wrong-wrong") && !said.contains("dropped"), "{said}");
    assert!(store.objects().is_empty());
    drop(agent);
    // With the right key the same lines arrive.
    let config = bench.path("config/topology.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("wrong-wrong", crate::bucket::SECRET_KEY)).unwrap();
    bench.once();
    assert_eq!(store.objects().len(), 1);
}

#[test]
fn nothing_is_lost_while_the_server_is_away() {
    let mut store = Store::new();
    let settings = json!({ "encoding": "text", "compression": "none", "batch": { "age": "50ms" } });
    let bench = Bench::new(json!({}), store.sink(settings));
    let agent = bench.start(&[]);
    bench.append("one\n");
    bench.wait_until("it says that nobody is there", || bench.said().contains("refused"));
    store.resume();
    let text = || {
        store
            .objects()
            .values()
            .map(|b| String::from_utf8_lossy(b).into_owned())
            .collect::<String>()
    };
    bench.wait_until("the line arrives", || text() == "one\n");
    bench.append("two\n");
    bench.wait_until("the next line arrives", || text().contains("two\n"));
    assert!(agent.stop().success());
}
