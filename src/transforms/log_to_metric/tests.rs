//! What records say is counted and measured.

use super::*;
use crate::event::exposition;
use crate::event::log::{LogBatch, Value, Verdict};
use bytes::Bytes;
use std::sync::Arc;

fn build(yaml: &str) -> LogToMetric {
    let config: Config = serde_yaml::from_str(yaml).unwrap();
    LogToMetric::new(&config, &Map::new()).unwrap()
}

/// Records from lines `word number`.
fn records(text: &str) -> Batch {
    let chunk = Bytes::copy_from_slice(text.as_bytes());
    let mut batch = LogBatch::from_lines(&chunk, Arc::default(), 0, 0);
    batch.rewrite(|record, writer| {
        let line = std::str::from_utf8(record.raw()).unwrap();
        let (word, number) = line.split_once(' ').unwrap();
        writer.push("word", record.text_at(word.as_bytes()));
        match number.parse() {
            Ok(number) => writer.push("n", Value::Float(number)),
            Err(_) => writer.push("n", record.text_at(number.as_bytes())),
        }
        Verdict::Parsed
    });
    Batch::Logs(batch)
}

fn text(out: &mut Outputs) -> String {
    let batches = out.take().0;
    let text = batches.into_iter().map(|(_, batch)| match batch {
        Batch::Metrics(metrics) => {
            let mut text = Vec::new();
            exposition::encode(&metrics.families, &mut text);
            String::from_utf8(text).unwrap()
        }
        other => panic!("{other:?}"),
    });
    text.collect()
}

fn without_help(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

#[test]
fn counters_gauges_and_histograms_are_totals_of_all_records() {
    let mut transform = build(
        "metrics:
  - {name: lines_total, type: counter, labels: {word: '{{ word }}', at: 'x'}}
  - {name: sum_total, type: counter, field: n, when: word == 'a'}
  - {name: last, type: gauge, field: n, labels: {w: '{{ word | upper }}'}}
  - {name: sizes, type: histogram, field: n, buckets: [1, 2.5]}
  - {name: all_total, type: counter}",
    );
    let mut out = Outputs::of(4);
    transform.tick(Duration::from_secs(1), &mut out).unwrap();
    transform.transform(records("a 1\nb 2\n"), &mut out).unwrap();
    transform.transform(records("a 3\na x\n"), &mut out).unwrap();
    assert_eq!(transform.held_since(), Some(4));
    assert_eq!(transform.due(), Some(Duration::from_secs(16)));
    assert_eq!(text(&mut out), "");
    transform.tick(Duration::from_secs(16), &mut out).unwrap();
    let expected = [
        "all_total 4",
        "last{w=\"A\"} 3",
        "last{w=\"B\"} 2",
        "lines_total{at=\"x\",word=\"a\"} 3",
        "lines_total{at=\"x\",word=\"b\"} 1",
        "sizes_bucket{le=\"1\"} 1",
        "sizes_bucket{le=\"2.5\"} 2",
        "sizes_bucket{le=\"+Inf\"} 3",
        "sizes_sum 6",
        "sizes_count 3",
        "sum_total 4",
    ];
    assert_eq!(without_help(&text(&mut out)), expected);
    assert_eq!(transform.held_since(), None);
}

#[test]
fn totals_go_on_from_interval_to_interval_until_a_series_expires() {
    let yaml = "{interval: 10s, expire_after: 25s, metrics: [{name: t_total, type: counter, \
                labels: {word: '{{ word }}'}}]}";
    let mut transform = build(yaml);
    let mut out = Outputs::default();
    transform.transform(records("a 1\nb 1\n"), &mut out).unwrap();
    let mut at = |seconds: u64, more: &str| {
        transform.tick(Duration::from_secs(seconds), &mut out).unwrap();
        if !more.is_empty() {
            transform.transform(records(more), &mut out).unwrap();
        }
        let text = text(&mut out);
        without_help(&text).join(" ")
    };
    assert_eq!(at(10, "a 1\n"), "t_total{word=\"a\"} 1 t_total{word=\"b\"} 1");
    assert_eq!(at(20, ""), "t_total{word=\"a\"} 2 t_total{word=\"b\"} 1");
    assert_eq!(at(30, ""), "t_total{word=\"a\"} 2");
    assert_eq!(at(40, ""), "");
    assert_eq!(transform.due(), None, "nothing to say, nothing to wake up for");
}

#[test]
fn there_are_only_so_many_series_and_the_rest_is_counted() {
    let yaml =
        "{max_series: 2, metrics: [{name: t_total, type: counter, labels: {w: '{{ word }}'}}]}";
    let mut transform = build(yaml);
    let mut out = Outputs::default();
    transform.transform(records("a 1\nb 1\nc 1\nd 1\na 1\n"), &mut out).unwrap();
    transform.flush(&mut out).unwrap();
    let expected = [
        "log_to_metric_overflow_total{metric=\"t_total\"} 2",
        "t_total{w=\"a\"} 2",
        "t_total{w=\"b\"} 1",
    ];
    assert_eq!(without_help(&text(&mut out)), expected);
    transform.flush(&mut out).unwrap();
    assert_eq!(text(&mut out), "", "everything was told already");
}

#[test]
fn what_makes_no_sense_is_an_error() {
    for metrics in [
        "[]",
        "[{name: 'a b', type: counter}]",
        "[{name: a, type: gauge}]",
        "[{name: a, type: counter, buckets: [1]}]",
        "[{name: a, type: histogram, field: n, buckets: [2, 1]}]",
        "[{name: a, type: counter, labels: {'a-b': x}}]",
        "[{name: a, type: counter, labels: {a: '{{ x + }}'}}]",
        "[{name: a, type: counter}, {name: a, type: counter}]",
    ] {
        let config: Config = serde_yaml::from_str(&format!("metrics: {metrics}")).unwrap();
        assert!(LogToMetric::new(&config, &Map::new()).is_err(), "{metrics}");
    }
}
