//! What a check says, and what it does not say.

use super::{Config, Threshold};
use crate::event::Batch;
use crate::event::metric::{Family, MetricBatch, MetricKind, Sample, SampleValue};
use crate::topology::component::{Outputs, Remember, Transform};
use proptest::prelude::*;
use std::time::Duration;

struct Run(Threshold);

impl Run {
    /// One check with these settings, on the metric `x` if they say nothing else.
    fn new(settings: &str) -> Self {
        Self(built(settings).unwrap())
    }

    /// What is said when these series of `x`, by their label `n`, come at a time in seconds.
    fn at(&mut self, seconds: u64, series: &[(&'static str, f64)]) -> Vec<String> {
        let mut family = Family::new("x", MetricKind::Gauge, "");
        for (n, value) in series {
            family.push(vec![("n".into(), (*n).into())], *value);
        }
        self.take(seconds, vec![family])
    }

    fn take(&mut self, seconds: u64, families: Vec<Family>) -> Vec<String> {
        let mut out = Outputs::default();
        self.0.tick(Duration::from_secs(seconds), &mut out).unwrap();
        let batch = MetricBatch::new(families);
        self.0.transform(Batch::Metrics(batch), &mut out).unwrap();
        said(&mut out)
    }

    /// What is said at that time when nothing comes.
    fn silent_at(&mut self, seconds: u64) -> Vec<String> {
        let mut out = Outputs::default();
        self.0.tick(Duration::from_secs(seconds), &mut out).unwrap();
        said(&mut out)
    }
}

fn built(settings: &str) -> Result<Threshold, String> {
    let expr = if settings.contains("expr:") { "" } else { "expr: x" };
    let yaml = format!("checks: [{{name: c, {expr}, {settings}}}]").replace(", ,", ",");
    let config: Config = serde_yaml::from_str(&yaml).map_err(|error| error.to_string())?;
    Threshold::new(&config, 1_700_000_000_000)
}

/// The changes as `SERIES FROM-TO VALUE`.
fn said(out: &mut Outputs) -> Vec<String> {
    let mut lines = Vec::new();
    for (output, batch) in out.take().0 {
        if !output.is_empty() {
            continue;
        }
        let Batch::Logs(logs) = batch else { panic!("no logs") };
        for record in logs.records() {
            let field = |name: &str| {
                let mut text = Vec::new();
                record.get(name).unwrap().write_display(&mut text);
                String::from_utf8(text).unwrap()
            };
            let held = if field("flapping") == "true" { " held" } else { "" };
            let (from, to, value) = (field("from"), field("to"), field("value"));
            let value = value.trim_end_matches(".0");
            lines.push(format!("{} {from}-{to} {value}{held}", field("series")));
        }
    }
    lines
}

fn one(n: f64) -> [(&'static str, f64); 1] {
    [("a", n)]
}

const NOTHING: &[String] = &[];

#[test]
fn a_level_is_reached_after_its_time_and_left_beyond_the_recovery_value() {
    let level = "warning: {above: 80, clear_below: 70, for: 60s, clear_for: 30s}";
    let mut run = Run::new(&format!("{level}, critical: {{above: 95}}"));
    assert_eq!(run.at(0, &one(50.0)), NOTHING, "a good beginning is no news");
    assert_eq!(run.at(15, &one(85.0)), NOTHING);
    assert_eq!(run.at(60, &one(79.0)), NOTHING, "good in between: the time begins anew");
    assert_eq!(run.at(75, &one(90.0)), NOTHING);
    assert_eq!(run.at(135, &one(90.0)), ["x{n=\"a\"} ok-warning 90"]);
    assert_eq!(run.at(150, &one(96.0)), ["x{n=\"a\"} warning-critical 96"]);
    assert_eq!(run.at(165, &one(85.0)), ["x{n=\"a\"} critical-warning 85"]);
    assert_eq!(run.at(300, &one(75.0)), NOTHING, "not good enough");
    assert_eq!(run.at(315, &one(60.0)), NOTHING);
    assert_eq!(run.at(345, &one(60.0)), ["x{n=\"a\"} warning-ok 60"]);
}

#[test]
fn every_series_has_a_state_of_its_own() {
    let mut run = Run::new("critical: {below: 5}");
    assert_eq!(run.at(0, &[("a", 3.0), ("b", 9.0)]), ["x{n=\"a\"} pending-critical 3"]);
    let both = ["x{n=\"a\"} critical-ok 7", "x{n=\"b\"} ok-critical 1"];
    assert_eq!(run.at(15, &[("a", 7.0), ("b", 1.0)]), both);
}

#[test]
fn silence_never_resolves_and_is_told_after_its_time() {
    let mut run = Run::new("critical: {above: 5}, no_data: {after: 60s}");
    assert_eq!(run.at(0, &one(9.0)), ["x{n=\"a\"} pending-critical 9"]);
    assert_eq!(run.at(15, &one(f64::NAN)), NOTHING, "no number is no good number");
    assert_eq!(run.at(30, &[]), NOTHING);
    assert_eq!(run.at(60, &[]), NOTHING);
    assert_eq!(run.at(90, &[]), ["x{n=\"a\"} critical-unknown "]);
    assert_eq!(run.at(105, &one(9.0)), ["x{n=\"a\"} unknown-critical 9"]);
    assert_eq!(run.silent_at(150), NOTHING);
    assert_eq!(run.silent_at(180), ["x{n=\"a\"} critical-unknown "], "no metrics at all");
    assert_eq!(run.at(200, &one(1.0)), ["x{n=\"a\"} unknown-ok 1"]);

    let mut run = Run::new("critical: {above: 5}, no_data: {after: 60s, state: keep}");
    run.at(0, &one(9.0));
    assert!((1..100).all(|minute| run.at(minute * 60, &[]).is_empty()));
}

#[test]
fn a_check_that_never_finds_anything_says_so() {
    let mut run = Run::new("expr: nothing, critical: {above: 5}, no_data: {after: 60s}");
    assert_eq!(run.at(0, &one(1.0)), NOTHING);
    assert_eq!(run.at(60, &one(1.0)), ["{} pending-unknown "]);
    let mut nothing = Family::new("nothing", MetricKind::Gauge, "");
    nothing.push(vec![("n".into(), "b".into())], 7.0);
    let expected = ["{} unknown-ok ", "nothing{n=\"b\"} pending-critical 7"];
    assert_eq!(run.take(75, vec![nothing]), expected);
}

#[test]
fn a_state_that_changes_all_the_time_is_held() {
    let mut run = Run::new("warning: {above: 5}, flap: {changes: 4, within: 10m}");
    let mut told = Vec::new();
    for minute in 0..20 {
        let value = if minute < 10 && minute % 2 == 1 { 9.0 } else { 1.0 };
        let news = run.at(minute * 60, &one(value));
        told.extend(news.into_iter().map(|line| format!("{minute}: {line}")));
    }
    let series = "x{n=\"a\"}";
    let expected = [
        format!("1: {series} ok-warning 9"),
        format!("2: {series} warning-ok 1"),
        format!("3: {series} ok-warning 9"),
        format!("4: {series} warning-ok 1 held"),
        format!("17: {series} ok-ok 1"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn nothing_is_said_before_the_window_is_full() {
    let mut run = Run::new("expr: 'max_over_time(x[5m])', critical: {above: 5}");
    for second in (0..300).step_by(15) {
        assert_eq!(run.at(second, &one(9.0)), NOTHING, "at {second} s");
    }
    assert_eq!(run.at(300, &one(9.0)), ["{n=\"a\"} pending-critical 9"]);
}

#[test]
fn the_parts_of_a_histogram_have_the_names_that_prometheus_gives_them() {
    let mut run = Run::new("expr: 'x_bucket{le=\"0.5\"} / on() x_count', critical: {below: 0.9}");
    let value = SampleValue::Histogram { buckets: vec![(0.5, 1)], sum: 3.0, count: 2 };
    let mut family = Family::new("x", MetricKind::Histogram, "");
    family.samples.push(Sample { labels: Vec::new().into(), value, timestamp_ms: None });
    assert_eq!(run.take(0, vec![family]), ["{} pending-critical 0.5"]);
}

#[test]
fn what_makes_no_sense_is_refused_with_its_reason() {
    let told = [
        "labels: {}",
        "warning: {for: 5m}",
        "warning: {above: 5, clear_above: 4}",
        "warning: {above: 5, clear_below: 6}",
        "warning: {below: 5, clear_above: 4}",
        "warning: {above: 5, below: 6}",
        "warning: {above: 5}, critical: {above: 4}",
        "warning: {below: 5}, critical: {below: 6}",
        "warning: {above: 5}, flap: {changes: 1, within: 5m}",
        "expr: 'rate(x)', warning: {above: 5}",
        "expr: 'rat(x[5m])', warning: {above: 5}",
    ]
    .map(|settings| match built(settings) {
        Ok(_) => format!("{settings}\n    no complaint"),
        Err(reason) => format!("{settings}\n    {reason}"),
    });
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_restart_tells_nothing_twice_and_what_waits_goes_on() {
    let settings = "warning: {above: 5}, critical: {above: 8, for: 60s}";
    let mut run = Run::new(settings);
    assert_eq!(run.at(0, &one(6.0)), ["x{n=\"a\"} pending-warning 6"]);
    run.at(15, &one(9.0));
    let kept = run.0.to_keep().unwrap();
    assert_eq!(run.0.to_keep(), None, "nothing is new");
    let mut next = Run::new(settings);
    next.0.begun_ms += 15_000;
    next.0.restore(&kept);
    assert_eq!(next.at(15, &one(9.0)), NOTHING);
    assert_eq!(next.at(60, &one(9.0)), ["x{n=\"a\"} warning-critical 9"]);

    let mut late = Run::new(settings);
    late.0.begun_ms += 3_600_000;
    late.0.restore(&kept);
    assert_eq!(late.at(60, &one(9.0)), NOTHING, "nobody knows how it was in between");
    assert_eq!(late.at(120, &one(9.0)), ["x{n=\"a\"} warning-critical 9"]);

    let mut other = Run::new("expr: x * 1, warning: {above: 5}");
    other.0.restore(&kept);
    other.0.restore(b"not what was kept");
    assert_eq!(other.at(0, &one(6.0)), ["{n=\"a\"} pending-warning 6"], "another check");
}

#[test]
fn what_is_bad_is_said_again_and_what_no_longer_is_for_a_while() {
    let mut run = Run::new(
        "warning: {above: 5}, critical: {above: 8}, no_data: {after: 1h}, labels: {team: infra}",
    );
    let mut told = Vec::new();
    for (second, value) in [(0, 6.0), (15, 9.0), (60, 9.0), (75, 9.0), (90, 1.0), (1200, 1.0)] {
        let mut family = Family::new("x", MetricKind::Gauge, "");
        family.push(vec![("n".into(), "a".into())], value);
        let mut out = Outputs::default();
        run.0.tick(Duration::from_secs(second), &mut out).unwrap();
        let metrics = MetricBatch::new(vec![family]);
        run.0.transform(Batch::Metrics(metrics), &mut out).unwrap();
        for (output, batch) in out.take().0 {
            let Batch::Logs(logs) = batch else { panic!("no logs") };
            for record in logs.records().filter(|_| &*output == "standing") {
                let field = |name: &str| {
                    let mut text = Vec::new();
                    record.get(name).unwrap().write_display(&mut text);
                    String::from_utf8(text).unwrap()
                };
                assert!(field("labels").contains("infra"));
                let ended = if field("ended").contains('T') { " ended" } else { "" };
                told.push(format!("{second}: {}{ended}", field("state")));
            }
        }
    }
    let expected = [
        "0: warning",
        "15: warning ended",
        "15: critical",
        "75: warning ended",
        "75: critical",
        "90: warning ended",
        "90: critical ended",
    ];
    assert_eq!(told, expected);
}

#[test]
fn series_have_the_labels_that_a_server_would_add() {
    let yaml = "labels: {job: node, n: other}\nchecks: [\
                {name: a, expr: 'x{job=\"node\"} + on (job) group_left () up', warning: {above: 5}}]";
    let config: Config = serde_yaml::from_str(yaml).unwrap();
    let mut run = Run(Threshold::new(&config, 0).unwrap());
    assert_eq!(run.at(0, &one(6.0)), ["{job=\"node\", n=\"a\"} pending-warning 7"]);
}

proptest! {
    #[test]
    fn a_value_that_walks_in_the_dead_band_changes_nothing(
        begins_bad in any::<bool>(),
        walk in prop::collection::vec(70.0f64..=80.0, 1..50),
    ) {
        let mut run = Run::new("warning: {above: 80, clear_below: 70}");
        run.at(0, &one(if begins_bad { 90.0 } else { 60.0 }));
        for (value, step) in walk.into_iter().zip(1..) {
            prop_assert_eq!(run.at(step * 15, &one(value)), NOTHING);
        }
    }
}

proptest! {
    /// What was kept last is always what would be kept now, though it is not written at each check.
    #[test]
    fn whatever_changes_is_kept_and_nothing_is_written_for_its_own_sake(
        steps in prop::collection::vec((prop::option::weighted(0.8, 0..12i32), 1..200u64), 1..60),
    ) {
        let yaml = "checks: [{name: c, expr: x, warning: {above: 5, for: 60s}, critical: {above: 8}, \
            no_data: {after: 2m}, flap: {changes: 4, within: 10m}}]\n\
            groups: [{name: g, rules: [{alert: A, expr: x > 6, for: 60s, keep_firing_for: 2m, \
            annotations: {summary: 'at {{ $value }}'}}]}]";
        let config: Config = serde_yaml::from_str(yaml).unwrap();
        let mut run = Run(Threshold::new(&config, 1_700_000_000_000).unwrap());
        let (mut second, mut kept) = (0, Vec::new());
        for (value, pause) in steps {
            second += pause;
            match value {
                Some(value) => drop(run.at(second, &one(f64::from(value)))),
                None => drop(run.at(second, &[])),
            }
            if let Some(bytes) = run.0.to_keep() {
                kept = bytes;
            }
            prop_assert_eq!(run.0.to_keep(), None);
            let now = run.0.standings(run.0.kept_at_ms()).unwrap();
            prop_assert_eq!(&kept, &now);
        }
    }
}
