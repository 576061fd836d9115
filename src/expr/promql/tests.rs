//! Holds the evaluator against Prometheus's own: `promtool test rules` must find every answer
//! that is given here, and the answers are kept beside, for where there is no `promtool`.

use super::ast::Look;
use super::labels::NAME;
use super::testing::{series, values};
use super::{Element, Labels, Ring, Value, evaluate, parse};
use std::fmt::Write as _;
use std::process::Command;

/// Series in promtool's notation, a value a minute.
const SERIES: &[(&str, &str)] = &[
    (r#"requests_total{job="web",instance="a",code="200"}"#, "0+60x12"),
    (
        r#"requests_total{job="web",instance="b",code="200"}"#,
        "5 25 45 65 10 30 50 70 90 110 130 150",
    ),
    (r#"requests_total{job="web",instance="a",code="500"}"#, "1 1 1 2 2 2 2 5 5 5 6 6"),
    (r#"requests_total{job="db",instance="c",code="200"}"#, "_x3 100+7x9"),
    (r#"free_bytes{mountpoint="/",device="sda1"}"#, "1000-37x12"),
    (
        r#"free_bytes{mountpoint="/var",device="sdb1"}"#,
        "500 480 490 470 430 440 400 390 395 350 340 330",
    ),
    (r#"size_bytes{mountpoint="/",device="sda1"}"#, "2000x12"),
    (r#"size_bytes{mountpoint="/var",device="sdb1"}"#, "1000x12"),
    (r#"gone{host="x"}"#, "1 2 3 4 5 6 stale"),
    (r#"owner{job="web",team="shop"}"#, "1x12"),
    (r#"owner{job="db",team="data"}"#, "1x12"),
    (r#"odd{n="inf"}"#, "Inf Inf Inf Inf Inf Inf Inf Inf Inf Inf Inf Inf"),
    (r#"odd{n="minus"}"#, "-3.5x12"),
    (r#"odd{n="plus"}"#, "2.5x12"),
];

const EXPRESSIONS: &[&str] = &[
    "1 + 2 * 3 - -4 % 3 - 2 ^ 3 ^ 2",
    "-2 ^ 2",
    "1 > bool 2",
    "time()",
    "vector(3) + 1",
    "scalar(owner{team='shop'})",
    "vector(scalar(owner)) == vector(scalar(owner))",
    "requests_total",
    "requests_total{code=~'2..',instance!='b'}",
    "{__name__=~'owner|gone'}",
    "requests_total{instance!~'a|b'} offset 2m",
    "gone",
    "gone offset 5m",
    "absent(gone{host='x',job=~'.+'})",
    "absent(owner)",
    "absent_over_time(gone{host='x'}[3m])",
    "round(rate(requests_total[5m]), 0.00001)",
    "round(rate(requests_total[10m]), 0.00001)",
    "round(increase(requests_total[7m]), 0.00001)",
    "round(irate(requests_total[5m]), 0.00001)",
    "round(delta(free_bytes[6m]), 0.00001)",
    "idelta(free_bytes[6m])",
    "round(deriv(free_bytes[8m]), 0.00001)",
    "round(predict_linear(free_bytes[8m], 3600), 0.00001)",
    "round(avg_over_time(free_bytes[6m]), 0.00001)",
    "min_over_time(free_bytes[6m])",
    "max_over_time(free_bytes[6m])",
    "sum_over_time(free_bytes[6m])",
    "last_over_time({__name__=~'.*_bytes'}[6m])",
    "count_over_time(gone[12m])",
    "round(quantile_over_time(0.3, free_bytes[6m]), 0.00001)",
    "last_over_time(gone[12m])",
    "present_over_time(gone[12m])",
    "changes(requests_total[11m])",
    "resets(requests_total[11m])",
    "round(stddev_over_time(free_bytes[6m]), 0.00001)",
    "round(stdvar_over_time(free_bytes[6m]), 0.00001)",
    "abs(odd)",
    "ceil(odd)",
    "floor(odd)",
    "round(odd)",
    "round(free_bytes, 100)",
    "sgn(odd)",
    "round(sqrt(owner * 9), 0.00001)",
    "clamp(odd, -1, 1)",
    "clamp(odd, 1, -1)",
    "clamp_min(odd, 0)",
    "clamp_max(odd, 0)",
    "label_replace(owner, 'who', '$1-x', 'team', '(.)(.*)')",
    "label_replace(owner, 'team', '', 'job', 'web')",
    "sum(requests_total)",
    "sum by (job) (requests_total)",
    "sum(requests_total) without (instance, code)",
    "round(avg by (code) (requests_total), 0.00001)",
    "min(requests_total)",
    "max by (job, code) (requests_total)",
    "count(requests_total) by (job)",
    "group(requests_total) by (job)",
    "round(stddev(requests_total), 0.00001)",
    "round(stdvar by (job) (requests_total), 0.00001)",
    "topk(2, requests_total)",
    "bottomk by (job) (1, requests_total)",
    "round(quantile(0.25, requests_total), 0.00001)",
    "count_values('v', owner)",
    "100 * free_bytes / size_bytes",
    "free_bytes / on(mountpoint) size_bytes < 0.5",
    "free_bytes > ignoring(device) size_bytes * 0.3",
    "free_bytes < 500",
    "500 > free_bytes",
    "free_bytes > bool 500",
    "free_bytes == bool on(mountpoint) size_bytes",
    "requests_total * on(job) group_left(team) owner",
    "owner * on(job) group_right(team) requests_total",
    "free_bytes and size_bytes",
    "free_bytes and on(device) gone offset 6m",
    "owner{job='web'} or owner",
    "owner unless owner{team='data'}",
    "requests_total and on(job) owner{team='data'} or free_bytes < 400",
    "-free_bytes",
    "2 ^ owner",
    "round(free_bytes atan2 size_bytes, 0.00001)",
    "round(sum(rate(requests_total{code=~'5..'}[5m])) by (job) / sum(rate(requests_total[5m])) by (job), 0.00001)",
    "sort_desc(free_bytes) > 0",
    "max_over_time(free_bytes[5m15s:1m])",
    "round(avg_over_time(rate(requests_total[4m20s])[6m15s:45s]), 0.00001)",
    "sum_over_time(sum(free_bytes)[4m15s:] offset 1m)",
    "max_over_time(count_over_time(free_bytes[2m30s])[4m15s:30s] @ 360)",
    "count_over_time(vector(1)[5m15s:1m])",
    "round(increase(sum by (job) (requests_total)[7m15s:2m]), 0.00001)",
    "free_bytes @ 120",
    "free_bytes @ 240 offset 1m",
    "free_bytes offset 1m @ 240",
    "free_bytes - free_bytes @ end()",
    "absent_over_time(gone[2m15s:30s])",
    "label_join(owner, 'both', '/', 'job', 'team', 'none')",
    "timestamp(owner offset 1m)",
    "timestamp(owner * 2)",
    "minute()",
    "hour(vector(1136239445))",
    "day_of_week(vector(1136239445)) + month(vector(1136239445)) / 100",
    "day_of_month(vector(1136239445)) + days_in_month(vector(1139239445)) / 100",
    "day_of_year(vector(1136239445)) + year(vector(1136239445)) / 100000",
    "minute(odd{n!='inf'})",
    "round(sin(odd{n!='inf'}) + cos(odd) + tan(odd), 0.00001)",
    "round(atan(odd) + asinh(odd) + tanh(odd), 0.00001)",
    "round(acos(owner / 2) + asin(owner / 2) + atanh(owner / 2) + acosh(owner * 2), 0.00001)",
    "round(sinh(owner) + cosh(owner) + deg(owner) + rad(owner) + pi(), 0.00001)",
];

/// Where none of the windows begins or ends at a sample, since the Prometheus of Debian 12 still
/// takes in the one at the beginning.
const AT_MS: i64 = (10 * 60 + 30) * 1000;

fn filled(expressions: &[&str]) -> Ring {
    let parsed: Vec<_> = expressions.iter().map(|text| parse(text).unwrap()).collect();
    let mut ring = Ring::new(&parsed, 1 << 20);
    for (name, text) in SERIES {
        let labels = series(name);
        for (value, at_ms) in values(text).into_iter().zip((0i64..).step_by(60_000)) {
            match value {
                Some(Some(value)) => ring.push(labels.clone(), at_ms, value),
                Some(None) => ring.end_others(labels.name(), &Default::default(), at_ms),
                None => {}
            }
        }
    }
    ring
}

fn answers(text: &str) -> Vec<Element> {
    let ring = filled(EXPRESSIONS);
    match evaluate(&parse(text).unwrap(), &ring, AT_MS) {
        Ok(Value::Vector(elements)) => elements,
        Ok(Value::Scalar(value)) => vec![Element { labels: Labels::default(), value }],
        Err(problem) => panic!("{text}: {problem}"),
    }
}

/// A number as YAML writes it.
fn number(value: f64) -> String {
    match value {
        f64::INFINITY => ".inf".to_owned(),
        f64::NEG_INFINITY => "-.inf".to_owned(),
        value => value.to_string(),
    }
}

#[test]
fn prometheus_gives_the_same_answers() {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let mut file = "tests:\n- interval: 1m\n  input_series:\n".to_owned();
    for (name, values) in SERIES {
        writeln!(file, "  - {{series: {}, values: {}}}", quoted(name), quoted(values)).unwrap();
    }
    file.push_str("  promql_expr_test:\n");
    let mut kept = String::new();
    for text in EXPRESSIONS {
        let elements = answers(text);
        writeln!(file, "  - expr: {}\n    eval_time: 10m30s", quoted(text)).unwrap();
        writeln!(kept, "{text}").unwrap();
        if !elements.is_empty() {
            file.push_str("    exp_samples:\n");
        }
        for Element { labels, value } in elements {
            let (labels, value) = (labels.to_string(), number(value));
            writeln!(kept, "    {labels} {value}").unwrap();
            writeln!(file, "    - {{labels: {}, value: {value}}}", quoted(&labels)).unwrap();
        }
    }
    insta::assert_snapshot!(kept);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("unit.yml");
    std::fs::write(&path, file).unwrap();
    let Ok(told) = Command::new("promtool").args(["test", "rules"]).arg(&path).output() else {
        return println!("skipped: there is no promtool here");
    };
    let text = [told.stdout, told.stderr].concat();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&text));
}

#[test]
fn what_is_wrong_or_not_supported_is_told_with_its_place() {
    let told = [
        "node_load1 +",
        "rate(node_load1)",
        "rate(x[5m)",
        "max_over_time(rate(x[5m])[1h])",
        "max_over_time(x[5m][1h:1m])",
        "max_over_time(x[30d:1s])",
        "max_over_time(max_over_time(x[1d:1m])[1d:1m])",
        "max_over_time(x[1h:job])",
        "x[1h:0s]",
        "x[5m:1m] + 1",
        "x @ 5 @ 6",
        "x @ y",
        "x @ Inf",
        "(x + y) offset 5m",
        "label_join(x, 'a')",
        "histogram_count(x)",
        "ratee(x[5m])",
        "{a=~'.*'}",
        "x{a=~'('}",
        "x and 1",
        "1 < 2",
        "sum(x, y)",
        "x[5m]",
        "x ? y",
        "x + bool y",
        "'text'",
        "x{a='b}",
        "x{__name__='y'}",
    ]
    .map(|text| format!("{text}\n    {}", parse(text).unwrap_err()));
    insta::assert_snapshot!(told.join("\n"));
    let deep = format!("{}x{}", "(".repeat(5000), ")".repeat(5000));
    assert!(parse(&deep).unwrap_err().message.contains("too deep"));
    let long = "x + ".repeat(5000) + "x";
    assert!(parse(&long).unwrap_err().message.contains("operators"));
}

#[test]
fn series_that_do_not_find_one_partner_are_an_error_not_a_guess() {
    let ring = filled(EXPRESSIONS);
    let told = [
        "requests_total / on(job) owner",
        "owner * on(job) requests_total",
        "requests_total * on(job) group_left requests_total",
        "label_replace(owner, 'team', '', 'team', '.*') + on() group_left owner",
        "label_replace(label_replace(owner, 'team', '', 'team', '.*'), 'job', '', 'job', '.*')",
    ]
    .map(|text| {
        format!("{text}\n    {}", evaluate(&parse(text).unwrap(), &ring, AT_MS).unwrap_err())
    });
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn only_what_is_looked_at_is_kept_and_only_for_so_long() {
    let expr = parse("rate(a{x='1'}[10m]) > 0 or b offset 1h").unwrap();
    let mut ring = Ring::new([&expr], 1 << 20);
    assert!(ring.wants("a") && ring.wants("b") && !ring.wants("c"));
    for second in 0..7200 {
        let at_ms = second * 1000;
        ring.push(Labels::of("a", [("x", "1")]), at_ms, 1.0);
        ring.push(Labels::of("a", [("x", "2")]), at_ms, 1.0);
        ring.push(Labels::of("b", []), at_ms, 1.0);
        ring.forget(at_ms);
    }
    let points = |text: &str| {
        let expr = parse(text).unwrap();
        let [Look { selector, .. }] = expr.looks()[..] else { panic!("one selector") };
        ring.find(selector).map(|(_, points)| points.len()).sum::<usize>()
    };
    assert_eq!((points("a{x='1'}"), points("a{x='2'}")), (600, 0));
    assert_eq!(points("b"), 3900);
    assert!(ring.bytes() < 100_000, "{}", ring.bytes());
}

#[test]
fn a_window_of_days_keeps_an_even_choice_of_what_came() {
    let expr = parse("max_over_time(a[7d])").unwrap();
    let mut ring = Ring::new([&expr], 1 << 20);
    for at_ms in (0..7 * 86_400_000).step_by(15_000) {
        ring.push(Labels::of("a", []), at_ms, at_ms as f64);
    }
    let last = 7 * 86_400_000 - 15_000;
    let Ok(Value::Vector(found)) = evaluate(&expr, &ring, last) else { panic!("no series") };
    assert_eq!(found[0].value, last as f64, "the newest is always there");
    assert!(ring.bytes() < 4200 * 16, "{}", ring.bytes());
}

#[test]
fn a_full_ring_refuses_new_series_and_counts_them() {
    let expr = parse("a").unwrap();
    let mut ring = Ring::new([&expr], 2000);
    for n in 0..100 {
        let label = n.to_string();
        ring.push(Labels::of("a", [("n", label.as_str())]), 1, 1.0);
    }
    assert!(ring.bytes() <= 2000);
    assert!(ring.take_refused() > 80);
    assert_eq!(ring.take_refused(), 0);
}

#[test]
fn a_window_leaves_out_its_beginning_and_takes_in_its_end() {
    let ring = filled(EXPRESSIONS);
    let at = |minute: i64| {
        let expr = parse("count_over_time(owner{team='shop'}[5m])").unwrap();
        let Ok(Value::Vector(found)) = evaluate(&expr, &ring, minute * 60_000) else {
            panic!("no series")
        };
        found.first().map(|element| element.value)
    };
    assert_eq!((at(10), at(16), at(17)), (Some(5.0), Some(1.0), None));
}

#[test]
fn a_value_counts_for_five_minutes() {
    let ring = filled(EXPRESSIONS);
    let at = |at_ms: i64| evaluate(&parse("owner{team='shop'}").unwrap(), &ring, at_ms);
    let last_ms = 12 * 60_000;
    assert!(matches!(at(last_ms + 299_999), Ok(Value::Vector(found)) if found.len() == 1));
    assert!(matches!(at(last_ms + 300_000), Ok(Value::Vector(found)) if found.is_empty()));
}

#[test]
fn a_time_is_a_number_of_seconds() {
    let ring = Ring::new([], 1000);
    let value = evaluate(&parse("1h30m - 5400 + 0x10 + 1e2 + Inf * 0 > bool 1").unwrap(), &ring, 0);
    assert_eq!(value, Ok(Value::Scalar(0.0)), "no number is larger than none");
    let value = evaluate(&parse("1h30m + 0x10 + 1e2 # seconds").unwrap(), &ring, 0);
    assert_eq!(value, Ok(Value::Scalar(5516.0)));
}

#[test]
fn a_series_reads_as_prometheus_writes_it() {
    let labels = Labels::of("up", [("job", "a\"b")]);
    assert_eq!(labels.to_string(), r#"up{job="a\"b"}"#);
    assert_eq!(labels.nameless().get(NAME), "");
    assert_eq!(Labels::default().to_string(), "{}");
}
