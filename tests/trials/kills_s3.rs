//! kill -9, again and again, on the way to a bucket: each line is in one object, once.

use super::bucket::Store;
use super::oracle::{Oracle, Verdict};
use super::rig::Rig;
use super::writer::{MARK, Writer};
use super::{is_long, scale};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

/// For so long nothing new has come before what there is is judged.
const QUIET: Duration = Duration::from_millis(500);

/// What one trial is like.
struct Trial {
    transforms: Value,
    sink: Value,
    /// What each of the two writers writes.
    bytes_per_second: usize,
    /// How long the agent lives at most once it brings something, in milliseconds.
    life_ms: u64,
}

impl Trial {
    /// Kills the agent again and again, lets the last one finish, and says what there is.
    fn run(mut self) {
        let store = Store::start();
        let last = if self.transforms == json!({}) { "app" } else { "parse" };
        self.sink["inputs"] = json!([last]);
        let topology = json!({
            "sources": { "app": { "type": "file", "include": ["{dir}/logs/*.log"] } },
            "transforms": self.transforms, "sinks": { "out": store.sink(self.sink) },
        });
        let mut rig = Rig::new(&topology.to_string());
        let start = |id: u32, name: &str| Writer::start(id, &rig.path(name), self.bytes_per_second);
        let mut writers = [start(1, "logs/a.log"), start(2, "logs/b.log")];
        for _ in 0..scale().kills {
            let agent = rig.start();
            // On a busy host it takes a while until it is at work.
            let journal = || fs::metadata(rig.path("data/deliveries/out")).map_or(0, |it| it.len());
            let before = journal();
            rig.wait_until("it brings something", || journal() != before);
            std::thread::sleep(rig.random(0, self.life_ms));
            agent.kill();
        }
        let written = [(1, writers[0].stop()), (2, writers[1].stop())];
        let before = store.objects().len();
        let agent = rig.start();
        let mut last = (0, Instant::now());
        rig.wait_until("all lines have arrived", || {
            let bytes = size(&store.dir.path().join("logs"));
            if bytes != last.0 {
                last = (bytes, Instant::now());
            }
            let is_quiet = last.1.elapsed() > QUIET;
            if is_quiet {
                last.1 = Instant::now();
            }
            is_quiet && {
                let oracle = Oracle::of(&text(&store.objects()));
                written.iter().all(|(id, lines)| oracle.distinct(*id) == *lines)
            }
        });
        assert!(agent.stop().success(), "{}", rig.said());
        let objects = store.objects();
        let verdict = Oracle::of(&text(&objects)).verdict(&written);
        let lines: u64 = written.iter().map(|(_, lines)| lines).sum();
        println!(
            "{} kills, {lines} lines in {} objects, {before} of them before the last start: {verdict:?}",
            scale().kills,
            objects.len()
        );
        assert!(before > 0, "the agent lives too short to bring anything: {}", rig.said());
        assert_eq!(Verdict { overtaken: 0, ..verdict }, Verdict::default(), "{}", rig.said());
        assert_order(&objects);
        let said = rig.all_said();
        assert!(!said.contains("cannot be made again") && !said.contains("dropped"), "{said}");
    }
}

/// How many bytes the objects below `dir` have.
fn size(dir: &Path) -> u64 {
    let of_one = |entry: fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => size(&entry.path()),
        Ok(about) if !entry.file_name().to_string_lossy().starts_with('.') => about.len(),
        // One that comes or goes just now.
        _ => 0,
    };
    fs::read_dir(dir).map_or(0, |entries| entries.flatten().map(of_one).sum())
}

/// All that the objects hold.
fn text(objects: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    objects.iter().map(|(key, body)| unpacked(key, body)).collect::<Vec<_>>().concat()
}

fn unpacked(key: &str, body: &[u8]) -> Vec<u8> {
    let mut text = body.to_vec();
    if key.ends_with(".gz") {
        text.clear();
        flate2::read::MultiGzDecoder::new(body).read_to_end(&mut text).unwrap();
    }
    text
}

/// Lines of one writer are in order in each object, and no two objects of one prefix have lines of
/// it that are between each other's.
fn assert_order(objects: &BTreeMap<String, Vec<u8>>) {
    let mut ranges: BTreeMap<(String, u64), Vec<(u64, u64)>> = BTreeMap::new();
    for (key, body) in objects {
        let text = unpacked(key, body);
        let mut numbers: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for line in String::from_utf8(text).unwrap().lines() {
            let words: Vec<&str> = line.strip_prefix(MARK).unwrap().split_whitespace().collect();
            let [writer, number] = [1, 2].map(|at| words[at].parse::<u64>().unwrap());
            numbers.entry(writer).or_default().push(number);
        }
        let prefix = key.rsplit_once('/').unwrap().0;
        for (writer, numbers) in numbers {
            assert!(numbers.is_sorted(), "{key} has lines of writer {writer} in another order");
            let range = (numbers[0], *numbers.last().unwrap());
            ranges.entry((prefix.to_owned(), writer)).or_default().push(range);
        }
    }
    for ((prefix, writer), mut ranges) in ranges {
        ranges.sort_unstable();
        let apart = ranges.windows(2).all(|pair| pair[0].1 < pair[1].0);
        assert!(apart, "{prefix}: lines of writer {writer} in the midst of others: {ranges:?}");
    }
}

fn rate() -> usize {
    if is_long() { 2_000_000 } else { 500_000 }
}

#[test]
fn killed_on_the_way_to_a_bucket_it_loses_and_doubles_nothing() {
    Trial {
        transforms: json!({}),
        sink: json!({ "encoding": "text", "compression": "none",
                      "batch": { "bytes": "256KiB", "age": "200ms" } }),
        bytes_per_second: rate(),
        life_ms: 700,
    }
    .run();
}

#[test]
fn killed_on_the_way_to_many_prefixes_it_loses_and_doubles_nothing() {
    let pattern = format!("^{MARK} (?P<part>.)");
    Trial {
        transforms: json!({ "parse": { "type": "parse", "format": "regex", "pattern": pattern,
                                       "inputs": ["app"] } }),
        sink: json!({ "encoding": "text", "prefix": "{{ part }}/",
                      "compression": "gzip", "batch": { "bytes": "64KiB", "age": "300ms" } }),
        bytes_per_second: rate(),
        life_ms: 700,
    }
    .run();
}

#[test]
fn killed_on_the_way_to_large_objects_in_parts_it_loses_and_doubles_nothing() {
    Trial {
        transforms: json!({}),
        sink: json!({ "encoding": "text", "compression": "none", "part_bytes": "5MiB",
                      "batch": { "bytes": "8MiB", "age": "1s" } }),
        bytes_per_second: 3_000_000,
        life_ms: 1500,
    }
    .run();
}
