//! YAML into a tree: anchors and merge keys resolved, everything that is unsure refused.

mod brackets;

use super::read::{DEEPEST, Dialect, duplicate_key, empty_mapping, span, too_deep};
use super::yaml_fault;
use crate::event::fault::Diagnostic;
use crate::event::tree::{Key, Node, SourceFile, Span, Value};
use crate::event::yaml_scalar::resolve;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// How many nodes aliases and merge keys may copy: a few lines of nested aliases stand for
/// billions.
const MOST_COPIES: usize = 250_000;
const CORE_TAGS: &str = "tag:yaml.org,2002:";

/// Reads the one document of a YAML file.
///
/// # Errors
/// The first error of syntax; before that all duplicate keys, tags and wrong merges.
pub(super) fn read(file: &Arc<SourceFile>, dialect: Dialect) -> Result<Node, Vec<Diagnostic>> {
    let offsets = Offsets::new(&file.text);
    let build = |text: &str| build(file, text, dialect, &offsets);
    let built = match dialect {
        Dialect::Yaml11 => brackets::mended(&file.text, build, |at| offsets.byte(at)),
        Dialect::Yaml12 => build(&file.text),
    };
    let (root, faults) = match built {
        Ok(built) => built,
        Err(broken) => {
            let at = offsets.byte(broken.error.marker().index());
            let mut faults = broken.faults;
            faults.push(yaml_fault::syntax(file, at, broken.error.info()));
            return Err(faults);
        }
    };
    if !faults.is_empty() {
        return Err(faults);
    }
    match root {
        Some(Node { value: Value::Null, .. }) | None => Ok(empty_mapping(file)),
        Some(root) => Ok(root),
    }
}

/// An error of syntax, and what was found to be wrong before it.
struct Broken {
    error: ScanError,
    faults: Vec<Diagnostic>,
}

/// The document in `text`, which is that of `file` but for line ends, and what is wrong in it.
fn build(
    file: &Arc<SourceFile>,
    text: &str,
    dialect: Dialect,
    offsets: &Offsets,
) -> Result<(Option<Node>, Vec<Diagnostic>), Broken> {
    let mut builder = Builder {
        file,
        dialect,
        offsets,
        open: Vec::new(),
        anchors: HashMap::new(),
        copies: 0,
        root: None,
        faults: Vec::new(),
    };
    for event in Parser::new_from_str(text) {
        let (event, place) = match event {
            Ok(event) => event,
            Err(error) => return Err(Broken { error, faults: builder.faults }),
        };
        let place = builder.place(place.start.index(), place.end.index());
        if let Err(fault) = builder.event(event, place) {
            builder.faults.push(*fault);
            return Ok((None, builder.faults));
        }
    }
    Ok((builder.root, builder.faults))
}

/// From the parser's character counts to bytes.
struct Offsets(Option<Vec<usize>>);

impl Offsets {
    fn new(text: &str) -> Self {
        let table = || text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        Self((!text.is_ascii()).then(table))
    }

    fn byte(&self, character: usize) -> usize {
        match &self.0 {
            None => character,
            Some(table) => table.get(character).or(table.last()).copied().unwrap_or_default(),
        }
    }
}

/// A list or mapping whose end has not come yet.
struct Open {
    content: Content,
    span: Span,
    anchor: usize,
    is_unsafe: bool,
}

enum Content {
    List(Vec<Node>),
    Map {
        entries: Vec<(Key, Node)>,
        seen: HashMap<Arc<str>, Option<Span>>,
        next: Next,
        merged: Vec<Node>,
    },
}

/// What the next node of a mapping is.
enum Next {
    Key,
    Value(Key),
    Merge,
}

/// An anchored value, and what a copy of it costs.
struct Anchored {
    node: Node,
    nodes: usize,
    depth: usize,
}

struct Builder<'a> {
    file: &'a Arc<SourceFile>,
    dialect: Dialect,
    offsets: &'a Offsets,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    copies: usize,
    root: Option<Node>,
    faults: Vec<Diagnostic>,
}

type Step = Result<(), Box<Diagnostic>>;

impl Builder<'_> {
    fn place(&self, start: usize, end: usize) -> Span {
        let (start, end) = (self.offsets.byte(start), self.offsets.byte(end));
        span(self.file, start, end)
    }

    fn event(&mut self, event: Event<'_>, place: Span) -> Step {
        match event {
            Event::DocumentStart(_) if self.root.is_some() => Err(Box::new(
                Diagnostic::new(
                    "a second document begins here; a config file has one",
                    Some(place),
                )
                .hint("put it in a file of its own: a folder of files counts as one"),
            )),
            Event::Scalar(text, style, anchor, tag) => {
                let is_key = matches!(self.next(), Some(Next::Key));
                if is_key {
                    return self.key(&text, style, place);
                }
                let value = self.scalar(&text, style, tag.as_deref(), &place);
                self.node(Node { value, span: Some(place) }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(Content::List(Vec::new()), "seq", anchor, tag, place)
            }
            Event::MappingStart(anchor, tag) => {
                let (entries, seen, merged) = (Vec::new(), HashMap::new(), Vec::new());
                let content = Content::Map { entries, seen, next: Next::Key, merged };
                self.begin(content, "map", anchor, tag, place)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(&place),
            Event::Alias(id) => self.alias(id, place),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn next(&self) -> Option<&Next> {
        match &self.open.last()?.content {
            Content::Map { next, .. } => Some(next),
            Content::List(_) => None,
        }
    }

    fn begin(
        &mut self,
        content: Content,
        core: &str,
        anchor: usize,
        tag: Option<Cow<'_, Tag>>,
        span: Span,
    ) -> Step {
        if matches!(self.next(), Some(Next::Key)) {
            return Err(Box::new(yaml_fault::structured_key(span)));
        }
        if self.open.len() == DEEPEST {
            return Err(Box::new(too_deep(span)));
        }
        let is_unsafe = tag.as_ref().is_some_and(|tag| is_unsafe(tag));
        if let Some(tag) = tag.filter(|tag| !is_unsafe && !is_core(tag, core)) {
            self.faults.push(yaml_fault::tag(&tag, span.clone()));
        }
        self.open.push(Open { content, span, anchor, is_unsafe });
        Ok(())
    }

    fn end(&mut self, place: &Span) -> Step {
        let Some(mut open) = self.open.pop() else { return Ok(()) };
        let text = self.file.text.get(open.span.start..place.end).unwrap_or_default();
        open.span.end = open.span.start + text.trim_end().len();
        let value = match open.content {
            Content::List(items) => Value::List(items),
            Content::Map { entries, merged, .. } if merged.is_empty() => Value::Map(entries),
            Content::Map { entries, seen, merged, .. } => {
                Value::Map(merge(merged, entries, seen.into_keys().collect()))
            }
        };
        let mut node = Node { value, span: Some(open.span) };
        if open.is_unsafe {
            make_unsafe(&mut node);
        }
        self.node(node, open.anchor)
    }

    fn key(&mut self, text: &str, style: ScalarStyle, place: Span) -> Step {
        let Some(Open { content: Content::Map { seen, next, .. }, .. }) = self.open.last_mut()
        else {
            return Ok(());
        };
        if text == "<<" && style == ScalarStyle::Plain {
            *next = Next::Merge;
            return Ok(());
        }
        let name: Arc<str> = text.into();
        if let Some(first) = seen.insert(name.clone(), Some(place.clone())) {
            self.faults.push(duplicate_key(&name, Some(place.clone()), first));
        }
        *next = Next::Value(Key { name, span: Some(place) });
        Ok(())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, place: &Span) -> Value {
        let plain = || match style {
            ScalarStyle::Plain => resolve(text, self.dialect),
            _ => Value::String(text.into()),
        };
        let Some(tag) = tag else { return plain() };
        if is_unsafe(tag) {
            return Value::Unsafe(text.into());
        }
        let value = resolve(text, self.dialect);
        let fits = match (&value, tag.suffix.as_str()) {
            _ if is_core(tag, "str") || (tag.handle.is_empty() && tag.suffix == "!") => {
                return Value::String(text.into());
            }
            (Value::Null, "null") | (Value::Bool { .. }, "bool") | (Value::Int { .. }, "int") => {
                tag.is_yaml_core_schema()
            }
            (Value::Float { .. } | Value::Int { .. }, "float") => tag.is_yaml_core_schema(),
            _ => false,
        };
        if !fits {
            self.faults.push(yaml_fault::tag(tag, place.clone()));
        }
        value
    }

    fn alias(&mut self, id: usize, place: Span) -> Step {
        if matches!(self.next(), Some(Next::Key)) {
            let message = "an alias as a key";
            return Err(Box::new(Diagnostic::new(message, Some(place)).hint("write the key out")));
        }
        let Some(anchored) = self.anchors.get(&id) else {
            let message = "this alias stands inside the very value that it stands for";
            return Err(Box::new(Diagnostic::new(message, Some(place))));
        };
        if self.open.len() + anchored.depth > DEEPEST {
            return Err(Box::new(too_deep(place)));
        }
        self.copies += anchored.nodes;
        if self.copies > MOST_COPIES {
            return Err(Box::new(too_many_copies(place)));
        }
        let node = anchored.node.clone();
        self.node(node, 0)
    }

    /// A finished node goes where it belongs.
    fn node(&mut self, node: Node, anchor: usize) -> Step {
        if anchor != 0 {
            let (nodes, depth) = measure(&node);
            self.copies += nodes;
            if self.copies > MOST_COPIES {
                return Err(Box::new(too_many_copies(
                    node.span.unwrap_or_else(|| self.place(0, 0)),
                )));
            }
            self.anchors.insert(anchor, Anchored { node: node.clone(), nodes, depth });
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { entries, next, merged, .. }) => {
                match std::mem::replace(next, Next::Key) {
                    Next::Value(key) => entries.push((key, node)),
                    Next::Merge => match mappings(node) {
                        Ok(maps) => merged.extend(maps),
                        Err(fault) => self.faults.push(*fault),
                    },
                    Next::Key => {}
                }
            }
        }
        Ok(())
    }
}

fn too_many_copies(at: Span) -> Diagnostic {
    let message = format!("aliases that stand for more than {MOST_COPIES} values");
    Diagnostic::new(message, Some(at))
}

fn is_unsafe(tag: &Tag) -> bool {
    tag.handle == "!" && tag.suffix == "unsafe"
}

fn is_core(tag: &Tag, kind: &str) -> bool {
    tag.handle == CORE_TAGS && tag.suffix == kind
}

/// What a merge key may take: a mapping, or a list of mappings.
fn mappings(node: Node) -> Result<Vec<Node>, Box<Diagnostic>> {
    let is_map = |node: &Node| matches!(node.value, Value::Map(_));
    match node.value {
        Value::Map(_) => Ok(vec![node]),
        Value::List(items) if items.iter().all(is_map) => Ok(items),
        _ => {
            let message = format!("`<<` takes a mapping or a list of them; found {}", node.kind());
            Err(Box::new(Diagnostic::new(message, node.span)))
        }
    }
}

/// The merged entries first, the earlier mapping before the later; own entries win over all.
fn merge(
    merged: Vec<Node>,
    own: Vec<(Key, Node)>,
    mut seen: HashSet<Arc<str>>,
) -> Vec<(Key, Node)> {
    let maps = merged.into_iter().filter_map(|node| match node.value {
        Value::Map(entries) => Some(entries),
        _ => None,
    });
    let mut all: Vec<_> = maps.flatten().filter(|(key, _)| seen.insert(key.name.clone())).collect();
    all.extend(own);
    all
}

/// Number of nodes and of levels. No deeper than [`DEEPEST`].
fn measure(node: &Node) -> (usize, usize) {
    let add = |(nodes, depth): (usize, usize), child: &Node| {
        let (more, below) = measure(child);
        (nodes + more, depth.max(below + 1))
    };
    match &node.value {
        Value::List(items) => items.iter().fold((1, 1), add),
        Value::Map(entries) => entries.iter().map(|(_, node)| node).fold((1, 1), add),
        _ => (1, 0),
    }
}

fn make_unsafe(node: &mut Node) {
    match &mut node.value {
        Value::String(text) => node.value = Value::Unsafe(text.clone()),
        Value::List(items) => items.iter_mut().for_each(make_unsafe),
        Value::Map(entries) => entries.iter_mut().for_each(|(_, node)| make_unsafe(node)),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
