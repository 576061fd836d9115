//! YAML for `to_yaml`, written as `PyYAML` writes it.

use super::dict::entries;
use crate::event::yaml_scalar;
use crate::expr::call::list;
use crate::expr::value::python_float;
use minijinja::value::{Value, ValueKind};

/// Which lists and mappings stand in one line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// None but empty ones.
    Block,
    /// Those that hold nothing but scalars.
    Leaves,
    /// All.
    Flow,
}

/// How YAML is laid out.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub(super) indent: usize,
    pub(super) width: usize,
    pub(super) style: Style,
    pub(super) sorted: bool,
}

pub(super) fn write(value: &Value, layout: Layout) -> String {
    let mut writer = Writer { layout, out: String::new(), column: 0 };
    writer.value(value, Some(0), Place::Top);
    if !writer.out.ends_with('\n') {
        writer.out.push('\n');
    }
    writer.out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    AfterKey,
    InList,
}

struct Writer {
    layout: Layout,
    out: String,
    column: usize,
}

fn is_nested(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Map | ValueKind::Seq | ValueKind::Iterable)
}

impl Writer {
    fn put(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }

    fn line(&mut self, indent: usize) {
        self.out.push('\n');
        self.out.push_str(&" ".repeat(indent));
        self.column = indent;
    }

    fn children(&self, value: &Value) -> Vec<(Option<Value>, Value)> {
        if value.kind() != ValueKind::Map {
            return list(value).unwrap_or_default().into_iter().map(|item| (None, item)).collect();
        }
        let mut entries = entries(value);
        if self.layout.sorted {
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
        entries.into_iter().map(|(key, value)| (Some(key), value)).collect()
    }

    /// Writes a value whose lines begin at `indent`; `None` within a line.
    fn value(&mut self, value: &Value, indent: Option<usize>, place: Place) {
        if !is_nested(value) {
            let more = indent
                .map(|indent| indent + if place == Place::Top { 0 } else { self.layout.indent });
            return self.scalar(value, more, false);
        }
        let children = self.children(value);
        let in_line = match (indent, self.layout.style) {
            (None, _) | (_, Style::Flow) => true,
            (_, Style::Leaves) => !children.iter().any(|(_, child)| is_nested(child)),
            (_, Style::Block) => false,
        };
        match indent {
            Some(indent) if !in_line && !children.is_empty() => {
                self.block(value, &children, indent, place);
            }
            _ => {
                let indent = indent.unwrap_or_default()
                    + if place == Place::Top { 0 } else { self.layout.indent };
                self.flow(value, &children, indent);
            }
        }
    }

    fn block(
        &mut self,
        value: &Value,
        children: &[(Option<Value>, Value)],
        indent: usize,
        place: Place,
    ) {
        let is_map = value.kind() == ValueKind::Map;
        let step = match (place, is_map) {
            (Place::Top, _) => 0,
            // A list below a key is not indented.
            (Place::AfterKey, false) => 0,
            _ => self.layout.indent,
        };
        let indent = indent + step;
        for (at, (key, child)) in children.iter().enumerate() {
            let first_in_list = at == 0 && place == Place::InList;
            if first_in_list {
                let blanks = indent.saturating_sub(self.column);
                self.put(&" ".repeat(blanks));
            } else if at > 0 || place == Place::AfterKey {
                self.line(indent);
            }
            match key {
                Some(key) => {
                    self.scalar(key, None, true);
                    self.put(":");
                    let block = is_nested(child) && child.len() != Some(0) && self.goes_down(child);
                    if !block {
                        self.put(" ");
                    }
                    self.value(child, Some(indent), Place::AfterKey);
                }
                None => {
                    self.put("- ");
                    self.value(child, Some(indent), Place::InList);
                }
            }
        }
    }

    fn goes_down(&self, value: &Value) -> bool {
        match self.layout.style {
            Style::Block => true,
            Style::Flow => false,
            Style::Leaves => self.children(value).iter().any(|(_, child)| is_nested(child)),
        }
    }

    fn flow(&mut self, value: &Value, children: &[(Option<Value>, Value)], indent: usize) {
        let (open, close) = if value.kind() == ValueKind::Map { ("{", "}") } else { ("[", "]") };
        self.put(open);
        for (at, (key, child)) in children.iter().enumerate() {
            if at > 0 {
                self.put(",");
            }
            if self.column > self.layout.width {
                self.line(indent);
            } else if at > 0 {
                self.put(" ");
            }
            if let Some(key) = key {
                self.scalar(key, None, true);
                self.put(": ");
            }
            match is_nested(child) {
                true => {
                    let inner = self.children(child);
                    self.flow(child, &inner, indent + self.layout.indent);
                }
                false => self.scalar_in(child, Some(indent + self.layout.indent), false, true),
            }
        }
        self.put(close);
    }

    fn scalar(&mut self, value: &Value, fold: Option<usize>, key: bool) {
        self.scalar_in(value, fold, key, false);
    }

    /// Writes a scalar; lines of text go on at `fold`.
    fn scalar_in(&mut self, value: &Value, fold: Option<usize>, key: bool, flow: bool) {
        let Some(text) = value.as_str() else {
            let text = match value.kind() {
                ValueKind::None | ValueKind::Undefined => "null".to_owned(),
                ValueKind::Bool => if value.is_true() { "true" } else { "false" }.to_owned(),
                _ => number(value),
            };
            return self.put(&text);
        };
        let fold = if key { None } else { fold };
        match quoting(text, flow, key) {
            Quoting::Plain => self.folded(text, fold, "", str::to_owned),
            Quoting::Single => self.folded(text, fold, "'", |part| part.replace('\'', "''")),
            Quoting::Double => self.double(text, fold),
        }
    }

    /// Writes text in lines that break at single blanks once the width is passed.
    fn folded(
        &mut self,
        text: &str,
        fold: Option<usize>,
        quote: &str,
        spell: impl Fn(&str) -> String,
    ) {
        self.put(quote);
        let mut rest = text;
        while !rest.is_empty() {
            let blank = |c: char| c == ' ';
            if rest.starts_with(' ') {
                let run = rest.find(|c| !blank(c)).unwrap_or(rest.len());
                let breaks = fold.filter(|_| {
                    let inside = quote.is_empty() || (rest.len() < text.len() && run < rest.len());
                    run == 1 && self.column > self.layout.width && inside
                });
                match breaks {
                    Some(indent) => self.line(indent),
                    None => self.put(&rest[..run]),
                }
                rest = &rest[run..];
            } else if rest.starts_with('\n') {
                let run = rest.find(|c| c != '\n').unwrap_or(rest.len());
                // One line feed alone would read as a blank.
                self.out.push_str(&"\n".repeat(run + 1));
                rest = &rest[run..];
                let indent = fold.unwrap_or_default();
                self.out.push_str(&" ".repeat(indent));
                self.column = indent;
            } else {
                let run = rest.find([' ', '\n']).unwrap_or(rest.len());
                let spelled = spell(&rest[..run]);
                self.put(&spelled);
                rest = &rest[run..];
            }
        }
        self.put(quote);
    }

    fn double(&mut self, text: &str, fold: Option<usize>) {
        self.put("\"");
        let count = text.chars().count();
        for (at, c) in text.chars().enumerate() {
            let spelled = match c {
                '"' => "\\\"".to_owned(),
                '\\' => "\\\\".to_owned(),
                '\n' => "\\n".to_owned(),
                '\t' => "\\t".to_owned(),
                '\r' => "\\r".to_owned(),
                '\0' => "\\0".to_owned(),
                '\u{7}' => "\\a".to_owned(),
                '\u{8}' => "\\b".to_owned(),
                '\u{b}' => "\\v".to_owned(),
                '\u{c}' => "\\f".to_owned(),
                '\u{1b}' => "\\e".to_owned(),
                '\u{feff}' => "\\uFEFF".to_owned(),
                c if (c as u32) < 0x20 || (0x7f..0xa0).contains(&(c as u32)) => {
                    format!("\\x{:02X}", c as u32)
                }
                c => c.to_string(),
            };
            let inside = 0 < at && at + 1 < count;
            if let (Some(indent), true, true) =
                (fold, inside, c == ' ' && self.column > self.layout.width)
            {
                self.put("\\");
                self.line(indent);
                if text.chars().nth(at) == Some(' ') {
                    self.put("\\");
                }
            }
            self.put(&spelled);
        }
        self.put("\"");
    }
}

fn number(value: &Value) -> String {
    let text = match f64::try_from(value.clone()) {
        Ok(float) if !value.is_integer() => python_float(float),
        _ => value.to_string(),
    };
    match text.as_str() {
        "inf" => ".inf".to_owned(),
        "-inf" => "-.inf".to_owned(),
        "nan" => ".nan".to_owned(),
        // `1e+20` would be text to YAML 1.1.
        text if !value.is_integer() && text.contains('e') && !text.contains('.') => {
            text.replacen('e', ".0e", 1)
        }
        text => text.to_owned(),
    }
}

enum Quoting {
    Plain,
    Single,
    Double,
}

/// How text has to be written to be read as that text again.
fn quoting(text: &str, flow: bool, key: bool) -> Quoting {
    let special = |c: char| {
        let code = c as u32;
        c != '\n'
            && (code < 0x20 || (0x7f..0xa0).contains(&code) && code != 0x85 || c == '\u{feff}')
    };
    let blank_at_line = text.contains(" \n") || text.contains("\n ");
    let many_lines = text.contains('\n');
    if text.chars().any(special) || blank_at_line || (key && many_lines) {
        return Quoting::Double;
    }
    if text.is_empty() || many_lines || text.starts_with(' ') || text.ends_with(' ') {
        return Quoting::Single;
    }
    let resolved = yaml_scalar::resolve(text, yaml_scalar::Dialect::Yaml11);
    if !matches!(resolved, crate::event::tree::Value::String(_))
        || matches!(text, "=" | "<<")
        || is_date(text)
    {
        return Quoting::Single;
    }
    let first = text.chars().next().unwrap_or(' ');
    let second = text.chars().nth(1);
    let indicator = match first {
        '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
        | '@' | '`' => true,
        '-' | '?' | ':' => second.is_none_or(|c| c == ' ') || (flow && matches!(first, '?' | ':')),
        _ => false,
    };
    let inside = text.contains(": ")
        || text.ends_with(':')
        || text.contains(" #")
        || text.starts_with("---")
        || text.starts_with("...");
    let in_flow = flow && text.contains([',', '?', '[', ']', '{', '}', ':']);
    let in_flow = in_flow || (key && text.chars().count() > 128);
    if indicator || inside || in_flow { Quoting::Single } else { Quoting::Plain }
}

/// Dates and times, which YAML 1.1 reads as such.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let date = bytes.len() >= 8 && (0..4).all(digit) && bytes[4] == b'-' && digit(5);
    let parts: Vec<&str> = text.splitn(3, '-').collect();
    let rest_is_day = parts.get(2).is_some_and(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let tail = &rest[end..];
        (1..=2).contains(&end)
            && (tail.is_empty() || tail.starts_with(['T', 't', ' ', '\t']) && tail.contains(':'))
    });
    date && rest_is_day
}
