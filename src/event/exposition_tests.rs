//! The text format, checked against its own rules and against Prometheus's own checker.

use std::collections::HashSet;
use std::io::Write;
use std::process::{Command, Stdio};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn text(families: &[Family]) -> (String, usize) {
    let mut out = Vec::new();
    let dropped = encode(families, &mut out);
    (String::from_utf8(out).unwrap(), dropped)
}

fn labels(pairs: &[(&'static str, &'static str)]) -> Vec<(Text, Text)> {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn sample(pairs: &[(&'static str, &'static str)], value: SampleValue) -> Sample {
    Sample { labels: labels(pairs).into(), value, timestamp_ms: None }
}

fn every_kind() -> Vec<Family> {
    let mut counter = Family::new("a_total", MetricKind::Counter, "Back\\slash,\nline, \"quote\".");
    counter.push(labels(&[("path", "C:\\new\n\"x\"")]), 8_885_917.0);
    let mut histogram = Family::new("b_seconds", MetricKind::Histogram, "Spread.");
    let buckets = vec![(0.1, 1), (2.5, 3), (f64::INFINITY, 4)];
    let value = SampleValue::Histogram { buckets, sum: 7.25, count: 4 };
    histogram.samples.push(sample(&[("job", "x")], value));
    let mut summary = Family::new("c_seconds", MetricKind::Summary, "Share.");
    let value = SampleValue::Summary { quantiles: vec![(0.5, f64::NAN)], sum: 1.0, count: 2 };
    summary.samples.push(sample(&[], value));
    let mut timed = Family::single("d", MetricKind::Untyped, "When.", -0.5);
    timed.samples[0].timestamp_ms = Some(1_418_183_276_000);
    let nothing = Family::new("e", MetricKind::Gauge, "Nothing.");
    vec![counter, histogram, summary, timed, nothing]
}

#[test]
fn each_kind_reads_as_the_format_asks() {
    insta::assert_snapshot!(text(&every_kind()).0, @r##"
    # HELP a_total Back\\slash,\nline, "quote".
    # TYPE a_total counter
    a_total{path="C:\\new\n\"x\""} 8.885917e+06
    # HELP b_seconds Spread.
    # TYPE b_seconds histogram
    b_seconds_bucket{job="x",le="0.1"} 1
    b_seconds_bucket{job="x",le="2.5"} 3
    b_seconds_bucket{job="x",le="+Inf"} 4
    b_seconds_sum{job="x"} 7.25
    b_seconds_count{job="x"} 4
    # HELP c_seconds Share.
    # TYPE c_seconds summary
    c_seconds{quantile="0.5"} NaN
    c_seconds_sum 1
    c_seconds_count 2
    # HELP d When.
    # TYPE d untyped
    d -0.5 1418183276000
    "##);
}

#[test]
fn a_series_that_is_there_already_is_left_out_and_counted() {
    let mut family = Family::new("x", MetricKind::Gauge, "X.");
    for name in ["b", "a", "b"] {
        family.push(vec![("name".into(), name.into())], 1.0);
    }
    let again = Family::single("x", MetricKind::Gauge, "Another help.", 2.0);
    let other_kind = Family::single("x", MetricKind::Counter, "X.", 2.0);
    let apart = Family::single("x", MetricKind::Gauge, "X.", 3.0);
    let y = Family::single("y", MetricKind::Gauge, "Y.", 4.0);
    let (text, dropped) = text(&[family, again, other_kind, y, apart]);
    assert_eq!(dropped, 3, "the second b, the other kind, the one apart\n{text}");
    assert_eq!(text.matches("# TYPE x ").count(), 1);
    assert_eq!(text.lines().filter(|line| !line.starts_with('#')).count(), 4);
}

#[test]
fn names_that_are_mended_do_not_become_twins() {
    let named = |name: &'static str| Family::single(name, MetricKind::Gauge, "", 1.0);
    let (out, dropped) = text(&[named("a-b"), named("a_b"), named("1"), named("")]);
    assert_eq!(dropped, 2);
    assert_eq!(out.matches("\na_b 1\n").count(), 1);
    let mut family = Family::new("x", MetricKind::Gauge, "");
    for name in ["p-q", "p_q"] {
        family.push(labels(&[(name, "1")]), 1.0);
    }
    family.push(labels(&[("z", "1"), ("z", "2")]), 1.0);
    assert_eq!(text(&[family]).1, 2);
}

#[test]
fn a_value_of_another_shape_is_left_out() {
    let histogram = Family::single("x", MetricKind::Histogram, "", 1.0);
    let mut reserved = Family::new("y", MetricKind::Summary, "");
    let value = SampleValue::Summary { quantiles: Vec::new(), sum: 0.0, count: 0 };
    reserved.samples.push(sample(&[("quantile", "0.5")], value));
    assert_eq!(text(&[histogram, reserved]), (String::new(), 2));
}

#[test]
fn promtool_finds_the_text_valid() {
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else { return println!("skipped: there is no promtool here") };
    let text = text(&every_kind()).0;
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let told = promtool.wait_with_output().unwrap();
    // 1 is a text that it cannot read; 3 is a name that it would choose differently.
    assert_ne!(told.status.code(), Some(1), "{}", String::from_utf8_lossy(&told.stderr));
}

/// Reads one line of a sample as the format's rules say, to the name and the labels' values.
fn read_line(line: &str) -> Option<(String, Vec<(String, String)>)> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut found = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"")?;
            let mut value = String::new();
            let mut chars = after.char_indices();
            let close = loop {
                match chars.next()? {
                    (at, '"') => break at,
                    (_, '\\') => value.push(match chars.next()?.1 {
                        'n' => '\n',
                        other => other,
                    }),
                    (_, '\n') => return None,
                    (_, plain) => value.push(plain),
                }
            };
            found.push((label.to_owned(), value));
            rest = &after[close + 1..];
            match rest.split_at_checked(1)? {
                (",", more) => rest = more,
                ("}", more) => break rest = more,
                _ => return None,
            }
        }
    }
    rest.strip_prefix(' ')?.parse::<f64>().ok()?;
    Some((name.to_owned(), found))
}

proptest! {
    #[test]
    fn any_label_value_comes_back_as_it_was(values in vec(any::<String>(), 1..8)) {
        let mut family = Family::new("x", MetricKind::Gauge, "any \\ help \n");
        for value in &values {
            family.push(vec![("one".into(), "1".into()), ("two".into(), value.clone().into())], 1.5);
        }
        let distinct: HashSet<_> = values.iter().cloned().collect();
        let (text, dropped) = text(&[family]);
        prop_assert_eq!(dropped, values.len() - distinct.len());
        let lines = text.split('\n').filter(|line| line.starts_with("x{"));
        let back: Option<HashSet<_>> =
            lines.map(|line| Some(read_line(line)?.1.pop()?.1)).collect();
        prop_assert_eq!(back, Some(distinct));
    }

    #[test]
    fn any_names_give_lines_that_can_be_read_and_no_series_twice(
        names in vec((".{0,4}", ".{0,4}", ".{0,3}"), 0..8)
    ) {
        let families: Vec<Family> = names
            .iter()
            .map(|(name, label, value)| {
                let mut family = Family::new(name.clone(), MetricKind::Gauge, value.clone());
                let labels = vec![(label.clone().into(), value.clone().into())];
                family.push(labels, 1.0);
                family
            })
            .collect();
        let (text, dropped) = text(&families);
        let lines = text.split_terminator('\n').filter(|line| !line.starts_with('#'));
        let series: Option<Vec<_>> = lines.map(read_line).collect();
        let series = series.expect("each line can be read");
        prop_assert_eq!(series.len() + dropped, families.len());
        prop_assert_eq!(series.iter().collect::<HashSet<_>>().len(), series.len());
        let types = text.lines().filter(|line| line.starts_with("# TYPE "));
        let distinct: HashSet<&str> = series.iter().map(|(name, _)| name.as_str()).collect();
        prop_assert_eq!(types.count(), distinct.len());
    }
}

#[test]
fn openmetrics_has_its_own_names_for_counters_and_ends_with_a_mark() {
    let single = |name, kind| Family::single(name, kind, "a \"b\"", 1.0);
    let mut histogram = Family::new("h", MetricKind::Histogram, "");
    let value = SampleValue::Histogram { buckets: vec![(2.0, 1)], sum: 3.0, count: 1 };
    histogram.samples.push(Sample { labels: Vec::new().into(), value, timestamp_ms: Some(1500) });
    let families = [
        single("a_total", MetricKind::Counter),
        single("b", MetricKind::Counter),
        histogram,
        single("u", MetricKind::Untyped),
    ];
    let mut out = Vec::new();
    assert_eq!(encode_as(Format::OpenMetrics, &families, &mut out), 0);
    let expected = "# HELP a a \\\"b\\\"\n# TYPE a counter\na_total 1\n\
        # HELP b a \\\"b\\\"\n# TYPE b unknown\nb 1\n\
        # HELP h \n# TYPE h histogram\nh_bucket{le=\"2.0\"} 1 1.5\nh_bucket{le=\"+Inf\"} 1 1.5\n\
        h_sum 3 1.5\nh_count 1 1.5\n\
        # HELP u a \\\"b\\\"\n# TYPE u unknown\nu 1\n# EOF\n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}
