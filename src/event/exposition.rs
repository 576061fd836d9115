//! Prometheus's text format (0.0.4) and OpenMetrics (1.0): what a scrape of `/metrics` is answered
//! with.

use std::borrow::Cow;
use std::collections::HashSet;

use super::metric::{Family, Labels, MetricKind, Sample, SampleValue, Text};
use super::number::push_float;

/// A way to write metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus's text format, 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// Its media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// As [`encode_as`], in the text format.
pub fn encode(families: &[Family], out: &mut Vec<u8>) -> usize {
    encode_as(Format::Text, families, out)
}

/// Appends `families` to `out` and says how many series were left out.
///
/// The text is valid whatever the families hold: characters that a name may not have become `_`,
/// and a series is left out when it is there already, when its value is of another shape than its
/// family's kind asks for, or when two of its labels have one name. Families without a sample are
/// not mentioned. `families` should be sorted by name; those of one name that stand apart count as
/// there already.
pub fn encode_as(format: Format, families: &[Family], out: &mut Vec<u8>) -> usize {
    let mut dropped = 0;
    let mut at = 0;
    let mut last = Cow::Borrowed("");
    while at < families.len() {
        // Usually one family; several of one name that stand together are written as one.
        let name = metric_name(&families[at].name);
        let same = |family: &&Family| metric_name(&family.name) == name;
        let group = families[at..].iter().take_while(same).count();
        let members = &families[at..at + group];
        if last < name || !families[..at].iter().any(|family| same(&family)) {
            dropped += push_group(format, &name, members, out);
        } else {
            dropped += members.iter().map(|family| family.samples.len()).sum::<usize>();
        }
        at += group;
        last = last.max(name);
    }
    if format == Format::OpenMetrics {
        out.extend_from_slice(b"# EOF\n");
    }
    dropped
}

/// Families of one name: the first one's kind and help stand for all.
pub(super) fn push_group(format: Format, name: &str, group: &[Family], out: &mut Vec<u8>) -> usize {
    let kind = group[0].kind;
    let total: usize = group.iter().map(|family| family.samples.len()).sum();
    let mut series = Series::new(group);
    let names = series.names();
    let mut samples = group
        .iter()
        .filter(|family| family.kind == kind)
        .flat_map(|family| &family.samples)
        .filter(|sample| fits_as(names, kind, sample) && series.is_new(sample))
        .peekable();
    if samples.peek().is_none() {
        return total;
    }
    push_header(format, name, kind, &group[0].help, out);
    let mut written = 0;
    for sample in samples {
        push_named(format, name, names, sample, out);
        written += 1;
    }
    total - written
}

/// Tells series that were there before.
pub(super) enum Series<'a> {
    /// All are in order, as usual, so that none can be there twice.
    Ascending,
    /// Labels as written, sorted, of those that were there.
    Seen(HashSet<Vec<(Cow<'a, str>, &'a str)>>),
}

/// What is known of the names of labels.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    /// They may stand as they are, and each is there once.
    Good,
    /// Nothing.
    Any,
}

impl<'a> Series<'a> {
    pub(super) fn new(group: &'a [Family]) -> Self {
        let mut before: Option<&Labels> = None;
        let mut follows = |labels: &'a Labels| {
            let is_good = match before {
                // The names are mostly the very ones of the series before.
                Some(before) => {
                    before < labels && (have_same_names(before, labels) || good(labels))
                }
                None => good(labels),
            };
            before = Some(labels);
            is_good
        };
        let mut samples = group.iter().flat_map(|family| &family.samples);
        let is_ascending = samples.all(|sample| follows(&sample.labels));
        if is_ascending { Self::Ascending } else { Self::Seen(HashSet::new()) }
    }

    /// Whether none can be there twice, and all labels have names that may stand as they are.
    pub(super) fn are_ascending(&self) -> bool {
        matches!(self, Self::Ascending)
    }

    fn names(&self) -> Names {
        match self {
            Self::Ascending => Names::Good,
            Self::Seen(_) => Names::Any,
        }
    }

    fn is_new(&mut self, sample: &'a Sample) -> bool {
        let Self::Seen(seen) = self else { return true };
        let written = sample.labels.iter().map(|(name, value)| (label_name(name), value.as_ref()));
        let mut written: Vec<_> = written.collect();
        written.sort();
        seen.insert(written)
    }
}

fn have_same_names(one: &Labels, other: &Labels) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|((name, _), (other, _))| name.is_very(other))
}

/// Whether names may stand as they are, and each is there once.
fn good(labels: &Labels) -> bool {
    labels.is_sorted_by(|one, next| one.0 < next.0)
        && labels.iter().all(|(name, _)| matches!(label_name(name), Cow::Borrowed(_)))
}

/// As [`fits`], which has less to look at where the names are known.
fn fits_as(names: Names, kind: MetricKind, sample: &Sample) -> bool {
    let is_number = matches!(sample.value, SampleValue::Number(_));
    match (names, kind) {
        (Names::Good, MetricKind::Counter | MetricKind::Gauge | MetricKind::Untyped) => is_number,
        _ => fits(kind, sample),
    }
}

/// Whether the value has the shape of the kind, and no label's name is there twice or is one that
/// the kind needs for itself.
pub(super) fn fits(kind: MetricKind, sample: &Sample) -> bool {
    let (shape, reserved) = match (&sample.value, kind) {
        (SampleValue::Histogram { .. }, MetricKind::Histogram) => (true, Some("le")),
        (SampleValue::Summary { .. }, MetricKind::Summary) => (true, Some("quantile")),
        (SampleValue::Number(_), MetricKind::Counter | MetricKind::Gauge | MetricKind::Untyped) => {
            (true, None)
        }
        _ => (false, None),
    };
    let names = sample.labels.iter().map(|(name, _)| label_name(name));
    let unique = names.clone().enumerate().all(|(at, name)| {
        Some(name.as_ref()) != reserved && names.clone().take(at).all(|before| before != name)
    });
    shape && unique
}

/// In OpenMetrics a counter's samples end in `_total`, and its family is called without; what
/// only grows and does not end so is of no known kind there.
pub(super) fn push_header(
    format: Format,
    name: &str,
    kind: MetricKind,
    help: &str,
    out: &mut Vec<u8>,
) {
    let is_open = format == Format::OpenMetrics;
    let base = name.strip_suffix("_total").filter(|_| is_open && kind == MetricKind::Counter);
    let kind = match (kind, base) {
        (MetricKind::Counter, None) if is_open => MetricKind::Untyped,
        (kind, _) => kind,
    };
    let name = base.unwrap_or(name);
    out.extend_from_slice(b"# HELP ");
    out.extend_from_slice(name.as_bytes());
    out.push(b' ');
    push_escaped(help, is_open, out);
    out.extend_from_slice(b"\n# TYPE ");
    out.extend_from_slice(name.as_bytes());
    let kind: &[u8] = match kind {
        MetricKind::Counter => b" counter\n",
        MetricKind::Gauge => b" gauge\n",
        MetricKind::Histogram => b" histogram\n",
        MetricKind::Summary => b" summary\n",
        MetricKind::Untyped if is_open => b" unknown\n",
        MetricKind::Untyped => b" untyped\n",
    };
    out.extend_from_slice(kind);
}

/// What stands before the number of a sample whose labels are in order, in a family whose name may
/// stand as it is.
pub(super) fn push_prefix(format: Format, name: &str, labels: &Labels, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    push_labels(format, (Names::Good, labels), None, out);
    out.push(b' ');
}

pub(super) fn push_sample(format: Format, name: &str, sample: &Sample, out: &mut Vec<u8>) {
    push_named(format, name, Names::Any, sample, out);
}

fn push_named(format: Format, name: &str, names: Names, sample: &Sample, out: &mut Vec<u8>) {
    let mut line = |suffix: &str, extra: Option<(&str, f64)>, value: f64| {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(suffix.as_bytes());
        push_labels(format, (names, &sample.labels), extra, out);
        out.push(b' ');
        push_float(value, out);
        if let Some(time) = sample.timestamp_ms {
            out.push(b' ');
            match format {
                Format::Text => out.extend_from_slice(itoa::Buffer::new().format(time).as_bytes()),
                Format::OpenMetrics => push_float(time as f64 / 1000.0, out),
            }
        }
        out.push(b'\n');
    };
    match &sample.value {
        SampleValue::Number(value) => line("", None, *value),
        SampleValue::Histogram { buckets, sum, count } => {
            for (bound, count) in buckets.iter().filter(|(bound, _)| *bound < f64::INFINITY) {
                line("_bucket", Some(("le", *bound)), *count as f64);
            }
            line("_bucket", Some(("le", f64::INFINITY)), *count as f64);
            line("_sum", None, *sum);
            line("_count", None, *count as f64);
        }
        SampleValue::Summary { quantiles, sum, count } => {
            for (quantile, value) in quantiles {
                line("", Some(("quantile", *quantile)), *value);
            }
            line("_sum", None, *sum);
            line("_count", None, *count as f64);
        }
    }
}

fn push_labels(
    format: Format,
    (names, labels): (Names, &[(Text, Text)]),
    extra: Option<(&str, f64)>,
    out: &mut Vec<u8>,
) {
    let mut separator = b'{';
    for (name, value) in labels {
        out.push(separator);
        match names {
            Names::Good => out.extend_from_slice(name.as_bytes()),
            Names::Any => out.extend_from_slice(label_name(name).as_bytes()),
        }
        out.extend_from_slice(b"=\"");
        push_escaped(value, true, out);
        out.push(b'"');
        separator = b',';
    }
    if let Some((name, value)) = extra {
        out.push(separator);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"=\"");
        let before = out.len();
        push_float(value, out);
        // OpenMetrics has one way to write a bound: `1.0`, not `1`.
        let is_whole = out[before..].iter().all(|byte| byte.is_ascii_digit() || *byte == b'-');
        if format == Format::OpenMetrics && is_whole {
            out.extend_from_slice(b".0");
        }
        out.push(b'"');
        separator = b',';
    }
    if separator == b',' {
        out.push(b'}');
    }
}

/// Backslashes and line ends always, quotes where the text stands between them.
fn push_escaped(text: &str, quoted: bool, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some(at) = memchr::memchr3(b'\\', b'\n', b'"', rest) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'"' if !quoted => out.push(b'"'),
            byte => out.extend_from_slice(&[b'\\', byte]),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

pub(super) fn metric_name(name: &str) -> Cow<'_, str> {
    valid(name, |byte, first| is_word(byte, first) || byte == b':')
}

fn label_name(name: &str) -> Cow<'_, str> {
    valid(name, is_word)
}

fn is_word(byte: u8, first: bool) -> bool {
    byte == b'_' || byte.is_ascii_alphabetic() || (!first && byte.is_ascii_digit())
}

/// `name` with `_` for each byte that may not be in it.
fn valid(name: &str, allowed: impl Fn(u8, bool) -> bool) -> Cow<'_, str> {
    let fits = |(at, byte): (usize, u8)| allowed(byte, at == 0);
    if !name.is_empty() && name.bytes().enumerate().all(fits) {
        return Cow::Borrowed(name);
    }
    let mend = |(at, byte): (usize, u8)| if fits((at, byte)) { char::from(byte) } else { '_' };
    let mended: String = name.bytes().enumerate().map(mend).collect();
    Cow::Owned(if mended.is_empty() { "_".into() } else { mended })
}

#[cfg(test)]
#[path = "exposition_tests.rs"]
mod tests;
