//! Keys of JSON files. The way the file is laid out stays: indentation, order, spaces.

use super::{Format, indent_of, newline, wrapped};
use serde_json::Value as Json;
use std::ops::Range;

pub(in super::super) static FORMAT: Format =
    Format { name: "JSON", empty: "{}\n", read, set, remove };

fn read(text: &str) -> Result<Json, String> {
    serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))
}

/// A member of an object, or an item of a list.
#[derive(Debug)]
struct Member {
    /// Its name; items have none.
    name: Option<String>,
    /// From its name on, or from the value where it has no name.
    start: usize,
    value: Range<usize>,
}

/// An object or a list.
#[derive(Debug)]
struct Container {
    members: Vec<Member>,
    /// Its brackets included.
    whole: Range<usize>,
    is_list: bool,
}

/// Reads valid JSON from byte `at` on.
struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

impl Cursor<'_> {
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        self.text.as_bytes().get(self.at).copied()
    }

    /// Steps over a string.
    fn string(&mut self) -> Range<usize> {
        let start = self.at;
        self.at += 1;
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => break,
                b'\\' => self.at += 1,
                _ => {}
            }
        }
        start..self.at
    }

    /// Steps over a value.
    fn value(&mut self) -> Range<usize> {
        let first = self.peek();
        let start = self.at;
        match first {
            Some(b'"') => return self.string(),
            Some(b'{' | b'[') => {
                let mut depth = 0_usize;
                while let Some(byte) = self.peek() {
                    match byte {
                        b'"' => {
                            self.string();
                            continue;
                        }
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => depth -= 1,
                        _ => {}
                    }
                    self.at += 1;
                    if depth == 0 {
                        break;
                    }
                }
            }
            _ => {
                let rest = &self.text[start..];
                let end = rest.find([',', '}', ']', ' ', '\t', '\r', '\n']);
                self.at = start + end.unwrap_or(rest.len());
            }
        }
        start..self.at
    }

    /// The object or list that begins here, if one does.
    fn container(&mut self) -> Option<Container> {
        let is_list = match self.peek()? {
            b'{' => false,
            b'[' => true,
            _ => return None,
        };
        let start = self.at;
        self.at += 1;
        let mut members = Vec::new();
        loop {
            match self.peek()? {
                b'}' | b']' => {
                    self.at += 1;
                    return Some(Container { members, whole: start..self.at, is_list });
                }
                b',' => self.at += 1,
                _ => {
                    let start = self.at;
                    let name = if is_list {
                        None
                    } else {
                        let name = self.string();
                        self.peek()?;
                        self.at += 1; // the colon
                        Some(serde_json::from_str(&self.text[name]).ok()?)
                    };
                    let value = self.value();
                    members.push(Member { name, start, value });
                }
            }
        }
    }
}

fn container(text: &str, at: usize) -> Option<Container> {
    Cursor { text, at }.container()
}

impl Container {
    /// The place of the member that a step names.
    fn find(&self, step: &str) -> Result<Option<usize>, String> {
        if self.is_list {
            return Ok(step.parse().ok().filter(|index| *index < self.members.len()));
        }
        let mut found =
            (0..self.members.len()).filter(|at| self.members[*at].name.as_deref() == Some(step));
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(format!("it has `{step}` twice")),
            (first, None) => Ok(first),
        }
    }
}

/// How a file is laid out.
struct Style {
    /// What deeper lines begin with, on top; none where all is on one line.
    unit: Option<String>,
    newline: &'static str,
    colon: String,
    comma: &'static str,
}

impl Style {
    fn of(text: &str) -> Self {
        let root = container(text, 0);
        let first = root.as_ref().and_then(|root| root.members.first());
        let inner = |member: &Member| {
            let name = Cursor { text, at: member.start }.string();
            text[name.end..member.value.start].to_owned()
        };
        let named = first.filter(|member| member.name.is_some());
        let colon = named.map_or_else(|| ": ".to_owned(), inner);
        let unit = match (&root, first) {
            (Some(root), Some(first)) if text[root.whole.start..first.start].contains('\n') => {
                Some(indent_of(text, first.start).to_owned())
            }
            (_, Some(_)) => None,
            _ => Some("  ".into()),
        };
        let unit = unit.map(|unit| if unit.is_empty() { "  ".into() } else { unit });
        let comma = if colon.ends_with(' ') { ", " } else { "," };
        Self { unit, newline: newline(text), colon, comma }
    }

    /// A value whose lines begin with `indent`; all on one line where `indent` is none.
    fn render(&self, value: &Json, indent: Option<&str>) -> String {
        let (open, close, parts): (_, _, Vec<String>) = match value {
            Json::Object(map) if !map.is_empty() => {
                let inner = self.deeper(indent);
                let part = |(name, value): (&String, &Json)| {
                    let name = Json::String(name.clone());
                    format!("{name}{}{}", self.colon, self.render(value, inner.as_deref()))
                };
                ('{', '}', map.iter().map(part).collect())
            }
            Json::Array(items) if !items.is_empty() => {
                let inner = self.deeper(indent);
                ('[', ']', items.iter().map(|item| self.render(item, inner.as_deref())).collect())
            }
            plain => return plain.to_string(),
        };
        match (indent, self.deeper(indent)) {
            (Some(indent), Some(inner)) => {
                let newline = self.newline;
                let lines = parts.join(&format!(",{newline}{inner}"));
                format!("{open}{newline}{inner}{lines}{newline}{indent}{close}")
            }
            _ => format!("{open}{}{close}", parts.join(self.comma)),
        }
    }

    fn deeper(&self, indent: Option<&str>) -> Option<String> {
        Some(format!("{}{}", indent?, self.unit.as_ref()?))
    }
}

fn set(text: &str, steps: &[String], value: &Json) -> Result<String, String> {
    let style = Style::of(text);
    let mut at = 0;
    for (depth, step) in steps.iter().enumerate() {
        let rest = &steps[depth + 1..];
        let Some(container) = container(text, at) else {
            // Null on the way becomes a mapping.
            let place = Cursor { text, at }.value();
            return Ok(replaced(text, place, &style, &wrapped(&steps[depth..], value)));
        };
        match container.find(step)? {
            None => return Ok(inserted(text, &container, &style, step, &wrapped(rest, value))),
            Some(found) if rest.is_empty() => {
                let place = container.members[found].value.clone();
                return Ok(replaced(text, place, &style, value));
            }
            Some(found) => at = container.members[found].value.start,
        }
    }
    Err("`key` is empty".into())
}

fn replaced(text: &str, place: Range<usize>, style: &Style, value: &Json) -> String {
    let indent = style.unit.as_ref().map(|_| indent_of(text, place.start));
    let new = style.render(value, indent);
    format!("{}{new}{}", &text[..place.start], &text[place.end..])
}

fn inserted(text: &str, container: &Container, style: &Style, step: &str, value: &Json) -> String {
    let name = if container.is_list {
        String::new()
    } else {
        format!("{}{}", Json::String(step.to_owned()), style.colon)
    };
    let Some(last) = container.members.last() else {
        let outer = indent_of(text, container.whole.start);
        let inner = style.deeper(Some(outer));
        let value = style.render(value, inner.as_deref());
        let (start, end) = (container.whole.start + 1, container.whole.end - 1);
        let new = match inner {
            Some(inner) => format!("{0}{inner}{name}{value}{0}{outer}", style.newline),
            None => format!("{name}{value}"),
        };
        return format!("{}{new}{}", &text[..start], &text[end..]);
    };
    let before = container.members.iter().rev().nth(1);
    let lead_start = before.map_or(container.whole.start + 1, |member| member.value.end);
    let lead = text[lead_start..last.start].trim_start_matches([' ', '\t', '\r', ',']);
    let lead = if lead.starts_with('\n') {
        format!("{}{}", style.newline, indent_of(text, last.start))
    } else {
        String::new()
    };
    let own_line = !lead.is_empty();
    let value = style.render(value, own_line.then(|| indent_of(text, last.start)));
    let comma = if own_line { "," } else { style.comma };
    let end = last.value.end;
    format!("{}{comma}{lead}{name}{value}{}", &text[..end], &text[end..])
}

fn remove(text: &str, steps: &[String]) -> Result<String, String> {
    let mut at = 0;
    for (depth, step) in steps.iter().enumerate() {
        let Some(container) = container(text, at) else { break };
        let Some(found) = container.find(step)? else { break };
        let members = &container.members;
        if depth + 1 < steps.len() {
            at = members[found].value.start;
            continue;
        }
        let gone = match (found.checked_sub(1), members.get(found + 1)) {
            (Some(before), _) => members[before].value.end..members[found].value.end,
            (None, Some(next)) => members[found].start..next.start,
            (None, None) => container.whole.start + 1..container.whole.end - 1,
        };
        return Ok(format!("{}{}", &text[..gone.start], &text[gone.end..]));
    }
    Ok(text.to_owned())
}
