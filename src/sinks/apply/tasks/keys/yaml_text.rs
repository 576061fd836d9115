//! Values as YAML text.

use crate::event::tree::Value;
use crate::event::yaml_scalar::{Dialect, resolve};
use saphyr_parser::ScalarStyle;
use serde_json::Value as Json;

/// A value on one line.
pub(super) fn flow(value: &Json) -> String {
    match value {
        Json::Array(items) => {
            format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", "))
        }
        Json::Object(map) => {
            let entries = map.iter().map(|(name, value)| format!("{}: {}", key(name), flow(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        scalar => self::scalar(scalar, ScalarStyle::Plain),
    }
}

/// A key, quoted where it must be.
pub(super) fn key(name: &str) -> String {
    // A number is a fine key, and so it stays one.
    let is_number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { name.to_owned() } else { text(name, ScalarStyle::Plain) }
}

/// Whether a value fits behind its key: it is no list or mapping with something in it.
pub(super) fn is_short(value: &Json) -> bool {
    match value {
        Json::Array(items) => items.is_empty(),
        Json::Object(map) => map.is_empty(),
        _ => true,
    }
}

/// A scalar or an empty collection; text in quotes where they stood before, or must.
pub(super) fn scalar(value: &Json, style: ScalarStyle) -> String {
    match value {
        Json::String(value) => text(value, style),
        Json::Array(_) => "[]".into(),
        Json::Object(_) => "{}".into(),
        other => other.to_string(),
    }
}

fn text(value: &str, style: ScalarStyle) -> String {
    let is_printable = !value.chars().any(|c| {
        c.is_control() || c == '\u{feff}' || c == '\u{2028}' || c == '\u{2029}' || c == '\u{85}'
    });
    match style {
        ScalarStyle::SingleQuoted if is_printable => format!("'{}'", value.replace('\'', "''")),
        ScalarStyle::DoubleQuoted => quoted(value),
        _ if is_plain(value) => value.to_owned(),
        _ => quoted(value),
    }
}

/// Whether every reader takes the bare letters for this very text, in brackets too.
fn is_plain(value: &str) -> bool {
    let is_inner = |c: char| c.is_alphanumeric() || "_-./+=@%:".contains(c);
    let words = value.split(' ').all(|word| {
        !word.is_empty()
            && word.chars().all(is_inner)
            && !word.ends_with(':')
            && !word.starts_with(['-', ':', '%', '@', '='])
    });
    let begins = value.starts_with(|c: char| c.is_alphabetic() || c == '/' || c == '_');
    let is_text = |dialect| matches!(resolve(value, dialect), Value::String(_));
    let is_old_truth =
        ["y", "n", "yes", "no", "on", "off"].iter().any(|word| value.eq_ignore_ascii_case(word));
    words && begins && is_text(Dialect::Yaml11) && is_text(Dialect::Yaml12) && !is_old_truth
}

fn quoted(value: &str) -> String {
    let mut out = String::from("\"");
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}') => {
                out.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// How lists and mappings are written, one entry a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// How many blanks deeper lines have on top.
    pub(super) unit: usize,
    pub(super) newline: &'static str,
}

impl Block {
    /// The lines of a list or mapping with something in it, that begin in `column`.
    pub(super) fn lines(self, value: &Json, column: usize) -> String {
        let pad = " ".repeat(column);
        let lines: Vec<String> = match value {
            Json::Object(map) => {
                let line = |(name, value): (&String, &Json)| {
                    format!("{pad}{}:{}", key(name), self.behind_colon(value, column))
                };
                map.iter().map(line).collect()
            }
            Json::Array(items) => {
                let line = |item: &Json| format!("{pad}-{}", self.behind_dash(item, column));
                items.iter().map(line).collect()
            }
            scalar => vec![format!("{pad}{}", self::scalar(scalar, ScalarStyle::Plain))],
        };
        lines.join(self.newline)
    }

    /// What stands behind the colon of a key in `column`.
    pub(super) fn behind_colon(self, value: &Json, column: usize) -> String {
        if is_short(value) {
            return format!(" {}", scalar(value, ScalarStyle::Plain));
        }
        format!("{}{}", self.newline, self.lines(value, column + self.unit))
    }

    /// What stands behind a dash in `column`.
    pub(super) fn behind_dash(self, value: &Json, column: usize) -> String {
        if is_short(value) {
            return format!(" {}", scalar(value, ScalarStyle::Plain));
        }
        format!(" {}", self.lines(value, column + 2).trim_start())
    }
}
