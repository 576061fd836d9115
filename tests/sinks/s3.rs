//! The `s3` sink against a server that checks signatures.

use crate::bucket::{ACCESS_KEY, DOMAIN, SECRET_KEY, Store};
use crate::harness::{Bench, Process};
use crate::skip::skipped;
use serde_json::{Value, json};
use std::fs;
use std::io::Read;
use std::process::Command;

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
    let away = || bench.said().contains("the other side does not answer yet");
    bench.wait_until("it says that nobody is there", || away() && bench.said().contains("refused"));
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

/// Numbered lines, each of which says to which of so many prefixes it belongs.
fn numbered(lines: usize, prefixes: usize) -> String {
    let line = |n: usize| json!({ "to": format!("p{}", n % prefixes), "n": n }).to_string() + "\n";
    (0..lines).map(line).collect()
}

#[test]
fn more_prefixes_than_may_be_gathered_for_lose_nothing_and_keep_their_order() {
    let store = Store::start();
    let parse = json!({ "parse": { "type": "parse", "format": "json" } });
    let settings = json!({ "prefix": "{{ to }}/", "compression": "none", "encoding": "text",
                           "max_partitions": 3, "batch": { "age": "1h" } });
    let bench = Bench::new(parse, store.sink(settings));
    bench.append(numbered(400, 20));
    bench.once();
    let mut seen = Vec::new();
    for (key, body) in store.objects() {
        let text = String::from_utf8(body).unwrap();
        let numbers: Vec<u64> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["n"].as_u64().unwrap())
            .collect();
        assert!(numbers.is_sorted(), "{key}: {numbers:?}");
        assert!(numbers.iter().all(|n| key.starts_with(&format!("p{}/", n % 20))), "{key}");
        seen.extend(numbers);
    }
    seen.sort_unstable();
    assert!(seen.iter().copied().eq(0..400), "{seen:?}");
}

#[test]
fn an_object_is_full_by_what_it_takes_as_it_is_stored() {
    let store = Store::start();
    let settings = json!({ "encoding": "text", "batch": { "bytes": "64KiB", "age": "1h" } });
    let bench = Bench::new(json!({}), store.sink(settings));
    // It is stored as about a fifth of this.
    let text: String = (0..200_000).map(|n| format!("line {n} and {}\n", n * 7919)).collect();
    bench.append(&text);
    bench.once();
    let objects = store.objects();
    assert!((5..30).contains(&objects.len()), "{} objects of {} bytes", objects.len(), text.len());
    let full = objects.values().filter(|body| body.len() >= 64 << 10).count();
    assert!(full + 1 >= objects.len(), "but for the last, none is smaller than it may be");
    assert!(objects.values().all(|body| body.len() < 512 << 10));
}

#[test]
fn keys_come_from_the_environment_or_a_profile() {
    let store = Store::start();
    let profile = "[default]\naws_access_key_id = nobody\naws_secret_access_key = wrong\n\n\
                   [shipper]\naws_access_key_id = KEY\naws_secret_access_key = SECRET\n";
    let profile = profile.replace("KEY", ACCESS_KEY).replace("SECRET", SECRET_KEY);
    let mut objects = 0;
    for (auth, variables) in [
        (json!({}), vec![("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)]),
        (json!({}), vec![("AWS_PROFILE", "shipper")]),
        (json!({ "profile": "shipper" }), vec![]),
    ] {
        let prefix = format!("{objects}/");
        let bench = Bench::new(json!({}), store.sink(json!({ "auth": auth, "prefix": prefix })));
        fs::create_dir(bench.path(".aws")).unwrap();
        fs::write(bench.path(".aws/credentials"), &profile).unwrap();
        bench.append("one\n");
        let program = Command::new(env!("CARGO_BIN_EXE_driftless"));
        let mut command = bench.command(program, &["--once"]);
        assert!(Process::spawn(command.envs(variables)).wait().success(), "{}", bench.said());
        objects += 1;
        assert_eq!(store.objects().len(), objects, "{}", bench.said());
    }
}

#[test]
fn the_bucket_may_stand_before_the_hosts_name() {
    let store = Store::start();
    let endpoint = format!("http://{DOMAIN}:{}", store.port);
    let settings = json!({ "endpoint": endpoint, "path_style": false });
    let bench = Bench::new(json!({}), store.sink(settings));
    bench.append("one\n");
    // Names that nobody knows, known to this process alone.
    let hosts = bench.path("hosts");
    fs::write(&hosts, format!("127.0.0.1 localhost {DOMAIN} logs.{DOMAIN}\n")).unwrap();
    let mut unshare = Command::new("unshare");
    unshare.args(["--map-root-user", "--mount", "sh", "-c"]);
    let mount = format!("mount --bind {} /etc/hosts", hosts.display());
    if !Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", &mount])
        .status()
        .is_ok_and(|status| status.success())
    {
        return skipped("no mount namespace of its own for other names of hosts");
    }
    unshare.args([&format!("{mount} && exec \"$@\""), "sh", env!("CARGO_BIN_EXE_driftless")]);
    let mut command = bench.command(unshare, &["--once"]);
    assert!(Process::spawn(&mut command).wait().success(), "{}", bench.said());
    assert_eq!(store.objects().len(), 1, "{}", bench.said());
}
