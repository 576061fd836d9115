//! The parser of each format.

use super::csv::{self, Table};
use super::grok::Grok;
use super::klog::Date;
use super::layout::Layout;
use super::logfmt::Marks;
use super::options::Character;
use super::regex::Pattern;
use super::syslog;
use super::w3c::{self, Columns};
use super::{Config, Emit, Format, Wrong};
use super::{
    apache_error, auditd, aws, cef, combined, container, haproxy, json, klog, logfmt, nginx,
};
use combined::Tail;
use json::Name;

/// What a line turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A record with fields.
    Fields,
    /// A record, and its text is a JSON object without white space around it.
    Object,
    /// A header or directive: no record.
    Nothing,
}

/// The parser of each format.
pub(super) enum Parser {
    Json(Layout),
    Pairs(Marks),
    Csv(Table),
    Ltsv,
    Regex(Pattern),
    Grok(Grok),
    Syslog,
    Combined(Tail),
    ApacheError,
    NginxError,
    NginxIngress,
    Haproxy,
    Klog(Date),
    Cri,
    Docker,
    Auditd,
    Cef,
    W3c(Columns),
    AwsAlb,
    AwsElb,
    AwsVpcFlow(Vec<String>),
}

/// Formats that give values of which only the text is known.
const TYPED: &[Format] = {
    use Format::{AwsVpcFlow, Cef, Csv, Grok, KeyValue, Logfmt, Ltsv, Regex, W3c};
    &[Regex, Grok, Logfmt, KeyValue, Csv, Ltsv, Cef, W3c, AwsVpcFlow]
};

impl Parser {
    pub(super) fn new(config: &Config) -> Result<Self, String> {
        check(config)?;
        let columns = config.columns.as_deref().unwrap_or_default();
        Ok(match config.format {
            Format::Json => Self::Json(Layout::new()),
            Format::Logfmt => Self::Pairs(Marks::logfmt()),
            Format::KeyValue => Self::Pairs(marks(config)?),
            Format::Csv => Self::Csv(table(config)?),
            Format::Ltsv => Self::Ltsv,
            Format::Regex => match &config.pattern {
                Some(pattern) => Self::Regex(Pattern::new(pattern, &config.types)?),
                None => return Err("`format: regex` needs a `pattern` with named groups".into()),
            },
            Format::Grok => match &config.pattern {
                Some(pattern) => Self::Grok(Grok::new(pattern, &config.patterns, &config.types)?),
                None => {
                    return Err("`format: grok` needs a `pattern` such as `%{IP:client}`".into());
                }
            },
            Format::Syslog => Self::Syslog,
            Format::NginxCombined | Format::ApacheCombined => Self::Combined(Tail::RefererAndAgent),
            Format::Common => Self::Combined(Tail::Nothing),
            Format::NginxError => Self::NginxError,
            Format::NginxIngress => Self::NginxIngress,
            Format::ApacheError => Self::ApacheError,
            Format::Haproxy => Self::Haproxy,
            Format::Klog => Self::Klog(Date::Short),
            Format::Glog => Self::Klog(Date::Long),
            Format::Cri => Self::Cri,
            Format::Docker => Self::Docker,
            Format::Auditd => Self::Auditd,
            Format::Cef => Self::Cef,
            Format::W3c => Self::W3c(Columns::new(columns)),
            Format::AwsAlb => Self::AwsAlb,
            Format::AwsElb => Self::AwsElb,
            Format::AwsVpcFlow if columns.is_empty() => {
                Self::AwsVpcFlow(aws::FLOW.map(str::to_owned).to_vec())
            }
            // Names as AWS writes them have `-`, which an expression would take for minus.
            Format::AwsVpcFlow => {
                Self::AwsVpcFlow(columns.iter().map(|name| name.replace('-', "_")).collect())
            }
        })
    }

    /// Whether the text has to be JSON, and so UTF-8.
    pub(super) fn is_json(&self) -> bool {
        matches!(self, Self::Json(_) | Self::Docker)
    }

    /// Names have other numbers from now on.
    pub(super) fn begin_batch(&mut self) {
        if let Self::Json(layout) = self {
            layout.begin_batch();
        }
    }

    /// Parses one text, which is `known` where it is known to be UTF-8.
    pub(super) fn parse(
        &mut self,
        text: &[u8],
        known: Option<&str>,
        emit: &mut Emit<'_, '_, '_>,
    ) -> Result<Shape, Wrong> {
        match self {
            Self::Json(layout) => return object(utf8(text, known)?, layout, emit),
            Self::Docker => container::docker(utf8(text, known)?, emit)?,
            Self::Pairs(marks) => logfmt::pairs(text, marks, emit)?,
            Self::Csv(table) => {
                if table.parse(text, emit)? == csv::Line::Header {
                    return Ok(Shape::Nothing);
                }
            }
            Self::Ltsv => logfmt::ltsv(text, emit)?,
            Self::Regex(pattern) => pattern.parse(text, emit)?,
            Self::Grok(grok) => grok.parse(text, emit)?,
            Self::Syslog => syslog::parse(text, emit)?,
            Self::Combined(tail) => combined::parse(text, *tail, emit)?,
            Self::ApacheError => apache_error::parse(text, emit)?,
            Self::NginxError => nginx::error(text, emit)?,
            Self::NginxIngress => nginx::ingress(text, emit)?,
            Self::Haproxy => haproxy::parse(text, emit)?,
            Self::Klog(date) => klog::parse(text, *date, emit)?,
            Self::Cri => container::cri(text, emit)?,
            Self::Auditd => auditd::parse(text, emit)?,
            Self::Cef => cef::parse(text, emit)?,
            Self::W3c(columns) => {
                if columns.parse(text, emit)? == w3c::Line::Directive {
                    return Ok(Shape::Nothing);
                }
            }
            Self::AwsAlb => aws::alb(text, emit)?,
            Self::AwsElb => aws::elb(text, emit)?,
            Self::AwsVpcFlow(columns) => {
                if !aws::flow(text, columns, emit)? {
                    return Ok(Shape::Nothing);
                }
            }
        }
        Ok(Shape::Fields)
    }
}

/// Settings that go with other formats only.
fn check(config: &Config) -> Result<(), String> {
    use Format::{AwsVpcFlow, Csv, Grok, KeyValue, Regex, W3c};
    let settings: [(&str, bool, &[Format]); 7] = [
        ("pattern", config.pattern.is_some(), &[Regex, Grok]),
        ("patterns", !config.patterns.is_empty(), &[Grok]),
        ("types", !config.types.is_empty(), TYPED),
        ("columns", config.columns.is_some(), &[Csv, W3c, AwsVpcFlow]),
        ("delimiter", config.delimiter.is_some(), &[Csv, KeyValue]),
        ("separator", config.separator.is_some(), &[KeyValue]),
        ("quote", config.quote.is_some(), &[Csv]),
    ];
    for (name, is_set, formats) in settings {
        if is_set && !formats.contains(&config.format) {
            let names: Vec<String> =
                formats.iter().map(|format| format!("`{}`", format.name())).collect();
            return Err(format!("`{name}` goes with {} only", names.join(", ")));
        }
    }
    Ok(())
}

fn marks(config: &Config) -> Result<Marks, String> {
    let mark = |name: &str, given: &Option<String>, usual: &str| match given.as_deref() {
        Some("") => Err(format!("`{name}` is empty")),
        Some(text) => Ok(text.as_bytes().to_vec()),
        None => Ok(usual.as_bytes().to_vec()),
    };
    let delimiter = mark("delimiter", &config.delimiter, " ")?;
    let separator = mark("separator", &config.separator, "=")?;
    if delimiter == separator {
        return Err("`delimiter` and `separator` are the same".into());
    }
    Ok(Marks { delimiter, separator })
}

fn table(config: &Config) -> Result<Table, String> {
    let columns = config.columns.clone().unwrap_or_default();
    if columns.is_empty() {
        return Err("`format: csv` needs `columns`, the names of the cells".into());
    }
    let delimiter = match config.delimiter.as_deref().map(str::as_bytes) {
        None => b',',
        Some([byte]) if byte.is_ascii() && *byte != b'\n' => *byte,
        Some(_) => return Err("the `delimiter` of `csv` is one ASCII character".into()),
    };
    let quote = config.quote.map_or(b'"', |Character(quote)| quote);
    if quote == delimiter {
        return Err("`delimiter` and `quote` are the same".into());
    }
    Ok(Table { columns, delimiter, quote })
}

fn utf8<'t>(text: &'t [u8], known: Option<&'t str>) -> Result<&'t str, Wrong> {
    match known {
        Some(text) => Ok(text),
        None => {
            std::str::from_utf8(text).map_err(|error| Wrong::At("UTF-8 text", error.valid_up_to()))
        }
    }
}

/// Reads the entries of an object.
fn object(text: &str, layout: &mut Layout, emit: &mut Emit<'_, '_, '_>) -> Result<Shape, Wrong> {
    json::object_like(text, layout, |layout, slot, name, value| match (name, slot) {
        (Name::Plain(name), Some(slot)) => {
            emit.json_like(layout, slot, name, value);
            Ok(())
        }
        (Name::Plain(name), None) => {
            emit.json(name, value);
            Ok(())
        }
        (Name::Escaped(name), _) => {
            let name = serde_json::from_str::<String>(&format!("\"{name}\""));
            emit.json(&name.map_err(|_| "a name that is text")?, value);
            Ok(())
        }
    })?;
    // White space around an object would not be copied into JSON.
    let bare = text.starts_with('{') && text.ends_with('}');
    Ok(if bare { Shape::Object } else { Shape::Fields })
}
