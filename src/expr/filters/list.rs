//! Filters on lists.

use crate::expr::call::{Call, Callable, list, refuse_undefined};
use crate::expr::random::Random;
use minijinja::Error;
use minijinja::value::{Kwargs, Value, ValueKind};

pub(super) const TABLE: &[Callable] = &[
    Callable::new(
        &["flatten"],
        "levels=none, skip_nulls=true",
        |call| {
            let levels = call.count("levels", usize::MAX)?;
            let mut flat = Vec::new();
            flatten(call.items()?, levels, call.flag("skip_nulls", true), &mut flat);
            Ok(flat.into())
        },
        "The items of a list, and of the lists in it down to `levels`, as one list.",
        "[1, [2, [3]]] | flatten → [1, 2, 3]",
    ),
    Callable::new(
        &["unique"],
        "case_sensitive=none, attribute=none",
        unique,
        "Each item once, in the order of their first appearance.",
        "[1, 2, 1] | unique → [1, 2]",
    ),
    Callable::new(
        &["sort"],
        "reverse=false, case_sensitive=false, attribute=none",
        |call| minijinja::filters::sort(call.state, call.value.clone(), named(call)),
        "The items in order.",
        "[2, 1] | sort → [1, 2]",
    ),
    Callable::new(
        &["dictsort"],
        "case_sensitive=false, by='key', reverse=false",
        |call| minijinja::filters::dictsort(&call.value, named(call)),
        "The entries of a mapping, sorted.",
        "{'b': 1, 'a': 2} | dictsort → [('a', 2), ('b', 1)]",
    ),
    Callable::new(
        &["union"],
        "other",
        |call| Ok(once([call.items()?, call.list("other")?].concat()).into()),
        "The items of either list, each once.",
        "[1, 2] | union([2, 3]) → [1, 2, 3]",
    ),
    Callable::new(
        &["intersect"],
        "other",
        |call| {
            let other = call.list("other")?;
            Ok(once(kept(call.items()?, |item| other.contains(item))).into())
        },
        "The items of both lists, each once.",
        "[1, 2] | intersect([2, 3]) → [2]",
    ),
    Callable::new(
        &["difference"],
        "other",
        |call| {
            let other = call.list("other")?;
            Ok(once(kept(call.items()?, |item| !other.contains(item))).into())
        },
        "The items that the other list lacks, each once.",
        "[1, 2] | difference([2, 3]) → [1]",
    ),
    Callable::new(
        &["symmetric_difference"],
        "other",
        |call| {
            let (ours, other) = (call.items()?, call.list("other")?);
            let both = ours.iter().filter(|item| other.contains(item)).cloned().collect::<Vec<_>>();
            Ok(once(kept([ours, other].concat(), |item| !both.contains(item))).into())
        },
        "The items that only one of the lists has.",
        "[1, 2] | symmetric_difference([2, 3]) → [1, 3]",
    ),
    Callable::new(
        &["extract"],
        "container, morekeys=none",
        extract,
        "What a list or mapping has under this key, and within that under further ones.",
        "'a' | extract({'a': {'b': 1}}, 'b') → 1",
    )
    .lenient(),
    Callable::new(
        &["shuffle"],
        "seed=none",
        |call| {
            // As in Ansible: what has no order is left as it is.
            let Some(mut items) = list(&call.value) else { return Ok(call.value.clone()) };
            Random::new(call.get("seed")).shuffle(&mut items);
            Ok(items.into())
        },
        "The items in another order; with `seed` in the same other order each time.",
        "[1, 2, 3] | shuffle(seed=host)",
    ),
    Callable::new(
        &["random"],
        "start=none, step=none, seed=none",
        random,
        "An item of a list, or a number below the given one; with `seed` the same each time.",
        "60 | random(seed=host)",
    ),
    Callable::new(
        &["rekey_on_member"],
        "key, duplicates='error'",
        rekey,
        "A mapping of the items by what each has under `key`.",
        "[{'n': 'a', 'v': 1}] | rekey_on_member('n') → {'a': {'n': 'a', 'v': 1}}",
    ),
    Callable::new(
        &["fileglob"],
        "",
        |call| {
            let host = crate::expr::host::of(call.state, "fileglob")?;
            let text = call.value.to_string();
            let pattern = super::path::expand_user(&text);
            let found = crate::expr::lookups::files::glob(&*host, &host.base().join(&*pattern))?;
            Ok(found.into_iter().map(Value::from).collect())
        },
        "The files that a pattern names.",
        "'/etc/*.conf' | fileglob",
    ),
];

/// The arguments by name, as the library takes them.
fn named(call: &Call<'_, '_, '_>) -> Kwargs {
    let given = call.given.iter().filter(|(_, value)| !value.is_none());
    given.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn kept(items: Vec<Value>, keep: impl Fn(&Value) -> bool) -> Vec<Value> {
    items.into_iter().filter(keep).collect()
}

/// Each item once.
fn once(items: Vec<Value>) -> Vec<Value> {
    let mut unique: Vec<Value> = Vec::new();
    for item in items {
        if !unique.contains(&item) {
            unique.push(item);
        }
    }
    unique
}

fn flatten(items: Vec<Value>, levels: usize, skip_nulls: bool, into: &mut Vec<Value>) {
    for item in items {
        match item.kind() {
            ValueKind::Seq | ValueKind::Iterable if levels > 0 => {
                flatten(list(&item).unwrap_or_default(), levels - 1, skip_nulls, into);
            }
            _ if skip_nulls
                && (item.is_none() || matches!(item.as_str(), Some("None" | "null"))) => {}
            _ => into.push(item),
        }
    }
}

fn unique(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let attribute = call.text("attribute");
    let case_sensitive = call.flag("case_sensitive", false);
    let key = |item: &Value| -> Value {
        let part = match &attribute {
            Some(path) => {
                path.split('.').try_fold(item.clone(), |value, name| value.get_attr(name).ok())
            }
            None => Some(item.clone()),
        };
        let part = part.unwrap_or_default();
        match part.as_str() {
            Some(text) if !case_sensitive => text.to_lowercase().into(),
            _ => part,
        }
    };
    let mut seen = Vec::new();
    let mut unique = Vec::new();
    let items = match call.value.as_str() {
        Some(text) => text.chars().map(|c| Value::from(c.to_string())).collect(),
        None => call.items()?,
    };
    for item in items {
        let key = key(&item);
        if !seen.contains(&key) {
            seen.push(key);
            unique.push(item);
        }
    }
    Ok(unique.into())
}

fn extract(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    refuse_undefined(&call.value)?;
    let container = call.need("container")?;
    if container.is_undefined() {
        return Ok(container.clone());
    }
    let mut found = container.get_item(&call.value)?;
    let more = match call.get("morekeys") {
        None => Vec::new(),
        Some(keys) => match keys.kind() {
            ValueKind::Seq => list(keys).unwrap_or_default(),
            _ => vec![keys.clone()],
        },
    };
    for key in more {
        if found.is_undefined() {
            break;
        }
        found = found.get_item(&key)?;
    }
    Ok(found)
}

fn random(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let mut random = Random::new(call.get("seed"));
    if let Some(end) = call.value.as_i64() {
        let (start, step) = (call.int("start")?.unwrap_or(0), call.int("step")?.unwrap_or(1));
        let span = end.checked_sub(start).filter(|span| *span > 0 && step > 0);
        let span =
            span.ok_or_else(|| call.wrong(format!("finds no number from {start} to below {end}")))?;
        let count = (span - 1) / step + 1;
        let drawn = random.below(u64::try_from(count).unwrap_or(1));
        return Ok((start + step * i64::try_from(drawn).unwrap_or(0)).into());
    }
    if call.get("start").is_some() || call.get("step").is_some() {
        return Err(call.wrong("takes `start` and `step` with a number only"));
    }
    let items = match call.value.as_str() {
        Some(text) => text.chars().map(|c| Value::from(c.to_string())).collect(),
        None => call.items()?,
    };
    let chosen = random.choice(&items).cloned();
    chosen.ok_or_else(|| call.wrong("finds no item in an empty list"))
}

fn rekey(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let key = call.need("key")?.clone();
    let overwrite = match call.text("duplicates").as_deref() {
        None | Some("error") => false,
        Some("overwrite") => true,
        Some(other) => {
            return Err(
                call.wrong(format!("takes error or overwrite as `duplicates`, not {other}"))
            );
        }
    };
    let items = match call.value.kind() {
        ValueKind::Map => super::dict::entries(&call.value).into_iter().map(|(_, v)| v).collect(),
        _ => call.items()?,
    };
    let mut keyed = indexmap::IndexMap::new();
    for item in items {
        let name = item.get_item(&key)?;
        if name.is_undefined() {
            return Err(call.wrong(format!("finds no `{key}` in {item}")));
        }
        if keyed.insert(name.clone(), item).is_some() && !overwrite {
            return Err(call.wrong(format!("finds `{name}` twice")));
        }
    }
    Ok(keyed.into())
}
