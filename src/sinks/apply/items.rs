//! What a loop runs over: a list, or what a look-up makes of it (`with_dict`, `with_nested`, …).

use super::keywords::{Control, Items};
use super::tasks::Failure;
use crate::event::tree::Node;
use crate::expr::scope::Scope;
use crate::expr::value::pairs;
use minijinja::Value;
use minijinja::value::ValueKind;

/// More items than this are a mistake.
const MOST_ITEMS: usize = 1_000_000;

/// The items of a task's loop, rendered.
pub(super) fn resolve(items: &Items, scope: &Scope) -> Result<Vec<Value>, Failure> {
    let place = items.node.span.as_ref();
    let wrong = |why: String| {
        let place = place.map_or_else(String::new, |place| format!("{place}: "));
        Failure::new(format!("{place}{why}"))
    };
    let engine = scope.engine();
    let Some(lookup) = items.lookup.as_deref() else {
        let value =
            engine.render_value(&items.node, scope).map_err(|problem| problem.located(place))?;
        let why = || format!("a loop runs over a list, and this is {}", kind(&value));
        return list(&value).ok_or_else(|| wrong(why()));
    };
    // As for look-ups in Ansible, text is a list of one, and a bare name may be a variable's.
    let terms = terms(&items.node, scope)?;
    let found = match lookup {
        "list" => Ok(terms),
        "items" => Ok(terms.into_iter().flat_map(opened).collect()),
        "flattened" => Ok(terms.into_iter().flat_map(flat).collect()),
        "dict" => entries(&terms),
        "indexed_items" => {
            let all = terms.into_iter().flat_map(opened).enumerate();
            Ok(all.map(|(at, item)| Value::from(vec![Value::from(at), item])).collect())
        }
        "together" => together(&terms),
        "nested" | "cartesian" => nested(&terms),
        "subelements" => subelements(&terms),
        "sequence" => sequence(&terms),
        name => by_engine(name, terms, scope),
    };
    found.map_err(|failure| Failure { message: wrong(failure.message).message, ..failure })
}

/// `ansible_loop`: where in the loop an item is.
pub(super) fn place_in(items: &[Value], at: usize, control: &Control) -> Value {
    let (number, length) = (at + 1, items.len());
    let mut known = vec![
        ("index", Value::from(number)),
        ("index0", at.into()),
        ("revindex", (length - at).into()),
        ("revindex0", (length - number).into()),
        ("first", (at == 0).into()),
        ("last", (number == length).into()),
        ("length", length.into()),
    ];
    if control.extended_allitems {
        known.push(("allitems", items.iter().cloned().collect()));
    }
    if let Some(before) = at.checked_sub(1).and_then(|at| items.get(at)) {
        known.push(("previtem", before.clone()));
    }
    if let Some(after) = items.get(number) {
        known.push(("nextitem", after.clone()));
    }
    Value::from_pairs(known)
}

fn terms(node: &Node, scope: &Scope) -> Result<Vec<Value>, Failure> {
    let place = node.span.as_ref();
    let engine = scope.engine();
    let mut value = engine.render_value(node, scope).map_err(|problem| problem.located(place))?;
    if let (Some(name), true) = (value.as_str(), node.as_str() == value.as_str()) {
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || "_.[]'".contains(c));
        value = match engine.evaluate(name, scope) {
            Ok(found) if is_name && !found.is_undefined() => found,
            _ => value,
        };
    }
    Ok(list(&value).unwrap_or_else(|| vec![value]))
}

/// What an expression would get of the look-up `name`.
fn by_engine(name: &str, terms: Vec<Value>, scope: &Scope) -> Result<Vec<Value>, Failure> {
    let scope = scope.with_local("__terms", terms.into()).with_local("__name", name.into());
    let found = scope.engine().evaluate("query(__name, *__terms)", &scope).map_err(|problem| {
        let failure = Failure::from(problem);
        Failure { message: format!("`with_{name}`: {}", failure.message), ..failure }
    })?;
    list(&found).ok_or_else(|| Failure::new(format!("`with_{name}` gives no list")))
}

fn list(value: &Value) -> Option<Vec<Value>> {
    let is_list = matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable);
    is_list.then(|| value.try_iter().into_iter().flatten().collect())
}

fn kind(value: &Value) -> String {
    match value.kind() {
        ValueKind::String => "text".into(),
        ValueKind::Map => "a mapping".into(),
        ValueKind::None => "nothing".into(),
        other => format!("a {other}"),
    }
}

fn opened(item: Value) -> Vec<Value> {
    list(&item).unwrap_or_else(|| vec![item])
}

fn flat(item: Value) -> Vec<Value> {
    match list(&item) {
        Some(items) => items.into_iter().flat_map(flat).collect(),
        None => vec![item],
    }
}

fn entries(terms: &[Value]) -> Result<Vec<Value>, Failure> {
    let mut found = Vec::new();
    for term in terms {
        if term.kind() != ValueKind::Map {
            return Err(Failure::new(format!(
                "a loop runs over a mapping here, and this is {}",
                kind(term)
            )));
        }
        let entry = |(key, value): (String, Value)| {
            Value::from_pairs([("key", Value::from(key)), ("value", value)])
        };
        found.extend(pairs(term).into_iter().map(entry));
    }
    Ok(found)
}

/// The first items, the second items and so on; a list that ends early gives nothing.
fn together(terms: &[Value]) -> Result<Vec<Value>, Failure> {
    let lists: Vec<Vec<Value>> = terms.iter().cloned().map(opened).collect();
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    let nth = |at: usize| -> Value {
        lists.iter().map(|list| list.get(at).cloned().unwrap_or(().into())).collect()
    };
    Ok((0..longest).map(nth).collect())
}

/// Every choice of one item of each list.
fn nested(terms: &[Value]) -> Result<Vec<Value>, Failure> {
    let mut all: Vec<Vec<Value>> = vec![Vec::new()];
    for term in terms {
        let items = opened(term.clone());
        if all.len().saturating_mul(items.len()) > MOST_ITEMS {
            return Err(Failure::new(format!("the loop has more than {MOST_ITEMS} items")));
        }
        let with = |chosen: Vec<Value>| {
            items.iter().map(move |item| [chosen.clone(), vec![item.clone()]].concat())
        };
        all = all.into_iter().flat_map(with).collect();
    }
    Ok(all.into_iter().map(Value::from).collect())
}

/// Each mapping of a list with each item of the list that it has under a key.
fn subelements(terms: &[Value]) -> Result<Vec<Value>, Failure> {
    let [mappings, key, ..] = terms else {
        return Err(Failure::new("`with_subelements` takes a list of mappings and a key"));
    };
    let skips = terms.get(2).and_then(|flags| flags.get_attr("skip_missing").ok());
    let skips = skips.is_some_and(|skips| skips.is_true());
    let mappings = match mappings.kind() {
        ValueKind::Map => pairs(mappings).into_iter().map(|(_, value)| value).collect(),
        _ => opened(mappings.clone()),
    };
    let path = key.as_str().unwrap_or_default();
    let mut found = Vec::new();
    for mapping in mappings {
        let below = path.split('.').try_fold(mapping.clone(), |value, key| {
            value.get_item(&key.into()).ok().filter(|value| !value.is_undefined())
        });
        match below.as_ref().and_then(list) {
            Some(items) => {
                let pair = |item: Value| Value::from(vec![mapping.clone(), item]);
                found.extend(items.into_iter().map(pair));
            }
            None if skips => {}
            None => {
                let why = format!("an item has no list `{path}`");
                let hint = "`- {skip_missing: true}` as the third term leaves such items out";
                return Err(Failure { hint: Some(hint.into()), ..Failure::new(why) });
            }
        }
    }
    Ok(found)
}

/// `start=0 end=9 stride=3 format=web%02d`, `count=4`, or `0-9/3:web%02d`.
fn sequence(terms: &[Value]) -> Result<Vec<Value>, Failure> {
    let mut found = Vec::new();
    for term in terms {
        let text = term.to_string();
        let sequence = Sequence::read(&text).ok_or_else(|| {
            let hint = "write it as `start=1 end=9 stride=2 format=web%02d`, or with `count=4`";
            Failure { hint: Some(hint.into()), ..Failure::new(format!("`{text}` is no sequence")) }
        })?;
        found.extend(sequence.items()?);
    }
    Ok(found)
}

struct Sequence {
    start: i64,
    end: i64,
    stride: i64,
    format: String,
}

impl Sequence {
    fn read(text: &str) -> Option<Self> {
        let number = |text: &str| match text.strip_prefix("0x") {
            Some(hex) => i64::from_str_radix(hex, 16).ok(),
            None => text.parse::<i64>().ok(),
        };
        let (mut start, mut end, mut stride, mut count) = (None, None, 1, None);
        let mut format = "%d".to_owned();
        if text.contains('=') {
            for word in text.split_whitespace() {
                match word.split_once('=')? {
                    ("start", value) => start = Some(number(value)?),
                    ("end", value) => end = Some(number(value)?),
                    ("stride", value) => stride = number(value)?,
                    ("count", value) => count = Some(number(value)?),
                    ("format", value) => value.clone_into(&mut format),
                    _ => return None,
                }
            }
        } else {
            let (range, shape) = text.split_once(':').unwrap_or((text, "%d"));
            shape.clone_into(&mut format);
            let (range, step) = range.split_once('/').unwrap_or((range, "1"));
            stride = number(step)?;
            match range.split_once('-') {
                Some((from, to)) => (start, end) = (Some(number(from)?), Some(number(to)?)),
                None => end = Some(number(range)?),
            }
        }
        let start = start.unwrap_or(1);
        let end = match (end, count) {
            (Some(end), None) => end,
            // Nothing at all is before the start.
            (None, Some(0)) => start - stride.signum(),
            (None, Some(count)) => start + stride * (count - 1),
            _ => return None,
        };
        Some(Self { start, end, stride, format })
    }

    fn items(&self) -> Result<Vec<Value>, Failure> {
        let Self { start, end, stride, .. } = *self;
        let steps = if stride == 0 { 0 } else { (end - start).checked_div(stride).unwrap_or(0) };
        if (end - start) * stride < 0 || stride == 0 {
            return Ok(Vec::new());
        }
        if steps.unsigned_abs() as usize >= MOST_ITEMS {
            return Err(Failure::new(format!("the loop has more than {MOST_ITEMS} items")));
        }
        let items = (0..=steps).map(|step| formatted(&self.format, start + step * stride));
        Ok(items.map(Value::from).collect())
    }
}

/// `number` in a format of C with one `%d`, `%x` or `%o`.
fn formatted(format: &str, number: i64) -> String {
    let Some((before, rest)) = format.split_once('%') else { return format.to_owned() };
    let end = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (flags, after) = rest.split_at(end);
    let mut letters = after.chars();
    let text = match letters.next() {
        Some('x') => format!("{number:x}"),
        Some('X') => format!("{number:X}"),
        Some('o') => format!("{number:o}"),
        _ => number.to_string(),
    };
    let width = flags.trim_start_matches('0').parse().unwrap_or(0);
    let text = if flags.starts_with('0') { format!("{text:0>width$}") } else { format!("{text:>width$}") };
    format!("{before}{text}{}", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::value::{from_json, to_json};
    use serde_json::json;

    fn values(json: &serde_json::Value) -> Vec<Value> {
        list(&from_json(json)).unwrap()
    }

    fn json_of(found: Result<Vec<Value>, Failure>) -> serde_json::Value {
        to_json(&Value::from(found.unwrap()))
    }

    #[test]
    fn lists_go_together_or_every_way() {
        let two = values(&json!([["a", "b"], [1, 2, 3]]));
        assert_eq!(json_of(together(&two)), json!([["a", 1], ["b", 2], [null, 3]]));
        let nested = json_of(nested(&two));
        assert_eq!(nested.as_array().unwrap().len(), 6);
        assert_eq!(nested[1], json!(["a", 2]));
    }

    #[test]
    fn a_list_below_each_mapping_is_paired_with_it() {
        let users = json!([[{"name": "a", "keys": [1, 2]}, {"name": "b"}], "keys"]);
        assert!(subelements(&values(&users)).is_err());
        let mut users = users;
        users.as_array_mut().unwrap().push(json!({"skip_missing": true}));
        let found = json_of(subelements(&values(&users)));
        assert_eq!(found[1], json!([{"name": "a", "keys": [1, 2]}, 2]));
    }

    #[test]
    fn sequences_count_in_steps_and_shapes() {
        for (text, expected) in [
            ("start=1 end=5 stride=2", json!(["1", "3", "5"])),
            ("count=3", json!(["1", "2", "3"])),
            ("count=0", json!([])),
            ("start=0 end=2 format=web%02d.lan", json!(["web00.lan", "web01.lan", "web02.lan"])),
            ("4-8/4:x%d", json!(["x4", "x8"])),
            ("start=3 end=1 stride=-1", json!(["3", "2", "1"])),
            ("start=10 end=11 format=%x", json!(["a", "b"])),
        ] {
            assert_eq!(json_of(sequence(&[text.into()])), expected, "{text}");
        }
        assert!(sequence(&["nope".into()]).is_err());
    }
}
