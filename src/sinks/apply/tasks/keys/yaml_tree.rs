//! A YAML file as a tree whose nodes know where they are written.

use crate::event::tree::Value;
use crate::event::yaml_scalar::{Dialect, resolve};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value as Json};
use std::ops::Range;

/// How deep lists and mappings may stand in each other.
const DEEPEST: usize = 64;

/// A value, and where it is.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) body: Body,
    /// Bytes from its first to its last sign. Empty for a value that is not written at all.
    pub(super) span: Range<usize>,
    /// It has an anchor or a tag, or is an alias: others depend on it, or it on them.
    pub(super) marked: bool,
    pub(super) slot: Slot,
}

#[derive(Debug)]
pub(super) enum Body {
    Scalar(String, ScalarStyle),
    /// The number of the anchor that it leads to.
    Alias(usize),
    List(Vec<Node>),
    /// Keys, each with its value.
    Map(Vec<(Node, Node)>),
}

/// What a node is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Root,
    Key,
    /// The value behind a key.
    Entry {
        /// The byte behind the colon.
        colon_end: usize,
        /// In which column the key begins.
        column: usize,
    },
    /// An item behind a dash.
    Item,
    /// Something in brackets.
    Flow,
}

impl Node {
    /// Whether it is a list or mapping in brackets.
    pub(super) fn is_flow(&self, text: &str) -> bool {
        matches!(self.body, Body::List(_) | Body::Map(_))
            && text[self.span.start..].starts_with(['[', '{'])
    }

    pub(super) fn is_null(&self) -> bool {
        match &self.body {
            Body::Scalar(text, ScalarStyle::Plain) => {
                matches!(resolve(text, Dialect::Yaml12), Value::Null)
            }
            _ => false,
        }
    }

    /// The plain data. What JSON has no words for is text that no file can hold.
    pub(super) fn json(&self) -> Result<Json, String> {
        Ok(match &self.body {
            Body::Alias(anchor) => format!("\0alias {anchor}").into(),
            Body::List(items) => items.iter().map(Self::json).collect::<Result<_, _>>()?,
            Body::Map(entries) => {
                let mut map = Map::new();
                for (key, value) in entries {
                    let Body::Scalar(name, _) = &key.body else {
                        return Err("it has a key that is neither text nor number".into());
                    };
                    if map.insert(name.clone(), value.json()?).is_some() {
                        return Err(format!("it has the key `{name}` twice in one mapping"));
                    }
                }
                Json::Object(map)
            }
            Body::Scalar(text, ScalarStyle::Plain) if !self.marked => {
                match resolve(text, Dialect::Yaml12) {
                    Value::Null => Json::Null,
                    Value::Bool { value, .. } => value.into(),
                    Value::Int { value, .. } => value.into(),
                    Value::Float { value, .. } => Number::from_f64(value)
                        .map_or_else(|| format!("\0{value}").into(), Json::Number),
                    _ => text.as_str().into(),
                }
            }
            Body::Scalar(text, _) => text.as_str().into(),
        })
    }
}

/// Reads the one document of a file; none where nothing is in it.
pub(super) fn read(text: &str) -> Result<Option<Node>, String> {
    let bytes = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let mut reader = Reader { text, bytes, open: Vec::new(), root: None, documents: 0 };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let (line, column) = (error.marker().line(), error.marker().col() + 1);
            format!("it is no YAML, line {line}, column {column}: {}", error.info())
        })?;
        reader.take(event, span)?;
    }
    Ok(reader.root)
}

struct Reader<'t> {
    text: &'t str,
    /// Where each character begins.
    bytes: Vec<usize>,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
}

struct Open {
    is_map: bool,
    is_flow: bool,
    marked: bool,
    start: usize,
    slot: Slot,
    nodes: Vec<Node>,
}

impl Reader<'_> {
    fn byte(&self, at: usize) -> usize {
        self.bytes.get(at).copied().unwrap_or(self.text.len())
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), String> {
        let (start, end) = (self.byte(span.start.index()), self.byte(span.end.index()));
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err("it holds several documents".into());
                }
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(false, anchor > 0 || tag.is_some(), start)?;
            }
            Event::MappingStart(anchor, tag) => {
                self.begin(true, anchor > 0 || tag.is_some(), start)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(end)?,
            Event::Alias(anchor) => {
                let slot = self.slot()?;
                self.add(Node { body: Body::Alias(anchor), span: start..end, marked: true, slot });
            }
            Event::Scalar(value, style, anchor, tag) => {
                let slot = self.slot()?;
                let span = match style {
                    ScalarStyle::Literal | ScalarStyle::Folded => {
                        let start = self.block_start(start);
                        let outer = match slot {
                            Slot::Entry { column, .. } => column,
                            _ => column(self.text, self.text[..start].rfind('-').unwrap_or(start)),
                        };
                        start..self.block_end(start, outer)
                    }
                    _ if value.is_empty() && style == ScalarStyle::Plain => {
                        let at = match slot {
                            Slot::Entry { colon_end, .. } => colon_end,
                            _ => start,
                        };
                        at..at
                    }
                    _ => start..end,
                };
                let marked = anchor > 0 || tag.is_some();
                self.add(Node {
                    body: Body::Scalar(value.into_owned(), style),
                    span,
                    marked,
                    slot,
                });
            }
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, is_map: bool, marked: bool, start: usize) -> Result<(), String> {
        if self.open.len() >= DEEPEST {
            return Err(format!("lists and mappings stand in each other {DEEPEST} deep"));
        }
        let same = |open: &&mut Open| open.is_flow && open.start == start && open.nodes.is_empty();
        if let Some(list) = self.open.last_mut().filter(same) {
            // What stands no deeper than its key begins, to the parser, with its first item.
            list.is_flow = false;
        }
        let slot = self.slot()?;
        let is_flow = self.text[start..].starts_with(if is_map { '{' } else { '[' });
        self.open.push(Open { is_map, is_flow, marked, start, slot, nodes: Vec::new() });
        Ok(())
    }

    /// Where the next node goes.
    fn slot(&self) -> Result<Slot, String> {
        let Some(open) = self.open.last() else { return Ok(Slot::Root) };
        let is_key = open.is_map && open.nodes.len().is_multiple_of(2);
        if is_key {
            return Ok(Slot::Key);
        }
        if open.is_flow {
            return Ok(Slot::Flow);
        }
        let Some(key) = open.nodes.last().filter(|_| open.is_map) else { return Ok(Slot::Item) };
        let rest = &self.text[key.span.end..];
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        if !rest[blanks..].starts_with(':') {
            return Err("it has a key that is written with `?`".into());
        }
        let colon_end = key.span.end + blanks + 1;
        Ok(Slot::Entry { colon_end, column: column(self.text, key.span.start) })
    }

    fn end(&mut self, end: usize) -> Result<(), String> {
        let Some(mut open) = self.open.pop() else { return Ok(()) };
        match open.nodes.first().map(|first| first.span.start) {
            Some(first) if first < open.start => {
                return Err("it is written in a way that is not edited".into());
            }
            Some(first) if first == open.start && !open.is_map => {
                open.start = self.text[..first].rfind('-').unwrap_or(first);
            }
            _ => {}
        }
        let last = open.nodes.last().map(|node| node.span.end);
        let end = if open.is_flow {
            // The parser counts what follows on the line, a comment for one.
            let close = if open.is_map { '}' } else { ']' };
            let found = self.text[open.start..end.max(open.start)].rfind(close);
            found.map_or(end, |at| open.start + at + 1)
        } else {
            last.unwrap_or(end)
        };
        let body = if open.is_map {
            let mut nodes = open.nodes.into_iter();
            let mut entries = Vec::new();
            while let (Some(key), Some(value)) = (nodes.next(), nodes.next()) {
                entries.push((key, value));
            }
            Body::Map(entries)
        } else {
            Body::List(open.nodes)
        };
        let span = open.start..end.max(open.start);
        self.add(Node { body, span, marked: open.marked, slot: open.slot });
        Ok(())
    }

    fn add(&mut self, node: Node) {
        match self.open.last_mut() {
            Some(open) => open.nodes.push(node),
            None => self.root = Some(node),
        }
    }

    /// Where the `|` or `>` of a block scalar is, whose place is told as `at` or before.
    fn block_start(&self, at: usize) -> usize {
        if self.text[at..].starts_with(['|', '>']) {
            return at;
        }
        self.text[..at].rfind(['|', '>']).unwrap_or(at)
    }

    /// Where the last line of a block scalar ends, whose `|` or `>` is at `start`; its lines stand
    /// deeper than the column `outer`.
    fn block_end(&self, start: usize, outer: usize) -> usize {
        let header = super::line_end(self.text, start);
        let mut end = start + self.text[start..header].trim_end().len();
        let mut at = header;
        while at < self.text.len() {
            let next = super::line_end(self.text, at);
            let line = &self.text[at..next];
            if !line.trim().is_empty() {
                if super::indent_of(self.text, at).len() <= outer {
                    break;
                }
                end = at + line.trim_end_matches(['\r', '\n']).len();
            }
            at = next;
        }
        end
    }
}

/// In which column of its line a byte is, counted from 0.
pub(super) fn column(text: &str, at: usize) -> usize {
    text[super::line_start(text, at)..at].chars().count()
}
