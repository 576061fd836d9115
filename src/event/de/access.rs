//! serde's view of a tree: one node, the entries of a mapping, the items of a list.

use super::error::{Error, Kind};
use super::spanned::{self, NODE, SPANNED};
use crate::event::tree::{Key, Node, Span, Value};
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;
use std::collections::HashSet;

/// The addresses of nodes that already have their complaint and are passed over.
pub(super) type Pruned = HashSet<usize>;

/// A node to read a value from.
#[derive(Clone, Copy)]
pub(super) struct Reader<'de> {
    pub(super) node: &'de Node,
    pub(super) pruned: &'de Pruned,
}

impl<'de> Reader<'de> {
    fn child(self, node: &'de Node) -> Self {
        Self { node, ..self }
    }

    fn keeps(self, node: &Node) -> bool {
        !self.pruned.contains(&std::ptr::from_ref(node).addr())
    }

    /// Lets `read` work on the node and blames the node for what has no place yet.
    fn blamed<T>(self, result: Result<T, Error>) -> Result<T, Error> {
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

    fn entries<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Value::Map(entries) = &self.node.value else {
            return self.blamed(Err(Error::mismatch("a mapping", self.node)));
        };
        let entries = entries.iter();
        self.blamed(visitor.visit_map(Entries { reader: self, entries, current: None }))
    }

    fn items<V: Visitor<'de>>(self, visitor: V, length: Option<usize>) -> Result<V::Value, Error> {
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
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        // A list would be taken as the fields in order, which nobody means.
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
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let reader = self.reader;
        self.current = self.entries.find(|(_, node)| reader.keeps(node));
        let Some((key, node)) = self.current else { return Ok(None) };
        let result = seed.deserialize(KeyReader(key)).map(Some);
        result.map_err(|error| error.at_key(node, key.span.clone()))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
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

/// A mapping's key: text, or whatever its text says where numbers or words are asked for.
struct KeyReader<'de>(&'de Key);

impl<'de> Deserializer<'de> for KeyReader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(&self.0.name)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match name {
            SPANNED => {
                let span: Option<&Span> = self.0.span.as_ref();
                spanned::hand_over_span(span, || visitor.visit_newtype_struct(self))
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.number(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.number(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.number(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.number(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(StrDeserializer::new(&self.0.name))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i128 u8 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> KeyReader<'de> {
    fn number<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.name.parse::<i64>() {
            Ok(number) => visitor.visit_i64(number),
            Err(_) => visitor.visit_str(&self.0.name),
        }
    }
}

/// A word, or the one key of a mapping with its content.
struct Variant<'de> {
    reader: Reader<'de>,
    key: Key,
    content: Option<&'de Node>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let word = StrDeserializer::<Error>::new(&self.key.name);
        match seed.deserialize(word) {
            Ok(variant) => Ok((variant, self)),
            Err(error) => Err(error.at_key(self.reader.node, self.key.span.clone())),
        }
    }
}

impl<'de> Variant<'de> {
    fn content(&self) -> Result<Reader<'de>, Error> {
        let lacking =
            || Error::mismatch(&format!("a mapping `{}: ...`", self.key.name), self.reader.node);
        Ok(self.reader.child(self.content.ok_or_else(lacking)?))
    }

    fn named<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| error.named(|| format!("`{}`", self.key.name)))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.content {
            None => Ok(()),
            Some(Node { value: Value::Null, .. }) => Ok(()),
            Some(node) => self.named(Err(Error::mismatch("nothing", node))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        let content = self.content()?;
        self.named(content.blamed(seed.deserialize(content)))
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        let content = self.content()?;
        self.named(content.items(visitor, Some(length)))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let content = self.content()?;
        self.named(content.entries(visitor))
    }
}
