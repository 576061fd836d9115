//! What a loop runs over.

use super::keywords::{Items, Shape};
use super::tasks::Failure;
use crate::expr::scope::Scope;
use crate::expr::value::pairs;
use minijinja::Value;
use minijinja::value::ValueKind;

/// The items of a task's loop, rendered.
pub(super) fn resolve(items: &Items, scope: &Scope) -> Result<Vec<Value>, Failure> {
    let engine = scope.engine();
    let place = items.node.span.as_ref();
    let mut value =
        engine.render_value(&items.node, scope).map_err(|problem| problem.located(place))?;
    // Ansible's older loops take a bare variable's name too.
    if let (Shape::Flat | Shape::Entries, Some(name)) = (items.shape, value.as_str()) {
        value = match engine.evaluate(name, scope) {
            Ok(found) if !found.is_undefined() => found,
            _ => value,
        };
    }
    let wrong = |expected: &str| {
        let place = place.map_or_else(String::new, |place| format!("{place}: "));
        Failure::new(format!("{place}a loop runs over {expected}, and this is {}", value.kind()))
    };
    match (items.shape, value.kind()) {
        (Shape::Entries, ValueKind::Map) => {
            let entry = |(key, value): (String, Value)| {
                Value::from_pairs([("key", Value::from(key)), ("value", value)])
            };
            Ok(pairs(&value).into_iter().map(entry).collect())
        }
        (Shape::Entries, _) => Err(wrong("a mapping")),
        (_, ValueKind::Seq | ValueKind::Iterable) => {
            let list: Vec<Value> = value.try_iter().into_iter().flatten().collect();
            if items.shape == Shape::List {
                return Ok(list);
            }
            Ok(list.into_iter().flat_map(opened).collect())
        }
        (Shape::Flat, ValueKind::String | ValueKind::Number | ValueKind::Bool) => Ok(vec![value]),
        _ => Err(wrong("a list")),
    }
}

fn opened(item: Value) -> Vec<Value> {
    match item.kind() {
        ValueKind::Seq => item.try_iter().into_iter().flatten().collect(),
        _ => vec![item],
    }
}
