//! What rules' templates come to. The answers are Go's and Prometheus's; the rules of
//! `tests/fixtures/rules` hold some of them against `promtool`.

use super::{Scope, Template};
use crate::expr::promql::Labels;

fn rendered(text: &str, value: f64) -> String {
    let labels = Labels::of(
        "up",
        [("instance", "web1.example.com:9100"), ("job", "node"), ("mountpoint", "/var")],
    );
    let template = Template::new(text).unwrap_or_else(|problem| panic!("{text}: {problem}"));
    template.render(Scope { labels: &labels, value }).unwrap_or_else(|problem| problem)
}

#[test]
fn labels_and_values_come_out_as_prometheus_writes_them() {
    let told = [
        ("plain {text} }} here", 1.0),
        ("{{ $labels.instance }} of {{$labels.job}} has {{ $value }}", 0.25),
        ("{{ .Labels.job }} {{ .Value }}", 123_456_789.0),
        ("{{ $labels.missing }}|{{ $externalLabels.region }}|", 1.0),
        ("a   {{- $labels.job -}}   b", 1.0),
        ("{{/* nothing */}}x", 1.0),
        ("{{ printf \"%.2f%% of %s, %5d|%-6s|%06.1f|%+d\" $value $labels.job 42 \"ab\" 3.14159 7 }}", 12.345),
        ("{{ printf \"%d %s %v %q\" $value 3 true \"a\" }} {{ printf \"%d\" }}", 1.5),
        ("{{ $value | printf \"%.3g\" }} {{ printf \"%e\" $value }}", 1_234_567.0),
        ("{{ humanize $value }} {{ $value | humanize1024 }} {{ $value | humanizePercentage }}", 1_536_000.0),
        ("{{ humanize 0.00123 }} {{ humanize 0.0 }} {{ humanize -25000.0 }}", 1.0),
        ("{{ humanizeDuration $value }}", 93_784.0),
        ("{{ humanizeDuration 0.0321 }} {{ humanizeDuration -61.5 }} {{ humanizeDuration 59.123 }}", 1.0),
        ("{{ humanizeTimestamp $value }}", 1_700_000_000.5),
        ("{{ humanize $value }} {{ $value }}", f64::INFINITY),
        ("{{ if gt $value 5.0 }}much{{ else if eq $value 5.0 }}five{{ else }}little{{ end }}", 5.0),
        ("{{ if and $labels.job (not $labels.missing) }}yes{{ end }}{{ if $labels.missing }}no{{ end }}", 1.0),
        ("{{ with $labels.mountpoint }}at {{ . }}{{ end }}{{ with $labels.missing }}x{{ else }}nowhere{{ end }}", 1.0),
        ("{{ $host := stripDomain $labels.instance }}{{ $host | toUpper }} {{ stripPort $labels.instance }}", 1.0),
        ("{{ title \"some words\" }} {{ reReplaceAll \"(.*):.*\" \"$1!\" $labels.instance }}", 1.0),
        ("{{ if match \"^web\" $labels.instance }}web{{ end }} {{ index $labels \"job\" }} {{ len \"abc\" }}", 1.0),
        ("{{ eq $value 1 }}", 1.0),
    ]
    .map(|(text, value)| format!("{text}\n    {}", rendered(text, value)));
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn what_is_wrong_or_not_there_is_told_when_a_template_is_read() {
    let told = [
        "{{ $value",
        "{{ }}",
        "{{ if $value }}x",
        "{{ end }}",
        "{{ else }}",
        "{{ range query \"up\" }}{{ . }}{{ end }}",
        "{{ query \"up\" | first | value }}",
        "{{ humanise $value }}",
        "{{ humanize }}",
        "{{ $value | 3 }}",
        "{{ (printf \"a\" }}",
        "{{ \"a }}",
        "{{ $value ? }}",
        "{{ $value = 1 }}",
    ]
    .map(|text| format!("{text}\n    {}", Template::new(text).unwrap_err()));
    insta::assert_snapshot!(told.join("\n"));
    assert!(Template::new(&"{{ if 1 }}".repeat(5000)).unwrap_err().contains("too deep"));
    assert!(Template::new(&format!("{{{{ {} }}}}", "(".repeat(5000))).is_err());
    let wide = Template::new("{{ printf \"%999999999d\" 1 }}").unwrap();
    let labels = Labels::default();
    assert!(wide.render(Scope { labels: &labels, value: 1.0 }).unwrap_err().contains("wide"));
}

#[test]
fn no_template_makes_more_than_a_text_may_have() {
    let doubled = "{{ $x := \"ab\" }}".to_owned() + &"{{ $x := printf \"%s%s\" $x $x }}".repeat(60);
    assert!(rendered(&doubled, 1.0).contains("more than"));
    let replaced = format!("{{{{ reReplaceAll \"\" \"{0}\" \"{0}\" }}}}", "a".repeat(5000));
    assert!(rendered(&replaced, 1.0).contains("reReplaceAll"));
}
