//! Values that keep their place: `Spanned<T>`, and `Node` itself as a field of a config struct.
//!
//! serde hands over only numbers, text, lists and maps, so a span (which shares its file) and a
//! subtree cannot pass through it. They are laid down in a thread-local slot and picked up by the
//! visitor that is called in the same breath; nothing ever stays there. Where another format or a
//! buffering type stands between, the slot is empty, and the value simply has no place.

use crate::event::tree::{Key, Node, Span, Value};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::{Borrow, Cow};
use std::cell::RefCell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::ops::Deref;

/// The names by which the two types make themselves known to the tree's reader.
pub(super) const NODE: &str = "$driftless::node";
pub(super) const SPANNED: &str = "$driftless::spanned";

thread_local! {
    static NODE_SLOT: RefCell<Option<Node>> = const { RefCell::new(None) };
    static SPAN_SLOT: RefCell<Option<Span>> = const { RefCell::new(None) };
}

pub(super) fn hand_over_node<T>(node: &Node, visit: impl FnOnce() -> T) -> T {
    NODE_SLOT.set(Some(node.clone()));
    let result = visit();
    NODE_SLOT.set(None);
    result
}

pub(super) fn hand_over_span<T>(span: Option<&Span>, visit: impl FnOnce() -> T) -> T {
    SPAN_SLOT.set(span.cloned());
    let result = visit();
    SPAN_SLOT.set(None);
    result
}

/// A value and where it was written. As a map's key it equals any other with the same value.
#[derive(Clone, Debug, Default)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its place; `None` where a default or the program itself gave the value.
    pub span: Option<Span>,
}

impl<T> From<T> for Spanned<T> {
    fn from(value: T) -> Self {
        Self { value, span: None }
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T: Hash> Hash for Spanned<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}

impl Borrow<str> for Spanned<String> {
    fn borrow(&self) -> &str {
        &self.value
    }
}

impl<T: fmt::Display> fmt::Display for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(SPANNED, SpannedVisitor(PhantomData))
    }
}

impl<T: serde::Serialize> serde::Serialize for Spanned<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<T: schemars::JsonSchema> schemars::JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

struct SpannedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for SpannedVisitor<T> {
    type Value = Spanned<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Spanned<T>, D::Error> {
        let span = SPAN_SLOT.take();
        Ok(Spanned { value: T::deserialize(deserializer)?, span })
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NODE, NodeVisitor)
    }
}

impl schemars::JsonSchema for Node {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Any".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        true.into()
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(NODE_SLOT.take().unwrap_or_else(|| Node::new(Value::Null)))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::new(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::new(Value::Bool { value, text: value.to_string().into() }))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::new(Value::Int { value, text: value.to_string().into() }))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        // Past 2^63 only the text is exact.
        let text = value.to_string();
        Ok(i64::try_from(value).map_or_else(
            |_| Node::string(&text),
            |value| Node::new(Value::Int { value, text: text.as_str().into() }),
        ))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::new(Value::Float { value, text: value.to_string().into() }))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::string(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::new(Value::List(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map: Vec<(Key, Node)> = Vec::new();
        while let Some((name, node)) = entries.next_entry::<String, Node>()? {
            map.push((Key::from(name.as_str()), node));
        }
        Ok(Node::new(Value::Map(map)))
    }
}
