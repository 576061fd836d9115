//! Filters on mappings.

use crate::expr::call::{Call, Callable, list};
use crate::expr::value::{from_json, to_json};
use indexmap::IndexMap;
use jmespath::JmespathError;
use minijinja::Error;
use minijinja::value::{Value, ValueKind};

pub(super) const TABLE: &[Callable] = &[
    Callable::new(
        &["combine"],
        "*others, recursive=false, list_merge='replace'",
        combine,
        "One mapping from several; later ones win. `list_merge` is `replace`, `keep`, `append`, \
         `prepend`, `append_rp` or `prepend_rp`.",
        "{'a': 1} | combine({'b': 2}) → {'a': 1, 'b': 2}",
    ),
    Callable::new(
        &["dict2items"],
        "key_name='key', value_name='value'",
        |call| {
            if call.value.kind() != ValueKind::Map {
                return Err(call.expected("a mapping"));
            }
            let (key, value) = names(call);
            let item = |(k, v)| Value::from_pairs([(key.as_str(), k), (value.as_str(), v)]);
            Ok(entries(&call.value).into_iter().map(item).collect())
        },
        "The entries of a mapping as a list.",
        "{'a': 1} | dict2items → [{'key': 'a', 'value': 1}]",
    ),
    Callable::new(
        &["items2dict"],
        "key_name='key', value_name='value'",
        |call| {
            let (key, value) = names(call);
            let mut map = IndexMap::new();
            for item in call.items()? {
                let part = |name: &str| {
                    let part = item.get_attr(name).ok().filter(|part| !part.is_undefined());
                    part.ok_or_else(|| call.wrong(format!("finds no `{name}` in {item}")))
                };
                map.insert(part(&key)?, part(&value)?);
            }
            Ok(map.into())
        },
        "A mapping from a list of entries.",
        "[{'key': 'a', 'value': 1}] | items2dict → {'a': 1}",
    ),
    Callable::new(
        &["json_query"],
        "expr",
        json_query,
        "What a JMESPath expression finds in a value; nothing where it finds nothing.",
        "[{'name': 'a', 'port': 1}, {'name': 'b', 'port': 2}] | json_query('[?port > `1`].name') → ['b']",
    ),
];

/// - Source: <https://jmespath.org/specification.html>.
fn json_query(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let text = call.need("expr")?.to_string();
    let wrong = |error: JmespathError| {
        let (reason, column) = (error.reason, error.column + 1);
        call.wrong(format!("takes no `{text}`: {reason}, at its column {column}"))
    };
    let found = jmespath::compile(&text).and_then(|query| query.search(to_json(&call.value)));
    let found = found.map_err(wrong)?;
    let json = serde_json::to_value(&*found);
    Ok(from_json(&json.map_err(|error| call.wrong(format!("found no JSON: {error}")))?))
}

/// Keys and values of a mapping, in order.
pub(in crate::expr) fn entries(mapping: &Value) -> Vec<(Value, Value)> {
    let keys = mapping.try_iter().into_iter().flatten();
    keys.map(|key| (key.clone(), mapping.get_item(&key).unwrap_or_default())).collect()
}

fn names(call: &Call<'_, '_, '_>) -> (String, String) {
    let name =
        |parameter, otherwise: &str| call.text(parameter).unwrap_or_else(|| otherwise.to_owned());
    (name("key_name", "key"), name("value_name", "value"))
}

#[derive(Clone, Copy)]
enum ListMerge {
    Replace,
    Keep,
    Append,
    Prepend,
    AppendRest,
    PrependRest,
}

fn combine(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let merge = match call.text("list_merge").as_deref() {
        None | Some("replace") => ListMerge::Replace,
        Some("keep") => ListMerge::Keep,
        Some("append") => ListMerge::Append,
        Some("prepend") => ListMerge::Prepend,
        Some("append_rp") => ListMerge::AppendRest,
        Some("prepend_rp") => ListMerge::PrependRest,
        Some(other) => {
            let known = "replace, keep, append, prepend, append_rp and prepend_rp";
            return Err(call.wrong(format!("knows no list_merge `{other}`; it knows {known}")));
        }
    };
    let recursive = call.flag("recursive", false);
    let mut all = Vec::new();
    for value in std::iter::once(&call.value).chain(&call.rest) {
        match value.kind() {
            ValueKind::None => {}
            ValueKind::Seq | ValueKind::Iterable => all.extend(list(value).unwrap_or_default()),
            _ => all.push(value.clone()),
        }
    }
    if let Some(odd) = all.iter().find(|value| value.kind() != ValueKind::Map) {
        return Err(call.wrong(format!("joins mappings, and this is {}: {odd}", odd.kind())));
    }
    let mut all = all.into_iter();
    let first = all.next().unwrap_or_else(|| Value::from(IndexMap::<Value, Value>::new()));
    Ok(all.fold(first, |merged, other| merged_with(&merged, &other, recursive, merge)))
}

fn merged_with(a: &Value, b: &Value, recursive: bool, lists: ListMerge) -> Value {
    let mut merged: IndexMap<Value, Value> = entries(a).into_iter().collect();
    for (key, value) in entries(b) {
        let value = match merged.get(&key) {
            Some(old)
                if recursive && old.kind() == ValueKind::Map && value.kind() == ValueKind::Map =>
            {
                merged_with(old, &value, recursive, lists)
            }
            Some(old) if old.kind() == ValueKind::Seq && value.kind() == ValueKind::Seq => {
                merged_lists(old, &value, lists)
            }
            _ => value,
        };
        merged.insert(key, value);
    }
    merged.into()
}

fn merged_lists(a: &Value, b: &Value, lists: ListMerge) -> Value {
    let (x, y) = (list(a).unwrap_or_default(), list(b).unwrap_or_default());
    let without = |items: &[Value], gone: &[Value]| -> Vec<Value> {
        items.iter().filter(|item| !gone.contains(item)).cloned().collect()
    };
    match lists {
        ListMerge::Replace => b.clone(),
        ListMerge::Keep => a.clone(),
        ListMerge::Append => [x, y].concat().into(),
        ListMerge::Prepend => [y, x].concat().into(),
        ListMerge::AppendRest => [without(&x, &y), y].concat().into(),
        ListMerge::PrependRest => {
            let rest = without(&x, &y);
            [y, rest].concat().into()
        }
    }
}
