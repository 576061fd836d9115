//! TOML into a tree, keeping the order of the file and each value's source text.

use super::read::{empty_mapping, span};
use crate::event::fault::Diagnostic;
use crate::event::tree::{Key, Node, SourceFile, Value};
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Reads a TOML document. Times are text, as they were written.
///
/// # Errors
/// The first error of syntax, or all numbers that do not fit 64 bits.
pub(super) fn read(file: &Arc<SourceFile>) -> Result<Node, Vec<Diagnostic>> {
    let (table, errors) = DeTable::parse_recoverable(&file.text);
    let mut reader = Reader { file, faults: Vec::new() };
    // What follows the first one mostly comes of it.
    let first = errors.iter().min_by_key(|error| error.span().map(|place| place.start));
    if let Some(error) = first {
        let place = error.span().map(|place| span(file, place.start, place.end));
        let message = format!("not valid TOML: {}", error.message());
        reader.faults.push(Diagnostic::new(message, place));
    }
    if !reader.faults.is_empty() {
        return Err(reader.faults);
    }
    let mut root = empty_mapping(file);
    root.value = reader.table(table.get_ref());
    if reader.faults.is_empty() { Ok(root) } else { Err(reader.faults) }
}

struct Reader<'a> {
    file: &'a Arc<SourceFile>,
    faults: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn table(&mut self, table: &DeTable<'_>) -> Value {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let entries = entries.into_iter().map(|(key, value)| {
            let place = Some(span(self.file, key.span().start, key.span().end));
            (Key { name: key.get_ref().as_ref().into(), span: place }, self.node(value))
        });
        Value::Map(entries.collect())
    }

    /// No deeper than the parser's own limit.
    fn node(&mut self, value: &Spanned<DeValue<'_>>) -> Node {
        let place = value.span();
        let value = match value.get_ref() {
            DeValue::String(text) => Value::String(text.as_ref().into()),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(value) => Value::Int { value, text: self.source(&place) },
                    Err(_) => self.outsized(&place),
                }
            }
            DeValue::Float(number) => match number.as_str().parse() {
                Ok(value) => Value::Float { value, text: self.source(&place) },
                Err(_) => self.outsized(&place),
            },
            DeValue::Boolean(value) => Value::Bool { value: *value, text: self.source(&place) },
            DeValue::Datetime(_) => Value::String(self.source(&place)),
            DeValue::Array(items) => {
                Value::List(items.iter().map(|item| self.node(item)).collect())
            }
            DeValue::Table(table) => self.table(table),
        };
        Node { value, span: Some(span(self.file, place.start, place.end)) }
    }

    fn source(&self, place: &Range<usize>) -> Arc<str> {
        self.file.text.get(place.clone()).unwrap_or_default().into()
    }

    fn outsized(&mut self, place: &Range<usize>) -> Value {
        let text = self.source(place);
        let message = format!("the number `{text}` does not fit 64 bits");
        self.faults.push(Diagnostic::new(message, Some(span(self.file, place.start, place.end))));
        Value::Null
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn tree(text: &str) -> Result<Node, Vec<Diagnostic>> {
        read(&Arc::new(SourceFile::new(Path::new("a.toml").into(), text.to_owned())))
    }

    #[test]
    fn the_order_of_the_file_and_the_source_text_are_kept() {
        let tree = tree("z = 0o644\na = 2026-01-01\n[m.n]\nx = 1_000\n[[l]]\ny = 1.50\n").unwrap();
        let keys: Vec<_> = tree.as_map().unwrap().iter().map(|(key, _)| &*key.name).collect();
        assert_eq!(keys, ["z", "a", "m", "l"]);
        assert_eq!(tree.get("z").unwrap().value, Value::Int { value: 420, text: "0o644".into() });
        assert_eq!(tree.get("a").unwrap().as_str(), Some("2026-01-01"));
        let x = tree.get("m").unwrap().get("n").unwrap().get("x").unwrap();
        assert_eq!(x.value, Value::Int { value: 1000, text: "1_000".into() });
        assert_eq!(x.span.as_ref().unwrap().to_string(), "a.toml:4:5");
        let y = tree.get("l").unwrap().as_list().unwrap()[0].get("y").unwrap();
        assert_eq!(y.scalar_text(), Some("1.50"));
    }

    #[test]
    fn errors_have_their_places() {
        let complaints = |text: &str| {
            let faults = tree(text).unwrap_err();
            faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(complaints("a = 1\na = 2\n"), @"a.toml:2:1: not valid TOML: duplicate key");
        insta::assert_snapshot!(complaints("a = \nb = [1\n"), @"a.toml:1:5: not valid TOML: string values must be quoted, expected literal string");
        insta::assert_snapshot!(complaints("a = 99999999999999999999\n"), @"a.toml:1:5: the number `99999999999999999999` does not fit 64 bits");
        assert!(tree(&format!("a = {}", "[".repeat(100_000))).is_err());
    }
}
