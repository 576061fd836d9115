//! Any text as a template.

use super::{Scope, Template};
use crate::expr::promql::{Element, Labels};

/// What is read has a text or a reason why not.
pub(crate) fn rule_template(input: &[u8]) {
    let Ok(template) = Template::new(&String::from_utf8_lossy(input)) else { return };
    template.queries().ok();
    let labels = Labels::of("x", [("job", "a"), ("instance", "web1:9100")]);
    for value in [0.0, -1e-9, 1e308, f64::NAN, f64::NEG_INFINITY] {
        // The reason why there is no text is for who asked.
        let ask = |text: &str| match text.len() % 3 {
            0 => Err("nobody knows".to_owned()),
            some => Ok(vec![Element { labels: labels.clone(), value }; some]),
        };
        template.render(Scope { labels: &labels, value, ask: &ask }).ok();
    }
}

/// What people write.
pub(crate) fn rule_templates() -> Vec<Vec<u8>> {
    let texts = [
        "{{ $labels.instance }} has {{ printf \"%5.2f%%\" $value }} {{- /* x */ -}} left",
        "{{ if gt $value 0.5 }}{{ $value | humanizePercentage }}{{ else if eq $labels.job \"a\" }}é{{ end }}",
        "{{ with $x := index $labels \"job\" }}{{ . | title }} {{ len $x }}{{ else }}-{{ end }}",
        "{{ reReplaceAll \"(.*):.*\" `$1` (stripDomain .Labels.instance) | toUpper }}{{ humanizeTimestamp $value }}",
        "{{ and (not $labels.none) (match \"^w\" $labels.instance) }} {{ humanizeDuration .Value }}",
        "{{ range $at, $it := query (printf \"up{job=%q}\" $labels.job) | sortByLabel \"a\" }}{{ $at }}{{ .Value }}{{ else }}-{{ end }}",
        "{{ with query \"up\" }}{{ . | first | value | humanize }}{{ first . | label \"job\" }}{{ len . }}{{ end }}",
    ];
    texts.map(|text| text.as_bytes().to_vec()).into()
}
