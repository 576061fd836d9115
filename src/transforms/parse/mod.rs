//! `parse`: turns a line, or the text of a field, into fields.

mod combined;
mod emit;
mod json;
#[cfg(test)]
mod json_tests;
mod regex;
#[cfg(test)]
mod tests;

use crate::event::log::{FieldRef, LogBatch, RecordRef, Verdict};
use crate::event::time::{from_epoch, parse_rfc3339};
use crate::event::{Batch, Kinds};
use crate::topology::component::{BuildContext, Fault, Outputs, Transform, TransformConfig};
use combined::Tail;
use json::Name;
use emit::{Emit, From};
pub use regex::FieldType;
use regex::Pattern;
use schemars::JsonSchema;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Turns a line, or the text of a field, into fields.
///
/// ```yaml
/// parsed: {type: parse, format: json, timestamp: time, inputs: [app]}
/// access: {type: parse, format: nginx_combined, on_error: route, inputs: [nginx]}
/// custom:
///   type: parse
///   format: regex
///   pattern: '^(?<level>\w+) took (?<ms>\d+) ms'
///   types: {ms: int}
///   inputs: [app]
/// ```
///
/// A line that was parsed is still written out as it was read, until something changes the
/// record. Where a field was parsed, what it holds takes its place beside the other fields.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the text looks like.
    pub format: Format,
    /// The field to parse; a line that nothing has parsed yet is `message`.
    #[serde(default = "message")]
    pub field: String,
    /// What becomes of a record that is not of this format.
    #[serde(default)]
    pub on_error: OnError,
    /// For `regex`: the pattern. Its named groups become fields.
    #[serde(default)]
    pub pattern: Option<String>,
    /// For `regex`: what the groups stand for, where that is not text.
    #[serde(default)]
    pub types: BTreeMap<String, FieldType>,
    /// For `json` and `regex`: the field that holds the record's time, as RFC 3339 or as a number
    /// since 1970 (seconds, or milli-, micro- or nanoseconds; its size tells). Without it, or
    /// where the field holds something else, the time of reading counts.
    #[serde(default)]
    pub timestamp: Option<String>,
}

/// What a text can look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A JSON object. Its entries become fields; what is nested stays as it is.
    Json,
    /// Whatever `pattern` matches.
    Regex,
    /// nginx's `combined`, and `main` of its packages. Fields, named as nginx's variables where it has
    /// one for the thing: `remote_addr`, `remote_user`, `time_local` (which is the record's time),
    /// `method`, `path` (with the query) and `protocol` (or `request`, where it has no such
    /// parts), `status`, `body_bytes_sent`, `http_referer`, `http_user_agent`,
    /// `http_x_forwarded_for`. What is written `-` is null.
    NginxCombined,
    /// Apache's `combined`; the same fields.
    ApacheCombined,
    /// The common log format, which ends after the size; the same fields.
    Common,
}

/// What becomes of a record that is not of the format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// It goes on as it is.
    #[default]
    Keep,
    /// It is left out.
    Drop,
    /// It leaves through the output `errors`, with the reason in the field `parse_error`.
    Route,
}

fn message() -> String {
    "message".into()
}

/// The named output of [`OnError::Route`].
const ERRORS: &str = "errors";

impl TransformConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::LOGS
    }

    fn outputs(&self) -> Vec<Arc<str>> {
        if self.on_error == OnError::Route { vec![ERRORS.into()] } else { Vec::new() }
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Transform>, Fault> {
        Ok(Box::new(Parse::new(self).map_err(Fault::fatal)?))
    }
}

/// The parser of each format.
enum Parser {
    Json,
    Regex(Pattern),
    Combined(Tail),
}

struct Parse {
    parser: Parser,
    field: String,
    on_error: OnError,
    timestamp: Option<String>,
    errors: Arc<str>,
    scratch: Vec<u8>,
}

impl Parse {
    fn new(config: &Config) -> Result<Self, String> {
        let parser = match (config.format, &config.pattern) {
            (Format::Regex, Some(pattern)) => Parser::Regex(Pattern::new(pattern, &config.types)?),
            (Format::Regex, None) => {
                return Err("`format: regex` needs a `pattern` with named groups".into());
            }
            (_, Some(_)) => return Err("`pattern` goes with `format: regex` only".into()),
            _ if !config.types.is_empty() => {
                return Err("`types` goes with `format: regex` only".into());
            }
            (Format::Json, None) => Parser::Json,
            (Format::NginxCombined | Format::ApacheCombined, None) => {
                Parser::Combined(Tail::RefererAndAgent)
            }
            (Format::Common, None) => Parser::Combined(Tail::Nothing),
        };
        if matches!(parser, Parser::Combined(_)) && config.timestamp.is_some() {
            return Err("`timestamp` goes with `json` and `regex`; access logs have one place \
                        for their time"
                .into());
        }
        Ok(Self {
            parser,
            field: config.field.clone(),
            on_error: config.on_error,
            timestamp: config.timestamp.clone(),
            errors: ERRORS.into(),
            scratch: Vec::new(),
        })
    }

    /// Parses each record; what is wrong with those that are different is noted with their
    /// position.
    fn parse(&mut self, batch: &mut LogBatch, wrong: &mut Vec<(usize, String)>) {
        let on_error = self.on_error;
        let mut at = 0;
        let chunk = batch.chunk().clone();
        // Nearly always all of it is UTF-8, and asking once costs less than asking a line.
        let utf8 = match self.parser {
            Parser::Json => std::str::from_utf8(&chunk).ok(),
            Parser::Regex(_) | Parser::Combined(_) => None,
        };
        batch.rewrite(|record, writer| {
            let verdict = self.record(record, utf8, writer);
            at += 1;
            verdict.unwrap_or_else(|reason| {
                wrong.push((at - 1, reason));
                writer.clear();
                if on_error == OnError::Keep { Verdict::Keep } else { Verdict::Drop }
            })
        });
    }

    fn record(
        &mut self,
        record: &RecordRef<'_>,
        chunk: Option<&str>,
        writer: &mut crate::event::log::FieldWriter<'_>,
    ) -> Result<Verdict, String> {
        let line = record.is_unparsed() && self.field == "message";
        let text = match record.get(&self.field) {
            _ if line => Cow::Borrowed(record.message()),
            Some(FieldRef::Null) | None => {
                return Err(format!("there is no field `{}`", self.field));
            }
            Some(value) => match (value.as_text(), value) {
                (Some(text), _) => text,
                // A field that holds an object can be opened as if it were text.
                (None, FieldRef::Json(raw)) if matches!(self.parser, Parser::Json) => raw.into(),
                _ => return Err(format!("the field `{}` is not text", self.field)),
            },
        };
        let from = match text {
            Cow::Borrowed(text) if record.holds(text) => From::Chunk,
            _ => From::Elsewhere,
        };
        if !line {
            for field in record.stored_fields() {
                if record.batch().keys().name(field.key) != self.field {
                    writer.push_field(*field);
                }
            }
        }
        let found = writer.written().len();
        let mut emit = Emit::new(record, writer, &mut self.scratch, from);
        let mut verdict = Verdict::Parsed;
        match &mut self.parser {
            Parser::Json => {
                let start = record.span().0 as usize;
                let known = chunk.filter(|_| line);
                let known = known.and_then(|chunk| chunk.get(start..start + text.len()));
                if json_fields(&text, known, &mut emit)? && text.len() == record.raw().len() {
                    verdict = Verdict::ParsedJson;
                }
            }
            Parser::Regex(pattern) => pattern.parse(&text, &mut emit).map_err(expected)?,
            Parser::Combined(tail) => combined::parse(&text, *tail, &mut emit).map_err(expected)?,
        }
        if writer.written().len() > usize::from(u16::MAX) {
            return Err("found more than 65535 fields".into());
        }
        if let Some(name) = &self.timestamp {
            let key = record.batch().keys().find(name).unwrap_or_else(|| writer.key(name));
            let fields = writer.written().get(found..).unwrap_or_default();
            let field = fields.iter().rev().find(|field| field.key == key).copied();
            if let Some(time_ns) = field.and_then(|field| time(writer.value(record, field.value))) {
                writer.set_time_ns(time_ns);
            }
        }
        Ok(if line { verdict } else { Verdict::Touched })
    }
}

impl Transform for Parse {
    fn transform(&mut self, batch: Batch, out: &mut Outputs) -> Result<(), Fault> {
        let Batch::Logs(mut batch) = batch else {
            out.emit(batch);
            return Ok(());
        };
        let original = (self.on_error == OnError::Route).then(|| batch.clone());
        let mut wrong = Vec::new();
        self.parse(&mut batch, &mut wrong);
        out.count_errors(wrong.len() as u64);
        if let Some(mut failed) = original
            && !wrong.is_empty()
        {
            explain(&mut failed, wrong);
            out.emit_to(&self.errors, Batch::Logs(failed));
        }
        out.emit(Batch::Logs(batch));
        Ok(())
    }
}

/// Leaves only the records that are listed, each with its reason.
fn explain(batch: &mut LogBatch, wrong: Vec<(usize, String)>) {
    let mut wrong = wrong.into_iter().peekable();
    let mut at = 0;
    batch.rewrite(|record, writer| {
        at += 1;
        let Some((_, reason)) = wrong.next_if(|(position, _)| *position == at - 1) else {
            return Verdict::Drop;
        };
        if record.is_unparsed() {
            writer.push("message", record.text_at(record.message()));
        }
        for field in record.stored_fields() {
            writer.push_field(*field);
        }
        writer.push_text("parse_error", reason.as_bytes());
        Verdict::Touched
    });
}

/// Reads the entries of an object, which is `known` where it is known to be text; says whether `text` is nothing but the object, without white
/// space around it.
fn json_fields(
    text: &[u8],
    known: Option<&str>,
    emit: &mut Emit<'_, '_, '_>,
) -> Result<bool, String> {
    let text = match known {
        Some(text) => text,
        None => std::str::from_utf8(text)
            .map_err(|error| format!("expected UTF-8 text (byte {})", error.valid_up_to() + 1))?,
    };
    let read = json::object(text, |name, value| match name {
        Name::Plain(name) => {
            emit.json(name, value);
            Ok(())
        }
        Name::Escaped(name) => {
            let name = serde_json::from_str::<String>(&format!("\"{name}\""));
            emit.json(&name.map_err(|_| "a name that is text")?, value);
            Ok(())
        }
    });
    read.map_err(|wrong| format!("expected {} (byte {})", wrong.expected, wrong.at + 1))?;
    Ok(text.starts_with('{') && text.ends_with('}'))
}

fn expected(what: &'static str) -> String {
    format!("expected {what}")
}

/// The time that a field holds.
fn time(value: FieldRef<'_>) -> Option<i64> {
    match value.as_text() {
        Some(text) => parse_rfc3339(&text),
        None => from_epoch(value.as_number()?),
    }
}
