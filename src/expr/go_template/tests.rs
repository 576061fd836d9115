//! What rules' templates come to. The answers are Go's and Prometheus's; the rules of
//! `tests/fixtures/rules` hold some of them against `promtool`.

use super::{HOLE, Scope, Template};
use crate::expr::promql::{Element, Labels};

fn rendered(text: &str, value: f64) -> String {
    let labels = Labels::of(
        "up",
        [("instance", "web1.example.com:9100"), ("job", "node"), ("mountpoint", "/var")],
    );
    let template = Template::new(text).unwrap_or_else(|problem| panic!("{text}: {problem}"));
    template.render(Scope { labels: &labels, value, ask: &ask }).unwrap_or_else(|problem| problem)
}

/// Three disks, of what asks for disks; nothing else is there.
fn ask(text: &str) -> Result<Vec<Element>, String> {
    let disk = |(name, value): (&str, f64)| {
        let labels = [("device", name), ("__value__", "as text")];
        Element { labels: Labels::of("disk", labels), value }
    };
    match text {
        "disk" | "disk{job=\"node\"}" => {
            Ok([("sdb", 2.0), ("sda", 0.5), ("sdc", 3.0)].map(disk).to_vec())
        }
        "wrong(" => Err("it cannot be computed".to_owned()),
        _ => Ok(Vec::new()),
    }
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
        ("{{ range query \"disk\" | sortByLabel \"device\" }}{{ .Labels.device }}={{ .Value }} {{ end }}", 1.0),
        ("{{ range $at, $disk := query \"disk\" }}{{ $at }}{{ $disk.Labels.device }}{{ end }}{{ len (query \"disk\") }}", 1.0),
        ("{{ range $disk := query \"none\" }}x{{ else }}nothing{{ end }}{{ range $name, $text := $labels }}{{ $name }}:{{ $text }} {{ end }}", 1.0),
        ("{{ query \"disk\" | first | value | humanize }} {{ (query \"disk\" | first).Labels.device }} {{ query \"disk\" | first | label \"device\" }} {{ query \"disk\" | first | strvalue }}", 1.0),
        ("{{ with printf \"disk{job=%q}\" $labels.job | query }}{{ . | first | value }}{{ end }}", 1.0),
        ("{{ query \"none\" | first | value }}", 1.0),
        ("{{ query \"wrong(\" }}", 1.0),
        ("{{ range $value }}x{{ end }}", 1.0),
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
        "{{ range query \"up\" }}x",
        "{{ if $a, $b := query \"up\" }}x{{ end }}",
        "{{ tableLink \"up\" }}",
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
    let scope = Scope { labels: &labels, value: 1.0, ask: &ask };
    assert!(wide.render(scope).unwrap_err().contains("wide"));
}

#[test]
fn no_template_makes_more_than_a_text_may_have() {
    let doubled = "{{ $x := \"ab\" }}".to_owned() + &"{{ $x := printf \"%s%s\" $x $x }}".repeat(60);
    assert!(rendered(&doubled, 1.0).contains("more than"));
    let replaced = format!("{{{{ reReplaceAll \"\" \"{0}\" \"{0}\" }}}}", "a".repeat(5000));
    assert!(rendered(&replaced, 1.0).contains("reReplaceAll"));
}

#[test]
fn what_a_template_asks_is_known_before_with_a_hole_for_what_is_put_in() {
    let asked = |text: &str| Template::new(text).unwrap().queries();
    let text = "{{ range query \"a\" }}{{ with (printf \"b{x=%q, y=~\\\"%s.*\\\"} > %.1f\" 1 2 3) | query }}\
        {{ query (printf \"c %% d\") | first | value }}{{ end }}{{ end }}";
    let holes = format!("b{{x=\"{HOLE}\", y=~\"{HOLE}.*\"}} > 1");
    assert_eq!(asked(text).unwrap(), ["a", &holes, "c % d"]);
    for text in ["{{ query $labels.job }}", "{{ $x := query (toUpper \"a\") }}"] {
        assert!(asked(text).unwrap_err().contains("must be a text"), "{text}");
    }
}

#[test]
fn no_loop_goes_round_for_ever() {
    let nested = "{{ range query \"disk\" }}".repeat(20) + &"{{ end }}".repeat(20);
    assert!(rendered(&nested, 1.0).contains("more than 10000 times"));
}
