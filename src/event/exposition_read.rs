//! Reads Prometheus's text format (0.0.4) and OpenMetrics: what programs leave in files for a
//! scrape.

use std::collections::HashMap;

use super::metric::{Family, MetricKind, Sample, SampleValue, Text};

/// A line that is not of the format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: found `{found}`, expected {expected}")]
pub struct Malformed {
    /// Its number, from 1.
    pub line: usize,
    /// The line, as it stands.
    pub found: String,
    /// What may stand there.
    pub expected: &'static str,
}

/// The families of a text, in the order in which they begin. Each sample has its labels sorted by
/// name; those of a family that lack a label which another one has get it empty. Families without
/// a help text get `help`.
///
/// Of OpenMetrics, exemplars and times of creation are left out; its counters keep the `_total` of
/// their samples, its infos the `_info`.
///
/// - Errors: the first line that is not of the format.
pub fn read(text: &str, help: &str) -> Result<Vec<Family>, Malformed> {
    let mut reader = Reader::default();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        reader.line(line).map_err(|expected| {
            let found = line.chars().take(200).collect();
            Malformed { line: at + 1, found, expected }
        })?;
    }
    Ok(reader.families.into_iter().filter_map(|family| family.finish(help)).collect())
}

const COMMENT: &str = "`# HELP name text` or `# TYPE name kind`";
const SAMPLE: &str = "`name{label=\"value\"} number`";

#[derive(Default)]
struct Reader {
    places: HashMap<String, usize>,
    families: Vec<Pending>,
    has_ended: bool,
}

/// A family that more samples may come for.
#[derive(Default)]
struct Pending {
    /// As its comments call it.
    name: String,
    help: Option<String>,
    kind: Option<Kind>,
    samples: Vec<Read>,
    /// Of a histogram or summary, by the labels that do not tell its parts apart.
    wholes: Vec<(Pairs, Whole)>,
}

/// A sample while more labels may come to it.
struct Read {
    labels: Pairs,
    value: SampleValue,
    timestamp_ms: Option<i64>,
}

type Pairs = Vec<(Text, Text)>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain(MetricKind),
    /// Of OpenMetrics, whose samples are called `NAME_info`.
    Info,
}

#[derive(Default)]
struct Whole {
    parts: Vec<(f64, f64)>,
    sum: f64,
    count: f64,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), &'static str> {
        if line.is_empty() {
            return Ok(());
        }
        if self.has_ended {
            return Err("nothing after `# EOF`");
        }
        match line.strip_prefix('#') {
            Some(comment) => self.comment(comment),
            None => self.sample(line),
        }
    }

    fn comment(&mut self, comment: &str) -> Result<(), &'static str> {
        let mut words = comment.trim_start().splitn(3, [' ', '\t']);
        let (word, name, rest) = (words.next(), words.next(), words.next());
        match (word, name) {
            (Some("EOF"), None) => self.has_ended = true,
            (Some("HELP"), Some(name)) => {
                let family = self.family(checked(name).ok_or(COMMENT)?);
                if family.help.is_some() {
                    return Err("one help text a family");
                }
                family.help = Some(unescape(rest.unwrap_or_default())?);
            }
            (Some("TYPE"), Some(name)) => {
                let kind = kind(rest.unwrap_or_default().trim()).ok_or(COMMENT)?;
                let family = self.family(checked(name).ok_or(COMMENT)?);
                if family.kind.is_some() || !family.samples.is_empty() {
                    return Err("one kind a family, before its samples");
                }
                family.kind = Some(kind);
            }
            _ => {}
        }
        Ok(())
    }

    fn family(&mut self, name: &str) -> &mut Pending {
        let next = self.families.len();
        let place = *self.places.entry(name.to_owned()).or_insert(next);
        if place == next {
            self.families.push(Pending { name: name.to_owned(), ..Pending::default() });
        }
        &mut self.families[place]
    }

    fn has(&self, name: &str, fits: impl Fn(Kind) -> bool) -> bool {
        let family = self.places.get(name).and_then(|place| self.families.get(*place));
        family.and_then(|family| family.kind).is_some_and(fits)
    }

    /// The family that the sample `name` belongs to, and what is added to the family's name.
    fn owner<'a>(&self, name: &'a str) -> (&'a str, &'a str) {
        let is = |kind| move |is: Kind| is == Kind::Plain(kind);
        if self.has(name, |_| true) {
            return (name, "");
        }
        let whole = |base: &str| {
            self.has(base, is(MetricKind::Histogram)) || self.has(base, is(MetricKind::Summary))
        };
        for suffix in ["_bucket", "_sum", "_count", "_total", "_info", "_created"] {
            let Some(base) = name.strip_suffix(suffix) else { continue };
            let belongs = match suffix {
                "_bucket" => self.has(base, is(MetricKind::Histogram)),
                "_sum" | "_count" => whole(base),
                "_total" => self.has(base, is(MetricKind::Counter)),
                "_info" => self.has(base, |kind| kind == Kind::Info),
                _ => whole(base) || self.has(base, is(MetricKind::Counter)),
            };
            if belongs {
                return (base, suffix);
            }
        }
        (name, "")
    }

    fn sample(&mut self, line: &str) -> Result<(), &'static str> {
        let end = line.find(['{', ' ', '\t']).ok_or(SAMPLE)?;
        let (name, rest) = line.split_at(end);
        let name = checked(name).ok_or(SAMPLE)?;
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => labels(rest)?,
            None => (Vec::new(), rest),
        };
        // What follows a `#` is an example of an observation.
        let mut words = rest.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let value = words.next().and_then(number).ok_or(SAMPLE)?;
        let timestamp_ms = match words.next() {
            None => None,
            Some(word) => Some(milliseconds(word).ok_or("a time after the number, or nothing")?),
        };
        if words.next().is_some() {
            return Err("nothing after the time");
        }
        let (base, suffix) = self.owner(name);
        if suffix == "_created" {
            return Ok(());
        }
        self.family(base).add(suffix, labels, value, timestamp_ms)
    }
}

impl Pending {
    fn add(
        &mut self,
        suffix: &str,
        mut labels: Pairs,
        value: f64,
        timestamp_ms: Option<i64>,
    ) -> Result<(), &'static str> {
        let part = match (self.kind, suffix) {
            (Some(Kind::Plain(MetricKind::Histogram)), "_bucket") => Some("le"),
            (Some(Kind::Plain(MetricKind::Summary)), "") => Some("quantile"),
            (Some(Kind::Plain(MetricKind::Histogram)), "") => {
                return Err("`_bucket`, `_sum` or `_count` behind a histogram's name");
            }
            _ => None,
        };
        if part.is_none() && !matches!(suffix, "_sum" | "_count") {
            if !suffix.is_empty() && !self.name.ends_with(suffix) {
                self.name.push_str(suffix);
            }
            let value = SampleValue::Number(value);
            self.samples.push(Read { labels, value, timestamp_ms });
            return Ok(());
        }
        let mut bound = None;
        if let Some(part) = part {
            let at = labels.iter().position(|(name, _)| name == part);
            let (_, told) = labels.remove(at.ok_or("`le` or `quantile` among the labels")?);
            bound = Some(number(&told).ok_or("a number in `le` or `quantile`")?);
        }
        let at = match self.wholes.iter().position(|(known, _)| *known == labels) {
            Some(at) => at,
            None => {
                self.wholes.push((labels, Whole::default()));
                self.wholes.len() - 1
            }
        };
        let whole = &mut self.wholes[at].1;
        match (bound, suffix) {
            (Some(bound), _) => whole.parts.push((bound, value)),
            (None, "_sum") => whole.sum = value,
            (None, _) => whole.count = value,
        }
        if timestamp_ms.is_some() {
            // Kept as a mark that the text has times of its own.
            let value = SampleValue::Number(value);
            self.samples.push(Read { labels: Pairs::new(), value, timestamp_ms });
        }
        Ok(())
    }

    fn finish(self, help: &str) -> Option<Family> {
        let kind = match self.kind {
            None => MetricKind::Untyped,
            Some(Kind::Info) => MetricKind::Gauge,
            Some(Kind::Plain(kind)) => kind,
        };
        let help = self.help.unwrap_or_else(|| help.to_owned());
        let mut samples = self.samples;
        for (labels, whole) in self.wholes {
            let value = whole.value(kind);
            samples.push(Read { labels, value, timestamp_ms: None });
        }
        complete(&mut samples);
        let sample = |read: Read| Sample {
            labels: read.labels.into(),
            value: read.value,
            timestamp_ms: read.timestamp_ms,
        };
        let mut family = Family::new(self.name, kind, help);
        family.samples = samples.into_iter().map(sample).collect();
        (!family.samples.is_empty()).then_some(family)
    }
}

impl Whole {
    fn value(mut self, kind: MetricKind) -> SampleValue {
        self.parts.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (sum, count) = (self.sum, self.count as u64);
        if kind == MetricKind::Histogram {
            let below = self.parts.into_iter().filter(|(bound, _)| *bound < f64::INFINITY);
            let buckets = below.map(|(bound, count)| (bound, count as u64)).collect();
            return SampleValue::Histogram { buckets, sum, count };
        }
        SampleValue::Summary { quantiles: self.parts, sum, count }
    }
}

/// Gives every sample the labels of all, and sorts them.
fn complete(samples: &mut [Read]) {
    let mut names: Vec<Text> =
        samples.iter().flat_map(|sample| &sample.labels).map(|(name, _)| name.clone()).collect();
    names.sort();
    names.dedup();
    for sample in samples {
        if sample.labels.len() < names.len() {
            for name in &names {
                if sample.labels.iter().all(|(known, _)| known != name) {
                    sample.labels.push((name.clone(), "".into()));
                }
            }
        }
        sample.labels.sort();
    }
}

fn kind(word: &str) -> Option<Kind> {
    Some(Kind::Plain(match word {
        "counter" => MetricKind::Counter,
        "gauge" | "stateset" => MetricKind::Gauge,
        "histogram" => MetricKind::Histogram,
        "summary" => MetricKind::Summary,
        "untyped" | "unknown" => MetricKind::Untyped,
        "info" => return Some(Kind::Info),
        _ => return None,
    }))
}

fn checked(name: &str) -> Option<&str> {
    let allowed = |(at, byte): (usize, u8)| {
        byte.is_ascii_alphabetic() || b"_:".contains(&byte) || (at > 0 && byte.is_ascii_digit())
    };
    (!name.is_empty() && name.bytes().enumerate().all(allowed)).then_some(name)
}

/// The labels up to the closing brace, and what follows it.
fn labels(text: &str) -> Result<(Pairs, &str), &'static str> {
    let mut labels = Pairs::new();
    let mut rest = text.trim_start();
    loop {
        if let Some(rest) = rest.strip_prefix('}') {
            labels.sort();
            return Ok((labels, rest));
        }
        let (name, after) = rest.split_once('=').ok_or(SAMPLE)?;
        let name = checked(name.trim()).filter(|name| !name.contains(':')).ok_or(SAMPLE)?;
        let value = after.trim_start().strip_prefix('"').ok_or(SAMPLE)?;
        let end = closing_quote(value).ok_or("a closing quote behind the label's value")?;
        let after = value.get(end + 1..).unwrap_or_default();
        let value = unescape(value.get(..end).unwrap_or_default())?;
        if labels.iter().any(|(known, _)| *known == name) {
            return Err("each label once");
        }
        labels.push((Text::shared(name), value.into()));
        rest = after.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(rest) => rest.trim_start(),
            None if rest.starts_with('}') => rest,
            None => return Err("`,` or `}` behind a label"),
        };
    }
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

fn unescape(text: &str) -> Result<String, &'static str> {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('n') => out.push('\n'),
                Some(letter @ ('\\' | '"')) => out.push(letter),
                _ => return Err("`\\\\`, `\\\"` or `\\n` where a backslash stands"),
            },
            letter => out.push(letter),
        }
    }
    Ok(out)
}

/// Rust reads all that the format has: `1e3`, `+Inf`, `NaN`.
fn number(word: &str) -> Option<f64> {
    word.parse().ok()
}

/// Milliseconds; OpenMetrics has seconds with a fraction.
fn milliseconds(word: &str) -> Option<i64> {
    word.parse().ok().or_else(|| {
        let seconds: f64 = word.parse().ok().filter(|seconds: &f64| seconds.is_finite())?;
        Some((seconds * 1000.0) as i64)
    })
}

#[cfg(test)]
#[path = "exposition_read_tests.rs"]
mod tests;
