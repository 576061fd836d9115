//! Filters that put the items of lists together: in pairs, products, arrangements.

use crate::expr::call::{Call, Callable, list};
use minijinja::Error;
use minijinja::value::{Tuple, Value, ValueKind};

/// Items that a filter which multiplies may make.
const MOST_ITEMS: usize = 1 << 20;

pub(super) const TABLE: &[Callable] = &[
    Callable::new(
        &["zip"],
        "*others, strict=false",
        |call| {
            let lists = all_lists(call)?;
            let length = lists.iter().map(Vec::len).min().unwrap_or_default();
            if call.flag("strict", false) && lists.iter().any(|list| list.len() != length) {
                return Err(call.wrong("with `strict` takes lists of one length"));
            }
            Ok((0..length).map(|at| tuple(lists.iter().map(|list| list[at].clone()))).collect())
        },
        "The first items together, then the second ones, as far as the shortest list goes.",
        "[1, 2] | zip(['a', 'b']) → [(1, 'a'), (2, 'b')]",
    ),
    Callable::new(
        &["zip_longest"],
        "*others, fillvalue=none",
        |call| {
            let lists = all_lists(call)?;
            let length = lists.iter().map(Vec::len).max().unwrap_or_default();
            let filling = call.given.get("fillvalue").cloned().unwrap_or_else(|| Value::from(()));
            let item = |list: &Vec<Value>, at| list.get(at).unwrap_or(&filling).clone();
            Ok((0..length).map(|at| tuple(lists.iter().map(|list| item(list, at)))).collect())
        },
        "As `zip`, as far as the longest list goes.",
        "[1, 2] | zip_longest(['a']) → [(1, 'a'), (2, none)]",
    ),
    Callable::new(
        &["subelements"],
        "subelements, skip_missing=false",
        subelements,
        "Each item with each item of a list within it.",
        "users | subelements('groups')",
    ),
    Callable::new(
        &["product"],
        "*others, repeat=1",
        |call| {
            let mut lists = all_lists(call)?;
            let once = lists.clone();
            for _ in 1..call.count("repeat", 1)? {
                lists.extend(once.iter().cloned());
            }
            let count = lists.iter().try_fold(1usize, |n, list| n.checked_mul(list.len()));
            if count.is_none_or(|count| count > MOST_ITEMS) {
                return Err(call.wrong("would make more than a million items"));
            }
            Ok(product(&lists).into_iter().map(tuple).collect())
        },
        "Each item with each item of the other lists.",
        "[1, 2] | product(['a']) → [(1, 'a'), (2, 'a')]",
    ),
    Callable::new(
        &["combinations"],
        "set_size",
        |call| arrange(call, false),
        "All choices of so many items, in order.",
        "[1, 2, 3] | combinations(2) → [(1, 2), (1, 3), (2, 3)]",
    ),
    Callable::new(
        &["permutations"],
        "set_size=none",
        |call| arrange(call, true),
        "All arrangements of so many items.",
        "[1, 2] | permutations → [(1, 2), (2, 1)]",
    ),
];

fn tuple(items: impl IntoIterator<Item = Value>) -> Value {
    Value::from_object(Tuple::new(items.into_iter().collect()))
}

/// The value before the `|` and all others, as lists.
fn all_lists(call: &Call<'_, '_, '_>) -> Result<Vec<Vec<Value>>, Error> {
    let mut lists = vec![call.items()?];
    for other in &call.rest {
        let told = || call.wrong(format!("takes lists, and this is {}", other.kind()));
        lists.push(list(other).ok_or_else(told)?);
    }
    Ok(lists)
}

/// Each item of the first list with each of the others; the last one changes fastest.
pub(in crate::expr) fn product(lists: &[Vec<Value>]) -> Vec<Vec<Value>> {
    lists.iter().fold(vec![Vec::new()], |made, list| {
        let longer = made.iter().flat_map(|begun| {
            list.iter().map(move |item| begun.iter().chain([item]).cloned().collect())
        });
        longer.collect()
    })
}

fn arrange(call: &mut Call<'_, '_, '_>, in_any_order: bool) -> Result<Value, Error> {
    let items = match call.value.as_str() {
        Some(text) => text.chars().map(|c| Value::from(c.to_string())).collect(),
        None => call.items()?,
    };
    let size = call.count("set_size", items.len())?;
    let mut found = Vec::new();
    let mut open: Vec<Vec<usize>> = vec![Vec::new()];
    while let Some(chosen) = open.pop() {
        if chosen.len() == size {
            found.push(tuple(chosen.iter().map(|at| items[*at].clone())));
            if found.len() > MOST_ITEMS {
                return Err(call.wrong("would make more than a million items"));
            }
            continue;
        }
        call.state.consume_fuel(1)?;
        let first = if in_any_order { 0 } else { chosen.last().map_or(0, |at| at + 1) };
        let next = (first..items.len()).filter(|at| !in_any_order || !chosen.contains(at));
        let longer = next.map(|at| chosen.iter().copied().chain([at]).collect());
        let longer: Vec<Vec<usize>> = longer.collect();
        open.extend(longer.into_iter().rev());
    }
    Ok(found.into())
}

fn subelements(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let items = match call.value.kind() {
        ValueKind::Map => super::dict::entries(&call.value).into_iter().map(|(_, v)| v).collect(),
        _ => call.items()?,
    };
    let wanted = call.need("subelements")?;
    let names: Vec<String> = match (wanted.as_str(), list(wanted)) {
        (Some(path), _) => path.split('.').map(str::to_owned).collect(),
        (None, Some(names)) => names.iter().map(ToString::to_string).collect(),
        _ => return Err(call.wrong("takes a name, or a list of names, as `subelements`")),
    };
    let skip = call.flag("skip_missing", false);
    let pairs = sub_items(&items, &names, skip).map_err(|why| call.wrong(why))?;
    Ok(pairs.into_iter().map(|(item, sub)| tuple([item, sub])).collect())
}

/// Each item with each item of the list that stands under `names` within it.
pub(in crate::expr) fn sub_items(
    items: &[Value],
    names: &[String],
    skip_missing: bool,
) -> Result<Vec<(Value, Value)>, String> {
    let mut pairs = Vec::new();
    for item in items {
        let found = names.iter().try_fold(item.clone(), |value, name| {
            value.get_attr(name).ok().filter(|value| !value.is_undefined())
        });
        let subs = match found {
            None if skip_missing => continue,
            None => return Err(format!("finds no `{}` in {item}", names.join("."))),
            Some(value) if value.is_none() && skip_missing => continue,
            Some(value) => {
                list(&value).filter(|_| value.kind() != ValueKind::Map).ok_or_else(|| {
                    format!(
                        "takes a list under `{}`, and this is {}",
                        names.join("."),
                        value.kind()
                    )
                })?
            }
        };
        pairs.extend(subs.into_iter().map(|sub| (item.clone(), sub)));
    }
    Ok(pairs)
}
