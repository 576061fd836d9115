//! W3C's extended log format, as IIS writes it: directives say what the columns are.
//!
//! ```text
//! #Fields: date time s-ip cs-method cs-uri-stem sc-status time-taken
//! 2024-02-29 12:00:00 10.0.0.1 GET /index.html 200 15
//! ```

use super::Emit;
use super::text::word;
use crate::event::log::Value;
use crate::event::moment::{Moment, rfc3339};
use std::collections::HashMap;
use std::sync::Arc;

/// What is known of the columns of each file.
#[derive(Debug, Default)]
pub(super) struct Columns {
    /// What the config says, for files whose directives were not seen.
    default: Arc<[String]>,
    by_file: HashMap<String, Arc<[String]>>,
}

/// Whether a line is a record of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Record,
    Directive,
}

/// Files whose columns are remembered; beyond that all are forgotten and learnt anew.
const FILES_LIMIT: usize = 4096;

impl Columns {
    pub(super) fn new(default: &[String]) -> Self {
        let default = default.iter().map(|name| plain_name(name)).collect();
        Self { default, by_file: HashMap::new() }
    }

    /// Splits one line.
    pub(super) fn parse(
        &mut self,
        line: &[u8],
        emit: &mut Emit<'_, '_, '_>,
    ) -> Result<Line, &'static str> {
        if let Some(directive) = line.strip_prefix(b"#") {
            if let Some(names) = directive.strip_prefix(b"Fields:") {
                self.learn(names, emit.path());
            }
            return Ok(Line::Directive);
        }
        let columns = self.by_file.get(emit.path()).unwrap_or(&self.default);
        if columns.is_empty() {
            return Err("a `#Fields` directive before the first line, or `columns` in the config");
        }
        record(line, columns, emit)?;
        Ok(Line::Record)
    }

    fn learn(&mut self, names: &[u8], path: &str) {
        let names = String::from_utf8_lossy(names);
        let names: Arc<[String]> = names.split_ascii_whitespace().map(plain_name).collect();
        if self.by_file.len() >= FILES_LIMIT && !self.by_file.contains_key(path) {
            self.by_file.clear();
        }
        self.by_file.insert(path.to_owned(), names);
    }
}

fn record(
    line: &[u8],
    columns: &[String],
    emit: &mut Emit<'_, '_, '_>,
) -> Result<(), &'static str> {
    let (mut date, mut time) = (None, None);
    let mut rest = Some(line.trim_ascii_end());
    for column in columns {
        let text = rest.ok_or("as many columns as the directive names")?;
        let (value, after) = match text.strip_prefix(b"\"") {
            Some(inner) => {
                let end = memchr::memchr(b'"', inner).ok_or("a quote after a value")?;
                let after = &inner[end + 1..];
                (&inner[..end], after.strip_prefix(b" ").or(Some(after)).filter(|a| !a.is_empty()))
            }
            None => {
                let (value, after) = word(text);
                (value, (value.len() < text.len()).then_some(after))
            }
        };
        match column.as_str() {
            "date" => date = Some(value),
            "time" => time = Some(value),
            _ => {}
        }
        if value == b"-" {
            emit.value(column, Value::Null);
        } else {
            emit.bare(column, value);
        }
        rest = after;
    }
    if rest.is_some() {
        return Err("no more columns than the directive names");
    }
    if let (Some(date), Some(time)) = (date, time) {
        let mut text = [b' '; 32];
        let length = date.len() + 1 + time.len();
        if let Some(text) = text.get_mut(..length) {
            text[..date.len()].copy_from_slice(date);
            text[date.len() + 1..].copy_from_slice(time);
            // The format has all times in UTC.
            if let Some(Moment::Utc(time_ns) | Moment::Local(time_ns)) = rfc3339(text) {
                emit.time(time_ns);
            }
        }
    }
    Ok(())
}

/// `cs(User-Agent)` is `cs_user_agent`, so that an expression can name it.
fn plain_name(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() {
            plain.push(char::from(byte.to_ascii_lowercase()));
        } else if !plain.is_empty() && !plain.ends_with('_') {
            plain.push('_');
        }
    }
    plain.truncate(plain.trim_end_matches('_').len());
    plain
}
