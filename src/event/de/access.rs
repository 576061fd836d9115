//! serde's view of a tree: one node, the entries of a mapping, the items of a list.

use super::error::{Error, Kind};
use super::hole::Hole;
use super::keys::{KeyReader, Variant};
use super::spanned::{self, NODE, SPANNED};
use crate::event::tree::{Key, Node, Value};
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use std::collections::{HashMap, HashSet};

/// What already has its complaint, by the addresses of nodes.
#[derive(Default)]
pub(super) struct Known {
    /// Nodes that are passed over.
    pub(super) pruned: HashSet<usize>,
    /// Keys that mappings lack; something is made up for them, to get at the errors behind.
    pub(super) lacking: HashMap<usize, Vec<&'static str>>,
}

impl Known {
    pub(super) fn is_pruned(&self, node: &Node) -> bool {
        self.pruned.contains(&address(node))
    }

    /// Remembers that the mapping at `address` lacks `key`; false if that is no news, so that
    /// nothing could be made up.
    pub(super) fn makes_up(&mut self, address: usize, key: &'static str) -> bool {
        let keys = self.lacking.entry(address).or_default();
        let is_news = !keys.contains(&key);
        keys.push(key);
        is_news
    }

    pub(super) fn lacking(&self, node: &Node) -> &[&'static str] {
        self.lacking.get(&address(node)).map_or(&[], Vec::as_slice)
    }
}

pub(super) fn address(node: &Node) -> usize {
    std::ptr::from_ref(node).addr()
}

/// A node to read a value from.
#[derive(Clone, Copy)]
pub(super) struct Reader<'de> {
    pub(super) node: &'de Node,
    pub(super) known: &'de Known,
}

impl<'de> Reader<'de> {
    pub(super) fn child(self, node: &'de Node) -> Self {
        Self { node, ..self }
    }

    fn keeps(self, node: &Node) -> bool {
        !self.known.is_pruned(node)
    }

    /// Lets `read` work on the node and blames the node for what has no place yet.
    pub(super) fn blamed<T>(self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| self.at_named_entry(error).at(self.node))
    }

    /// An unknown key that was noticed only after reading the whole mapping.
    fn at_named_entry(self, error: Error) -> Error {
        let Kind::UnknownKey { key, .. } = error.kind() else { return error };
        let entries = self.node.as_map().unwrap_or_default();
        match entries.iter().find(|(name, _)| *name.name == **key) {
            Some((name, node)) => error.at_key(node, name.span.clone()),
            None => error,
        }
    }

    pub(super) fn entries<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Value::Map(entries) = &self.node.value else {
            return self.blamed(Err(Error::mismatch("a mapping", self.node)));
        };
        let (entries, lacking) = (entries.iter(), self.known.lacking(self.node).iter());
        let entries = Entries { reader: self, entries, current: None, lacking, made_up: None };
        self.blamed(visitor.visit_map(entries))
    }

    pub(super) fn items<V: Visitor<'de>>(
        self,
        visitor: V,
        length: Option<usize>,
    ) -> Result<V::Value, Error> {
        let Value::List(items) = &self.node.value else {
            return Err(Error::mismatch("a list", self.node));
        };
        if let Some(length) = length.filter(|length| *length != items.len()) {
            let wanted = format!("a list of {length} items");
            let error = Error::mismatch(&wanted, self.node);
            return Err(error.with_hint(format!("it has {} items", items.len())));
        }
        self.blamed(visitor.visit_seq(Items { reader: self, items: items.iter() }))
    }

    /// Text where text is asked for. A number counts as text only where it can be read in one way
    /// (`8080`, `1.10`), since then its source text is surely what was meant; `0644`, `1e3`, `yes`
    /// must be put in quotes.
    fn text<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let result = match &self.node.value {
            Value::String(text) | Value::Unsafe(text) => visitor.visit_str(text),
            Value::Int { text, .. } | Value::Float { text, .. } if reads_one_way(text) => {
                visitor.visit_str(text)
            }
            Value::Null
            | Value::Bool { .. }
            | Value::Int { .. }
            | Value::Float { .. }
            | Value::List(_)
            | Value::Map(_) => self.mismatched(visitor),
        };
        self.blamed(result)
    }

    /// The visitor's own words for what it takes: visiting anything that it does not take makes
    /// it say them. Types that take both text and numbers (a duration) get their number.
    fn mismatched<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Int { value, .. } => visitor.visit_i64(*value),
            Value::Float { value, .. } => visitor.visit_f64(*value),
            Value::Bool { value, .. } => visitor.visit_bool(*value),
            _ => self.any(visitor),
        }
    }

    fn any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool { value, .. } => visitor.visit_bool(*value),
            Value::Int { value, .. } => visitor.visit_i64(*value),
            Value::Float { value, .. } => visitor.visit_f64(*value),
            Value::String(text) | Value::Unsafe(text) => visitor.visit_str(text),
            Value::List(_) => self.items(visitor, None),
            Value::Map(_) => self.entries(visitor),
        }
    }
}

fn reads_one_way(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let padded = digits.starts_with('0') && digits.as_bytes().get(1).is_some_and(|b| *b != b'.');
    plain && !padded && digits.starts_with(|first: char| first.is_ascii_digit())
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.blamed(self.any(visitor))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.text(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.text(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.text(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Null => visitor.visit_none(),
            _ => self.blamed(visitor.visit_some(self)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let result = match name {
            NODE => spanned::hand_over_node(self.node, || visitor.visit_unit()),
            SPANNED => spanned::hand_over_span(self.node.span.as_ref(), || {
                visitor.visit_newtype_struct(self)
            }),
            _ => visitor.visit_newtype_struct(self),
        };
        self.blamed(result)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.items(visitor, Some(length))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.items(visitor, Some(length))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if !matches!(self.node.value, Value::Map(_) | Value::Null) {
            // A list would be taken as the fields in order, which nobody means.
            return self.blamed(Err(Error::mismatch("a mapping", self.node).with_keys(fields)));
        }
        self.entries(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if let Some(word) = self.node.scalar_text() {
            // YAML's `on` or `1` is a word here, as no other reading is possible.
            let key = Key { name: word.into(), span: self.node.span.clone() };
            let value = Variant { reader: self, key, content: None };
            return self.blamed(visitor.visit_enum(value));
        }
        let entries = self.node.as_map().unwrap_or_default();
        let mut kept = entries.iter().filter(|(_, node)| self.keeps(node));
        match (kept.next(), kept.next()) {
            (Some((key, content)), None) => {
                let value = Variant { reader: self, key: key.clone(), content: Some(content) };
                self.blamed(visitor.visit_enum(value))
            }
            _ => {
                let list = variants.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>();
                let hint = format!("the words here are {}", list.join(", "));
                let error = Error::mismatch("a word, or a mapping with one key", self.node);
                Err(error.with_hint(hint))
            }
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 bytes byte_buf unit unit_struct seq
        map identifier
    }
}

struct Entries<'de> {
    reader: Reader<'de>,
    entries: std::slice::Iter<'de, (Key, Node)>,
    current: Option<&'de (Key, Node)>,
    lacking: std::slice::Iter<'de, &'static str>,
    made_up: Option<&'static str>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let reader = self.reader;
        self.current = self.entries.find(|(_, node)| reader.keeps(node));
        let Some((key, node)) = self.current else {
            self.made_up = self.lacking.next().copied();
            let made_up = self.made_up.map(StrDeserializer::<Error>::new);
            return made_up.map(|key| seed.deserialize(key)).transpose();
        };
        let result = seed.deserialize(KeyReader(key)).map(Some);
        result.map_err(|error| error.at_key(node, key.span.clone()))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        if let Some(key) = self.made_up.take() {
            return seed.deserialize(Hole).map_err(|_| Error::missing_field(key));
        }
        let (key, node) =
            self.current.take().ok_or_else(|| Error::custom("a value was read before its key"))?;
        let result = seed.deserialize(self.reader.child(node));
        result.map_err(|error| error.at(node).named(|| format!("`{}`", key.name)))
    }
}

struct Items<'de> {
    reader: Reader<'de>,
    items: std::slice::Iter<'de, Node>,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let reader = self.reader;
        let Some(node) = self.items.find(|node| reader.keeps(node)) else { return Ok(None) };
        let result = seed.deserialize(reader.child(node)).map(Some);
        result.map_err(|error| error.at(node).in_list())
    }
}
