//! What belongs together comes out as one, when it is complete.

use super::*;
use crate::event::log::{Value, Verdict as Fate};
use bytes::Bytes;
use serde_json::json;
use std::sync::Arc;

struct Run {
    reduce: Reduce,
    batches: u64,
}

impl Run {
    fn new(yaml: &str) -> Self {
        let config: Config = serde_yaml::from_str(yaml).unwrap();
        Self { reduce: Reduce::new(&config, &Map::new()).unwrap(), batches: 0 }
    }

    /// What comes out when records come at a time; each is `id:number`.
    fn at(&mut self, seconds: u64, records: &str) -> Vec<Json> {
        let lines = records.replace(' ', "\n");
        let offset = self.batches * 1000;
        let chunk = Bytes::from(lines);
        let mut batch = LogBatch::from_lines(&chunk, Arc::default(), offset, 0);
        batch.rewrite(|record, writer| {
            let text = std::str::from_utf8(record.raw()).unwrap();
            let (id, number) = text.split_once(':').unwrap();
            writer.push("id", record.text_at(id.as_bytes()));
            writer.push("n", Value::Int(number.parse().unwrap()));
            Fate::Parsed
        });
        let mut out = Outputs::of(self.batches);
        self.batches += 1;
        self.reduce.tick(Duration::from_secs(seconds), &mut out).unwrap();
        self.reduce.transform(Batch::Logs(batch), &mut out).unwrap();
        shown(&mut out)
    }

    fn flush(&mut self) -> Vec<Json> {
        let mut out = Outputs::default();
        self.reduce.flush(&mut out).unwrap();
        assert_eq!((self.reduce.held_bytes(), self.reduce.held_since()), (0, None));
        shown(&mut out)
    }
}

fn shown(out: &mut Outputs) -> Vec<Json> {
    let object = |record: RecordRef<'_>| {
        let fields = record.fields().map(|(name, value)| (name.to_owned(), value.to_json()));
        Json::Object(fields.collect())
    };
    let batches = out.take().0.into_iter();
    let records = batches.map(|(_, batch)| match batch {
        Batch::Logs(logs) => object(logs.records().next().unwrap()),
        other => panic!("{other:?}"),
    });
    records.collect()
}

#[test]
fn every_strategy_does_what_it_says() {
    let merged = |strategy: &str| {
        let mut run = Run::new(&format!("{{key: [id], merge: {{n: {strategy}}}, separator: '+'}}"));
        assert!(run.at(0, "a:3 a:1 a:2").is_empty());
        run.flush()[0]["n"].clone()
    };
    let expected = [
        ("first", json!(3)),
        ("last", json!(2)),
        ("sum", json!(6)),
        ("min", json!(1)),
        ("max", json!(3)),
        ("concat", json!("3+1+2")),
        ("array", json!([3, 1, 2])),
        ("count", json!(3)),
    ];
    for (strategy, value) in expected {
        assert_eq!(merged(strategy), value, "{strategy}");
    }
}

#[test]
fn a_group_ends_by_its_end_its_start_its_size_or_silence() {
    let mut run = Run::new("{key: [id], end: n == 9, start: n == 0, max_records: 3, count: c}");
    assert_eq!(run.at(0, "a:0 b:1 a:9 b:2"), [json!({"id": "a", "n": 0, "c": 2})]);
    assert_eq!(run.at(1, "b:0"), [json!({"id": "b", "n": 1, "c": 2})], "a new start");
    assert_eq!(run.at(2, "b:4 b:5"), [json!({"id": "b", "n": 0, "c": 3})], "full");
    assert!(run.at(20, "c:1").is_empty());
    assert_eq!(run.reduce.due(), Some(Duration::from_secs(30)));
    assert!(run.at(40, "c:2").is_empty());
    assert!(run.at(69, "d:1").is_empty(), "each record keeps its group alive");
    assert_eq!(run.at(70, "d:2"), [json!({"id": "c", "n": 1, "c": 2})]);
}

#[test]
fn the_oldest_batch_of_which_something_is_held_is_known() {
    let mut run = Run::new("{key: [id], end: n == 9}");
    run.at(0, "a:1");
    run.at(0, "b:1");
    run.at(0, "a:2");
    assert_eq!(run.reduce.held_since(), Some(0));
    assert_eq!(run.at(0, "a:9").len(), 1);
    assert_eq!(run.reduce.held_since(), Some(1));
    let mut out = Outputs::default();
    run.reduce.relieve(&mut out).unwrap();
    assert_eq!((shown(&mut out).len(), run.reduce.held_since()), (1, None));
}

#[test]
fn there_are_only_so_many_groups_at_a_time() {
    let mut run = Run::new("{key: [id], max_groups: 2}");
    assert_eq!(run.at(0, "a:1 b:1 c:1"), [json!({"id": "a", "n": 1})]);
    assert_eq!(run.flush().len(), 2);
}

#[test]
fn a_merged_record_stands_where_its_first_one_stood() {
    let mut run = Run::new("key: [id]");
    run.at(0, "x:1");
    run.at(0, "a:1 a:2");
    let mut out = Outputs::default();
    run.reduce.flush(&mut out).unwrap();
    let (_, Batch::Logs(second)) = out.take().0.remove(1) else { panic!("no logs") };
    assert_eq!(second.records().next().unwrap().offset(), 1000);
}

#[test]
fn nonsense_is_refused() {
    for yaml in ["expire_after: 0s", "max_records: 0", "max_groups: 0"] {
        let config: Config = serde_yaml::from_str(yaml).unwrap();
        assert!(Reduce::new(&config, &Map::new()).is_err(), "{yaml}");
    }
}
