//! The functions of templates.

use super::printf::{general, printf, shortest};
use super::value::{Sample, Value};
use chrono::{DateTime, Utc};
use regex::Regex;
use std::cmp::Ordering;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// A function. The words are Prometheus's and Go's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    And,
    Eq,
    First,
    Ge,
    Gt,
    Humanize,
    Humanize1024,
    HumanizeDuration,
    HumanizePercentage,
    HumanizeTimestamp,
    Index,
    Label,
    Le,
    Len,
    Lt,
    Match,
    Ne,
    Not,
    Or,
    Print,
    Printf,
    Query,
    ReReplaceAll,
    SortByLabel,
    StripDomain,
    StripPort,
    StrValue,
    Title,
    ToLower,
    ToUpper,
    Value,
}

const MANY: usize = 64;

/// `reReplaceAll` makes no more than about so many bytes.
const MOST_REPLACED: usize = 1 << 24;

/// Functions by name, with how many arguments they take.
const FUNCTIONS: [(&str, Function, RangeInclusive<usize>); 31] = [
    ("and", Function::And, 1..=MANY),
    ("eq", Function::Eq, 2..=MANY),
    ("first", Function::First, 1..=1),
    ("ge", Function::Ge, 2..=2),
    ("gt", Function::Gt, 2..=2),
    ("humanize", Function::Humanize, 1..=1),
    ("humanize1024", Function::Humanize1024, 1..=1),
    ("humanizeDuration", Function::HumanizeDuration, 1..=1),
    ("humanizePercentage", Function::HumanizePercentage, 1..=1),
    ("humanizeTimestamp", Function::HumanizeTimestamp, 1..=1),
    ("index", Function::Index, 2..=2),
    ("label", Function::Label, 2..=2),
    ("le", Function::Le, 2..=2),
    ("len", Function::Len, 1..=1),
    ("lt", Function::Lt, 2..=2),
    ("match", Function::Match, 2..=2),
    ("ne", Function::Ne, 2..=2),
    ("not", Function::Not, 1..=1),
    ("or", Function::Or, 1..=MANY),
    ("print", Function::Print, 1..=MANY),
    ("printf", Function::Printf, 1..=MANY),
    ("query", Function::Query, 1..=1),
    ("reReplaceAll", Function::ReReplaceAll, 3..=3),
    ("sortByLabel", Function::SortByLabel, 2..=2),
    ("stripDomain", Function::StripDomain, 1..=1),
    ("stripPort", Function::StripPort, 1..=1),
    ("strvalue", Function::StrValue, 1..=1),
    ("title", Function::Title, 1..=1),
    ("toLower", Function::ToLower, 1..=1),
    ("toUpper", Function::ToUpper, 1..=1),
    ("value", Function::Value, 1..=1),
];

/// What there is in Prometheus and not here, since there is no page to show.
pub(super) const UNSUPPORTED: [&str; 8] = [
    "args",
    "externalURL",
    "graphLink",
    "parseDuration",
    "pathPrefix",
    "safeHtml",
    "tableLink",
    "toTime",
];

impl Function {
    pub(super) fn named(name: &str) -> Option<Self> {
        FUNCTIONS.iter().find(|(known, ..)| *known == name).map(|(_, function, _)| *function)
    }

    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        FUNCTIONS.iter().map(|(name, ..)| *name)
    }

    pub(super) fn takes(self) -> RangeInclusive<usize> {
        let known = FUNCTIONS.iter().find(|(_, function, _)| *function == self);
        known.map_or(0..=MANY, |(.., takes)| takes.clone())
    }
}

/// What a function makes of its arguments, the piped one last.
pub(super) fn call(function: Function, arguments: &[Value]) -> Result<Value, String> {
    let argument = |at: usize| arguments.get(at).ok_or_else(|| "an argument is missing".to_owned());
    let number = || argument(0)?.number();
    let text = |at| argument(at).map(Value::shown);
    let shown = |text: String| Ok(Value::Text(text));
    let sample = |at| argument(at)?.sample();
    match function {
        Function::And => pick(arguments, |value| !value.is_true()),
        Function::Or => pick(arguments, Value::is_true),
        Function::Not => Ok(Value::Bool(!argument(0)?.is_true())),
        Function::Eq => {
            let first = argument(0)?;
            let same = arguments.iter().skip(1).map(|other| first.order(other));
            let same: Vec<_> = same.collect::<Result<_, _>>()?;
            Ok(Value::Bool(same.contains(&Some(Ordering::Equal))))
        }
        Function::Ne | Function::Lt | Function::Le | Function::Gt | Function::Ge => {
            let order = argument(0)?.order(argument(1)?)?;
            Ok(Value::Bool(match function {
                Function::Ne => order != Some(Ordering::Equal),
                Function::Lt => order == Some(Ordering::Less),
                Function::Le => order.is_some_and(Ordering::is_le),
                Function::Gt => order == Some(Ordering::Greater),
                _ => order.is_some_and(Ordering::is_ge),
            }))
        }
        Function::First => match argument(0)?.list()?.first() {
            Some(first) => Ok(Value::Sample(Arc::clone(first))),
            None => Err("`first` of nothing: the query gave no series".to_owned()),
        },
        Function::Label => {
            let (name, sample) = (text(0)?, sample(1)?);
            shown(sample.labels.get(&name).cloned().unwrap_or_default())
        }
        // It is asked where it can be.
        Function::Query => Err("`query` cannot be asked here".to_owned()),
        Function::SortByLabel => {
            let (name, mut list) = (text(0)?, argument(1)?.list()?.to_vec());
            list.sort_by(|a, b| a.labels.get(&name).cmp(&b.labels.get(&name)));
            Ok(Value::List(list))
        }
        Function::StrValue => {
            shown(sample(0)?.labels.get("__value__").cloned().unwrap_or_default())
        }
        Function::Value => Ok(Value::Float(sample(0)?.value)),
        Function::Index => argument(0)?.clone().field(&text(1)?),
        Function::Len => match argument(0)? {
            Value::Text(text) => Ok(Value::Int(text.len().try_into().unwrap_or(i64::MAX))),
            Value::List(list) => Ok(Value::Int(list.len().try_into().unwrap_or(i64::MAX))),
            Value::Map(map) => Ok(Value::Int(map.len().try_into().unwrap_or(i64::MAX))),
            other => Err(format!("`{}` has no length", other.shown())),
        },
        Function::Print => shown(arguments.iter().map(Value::shown).collect()),
        Function::Printf => {
            let form = text(0)?;
            shown(printf(&form, arguments.get(1..).unwrap_or_default())?)
        }
        Function::Humanize => shown(humanize(number()?)),
        Function::Humanize1024 => shown(humanize1024(number()?)),
        Function::HumanizeDuration => shown(duration(number()?)),
        Function::HumanizePercentage => shown(format!("{}%", general(number()? * 100.0, 4))),
        Function::HumanizeTimestamp => shown(timestamp(number()?)),
        Function::Match => Ok(Value::Bool(pattern(&text(0)?)?.is_match(&text(1)?))),
        Function::ReReplaceAll => {
            let (pattern, by, of) = (pattern(&text(0)?)?, text(1)?, text(2)?);
            // A group may stand in `by` again and again, and be all of the text.
            if (by.len() + 1).saturating_mul(of.len() + 1) > MOST_REPLACED {
                return Err("`reReplaceAll` of such long texts may take all memory".to_owned());
            }
            shown(pattern.replace_all(&of, by.as_str()).into_owned())
        }
        Function::StripPort => shown(strip_port(&text(0)?)),
        Function::StripDomain => shown(strip_domain(&text(0)?)),
        Function::Title => shown(title(&text(0)?)),
        Function::ToLower => shown(text(0)?.to_lowercase()),
        Function::ToUpper => shown(text(0)?.to_uppercase()),
    }
}

/// The first value that decides, or else the last.
fn pick(values: &[Value], decides: impl Fn(&Value) -> bool) -> Result<Value, String> {
    let found = values.iter().find(|value| decides(value)).or(values.last());
    found.cloned().ok_or_else(|| "an argument is missing".to_owned())
}

impl Value {
    fn list(&self) -> Result<&[Arc<Sample>], String> {
        match self {
            Self::List(list) => Ok(list),
            other => Err(format!("`{}` is not what `query` gives", other.shown())),
        }
    }

    fn sample(&self) -> Result<&Sample, String> {
        match self {
            Self::Sample(sample) => Ok(sample),
            other => Err(format!("`{}` is no series that `query` gave", other.shown())),
        }
    }

    fn number(&self) -> Result<f64, String> {
        match self {
            Self::Float(value) => Ok(*value),
            Self::Int(value) => Ok(*value as f64),
            Self::Text(text) => text.parse().map_err(|_| format!("`{text}` is no number")),
            other => Err(format!("`{}` is no number", other.shown())),
        }
    }

    /// How two values of one kind stand to each other.
    fn order(&self, other: &Self) -> Result<Option<Ordering>, String> {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => Ok(Some(a.cmp(b))),
            (Self::Bool(a), Self::Bool(b)) => Ok(Some(a.cmp(b))),
            (Self::Int(a), Self::Int(b)) => Ok(Some(a.cmp(b))),
            (Self::Float(a), Self::Float(b)) => Ok(a.partial_cmp(b)),
            _ => {
                let (a, b) = (self.shown(), other.shown());
                Err(format!("`{a}` and `{b}` are of different kinds, and not compared"))
            }
        }
    }
}

fn pattern(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|_| format!("`{text}` is no regular expression"))
}

fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return general(value, 4);
    }
    if value.abs() >= 1.0 {
        return scaled(value, 1e3, &["", "k", "M", "G", "T", "P", "E", "Z", "Y"]);
    }
    shrunk(value, "")
}

/// A value below 1 in thousandths, millionths and so on.
fn shrunk(mut value: f64, unit: &str) -> String {
    let mut prefix = "";
    for smaller in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = smaller;
        value *= 1e3;
    }
    format!("{}{prefix}{unit}", general(value, 4))
}

fn scaled(mut value: f64, step: f64, prefixes: &[&str]) -> String {
    let mut at = 0;
    while value.abs() >= step && at + 1 < prefixes.len() {
        value /= step;
        at += 1;
    }
    format!("{}{}", general(value, 4), prefixes.get(at).unwrap_or(&""))
}

fn humanize1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return general(value, 4);
    }
    scaled(value, 1024.0, &["", "ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"])
}

fn duration(value: f64) -> String {
    if !value.is_finite() {
        return general(value, 4);
    }
    if value == 0.0 {
        return "0s".to_owned();
    }
    if value.abs() < 1.0 {
        return shrunk(value, "s");
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let whole = value.abs() as u64;
    let (seconds, minutes) = (whole % 60, whole / 60 % 60);
    let (hours, days) = (whole / 3600 % 24, whole / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", general(value.abs(), 4)),
        (0, 0, _) => format!("{sign}{minutes}m {seconds}s"),
        (0, ..) => format!("{sign}{hours}h {minutes}m {seconds}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
    }
}

fn timestamp(seconds: f64) -> String {
    let time = DateTime::<Utc>::from_timestamp_millis((seconds * 1e3) as i64);
    match time.filter(|_| seconds.is_finite()) {
        Some(time) => time.format("%Y-%m-%d %H:%M:%S%.f +0000 UTC").to_string(),
        None => shortest(seconds),
    }
}

/// `host` of `host:9100`; of `[::1]:9100`, `::1`.
fn strip_port(text: &str) -> String {
    match text.strip_prefix('[').and_then(|inner| inner.split_once("]:")) {
        Some((host, _)) => host.to_owned(),
        None => match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => host.to_owned(),
            _ => text.to_owned(),
        },
    }
}

/// `host:9100` of `host.example.com:9100`; an address stays as it is.
fn strip_domain(text: &str) -> String {
    let host = strip_port(text);
    if host.parse::<std::net::IpAddr>().is_ok() {
        return text.to_owned();
    }
    let port = text.strip_prefix(host.as_str()).unwrap_or_default();
    format!("{}{port}", host.split('.').next().unwrap_or_default())
}

/// Each word with a capital.
fn title(text: &str) -> String {
    let mut begins = true;
    let capital = |letter: char| {
        let is_first = std::mem::replace(
            &mut begins,
            !letter.is_alphanumeric() && letter != '_' && letter != '\'',
        );
        if is_first { letter.to_uppercase().next().unwrap_or(letter) } else { letter }
    };
    text.chars().map(capital).collect()
}
