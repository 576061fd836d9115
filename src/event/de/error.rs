//! What goes wrong while a value is read from a tree, in the words of the file's author.

use crate::event::fault::{Diagnostic, nearest};
use crate::event::tree::{Node, Span, Value};
use serde::de::{Expected, Unexpected};
use std::fmt;

/// Known keys are listed in full only up to this many characters; a longer list hides the point.
const SHORT_LIST: usize = 120;
/// More of a value than this would not help to find it.
const SHORT_TEXT: usize = 40;

/// One complaint on its way up; the maps and lists that it passes tell it where it happened.
#[derive(Debug)]
pub(super) struct Error(Box<Parts>);

#[derive(Debug)]
struct Parts {
    kind: Kind,
    /// The node to blame, by its address in the tree, and what to underline.
    place: Option<Place>,
    /// What the user calls the blamed node: `` `interval` ``, ``an item of `paths` ``.
    name: Option<String>,
    /// Whether the blamed node is an item of what `name` names.
    is_item: bool,
}

#[derive(Debug)]
struct Place {
    address: usize,
    span: Option<Span>,
    /// Text around a scalar, where that explains more than the type.
    is_scalar: bool,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// A type's own words, such as those of a duration.
    Custom(String),
    /// `found` is filled in from the tree, which knows the source text.
    Mismatch { expected: String, found: String, hint: Option<String> },
    /// `key` is no key of the blamed mapping's type.
    UnknownKey { key: String, known: &'static [&'static str] },
    /// The blamed text is none of the words that are possible here.
    UnknownWord { word: String, known: &'static [&'static str] },
    /// The blamed mapping lacks a key.
    Missing(&'static str),
    /// Two spellings of one key.
    Duplicate(&'static str),
}

impl Error {
    fn new(kind: Kind) -> Self {
        Self(Box::new(Parts { kind, place: None, name: None, is_item: false }))
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.0.kind
    }

    /// The address of the blamed node.
    pub(super) fn address(&self) -> Option<usize> {
        self.0.place.as_ref().map(|place| place.address)
    }

    pub(super) fn mismatch(expected: &str, node: &Node) -> Self {
        let expected = expected.to_owned();
        Self::new(Kind::Mismatch { expected, found: String::new(), hint: None }).at(node)
    }

    pub(super) fn with_hint(mut self, text: String) -> Self {
        if let Kind::Mismatch { hint, .. } = &mut self.0.kind {
            *hint = Some(text);
        }
        self
    }

    /// Names the keys of the mapping that should be there, where they are few.
    pub(super) fn with_keys(self, known: &[&str]) -> Self {
        match listed(known) {
            Some(list) => self.with_hint(format!("put it under one of its keys: {list}")),
            None => self,
        }
    }

    /// Blames `node`, unless a deeper one is blamed already.
    pub(super) fn at(mut self, node: &Node) -> Self {
        if self.0.place.is_some() {
            return self;
        }
        if let Kind::Mismatch { expected, found, hint } = &mut self.0.kind {
            *found = describe(node);
            if hint.is_none() {
                *hint = advice(expected, node);
            }
        }
        self.place(node, node.span.clone())
    }

    /// Blames `node`, but underlines `span`: an unknown key rather than its value.
    pub(super) fn at_key(self, node: &Node, span: Option<Span>) -> Self {
        if self.0.place.is_some() { self } else { self.place(node, span) }
    }

    fn place(mut self, node: &Node, span: Option<Span>) -> Self {
        let is_scalar = !matches!(node.value, Value::List(_) | Value::Map(_));
        self.0.place = Some(Place { address: std::ptr::from_ref(node).addr(), span, is_scalar });
        self
    }

    /// Names the blamed node, unless it has its name already.
    pub(super) fn named(mut self, name: impl FnOnce() -> String) -> Self {
        self.0.name.get_or_insert_with(name);
        self
    }

    /// Marks the blamed node as one of a list's; the list's own name is still to come.
    pub(super) fn in_list(mut self) -> Self {
        if self.0.name.is_none() {
            self.0.is_item = true;
        }
        self
    }

    /// The finished complaint; `what` names the whole value.
    pub(super) fn into_diagnostic(self, what: &str) -> Diagnostic {
        let Parts { kind, place, name, is_item } = *self.0;
        let name = name.unwrap_or_else(|| what.to_owned());
        let name = if is_item { format!("an item of {name}") } else { name };
        let is_scalar = place.as_ref().is_some_and(|place| place.is_scalar);
        let span = place.and_then(|place| place.span);
        let (message, hint) = match kind {
            Kind::Custom(message) if is_scalar => (format!("{name}: {message}"), None),
            Kind::Custom(message) => (message, None),
            Kind::Mismatch { expected, found, hint } => {
                (format!("{name} takes {expected}; found {found}"), hint)
            }
            Kind::UnknownKey { key, known } => (
                format!("unknown key `{key}` in {name}"),
                suggest(&key, known, "the keys here are"),
            ),
            Kind::UnknownWord { word, known } => (
                format!("{name} cannot be `{}`", shorten(&word)),
                suggest(&word, known, "it is one of"),
            ),
            Kind::Missing(key) => (format!("{name} lacks the key `{key}`"), None),
            Kind::Duplicate(key) => {
                (format!("{name} has `{key}` twice, under two of its names"), None)
            }
        };
        Diagnostic { message, span, related: None, hint }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            Kind::Custom(message) => write!(f, "{message}"),
            Kind::Mismatch { expected, found, .. } => {
                write!(f, "takes {expected}; found {found}")
            }
            Kind::UnknownKey { key, .. } => write!(f, "unknown key `{key}`"),
            Kind::UnknownWord { word, .. } => write!(f, "cannot be `{word}`"),
            Kind::Missing(key) => write!(f, "lacks the key `{key}`"),
            Kind::Duplicate(key) => write!(f, "has `{key}` twice"),
        }
    }
}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        // serde's `flatten` has no other way to say that a key is unknown.
        let key = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
        Self::new(match key {
            Some(key) => Kind::UnknownKey { key: key.to_owned(), known: &[] },
            None => Kind::Custom(message),
        })
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = plain(&expected.to_string());
        Self::new(Kind::Mismatch { expected, found: found.to_string(), hint: None })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        let (expected, found) = (plain(&expected.to_string()), format!("{length} items"));
        Self::new(Kind::Mismatch { expected, found, hint: None })
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        Self::new(Kind::UnknownKey { key: key.to_owned(), known })
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Self::new(Kind::UnknownWord { word: word.to_owned(), known })
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new(Kind::Missing(key))
    }

    fn duplicate_field(key: &'static str) -> Self {
        Self::new(Kind::Duplicate(key))
    }
}

/// What serde's generated code says that it expects, without the names of types.
fn plain(expected: &str) -> String {
    let words = match expected {
        "a boolean" => "`true` or `false`",
        "a string" | "a borrowed string" | "a character" => "text",
        "a sequence" => "a list",
        "a map" => "a mapping",
        "unit" => "nothing",
        "f32" | "f64" => "a number",
        "i64" | "i128" => "a whole number",
        "u64" | "u128" | "usize" => "a whole number, not negative",
        "i8" => "a whole number from -128 to 127",
        "u8" => "a whole number from 0 to 255",
        "i16" => "a whole number from -32768 to 32767",
        "u16" => "a whole number from 0 to 65535",
        "i32" => "a whole number from -2147483648 to 2147483647",
        "u32" => "a whole number from 0 to 4294967295",
        _ => return plain_structure(expected),
    };
    words.to_owned()
}

fn plain_structure(expected: &str) -> String {
    let size = expected.strip_prefix("a tuple of size ");
    let size =
        size.or_else(|| expected.rsplit_once(" elements").and(expected.split(' ').nth_back(1)));
    if let Some(size) = size {
        return format!("a list of {size} items");
    }
    let starts = |words: &[&str]| words.iter().any(|word| expected.starts_with(word));
    if starts(&["struct ", "struct variant ", "internally tagged ", "adjacently tagged "]) {
        "a mapping".to_owned()
    } else if starts(&["enum ", "variant "]) {
        "a word, or a mapping with one key".to_owned()
    } else if starts(&["a nonzero "]) {
        "a whole number above zero".to_owned()
    } else {
        expected.to_owned()
    }
}

/// The value as its author would recognize it.
pub(super) fn describe(node: &Node) -> String {
    match &node.value {
        Value::Null | Value::List(_) | Value::Map(_) => node.kind().to_owned(),
        Value::Bool { text, .. } => format!("the truth value `{text}`"),
        Value::Int { text, .. } | Value::Float { text, .. } => format!("the number `{text}`"),
        Value::String(text) | Value::Unsafe(text) => format!("the text `{}`", shorten(text)),
    }
}

fn shorten(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let cut: String = line.chars().take(SHORT_TEXT).collect();
    if cut.len() < text.trim_end().len() { format!("{cut}…") } else { cut }
}

/// How to mend the mismatches that YAML's reading of scalars brings about.
fn advice(expected: &str, node: &Node) -> Option<String> {
    let is = |words: &str| expected.contains(words);
    match &node.value {
        Value::Bool { text, .. } | Value::Int { text, .. } | Value::Float { text, .. }
            if expected == "text" =>
        {
            Some(format!("put it in quotes: \"{text}\""))
        }
        Value::String(text) if is("number") && text.trim().parse::<f64>().is_ok() => {
            Some(format!("write it without quotes: {}", text.trim()))
        }
        Value::String(text)
            if is("`true` or `false`")
                && ["yes", "no", "on", "off", "true", "false"]
                    .contains(&text.to_lowercase().as_str()) =>
        {
            let value = matches!(text.to_lowercase().as_str(), "yes" | "on" | "true");
            Some(format!("write {value}, without quotes"))
        }
        Value::Null if expected == "a list" => {
            Some("write `[]` for an empty list, or leave the key out".to_owned())
        }
        Value::Null if expected == "a mapping" => {
            Some("write `{}` for an empty mapping, or leave the key out".to_owned())
        }
        Value::String(_) | Value::Int { .. } if expected == "a list" => {
            Some("put it in brackets: `[...]`".to_owned())
        }
        _ => None,
    }
}

fn suggest(found: &str, known: &[&str], intro: &str) -> Option<String> {
    let guess = nearest(found, known.iter().copied()).map(|key| format!("did you mean `{key}`?"));
    let list = listed(known).map(|list| format!("{intro} {list}"));
    match (guess, list) {
        (Some(guess), Some(list)) => Some(format!("{guess} ({list})")),
        (guess, list) => guess.or(list),
    }
}

/// All of them, where there are some and they are read at a glance.
fn listed(known: &[&str]) -> Option<String> {
    let list = known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    (!known.is_empty() && list.len() <= SHORT_LIST).then_some(list)
}
