//! JSON into a tree. `serde_json` judges the syntax; the reader here walks a text that is known to
//! be right, and notes the places.

use super::read::{DEEPEST, duplicate_key, span, too_deep};
use crate::event::fault::Diagnostic;
use crate::event::tree::{Key, Node, SourceFile, Value};
use serde::de::IgnoredAny;
use std::collections::HashMap;
use std::sync::Arc;

/// Reads a JSON document.
///
/// # Errors
/// The first error of syntax, else all keys that are there twice.
pub(super) fn read(file: &Arc<SourceFile>) -> Result<Node, Vec<Diagnostic>> {
    if file.text.trim().is_empty() {
        let place = Some(span(file, 0, 0));
        return Err(vec![
            Diagnostic::new("an empty file is no JSON", place)
                .hint("write {} for an empty mapping"),
        ]);
    }
    if let Err(error) = serde_json::from_str::<IgnoredAny>(&file.text) {
        return Err(vec![syntax(file, &error)]);
    }
    let mut reader = Reader { file, at: 0, faults: Vec::new() };
    let root = reader.node(0);
    if reader.faults.is_empty() { Ok(root) } else { Err(reader.faults) }
}

fn syntax(file: &Arc<SourceFile>, error: &serde_json::Error) -> Diagnostic {
    let lines = file.text.split_inclusive('\n').take(error.line().saturating_sub(1));
    let line_start: usize = lines.map(str::len).sum();
    let at = (line_start + error.column().saturating_sub(1)).min(file.text.len());
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    let fault = Diagnostic::new(format!("not valid JSON: {message}"), Some(span(file, at, at + 1)));
    if file.text.get(at..).is_some_and(|rest| rest.starts_with(['/', '#'])) {
        fault.hint("JSON has no comments; YAML and TOML have")
    } else if file.text.get(..at).is_some_and(|before| before.trim_end().ends_with(',')) {
        fault.hint("take away the comma before it")
    } else {
        fault
    }
}

struct Reader<'a> {
    file: &'a Arc<SourceFile>,
    at: usize,
    faults: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn peek(&mut self) -> u8 {
        let bytes = self.file.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied().unwrap_or_default()
    }

    /// Goes past a comma and tells whether `close` ends the list or mapping, then past that too.
    fn ends(&mut self, close: u8) -> bool {
        if self.peek() == b',' {
            self.at += 1;
        }
        let ends = self.peek() == close;
        self.at += usize::from(ends);
        ends
    }

    fn node(&mut self, depth: usize) -> Node {
        let first = self.peek();
        let start = self.at;
        let value = match first {
            b'{' | b'[' if depth == DEEPEST => {
                self.faults.push(too_deep(span(self.file, start, start + 1)));
                // Nothing after this is looked at: the file is refused anyway.
                self.at = self.file.text.len();
                Value::Null
            }
            b'{' => self.mapping(depth),
            b'[' => {
                self.at += 1;
                let mut items = Vec::new();
                while self.at < self.file.text.len() && !self.ends(b']') {
                    items.push(self.node(depth + 1));
                }
                Value::List(items)
            }
            b'"' => Value::String(self.string().into()),
            _ => self.word(),
        };
        Node { value, span: Some(span(self.file, start, self.at)) }
    }

    fn mapping(&mut self, depth: usize) -> Value {
        self.at += 1;
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut seen = HashMap::new();
        while self.at < self.file.text.len() && !self.ends(b'}') {
            let start = self.at;
            let name: Arc<str> = self.string().into();
            let place = Some(span(self.file, start, self.at));
            if let Some(first) = seen.insert(name.clone(), place.clone()) {
                self.faults.push(duplicate_key(&name, place.clone(), first));
            }
            self.peek(); // the colon
            self.at += 1;
            let node = self.node(depth + 1);
            entries.push((Key { name, span: place }, node));
        }
        Value::Map(entries)
    }

    fn string(&mut self) -> String {
        let bytes = self.file.text.as_bytes();
        let start = self.at;
        self.at += 1;
        while self.at < bytes.len() && bytes[self.at] != b'"' {
            self.at += 1 + usize::from(bytes[self.at] == b'\\');
        }
        self.at = (self.at + 1).min(bytes.len());
        serde_json::from_str(self.file.text.get(start..self.at).unwrap_or_default())
            .unwrap_or_default()
    }

    fn word(&mut self) -> Value {
        let rest = self.file.text.get(self.at..).unwrap_or_default();
        let length = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)))
            .unwrap_or(rest.len());
        let word = &rest[..length];
        self.at += length;
        let text: Arc<str> = word.into();
        match (word, word.parse::<i64>(), word.parse::<f64>()) {
            ("null", ..) => Value::Null,
            ("true" | "false", ..) => Value::Bool { value: word == "true", text },
            (_, Ok(value), _) => Value::Int { value, text },
            (_, _, Ok(value)) => Value::Float { value, text },
            _ => Value::String(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn tree(text: &str) -> Result<Node, Vec<Diagnostic>> {
        read(&Arc::new(SourceFile::new(Path::new("a.json").into(), text.to_owned())))
    }

    #[test]
    fn every_value_has_its_place_and_escapes_are_resolved() {
        let text = "{\"a\" : [1e3, \"\\ud83d\\ude00\\/\\\"\" , {}, []],\n \"b\":{\"c\":null}}";
        let tree = tree(text).unwrap();
        let items = tree.get("a").unwrap().as_list().unwrap();
        assert_eq!(items[0].value, Value::Float { value: 1000.0, text: "1e3".into() });
        assert_eq!(items[1].as_str(), Some("😀/\""));
        assert_eq!(items.len(), 4);
        let c = tree.get("b").unwrap().get("c").unwrap();
        assert_eq!(c.span.as_ref().unwrap().to_string(), "a.json:2:11");
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place() {
        let complaints = |text: &str| {
            let faults = tree(text).unwrap_err();
            faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(complaints("{\"a\": 1,}"), @"a.json:1:9: not valid JSON: key must be a string");
        insta::assert_snapshot!(complaints("{\n  // no\n}"), @"a.json:2:3: not valid JSON: key must be a string");
        insta::assert_snapshot!(complaints("{\"a\": 1, \"b\": {\"x\": 1, \"x\": 2}, \"a\": 2}"), @r"
    a.json:1:24: the key `x` is here twice
    a.json:1:33: the key `a` is here twice
    ");
        insta::assert_snapshot!(complaints(&"[".repeat(100_000)), @"a.json:1:100000: not valid JSON: EOF while parsing a list");
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        insta::assert_snapshot!(complaints(&deep), @"a.json:1:65: more than 64 lists and mappings inside each other");
    }
}
