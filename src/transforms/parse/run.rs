//! The transform itself: takes texts to a parser, and records where they belong.

use super::emit::{Emit, From, Tools};
use super::options::OnBadTime;
use super::parser::{Parser, Shape};
use super::timestamp::Reader;
use super::zone::Clock;
use super::{Config, OnError, Wrong};
use crate::event::Batch;
use crate::event::encode::json;
use crate::event::log::{FieldRef, FieldWriter, LogBatch, RecordRef, Spare, Verdict};
use crate::topology::component::{Fault, Outputs, Transform};
use std::borrow::Cow;
use std::sync::Arc;

/// The named output of [`OnError::Route`].
pub(super) const FAILED: &str = "failed";

/// The reason's field, where it has to have one.
const REASON: &str = "parse_error";

pub(super) struct Parse {
    parser: Parser,
    tools: Tools,
    timestamp: Option<Reader>,
    field: String,
    /// The name of the timestamp's field in records.
    timestamp_field: String,
    target: Option<String>,
    keep_original: bool,
    on_error: OnError,
    error_field: Option<String>,
    failed: Arc<str>,
    scratch: Vec<u8>,
    /// Memory for the tables of fields.
    spare: Spare,
}

impl Parse {
    pub(super) fn new(config: &Config) -> Result<Self, String> {
        let parser = Parser::new(config)?;
        if config.target.is_some() && !config.prefix.is_empty() {
            return Err("`prefix` and `target` are two places for the fields; keep one".into());
        }
        if config.error_field.is_some() && config.on_error == OnError::Drop {
            return Err("`error_field` goes with `on_error: keep` and `route`".into());
        }
        let types = config.types.iter().map(|(name, kind)| (name.clone(), *kind)).collect();
        let route = config.on_error == OnError::Route;
        let reason = config.error_field.clone().or_else(|| route.then(|| REASON.to_owned()));
        let timestamp = config.timestamp.as_ref().map(|timestamp| &timestamp.0);
        let timestamp_field = timestamp.map(|t| format!("{}{}", config.prefix, t.field));
        Ok(Self {
            parser,
            tools: Tools::new(&config.prefix, Clock::new(&config.timezone), types),
            timestamp: timestamp.map(|timestamp| Reader::new(timestamp, &config.timezone)),
            timestamp_field: timestamp_field.unwrap_or_default(),
            field: config.field.clone(),
            target: config.target.clone(),
            keep_original: !config.drop_original,
            on_error: config.on_error,
            error_field: reason,
            failed: FAILED.into(),
            scratch: Vec::new(),
            spare: Spare::default(),
        })
    }

    /// Parses each record, and says how many were different. What was wrong with those that
    /// leave by another way is noted with their position.
    fn parse(&mut self, batch: &mut LogBatch, wrong: &mut Vec<(usize, Wrong)>) -> u64 {
        self.parser.begin_batch();
        batch.reuse(&self.spare);
        let (mut at, mut errors) = (0, 0);
        let chunk = batch.chunk().clone();
        // Nearly always all of it is UTF-8, and asking once costs less than asking a line.
        let utf8 = if self.parser.is_json() { std::str::from_utf8(&chunk).ok() } else { None };
        batch.rewrite(|record, writer| {
            at += 1;
            self.record(record, utf8, writer).unwrap_or_else(|reason| {
                errors += 1;
                writer.clear();
                match (self.on_error, &self.error_field) {
                    (OnError::Keep, None) => Verdict::Keep,
                    (OnError::Keep, Some(name)) => {
                        explain(record, writer, name, reason, &self.field, &mut self.scratch);
                        Verdict::Touched
                    }
                    (OnError::Drop, _) => Verdict::Drop,
                    (OnError::Route, _) => {
                        wrong.push((at - 1, reason));
                        Verdict::Drop
                    }
                }
            })
        });
        errors
    }

    /// The text of the field that is to be parsed.
    fn text<'r>(&self, record: &RecordRef<'r>) -> Result<Cow<'r, [u8]>, Wrong> {
        match record.get(&self.field) {
            Some(FieldRef::Null) | None => Err(Wrong::NoField),
            Some(value) => match (value.as_text(), value) {
                (Some(text), _) => Ok(text),
                // A field that holds an object can be opened as if it were text.
                (None, FieldRef::Json(raw)) if self.parser.is_json() => Ok(raw.into()),
                _ => Err(Wrong::NotText),
            },
        }
    }

    fn record(
        &mut self,
        record: &RecordRef<'_>,
        chunk: Option<&str>,
        writer: &mut FieldWriter<'_>,
    ) -> Result<Verdict, Wrong> {
        let line = record.is_unparsed() && self.field == "message";
        let text = if line { Cow::Borrowed(record.message()) } else { self.text(record)? };
        let from = match text {
            Cow::Borrowed(text) if record.holds(text) => From::Chunk,
            _ => From::Elsewhere,
        };
        if !line {
            if record.is_unparsed() {
                writer.push("message", record.text_at(record.message()));
            }
            for field in record.stored_fields() {
                if self.keep_original || record.batch().keys().name(field.key) != self.field {
                    writer.push_field(*field);
                }
            }
        } else if self.keep_original {
            writer.push("message", record.text_at(record.message()));
        }
        let found = writer.written().len();
        let known = chunk.filter(|_| line).and_then(|chunk| {
            let start = record.span().0 as usize;
            chunk.get(start..start + text.len())
        });
        let mut emit = Emit::new(record, writer, &mut self.tools, from);
        let shape = self.parser.parse(&text, known, &mut emit)?;
        if shape == Shape::Nothing {
            return Ok(Verdict::Drop);
        }
        if writer.written().len() > usize::from(u16::MAX) {
            return Err(Wrong::TooMany);
        }
        if let Some(reader) = &mut self.timestamp {
            let name = &self.timestamp_field;
            set_time(reader, name, record, writer, found)?;
        }
        if let Some(target) = &self.target {
            nest(target, record, writer, found, &mut self.scratch);
        }
        let as_it_is = self.tools.is_plain() && self.target.is_none() && !self.keep_original;
        let whole = text.len() == record.raw().len();
        Ok(match shape {
            _ if !line => Verdict::Touched,
            Shape::Object if as_it_is && whole => Verdict::ParsedJson,
            _ => Verdict::Parsed,
        })
    }
}

/// Sets the record's time from the field of this name among those found.
fn set_time(
    reader: &mut Reader,
    name: &str,
    record: &RecordRef<'_>,
    writer: &mut FieldWriter<'_>,
    found: usize,
) -> Result<(), Wrong> {
    let fields = writer.written().get(found..).unwrap_or_default();
    let field = fields.iter().rev().find(|field| writer.keys().name(field.key) == name).copied();
    let time_ns = field.and_then(|field| {
        reader.read(writer.value(record, field.value), record.batch().read_at_ns)
    });
    match time_ns {
        Some(time_ns) => writer.set_time_ns(time_ns),
        None if reader.on_error == OnBadTime::Fail => return Err(Wrong::NoTime),
        None => {}
    }
    Ok(())
}

/// Puts the fields from `found` on into one field, as an object.
fn nest(
    target: &str,
    record: &RecordRef<'_>,
    writer: &mut FieldWriter<'_>,
    found: usize,
    scratch: &mut Vec<u8>,
) {
    scratch.clear();
    scratch.push(b'{');
    let fields = writer.written().get(found..).unwrap_or_default();
    for (at, field) in fields.iter().enumerate() {
        // Of several with one name the last one counts.
        if fields[at + 1..].iter().any(|later| later.key == field.key) {
            continue;
        }
        if scratch.len() > 1 {
            scratch.push(b',');
        }
        json::string(writer.keys().name(field.key).as_bytes(), scratch);
        scratch.push(b':');
        json::value(writer.value(record, field.value), scratch);
    }
    scratch.push(b'}');
    writer.truncate(found);
    writer.push_json(target, scratch);
}

impl Transform for Parse {
    fn transform(&mut self, batch: Batch, out: &mut Outputs) -> Result<(), Fault> {
        let Batch::Logs(mut batch) = batch else {
            out.emit(batch);
            return Ok(());
        };
        let original = (self.on_error == OnError::Route).then(|| batch.clone());
        let mut wrong = Vec::new();
        let errors = self.parse(&mut batch, &mut wrong);
        out.count_errors(errors);
        if self.on_error == OnError::Drop {
            out.count_dropped("unparsed", errors);
        }
        if let (Some(mut failed), false) = (original, wrong.is_empty()) {
            self.pick(&mut failed, wrong);
            out.emit_to(&self.failed, Batch::Logs(failed));
        }
        out.emit(Batch::Logs(batch));
        Ok(())
    }
}

impl Parse {
    /// Leaves only the records that are listed, each with its reason.
    fn pick(&mut self, batch: &mut LogBatch, wrong: Vec<(usize, Wrong)>) {
        let mut wrong = wrong.into_iter().peekable();
        let mut at = 0;
        let name = self.error_field.as_deref().unwrap_or(REASON);
        batch.rewrite(|record, writer| {
            at += 1;
            let Some((_, reason)) = wrong.next_if(|(position, _)| *position == at - 1) else {
                return Verdict::Drop;
            };
            explain(record, writer, name, reason, &self.field, &mut self.scratch);
            Verdict::Touched
        });
    }
}

/// Writes the record as it is, and what is wrong with it.
fn explain(
    record: &RecordRef<'_>,
    writer: &mut FieldWriter<'_>,
    name: &str,
    reason: Wrong,
    field: &str,
    scratch: &mut Vec<u8>,
) {
    if record.is_unparsed() {
        writer.push("message", record.text_at(record.message()));
    }
    for field in record.stored_fields() {
        writer.push_field(*field);
    }
    scratch.clear();
    reason.write(field, scratch);
    writer.push_text(name, scratch);
}
