//! Prometheus's own unit tests of rules, run through these rules and through `promtool`.

use super::super::event::Kind;
use super::{Group, Moment, Rules};
use crate::expr::promql::testing::{series, values};
use crate::expr::promql::{Element, Labels, Ring, Value, evaluate, parse};
use crate::topology::settings::Period;
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::process::Command;

#[derive(Deserialize)]
struct UnitFile {
    rule_files: Vec<String>,
    evaluation_interval: Period,
    tests: Vec<Unit>,
}

#[derive(Deserialize)]
struct RuleFile {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Unit {
    interval: Period,
    input_series: Vec<Input>,
    alert_rule_test: Vec<AlertTest>,
    promql_expr_test: Vec<ExprTest>,
}

#[derive(Deserialize)]
struct Input {
    series: String,
    values: String,
}

#[derive(Deserialize)]
struct AlertTest {
    eval_time: Period,
    alertname: String,
    #[serde(default)]
    exp_alerts: Vec<Alert>,
}

#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default)]
struct Alert {
    exp_labels: BTreeMap<String, String>,
    exp_annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct ExprTest {
    expr: String,
    eval_time: Period,
    exp_samples: Vec<ExpectedSample>,
}

#[derive(Deserialize)]
struct ExpectedSample {
    labels: String,
    value: f64,
}

fn millis(period: Period) -> i64 {
    super::millis(period.0)
}

/// The alerts of a name that fire.
fn firing(rules: &mut Rules, name: &str, at_ms: i64) -> Vec<Alert> {
    let standing = rules.standing(at_ms);
    let firing = standing.iter().filter(|event| {
        event.check == name && matches!(event.kind, Kind::Standing { ended_ms: None, .. })
    });
    let alert = |event: &super::Event| {
        let labels = event.series.iter().filter(|(name, _)| *name != "alertname");
        Alert {
            exp_labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            exp_annotations: event.annotations.iter().cloned().collect(),
        }
    };
    let mut alerts: Vec<Alert> = firing.map(alert).collect();
    alerts.sort();
    alerts
}

/// What is otherwise than the file expects.
fn differences(unit: &Unit, groups: &[Group], every: Period) -> Vec<String> {
    let tests: Vec<_> = unit.promql_expr_test.iter().map(|it| parse(&it.expr).unwrap()).collect();
    let of_rules = groups.iter().flat_map(|group| &group.rules).map(|rule| &rule.expr.parsed);
    let mut ring = Ring::new(of_rules.chain(&tests), 1 << 20);
    let mut rules = Rules::new(groups).unwrap();
    let input = |input: &Input| (series(&input.series), values(&input.values));
    let inputs: Vec<(Labels, _)> = unit.input_series.iter().map(input).collect();
    let mut told = Vec::new();
    let last_ms = unit.alert_rule_test.iter().map(|test| millis(test.eval_time)).max().unwrap();
    for at_ms in (0..=last_ms).step_by(15_000) {
        if at_ms % millis(unit.interval) == 0 {
            let at = usize::try_from(at_ms / millis(unit.interval)).unwrap();
            for (labels, values) in &inputs {
                match values.get(at).copied().flatten() {
                    Some(Some(value)) => ring.push(labels.clone(), at_ms, value),
                    Some(None) => ring.end(labels, at_ms),
                    None => {}
                }
            }
        }
        if at_ms % millis(every) == 0 {
            let outcome = rules.run(&mut ring, Moment { at_ms, first_ms: 0 });
            assert_eq!(outcome.errors, 0);
        }
        for test in unit.alert_rule_test.iter().filter(|it| millis(it.eval_time) == at_ms) {
            let found = firing(&mut rules, &test.alertname, at_ms);
            if found != test.exp_alerts {
                told.push(format!("{} at {at_ms}: {found:?}", test.alertname));
            }
        }
        let tests = unit.promql_expr_test.iter().zip(&tests);
        for (test, expr) in tests.filter(|(it, _)| millis(it.eval_time) == at_ms) {
            let Ok(Value::Vector(found)) = evaluate(expr, &ring, at_ms) else {
                panic!("no series")
            };
            let near = |(found, wanted): (&Element, &ExpectedSample)| {
                found.labels == sample_labels(&wanted.labels)
                    && (found.value - wanted.value).abs() < 1e-9
            };
            let is_same = found.len() == test.exp_samples.len()
                && found.iter().zip(&test.exp_samples).all(near);
            if !is_same {
                told.push(format!("{} at {at_ms}: {found:?}", test.expr));
            }
        }
    }
    told
}

/// Labels that need not have a name among them.
fn sample_labels(text: &str) -> Labels {
    match text.starts_with('{') {
        true => series(&format!("x{text}")).nameless(),
        false => series(text),
    }
}

#[test]
fn unit_tests_of_rules_hold_here_and_in_prometheus() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rules");
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    for name in ["host.test.yml", "node.test.yml"] {
        let path = directory.join(name);
        let file: UnitFile = serde_yaml::from_str(&read(&path)).unwrap();
        let groups = file.rule_files.iter().flat_map(|name| {
            let file: RuleFile = serde_yaml::from_str(&read(&directory.join(name))).unwrap();
            file.groups
        });
        let (groups, every): (Vec<Group>, _) = (groups.collect(), file.evaluation_interval);
        let told = file.tests.iter().flat_map(|it| differences(it, &groups, every));
        let told: Vec<String> = told.collect();
        assert!(told.is_empty(), "{name}\n{}", told.join("\n"));
        let Ok(output) = Command::new("promtool").args(["test", "rules"]).arg(&path).output()
        else {
            return println!("skipped: there is no promtool here");
        };
        let text = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&text));
    }
}

#[test]
fn a_rule_that_makes_no_sense_is_refused_with_its_reason() {
    let told = [
        "{expr: x}",
        "{alert: A, record: b, expr: x}",
        "{record: 'a b', expr: x}",
        "{record: a, expr: x, for: 5m}",
        "{alert: A, expr: x, annotations: {summary: '{{ $value'}}",
        "{alert: A, expr: 'rate(x)'}",
        "{alert: A, expr: x, fro: 5m}",
    ]
    .map(|rule| {
        let group = serde_yaml::from_str::<Group>(&format!("{{name: g, rules: [{rule}]}}"));
        let reason = match group {
            Ok(group) => Rules::new(&[group]).err().unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        format!("{rule}\n    {reason}")
    });
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn an_alert_goes_on_after_a_restart_and_is_not_resolved_before_its_window_is_full() {
    let text = "{name: g, rules: [{alert: A, expr: 'max_over_time(x[5m]) > 5', for: 2m}]}";
    let groups = [serde_yaml::from_str::<Group>(text).unwrap()];
    let expressions = [&groups[0].rules[0].expr.parsed];
    let mut ring = Ring::new(expressions, 1 << 20);
    let mut before = Rules::new(&groups).unwrap();
    let mut told = Vec::new();
    let mut at = |rules: &mut Rules, ring: &mut Ring, minute: i64, first: i64, value: f64| {
        let (at_ms, first_ms) = (minute * 60_000, first * 60_000);
        ring.push(Labels::of("x", []), at_ms, value);
        for event in rules.run(ring, Moment { at_ms, first_ms }).events {
            let Kind::Transition { from, to, .. } = event.kind else { panic!("no change") };
            told.push(format!("{minute}: {from}-{to}"));
        }
    };
    at(&mut before, &mut ring, 0, 0, 9.0);
    at(&mut before, &mut ring, 1, 0, 9.0);
    let mut after = Rules::new(&groups).unwrap();
    after.restore(&before.kept(), 0);
    let mut ring = Ring::new(expressions, 1 << 20);
    at(&mut after, &mut ring, 2, 2, 9.0);
    let mut last = Rules::new(&groups).unwrap();
    last.restore(&after.kept(), 10_000_000);
    let mut ring = Ring::new(expressions, 1 << 20);
    for minute in 10..20 {
        at(&mut last, &mut ring, minute, 10, 1.0);
    }
    assert_eq!(told, ["2: ok-firing", "16: firing-ok"]);
    let labels: HashSet<_> = after.kept().into_iter().map(|it| it.labels.to_string()).collect();
    assert_eq!(labels, HashSet::from(["{alertname=\"A\"}".to_owned()]));
}
