//! Values on their way into Jinja and back, keeping their types.

use crate::event::tree::{Key, Node, Value as Tree};
use indexmap::IndexMap;
use minijinja::value::{Object, ObjectRepr, Value, ValueKind};
use std::sync::Arc;

/// What `default(omit)` yields: a parameter set to it counts as not written at all.
#[derive(Debug)]
struct Omit;

impl Object for Omit {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

/// The value of the name `omit`.
pub fn omit() -> Value {
    Value::from_object(Omit)
}

/// Whether `value` is the one of the name `omit`.
pub fn is_omit(value: &Value) -> bool {
    value.downcast_object_ref::<Omit>().is_some()
}

/// A tree as Jinja sees it. Expressions in its strings stay text.
pub fn from_node(node: &Node) -> Value {
    match &node.value {
        Tree::Null => Value::from(()),
        Tree::Bool { value, .. } => Value::from(*value),
        Tree::Int { value, .. } => Value::from(*value),
        Tree::Float { value, .. } => Value::from(*value),
        Tree::String(text) | Tree::Unsafe(text) => Value::from(text),
        Tree::List(items) => items.iter().map(from_node).collect(),
        Tree::Map(entries) => entries
            .iter()
            .map(|(key, node)| (Value::from(&key.name), from_node(node)))
            .collect::<IndexMap<Value, Value>>()
            .into(),
    }
}

/// JSON as Jinja sees it.
pub fn from_json(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Value::from(value),
            (None, Some(value)) => Value::from(value),
            (None, None) => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text),
        Json::Array(items) => items.iter().map(from_json).collect(),
        Json::Object(entries) => entries
            .iter()
            .map(|(key, value)| (Value::from(key), from_json(value)))
            .collect::<IndexMap<Value, Value>>()
            .into(),
    }
}

/// A Jinja value as a tree without places, so that a rendered parameter is read like one that
/// was written out. What has no such form (a function) becomes its text.
pub fn to_node(value: &Value) -> Node {
    let text = || -> Arc<str> { value.to_string().into() };
    Node::new(match value.kind() {
        ValueKind::Undefined | ValueKind::None => Tree::Null,
        ValueKind::Bool => Tree::Bool { value: value.is_true(), text: text() },
        ValueKind::Number => match (value.is_integer(), value.as_i64()) {
            (true, Some(number)) => Tree::Int { value: number, text: text() },
            _ => Tree::Float {
                value: f64::try_from(value.clone()).unwrap_or(f64::NAN),
                text: text(),
            },
        },
        ValueKind::Seq | ValueKind::Iterable => {
            Tree::List(value.try_iter().into_iter().flatten().map(|item| to_node(&item)).collect())
        }
        ValueKind::Map => Tree::Map(
            pairs(value)
                .into_iter()
                .map(|(key, value)| (Key { name: key.into(), span: None }, to_node(&value)))
                .collect(),
        ),
        _ => Tree::String(text()),
    })
}

/// A Jinja value as JSON: for `to_json`, for what `debug` shows, for results that are kept.
pub fn to_json(value: &Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Json::Null,
        ValueKind::Bool => Json::Bool(value.is_true()),
        ValueKind::Number => match (value.is_integer(), value.as_i64()) {
            (true, Some(number)) => number.into(),
            (true, None) => u64::try_from(value.clone()).map_or(Json::Null, Into::into),
            _ => f64::try_from(value.clone()).map_or(Json::Null, Into::into),
        },
        ValueKind::Seq | ValueKind::Iterable => {
            value.try_iter().into_iter().flatten().map(|item| to_json(&item)).collect()
        }
        ValueKind::Map => {
            pairs(value).into_iter().map(|(key, value)| (key, to_json(&value))).collect()
        }
        _ => Json::String(value.to_string()),
    }
}

/// A number with a fraction as Python writes it: with an exponent where it is very large or small.
pub(super) fn python_float(number: f64) -> String {
    let spelled = format!("{number:e}");
    let Some((mantissa, exponent)) = spelled.split_once('e') else {
        return spelled.to_lowercase();
    };
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.abs())
        }
        _ => format!("{number:?}"),
    }
}

/// The entries of a mapping, keys as text, in order.
pub fn pairs(value: &Value) -> Vec<(String, Value)> {
    let keys = value.try_iter().into_iter().flatten();
    keys.map(|key| (key.to_string(), value.get_item(&key).unwrap_or_default())).collect()
}

/// Whether something within a list or mapping is undefined, such as an attribute that only some
/// items have.
pub(super) fn holds_undefined(value: &Value) -> bool {
    let mut inside = value.try_iter().into_iter().flatten();
    match value.kind() {
        ValueKind::Seq => inside.any(|item| item.is_undefined() || holds_undefined(&item)),
        ValueKind::Map => inside.any(|key| {
            value.get_item(&key).is_ok_and(|item| item.is_undefined() || holds_undefined(&item))
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_survives_the_way_in_and_out() {
        let json = serde_json::json!({
            "text": "a", "none": null, "list": [1, -2, 2.5, true, {"b": []}], "big": u64::MAX
        });
        assert_eq!(to_json(&from_json(&json)), json);
    }

    #[test]
    fn a_tree_survives_the_way_in_and_out() {
        let tree = to_node(&from_json(&serde_json::json!({"a": [1, "x", null, false]})));
        assert_eq!(to_node(&from_node(&tree)), tree);
    }

    #[test]
    fn omit_is_told_from_every_other_value() {
        assert!(is_omit(&omit()));
        assert!(!is_omit(&Value::from("omit")));
    }
}
