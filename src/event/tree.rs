//! A config value that knows where it was written.
//!
//! Files in YAML, TOML and JSON are read into this one tree, so that every later complaint (an
//! unknown key, a wrong type, a task's bad parameter at run time) can name file, line and column.
//! Task sets carry it too: a task's arguments stay a tree until the task runs.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// One file's text, kept for the snippets in error messages.
pub struct SourceFile {
    /// The path as the user would write it.
    pub path: Arc<Path>,
    /// The whole text; columns in [`Span`] are bytes into it.
    pub text: String,
    /// Where each line but the first begins, once somebody has asked: every task tells its place.
    lines: OnceLock<Vec<usize>>,
}

impl SourceFile {
    /// The file at `path` with this text.
    pub fn new(path: Arc<Path>, text: String) -> Self {
        Self { path, text, lines: OnceLock::new() }
    }

    /// The number of the line that holds the byte `at`, from 0, and where that line begins.
    fn line(&self, at: usize) -> (usize, usize) {
        let begins =
            |text: &str| memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1).collect();
        let lines: &Vec<usize> = self.lines.get_or_init(|| begins(&self.text));
        let number = lines.partition_point(|start| *start <= at);
        (number, number.checked_sub(1).and_then(|before| lines.get(before)).copied().unwrap_or(0))
    }
}

impl PartialEq for SourceFile {
    fn eq(&self, other: &Self) -> bool {
        (&self.path, &self.text) == (&other.path, &other.text)
    }
}

impl Eq for SourceFile {}

impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())
    }
}

/// A range of bytes in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The file; shared by all spans into it.
    pub file: Arc<SourceFile>,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// Line and column of the first byte, both counted from 1; the column counts characters.
    pub fn line_column(&self) -> (usize, usize) {
        let start = self.start.min(self.file.text.len());
        let (line, line_start) = self.file.line(start);
        let before = &self.file.text.as_bytes()[line_start..start];
        let column = String::from_utf8_lossy(before).chars().count() + 1;
        (line + 1, column)
    }

    /// The text of the line that holds the first byte, without its line end.
    pub fn line_text(&self) -> &str {
        let text = &self.file.text;
        let start = self.start.min(text.len());
        let from = memchr::memrchr(b'\n', &text.as_bytes()[..start]).map_or(0, |at| at + 1);
        let to = memchr::memchr(b'\n', &text.as_bytes()[start..]).map_or(text.len(), |n| start + n);
        text.get(from..to).unwrap_or_default().trim_end_matches('\r')
    }
}

/// `path:line:column`, the form that editors jump to.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_column();
        write!(f, "{}:{line}:{column}", self.file.path.display())
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// What was written.
    pub value: Value,
    /// Where. `None` for values made by the program (defaults, lowering, `--extra-vars`).
    pub span: Option<Span>,
}

/// What a node holds. A scalar keeps its source text, since YAML's reading of it may not be the
/// user's (`0644`, `no`, `1.10`).
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// A truth value.
    Bool {
        /// The value.
        value: bool,
        /// As written: `yes`, `True`, `on`.
        text: Arc<str>,
    },
    /// A whole number.
    Int {
        /// The value; YAML 1.1's `0644` is 420.
        value: i64,
        /// As written.
        text: Arc<str>,
    },
    /// A number with a fraction or exponent.
    Float {
        /// The value.
        value: f64,
        /// As written.
        text: Arc<str>,
    },
    /// Text.
    String(Arc<str>),
    /// Text tagged `!unsafe`: never rendered as a template.
    Unsafe(Arc<str>),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order written. Keys are unique.
    Map(Vec<(Key, Node)>),
}

/// A mapping's key and its place.
#[derive(Clone, Debug)]
pub struct Key {
    /// The key; YAML's non-string keys appear as their source text.
    pub name: Arc<str>,
    /// Where it stands.
    pub span: Option<Span>,
}

/// Places do not count: a config that only moved down a line is the same config.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// Nothing, without a place.
impl Default for Node {
    fn default() -> Self {
        Self::new(Value::Null)
    }
}

impl From<&str> for Key {
    fn from(name: &str) -> Self {
        Self { name: name.into(), span: None }
    }
}

impl Node {
    /// A value without a place.
    pub fn new(value: Value) -> Self {
        Self { value, span: None }
    }

    /// A string without a place.
    pub fn string(text: &str) -> Self {
        Self::new(Value::String(text.into()))
    }

    /// The value under `name`, where this is a mapping that has it.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.as_map()?.iter().find(|(key, _)| &*key.name == name).map(|(_, node)| node)
    }

    /// Takes the entry `name` out of a mapping.
    pub fn take(&mut self, name: &str) -> Option<(Key, Node)> {
        let Value::Map(entries) = &mut self.value else { return None };
        let at = entries.iter().position(|(key, _)| &*key.name == name)?;
        Some(entries.remove(at))
    }

    /// The entries, where this is a mapping.
    pub fn as_map(&self) -> Option<&[(Key, Node)]> {
        if let Value::Map(entries) = &self.value { Some(entries) } else { None }
    }

    /// The items, where this is a list.
    pub fn as_list(&self) -> Option<&[Node]> {
        if let Value::List(items) = &self.value { Some(items) } else { None }
    }

    /// The text of a string (not of other scalars).
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) | Value::Unsafe(text) => Some(text),
            _ => None,
        }
    }

    /// Any scalar as it was written; `None` for null, lists and mappings.
    pub fn scalar_text(&self) -> Option<&str> {
        match &self.value {
            Value::Bool { text, .. }
            | Value::Int { text, .. }
            | Value::Float { text, .. }
            | Value::String(text)
            | Value::Unsafe(text) => Some(text),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// What a user would call this kind of value: `a list`, `a number`, `text`.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool { .. } => "a truth value",
            Value::Int { .. } | Value::Float { .. } => "a number",
            Value::String(_) | Value::Unsafe(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_counted_in_lines_and_characters() {
        let text = "one: 1\nzwölf: x\r\n".to_owned();
        let file = Arc::new(SourceFile::new(Path::new("a.yml").into(), text));
        let span = Span { file, start: 15, end: 16 };
        assert_eq!(span.to_string(), "a.yml:2:8");
        assert_eq!(span.line_text(), "zwölf: x");
    }
}
